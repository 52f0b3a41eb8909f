"""The loop: what a step weighs, what an evaluation leaves alone, what a run keeps and resumes."""

import json
import math
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
from tests.training.small_objective import SmallBatch, SmallObjective, small_model

from minibert.errors import InputError
from minibert.nn.module import evaluating
from minibert.training.run_folder import Run
from minibert.training.trainer import NonFiniteLoss, Trainer, TrainingSettings

SETTINGS = TrainingSettings(steps=20, lr=1e-2, min_lr=1e-3, warmup=3, eval_every=5,
                            weight_decay=0.1,
                            seed=4)


def trainer(run=None, settings=SETTINGS, model=None, objective=None, **more) -> Trainer:
    return Trainer(model or small_model(), objective or SmallObjective(), settings, run=run, **more)


def weights(trained: Trainer) -> dict[str, np.ndarray]:
    return {name: array.copy() for name, array in trained.model.state_dict().items()}


def assert_same_files(tmp_path, one: str, other: str, *names: str) -> None:
    for name in names:
        left, right = ((tmp_path / folder / name).read_bytes() for folder in (one, other))
        assert left == right, name


def assert_same_bits(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert np.array_equal(one[name], other[name]), name


class Whole(SmallObjective):
    """Gives all its micro-batches as one batch: what accumulation must be equal to."""

    def __init__(self, parts: int):
        super().__init__()
        self.parts = parts

    def batch(self, step):
        batches = [super(Whole, self).batch(step * self.parts + i) for i in range(self.parts)]
        return SmallBatch(np.concatenate([batch.input_ids for batch in batches]),
                          np.concatenate([batch.targets for batch in batches]))


class Spoilt(SmallObjective):
    """From step `first` on the loss is not finite."""

    def __init__(self, first: int, factor: float):
        super().__init__()
        self.first, self.factor, self.step = first, factor, 0

    def batch(self, step):
        self.step = step
        return super().batch(step)

    def losses(self, model, batch, rng):
        sums, metrics = super().losses(model, batch, rng)
        if rng is not None and self.step >= self.first:
            sums = {"tokens": sums["tokens"] * self.factor}
        return sums, metrics


# ---- one step ------------------------------------------------------------------------------------


def test_accumulation_equals_the_big_batch_though_the_counts_differ():
    split = trainer(settings=replace(SETTINGS, accumulate=3), model=small_model(0.0).double())
    whole = trainer(model=small_model(0.0).double(), objective=Whole(3))
    counts = [split.objective.counts(split.objective.batch(i))["tokens"] for i in range(3)]
    assert len(set(counts)) > 1
    for _ in range(4):
        a, b = split.step(), whole.step()
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-12)
        assert a["grad_norm"] == pytest.approx(b["grad_norm"], rel=1e-12)
    for name, array in weights(split).items():
        np.testing.assert_allclose(array, weights(whole)[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_the_record_says_what_was_done():
    trained = trainer()
    batch = trained.objective.batch(0)
    model = small_model(0.0)
    loss = model.next_token_loss(batch.input_ids,
                                 batch.targets).item() / (batch.targets != -100).sum()
    without_dropout = trainer(model=model, settings=replace(SETTINGS, lr=2e-3))
    record = without_dropout.step()
    assert record["loss"] == pytest.approx(loss, rel=1e-6)
    assert record["step"] == 1 and record["lr"] == 2e-3 / 4
    assert [without_dropout.step()["lr"] for _ in range(4)] == pytest.approx(
        [2e-3 * 2 / 4, 2e-3 * 3 / 4, 2e-3, without_dropout.learning_rate(4)])


def test_a_schedule_counts_updates_not_batches():
    accumulating, plain = trainer(settings=replace(SETTINGS, accumulate=2)), trainer()
    rates = [[trained.step()["lr"] for _ in range(6)] for trained in (accumulating, plain)]
    assert rates[0] == rates[1]


def test_clipping_and_decay_reach_the_optimizer():
    clipped = trainer(settings=replace(SETTINGS, clip=1e-3))
    clipped.step()
    squares = [float((p.grad ** 2).sum()) for p in clipped.parameters]
    assert np.sqrt(sum(squares)) == pytest.approx(1e-3, rel=1e-3)
    assert [group["lr"] for group in clipped.optimizer.param_groups] == [1e-2 / 4] * 2
    free = trainer(settings=replace(SETTINGS, clip=0.0))
    norm = free.step()["grad_norm"]
    assert np.sqrt(sum([float((p.grad ** 2).sum())
                        for p in free.parameters])) == pytest.approx(norm)
    assert [group["weight_decay"] for group in free.optimizer.param_groups] == [0.1, 0.0]
    assert all([name.endswith(".weight") and "norm" not in name and "embeddings" not in name
                for name in free.decayed])
    assert len(free.decayed) == 8 and len(free.decayed) + len(free.exempt) == len(free.parameters)


def test_every_step_draws_its_own_dropout_and_the_seed_decides():
    def losses(seed):
        trained = trainer(settings=replace(SETTINGS, seed=seed, lr=1e-30, min_lr=0.0))
        trained.objective.batch = lambda step: SmallObjective().rows(np.random.default_rng(0), 3)
        return [trained.step()["loss"] for _ in range(3)]

    assert len(set(losses(1))) == 3 and losses(1) == losses(1) != losses(2)


def test_a_step_trains_a_model_that_was_in_evaluation_mode():
    trained = trainer()
    trained.model.eval()
    trained.step()
    assert all([module.training for module in trained.model.modules()])


def test_a_batch_that_asks_for_nothing_moves_nothing():
    trained = trainer(settings=replace(SETTINGS, weight_decay=0.0), model=small_model(0.0))
    empty = SmallBatch(np.zeros((2, 3), int), np.full((2, 3), -100))
    trained.objective.batch = lambda step: empty
    before = weights(trained)
    assert trained.step()["loss"] == 0.0
    assert_same_bits(before, weights(trained))


# ---- evaluation ----------------------------------------------------------------------------------


def test_evaluation_leaves_training_alone(tmp_path):
    often, seldom = (trainer(settings=replace(SETTINGS, eval_every=every)) for every in (1, 50))
    often.run(), seldom.run()
    assert_same_bits(weights(often), weights(seldom))


def test_evaluation_weighs_all_held_out_tokens_alike_without_dropout():
    trained = trainer(model=small_model(0.5))
    total, count = 0.0, 0
    with evaluating(trained.model):
        for batch in trained.objective.held_out_batches():
            total += trained.model.next_token_loss(batch.input_ids, batch.targets).item()
            count += (batch.targets != -100).sum()
    trained.model.train()
    assert trained.evaluate()["loss"] == pytest.approx(total / count, rel=1e-6)
    assert trained.model.training


def test_the_mode_is_put_back_after_an_exception():
    trained = trainer()
    frozen = next(module for module in trained.model.modules() if module is not trained.model)
    trained.model.train()
    frozen.eval()
    modes = [module.training for module in trained.model.modules()]
    trained.objective.losses = lambda *arguments: 1 / 0
    with pytest.raises(ZeroDivisionError):
        trained.evaluate()
    assert [module.training for module in trained.model.modules()] == modes
    assert len(set(modes)) == 2


# ---- runs ----------------------------------------------------------------------------------------


def test_ten_and_ten_steps_are_twenty_bit_for_bit(tmp_path):
    straight = trainer(Run.create(tmp_path / "straight"))
    assert straight.run()
    first = trainer(Run.create(tmp_path / "halves"))
    assert first.run(until=10)
    second = trainer(Run(tmp_path / "halves"), model=small_model(seed=99))
    second.resume()
    assert second.steps_done == 10
    assert second.run()
    assert_same_bits(weights(straight), weights(second))
    assert_same_files(tmp_path, "straight", "halves", "latest/model.safetensors", "log.jsonl",
                      "best/model.safetensors", "latest/optimizer.safetensors")
    assert straight.held_out == second.held_out and straight.best == second.best


@pytest.mark.parametrize("stop", [0, 1, 4, 7])
def test_a_run_stopped_anywhere_forgets_what_came_after_its_checkpoint(tmp_path, stop):
    """As after a kill: the log is ahead of the checkpoint, and the tail was cut in a line."""
    straight = trainer(Run.create(tmp_path / "straight"))
    straight.run()
    killed = trainer(Run.create(tmp_path / "killed"))
    killed.run(until=stop)
    for _ in range(2):
        killed.run_folder.log(killed.step())
    with open(killed.run_folder.path / "log.jsonl", "a") as file:
        file.write('{"kind": "step", "st')
    again = trainer(Run(tmp_path / "killed"), model=small_model(seed=99))
    again.resume()
    again.run()
    assert_same_bits(weights(straight), weights(again))
    assert_same_files(tmp_path, "straight", "killed", "log.jsonl")


def test_the_log_holds_every_step_and_evaluation_and_no_clock(tmp_path):
    trained = trainer(Run.create(tmp_path / "run"),
                      samples=lambda model: [f"training={model.training}"])
    trained.run()
    records = trained.run_folder.records()
    assert [r["step"] for r in records if r["kind"] == "step"] == list(range(1, 21))
    assert [r["step"] for r in records if r["kind"] == "eval"] == [0, 5, 10, 15, 20]
    assert [r["lines"] for r in records if r["kind"] == "sample"] == [["training=False"]] * 4
    assert records[0]["settings"]["lr"] == 1e-2
    assert not any(["second" in key or "time" in key for record in records for key in record])
    assert records[1]["loss"] == pytest.approx(np.log(11), abs=0.05), "untrained: ln V"


def test_the_best_checkpoint_is_not_the_latest_even_after_a_resume(tmp_path):
    def scripted(trained, losses):
        remaining = iter(losses)
        trained.evaluate = lambda: {"loss": next(remaining)}
        return trained

    first = scripted(trainer(Run.create(tmp_path / "run")), [3.0, 1.0, 2.0])
    first.run(until=10)
    trained = scripted(trainer(Run(tmp_path / "run")), [1.5, 4.0])
    trained.resume()
    trained.run()
    run = trained.run_folder
    assert run.state("best")["step"] == 5 and run.state("latest")["step"] == 20
    assert trained.best == {"step": 5, "loss": 1.0} == run.state("latest")["best"]
    best, latest = (run.checkpoint(name) / "model.safetensors" for name in ("best", "latest"))
    assert best.read_bytes() != latest.read_bytes()


class Scored(SmallObjective):
    """Chosen by a figure of which more is better: the scripted ones, evaluation by evaluation."""

    metric_for_best_model, greater_is_better = "score", True

    def __init__(self, scores, losses):
        super().__init__()
        self.figures = [{"loss": loss, "score": score} for score, loss in zip(scores, losses)]


def scored(run, scores, losses=(1.0, 1.0, 1.0, 1.0, 1.0), **settings):
    objective = Scored(scores, losses)
    trained = trainer(run, replace(SETTINGS, **settings), objective=objective,
                      model=small_model(seed=len(scores)))
    trained.evaluate = lambda: objective.figures[trained.steps_done // 5]
    return trained


def test_the_objective_says_what_is_best_and_as_good_is_not_better(tmp_path):
    trained = scored(Run.create(tmp_path / "run"), [0.1, 0.7, 0.7, 0.2, 0.6])
    trained.run()
    assert trained.best == {"step": 5, "loss": 1.0, "score": 0.7}
    assert trained.best == trained.run_folder.state("best")["best"]


def test_of_equally_good_ones_the_lower_loss_is_better():
    trained = scored(None, [0.7, 0.7, 0.7, 0.6, 0.7], [3.0, 2.0, 2.5, 1.0, 2.0], patience=3)
    assert trained.run() and trained.best == {"step": 5, "loss": 2.0, "score": 0.7}
    assert trained.steps_done == 20


@pytest.mark.parametrize("scores, patience, steps", [
    ([0.1, 0.7, 0.7, 0.6, 0.9], 2, 15), ([0.1, 0.7, 0.6, 0.9, 0.8], 2, 20),
    ([0.9, 0.7, 0.7, 0.9, 1.0], 3, 15), ([0.1, 0.7, 0.7, 0.6, 0.9], 0, 20),
    ([0.9, 0.1, 0.2, 0.3, 0.4], 1, 5)])
def test_patience_ends_after_so_many_evaluations_without_a_better_one(scores, patience, steps):
    trained = scored(None, scores, patience=patience)
    assert trained.run() and trained.steps_done == steps


@pytest.mark.parametrize("stop", [2, 8, 10, 13])
def test_patience_is_the_same_after_a_kill(tmp_path, stop):
    scores = [0.1, 0.7, 0.7, 0.6, 0.9]
    straight = scored(Run.create(tmp_path / "straight"), scores, patience=2)
    straight.run()
    killed = scored(Run.create(tmp_path / "killed"), scores, patience=2)
    killed.run(until=stop)
    killed.run_folder.log(killed.step())
    again = scored(Run(tmp_path / "killed"), scores, patience=2)
    again.resume()
    assert again.run() and again.steps_done == 15
    assert_same_bits(weights(straight), weights(again))
    assert_same_files(tmp_path, "straight", "killed", "log.jsonl", "best/model.safetensors")
    finished = scored(Run(tmp_path / "killed"), scores, patience=2)
    finished.resume()
    assert finished.run() and finished.steps_done == 15


def test_a_run_from_before_a_setting_existed_goes_on(tmp_path):
    trainer(Run.create(tmp_path / "run")).run(until=3)
    path = tmp_path / "run" / "latest" / "state.json"
    state = json.loads(path.read_text())
    del state["settings"]["patience"], state["settings"]["layer_decay"]
    path.write_text(json.dumps(state))
    again = trainer(Run(tmp_path / "run"))
    again.resume()
    assert again.steps_done == 3
    with pytest.raises(InputError, match="patience is 2, but .* begun with 0"):
        trainer(Run(tmp_path / "run"), settings=replace(SETTINGS, patience=2)).resume()


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_before_the_weights_are_touched(tmp_path, factor):
    trained = trainer(Run.create(tmp_path / "run"), objective=Spoilt(7, factor))
    with pytest.raises(NonFiniteLoss, match=r"step 8: .*latest.*detect_anomaly"):
        trained.run()
    assert trained.steps_done == 7
    assert all([np.isfinite(array).all() for array in weights(trained).values()])
    assert trained.run_folder.state()["step"] == 5


def test_a_gradient_that_is_not_finite_stops_too():
    trained = trainer()
    gradients = trained.gradients

    def spoilt(step):
        record = gradients(step)
        trained.parameters[2].grad.flat[3] = np.nan
        return record

    trained.gradients = spoilt
    before = weights(trained)
    with pytest.raises(NonFiniteLoss, match="step 1: the gradient's norm is nan"):
        trained.step()
    assert_same_bits(before, weights(trained))


def test_ctrl_c_finishes_the_step_saves_and_goes_on_later(tmp_path):
    straight = trainer(Run.create(tmp_path / "straight"))
    straight.run()
    stopped = trainer(Run.create(tmp_path / "stopped"))
    step, handler = stopped.step, signal.getsignal(signal.SIGINT)

    def interrupted():
        if stopped.steps_done == 7:
            os.kill(os.getpid(), signal.SIGINT)
        return step()

    stopped.step = interrupted
    assert stopped.run() is False
    assert stopped.run_folder.state()["step"] == 8
    assert signal.getsignal(signal.SIGINT) is handler
    again = trainer(Run(tmp_path / "stopped"), model=small_model(seed=99))
    again.resume()
    assert again.run() is True
    assert_same_bits(weights(straight), weights(again))
    assert_same_files(tmp_path, "straight", "stopped", "log.jsonl")


def test_resuming_refuses_other_settings_and_another_model(tmp_path):
    trainer(Run.create(tmp_path / "run")).run(until=3)
    other = trainer(Run(tmp_path / "run"), settings=replace(SETTINGS, lr=0.5))
    with pytest.raises(InputError, match="lr is 0.5, but .* begun with 0.01"):
        other.resume()
    with pytest.raises(InputError, match="no checkpoint"):
        trainer(Run(tmp_path / "nothing")).resume()
    longer = trainer(Run(tmp_path / "run"), settings=replace(SETTINGS, steps=25))
    longer.resume()
    assert longer.run() and longer.steps_done == 25


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    trained = trainer(Run.create(tmp_path / "run"))
    trained.run(until=5)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("minibert.training.checkpoint.save_file", full)
    with pytest.raises(OSError):
        trained.run()
    assert sorted(os.listdir(trained.run_folder.path)) == ["best", "latest", "log.jsonl"]
    monkeypatch.undo()
    again = trainer(Run(tmp_path / "run"))
    again.resume()
    assert again.steps_done == 5


def test_the_summary_adds_up_over_a_resume(tmp_path):
    trained = trainer(Run.create(tmp_path / "run"), about={"corpus": "numbers"})
    trained.run(until=10)
    again = trainer(Run(tmp_path / "run"))
    again.resume()
    again.run()
    summary = again.summary()
    assert again.tokens == 20 * 3 * 7 and summary["steps"] == 20
    assert summary["held_out"] == again.evaluate()
    assert again.seconds > trained.seconds > 0 and summary["tokens_per_second"] > 0
    assert trained.summary()["about"] == {"corpus": "numbers"}


@pytest.mark.parametrize("wrong", [
    {"steps": 0}, {"lr": 0.0}, {"lr": -1.0}, {"lr": float("nan")}, {"lr": float("inf")},
    {"min_lr": 1.0},
    {"warmup": -1}, {"schedule": "sine"}, {"weight_decay": -0.1}, {"betas": (0.9, 1.0)},
    {"eps": 0.0},
    {"clip": -1.0}, {"accumulate": 0}, {"eval_every": -1}, {"seed": -1}, {"patience": -1},
    {"layer_decay": 0.0}, {"layer_decay": 1.1}, {"patience": 1, "eval_every": 0},
    {"steps": "10"}, {"steps": 10.0}, {"steps": True}, {"lr": "fast"}, {"lr": None}, {"betas": 0.9},
    {"schedule": 3}, {"clip": float("inf")}, {"betas": (0.9,)}, {"betas": (0.9, 0.99, 0.999)},
    {"betas": "ab"}, {"betas": ("a", "b")}, {"min_lr": -0.1}, {"min_lr": float("nan")},
    {"optimizer": "sgd"}, {"workers": 0}, {"workers": 100_000}, {"steps": 10 ** 5000}])
def test_settings_out_of_range_are_named(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        TrainingSettings(**wrong)


def test_an_evaluation_that_is_not_finite_leaves_the_last_good_checkpoint(tmp_path):
    trained = trainer(Run.create(tmp_path / "run"))
    evaluate = trained.evaluate
    trained.evaluate = lambda: evaluate() | ({"loss": math.nan} if trained.steps_done == 10 else {})
    with pytest.raises(NonFiniteLoss, match="step 10: the held-out loss is nan: .*latest"):
        trained.run()
    assert trained.run_folder.state()["step"] == 5
    assert [r["step"] for r in trained.run_folder.records() if r["kind"] == "eval"] == [0, 5]


def test_settings_may_be_numpys_numbers(tmp_path):
    settings = replace(SETTINGS, steps=np.int64(2), lr=np.float32(0.5), seed=np.uint8(3))
    assert [type(n) for n in (settings.steps, settings.lr, settings.seed)] == [int, float, int]
    trained = trainer(Run.create(tmp_path / "run"), settings)
    assert trained.run() and trained.run_folder.state()["settings"]["seed"] == 3


def test_a_run_that_is_evaluated_at_its_end_only_needs_no_patience():
    assert TrainingSettings(eval_every=0).patience == 0
