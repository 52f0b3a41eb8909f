"""Several workers are one: the same gradients, however uneven their shares; and what goes wrong in
one of them is seen by the caller."""

import threading
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.training.small_objective import SmallBatch, SmallObjective, small_model

from minibert.autograd import ops
from minibert.autograd.functional import embedding, linear
from minibert.autograd.functional import reference, reference_is_on
from minibert.autograd.fused import threads as cores
from minibert.autograd.tensor import Tensor, grad_owners, no_grad
from minibert.autograd.trace import detect_anomaly, trace
from minibert.errors import InputError
from minibert.pretraining.objective import shard_rows
from minibert.training import data_parallel
from minibert.training.data_parallel import Workers, default_workers
from minibert.training.run_folder import Run
from minibert.training.trainer import Trainer, TrainingSettings

SETTINGS = TrainingSettings(steps=8, lr=1e-2, warmup=2, eval_every=4, weight_decay=0.1, seed=4)


@dataclass(frozen=True)
class SharedBatch(SmallBatch):
    def shard(self, k, n):
        rows = shard_rows(len(self.input_ids), k, n)
        return SharedBatch(self.input_ids[rows], self.targets[rows])


class SharedObjective(SmallObjective):
    def rows(self, rng, count):
        batch = super().rows(rng, count)
        return SharedBatch(batch.input_ids, batch.targets)


def trainer(workers: int, dropout: float = 0.0, batch_size: int = 5, run=None,
            **settings) -> Trainer:
    model = small_model(dropout)
    return Trainer(model if dropout else model.double(), SharedObjective(batch_size),
                   replace(SETTINGS, workers=workers, **settings), run=run)


def weights(trained: Trainer) -> dict[str, np.ndarray]:
    return {name: array.copy() for name, array in trained.model.state_dict().items()}


# ---- the same result -----------------------------------------------------------------------------


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("workers", [2, 3, 7])  # 7 are more than there are rows
def test_any_number_of_workers_gives_the_gradient_of_one(workers, accumulate):
    alone, together = [trainer(n, accumulate=accumulate) for n in (1, workers)]
    for _ in range(3):
        one, other = alone.step(), together.step()
        assert other["loss"] == pytest.approx(one["loss"], rel=1e-12)
        assert other["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-10)
        for a, b in zip(alone.parameters, together.parameters):
            np.testing.assert_allclose(b.grad, a.grad, rtol=1e-9, atol=1e-12)
    assert alone.tokens == together.tokens
    for name, array in weights(alone).items():
        np.testing.assert_allclose(weights(together)[name], array, rtol=1e-8, atol=1e-10)


def test_the_same_bits_every_time_and_after_a_resume(tmp_path):
    runs = [trainer(3, dropout=0.2, run=Run.create(tmp_path / name)) for name in ("a", "b")]
    runs[0].run()
    runs[1].run(until=4)
    again = trainer(3, dropout=0.2, run=Run(tmp_path / "b"))
    again.resume()
    again.run()
    for name, array in weights(runs[0]).items():
        assert np.array_equal(array, weights(again)[name]), name
    other = trainer(2, dropout=0.2, run=Run(tmp_path / "b"))
    with pytest.raises(InputError, match="workers is 2, but .* begun with 3"):
        other.resume()


def test_every_worker_draws_its_own_dropout():
    """Two workers with the same row each: with the same bits their losses would be equal."""
    trained = trainer(2, dropout=0.5, batch_size=2)
    batch = trained.objective.batch(0)
    twice = SharedBatch(batch.input_ids[[0, 0]], batch.targets[[0, 0]])
    trained.objective.batch = lambda step: twice
    losses, plain = {}, trained.objective.losses

    def noted(model, share, rng):
        sums, metrics = plain(model, share, rng)
        losses[threading.get_ident()] = sums["tokens"].item()
        return sums, metrics

    trained.objective.losses = noted
    trained.step()
    assert len(set(losses.values())) == 2


@pytest.mark.parametrize("share_without", [0, 1])
def test_a_parameter_that_only_one_worker_used_has_its_gradient(share_without):
    used, unused = Tensor(np.ones(3), requires_grad=True), Tensor(np.ones(2), requires_grad=True)
    workers = Workers([used, unused], 2)

    def work(worker):
        if worker != share_without:
            (used * (worker + 2.0)).sum().backward()

    workers.run(work)
    assert used.grad.tolist() == [3.0 - share_without] * 3 and unused.grad is None
    assert all(own.grad is None for own in workers.stand_ins[0])  # dropped
    workers.run(work)  # without zero_grad gradients add up, as everywhere
    assert used.grad.tolist() == [2 * (3.0 - share_without)] * 3


def test_until_all_are_done_only_the_caller_s_own_gradient_is_to_be_seen():
    x, done, seen = Tensor(np.ones(3), requires_grad=True), threading.Event(), []

    def work(worker):
        if worker == 1:
            (x * 5.0).sum().backward()
            seen.append(x.grad)
            done.set()
        else:
            assert done.wait(10)
            (x * 2.0).sum().backward()
            seen.append(x.grad.tolist())

    Workers([x], 2).run(work)
    assert seen == [None, [2.0] * 3] and x.grad.tolist() == [7.0] * 3


def test_words_are_added_only_to_a_worker_s_own_gradient():
    """An embedding tied to the head adds to what is there: to what is its worker's."""
    table, done = Tensor(np.ones((9, 2)), requires_grad=True), threading.Event()
    seen = []

    def work(worker):
        if worker == 1:
            assert done.wait(10)
            before = table.grad.copy()
        linear(embedding(np.array([3, 3, worker]), table), table).sum().backward()
        if worker == 1:
            seen.append(np.array_equal(table.grad, before))
        done.set()

    Workers([table], 2).run(work)
    assert seen == [True]
    # 3 words each: 3 for every row as the head's; as a word's 9 for each of its uses
    assert table.grad[:, 0].tolist() == [15.0, 15.0, 6.0, 42.0, *[6.0] * 5]


def test_gradients_are_added_up_in_parts(monkeypatch):
    monkeypatch.setattr(cores, "LEAST_PART", 2)
    monkeypatch.setattr(cores, "blas_threads", lambda: 3)
    monkeypatch.setattr(cores, "set_blas_threads", lambda count: None)
    tensors = [Tensor(np.full(size, 1.0), requires_grad=True) for size in (4, 1, 2, 1, 3)]

    def work(worker):
        for i, tensor in enumerate(tensors):
            (tensor * (1.0 + worker + i)).sum().backward()

    Workers(tensors, 3).run(work)
    for i, tensor in enumerate(tensors):
        assert tensor.grad.tolist() == [6.0 + 3 * i] * tensor.size


def test_a_model_that_became_double_is_trained_in_double():
    trained = trainer(2, dropout=0.1)
    trained.step()
    trained.model.double()
    trained.step()
    assert {parameter.grad.dtype for parameter in trained.parameters} == {np.dtype(np.float64)}


# ---- contexts and exceptions ---------------------------------------------------------------------


def test_contexts_reach_the_workers():
    seen, x = {}, Tensor(np.ones(2), requires_grad=True)

    def work(worker):
        seen[worker] = reference_is_on(), ops.exp(x).requires_grad

    for context, expected in ((nullcontext, (False, True)), (reference, (True, True)),
                              (no_grad, (False, False))):
        with context():
            Workers([x], 3).run(work)
        assert [seen[worker] for worker in range(3)] == [expected] * 3


def test_a_trace_sees_all_workers_and_where_they_were():
    alone, together = trainer(1), trainer(2)
    records = []
    for trained in (alone, together):
        with trace() as seen:
            trained.gradients(0)
        records.append([(record.op, record.phase, record.module) for record in seen.records])
    assert len(records[1]) > 1.9 * len(records[0]) and set(records[0]) == set(records[1])


def test_an_anomaly_in_a_worker_is_found():
    trained = trainer(2)
    trained.parameters[3].data[:] = np.nan
    with detect_anomaly(), pytest.raises(FloatingPointError, match="detect_anomaly"):
        trained.step()


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_an_exception_in_one_worker_ends_the_step_and_leaves_no_trace(failing):
    trained = trainer(3, batch_size=6)
    before, finished, plain = weights(trained), [], trained._forward_backward

    def forward_backward(micro_steps, batches, totals, worker):
        means = plain(micro_steps, batches, totals, worker)
        if worker == failing:
            raise ArithmeticError(f"in worker {worker}")
        finished.append(worker)
        return means

    trained._forward_backward = forward_backward
    threads = threading.active_count()
    with pytest.raises(ArithmeticError, match=f"in worker {failing}"):
        trained.step()
    assert sorted(finished) == [worker for worker in range(3) if worker != failing]
    assert threading.active_count() == threads
    assert all(parameter.grad is None for parameter in trained.parameters)
    assert trained.steps_done == 0
    for name, array in weights(trained).items():
        assert np.array_equal(array, before[name])
    trained._forward_backward = plain
    reference = trainer(3, batch_size=6)
    assert trained.step()["grad_norm"] == reference.step()["grad_norm"]


# ---- evaluation ----------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [2, 3])
def test_an_evaluation_by_several_is_that_of_one(workers):
    """Row for row in their order, also where a batch has fewer rows than there are workers."""
    alone, together = trainer(1), trainer(workers)
    batches = [alone.objective.rows(np.random.default_rng(rows), rows) for rows in (5, 1)]
    seen = []
    for trained in (alone, together):
        objective = trained.objective
        losses = objective.losses
        objective.held_out_batches = lambda: iter(batches)
        objective.losses = lambda model, batch, rng, losses=losses: (
            losses(model, batch, rng)[0], {"rows": batch.input_ids[:, 0].tolist()})
        objective.summary = lambda losses, counts, metrics: {**losses, **counts, **metrics}
        seen.append(trained.evaluate())
    assert seen[0]["rows"] == seen[1].pop("rows") and len(seen[0].pop("rows")) == 6
    assert seen[1] == pytest.approx(seen[0], rel=1e-12)
    assert 0 < together.evaluation_seconds() < 60


# ---- threads -------------------------------------------------------------------------------------


def test_products_have_one_thread_each_while_workers_run(two_blas_threads):
    assert Workers([], 2).run(lambda worker: cores.blas_threads()) == [1, 1]
    with pytest.raises(ZeroDivisionError):
        Workers([], 2).run(lambda worker: 1 / 0)
    assert cores.blas_threads() == 2


def test_the_default_follows_size_and_cores(monkeypatch):
    monkeypatch.setattr(data_parallel, "blas_threads", lambda: 2)
    assert default_workers(batch=16, context=32, width=64, cores=2) == 1  # TOY
    assert default_workers(batch=8, context=128, width=256, cores=2) == 2  # MINI
    assert default_workers(batch=12, context=64, width=128, cores=2) == 2
    assert default_workers(batch=8, context=128, width=256, cores=1) == 1
    assert default_workers(batch=1, context=4096, width=256, cores=2) == 1
    assert default_workers(batch=64, context=512, width=768, cores=64) == 4
    monkeypatch.setattr(data_parallel, "blas_threads", lambda: None)
    assert default_workers(batch=8, context=128, width=256, cores=2) == 1


# ---- shares --------------------------------------------------------------------------------------


@given(st.integers(0, 20), st.integers(1, 7))
def test_shares_are_all_rows_once_in_order_and_even(count, n):
    shares = [list(range(count))[shard_rows(count, k, n)] for k in range(n)]
    assert sum(shares, []) == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_worker_s_gradient_is_kept_apart():
    rng = np.random.default_rng(0)
    weight = Tensor(rng.normal(size=(3, 4)), requires_grad=True)
    stand_in = weight.detach()
    x, upstream = rng.normal(size=(5, 4)), rng.normal(size=(5, 3))
    token = grad_owners.set({id(weight): stand_in})
    try:
        linear(Tensor(x), weight).backward(upstream)
    finally:
        grad_owners.reset(token)
    assert weight.grad is None
    np.testing.assert_allclose(stand_in.grad, upstream.T @ x, rtol=1e-12)
