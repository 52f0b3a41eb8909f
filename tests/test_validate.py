"""Single values: Python's and NumPy's numbers pass as Python's, everything else is named."""

import math
from dataclasses import dataclass, fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minibert import validate
from minibert.errors import InputError

INTEGERS = st.integers(-5, 5)


@given(INTEGERS, INTEGERS, INTEGERS, st.sampled_from([int, np.int8, np.int64]))
def test_whole_numbers_between_their_limits_pass(value, low, high, kind):
    if low <= value <= high:
        passed = validate.whole_number("x", kind(value), low, high)
        assert passed == value and type(passed) is int
    else:
        with pytest.raises(InputError, match=rf"^x = .*{value}.* from {low} to {high}"):
            validate.whole_number("x", kind(value), low, high)


@given(st.floats(-2, 2, width=32), st.floats(-2, 2), st.floats(-2, 2),
       st.sampled_from([float, np.float32, np.float64]))
def test_numbers_between_their_limits_pass(value, low, high, kind):
    for limits, fits in (({"at_least": low, "at_most": high}, low <= value <= high),
                         ({"above": low, "below": high}, low < value < high)):
        if fits:
            passed = validate.number("x", kind(value), **limits)
            assert passed == value and type(passed) is float
        else:
            with pytest.raises(InputError, match="^x = .*expected a finite number"):
                validate.number("x", kind(value), **limits)


@pytest.mark.parametrize("value", [True, None, "1", 1.0, [1], np.float32(1)])
def test_what_is_no_whole_number(value):
    with pytest.raises(InputError, match="expected a whole number from 0$"):
        validate.whole_number("x", value)


@pytest.mark.parametrize("value", [True, None, "1", [1], math.nan, math.inf, np.float32("nan")])
def test_what_is_no_number(value):
    with pytest.raises(InputError, match="expected a finite number$"):
        validate.number("x", value)


def test_flags_and_names():
    assert validate.flag("x", np.bool_(True)) is True and validate.flag("x", False) is False
    assert validate.one_of("x", "b", ("a", "b")) == "b"
    with pytest.raises(InputError, match="expected one of a, b"):
        validate.one_of("x", np.array(["a", "b"]), ("a", "b"))
    assert validate.whole_number("x", 7) == 7  # no upper limit
    for value in (1, 0, "true", None):
        with pytest.raises(InputError, match="x = .*: expected True or False"):
            validate.flag("x", value)
    for value in ("c", None, ["a"]):
        with pytest.raises(InputError, match="expected one of a, b"):
            validate.one_of("x", value, ("a", "b"))


@pytest.mark.parametrize("check", [validate.whole_number, validate.number, validate.flag])
def test_values_that_cannot_be_shown_are_named(check):
    nested = []
    for _ in range(100_000):
        nested = [nested]
    for value in (nested, -10 ** 5000):
        with pytest.raises(InputError, match="x = a (list|int) too large to show: expected"):
            check("x", value)


def test_a_whole_number_beyond_any_float_is_not_finite():
    with pytest.raises(InputError, match="x = 1000.*expected a finite number"):
        validate.number("x", 10 ** 400)


@dataclass(frozen=True)
class Settings:
    count: int = validate.checked(validate.whole_number, 3)
    rate: float | None = validate.checked(validate.number, 0.5, optional=True, help="a rate")
    other: object = None


def test_the_checked_fields_of_a_dataclass():
    settings = Settings(np.int8(2), None, np.int8(1))
    validate.check_fields(settings)
    assert type(settings.count) is int and settings.rate is None
    assert type(settings.other) is np.int8 and fields(Settings)[1].metadata["help"] == "a rate"
    for wrong in (Settings(None), Settings(rate="a")):
        with pytest.raises(InputError, match="^Settings: (count|rate) = .*: expected a"):
            validate.check_fields(wrong, "Settings: ")
