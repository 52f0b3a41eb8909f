"""Linear, Embedding, LayerNorm and Dropout against loops and plain NumPy."""

import numpy as np
import pytest

from minibert.autograd.checks.gradcheck import gradcheck_parameters
from minibert.autograd.tensor import Tensor
from minibert.errors import InputError
from minibert.nn.layers import ACTIVATIONS, Dropout, Embedding, LayerNorm, Linear
from tests.autograd.implementations import each_implementation


def randomised(module, seed=0):
    rng = np.random.default_rng(seed)
    for parameter in module.double().parameters():
        parameter.data = rng.normal(size=parameter.shape)
    return module


def check_gradients(module, *inputs):
    tensors = dict(module.named_parameters())
    tensors.update((f"x{i}", x) for i, x in enumerate(inputs) if isinstance(x, Tensor))

    def forward():
        return module(*inputs)

    gradcheck_parameters(forward, tensors, coordinates=10**6)


def test_linear():
    layer, x = randomised(Linear(3, 4)), np.random.default_rng(1).normal(size=(2, 5, 3))
    expected = np.zeros((2, 5, 4))
    for index in np.ndindex(2, 5, 4):
        expected[index] = layer.bias.data[index[2]] + sum(
            layer.weight.data[index[2], i] * x[index[:2]][i] for i in range(3))
    np.testing.assert_allclose(layer(x).data, expected, rtol=1e-13)
    check_gradients(layer, Tensor(x, requires_grad=True))


def test_linear_without_bias():
    layer = randomised(Linear(3, 4, bias=False))
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    x = np.random.default_rng(1).normal(size=(5, 3))
    np.testing.assert_allclose(layer(x).data, x @ layer.weight.data.T, rtol=1e-13)


def test_embedding():
    layer, ids = randomised(Embedding(6, 3)), np.array([[1, 5, 1], [0, 2, 1]])
    expected = [[layer.weight.data[i] for i in row] for row in ids]
    np.testing.assert_array_equal(layer(ids).data, expected)
    check_gradients(layer, ids)


@each_implementation
def test_the_padding_row_of_an_embedding_gets_no_gradient(implementation):
    ids, upstream = np.array([[1, 4], [4, 0]]), np.random.default_rng(0).normal(size=(2, 2, 3))
    for padding_idx, row in ((4, 4), (-1, 4), (0, 0), (2, 2)):
        module = Embedding(5, 3, padding_idx)
        with implementation():
            (module(ids) * upstream).sum().backward()
        expected = np.zeros((5, 3))
        np.add.at(expected, ids, upstream)
        expected[row] = 0
        np.testing.assert_allclose(module.weight.grad, expected, rtol=1e-6)
    for outside in (5, -6):
        with pytest.raises(InputError, match=f"pad_token_id. = {outside}: the table has .* 0 to 4"):
            Embedding(5, 3, outside)


def test_layer_norm():
    assert LayerNorm(5).eps == 1e-5  # PyTorch's default
    layer = randomised(LayerNorm(5, eps=1e-3))
    x = np.random.default_rng(1).normal(size=(2, 3, 5))
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).sum(-1, keepdims=True) / 5
    expected = (x - mean) / np.sqrt(variance + 1e-3) * layer.weight.data + layer.bias.data
    np.testing.assert_allclose(layer(x).data, expected, rtol=1e-12)
    check_gradients(layer, Tensor(x, requires_grad=True))


def test_dropout_is_on_in_train_and_off_in_eval():
    layer, x = Dropout(0.25), np.ones((200, 200))
    y = layer(x, np.random.default_rng(0)).data
    assert set(np.unique(y)) == {0.0, 4 / 3}
    assert abs((y == 0).mean() - 0.25) < 0.01
    np.testing.assert_array_equal(layer.eval()(x).data, x)


def test_dropout_in_training_needs_a_generator():
    with pytest.raises(ValueError, match="rng"):
        Dropout(0.1)(np.ones(3))
    np.testing.assert_array_equal(Dropout(0.0)(np.ones(3)).data, np.ones(3))


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5])
def test_an_impossible_dropout_is_refused(p):
    with pytest.raises(InputError, match="dropout"):
        Dropout(p)


def test_the_two_gelus_differ_as_they_should():
    x = np.linspace(-4, 4, 2001)
    layers = {name: Linear(1, 1, activation=name).double() for name in ACTIVATIONS}
    for layer in layers.values():
        layer.weight.data = np.ones((1, 1))
    y = {name: layer(Tensor(x[:, None])).data[:, 0] for name, layer in layers.items()}
    assert 4e-4 < abs(y["gelu"] - y["gelu_new"]).max() < 5e-4
    np.testing.assert_array_equal(y["gelu_pytorch_tanh"], y["gelu_new"])
    np.testing.assert_array_equal(y["relu"], np.maximum(x, 0))
