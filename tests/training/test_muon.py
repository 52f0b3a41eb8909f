"""Muon: its formula by singular values, the matrices it takes, and bad settings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.autograd.op_factory import SEEDS
from tests.training.small_objective import SmallObjective, small_model

from minibert.autograd.reference import adamw_step
from minibert.autograd.tensor import Tensor
from minibert.errors import InputError
from minibert.models.bert import BertForPreTraining
from minibert.models.config import BertConfig
from minibert.nn.layers import Linear
from minibert.training.optim import OPTIMIZERS, Muon, orthogonalized
from minibert.training.trainer import Trainer, TrainingSettings

SHAPES = st.tuples(st.integers(1, 7), st.integers(1, 7))


def parameter(shape, seed=0, dtype=np.float64) -> Tensor:
    return Tensor(np.random.default_rng(seed).normal(size=shape).astype(dtype), requires_grad=True)


def by_singular_values(matrix: np.ndarray) -> np.ndarray:
    """The definition of `orthogonalized`: the polynomial, five times, on each singular value."""
    left, s, right = np.linalg.svd(matrix, full_matrices=False)
    s = s / (np.linalg.norm(matrix) + 1e-7)
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return left * s @ right


def muon_step(w, g, m, lr, weight_decay, momentum, rows):
    """The new w and m of matrices of `rows` rows, one below another."""
    m = momentum * m + (1 - momentum) * g
    u = momentum * m + (1 - momentum) * g
    new = np.empty_like(w)
    for low in range(0, len(w), rows):
        own = slice(low, low + rows)
        size = 0.2 * np.sqrt(max(rows, w.shape[1]))
        new[own] = (1 - lr * weight_decay) * w[own] - lr * size * by_singular_values(u[own])
    return new, m


@given(SEEDS, SHAPES, st.integers(1, 3), st.floats(0, 1), st.floats(0, 0.5), st.floats(0, 0.99))
def test_the_step_is_the_formula(seed, shape, count, lr, weight_decay, momentum):
    """Two parameters of `count` matrices each, of any size, and one for AdamW beside them."""
    tall = (shape[0] * count, shape[1])
    tensors = [parameter(tall, seed), parameter(tall, [seed, 1]), parameter((5,), [seed, 2])]
    optimizer = Muon([{"params": tensors[:2], "matrix_shape": shape}, {"params": tensors[2:]}],
                     lr, (0.9, 0.98), 1e-8, weight_decay, momentum)
    weights = [tensor.data.copy() for tensor in tensors]
    moments, m, v = [0.0, 0.0], 0.0, 0.0
    for step in range(1, 4):
        for i, tensor in enumerate(tensors):
            tensor.grad = np.random.default_rng([seed, step, i]).normal(size=tensor.shape)
        for i in range(2):
            weights[i], moments[i] = muon_step(weights[i], tensors[i].grad, moments[i], lr,
                                               weight_decay, momentum, shape[0])
        weights[2], m, v = adamw_step(weights[2], tensors[2].grad, m, v, step, lr, (0.9, 0.98),
                                      1e-8, weight_decay)
        optimizer.step()
        for tensor, w in zip(tensors, weights):
            np.testing.assert_allclose(tensor.data, w, rtol=1e-6, atol=1e-9)


@given(SEEDS, SHAPES, st.sampled_from([np.float32, np.float64]), st.floats(-6, 6))
def test_singular_values_come_near_1(seed, shape, dtype, exponent):
    """Whatever the size of the gradient, if none is below 0.002 of its norm."""
    rng = np.random.default_rng(seed)
    left, _, right = np.linalg.svd(rng.normal(size=(2, *shape)), full_matrices=False)
    s = 10 ** rng.uniform(-2, 0, (2, 1, min(shape)))  # at least 0.01 / sqrt(7) of the norm
    matrices = (10 ** exponent * (left * s @ right)).astype(dtype)
    found = orthogonalized(matrices)
    assert found.dtype == dtype and found.shape == matrices.shape
    s = np.linalg.svd(found, compute_uv=False)
    assert 0.65 < s.min() and s.max() < 1.25
    for one, matrix in zip(found, matrices):
        directions = np.linalg.svd(matrix.astype(float), full_matrices=False)
        assert np.trace(directions[2] @ one.T @ directions[0]) > 0.65 * min(shape), "not turned"


def test_a_gradient_of_zeros_moves_nothing():
    tensor = parameter((4, 3))
    before = tensor.data.copy()
    tensor.grad = np.zeros((4, 3))
    Muon([tensor], weight_decay=0.0, matrix_shape=(2, 3)).step()
    assert np.array_equal(tensor.data, before)


def test_the_matrices_in_the_blocks_are_muons_and_nothing_else():
    model = small_model()
    settings = TrainingSettings(optimizer="muon", layer_decay=0.5, weight_decay=0.3)
    trainer = Trainer(model, SmallObjective(), settings)
    found = {id(parameter): (group["matrix_shape"], group["weight_decay"], factor)
             for group, factor in zip(trainer.optimizer.param_groups, trainer.lr_factors)
             for parameter in group["params"]}
    assert len(found) == len(list(model.parameters()))
    for name, parameter in model.named_parameters():
        shape, weight_decay, factor = found[id(parameter)]
        if ".blocks." in name and name.endswith(".weight") and "norm" not in name:
            rows = 12 if "qkv" in name else parameter.shape[0]
            assert shape == (rows, 12 if "feed_forward.output" not in name else 48), name
            assert weight_decay == 0.3 and factor == (0.5 if ".0." in name else 1.0), name
        else:
            assert shape is None, name
    trainer.step()
    held = {kind for entry in trainer.optimizer.state_dict()["state"].values() for kind in entry}
    assert held == {"step", "momentum_buffer", "exp_avg", "exp_avg_sq"}


def test_berts_hidden_layers_outside_the_blocks_are_muons():
    model = BertForPreTraining(BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=1,
                                          num_attention_heads=1, intermediate_size=8,
                                          max_position_embeddings=5))
    shapes = {id(parameter): group["matrix_shape"]
              for group in Muon.split_groups(model, [{"params": list(model.parameters())}])
              for parameter in group["params"]}
    outside = {name: shapes[id(parameter)] for name, parameter in model.named_parameters()
               if ".blocks." not in name and parameter.ndim == 2}
    assert {name for name, shape in outside.items() if shape} == {"bert.pooler.dense.weight",
                                                                  "mlm_head.dense.weight"}
    assert "nsp_head.weight" in outside and len(outside) >= 6


def test_a_model_without_blocks_is_adamws():
    results = []
    for kind in OPTIMIZERS.values():
        layer = Linear(3, 4)
        layer.weight.data[:] = np.arange(12).reshape(4, 3)
        groups = kind.split_groups(layer, [{"params": list(layer.parameters())}])
        optimizer = kind.from_settings(groups, TrainingSettings())
        layer.weight.grad = np.ones((4, 3), np.float32)
        optimizer.step()
        results.append(layer.weight.data)
    assert np.array_equal(*results)


@pytest.mark.parametrize("settings, words", [
    ({"momentum": 1.0}, "Muon: momentum = 1.0"), ({"momentum": "x"}, "Muon: momentum = 'x'"),
    ({"lr": -1.0}, "Muon: lr = -1.0"), ({"betas": 0.9}, "Muon: betas = 0.9"),
    ({"matrix_shape": 3}, r"matrix_shape = 3: expected \(rows, columns\)"),
    ({"matrix_shape": (2, 0)}, "each of matrix_shape = 0"),
    ({"matrix_shape": (4, 3)}, r"shape \(6, 3\) .* expected \(n \* 4, 3\)"),
    ({"matrix_shape": (3, 2)}, r"shape \(6, 3\) .* expected \(n \* 3, 2\)")])
def test_bad_settings_are_named(settings, words):
    with pytest.raises(InputError, match=words):
        Muon([parameter((6, 3))], **settings)
    with pytest.raises(InputError, match=r"shape \(5,\)"):
        Muon([parameter((5,))], matrix_shape=(5, 1))
