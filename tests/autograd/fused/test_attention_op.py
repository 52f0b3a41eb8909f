"""Attention: a loop over every query, PyTorch's numbers, every mask, and rows that see nothing."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minibert import functional as F
from minibert.autograd.fused import attention as fused_attention
from minibert.autograd.head_layout import HeadLayout
from minibert.autograd.reference import attention_by_loops
from minibert.autograd.reference import scaled_dot_product_attention as definition
from minibert.autograd.tensor import Tensor
from tests.autograd.implementations import (check_implementations_agree, check_reference,
                                            each_implementation, values_and_gradients)
from tests.autograd.op_factory import SEEDS, assert_close, check_op, random_arrays

B, H, T, S, D, V = 2, 3, 5, 7, 4, 6
attention = F.scaled_dot_product_attention


def inputs(seed=0, queries=T, keys=S):
    return random_arrays(seed, (B, H, queries, D), (B, H, keys, D), (B, H, keys, V))


def loop(query, key, value, allowed):
    """The slow definition for each head; its axes before the last two broadcast."""
    batch = np.broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2])
    q, k, v = [np.broadcast_to(array, (*batch, *array.shape[-2:])) for array in (query, key, value)]
    allowed = np.broadcast_to(allowed, (*batch, query.shape[-2], key.shape[-2]))
    output = np.zeros((*batch, query.shape[-2], value.shape[-1]))
    for head in np.ndindex(batch):
        output[head] = attention_by_loops(q[head], k[head], v[head], allowed[head])
    return output


@each_implementation
@given(SEEDS, st.booleans(), st.booleans())
def test_a_loop_agrees(implementation, seed, masked, is_causal):
    rng = np.random.default_rng(seed)
    q, k, v = random_arrays(seed, (2, 1, 2, 3), (2, 1, 3, 3), (2, 1, 3, 2))
    mask = rng.random((2, 1, 2, 3)) < 0.5 if masked else np.ones((1, 1, 1, 3), bool)
    allowed = mask & np.tri(2, 3, dtype=bool) if is_causal else mask
    with implementation():
        check_op(lambda q, k, v: attention(q, k, v, mask, is_causal=is_causal),
                 lambda q, k, v: loop(q, k, v, allowed), [q, k, v], seed)


BATCHES = st.sampled_from([((2, 1), (1, 3), (2, 3)), ((1, 3), (2, 1), (1, 1)), ((), (2,), (1,)),
                           ((3,), (2, 1), ()), ((2, 2), (1, 2), (2, 2))])


@each_implementation
@given(SEEDS, BATCHES, st.booleans())
def test_batch_axes_broadcast(implementation, seed, batches, is_causal):
    """As in PyTorch, one key for several heads, say; each gradient has its input's shape."""
    q, k, v = random_arrays(seed, (*batches[0], 2, 3), (*batches[1], 3, 3), (*batches[2], 3, 2))
    allowed = np.tri(2, 3, dtype=bool) if is_causal else np.ones((2, 3), bool)
    with implementation():
        check_op(lambda q, k, v: attention(q, k, v, is_causal=is_causal),
                 lambda q, k, v: loop(q, k, v, allowed), [q, k, v], seed)


def biased(query, key, value, bias, allowed):
    """A bias is a further dimension of the queries' and keys' products."""
    D, shape = query.shape[-1], (*query.shape[:-1], key.shape[-2])
    query = np.concatenate([query * np.sqrt((D + shape[-1]) / D), np.sqrt(D + shape[-1])
                            * np.broadcast_to(bias, shape)], -1)
    ones = np.broadcast_to(np.eye(shape[-1]), (*key.shape[:-2], shape[-1], shape[-1]))
    return loop(query, np.concatenate([key, ones], -1), value, allowed)


@each_implementation
def test_a_float_mask_is_added_and_has_a_gradient(implementation):
    q, k, v = random_arrays(3, (2, 2, 2, 3), (2, 2, 3, 3), (2, 2, 3, 2))
    bias = random_arrays(4, (2, 1, 3))[0]  # (heads, 1, keys): broadcast over sentences and queries
    with implementation():
        check_op(lambda q, k, v, m: attention(q, k, v, m, is_causal=True),
                 lambda q, k, v, m: biased(q, k, v, m, np.tri(2, 3, dtype=bool)), [q, k, v, bias])


@each_implementation
def test_pytorch_agrees(implementation):
    with implementation():
        check_reference("attention plain", attention)
        check_reference("attention causal", lambda q, k, v: attention(q, k, v, is_causal=True))
        check_reference("attention scaled", lambda q, k, v: attention(q, k, v, scale=0.7))
        check_reference("attention masked", lambda q, k, v, mask: attention(q, k, v, mask))
        check_reference("attention biased", attention)


def test_the_weights_are_what_the_values_are_mixed_with():
    q, k, v = [Tensor(array) for array in inputs(1)]
    mask = np.random.default_rng(2).random((B, 1, 1, S)) < 0.5
    mask[..., 0] = True
    attentions = []
    mixed = definition(q, k, v, mask, 0.0, True, attentions=attentions)
    weights, = attentions
    assert weights.shape == (B, H, T, S)
    assert_close(weights.data.sum(-1), np.ones((B, H, T)), 1e-14)
    assert not weights.data[~np.broadcast_to(mask, weights.shape)].any()
    assert_close(weights.data @ v.data, mixed.data, 1e-12)
    assert_close(attention(q, k, v, mask, is_causal=True).data, mixed.data, 1e-12)


# ---- fused and reference, plain and in blocks, heads apart and side by side ----------------------


@pytest.mark.parametrize("flash_from", [1, 10**6])
@given(SEEDS, st.sampled_from(["none", "boolean", "float"]), st.booleans(),
       st.sampled_from([0.0, 0.4]), st.sampled_from([None, 0.3]))
def test_both_implementations_agree(flash_from, seed, kind, is_causal, dropout_p, scale):
    rng = np.random.default_rng(seed)
    batch, heads, queries, keys, width, out = (int(size) for size in rng.integers(1, 6, 6))
    inputs = random_arrays(seed, (batch, heads, queries, width), (batch, heads, keys, width),
                           (batch, heads, keys, out))
    sizes = [size if rng.random() < 0.6 else 1 for size in (batch, heads, queries, keys)]
    mask = rng.random(sizes) < 0.6 if kind == "boolean" else None
    if kind == "float":
        inputs.append(rng.normal(size=sizes[int(rng.integers(3)):]))

    def of_tensors(q, k, v, bias=None):
        return attention(q, k, v, mask if bias is None else bias, dropout_p, is_causal, scale,
                         np.random.default_rng(seed))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fused_attention, "FLASH_FROM", flash_from)
        check_implementations_agree(of_tensors, *inputs, tolerance=1e-11)


@pytest.mark.parametrize("flash_from", [1, 10**6])
@given(SEEDS, st.booleans(), st.booleans(), st.sampled_from([0.0, 0.4]), st.booleans())
def test_heads_side_by_side(flash_from, seed, masked, is_causal, dropout_p, apart):
    """multi_head_attention, with keys and values in the queries' array or apart, is what
    scaled_dot_product_attention computes of each head; also where they lie otherwise in memory."""
    rng = np.random.default_rng(seed)
    batch, heads, queries, width = (int(size) for size in rng.integers(1, 6, 4))
    keys = int(rng.integers(1, 6)) if apart else queries
    layout = HeadLayout(heads, heads, width)
    mask = rng.random((batch, 1, rng.choice([1, queries]), keys)) < 0.6 if masked else None

    def of_tensors(query, key_value=None):
        return F.multi_head_attention(query, key_value, layout, mask, dropout_p, is_causal,
                                      np.random.default_rng(seed))

    width_of_all = heads * width
    shapes = [(batch, queries, 3 * width_of_all)]
    if apart:
        shapes = [(batch, queries, width_of_all), (batch, keys, 2 * width_of_all)]
    arrays = random_arrays(seed, *shapes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fused_attention, "FLASH_FROM", flash_from)
        check_implementations_agree(of_tensors, *arrays, tolerance=1e-11)
    if apart:
        query, (key, value) = arrays[0], np.split(arrays[1], 2, -1)
    else:
        query, key, value = np.split(arrays[0], 3, -1)
    expected = of_tensors(*map(Tensor, arrays)).data
    for h in range(heads) if not dropout_p else ():
        part = slice(h * width, (h + 1) * width)
        one = attention(*[array[:, None, :, part] for array in (query, key, value)],
                        mask, is_causal=is_causal).data[:, 0]
        assert_close(expected[..., part], one, 1e-11)


@pytest.mark.parametrize("shape, mask, error, words", [
    ((2, 3, 16), None, ValueError, r"\(2, 3, 16\).*expected \(B, T, 12\).*num_heads=2"),
    ((3, 12), None, ValueError, r"\(3, 12\).*num_heads=2"),
    ((2, 3, 12), np.ones((4, 1, 1, 3), bool), ValueError, r"\(4, 1, 1, 3\)"),
    ((2, 3, 12), np.zeros((3, 3)), TypeError, "float64"),
])
def test_multi_head_attention_refuses(shape, mask, error, words):
    with pytest.raises(error, match=words):
        F.multi_head_attention(np.zeros(shape), None, HeadLayout(2, 2, 2), mask)


# ---- masks -------------------------------------------------------------------------------------


@each_implementation
def test_later_tokens_change_nothing_to_the_bit(implementation):
    q, k, v = inputs(6, queries=S)
    k2, v2 = k.copy(), v.copy()
    k2[:, :, 4:] = 1e5
    v2[:, :, 4:] = -1e5
    with implementation():
        before, after = [attention(q, *rest, is_causal=True).data for rest in ((k, v), (k2, v2))]
        assert np.array_equal(before[:, :, :4], after[:, :, :4])
        assert (before[:, :, 4:] != after[:, :, 4:]).all()
        tensors = [Tensor(array, requires_grad=True) for array in (q, k, v)]
        attention(*tensors, is_causal=True)[:, :, :4].sum().backward()
    for tensor in tensors:
        assert not tensor.grad[:, :, 4:].any()
        assert tensor.grad[:, :, 1:4].all()  # the first query sees one key: no choice, no gradient


@each_implementation
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_row_that_may_attend_to_nothing_is_zero(implementation, dtype):
    q, k, v = [array.astype(dtype) for array in inputs(7)]
    mask = np.ones((B, 1, T, S), bool)
    mask[0, 0, 2] = False
    mask[1, ..., :2] = False  # so its first two queries see nothing: causality
    nothing = np.zeros((B, H, T), bool)
    nothing[0, :, 2] = nothing[1, :, :2] = True
    with implementation(), np.errstate(all="raise", under="ignore"):
        tensors = [Tensor(array, requires_grad=True) for array in (q, k, v)]
        output = attention(*tensors, mask, is_causal=True)
        output.backward(np.random.default_rng(0).normal(size=output.shape).astype(dtype))
        seen_by_all = attention(q, k, v, np.zeros((1, 1, 1, 1), bool))
    assert not output.data[nothing].any() and output.data[~nothing].all()
    assert not tensors[0].grad[nothing].any() and not tensors[2].grad[1, :, :2].any()
    assert all(np.isfinite(tensor.grad).all() for tensor in tensors)
    assert not seen_by_all.data.any()


@each_implementation
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_of_1e5_stay_behind_their_mask(implementation, dtype):
    q = np.full((1, 1, 2, 1), 1.0, dtype)
    k = np.array([1e5, -1e5, -1e5 + 1], dtype).reshape(1, 1, 3, 1)
    v = np.array([100.0, 1.0, 2.0], dtype).reshape(1, 1, 3, 1)
    odds = math.exp(1)
    with implementation():
        output = attention(q, k, v, np.array([False, True, True]), scale=1.0)
    assert_close(output.data.ravel(), np.full(2, (1 + 2 * odds) / (1 + odds), dtype), 1e-5)


@each_implementation
def test_padding_is_a_mask_with_axes_for_heads_and_queries(implementation):
    """(B, S) is refused where it cannot fit, and as (B, 1, 1, S) hides the same keys from all."""
    q, k, v = inputs(8)
    padding = np.ones((B, S), bool)
    padding[1, 4:] = False
    with implementation():
        with pytest.raises(ValueError, match=r"mask of shape \(2, 7\).*mask\[:, None, None, :\]"):
            attention(q, k, v, padding)
        masked = attention(q, k, v, padding[:, None, None, :])
        assert_close(masked.data[0], attention(q, k, v).data[0], 1e-12)
        short = attention(q[1:], k[1:, :, :4], v[1:, :, :4])
        assert_close(masked.data[1:], short.data, 1e-12)
        k[1, :, 4:], v[1, :, 4:] = 1e3, 1e3
        assert np.array_equal(attention(q, k, v, padding[:, None, None, :]).data, masked.data)


@each_implementation
def test_keys_in_another_order_change_nothing(implementation):
    q, k, v = inputs(9)
    order = np.random.default_rng(1).permutation(S)
    with implementation():
        mixed = attention(q, k[:, :, order], v[:, :, order])
        assert_close(mixed.data, attention(q, k, v).data, 1e-12)


@each_implementation
def test_a_common_shift_of_the_keys_has_no_gradient(implementation):
    """A softmax row is blind to it: the key bias is the one parameter whose gradient is zero."""
    with implementation():
        q, k, v = inputs(10)
        gradient = values_and_gradients(attention, [q, k, v])[2]
    assert_close(gradient.sum(2) / np.abs(gradient).max(), np.zeros((B, H, D)), 1e-10)
    assert gradient.all()


# ---- dropout -----------------------------------------------------------------------------------


@each_implementation
def test_dropout_falls_on_each_weight_of_each_head(implementation):
    size = 64
    q, k = np.zeros((2, 3, size, 4)), np.zeros((2, 3, size, 4))
    v = np.broadcast_to(np.eye(size), (2, 3, size, size))  # the output is the weights
    with implementation():
        weights = attention(q, k, v, dropout_p=0.25, rng=np.random.default_rng(3)).data
    kept = weights != 0
    assert abs(kept.mean() - 0.75) < 4 * math.sqrt(0.25 * 0.75 / kept.size)
    assert np.allclose(weights[kept], 1 / size / 0.75, rtol=1e-4)
    rows = kept.reshape(-1, size)
    assert len(np.unique(rows, axis=0)) == len(rows)  # no two share a mask


def test_both_spellings_drop_the_same_weights():
    q, k, v = inputs(11)
    mask = np.random.default_rng(0).random((B, 1, T, S)) < 0.7
    outputs = []
    for implementation in each_implementation.args[1]:
        with implementation():
            outputs.append(attention(q, k, v, mask, 0.5, rng=np.random.default_rng(5)).data)
    assert_close(*outputs, 1e-12)


# ---- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize("change, error, words", [
    (dict(key=np.ones((B, H, S, D + 1))), ValueError, r"query \(2, 3, 5, 4\), key \(2, 3, 7, 5\)"),
    (dict(value=np.ones((B, H, S + 1, V))), ValueError, r"value \(2, 3, 8, 6\) do not fit"),
    (dict(key=np.ones((4, H, S, D))), ValueError, r"key \(4, 3, 7, 4\).*that broadcast"),
    (dict(key=np.ones((B, H, 0, D)), value=np.ones((B, H, 0, V))), ValueError, "with S and D > 0"),
    (dict(query=np.ones((B, H, T, 0)), key=np.ones((B, H, S, 0))), ValueError, "with S and D > 0"),
    (dict(query=np.ones(D)), ValueError, r"query \(4,\)"),
    (dict(dropout_p=0.1), ValueError, "scaled_dot_product_attention: p = 0.1 needs rng"),
    (dict(attn_mask=np.ones((B, 1, 1, S), int)), TypeError, r"int64: use mask.astype\(bool\)"),
    (dict(attn_mask=np.full((T, S), -np.inf)), ValueError, "and 1e.29, got -inf; forbid positions"),
    (dict(attn_mask=Tensor(np.full((T, S), np.nan))), ValueError, "and 1e.29, got nan"),
    (dict(attn_mask=np.full((T, S), np.finfo(np.float32).min)), ValueError, "got -3.40282346"),
    (dict(query=np.ones((B, H, T, D), np.float16)), TypeError, "query is float16, expected float"),
    (dict(value=np.ones((B, H, S, V), int)), TypeError, "value is int64, expected float32 or"),
    (dict(attn_mask=np.ones((2, B, H, T, S), bool)), ValueError, r"mask of shape \(2, 2, 3, 5, 7"),
])
@each_implementation
def test_errors_name_what_does_not_fit(implementation, change, error, words):
    with implementation(), pytest.raises(error, match=words):
        attention(**{**dict(zip(("query", "key", "value"), inputs())), **change})
