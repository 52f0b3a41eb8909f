"""Checks of the inputs of functional.py's functions. Errors name the op, what was given and what is
expected.
"""

from __future__ import annotations

import numpy as np

from minibert.autograd.attention_masks import LOWEST
from minibert.autograd.tensor import Tensor
from minibert.validate import number


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


def check_linear(op: str, x: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    """Refuse shapes other than (..., in), (out, in) and (out,)."""
    check_precision(op, "x", x)
    if weight.ndim != 2 or not x.ndim or x.shape[-1] != weight.shape[1]:
        raise ValueError(f"{op}: x of shape {x.shape} does not fit a weight of shape "
                         f"{weight.shape}: expected (..., in) and (out, in)")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"{op}: bias of shape {bias.shape} does not fit a weight of shape "
                         f"{weight.shape}: expected ({weight.shape[0]},)")


def check_lstm(x: Tensor, parameters: tuple[Tensor, ...], hx: list[Tensor],
               lengths: np.ndarray | None) -> None:
    """Refuse shapes other than (B, T, I), (4 H, I), (4 H, H), (4 H,) twice, (B, H) twice and (B,),
    with T and H > 0, and lengths outside 0 .. T."""
    check_precision("lstm", "x", x)
    shapes = [tensor.shape for tensor in (x, *parameters)]
    (B, T, I), (_, H) = [shape if len(shape) == n else (0,) * n for shape, n in
                         ((shapes[0], 3), (shapes[2], 2))]
    expected = [(B, T, I), (4 * H, I), (4 * H, H), (4 * H,), (4 * H,)]
    if shapes != expected or not T or not H:
        raise ValueError(f"lstm: x {shapes[0]}, weight_ih {shapes[1]}, weight_hh {shapes[2]}, "
                         f"bias_ih {shapes[3]} and bias_hh {shapes[4]} do not fit: expected "
                         "(B, T, I), (4 H, I), (4 H, H), (4 H,) and (4 H,) with T and H > 0")
    if [state.shape for state in hx] not in ([], [(B, H)] * 2):
        raise ValueError(f"lstm: hx has shapes {', '.join([str(state.shape) for state in hx])}: "
                         f"expected h_0 and c_0, both (B, H) = {(B, H)}")
    if lengths is not None:
        if lengths.shape != (B,):
            raise ValueError(f"lstm: lengths of shape {lengths.shape}, expected one for each row: "
                             f"({B},)")
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
    if targets.shape != expected:
        raise ValueError(f"{op}: targets of shape {targets.shape}, expected {expected}")
    check_range(op, "target", targets[targets != ignore_index], classes)


def attention_mask(op: str, mask: Tensor | np.ndarray, scores: tuple[int, ...],
                   dtype: np.dtype) -> Tensor | np.ndarray:
    """A boolean mask as an array, a float mask as a tensor. Errors: a mask that does not broadcast
    to the scores' shape, integers, floats near the value of forbidden positions."""
    if not isinstance(mask, Tensor):
        mask = np.asarray(mask)
    try:
        fits = np.broadcast_shapes(mask.shape, scores) == scores
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{op}: a mask of shape {mask.shape} does not broadcast to the scores' "
                         f"{scores}; a padding mask (B, S) is passed as mask[:, None, None, :]")
    if mask.dtype.kind in "iu":
        raise TypeError(f"{op}: a mask is boolean (True = may attend) or float (added to the "
                        f"scores), got {mask.dtype}: use mask.astype(bool)")
    if mask.dtype == bool:
        return mask.data if isinstance(mask, Tensor) else mask
    values = mask.data if isinstance(mask, Tensor) else mask
    largest = -LOWEST / 10  # nothing allowed may come near forbidden scores
    if not (np.abs(values) <= largest).all():  # NaN is not, either
        raise ValueError(f"{op}: a float mask must lie between {-largest:g} and {largest:g}, got "
                         f"{values[~(np.abs(values) <= largest)].flat[0]}; forbid positions by a "
                         "boolean mask (True = may attend), such as mask > -1e9")
    return mask if isinstance(mask, Tensor) else Tensor(values.astype(dtype, copy=False))
