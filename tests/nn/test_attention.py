"""Multi-head attention against loops over batch, heads, queries and keys."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minibert as mb
from minibert.autograd.checks.gradcheck import gradcheck_parameters
from minibert.autograd.tensor import Tensor
from minibert.errors import InputError
from minibert.nn.attention import MultiHeadAttention
from minibert.nn.masks import padding_mask

B, T, S, H, C = 2, 5, 4, 3, 12  # heads of width 4


def attention(seed=0, dropout=0.0):
    module, rng = MultiHeadAttention(C, H, dropout).double(), np.random.default_rng(seed)
    for parameter in module.parameters():
        parameter.data = rng.normal(size=parameter.shape) * 0.5
    return module


def by_loops(module, x, context, may):
    """-> (output, weights); `may(b, t, s)` says whether query t may attend to key s."""
    state = {name: p.data for name, p in module.named_parameters()}
    wq, wk, wv = (state["qkv.weight"][i * C:(i + 1) * C] for i in range(3))
    bq, bk, bv = (state["qkv.bias"][i * C:(i + 1) * C] for i in range(3))
    keys, D = context.shape[1], C // H
    output, weights = np.zeros(x.shape), np.zeros((B, H, x.shape[1], keys))
    for b in range(B):
        for t in range(x.shape[1]):
            mixed = np.zeros(C)
            for h in range(H):
                rows = slice(h * D, (h + 1) * D)
                q = wq[rows] @ x[b, t] + bq[rows]
                allowed = [s for s in range(keys) if may(b, t, s)]
                scores = [q @ (wk[rows] @ context[b, s] + bk[rows]) / D**0.5 for s in allowed]
                for s, score in zip(allowed, scores):
                    weights[b, h, t, s] = np.exp(score) / np.exp(scores).sum()
                    mixed[rows] += weights[b, h, t, s] * (wv[rows] @ context[b, s] + bv[rows])
            output[b, t] = state["output.weight"] @ mixed + state["output.bias"]
    return output, weights


def everywhere(b, t, s):
    return True


def causal(b, t, s):
    return s <= t


def inputs(seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(B, T, C)), rng.normal(size=(B, S, C))


def compare(module, x, context, may, **arguments):
    seen = []
    output = module(x, context, attentions=seen, **arguments)
    expected, weights = by_loops(module, x, x if context is None else context, may)
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


def test_a_context_that_is_the_input_itself_changes_nothing():
    module, (x, _) = attention(), inputs()
    np.testing.assert_allclose(module(x, x).data, module(x).data, rtol=0, atol=1e-13)


@given(st.booleans(), st.booleans(), st.booleans())
def test_gradients(from_context, is_causal, padded):
    module, (x, context) = attention(), [Tensor(a, requires_grad=True) for a in inputs()]
    keys = S if from_context else T
    mask = padding_mask(np.arange(keys) < [[keys], [keys - 2]]) if padded else None
    tensors = dict(module.named_parameters()) | {"x": x}
    if from_context:
        tensors["context"] = context

    def forward():
        return module(x, context if from_context else None, mask, is_causal)

    gradcheck_parameters(forward, tensors, coordinates=12)


def test_the_key_bias_has_no_gradient_and_everything_else_has():
    module, (x, _) = attention(), inputs()
    upstream = np.random.default_rng(2).normal(size=(B, T, C))
    (module(x, is_causal=True) * upstream).sum().backward()
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
    heads = module(np.zeros((B, T, C)), rng=np.random.default_rng(0)).data.reshape(B, T, H, C // H)
    np.testing.assert_array_equal(heads, heads[..., :1].repeat(C // H, -1))  # one mask in a head
    by_head = heads[..., 0]  # (B, T, H)
    for axis in range(3):
        assert (by_head.std(axis) > 0).any(), "dropout is shared along an axis"
    assert not np.array_equal(by_head[..., 0], by_head[..., 1])
    module.eval()
    np.testing.assert_allclose(module(np.zeros((B, T, C))).data, 1.0)


def test_a_width_that_does_not_divide_is_refused():
    with pytest.raises(InputError, match="10.*3 heads"):
        MultiHeadAttention(10, 3)


@pytest.mark.parametrize("of_context", [False, True])
def test_asking_for_the_weights_changes_nothing(of_context):
    """Dropout included: the same generator drops the same weights."""
    module, (x, context) = attention(dropout=0.4), inputs()
    context = Tensor(context) if of_context else None
    seen, outputs = [], []
    for attentions in (None, seen):
        outputs.append(module(Tensor(x), context, rng=np.random.default_rng(4),
                              attentions=attentions).data)
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=0, atol=1e-12)
    assert abs(outputs[0] - module.eval()(Tensor(x), context).data).max() > 1e-3
    np.testing.assert_allclose(seen[0].data.sum(-1), 1, atol=1e-12)  # before dropout
