"""Attention: a loop over every query, PyTorch's numbers, every mask, and rows that see nothing."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minibert import functional as F
from minibert.autograd import reference as definitions
from minibert.autograd.attention_masks import allowed_positions
from minibert.autograd.tensor import Tensor
from tests.autograd.implementations import (check_reference, each_implementation,
                                            values_and_gradients)
from tests.autograd.op_factory import SEEDS, assert_close, check_op, random_arrays

B, H, T, S, D, V = 2, 3, 5, 7, 4, 6
attention = F.scaled_dot_product_attention


def inputs(seed=0, queries=T, keys=S):
    return random_arrays(seed, (B, H, queries, D), (B, H, keys, D), (B, H, keys, V))


def loop(query, key, value, may_attend, bias=None):
    """One query, one head, one sentence at a time; may_attend(b, h, t, s) says what is allowed."""
    batch, heads, queries, width = query.shape
    output = np.zeros((batch, heads, queries, value.shape[-1]))
    for b, h, t in np.ndindex(batch, heads, queries):
        seen = [s for s in range(key.shape[2]) if may_attend(b, h, t, s)]
        if not seen:
            continue
        scores = [query[b, h, t] @ key[b, h, s] / math.sqrt(width) for s in seen]
        if bias is not None:
            scores = [score + bias[b, h, t, s] for score, s in zip(scores, seen)]
        largest = max(scores)
        weights = [math.exp(score - largest) for score in scores]
        for weight, s in zip(weights, seen):
            output[b, h, t] += weight / sum(weights) * value[b, h, s]
    return output


@each_implementation
@given(SEEDS, st.booleans(), st.booleans(), st.integers(0, 2))
def test_a_loop_agrees(implementation, seed, masked, is_causal, offset):
    rng = np.random.default_rng(seed)
    q, k, v = random_arrays(seed, (2, 1, 2, 3), (2, 1, 3, 3), (2, 1, 3, 2))
    mask = rng.random((2, 1, 2, 3)) < 0.5 if masked else np.ones((1, 1, 1, 3), bool)
    full = np.broadcast_to(mask, (2, 1, 2, 3))

    def may_attend(b, h, t, s):
        return full[b, h, t, s] and (not is_causal or s <= t + offset)

    with implementation():
        check_op(lambda q, k, v: attention(q, k, v, mask, is_causal=is_causal, query_offset=offset),
                 lambda q, k, v: loop(q, k, v, may_attend), [q, k, v], seed)


@each_implementation
def test_a_float_mask_is_added_and_has_a_gradient(implementation):
    q, k, v = random_arrays(3, (2, 2, 2, 3), (2, 2, 3, 3), (2, 2, 3, 2))
    bias = random_arrays(4, (2, 1, 3))[0]  # (heads, 1, keys): broadcast over sentences and queries
    with implementation():
        check_op(lambda q, k, v, m: attention(q, k, v, m, is_causal=True),
                 lambda q, k, v, m: loop(q, k, v, lambda b, h, t, s: s <= t,
                                         np.broadcast_to(m, (2, 2, 2, 3))), [q, k, v, bias])


@each_implementation
def test_pytorch_agrees(implementation):
    with implementation():
        check_reference("attention plain", attention)
        check_reference("attention causal", lambda q, k, v: attention(q, k, v, is_causal=True))
        check_reference("attention scaled", lambda q, k, v: attention(q, k, v, scale=0.7))
        check_reference("attention masked", lambda q, k, v, mask: attention(q, k, v, mask))
        check_reference("attention biased", attention)


def test_the_weights_are_what_the_values_are_mixed_with():
    q, k, v = inputs(1)
    mask = np.random.default_rng(2).random((B, 1, 1, S)) < 0.5
    mask[..., 0] = True
    weights = definitions.attention_weights(Tensor(q), Tensor(k), mask, True, None, 1)
    assert weights.shape == (B, H, T, S)
    assert_close(weights.data.sum(-1), np.ones((B, H, T)), 1e-14)
    assert not weights.data[~np.broadcast_to(mask, weights.shape)].any()
    mixed = attention(q, k, v, mask, is_causal=True, query_offset=1)
    assert_close(weights.data @ v, mixed.data, 1e-12)


def test_the_weights_take_a_float_mask_as_an_array_too():
    q, k = [Tensor(array) for array in inputs(12)[:2]]
    bias = random_arrays(13, (T, S))[0]
    weights = definitions.attention_weights(q, k, bias)
    assert_close(weights.data, definitions.attention_weights(q, k, Tensor(bias)).data, 1e-14)
    assert np.abs(weights.data - definitions.attention_weights(q, k).data).max() > 0.1


# ---- masks -------------------------------------------------------------------------------------


def test_causal_corners():
    """PyTorch's corner is top left; an offset moves the queries down the diagonal."""
    picture = allowed_positions(3, 5, None, True, 0)
    assert picture.astype(int).tolist() == [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0]]
    assert np.array_equal(allowed_positions(2, 5, None, True, 3), np.tri(5, 5, dtype=bool)[3:])
    assert allowed_positions(3, 5, None, False, 2) is None
    mask = np.array([True, False, True, True, True])
    assert np.array_equal(allowed_positions(3, 5, mask, True, 0), picture & mask)


@each_implementation
def test_a_cached_decode_equals_the_full_forward(implementation):
    q, k, v = inputs(5, queries=S)
    with implementation():
        full = attention(q, k, v, is_causal=True).data
        for t in range(S):
            step = attention(q[:, :, t:t + 1], k[:, :, :t + 1], v[:, :, :t + 1], is_causal=True,
                             query_offset=t)
            assert_close(step.data, full[:, :, t:t + 1], 1e-12)


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
    (dict(key=np.ones((1, H, S, D))), ValueError, r"key \(1, 3, 7, 4\)"),
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
    (dict(query_offset=1.5), TypeError, "query_offset is a number of keys, got 1.5"),
    (dict(attn_mask=np.ones((2, B, H, T, S), bool)), ValueError, r"mask of shape \(2, 2, 3, 5, 7"),
])
@each_implementation
def test_errors_name_what_does_not_fit(implementation, change, error, words):
    with implementation(), pytest.raises(error, match=words):
        attention(**{**dict(zip(("query", "key", "value"), inputs())), **change})
