"""AdamW, clipping and the decay groups: against PyTorch's numbers and against plain formulas."""

from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.autograd.op_factory import SEEDS
from tests.models.small_models import small
from tests.training.adamw_scenario import CLIP, EPS, GROUPS, MISSING, SHAPES, STEPS, sample, values
from tests.training.momentum import Momentum
from tests.training.small_objective import SmallObjective, small_model

from minibert.autograd.fused import threads as cores
from minibert.autograd.reference import adamw_step
from minibert.autograd.tensor import Tensor
from minibert.checkpoints.safetensors import load_file
from minibert.errors import InputError
from minibert.models.bart import BartForConditionalGeneration
from minibert.nn.layers import Embedding, LayerNorm, Linear
from minibert.nn.module import Module
from minibert.training import optimizer as optimizer_module
from minibert.training.optim import OPTIMIZERS, AdamW, clip_grad_norm_, decay_groups
from minibert.training.run_folder import Run
from minibert.training.trainer import Trainer, TrainingSettings

REFERENCE = np.load(Path(__file__).with_name("adamw_reference.npz"))


EVERY = {**OPTIMIZERS, "momentum": Momentum}  # and one as a contributor would add it
each_optimizer = pytest.mark.parametrize("name", EVERY)


def optimizer_named(name: str, tensors: list[Tensor], lr: float = 0.01, weight_decay: float = 0.0):
    """As the trainer makes it."""
    groups = [{"params": tensors, "weight_decay": weight_decay}]
    if name == "muon":
        groups = [{"params": [tensor], "weight_decay": weight_decay,
                   "matrix_shape": tensor.shape if tensor.ndim == 2 else None}
                  for tensor in tensors]
    return EVERY[name].from_settings(groups, TrainingSettings(lr=lr))


def parameter(shape=(3, 4), seed=0, dtype=np.float64) -> Tensor:
    return Tensor(np.random.default_rng(seed).normal(size=shape).astype(dtype), requires_grad=True)


def gradient_of(tensor: Tensor, seed: int) -> np.ndarray:
    return np.random.default_rng([7, seed]).normal(size=tensor.shape).astype(tensor.dtype)


def test_twelve_steps_with_clipping_follow_pytorch(monkeypatch):
    parameters = {name: Tensor(values(name, -1), requires_grad=True) for name in SHAPES}
    monkeypatch.setattr(optimizer_module, "BLOCK", 1 << 16)
    assert parameters["big"].size > 3 * optimizer_module.BLOCK
    optimizer = AdamW([{"params": [parameters[name] for name in group["names"]],
                        **{k: v for k, v in group.items() if k != "names"}} for group in GROUPS],
                      eps=EPS)
    norms = []
    for step in range(STEPS):
        for name, tensor in parameters.items():
            tensor.grad = None if (name, step) in MISSING else values(name, step)
        norms.append(clip_grad_norm_(parameters.values(), CLIP))
        if step == 6:
            optimizer.param_groups[0]["lr"] = 0.01
        optimizer.step()
        for name, tensor in parameters.items():
            np.testing.assert_allclose(sample(name, tensor.data), REFERENCE[f"{name}.{step}"],
                                       rtol=1e-12, atol=1e-12, err_msg=f"{name} after step {step}")
    np.testing.assert_allclose(norms, REFERENCE["norms"], rtol=1e-13)
    assert min(norms) < CLIP < max(norms)
    state, order = optimizer.state_dict()["state"], [n for group in GROUPS for n in group["names"]]
    for i, name in enumerate(order):
        for kind in ("exp_avg", "exp_avg_sq"):
            np.testing.assert_allclose(sample(name, state[i][kind]), REFERENCE[f"{name}.{kind}"],
                                       rtol=1e-12, atol=1e-14)


def test_float32_stays_float32_and_near_float64():
    single, double = parameter(dtype=np.float32), parameter(dtype=np.float64)
    double.data = single.data.astype(np.float64)
    optimizers = [AdamW([tensor], lr=0.01, weight_decay=0.1) for tensor in (single, double)]
    for step in range(20):
        for tensor, optimizer in zip((single, double), optimizers):
            tensor.grad = gradient_of(double, step).astype(tensor.dtype)
            optimizer.step()
    assert single.data.dtype == single.grad.dtype == np.float32
    np.testing.assert_allclose(single.data, double.data, rtol=1e-4, atol=1e-6)


def test_every_replaced_array_is_taken_in():
    """A user may put other arrays into .data and .grad, of another dtype too, or write into
    them."""
    tensor, other = parameter(), parameter((5,), seed=1)
    settings = {"lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.2}
    optimizer = AdamW([tensor, other], **settings)
    w, m, v = tensor.data.copy(), 0.0, 0.0
    for step in range(1, 7):
        if step == 2:
            w = gradient_of(tensor, 50)
            tensor.data = w.copy()
        if step == 3:
            tensor.data *= 2
            w = w * 2
        if step == 4:
            tensor.data[1] = 3.0
            w[1] = 3.0
        if step == 5:
            tensor.data = tensor.data.astype(np.float32)
            w, m, v = w.astype(np.float32), m.astype(np.float32), v.astype(np.float32)
        optimizer.zero_grad()
        (tensor * Tensor(gradient_of(tensor, step))).sum().backward()
        other.grad = gradient_of(other, step)
        w, m, v = adamw_step(w, gradient_of(tensor, step), m, v, step, **settings)
        optimizer.step()
        np.testing.assert_allclose(tensor.data, w, rtol=1e-12 if step < 5 else 1e-5)
    assert tensor.data.dtype == np.float32 and other.data.dtype == np.float64


def test_a_refused_step_changes_nothing():
    """Also where the flat arrays were to be made anew, for another dtype."""
    tensor, other = parameter(), parameter((5,), seed=1)
    optimizer = AdamW([tensor, other], lr=0.1)
    settings = {"lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}
    w, m, v = other.data.copy(), 0.0, 0.0
    for step in (1, 2):
        tensor.grad, other.grad = gradient_of(tensor, step), gradient_of(other, step)
        if step == 2:
            tensor.data, tensor.grad = tensor.data.astype(np.float32), tensor.grad.T
            with pytest.raises(InputError, match="a gradient of shape"):
                optimizer.step()
            tensor.grad = tensor.grad.T
        w, m, v = adamw_step(w, other.grad, m, v, step, **settings)
        optimizer.step()
        np.testing.assert_allclose(other.data, w, rtol=1e-12)
    assert [entry["step"] for entry in optimizer.state_dict()["state"].values()] == [2, 2]


def test_a_gradient_given_by_hand_is_used_and_none_is_skipped():
    tensor, frozen, last = parameter(), parameter((2,), seed=3), parameter((3,), seed=4)
    before = frozen.data.copy()
    optimizer = AdamW([tensor, frozen, last], lr=0.1, weight_decay=0.5)
    tensor.grad, frozen.grad, last.grad = gradient_of(tensor, 0), None, gradient_of(last, 1)
    expected = [adamw_step(one.data.copy(), one.grad.copy(), 0, 0, 1, 0.1, (0.9, 0.999), 1e-8,
                           0.5)[0] for one in (tensor, last)]
    optimizer.step()
    np.testing.assert_allclose(tensor.data, expected[0], rtol=1e-12)
    np.testing.assert_allclose(last.data, expected[1], rtol=1e-12)
    assert np.array_equal(frozen.data, before), "no gradient: no decay, no step"


def test_no_step_uses_a_stale_gradient():
    tensor = parameter()
    optimizer = AdamW([tensor], lr=0.1, weight_decay=0.0)
    (tensor * 3.0).sum().backward()
    optimizer.step()
    after = tensor.data.copy()
    optimizer.zero_grad()
    assert tensor.grad is None
    optimizer.step()
    assert np.array_equal(tensor.data, after)


def test_a_gradient_that_a_user_keeps_is_never_written_into():
    """Neither by a step, nor by zero_grad and the next backward, nor by a new optimizer."""
    tensors = [parameter() for _ in range(3)]
    kept = []
    for number in (2.0, 5.0, 3.0):
        for tensor in tensors:
            (tensor * number).sum().backward()
        kept.append([tensor.grad for tensor in tensors])
        if number == 2.0:
            optimizer = AdamW(tensors)
        optimizer.step()
        optimizer.zero_grad()
    for number, grads in zip((2.0, 5.0, 3.0), kept):
        assert all((grad == number).all() for grad in grads)


def test_padding_stays_zero_and_blocks_cross_parameters(monkeypatch):
    """The step of one flat array in blocks of 24 elements is the step of each parameter alone."""
    monkeypatch.setattr(optimizer_module, "BLOCK", 24)
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=size) for size in (5, 16, 70, 3, 1, 40)]
    together = [Tensor(array.copy(), requires_grad=True) for array in arrays]
    alone = [Tensor(array.copy(), requires_grad=True) for array in arrays]
    optimizer = AdamW(together, lr=0.1)
    apart = [AdamW([tensor], lr=0.1) for tensor in alone]
    for _ in range(3):
        for one, other in zip(together, alone):
            one.grad = rng.normal(size=one.shape)
            other.grad = one.grad.copy()
        optimizer.step()
        for single in apart:
            single.step()
    for one, other in zip(together, alone):
        assert np.array_equal(one.data, other.data)
    flat = optimizer.flat_groups[0][0]
    assert flat.data.any() and sum(map(np.count_nonzero, flat.views(flat.data))) \
        == np.count_nonzero(flat.data)


def test_a_tied_parameter_is_stepped_and_clipped_once():
    tied, alone = parameter(), parameter()
    for tensor, params in ((tied, [tied, tied]), (alone, [alone])):
        tensor.grad = np.full(tensor.shape, 2.0)
        assert clip_grad_norm_(params, 1.0) == pytest.approx(2.0 * np.sqrt(12))
        AdamW(params, lr=0.1).step()
    assert np.array_equal(tied.data, alone.data)


def test_a_step_between_forward_and_backward_is_noticed():
    tensor = parameter()
    optimizer = AdamW([tensor])
    tensor.grad = gradient_of(tensor, 0)
    loss = (tensor * tensor).sum()
    optimizer.step()
    with pytest.raises(RuntimeError, match="replaced"):
        loss.backward()


def test_two_optimizers_may_share_a_parameter():
    tensor = parameter()
    first, second = AdamW([tensor], lr=0.1), AdamW([tensor], lr=0.1)
    for step, optimizer in enumerate([first, second, first]):
        before = tensor.data.copy()
        tensor.grad = gradient_of(tensor, step)
        optimizer.step()
        assert not np.array_equal(tensor.data, before)


@each_optimizer
@given(SEEDS)
def test_every_optimizer_goes_downhill(name, seed):
    """20 steps on sum c w^2 / 2 from a random start, which is far from the minimum at 0."""
    rng = np.random.default_rng(seed)
    tensors = [parameter(shape, [seed, len(shape)]) for shape in ((4, 3), (5,))]
    curvatures = [rng.uniform(0.5, 2, tensor.shape) for tensor in tensors]
    optimizer, losses = optimizer_named(name, tensors), []
    for _ in range(20):
        losses.append(0.0)
        for tensor, c in zip(tensors, curvatures):
            losses[-1] += (c * tensor.data**2).sum() / 2
            tensor.grad = c * tensor.data
        optimizer.step()
    assert losses[1] < losses[0] and losses[-1] < 0.95 * losses[0]


@each_optimizer
def test_weight_decay_never_enlarges_a_weight(name):
    tensor = parameter()
    before = abs(tensor.data)
    optimizer = optimizer_named(name, [tensor], weight_decay=0.5)
    for _ in range(3):
        tensor.grad = np.zeros(tensor.shape)
        optimizer.step()
    assert (abs(tensor.data) <= before).all()


@each_optimizer
def test_state_dict_brings_another_optimizer_to_the_same_bits(name):
    def made():
        tensors = [parameter((300, 3), 1, np.float32), parameter((7,), 2, np.float32)]
        return tensors, optimizer_named(name, tensors, lr=0.03, weight_decay=0.1)

    def steps(tensors, optimizer, numbers):
        for step in numbers:
            for tensor in tensors:
                tensor.grad = gradient_of(tensor, step)
            if step == 1:
                tensors[1].grad = None
            optimizer.step()

    straight, optimizer = made()
    steps(straight, optimizer, range(6))
    half, optimizer = made()
    steps(half, optimizer, range(3))
    stored = optimizer.state_dict()
    resumed, optimizer = made()
    for tensor, source in zip(resumed, half):
        tensor.data = source.data.copy()
    optimizer.load_state_dict(stored)
    steps(resumed, optimizer, range(3, 6))
    for a, b in zip(straight, resumed):
        assert np.array_equal(a.data, b.data)


def test_added_and_changed_groups_keep_the_moments():
    one, two = parameter(seed=1), parameter((6,), seed=2)
    optimizer = AdamW([one], lr=0.1, weight_decay=0.0)
    w, m, v = one.data.copy(), 0.0, 0.0
    for step in range(1, 5):
        if step == 3:
            optimizer.add_param_group({"params": [two], "lr": 0.0})
        one.grad, two.grad = gradient_of(one, step), gradient_of(two, step)
        optimizer.step()
        w, m, v = adamw_step(w, gradient_of(one, step), m, v, step, 0.1, (0.9, 0.999), 1e-8, 0.0)
    np.testing.assert_allclose(one.data, w, rtol=1e-12)
    assert np.array_equal(two.data, parameter((6,), seed=2).data), "its own rate is 0"


def test_another_tensor_or_shape_in_a_group_is_stepped():
    one, other = parameter((1,), seed=1), parameter((1,), seed=2)
    optimizer = AdamW([one], lr=0.1)
    optimizer.param_groups[0]["params"][0] = other
    before, one.grad, other.grad = other.data.copy(), np.ones(1), np.ones(1)
    optimizer.step()
    assert one.data == parameter((1,), seed=1).data and other.data < before
    other.data, other.grad = np.ones(3), np.ones(3)
    optimizer.step()
    assert other.data.shape == (3,) and (other.data < 1).all()


@pytest.mark.parametrize("given, words", [
    (lambda: AdamW([]), "no parameters"),
    (lambda: AdamW([parameter()], lr=-1.0), "lr = -1.0"),
    (lambda: AdamW([parameter()], betas=(0.9, 1.0)), "betas"),
    (lambda: AdamW([parameter() * 2.0]), "leaf"),
    (lambda: AdamW([{"params": [parameter()], "rate": 1}]), "unknown setting 'rate'"),
    (lambda: AdamW(Model()), r"got a Model: expected model.parameters\(\)"),
    (lambda: AdamW(parameter()), "got a Tensor: expected a list of tensors"),
    (lambda: AdamW(Model().named_parameters()), r"got tuple: give model.parameters\(\)"),
    (lambda: AdamW([parameter()], lr="0.1"), "lr = '0.1': expected a finite number"),
    (lambda: AdamW([parameter()], lr=float("nan")), "lr = nan"),
    (lambda: AdamW([parameter()], eps=-1e-8), "eps = -1e-08"),
    (lambda: AdamW([parameter()], weight_decay=-0.1), "weight_decay = -0.1"),
    (lambda: AdamW([parameter()], betas=0.9), "betas = 0.9: expected two numbers"),
    (lambda: AdamW([parameter()], betas=(0.9, 0.99, 0.9)), "betas = .* expected two numbers"),
    (lambda: AdamW([parameter()], betas=(-0.1, 0.99)), "betas = -0.1"),
    (lambda: clip_grad_norm_([parameter()], -1.0), "max_norm = -1.0"),
    (lambda: clip_grad_norm_([parameter()], float("nan")), "max_norm = nan"),
    (lambda: clip_grad_norm_([parameter()], -float("inf")), "max_norm = -inf"),
])
def test_bad_settings_are_named(given, words):
    with pytest.raises(InputError, match=words):
        given()


def test_a_parameter_given_twice_is_stepped_once():
    one, twice = parameter(), parameter()
    optimizers = AdamW([one]), AdamW([twice, twice])
    for tensor, optimizer in zip((one, twice), optimizers):
        for _ in range(2):
            tensor.grad = gradient_of(tensor, 0)
            optimizer.step()
    np.testing.assert_array_equal(one.data, twice.data)
    assert optimizers[1].state_dict()["param_groups"][0]["params"] == [0]


def test_one_parameter_in_two_groups_is_refused():
    tensor = parameter()
    with pytest.raises(InputError, match="two groups"):
        AdamW([{"params": [tensor]}, {"params": [tensor]}])


def test_clipping_takes_the_norm_of_all_and_keeps_their_directions():
    tensors = [parameter((2, 3), i) for i in range(3)]
    grads = [gradient_of(tensor, i) * 10 ** i for i, tensor in enumerate(tensors)]
    for tensor, grad in zip(tensors, grads):
        tensor.grad = grad.copy()
    norm = np.linalg.norm(np.concatenate([grad.ravel() for grad in grads]))
    assert clip_grad_norm_(tensors, 0.5) == pytest.approx(norm, rel=1e-13)
    for tensor, grad in zip(tensors, grads):
        np.testing.assert_allclose(tensor.grad, grad * 0.5 / (norm + 1e-6), rtol=1e-13)
    small = tensors[0].grad.copy()
    clip_grad_norm_(tensors, 1e3)
    assert np.array_equal(tensors[0].grad, small), "a norm below the limit changes nothing"
    tensors[1].grad[0, 0] = np.nan
    assert np.isnan(clip_grad_norm_(tensors, 0.5)) and np.array_equal(tensors[0].grad, small)
    tensors[1].grad[0, 0] = np.inf
    assert np.isinf(clip_grad_norm_(tensors, 0.5)) and np.array_equal(tensors[0].grad, small)


def test_no_limit_leaves_the_gradients():
    tensor = parameter()
    tensor.grad = gradient_of(tensor, 0) * 1e6
    before = tensor.grad.copy()
    assert clip_grad_norm_([tensor], float("inf")) == pytest.approx(np.linalg.norm(before))
    assert np.array_equal(tensor.grad, before)


def test_another_optimizer_is_a_formula_and_names():
    tensor = parameter((5, 3))
    optimizer = Momentum([tensor])
    w, velocity = tensor.data.copy(), 0.0
    for step in range(4):
        tensor.grad = gradient_of(tensor, step)
        velocity = 0.9 * velocity + gradient_of(tensor, step)
        w = w - 0.1 * velocity
        optimizer.step()
        np.testing.assert_allclose(tensor.data, w, rtol=1e-12)
    state = optimizer.state_dict()["state"][0]
    assert sorted(state) == ["momentum_buffer", "step"] and state["step"] == 4
    np.testing.assert_allclose(state["momentum_buffer"], velocity, rtol=1e-12)


@each_optimizer
def test_a_trainer_with_any_optimizer_resumes_to_the_same_bits(tmp_path, monkeypatch, name):
    monkeypatch.setitem(OPTIMIZERS, name, EVERY[name])
    settings = TrainingSettings(steps=6, lr=0.01, warmup=1, eval_every=3, optimizer=name)
    straight = Trainer(small_model(), SmallObjective(), settings,
                       run=Run.create(tmp_path / "straight"))
    straight.run()
    halves = Trainer(small_model(), SmallObjective(), settings, run=Run.create(tmp_path / "halves"))
    halves.run(until=3)
    again = Trainer(small_model(seed=9), SmallObjective(), settings, run=Run(tmp_path / "halves"))
    again.resume()
    assert again.run() and again.steps_done == 6
    for which, array in straight.model.state_dict().items():
        assert np.array_equal(array, again.model.state_dict()[which]), which
    arrays = load_file(tmp_path / "halves" / "latest" / "optimizer.safetensors")
    optimizer = straight.optimizer
    names = [optimizer.moments_of(group) for group in optimizer.param_groups]
    assert {which.split(".")[0] for which in arrays} == {"step", *chain(*names)}
    moments = [moment.nbytes for flats in straight.optimizer.flat_groups
               for flat in flats for moment in flat.moments.values()]
    assert sum(moments) >= sum([parameter.data.nbytes for parameter in straight.parameters])


class Model(Module):
    __slots__ = ("words", "positions", "dense", "norm", "tied")

    def __init__(self):
        super().__init__()
        self.words, self.positions = Embedding(5, 2), Embedding(3, 2)
        self.dense, self.norm = Linear(2, 2), LayerNorm(2)
        self.tied = Linear(2, 5, bias=False)
        self.tied.weight = self.words.weight


def test_biases_norms_and_embeddings_do_not_decay():
    groups, decayed, exempt = decay_groups(Model(), 0.1)
    assert decayed == ["dense.weight"]
    assert exempt == ["words.weight", "positions.weight", "dense.bias", "norm.weight", "norm.bias"]
    assert [(len(group["params"]), group["weight_decay"]) for group in groups] == [(1, 0.1),
                                                                                   (5, 0.0)]
    bart = small(BartForConditionalGeneration)
    _, decayed, exempt = decay_groups(bart, 0.1)
    assert bart.final_logits_bias.ndim == 2 and "final_logits_bias" in exempt
    assert decayed and not any([name.endswith("bias") for name in decayed])


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_threads_share_the_elements_and_change_no_bit(threads, monkeypatch):
    monkeypatch.setattr(cores, "LEAST_PART", 10)
    monkeypatch.setattr(optimizer_module, "BLOCK", 8)
    rng = np.random.default_rng(0)
    shapes = [(5, 9), (1,), (7, 3), (4,)]
    first = [rng.normal(size=shape) for shape in shapes]
    grads = [[rng.normal(size=shape) for shape in shapes] for _ in range(3)]
    results = []
    for count in (1, threads):
        monkeypatch.setattr(cores, "blas_threads", lambda: count)
        parameters = [Tensor(array.copy(), requires_grad=True) for array in first]
        adamw, norms = AdamW(parameters, lr=0.1), []
        for arrays in grads:
            for parameter, array in zip(parameters, arrays):
                parameter.grad = array.T.copy().T  # columns first: nothing flat about it
            norms.append(clip_grad_norm_(parameters, 1.0))
            assert clip_grad_norm_(parameters, 1.0) == pytest.approx(1, abs=1e-5)
            adamw.step()
        results.append((norms, [parameter.data.copy() for parameter in parameters]))
    (norms, expected), (norms_here, found) = results
    assert norms == norms_here
    assert norms[0] == pytest.approx(np.sqrt(sum([(array ** 2).sum() for array in grads[0]])))
    for before, one, several in zip(first, expected, found):
        assert np.array_equal(one, several) and (one != before).all()


def test_arrays_that_were_exchanged_stay_exchanged():
    a, b = [Tensor(np.full(3, value), requires_grad=True) for value in (1.0, 2.0)]
    adamw = AdamW([a, b], lr=0.0)
    a.data, b.data = b.data, a.data
    adamw.step()
    assert a.data.tolist() == [2, 2, 2] and b.data.tolist() == [1, 1, 1]
    (a * 1 + b * 5).sum().backward()
    a.grad, b.grad = b.grad, a.grad
    adamw.step()
    assert a.grad.tolist() == [5, 5, 5] and b.grad.tolist() == [1, 1, 1]


@given(SEEDS, st.floats(0, 1), st.floats(0, 0.5), st.floats(0, 0.99), st.floats(0, 0.999),
       st.floats(1e-8, 1.0))
def test_the_step_is_the_formula_in_reference_py(seed, lr, weight_decay, beta1, beta2, eps):
    rng = np.random.default_rng(seed)
    tensor = Tensor(rng.normal(size=(3, 5)), requires_grad=True)
    optimizer = AdamW([tensor], lr, (beta1, beta2), eps, weight_decay)
    w, m, v = tensor.data.copy(), 0.0, 0.0
    for step in range(1, 5):
        tensor.grad = rng.normal(size=tensor.shape)
        w, m, v = adamw_step(w, tensor.grad, m, v, step, lr, (beta1, beta2), eps, weight_decay)
        optimizer.step()
        np.testing.assert_allclose(tensor.data, w, rtol=1e-10, atol=1e-12)
