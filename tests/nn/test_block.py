"""The block and the stack: both norm orders against a plain implementation, gradients, dropout."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minibert.nn.block
from minibert.autograd.attention_masks import padding_mask
from minibert.autograd.checks.gradcheck import gradcheck_parameters
from minibert.autograd.tensor import Tensor
from minibert.errors import InputError
from minibert.nn.block import AttentionInputs, BlockConfig, TransformerBlock, TransformerStack

B, T, C = 2, 5, 12


def randomised(module, seed=0):
    rng = np.random.default_rng(seed)
    for parameter in module.double().parameters():
        parameter.data = rng.normal(size=parameter.shape) * (0.5 if parameter.ndim == 2 else 1.0)
    return module


def block(norm_first, dropout=0.0, activation="gelu", hidden=C, heads=3, inner=7):
    return randomised(TransformerBlock(BlockConfig(hidden, heads, inner, activation, norm_first,
                                                   dropout)))


def norm(x, layer):
    mean = x.mean(-1, keepdims=True)
    return ((x - mean) / np.sqrt(((x - mean) ** 2).mean(-1, keepdims=True) + 1e-5)
            * layer.weight.data + layer.bias.data)


def feed_forward(x, module):
    inner = np.maximum(x @ module.expand.weight.data.T + module.expand.bias.data, 0)
    return inner @ module.output.weight.data.T + module.output.bias.data


def test_norm_stands_after_the_residual_or_before_the_branch():
    x = np.random.default_rng(1).normal(size=(B, T, C))
    post, pre = block(False, activation="relu"), block(True, activation="relu")

    y = norm(x + post.attention(x).data, post.attention_norm)
    expected = norm(y + feed_forward(y, post.feed_forward), post.feed_forward_norm)
    np.testing.assert_allclose(post(x).data, expected, rtol=0, atol=1e-12)

    y = x + pre.attention(norm(x, pre.attention_norm)).data
    expected = y + feed_forward(norm(y, pre.feed_forward_norm), pre.feed_forward)
    np.testing.assert_allclose(pre(x).data, expected, rtol=0, atol=1e-12)


@given(st.booleans(), st.booleans(), st.booleans(), st.sampled_from(["gelu", "gelu_new"]),
       st.integers(1, 3), st.integers(1, 3))
def test_gradients_in_every_coordinate(norm_first, is_causal, padded, activation, heads, width):
    hidden = max(heads * width, 2)
    hidden += hidden % heads and heads - hidden % heads
    module = block(norm_first, activation=activation, hidden=hidden, heads=heads, inner=3)
    x = Tensor(np.random.default_rng(2).normal(size=(B, 4, hidden)), requires_grad=True)
    mask = padding_mask([[1, 1, 1, 1], [1, 1, 0, 0]]) if padded else None

    def forward():
        return module(x, AttentionInputs(mask, is_causal))

    gradcheck_parameters(forward, dict(module.named_parameters()) | {"x": x}, coordinates=20,
                         directions=1)


@pytest.mark.parametrize("norm_first", [False, True])
def test_dropout_falls_on_the_branches_and_never_on_the_stream(norm_first):
    module, x = block(norm_first, dropout=0.5), np.random.default_rng(1).normal(size=(B, T, C))
    for part in (module.attention.output, module.feed_forward.output):
        part.weight.data = np.zeros(part.weight.shape)
        part.bias.data = np.zeros(part.bias.shape)
    y = module(x, AttentionInputs(rng=np.random.default_rng(0))).data
    expected = x if norm_first else norm(norm(x, module.attention_norm), module.feed_forward_norm)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("branch", ["attention", "feed_forward"])
def test_each_branch_is_dropped_element_by_element(branch):
    # Both branches add a constant, one of them zero: what the stream gained shows the dropout.
    module = block(True, dropout=0.25, hidden=40, heads=2)
    for name in ("attention", "feed_forward"):
        output = getattr(module, name).output
        output.weight.data = np.zeros(output.weight.shape)
        output.bias.data = np.full(output.bias.shape, 3.0 if name == branch else 0.0)
    x = np.zeros((30, T, 40))
    gained = module(x, AttentionInputs(rng=np.random.default_rng(0))).data
    assert set(np.unique(gained)) == {0.0, 4.0}
    assert abs((gained == 0).mean() - 0.25) < 0.03
    np.testing.assert_array_equal(module.eval()(x).data, np.full(x.shape, 3.0))


def test_a_stack_collects_the_stream_and_the_weights():
    stack = randomised(TransformerStack(2, BlockConfig(C, 3, 7, norm_first=True)))
    x = Tensor(np.random.default_rng(1).normal(size=(B, T, C)))
    states, weights = [], []
    causal = AttentionInputs(is_causal=True)
    y = stack(x, AttentionInputs(is_causal=True, attentions=weights), states)
    assert len(states) == 3 and len(weights) == 2 and states[0] is x and states[-1] is y
    first = stack.blocks[0](x, causal)
    np.testing.assert_allclose(states[1].data, first.data, rtol=0, atol=1e-12)
    last = stack.final_norm(stack.blocks[1](first, causal))
    np.testing.assert_allclose(y.data, last.data, rtol=0, atol=1e-12)
    np.testing.assert_allclose(weights[1].data.sum(-1), 1.0)


def test_post_norm_has_no_last_norm():
    stack = TransformerStack(2, BlockConfig(C, 3, 7))
    assert not any("final_norm" in name for name, _ in stack.named_parameters())


def test_no_architecture_has_its_name_in_the_block():
    text = Path(minibert.nn.block.__file__).read_text(encoding="utf-8")
    assert not re.search(r"bert(?!\.)|gpt", text.replace("from minibert.", ""), re.IGNORECASE)


def test_an_unknown_activation_is_refused():
    with pytest.raises(InputError, match="activation = 'swish': expected one of gelu"):
        block(False, activation="swish")
