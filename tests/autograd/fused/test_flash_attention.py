"""Attention in blocks: equal to the definition for every mask, shape and size of block."""

import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minibert.autograd import reference
from minibert.autograd.checks.gradcheck import gradcheck
from minibert.autograd.dropout_masks import dropout_mask, draw_dropout_key, kept_elements
from minibert.autograd.fused import attention as fused_attention
from minibert.autograd.fused import flash_attention
from minibert.autograd.head_layout import HeadLayout
from minibert.autograd.tensor import Tensor, no_grad
from minibert.autograd.trace import trace
from tests.autograd.implementations import values_and_gradients
from tests.autograd.op_factory import SEEDS, assert_close, random_arrays

SIZES = st.integers(1, 7)


def blocked(*arguments, **options):
    """Attention in blocks, however small it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fused_attention, "FLASH_FROM", 0)
        return fused_attention.scaled_dot_product_attention(*arguments, **options)


@contextmanager
def blocks_of(queries, keys):
    before = flash_attention.QUERY_BLOCK, flash_attention.KEY_BLOCK
    flash_attention.QUERY_BLOCK, flash_attention.KEY_BLOCK = queries, keys
    try:
        yield
    finally:
        flash_attention.QUERY_BLOCK, flash_attention.KEY_BLOCK = before


MASK_SHAPES = [(2, 3, 0, 1), (2, 1, 0, 1), (1, 3, -1, 1), (0, 1), (-1, 1), (1,), (2, 1, -1, 1)]


def mask_of(rng, shape, T, S):
    """Booleans, None for no shape; 0, 1 stand for T, S and -1 for 1."""
    if shape is None:
        return None
    shape = tuple([{0: T, 1: S, -1: 1}[n] if i >= len(shape) - 2 else n
                   for i, n in enumerate(shape)])
    return rng.random(shape) < 0.6


@given(seed=SEEDS, T=SIZES, S=SIZES, queries=SIZES, keys=SIZES, is_causal=st.booleans(),
       shape=st.sampled_from([None, *MASK_SHAPES]), p=st.sampled_from([0.0, 0.3]))
def test_it_is_the_definition(seed, T, S, queries, keys, is_causal, shape, p):
    arrays = random_arrays(seed, (2, 3, T, 4), (2, 3, S, 4), (2, 3, S, 5))
    mask = mask_of(np.random.default_rng(seed), shape, T, S)

    def run(attention):
        def of_tensors(q, k, v):
            return attention(q, k, v, mask, p, is_causal, 0.7, np.random.default_rng(seed + 1))

        return values_and_gradients(of_tensors, arrays, seed)

    with blocks_of(queries, keys):
        actual = run(blocked)
    for one, other in zip(actual, run(reference.scaled_dot_product_attention), strict=True):
        assert_close(one, other, 1e-11)


@pytest.mark.parametrize("with_bias", [False, True])  # with one, not in blocks
@pytest.mark.parametrize("subset", range(1, 8))
def test_only_the_gradients_that_are_asked_for(subset, with_bias):
    arrays = random_arrays(subset, (1, 2, 5, 3), (1, 2, 4, 3), (1, 2, 4, 2), (2, 1, 4))
    asked = [bool(subset >> i & 1) for i in range(3)] + [with_bias] * with_bias
    gradients = []
    for attention in (blocked, reference.scaled_dot_product_attention):
        tensors = [Tensor(array, requires_grad=which) for array, which in zip(arrays, asked)]
        with blocks_of(2, 3):
            output = attention(*tensors)
            output.backward(random_arrays(9, output.shape)[0])
        gradients.append([tensor.grad for tensor in tensors])
    for one, other, which in zip(*gradients, asked):
        assert (one is not None) == which
        if which:
            assert_close(one, other, 1e-11)


@pytest.mark.parametrize("widest", range(3))
def test_the_output_is_as_wide_as_the_widest_input(widest):
    arrays = [array.astype(np.float64 if i == widest else np.float32) for i, array in enumerate(
        random_arrays(1, (1, 2, 5, 3), (1, 2, 4, 3), (1, 2, 4, 2)))]
    with blocks_of(2, 3):
        actual = values_and_gradients(blocked, arrays)
    for one, other in zip(actual, values_and_gradients(reference.scaled_dot_product_attention,
                                                       arrays)):
        assert one.dtype == other.dtype
        assert_close(one, other, 1e-5)


def test_the_complex_step_passes_through():
    arrays = random_arrays(2, (1, 2, 5, 3), (1, 2, 4, 3), (1, 2, 4, 2))
    with blocks_of(2, 3):
        gradcheck(lambda q, k, v: blocked(q, k, v, is_causal=True), arrays, method="complex")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_that_see_nothing_and_scores_of_1e5(dtype):
    q, k, v = [array.astype(dtype) for array in random_arrays(3, (1, 2, 6, 3), (1, 2, 7, 3),
                                                              (1, 2, 7, 2))]
    q *= 1e5
    mask = np.random.default_rng(0).random((1, 1, 6, 7)) < 0.5
    mask[..., 2:4, :] = False
    with blocks_of(2, 2), np.errstate(all="raise", under="ignore"):
        tensors = [Tensor(array, requires_grad=True) for array in (q, k, v)]
        output = blocked(*tensors, mask)
        output.backward(np.ones(output.shape, dtype))
    expected = reference.scaled_dot_product_attention(*map(Tensor, (q, k, v)), mask)
    assert_close(output.data, expected.data, 1e-5)
    assert not output.data[:, :, 2:4].any() and not tensors[0].grad[:, :, 2:4].any()
    assert all(np.isfinite(tensor.grad).all() and tensor.grad.dtype == dtype for tensor in tensors)


def test_a_later_token_changes_nothing_to_the_bit():
    q, k, v = random_arrays(4, (1, 1, 9, 3), (1, 1, 9, 3), (1, 1, 9, 2))
    k2, v2 = k.copy(), v.copy()
    k2[:, :, 5:], v2[:, :, 5:] = 1e5, -1e5
    with blocks_of(4, 2):
        before, after = [blocked(*map(Tensor, (q, *rest)), is_causal=True).data
                         for rest in ((k, v), (k2, v2))]
    assert np.array_equal(before[:, :, :5], after[:, :, :5])


def test_blocks_above_the_diagonal_and_blocks_all_masked_are_never_made(monkeypatch):
    made, plain = [], flash_attention.Blocks.scores

    def noted(self, head, rows, columns, added):
        made.append((rows.start, columns.start))
        return plain(self, head, rows, columns, added)

    monkeypatch.setattr(flash_attention.Blocks, "scores", noted)
    q, k, v = [Tensor(array) for array in random_arrays(5, (1, 1, 6, 3), (1, 1, 6, 3),
                                                        (1, 1, 6, 3))]
    mask = np.arange(6) >= 2
    with blocks_of(2, 2):
        blocked(q, k, v, is_causal=True)
        assert made == [(0, 0), (2, 0), (2, 2), (4, 0), (4, 2), (4, 4)]
        made.clear()
        blocked(q, k, v, mask)
    assert made == [(rows, columns) for rows in (0, 2, 4) for columns in (2, 4)]


# ---- dropout's bits ------------------------------------------------------------------------------


@given(st.integers(0, 30), st.integers(0, 30))
def test_any_part_of_a_dropout_mask_can_be_made_alone(start, count):
    whole, scale = dropout_mask((60,), 0.3, np.random.default_rng(1))
    key = draw_dropout_key(0.3, np.random.default_rng(1))
    assert np.array_equal(kept_elements(key, (count,), start), whole[start:start + count])
    assert scale == key.scale == 65536 / (65536 - key.dropped)


# ---- when it is used -----------------------------------------------------------------------------


def test_memory_grows_with_the_text_and_not_with_its_square():
    peaks = []
    for T in (1024, 2048, 4096):
        q, k, v = [Tensor(array.astype(np.float32), requires_grad=True)
                   for array in random_arrays(6, *[(1, 1, T, 4)] * 3)]
        tracemalloc.start()
        fused_attention.scaled_dot_product_attention(q, k, v, is_causal=True).sum().backward()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 2.2 * peaks[1] and peaks[2] < 4096 ** 2 * 4 / 4


def test_it_is_chosen_by_size_and_is_one_op(monkeypatch):
    monkeypatch.setattr(fused_attention, "FLASH_FROM", 6 * 8)
    called, plain = [], fused_attention.flash_attention_forward
    monkeypatch.setattr(fused_attention, "flash_attention_forward",
                        lambda *arguments: called.append(1) or plain(*arguments))
    with no_grad():
        for T, S in ((6, 7), (6, 8), (8, 6), (48, 1)):
            fused_attention.scaled_dot_product_attention(
                *map(Tensor, random_arrays(7, (1, 1, T, 3), (1, 1, S, 3), (1, 1, S, 3))))
        assert len(called) == 3
        arrays = random_arrays(7, (1, 1, 6, 3), (1, 1, 8, 3), (1, 1, 8, 3), (6, 8))
        fused_attention.scaled_dot_product_attention(*map(Tensor, arrays))
        assert len(called) == 3  # floats are added to all scores at once
        for T, S in ((6, 7), (6, 8), (48, 1)):  # heads side by side
            arrays = random_arrays(7, (1, T, 3), (1, S, 6))
            fused_attention.multi_head_attention([*map(Tensor, arrays)], HeadLayout(1, 1, 3))
    assert len(called) == 5
    with trace() as seen:
        blocked(*map(Tensor, random_arrays(8, (1, 1, 4, 3), (1, 1, 4, 3), (1, 1, 4, 3))))
    assert [record.op for record in seen.records] == ["scaled_dot_product_attention"]


def test_heads_go_side_by_side(monkeypatch):
    calls = []

    def backwards(work, heads, after_products):  # any order must do
        assert after_products
        calls.append(len(heads))
        for head in reversed(heads):
            work(head)

    monkeypatch.setattr(flash_attention, "parallel_for", backwards)
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(2, 3, 4, 5)) for _ in range(3)]
    found = []
    for attention in (blocked, reference.scaled_dot_product_attention):
        tensors = [Tensor(array, requires_grad=True) for array in arrays]
        output = attention(*tensors)
        output.backward(np.cos(np.arange(120.0)).reshape(output.shape))
        found.append([output.data, *[tensor.grad for tensor in tensors]])
    for one, other in zip(*found):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)
    assert calls == [6, 6]  # forward for each head and each block of queries
