"""The LSTM of several layers and directions: PyTorch's numbers, and what lengths mean."""

import re
from pathlib import Path

import numpy as np
import pytest

from minibert.autograd.tensor import Tensor
from minibert.errors import InputError
from minibert.nn.lstm import LSTM
from tests.autograd.implementations import each_implementation
from tests.autograd.op_factory import assert_close

REFERENCE = dict(np.load(Path(__file__).with_name("lstm_reference.npz")))
B, T, I, H = 3, 4, 5, 2


def ours(name: str) -> str:
    """PyTorch's name of a parameter -> ours."""
    kind, number, reverse = re.fullmatch(r"(\w+)_l(\d)(_reverse)?", name).groups()
    return f"{'reverse_layers' if reverse else 'layers'}.{number}.{kind}"


def small(num_layers=2, bidirectional=True, dropout=0.0, seed=0) -> LSTM:
    rng = np.random.default_rng(seed)
    model = LSTM(I, H, num_layers, dropout, bidirectional).double()
    for parameter in model.parameters():
        parameter.data = rng.normal(size=parameter.shape)
    return model


@each_implementation
@pytest.mark.parametrize("name", ["one layer", "three layers", "both directions", "lengths"])
def test_pytorch_agrees(implementation, name):
    case = {key.removeprefix(f"{name}/"): value for key, value in REFERENCE.items()
            if key.startswith(f"{name}/")}
    parameters = {ours(key[2:]): value for key, value in case.items() if key.startswith("p/")}
    layers = 1 + max(int(key.split(".")[1]) for key in parameters)
    model = LSTM(I, H, layers, 0.0, "reverse_layers.0.weight_ih" in parameters).double()
    model.load_state_dict(parameters)
    leaves = {key: Tensor(case[key], requires_grad=True) for key in ("x", "h_0", "c_0")
              if key in case}
    hx = (leaves["h_0"], leaves["c_0"]) if "h_0" in leaves else None
    with implementation():
        output, (h_n, c_n) = model(leaves["x"], hx, case.get("lengths"))
        loss = sum(((one * case[f"up{i}"]).sum() for i, one in enumerate((output, h_n, c_n))),
                   Tensor(0.0))
        loss.backward()
    for one, wanted in ((output, "output"), (h_n, "h_n"), (c_n, "c_n")):
        assert_close(one.data, case[wanted], 1e-12)
    leaves |= {f"p/{key}": parameter for key, parameter in model.named_parameters()}
    for key, gradient in case.items():
        if key.startswith("g/"):
            leaf = key[2:] if key[2:] in leaves else f"p/{ours(key[2:])}"
            assert_close(leaves[leaf].grad, gradient, 1e-12)


def test_padding_changes_no_token_and_is_zero():
    model, rng = small(), np.random.default_rng(1)
    x, lengths = rng.normal(size=(B, T + 1, I)), np.array([2, 5, 1])  # T = 4 is also 2 H
    tensor = Tensor(x, requires_grad=True)
    output, (h_n, c_n) = model(tensor, lengths=lengths)
    (output * output).sum().backward()
    for b, length in enumerate(lengths):
        alone, (h_alone, c_alone) = model(Tensor(x[b:b + 1, :length]))
        assert_close(output.data[b, :length], alone.data[0], 1e-14)
        assert_close(h_n.data[:, b], h_alone.data[:, 0], 1e-14)
        assert_close(c_n.data[:, b], c_alone.data[:, 0], 1e-14)
        assert not output.data[b, length:].any() and not tensor.grad[b, length:].any()
        assert tensor.grad[b, :length].all()


def test_a_text_in_two_parts_equals_the_whole():
    model, x = small(3, False), np.random.default_rng(1).normal(size=(B, T, I))
    whole, (h_n, c_n) = model(Tensor(x))
    first, hx = model(Tensor(x[:, :1]))
    second, (h_last, c_last) = model(Tensor(x[:, 1:]), hx)
    assert_close(np.concatenate([first.data, second.data], 1), whole.data, 1e-14)
    assert_close(h_last.data, h_n.data, 1e-14)
    assert_close(c_last.data, c_n.data, 1e-14)


def test_dropout_acts_between_layers_in_training_only():
    x = Tensor(np.random.default_rng(1).normal(size=(B, T, I)))
    one, three = small(1, dropout=0.5), small(3, dropout=0.5)
    rng = np.random.default_rng(0)
    assert np.array_equal(one(x, rng=rng)[0].data, one.eval()(x)[0].data)
    dropped = three(x, rng=rng)[0].data
    assert not np.allclose(dropped, three(x, rng=rng)[0].data)
    assert np.array_equal(three.eval()(x)[0].data, three(x)[0].data)
    with pytest.raises(ValueError, match="needs rng"):
        three.train()(x)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: LSTM(I, 0), "LSTM: hidden_size"), (lambda: LSTM(I, H, 0), "LSTM: num_layers"),
    (lambda: LSTM(0, H), "LSTM: input_size"), (lambda: LSTM(I, H, dropout=1.0), "dropout: p = 1"),
    (lambda: LSTM(I, H, bidirectional=2), "LSTM: bidirectional"),
    (lambda: small()(Tensor(np.ones((B, T, I))), (np.ones((2, B, H)),) * 2),
     r"LSTM: hx has shapes \(2, 3, 2\), \(2, 3, 2\): expected .* = \(4, 3, 2\)")])
def test_mistakes_are_named(make, message):
    with pytest.raises(InputError, match=message):
        make()
    for x in (None, Tensor(np.float64(1))):
        with pytest.raises((TypeError, ValueError), match="^lstm: .*expected"):
            small()(x)
