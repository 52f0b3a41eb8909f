"""Checks of the inputs of functional.py's functions. Errors name the op, what was given and what is
expected.
"""

from __future__ import annotations

import numpy as np

from minibert.autograd.as_tensor import TensorLike, as_tensor
from minibert.autograd.attention_masks import LOWEST
from minibert.autograd.tensor import Tensor
from minibert.validate import number


def float_tensor(op: str, name: str, value: TensorLike) -> Tensor:
    """An operand as a tensor of floating-point numbers."""
    tensor = as_tensor(op, value)
    check_precision(op, name, tensor)
    return tensor


def check_precision(op: str, name: str, tensor: Tensor) -> None:
    """Refuse all but float32, float64 and complex (gradcheck): float16's sums end at 65504."""
    if tensor.dtype.kind not in "fc" or tensor.dtype == np.float16:
        raise TypeError(f"{op}: {name} is {tensor.dtype}, expected float32 or float64: make it "
                        "from array.astype(np.float32)")


def constant_array(op: str, name: str, values) -> np.ndarray:
    """A constant operand as an array. Error: a tensor that requires a gradient."""
    if isinstance(values, Tensor):
        if values.requires_grad:
            raise ValueError(f"{op}: {name} are constants and cannot require a gradient: pass "
                             "an array or a detached tensor")
        return values.data
    return np.asarray(values)


def integer_array(op: str, name: str, values) -> np.ndarray:
    """A constant operand of integers as an array."""
    values = constant_array(op, name, values)
    if values.dtype.kind not in "iu":
        raise TypeError(f"{op}: {name} must be integers, got {values.dtype}")
    return values


def check_range(op: str, name: str, values: np.ndarray, count: int) -> None:
    """Refuse values outside 0 .. count - 1."""
    if values.size and not 0 <= values.min() <= values.max() < count:
        position = np.argwhere((values < 0) | (values >= count))[0]
        raise IndexError(f"{op}: {name} {values[tuple(position)]} is out of range: expected 0 to "
                         f"{count - 1}")


def check_shape(op: str, name: str, array: Tensor | np.ndarray | None, expected: tuple) -> None:
    """Refuse another shape than the expected one; None has none."""
    if array is not None and array.shape != expected:
        raise ValueError(f"{op}: {name} of shape {array.shape}, expected {expected}")


def check_linear(op: str, x: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    """Refuse shapes other than (..., in), (out, in) and (out,)."""
    check_precision(op, "x", x)
    if weight.ndim != 2 or not x.ndim or x.shape[-1] != weight.shape[1]:
        raise ValueError(f"{op}: x of shape {x.shape} does not fit a weight of shape "
                         f"{weight.shape}: expected (..., in) and (out, in)")
    check_shape(op, "bias", bias, weight.shape[:1])


def check_lstm(x: Tensor, parameters: tuple[Tensor, ...], hx: list[Tensor],
               lengths: np.ndarray | None) -> None:
    """Refuse shapes other than (B, T, I), (4 H, I), (4 H, H), (4 H,) twice, (B, H) twice and (B,),
    with T and H > 0, and lengths outside 0 .. T."""
    check_precision("lstm", "x", x)
    shape, hidden = x.shape, parameters[1].shape
    if len(shape) != 3 or len(hidden) != 2 or not shape[1] or not hidden[1]:
        raise ValueError(f"lstm: x of shape {shape} and weight_hh of shape {hidden}: expected "
                         "(B, T, I) and (4 H, H) with T and H > 0")
    (B, T, I), H = shape, hidden[1]
    expected = {"weight_ih": (4 * H, I), "weight_hh": (4 * H, H), "bias_ih": (4 * H,),
                "bias_hh": (4 * H,)}
    for (name, its_shape), parameter in zip(expected.items(), parameters):
        check_shape("lstm", name, parameter, its_shape)
    if [state.shape for state in hx] not in ([], [(B, H)] * 2):
        raise ValueError(f"lstm: hx has shapes {', '.join([str(state.shape) for state in hx])}: "
                         f"expected h_0 and c_0, both (B, H) = {(B, H)}")
    if lengths is not None:
        check_shape("lstm", "lengths", lengths, (B,))
        check_range("lstm", "length", lengths, T + 1)


def check_dropout(op: str, p: float, training: bool, rng: np.random.Generator | None) -> None:
    """Refuse a p outside 0 .. 1, and dropout in training without a generator."""
    number(f"{op}: probability", p, at_least=0, at_most=1)
    if training and p > 0 and not isinstance(rng, np.random.Generator):
        raise ValueError(f"{op}: p = {p} needs rng, a numpy.random.Generator, got {rng!r} (or turn "
                         "dropout off: model.eval())")


def check_targets(op: str, targets: np.ndarray, expected: tuple[int, ...], classes: int,
                  ignore_index: int) -> None:
    """Refuse targets of another shape, and classes outside 0 .. classes - 1."""
    integer_array(op, "targets", targets)
    check_shape(op, "targets", targets, expected)
    check_range(op, "target", targets[targets != ignore_index], classes)


def attention_mask(op: str, mask: Tensor | np.ndarray | None, scores: tuple[int, ...],
                   dtype: np.dtype) -> Tensor | np.ndarray | None:
    """A boolean mask as an array, a float mask as a tensor, None as it is. Errors: a mask that does
    not broadcast to the scores' shape, integers, floats near the value of forbidden positions."""
    if mask is None:
        return None
    values = mask.data if isinstance(mask, Tensor) else np.asarray(mask)
    try:
        fits = np.broadcast_shapes(values.shape, scores) == scores
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{op}: a mask of shape {values.shape} does not broadcast to the scores' "
                         f"{scores}; a padding mask (B, S) is passed as mask[:, None, None, :]")
    if values.dtype.kind in "iu":
        raise TypeError(f"{op}: a mask is boolean (True = may attend) or float (added to the "
                        f"scores), got {values.dtype}: use mask.astype(bool)")
    if values.dtype == bool:
        return values
    largest = -LOWEST / 10  # nothing allowed may come near forbidden scores
    if not (np.abs(values) <= largest).all():  # NaN is not, either
        raise ValueError(f"{op}: a float mask must lie between {-largest:g} and {largest:g}, got "
                         f"{values[~(np.abs(values) <= largest)].flat[0]}; forbid positions by a "
                         "boolean mask (True = may attend), such as mask > -1e9")
    return mask if isinstance(mask, Tensor) else Tensor(values.astype(dtype, copy=False))
