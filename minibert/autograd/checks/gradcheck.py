"""Gradients of backward compared with numerical derivatives, which use no backward.

- The complex step, f'(x) = Im f(x + ih) / h with h = 1e-30 (Squire & Trapp 1998, "Using Complex
  Variables to Estimate Derivatives of Real Functions"), subtracts nothing, so it is exact to
  rounding. Every op of the function must accept complex numbers, as all of ours do.
- Central differences, (f(x + h) - f(x - h)) / 2h, work for any function, to about 1e-9.

A random upstream gradient u makes any output one number, f = sum(u * output): with ones instead,
the gradient of a softmax would vanish, for right and wrong formulas alike. The largest difference
may be a tolerance times the gradient's scale, so small gradients are held to the same digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Union

import numpy as np

from minibert.autograd.tensor import Tensor, no_grad

COMPLEX_STEP = 1e-30
CENTRAL_STEP = 6e-6  # the cube root of float64's rounding: truncation and rounding errors balance
TOLERANCES = {"complex": 1e-10, "central": 1e-6}

Outputs = Union[Tensor, Sequence[Tensor]]


class GradcheckError(RuntimeError):
    """Backward and the numerical derivative differ: the message has the index and both values."""


@dataclass(frozen=True)
class CheckedInput:
    """The comparison for one input."""
    name: str
    shape: tuple[int, ...]
    compared: int  # numbers
    error: float  # the largest |backward - numerical|
    scale: float  # the largest gradient of all inputs

    @property
    def relative_error(self) -> float:
        """`error` in parts of `scale`."""
        return self.error / self.scale if self.scale else self.error


@dataclass(frozen=True)
class GradcheckReport:
    """The comparisons of `gradcheck`, all within the tolerance; str() is a small table."""
    method: str
    inputs: tuple[CheckedInput, ...]

    @property
    def relative_error(self) -> float:
        """The largest one of all inputs."""
        return max([checked.relative_error for checked in self.inputs], default=0.0)

    def __str__(self) -> str:
        width = max([len(checked.name) for checked in self.inputs], default=0)
        lines = [f"gradcheck ({self.method}): largest relative error {self.relative_error:.1e}"]
        for row in self.inputs:
            lines.append(f"  {row.name:<{width}}  {row.shape!s:<16} {row.compared:>6} compared, "
                         f"error {row.error:.1e}, scale {row.scale:.1e}")
        return "\n".join(lines)


def gradcheck(fn: Callable[..., Outputs], inputs: Sequence, method: str = "complex",
              tolerance: float | None = None, seed: int = 0) -> GradcheckReport:
    """Check the gradient of fn(*inputs), which returns one tensor or several, at every index.

    `inputs` are floating-point tensors or arrays; `fn` receives copies in float64. Whatever is
    random inside `fn` must be the same at every call. `tolerance` is relative to the largest
    gradient: 1e-10 for the complex step, 1e-6 for central differences. Raises GradcheckError.
    """
    tensors = {}
    for i, value in enumerate(inputs):
        array = np.array(value.data if isinstance(value, Tensor) else value)
        if array.dtype.kind != "f":
            raise TypeError(f"gradcheck: input {i} has dtype {array.dtype}, not floating point: "
                            "give ids and masks to fn in another way, as functools.partial does")
        tensors[f"input {i}"] = Tensor(array.astype(np.float64), requires_grad=True)
    check = _Check(partial(fn, *tensors.values()), tensors, method, tolerance, seed)
    return check.report(coordinates=None, directions=0)


def gradcheck_parameters(fn: Callable[[], Outputs], parameters: Mapping[str, Tensor],
                         method: str = "complex", coordinates: int = 4, directions: int = 2,
                         tolerance: float | None = None, seed: int = 0) -> GradcheckReport:
    """Check the gradient of fn(), a model's loss, with respect to `parameters` (name -> tensor).

    A model has too many numbers to check each: `coordinates` indices of every parameter are drawn,
    and the slope is compared along `directions` random directions through all parameters together.
    The parameters must be float64 and are restored afterwards; their `.grad` is dropped. Raises
    GradcheckError.
    """
    for name, tensor in parameters.items():
        if tensor.dtype != np.float64:
            raise TypeError(f"gradcheck: {name} is {tensor.dtype}: call model.double() first")
    check = _Check(fn, parameters, method, tolerance, seed)
    return check.report(coordinates, directions)


class _Check:
    """One function at one point: its gradient by backward, and its numerical slopes."""

    def __init__(self, fn, tensors, method, tolerance, seed):
        if method not in TOLERANCES:
            raise ValueError(f"gradcheck: method {method!r}: expected 'complex' or 'central'")
        self.fn, self.tensors, self.method = fn, tensors, method
        self.tolerance = TOLERANCES[method] if tolerance is None else tolerance
        self.rng = np.random.default_rng(seed)
        self.gradients = self._backward()
        self.scale = max([_largest(grad) for grad in self.gradients.values()], default=0.0)

    def _outputs(self) -> Sequence[Tensor]:
        outputs = self.fn()
        return [outputs] if isinstance(outputs, Tensor) else outputs

    def _backward(self) -> dict[str, np.ndarray]:
        before = {name: tensor.data.copy() for name, tensor in self.tensors.items()}
        for tensor in self.tensors.values():
            tensor.grad = None
        outputs = self._outputs()
        self.upstream = [self.rng.normal(size=output.shape) for output in outputs]
        for output, upstream in zip(outputs, self.upstream):
            given = upstream.copy()
            output.backward(given, retain_graph=len(outputs) > 1)
            if not np.array_equal(given, upstream):
                raise GradcheckError("gradcheck: backward wrote into the gradient it was given")
        gradients = {}
        for name, tensor in self.tensors.items():
            if not np.array_equal(tensor.data, before[name], equal_nan=True):
                raise GradcheckError(f"gradcheck: {name} was written into by forward or backward")
            gradients[name] = np.zeros(tensor.shape) if tensor.grad is None else tensor.grad
            tensor.grad = None
        return gradients

    def slope(self, directions: dict[str, np.ndarray]) -> float:
        """df/dt at t = 0 when each tensor named moves by t times its direction. No backward."""
        if self.method == "complex":
            slopes = [output.imag / COMPLEX_STEP
                      for output in self._outputs_at(directions, 1j * COMPLEX_STEP)]
        else:  # subtracted before they are summed: a huge output that stands still is harmless
            ups = self._outputs_at(directions, CENTRAL_STEP)
            downs = self._outputs_at(directions, -CENTRAL_STEP)
            slopes = [(up - down) / (2 * CENTRAL_STEP) for up, down in zip(ups, downs)]
        return sum([float((slope * upstream).sum())
                    for slope, upstream in zip(slopes, self.upstream)])

    def _outputs_at(self, directions: dict[str, np.ndarray], step: complex) -> list[np.ndarray]:
        """The outputs with each tensor moved by `step` times its direction. A complex step makes
        all tensors complex, those too that stand still: an op may rely on one dtype."""
        here = {name: tensor.data for name, tensor in self.tensors.items()}
        try:
            for name, tensor in self.tensors.items():
                tensor.data = here[name] + step * directions.get(name, 0.0)
            with no_grad():
                return [output.data for output in self._outputs()]
        finally:
            for name, array in here.items():
                self.tensors[name].data = array

    def report(self, coordinates: int | None, directions: int) -> GradcheckReport:
        rows = [self._check_input(name, coordinates) for name in self.tensors]
        if directions:
            rows.append(self._check_directions(directions))
        return GradcheckReport(self.method, tuple(rows))

    def _check_input(self, name: str, coordinates: int | None) -> CheckedInput:
        gradient = self.gradients[name]
        positions = range(gradient.size)
        if coordinates is not None and coordinates < gradient.size:
            positions = self.rng.choice(gradient.size, coordinates, replace=False)
        error, direction = 0.0, np.zeros(gradient.shape)
        for position in positions:
            index = tuple([int(i) for i in np.unravel_index(position, gradient.shape)])
            direction[index] = 1.0
            error = max(error, self._error(f"{name}, index {index}", float(gradient[index]),
                                           {name: direction}, self.scale))
            direction[index] = 0.0
        return CheckedInput(name, gradient.shape, len(positions), error, self.scale)

    def _check_directions(self, count: int) -> CheckedInput:
        norm = math.sqrt(sum([float((grad * grad).sum()) for grad in self.gradients.values()]))
        error = 0.0
        for _ in range(count):
            direction = {name: self.rng.normal(size=grad.shape)
                         for name, grad in self.gradients.items()}
            expected = sum([float((grad * direction[name]).sum())
                            for name, grad in self.gradients.items()])
            error = max(error, self._error("a random direction through all inputs", expected,
                                           direction, norm))
        return CheckedInput("random directions", (), count, error, norm)

    def _error(self, where: str, by_backward: float, directions: dict[str, np.ndarray],
               scale: float) -> float:
        slope = self.slope(directions)
        if not abs(by_backward - slope) <= self.tolerance * scale:  # a NaN is a disagreement too
            numerical = "the complex step" if self.method == "complex" else "central differences"
            raise GradcheckError(f"gradcheck: {where}: backward gives {by_backward:.12g}, "
                                 f"{numerical} {slope:.12g}; the difference exceeds "
                                 f"{self.tolerance:g} times the gradient's scale {scale:.3g}")
        return abs(by_backward - slope)


def _largest(array: np.ndarray) -> float:
    return float(np.abs(array).max()) if array.size else 0.0
