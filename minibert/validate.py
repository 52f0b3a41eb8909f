"""Checks of single values (a whole number, a number, a flag, one of several names), of the fields
of a dataclass, and of token ids.

A check of a value returns it as a plain Python number (NumPy's scalars are accepted; JSON cannot
hold them) or raises InputError "name = value: expected ...", with `name` as the user wrote it:
"BertConfig: hidden_size", "--steps", "clip_grad_norm_: max_norm".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import Field, field, fields
from numbers import Integral, Real

import numpy as np

from minibert.errors import InputError


def whole_number(name: str, value: object, at_least: int = 0, at_most: int | None = None) -> int:
    """`value` as an int from `at_least` to `at_most` (None: no limit); True is not a number."""
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_whole or value < at_least or (at_most is not None and value > at_most):
        upper = "" if at_most is None else f" to {at_most}"
        raise InputError(f"{name} = {shown_value(value)}: expected a whole number from "
                         f"{at_least}{upper}")
    return int(value)


def number(name: str, value: object, at_least: float = -math.inf, at_most: float = math.inf,
           above: float | None = None, below: float | None = None) -> float:
    """`value` as a finite Python number (an int stays one) between the limits: `at_least` and
    `at_most` are allowed themselves, `above` and `below` are not."""
    value = value.item() if isinstance(value, np.generic) else value  # float32 compares as float32
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    fits = is_number and _is_finite(value) and at_least <= value <= at_most
    if not fits or (above is not None and value <= above) or (below is not None and value >= below):
        limits = [f"at least {at_least:g}"] if at_least > -math.inf else []
        limits += [f"more than {above:g}"] if above is not None else []
        limits += [f"at most {at_most:g}"] if at_most < math.inf else []
        limits += [f"below {below:g}"] if below is not None else []
        raise InputError(f"{name} = {shown_value(value)}: expected a finite number"
                         + (", " + " and ".join(limits) if limits else ""))
    return value


def flag(name: str, value: object) -> bool:
    """`value` as a bool: True or False, not 1 or "false"."""
    if not isinstance(value, (bool, np.bool_)):
        raise InputError(f"{name} = {shown_value(value)}: expected True or False")
    return bool(value)


def one_of(name: str, value: object, choices: Collection[str]) -> str:
    """`value`, which must be one of the names in `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{name} = {shown_value(value)}: expected one of {', '.join(choices)}")
    return value


def checked(check: Callable[[str, object], object], default: object, optional: bool = False,
            **metadata) -> Field:
    """A field of a dataclass that `check(name, value)` validates in check_fields; `optional` ones
    may be None. `metadata` is that of the field."""
    return field(default=default, metadata={"check": check, "optional": optional, **metadata})


def check_fields(settings: object, prefix: str = "") -> None:
    """Validate the `checked` fields of a frozen dataclass; NumPy's numbers become Python's. Errors:
    InputError that begins with `prefix` and the name of the field."""
    for one in fields(settings):
        value = getattr(settings, one.name)
        if "check" in one.metadata and not (value is None and one.metadata["optional"]):
            value = one.metadata["check"](prefix + one.name, value)
            object.__setattr__(settings, one.name, value)  # the dataclass is frozen


def checked_ids(name: str, ids: np.ndarray, limit: int, shape: tuple[int, ...] | None = None,
                ignored: int | None = None) -> np.ndarray:
    """`ids` as an array of whole numbers from 0 to limit - 1 (or `ignored`), of `shape` or (B, T).
    """
    try:
        ids = np.asarray(ids)
    except ValueError:
        raise InputError(f"{name}: the rows differ in length: pad them to one length") from None
    if ids.dtype.kind not in "iu":
        raise InputError(f"{name}: expected whole numbers, got {ids.dtype}")
    if (ids.shape != shape) if shape is not None else (ids.ndim != 2):
        raise InputError(f"{name}: got shape {ids.shape}: expected {shape or '(batch, tokens)'}")
    if ids.size == 0:
        raise InputError(f"{name}: got shape {ids.shape}: there is nothing in it")
    wrong = (ids < 0) | (ids >= limit)
    if ignored is not None:
        wrong &= ids != ignored
    if wrong.any():
        raise InputError(f"{name}: {ids[wrong].flat[0]} is out of range: expected 0 to "
                         f"{limit - 1}")
    return ids


def shown_value(value: object) -> str:
    """The beginning of repr(value), for one line of a message."""
    try:
        return f"{value!r:.60}"
    except (ValueError, RecursionError):  # a number of thousands of digits, lists within lists
        return f"a {type(value).__name__} too large to show"


def _is_finite(value: Real) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond any float
        return False
