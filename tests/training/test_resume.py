"""The way back from a checkpoint: all that it restores, and what it refuses."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.training.kills import SETTINGS, names, trainer
from tests.training.small_objective import SmallObjective, small_model

from minibert.checkpoints.safetensors import load_file, save_file
from minibert.errors import InputError
from minibert.training.run_folder import Run
from minibert.training.trainer import Trainer


@pytest.fixture
def run(tmp_path):
    """A run that was stopped at step 4 of 6, with evaluations at 0, 2 and 4."""
    trainer(Run.create(tmp_path / "run")).run(until=4)
    return Run(tmp_path / "run")


def change_state(run: Run, **changes) -> None:
    path = run.path / "latest" / "state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def change_arrays(run: Run, file: str, change) -> None:
    path = run.path / "latest" / file
    arrays = {name: array.copy() for name, array in load_file(path).items()}
    change(arrays)
    save_file(arrays, path)


def contents(run: Run) -> dict:
    return {name: (run.path / name).read_bytes() for name in names(run.path)
            if (run.path / name).is_file()}


def refused(run: Run, words: str, **settings) -> None:
    """A resume is refused with these words, and no file is changed."""
    before = contents(run)
    with pytest.raises(InputError, match=words):
        Trainer(small_model(seed=9), SmallObjective(), replace(SETTINGS, **settings),
                run=run).resume()
    assert contents(run) == before


# ---- what comes back -----------------------------------------------------------------------------


def test_a_resume_restores_all_that_a_trainer_knows(tmp_path):
    first = trainer(Run.create(tmp_path / "run"))
    first.run(until=4)
    again = trainer(Run(tmp_path / "run"), model_seed=9)
    again.resume()
    state = first.run_folder.state()
    assert again.held_out == first.held_out == state["held_out"] and again.held_out["loss"] > 0
    assert again.best == first.best and again.best["step"] == 4
    assert again.tokens == first.tokens == 4 * 3 * 7
    assert (again.seconds, again.step_seconds) == (state["seconds"], state["step_seconds"])
    assert 0 < again.step_seconds <= first.step_seconds
    assert again.steps_done == again.steps_saved == 4
    assert again.learning_rate(4) == first.learning_rate(4)
    ours, theirs = (t.optimizer.state_dict() for t in (again, first))
    assert ours["param_groups"][0]["betas"] == theirs["param_groups"][0]["betas"]
    for i, entry in theirs["state"].items():
        assert ours["state"][i]["step"] == entry["step"] == 4
        for moment in again.optimizer.moment_names:
            assert np.array_equal(ours["state"][i][moment], entry[moment])
    again.run_folder.release()


def test_a_finished_run_is_not_written_again(run):
    again = trainer(run)
    again.resume()
    again.run()
    before = contents(run)
    last = trainer(run)
    last.resume()
    assert last.run() and contents(run) == before


def test_evaluations_that_do_not_divide_the_steps(tmp_path):
    for name, stop in (("straight", None), ("halves", 5)):
        run = Run.create(tmp_path / name)
        settings = replace(SETTINGS, steps=7, eval_every=3)
        Trainer(small_model(), SmallObjective(), settings, run=run).run(until=stop)
        again = Trainer(small_model(seed=9), SmallObjective(), settings, run=run)
        again.resume()
        again.run()
        evaluations = [r["step"] for r in run.records() if r["kind"] == "eval"]
        assert evaluations == [0, 3, 6, 7]
    logs = [(tmp_path / name / "log.jsonl").read_bytes() for name in ("straight", "halves")]
    assert logs[0] == logs[1]


def test_no_evaluation_on_the_way_gives_one_at_the_end(tmp_path):
    run = Run.create(tmp_path / "run")
    Trainer(small_model(), SmallObjective(), replace(SETTINGS, eval_every=0), run=run).run()
    assert [r["step"] for r in run.records() if r["kind"] == "eval"] == [0, 6]


def test_steps_made_by_hand_and_saved_are_resumed(tmp_path):
    by_hand = trainer(Run.create(tmp_path / "run"))
    for _ in range(3):
        by_hand.step()
    by_hand.save()
    assert by_hand.summary()["tokens_per_second"] == 0, "no time was measured"
    again = trainer(by_hand.run_folder, model_seed=9)
    again.resume()
    assert again.steps_done == 3 and np.array_equal(again.parameters[0].data,
                                                    by_hand.parameters[0].data)
    again.run_folder.release()


def test_a_step_needs_no_run_folder():
    by_hand = Trainer(small_model(), SmallObjective())
    record = by_hand.step()
    assert list(record) == ["kind", "step", "loss", "lr", "grad_norm"] and record["step"] == 1


def test_double_after_a_step_keeps_the_moments():
    """The parameters are laid out anew; steps and moments go with them."""
    single, plain = trainer(), trainer()
    single.step(), plain.step()
    single.model.double()
    first = plain.optimizer.state_dict()["state"]
    for _ in range(2):
        single.step(), plain.step()
    state = single.optimizer.state_dict()["state"]
    assert len(state) == len(first) > 0
    for i, entry in state.items():
        assert entry["step"] == 3 and entry["exp_avg"].dtype == np.float64
    for a, b in zip(single.parameters, plain.parameters):
        assert a.data.dtype == np.float64
        np.testing.assert_allclose(a.data, b.data, rtol=1e-3, atol=1e-5)


# ---- what is refused -----------------------------------------------------------------------------


def test_fewer_steps_than_were_made(run):
    refused(run, "steps = 3, but the run in .* has made 4", steps=3)
    again = Trainer(small_model(), SmallObjective(), replace(SETTINGS, steps=4), run=run)
    again.resume()
    assert again.run() and again.steps_done == 4


@pytest.mark.parametrize("changes, words", [
    ({"step": 3}, "step = 3, but optimizer.safetensors holds 4 steps and log.jsonl 4"),
    ({"step": 5}, "step = 5, but"), ({"step": 0}, "step = 0, but"),
    ({"log_bytes": 0}, "log_bytes = 0, but step 1 stands behind"),
    ({"best": {"step": 5, "loss": 1.0}}, "best = .* expected a step up to 4 and its loss"),
    ({"step": -1}, "step = -1"), ({"step": 2 ** 60}, "step = "), ({"step": True}, "step = True"),
    ({"seconds": -1.0}, "seconds = -1.0"), ({"tokens": 1.5}, "tokens = 1.5"),
    ({"step_seconds": float("nan")}, "step_seconds = nan"),
    ({"log_bytes": -1}, "log_bytes = -1"),
    ({"best": {}}, "no step in it"), ({"best": {"step": 1, "loss": "x"}}, "best: 'loss' = 'x'"),
    ({"held_out": {"loss": [1]}}, "held_out: 'loss' = "),
    ({"held_out": {"loss": 1.0, "accuracy": 1e300}}, "held_out: 'accuracy' = 1e\\+300"),
    ({"about": [[[]]]}, "about = ")])
def test_a_state_that_contradicts_itself_or_the_other_files(run, changes, words):
    change_state(run, **changes)
    refused(run, f"state.json: .*{words}")


def test_a_length_of_the_log_that_would_lose_steps(run):
    lines = (run.path / "log.jsonl").read_bytes().splitlines(keepends=True)
    change_state(run, log_bytes=sum(map(len, lines[:-3])))
    refused(run, "log_bytes = .* step 3 stands behind them")


BIAS = "transformer.stack.blocks.0.attention.output.bias"


@pytest.mark.parametrize("change, words", [
    (lambda a: a.update({f"step.{BIAS}": np.array(5)}), "holds 5 steps"),
    (lambda a: a.update({f"step.{BIAS}": np.array(0)}), "whole number from 1"),
    (lambda a: a.update({f"step.{BIAS}": np.array([4])}), "whole number from 1"),
    (lambda a: a.update({f"step.{BIAS}": np.array(4.0)}), "whole number from 1"),
    (lambda a: a[f"exp_avg.{BIAS}"].put(0, np.nan), "output.bias holds NaN"),
    (lambda a: a[f"exp_avg_sq.{BIAS}"].fill(np.inf), "or an infinity"),
    (lambda a: a.update({f"exp_avg.{BIAS}": np.zeros(5, np.float32)}), "shape"),
    (lambda a: a.pop(f"exp_avg.{BIAS}"), "other parameters")])
def test_moments_that_cannot_be(run, change, words):
    change_arrays(run, "optimizer.safetensors", change)
    refused(run, words)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(run, value):
    def change(arrays):
        next(iter(arrays.values())).flat[2] = value

    change_arrays(run, "model.safetensors", change)
    refused(run, "model.safetensors: .* holds NaN or an infinity")


def test_what_is_no_model_and_what_are_no_settings():
    with pytest.raises(InputError, match="settings is a dict: expected TrainingSettings"):
        Trainer(small_model(), SmallObjective(), {"steps": 3})
    with pytest.raises(InputError, match="model is a str"):
        Trainer("bert", SmallObjective())


def test_a_best_evaluation_without_its_metric(run, monkeypatch):
    monkeypatch.setattr(SmallObjective, "metric_for_best_model", "accuracy")
    refused(run, "expected a step up to 4 and its accuracy")


def test_a_model_that_is_frozen_whole_is_not_walked_back():
    model = small_model()
    model.freeze()
    before = {name: array.copy() for name, array in model.state_dict().items()}
    assert np.isfinite(Trainer(model, SmallObjective()).step()["loss"])
    assert all(np.array_equal(array, before[name]) for name, array in model.state_dict().items())
