"""Every op and function with a point at which `python -m minibert gradcheck` and tests check it.

The sizes all differ, so that no transposed axis can hide; the random inputs are about 1 in size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from minibert.autograd import functional, ops
from minibert.autograd.checks.gradcheck import GradcheckError, gradcheck
from minibert.autograd.functional import reference
from minibert.autograd.functional import scaled_dot_product_attention as attention
from minibert.autograd.head_layout import HeadLayout
from minibert.autograd.tensor import Tensor


@dataclass(frozen=True)
class Case:
    """fn(*tensors) at random tensors of `shapes` (positive ones for what needs them)."""
    name: str
    fn: Callable[..., Tensor]
    shapes: tuple[tuple[int, ...], ...]
    positive: bool = False

    def inputs(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Draw an array, float64, of each of the shapes."""
        arrays = [rng.normal(size=shape) for shape in self.shapes]
        return [0.5 + np.abs(array) for array in arrays] if self.positive else arrays


@dataclass(frozen=True)
class CaseResult:
    """A line of the table: `error` is relative, `fault` is None where all is well."""
    name: str
    implementation: str  # "primitive", "fused" or "reference"
    method: str
    error: float
    fault: str | None


def _reshape(x: Tensor) -> Tensor:
    return x.reshape(4, -1)


def _transpose(x: Tensor) -> Tensor:
    return x.transpose(2, 0, 1)


def _concat(*tensors: Tensor) -> Tensor:
    return ops.concat(tensors, axis=1)


def _stack(*tensors: Tensor) -> Tensor:
    return ops.stack(tensors, axis=1)


def _dropout(x: Tensor) -> Tensor:
    return functional.dropout(x, 0.3, rng=np.random.default_rng(0))


def _attention_with_dropout(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return attention(query, key, value, dropout_p=0.3, rng=np.random.default_rng(0))


def _multi_head_attention(query: Tensor, key_value: Tensor | None = None) -> Tensor:
    return functional.multi_head_attention(query, key_value, HeadLayout(2, 2, 2), None, 0.3, True,
                                           np.random.default_rng(0))


def _layer_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return functional.layer_norm(x, weight.shape, weight, bias)


def _lstm_reverse(x: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor, h_0: Tensor,
                  c_0: Tensor) -> Tensor:
    return functional.lstm(x, weight_ih, weight_hh, bias, bias, (h_0, c_0), np.array([4, 2]),
                           True)


MASK = np.array([[True, False, True, False], [False, False, True, True], [True, True, False, True]])
ATTEND = np.array([[True] * 6, [True, False] * 3, [False] * 6, [False, True, True] * 2, [True] * 6])
IDS = np.array([[3, 0, 3], [1, 3, 6]])
CHOICES = np.array([[2, 0, 2], [1, 1, -1]])
TARGETS = np.array([2, functional.IGNORE_INDEX, 0, 6, 2])
CLASS_WEIGHTS = np.linspace(0.5, 2.0, 7)
QUERY, KEY, VALUE = (2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 4)

PRIMITIVES = (
    Case("add", ops.add, ((2, 3, 4), (3, 1))),
    Case("sub", ops.sub, ((2, 3, 4), (3, 1))),
    Case("mul", ops.mul, ((2, 3, 4), (3, 1))),
    Case("div", ops.div, ((2, 3, 4), (3, 1)), positive=True),
    Case("neg", ops.neg, ((3, 4),)),
    Case("pow", ops.pow, ((2, 3, 4), (3, 1)), positive=True),
    Case("pow (number)", partial(ops.pow, exponent=3), ((3, 4),)),
    Case("exp", ops.exp, ((3, 4),)),
    Case("log", ops.log, ((3, 4),), positive=True),
    Case("sqrt", ops.sqrt, ((3, 4),), positive=True),
    Case("tanh", ops.tanh, ((3, 4),)),
    Case("sigmoid", ops.sigmoid, ((3, 4),)),
    Case("erf", ops.erf, ((3, 4),)),
    Case("abs", ops.abs, ((3, 4),)),
    Case("maximum", ops.maximum, ((2, 3, 4), (3, 1))),
    Case("relu", ops.relu, ((3, 4),)),
    Case("where", partial(ops.where, MASK), ((2, 3, 4), (3, 1))),
    Case("masked_fill", partial(ops.masked_fill, mask=MASK, value=-1e9), ((2, 3, 4),)),
    Case("sum", partial(ops.sum, axis=(0, -1)), ((2, 3, 4),)),
    Case("mean", partial(ops.mean, axis=(0, -1)), ((2, 3, 4),)),
    Case("var", partial(ops.var, axis=(0, -1)), ((2, 3, 4),)),
    Case("max", partial(ops.max, axis=(0, -1)), ((2, 3, 4),)),
    Case("min", partial(ops.min, axis=(0, -1)), ((2, 3, 4),)),
    Case("matmul", ops.matmul, ((2, 3, 4), (4, 5))),
    Case("matmul (batches)", ops.matmul, ((2, 1, 3, 4), (6, 4, 5))),
    Case("reshape", _reshape, ((2, 3, 4),)),
    Case("transpose", _transpose, ((2, 3, 4),)),
    Case("swapaxes", partial(ops.swapaxes, axis1=0, axis2=-1), ((2, 3, 4),)),
    Case("broadcast_to", partial(ops.broadcast_to, shape=(2, 3, 4)), ((3, 1),)),
    Case("squeeze", ops.squeeze, ((2, 1, 3, 1),)),
    Case("expand_dims", partial(ops.expand_dims, axis=(0, 2)), ((3, 4),)),
    Case("concat", _concat, ((2, 3, 4), (2, 1, 4), (2, 2, 4))),
    Case("stack", _stack, ((2, 3), (2, 3), (2, 3))),
    Case("split", partial(ops.split, indices_or_sections=[1, 4], axis=1), ((2, 6),)),
    Case("flip", partial(ops.flip, axis=1), ((2, 3, 4),)),
    Case("getitem", partial(ops.getitem, index=([0, 2, 2], ..., slice(1, None))), ((3, 4, 5),)),
    Case("take_along_axis", partial(ops.take_along_axis, indices=CHOICES, axis=1), ((2, 4),)),
)

FUNCTIONS = (
    Case("softmax", partial(functional.softmax, axis=1), ((2, 3, 4),)),
    Case("log_softmax", partial(functional.log_softmax, axis=1), ((2, 3, 4),)),
    Case("logsumexp", partial(functional.logsumexp, axis=1), ((2, 3, 4),)),
    Case("layer_norm", _layer_norm, ((2, 3, 4), (4,), (4,))),
    Case("layer_norm (two axes)", _layer_norm, ((2, 3, 4), (3, 4), (3, 4))),
    Case("gelu", functional.gelu, ((3, 4),)),
    Case("gelu (tanh)", partial(functional.gelu, approximate="tanh"), ((3, 4),)),
    Case("linear", functional.linear, ((2, 3, 4), (5, 4), (5,))),
    Case("linear (no bias)", functional.linear, ((2, 3, 4), (5, 4))),
    Case("linear_gelu", functional.linear_gelu, ((2, 3, 4), (5, 4), (5,))),
    Case("linear_gelu (tanh, no bias)", partial(functional.linear_gelu, approximate="tanh"),
         ((2, 3, 4), (5, 4))),
    Case("embedding", partial(functional.embedding, IDS), ((7, 4),)),
    Case("embedding (padding)", partial(functional.embedding, IDS, padding_idx=2), ((7, 4),)),
    Case("dropout", _dropout, ((3, 4),)),
    Case("lstm", functional.lstm, ((2, 3, 5), (16, 5), (16, 4), (16,), (16,))),
    Case("lstm (reverse, lengths, states)", _lstm_reverse,
         ((2, 4, 5), (12, 5), (12, 3), (12,), (2, 3), (2, 3))),
    Case("mse_loss", functional.mse_loss, ((3, 4), (3, 4))),
    Case("l1_loss", functional.l1_loss, ((3, 4), (3, 4))),
    Case("cross_entropy", partial(functional.cross_entropy, targets=TARGETS), ((5, 7),)),
    Case("cross_entropy (weights and smoothing)", partial(
        functional.cross_entropy, targets=TARGETS, weight=CLASS_WEIGHTS, label_smoothing=0.1),
         ((5, 7),)),
    Case("linear_cross_entropy", partial(functional.linear_cross_entropy, targets=TARGETS),
         ((5, 4), (7, 4), (7,))),
    Case("scaled_dot_product_attention", attention, (QUERY, KEY, VALUE)),
    Case("scaled_dot_product_attention (causal)", partial(attention, is_causal=True),
         (QUERY, KEY, VALUE)),
    Case("scaled_dot_product_attention (mask)", partial(attention, attn_mask=ATTEND),
         (QUERY, KEY, VALUE)),
    Case("scaled_dot_product_attention (bias)", attention, (QUERY, KEY, VALUE, (3, 1, 6))),
    Case("scaled_dot_product_attention (dropout)", _attention_with_dropout, (QUERY, KEY, VALUE)),
    Case("multi_head_attention", _multi_head_attention, ((2, 3, 12),)),
    Case("multi_head_attention (keys and values apart)", _multi_head_attention,
         ((2, 3, 4), (2, 5, 8))),
)


def check_all(method: str = "complex", seed: int = 0) -> Iterator[CaseResult]:
    """Check every primitive, and every function in both implementations, a line for each."""
    for case in PRIMITIVES:
        yield _checked(case, "primitive", method, seed)
    for case in FUNCTIONS:
        yield _checked(case, "fused", method, seed)
        with reference():
            result = _checked(case, "reference", method, seed)
        yield result


def _checked(case: Case, implementation: str, method: str, seed: int) -> CaseResult:
    try:
        report = gradcheck(case.fn, case.inputs(np.random.default_rng(seed)), method)
    except GradcheckError as error:
        return CaseResult(case.name, implementation, method, float("nan"), str(error))
    return CaseResult(case.name, implementation, method, report.relative_error, None)
