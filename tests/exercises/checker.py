"""Check a learner's function: drawn inputs, the smallest first; a message that names the mistake.

A `Part` is one function of an exercise: the inputs that hypothesis draws, the right output, laws,
and known mistakes, each a wrong function whose docstring is the probable cause. A mistake is named
when its outputs equal the learner's on the failing input and on all drawn ones.
"""

from __future__ import annotations

import copy
import re
import signal
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

SECONDS = 5  # for one call; a right function needs milliseconds
TOLERANCE = 1e-9  # relative to the largest right number
Inputs = dict[str, Any]  # argument name -> value, in the order of the signature


class Fault(Exception):
    """The learner's function or file is wrong; the text is the message that a learner reads."""


class NotBegun(Exception):
    """The function still raises NotImplementedError."""


class TookTooLong(BaseException):
    """Not an Exception: the learner's own `except Exception` does not swallow it."""


@dataclass(frozen=True, eq=False)
class Part:
    """One function of an exercise.

    expected: the right output of an input, or None where only laws decide. laws: (function, inputs,
    output) -> what is broken, or None. arguments: inputs -> what is passed, by default a copy.
    observe: output -> what is compared. extra: inputs that are tried after the drawn ones. For a
    random function, symptoms: (inputs, output) -> counts that are the same for the same mistake,
    and probes: the inputs to take them from.
    """

    function: str
    inputs: SearchStrategy[Inputs]
    mistakes: tuple[Callable, ...]
    expected: Callable | None = None
    laws: tuple[Callable, ...] = ()
    returns: tuple[str, ...] = ()
    arguments: Callable[[Inputs], Sequence] = lambda inputs: copy.deepcopy(list(inputs.values()))
    observe: Callable = lambda output: output
    symptoms: Callable = lambda inputs, output: output
    extra: tuple[Inputs, ...] = ()
    probes: tuple[Inputs, ...] = ()
    examples: int = 40


@dataclass(frozen=True, eq=False)
class Case:
    inputs: Inputs
    expected: Any


# ---- the learner's file and one call of it -------------------------------------------------------


def load(path: Path) -> ModuleType:
    """Run the learner's file. Errors: a Fault that names the line."""
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    try:
        code = compile(path.read_text(encoding="utf-8"), str(path), "exec")
        within(SECONDS, exec, code, module.__dict__)
    except SyntaxError as error:
        raise Fault(f"{path.name} is not Python yet: {error.msg}, line {error.lineno}:\n"
                    f"    {(error.text or '').strip()}") from None
    except TookTooLong:
        raise Fault(f"{path.name} did not end within {SECONDS} s: is there a loop outside the "
                    "functions?") from None
    except (Exception, SystemExit) as error:
        raise Fault(f"{path.name} cannot be loaded: {described(error)}") from None
    return module


def function_of(module: ModuleType, name: str) -> Callable:
    function = getattr(module, name, None)
    if not callable(function):
        raise Fault(f"the function {name} is missing in {Path(module.__file__).name}: keep its "
                    "name as it was")
    return function


def within(seconds: float, function: Callable, *arguments) -> Any:
    """function(*arguments), or TookTooLong after `seconds`."""
    if hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():
        return within_by_alarm(seconds, function, arguments)
    return within_by_thread(seconds, function, arguments)


def within_by_alarm(seconds: float, function: Callable, arguments: tuple) -> Any:
    def ring(signum, frame):
        raise TookTooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return function(*arguments)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def within_by_thread(seconds: float, function: Callable, arguments: tuple) -> Any:
    """For Windows, and outside the main thread; the thread itself cannot be ended."""
    result: list[tuple[Any, BaseException | None]] = []

    def run():
        try:
            result.append((function(*arguments), None))
        except BaseException as error:
            result.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not result:
        raise TookTooLong
    output, error = result[0]
    if error is not None:
        raise error
    return output


def described(error: BaseException) -> str:
    """The error and the last line of a file outside of this package that led to it."""
    text = f"{type(error).__name__}: {str(error) or '(no message)'}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)
              if frame.filename != __file__]
    return text if not frames else f"{text}\n    line {frames[0].lineno}: {frames[0].line}"


def call(part: Part, function: Callable, inputs: Inputs) -> Any:
    """The observed output. Errors: NotBegun; a Fault for an exception, a call that does not return,
    an argument that was changed."""
    arguments, untouched = part.arguments(inputs), part.arguments(inputs)
    try:
        output = within(SECONDS, function, *arguments)
    except NotImplementedError:
        raise NotBegun from None
    except TookTooLong:
        raise Fault(f"it did not return within {SECONDS} s: a loop that never ends, or one that "
                    "does the same work again and again?") from None
    except (Exception, SystemExit) as error:
        raise Fault(f"it raised {described(error)}") from None
    changed = [name for name, now, then in zip(inputs, arguments, untouched)
               if isinstance(then, (np.ndarray, list, dict, set))
               and difference(now, then) is not None]
    if changed:
        raise Fault(f"it writes into its argument {' and '.join(changed)}: the caller still needs "
                    "it. x -= y changes the array, x = x - y makes a new one")
    try:
        return part.observe(output)
    except Exception:
        raise Fault(f"it returned {shown(output)}: look at what the docstring says it returns"
                    ) from None


# ---- comparison ----------------------------------------------------------------------------------


def difference(output: Any, expected: Any, name: str = "the result") -> str | None:
    """What is wrong with the output, or None."""
    if output is None:
        return f"{name} is None: is the `return` missing?"
    if isinstance(expected, tuple) and all(isinstance(e, (np.ndarray, float)) for e in expected):
        return _tuple_difference(output, expected)
    if isinstance(expected, float):
        if not isinstance(output, (float, np.floating)) and np.shape(output) != ():
            return f"{name} is {kind(output)}: expected one number"
        output, expected = np.asarray(output), np.asarray(expected)
    if not isinstance(expected, np.ndarray):
        return None if type(output) is type(expected) and output == expected else (
            f"{name} is {shown(output)}\n    right is {shown(expected)}")
    if isinstance(output, np.generic) and expected.shape == ():
        output = np.asarray(output)  # NumPy makes a scalar of a 0-d array wherever it can
    if not isinstance(output, np.ndarray):
        return f"{name} is {kind(output)}: expected a NumPy array of shape {expected.shape}"
    if output.shape != expected.shape:
        return f"{name} has the shape {output.shape}: expected {expected.shape}"
    if output.dtype != expected.dtype:
        return f"{name} has the dtype {output.dtype}: expected {expected.dtype}"
    return _number_difference(output, expected, name)


def _tuple_difference(output: Any, expected: tuple) -> str | None:
    if not isinstance(output, tuple) or len(output) != len(expected):
        return f"the result is {kind(output)}: expected a tuple of {len(expected)}"
    for i, (one, right) in enumerate(zip(output, expected)):
        if (wrong := difference(one, right, f"output {i}")) is not None:
            return wrong
    return None


def _number_difference(output: np.ndarray, expected: np.ndarray, name: str) -> str | None:
    if expected.dtype == bool or expected.dtype.kind == "i":
        wrong = output != expected
    else:
        scale = np.abs(expected).max(initial=0, where=np.isfinite(expected)) or 1.0
        with np.errstate(invalid="ignore"):
            wrong = ~(np.abs(output - expected) <= TOLERANCE * scale + 1e-12)
    if not wrong.any():
        return None
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    place = f"[{', '.join(map(str, index))}]" if index else ""
    nan = "  (NaN)" if np.isnan(output).any() else ""
    return (f"{name} is{nan}\n        {shown(output)}\n    right is\n        {shown(expected)}\n"
            f"    first difference {place}: {shown(output[index])}, right is "
            f"{shown(expected[index])}")


def kind(value: Any) -> str:
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    return f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else \
        f"of type {type(value).__name__}"


def shown(value: Any) -> str:
    """A value in at most about ten lines."""
    if isinstance(value, (np.ndarray, np.generic)):
        text = np.array2string(np.asarray(value), precision=5, suppress_small=True, threshold=60,
                               separator=", ", prefix="        ")
        return re.sub(r"\n\s*\n", "\n", text)
    text = repr(value)
    return text if len(text) <= 400 else f"{text[:400]} ..."


# ---- drawing, checking, naming -------------------------------------------------------------------


def size(inputs: Inputs) -> int:
    return sum(np.size(value) if isinstance(value, np.ndarray) else len(repr(value))
               for value in inputs.values())


def drawn(strategy: SearchStrategy[Inputs], count: int) -> list[Inputs]:
    """Hypothesis's examples, the smallest first; the same in every run."""
    found = []

    @settings(max_examples=count, derandomize=True, database=None, deadline=None,
              phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(strategy)
    def collect(inputs):
        found.append(inputs)

    collect()
    return sorted(found, key=size)


@cache
def cases(part: Part) -> list[Case]:
    """All inputs with their right outputs: the drawn ones from small to large, then the extra."""
    every = drawn(part.inputs, part.examples) + list(part.extra)
    return [Case(inputs, part.expected(*part.arguments(inputs)) if part.expected else None)
            for inputs in every]


def check(part: Part, function: Callable) -> None:
    """Try all cases. Errors: NotBegun, or a Fault whose text is the whole message."""
    for case in cases(part):
        wrong = fault(part, function, case)
        if wrong is not None:
            raise Fault(message(part, case, wrong, diagnose(part, function, case)))


def fault(part: Part, function: Callable, case: Case) -> str | None:
    """What is wrong for one case, or None."""
    with np.errstate(all="ignore"):
        try:
            output = call(part, function, case.inputs)
            wrong = None if part.expected is None else difference(output, case.expected)
            for i, name in enumerate(part.returns):
                wrong = wrong and wrong.replace(f"output {i}", name)
            broken = _broken_laws(part, function, case.inputs, output)
        except Fault as error:
            return str(error)
    return "\n    ".join([*([wrong] if wrong else []), *broken]) or None


def _broken_laws(part: Part, function: Callable, inputs: Inputs, output: Any) -> list[str]:
    broken = []
    for law in part.laws:
        try:
            sentence = law(function, inputs, output)
        except Exception:  # an output of another shape: the comparison has said so
            sentence = None if part.expected else f"it returned {shown(output)}"
        if sentence:
            broken.append(f"broken law: {sentence}" if part.expected else sentence)
    return broken


def outcome(part: Part, function: Callable, inputs: Inputs) -> Any:
    """The output, or the type of the exception."""
    try:
        with np.errstate(all="ignore"):
            output = part.observe(within(1, function, *part.arguments(inputs)))
            return part.symptoms(inputs, output)
    except (Exception, SystemExit, TookTooLong) as error:
        return type(error)


def agree(a: Any, b: Any) -> bool:
    if a is None or isinstance(a, type) or isinstance(b, type):
        return a is b
    try:
        if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
            return all(agree(x, y) for x, y in zip(a, b))
        numbers = isinstance(a, (np.ndarray, np.generic, float)) and isinstance(b, type(a))
        if numbers and np.asarray(a).dtype.kind == "f":
            return np.shape(a) == np.shape(b) and np.allclose(a, b, 1e-7, 1e-12, equal_nan=True)
        return difference(a, b) is None
    except Exception:
        return False


def diagnose(part: Part, function: Callable, case: Case) -> Callable | None:
    """The known mistake that explains this failing case, or None."""
    probes = part.probes or [case.inputs, *[c.inputs for c in cases(part)[:part.examples]]]
    ours = []
    for probe in probes:
        ours.append(outcome(part, function, probe))
        if ours[-1] is TookTooLong:
            return None
    for mistake in part.mistakes:
        if all(agree(one, outcome(part, mistake, probe)) for one, probe in zip(ours, probes)):
            return mistake
    return None


def message(part: Part, case: Case, wrong: str, mistake: Callable | None) -> str:
    lines = [f"{part.function} is not right yet. The smallest input that shows it:"]
    for name, value in case.inputs.items():
        lines.append(f"    {name} = {shown(value)}")
    lines += ["It gives:", f"    {wrong}"]
    if mistake is not None:
        lines.append(f"Probable cause: {' '.join(mistake.__doc__.split())}")
    return "\n".join(lines)
