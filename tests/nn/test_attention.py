"""Multi-head attention against loops over batch, heads, queries and keys."""

from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minibert as mb
from minibert.autograd.attention_masks import padding_mask
from minibert.autograd.checks.gradcheck import gradcheck_parameters
from minibert.autograd.head_layout import HeadLayout
from minibert.autograd.tensor import Tensor
from minibert.errors import InputError
from minibert.nn.block import AttentionInputs, BlockConfig, MultiHeadAttention, TransformerStack
from minibert.nn.kv_cache import KeyValueCache

B, T, S, H, C = 2, 5, 4, 3, 12  # heads of width 4
each_number_of_key_value_heads = pytest.mark.parametrize("K", [1, 2])


def attention(seed=0, dropout=0.0):
    config = BlockConfig(C, H, intermediate_size=1, attention_dropout=dropout)
    module, rng = MultiHeadAttention(config).double(), np.random.default_rng(seed)
    for parameter in module.parameters():
        parameter.data = rng.normal(size=parameter.shape) * 0.5
    return module


def by_loops(module, x, source, may):
    """-> (output, weights); `may(b, t, s)` says whether query t may attend to key s."""
    state = {name: p.data for name, p in module.named_parameters()}
    wq, wk, wv = (state["qkv.weight"][i * C:(i + 1) * C] for i in range(3))
    bq, bk, bv = (state["qkv.bias"][i * C:(i + 1) * C] for i in range(3))
    keys, D = source.shape[1], C // H
    output, weights = np.zeros(x.shape), np.zeros((B, H, x.shape[1], keys))
    for b in range(B):
        for t in range(x.shape[1]):
            mixed = np.zeros(C)
            for h in range(H):
                rows = slice(h * D, (h + 1) * D)
                q = wq[rows] @ x[b, t] + bq[rows]
                allowed = [s for s in range(keys) if may(b, t, s)]
                scores = [q @ (wk[rows] @ source[b, s] + bk[rows]) / D**0.5 for s in allowed]
                for s, score in zip(allowed, scores):
                    weights[b, h, t, s] = np.exp(score) / np.exp(scores).sum()
                    mixed[rows] += weights[b, h, t, s] * (wv[rows] @ source[b, s] + bv[rows])
            output[b, t] = state["output.weight"] @ mixed + state["output.bias"]
    return output, weights


def everywhere(b, t, s):
    return True


def causal(b, t, s):
    return s <= t


def inputs(seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(B, T, C)), rng.normal(size=(B, S, C))


def compare(module, x, encoder_states, may, **arguments):
    seen = []
    inputs = AttentionInputs(attentions=seen, **arguments)
    output = module(x, inputs, encoder_states)
    expected, weights = by_loops(module, x, x if encoder_states is None else encoder_states, may)
    np.testing.assert_allclose(output.data, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(seen[0].data, weights, rtol=0, atol=1e-12)


@pytest.mark.parametrize("implementation", ["fused", "reference"])
def test_against_loops(implementation):
    module, (x, context) = attention(), inputs()
    keep = np.array([[1, 1, 1, 0, 1], [1, 0, 1, 1, 0]])

    def padded(b, t, s):
        return keep[b, s] == 1

    def both(b, t, s):
        return s <= t and keep[b, s] == 1

    def check():
        compare(module, x, None, everywhere)
        compare(module, x, context, everywhere)
        compare(module, x, None, causal, is_causal=True)
        compare(module, x, None, padded, attn_mask=padding_mask(keep))
        compare(module, x, None, both, attn_mask=padding_mask(keep), is_causal=True)
        compare(module, x, context, padded, attn_mask=padding_mask(keep[:, :S]))

    if implementation == "reference":
        with mb.reference():
            check()
    else:
        check()


def test_cross_attention_to_the_input_itself_is_self_attention():
    module, (x, _) = attention(), inputs()
    itself = module(x, encoder_hidden_states=x)
    np.testing.assert_allclose(itself.data, module(x).data, rtol=0, atol=1e-13)


@given(st.booleans(), st.booleans(), st.booleans())
def test_gradients(crossed, is_causal, padded):
    module, (x, context) = attention(), [Tensor(a, requires_grad=True) for a in inputs()]
    keys = S if crossed else T
    mask = padding_mask(np.arange(keys) < [[keys], [keys - 2]]) if padded else None
    tensors = dict(module.named_parameters()) | {"x": x}
    if crossed:
        tensors["context"] = context

    def forward():
        return module(x, AttentionInputs(mask, is_causal), context if crossed else None)

    gradcheck_parameters(forward, tensors, coordinates=12)


def test_the_key_bias_has_no_gradient_and_everything_else_has():
    module, (x, _) = attention(), inputs()
    upstream = np.random.default_rng(2).normal(size=(B, T, C))
    (module(x, AttentionInputs(is_causal=True)) * upstream).sum().backward()
    query, key, value = np.split(module.qkv.bias.grad, 3)
    scale = abs(query).max()
    assert abs(key).max() < 1e-13 * scale and scale > 0 and (value != 0).all()
    assert (module.qkv.weight.grad != 0).all() and (module.output.weight.grad != 0).all()


def test_each_head_query_and_row_has_its_own_dropout():
    # Queries and keys are zero, so all weights are equal; every value is one.
    module = attention(dropout=0.5)
    for parameter in module.parameters():
        parameter.data = np.zeros(parameter.shape)
    module.qkv.bias.data[2 * C:] = 1.0
    module.output.weight.data[...] = np.eye(C)
    module.qkv.bias.touch()
    inputs = AttentionInputs(rng=np.random.default_rng(0))
    heads = module(np.zeros((B, T, C)), inputs).data.reshape(B, T, H, C // H)
    np.testing.assert_array_equal(heads, heads[..., :1].repeat(C // H, -1))  # one mask in a head
    by_head = heads[..., 0]  # (B, T, H)
    for axis in range(3):
        assert (by_head.std(axis) > 0).any(), "dropout is shared along an axis"
    assert not np.array_equal(by_head[..., 0], by_head[..., 1])
    module.eval()
    np.testing.assert_allclose(module(np.zeros((B, T, C))).data, 1.0)


@dataclass(frozen=True)
class SharedHeads(BlockConfig):
    """A block's config with fewer key/value heads, as a contributor would add them."""

    key_value_heads: int = 1

    @property
    def head_layout(self):
        return HeadLayout(self.num_heads, self.key_value_heads, self.hidden_size // self.num_heads)


def shared_heads(K, seed=0):
    """A stack of two blocks with 4 query heads of width 2."""
    stack = TransformerStack(2, SharedHeads(8, 4, 5, norm_first=True, key_value_heads=K)).double()
    rng = np.random.default_rng(seed)
    for parameter in stack.parameters():
        parameter.data = rng.normal(size=parameter.shape)
    return stack


@each_number_of_key_value_heads
def test_a_shared_head_is_a_head_that_stands_there_several_times(K):
    module, full = shared_heads(K).blocks[0].attention, shared_heads(4).blocks[0].attention
    copies = np.arange(2 * K).repeat(4 // K)  # 2 K heads of keys and values -> 2 H
    for shared, whole in ((module.qkv.weight, full.qkv.weight), (module.qkv.bias, full.qkv.bias)):
        heads = shared.data[8:].reshape(2 * K, 2, *shared.shape[1:])[copies]
        whole.data = np.concatenate([shared.data[:8], heads.reshape(16, *shared.shape[1:])])
    full.output.load_state_dict(module.output.state_dict())
    x, encoded = np.random.default_rng(1).normal(size=(2, 2, 5, 8))
    for implementation in (nullcontext, mb.reference):
        for source in (None, encoded):
            with implementation():
                seen = [[], []]
                both = [one(x, AttentionInputs(attentions=weights), source).data
                        for one, weights in zip((module, full), seen)]
                unseen = module(x, encoder_hidden_states=source).data
            np.testing.assert_allclose(both[0], both[1], rtol=0, atol=1e-12)
            np.testing.assert_allclose(unseen, both[1], rtol=0, atol=1e-12)
            np.testing.assert_allclose(seen[0][0].data, seen[1][0].data, rtol=0, atol=1e-12)


@each_number_of_key_value_heads
def test_shared_heads_have_the_sum_of_their_gradients(K):
    stack = shared_heads(K)
    x, encoded = [Tensor(a, requires_grad=True)
                  for a in np.random.default_rng(1).normal(size=(2, 2, 3, 8))]
    attention = stack.blocks[0].attention
    for implementation in (nullcontext, mb.reference):
        with implementation():
            gradcheck_parameters(lambda: stack(x, AttentionInputs(is_causal=True)),
                                 dict(stack.named_parameters()) | {"x": x}, coordinates=4)
            gradcheck_parameters(lambda: attention(x, encoder_hidden_states=encoded),
                                 {"x": x, "encoded": encoded, "weight": attention.qkv.weight},
                                 coordinates=12)


@each_number_of_key_value_heads
def test_a_cache_of_shared_heads(K):
    stack, x = shared_heads(K), Tensor(np.random.default_rng(1).normal(size=(2, 6, 8)))
    cache = KeyValueCache(2, 6)
    with mb.no_grad():
        whole = stack(x, AttentionInputs(is_causal=True)).data
        for start, stop in ((0, 3), (3, 4), (4, 6)):
            _, mask = cache.begin(np.ones((2, stop - start), bool))
            piece = stack(x[:, start:stop], AttentionInputs(mask, cache=cache)).data
            cache.commit()
            np.testing.assert_allclose(piece, whole[:, start:stop], rtol=0, atol=1e-12)


def test_heads_that_cannot_be_shared_are_refused():
    for K in (0, 3, 8):
        with pytest.raises(InputError, match=f"4 query heads cannot share {K} key/value heads"):
            HeadLayout(4, K, 2)


def test_a_width_that_does_not_divide_is_refused():
    with pytest.raises(InputError, match="10.*3 heads"):
        MultiHeadAttention(BlockConfig(10, 3, 1))


@pytest.mark.parametrize("crossed", [False, True])
def test_asking_for_the_weights_changes_nothing(crossed):
    """Dropout included: the same generator drops the same weights."""
    module, (x, context) = attention(dropout=0.4), inputs()
    context = Tensor(context) if crossed else None
    seen, outputs = [], []
    for attentions in (None, seen):
        options = AttentionInputs(rng=np.random.default_rng(4), attentions=attentions)
        outputs.append(module(Tensor(x), options, context).data)
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=0, atol=1e-12)
    certain = module.eval()(Tensor(x), encoder_hidden_states=context).data
    assert abs(outputs[0] - certain).max() > 1e-3
    np.testing.assert_allclose(seen[0].data.sum(-1), 1, atol=1e-12)  # before dropout
