"""A run's history: every number from its log and summary, and what is refused."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.look.small_runs import BASELINES, SETTINGS, falling, records, write_run

from minibert.errors import InputError
from minibert.look.history import MOST_BINS, bins_of, read_histories

HELD_OUT = {0: 4.1, 20: 2.5, 40: 1.25}


def history(folder):
    [found] = read_histories([folder])
    return found


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=MOST_BINS * 3 + 1))
def test_a_bin_holds_the_extremes_and_the_mean_of_all_its_steps(values):
    steps = np.arange(len(values)) + 1
    bins = bins_of(steps, values)
    assert len(bins["mean"]) <= MOST_BINS and bins["last"][-1] == len(values)
    assert list(bins["first"][1:]) == list(bins["last"][:-1] + 1) and bins["first"][0] == 1
    for i, (first, last) in enumerate(zip(bins["first"], bins["last"])):
        inside = values[first - 1:last]
        assert bins["low"][i] == min(inside) and bins["high"][i] == max(inside)
        assert bins["mean"][i] == pytest.approx(sum(inside) / len(inside), abs=1e-9)


def test_all_figures_of_a_finished_run(tmp_path):
    losses = falling()
    found = history(write_run(tmp_path / "a", records(losses, HELD_OUT, norms=(0.5, 0.5, 2.0))))
    loss, lr, grad_norm = found["charts"]
    assert loss["bins"]["mean"].tolist() == losses
    assert loss["dots"] == [[0, 4.1], [20, 2.5], [40, 1.25]]
    assert [line["value"] for line in loss["lines"]] == [4.0, 3.0, 2.0, 1.0]
    assert [line["key"] for line in loss["lines"]] == [*BASELINES, "oracle"]
    assert lr["lines"] == [] and grad_norm["lines"][0]["value"] == 1.0
    assert found["clipped"] == 13 / 40 and found["finished"] and found["name"] == "a"
    assert found["samples"][-1] == {"step": 40, "lines": ["text of step 40"]}


def test_bert_has_a_chart_for_each_part_and_its_baselines_are_about_masked_words(tmp_path):
    log = records(falling(4), {0: 4.0, 4: 1.25})
    for record in log[1:]:
        if record["kind"] in ("step", "eval"):
            record |= {"mlm_loss": record["loss"] - 0.5, "nsp_loss": 0.5, "loss": record["loss"]}
        if record["kind"] == "eval":
            record["nsp_accuracy"] = 0.75
    run = write_run(tmp_path / "a", log, baselines={"uniform": 4.0, "nsp_accuracy": 0.5},
                    oracle={"mlm_loss": 0.5, "nsp_accuracy": 0.9, "gap": 0.1,
                            "gap_standard_error": 0.01})
    charts = {chart["key"]: chart for chart in history(run)["charts"]}
    assert list(charts) == ["mlm_loss", "nsp_loss", "nsp_accuracy", "lr", "grad_norm"]
    values = {key: [round(line["value"], 4) for line in chart["lines"]]
              for key, chart in charts.items()}
    assert values["mlm_loss"] == [4.0, 0.5] and values["nsp_accuracy"] == [0.9, 0.5]
    assert values["nsp_loss"] == [0.6931] and charts["nsp_accuracy"]["bins"] is None


def test_without_a_summary_there_are_the_curves_alone(tmp_path):
    found = history(write_run(tmp_path / "a", records(falling(), HELD_OUT), steps=None))
    assert not found["finished"] and found["oracle"] is None and found["charts"][0]["lines"] == []


def test_a_summary_of_fewer_steps_keeps_its_baselines_but_not_its_distance(tmp_path):
    found = history(write_run(tmp_path / "a", records(falling(), HELD_OUT), steps=20))
    assert not found["finished"] and found["oracle"] is None
    assert len(found["charts"][0]["lines"]) == 4


def test_a_log_cut_off_in_a_line_is_read_up_to_it(tmp_path):
    run = write_run(tmp_path / "a", records(falling(), HELD_OUT))
    whole = (run / "log.jsonl").read_bytes()
    (run / "log.jsonl").write_bytes(whole[:whole.index(b'"step": 31,') + 5])
    assert history(run)["steps_done"] == 30


def changed(log, at, **changes):
    return [{**record, **changes} if record.get("step") == at and record["kind"] == "step"
            else record for record in log]


LOG = records(falling(), HELD_OUT)
FILM = {"kind": "film", "step": 40, "tokens": ["a"], "words": ["b"], "attention": {}, "vectors": {}}


@pytest.mark.parametrize("log, words", [
    (records([], {0: 4.0}), "no finished step yet"),
    (changed(LOG, 5, step=4), "step at step 4 stands behind step 4"),
    (changed(LOG, 5, loss=float("nan")), "loss"),
    (changed(LOG, 5, grad_norm="large"), "grad_norm of step 5"),
    (changed(LOG, 5, lr=None), "lr of step 5"),
    ([{**record} if record.get("step") != 7 else {k: v for k, v in record.items() if k != "lr"}
      for record in LOG], "1 of 40 steps have no lr"),
    ([LOG[0] | {"settings": SETTINGS | {"clip": -1}}, *LOG[1:]], "clip"),
    ([LOG[0] | {"settings": SETTINGS | {"steps": 39}}, *LOG[1:]], "steps"),
    ([LOG[0] | {"settings": []}, *LOG[1:]], "line 1"),
    ([LOG[0] | {"settings": SETTINGS | {"lr": "\ud800"}}, *LOG[1:]], "lr"),
    ([*LOG, {"kind": "sample", "step": 40, "lines": "text"}], "lines = 'text'"),
    ([*LOG, {"kind": "sample", "step": 40, "lines": ["a", 1]}], "a part of lines = 1"),
    ([*LOG, {"kind": "sample", "lines": []}], "no step"),
    ([*LOG, FILM | {"tokens": ["a", 1]}], "a part of tokens = 1"),
    ([*LOG, FILM | {"words": "b"}], "words = 'b'"),
    ([*LOG, FILM], "expected a shape"),
    ([*LOG, {"kind": "eval", "step": 20, "loss": 1.0}], "eval at step 20"),
])
def test_a_damaged_log_is_refused_by_name(tmp_path, log, words):
    run = write_run(tmp_path / "a", log)
    with pytest.raises(InputError, match=words) as error:
        history(run)
    assert "log.jsonl" in str(error.value)


def test_a_damaged_summary_is_refused(tmp_path):
    run = write_run(tmp_path / "a", LOG, baselines=[])
    with pytest.raises(InputError, match="summary.json"):
        history(run)


def test_a_folder_without_a_run(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match="expected a run"):
            read_histories([folder])


def test_several_runs_get_names_that_differ(tmp_path):
    for name in ("x/bert", "x/gpt", "y/gpt", "z/gpt"):
        write_run(tmp_path / name, LOG)
    assert [one["name"] for one in read_histories([tmp_path / "x"])] == ["bert", "gpt"]
    names = [one["name"] for one in read_histories([tmp_path / "x", tmp_path / "y" / "gpt"])]
    assert names == ["x/bert", "x/gpt", "y/gpt"]
    with pytest.raises(InputError, match="given twice"):
        read_histories([tmp_path / "x" / "gpt", tmp_path / "x"])
    with pytest.raises(InputError, match="at most 4"):
        read_histories([tmp_path / "x", tmp_path / "x", tmp_path / "y" / "gpt"])


def test_bert_without_the_next_sentence_has_one_chart_of_its_loss(tmp_path):
    log = [record | {"mlm_loss": record["loss"]} if record["kind"] == "eval" else record
           for record in records(falling(), HELD_OUT)]
    log[0]["objective"] = "bert"
    found = history(write_run(tmp_path / "a", log, oracle=None))
    assert [chart["key"] for chart in found["charts"]] == ["loss", "lr", "grad_norm"]
    assert found["charts"][0]["title"] == "Loss on masked words"
    assert [line["value"] for line in found["charts"][0]["lines"]] == [4.0, 3.0, 2.0]


@pytest.mark.parametrize("loss", [0.0, -1.0])
def test_losses_that_have_no_logarithm_stay_on_a_linear_scale(tmp_path, loss):
    run = write_run(tmp_path / "a", records([loss, 100.0], {0: loss}, norms=(0.0,)))
    assert [chart["scale"] for chart in history(run)["charts"]] == ["linear"] * 3


def add_checkpoint(run, **settings):
    """latest/ of a run, as far as a history reads it."""
    (run / "latest").mkdir()
    (run / "latest" / "config.json").write_text('{"vocab_size": 50}')
    state = {"schema": "minibert.state.1", "step": 40, "settings": SETTINGS | settings,
             "about": {"model": "gpt"}, "best": None, "held_out": {}, "log_bytes": 0, "seconds": 0,
             "step_seconds": 0, "tokens": 0}
    (run / "latest" / "state.json").write_text(json.dumps(state))


def test_ln_v_comes_from_the_config_of_a_run_that_has_not_ended(tmp_path):
    run = write_run(tmp_path / "a", LOG, steps=None)
    add_checkpoint(run)
    [line] = history(run)["charts"][0]["lines"]
    assert line["value"] == pytest.approx(np.log(50)) and "ln V" in line["label"]


def test_a_run_that_was_resumed_to_more_steps(tmp_path):
    run = write_run(tmp_path / "a", records(falling(50), HELD_OUT), steps=40)
    add_checkpoint(run, steps=60)
    found = history(run)
    assert found["steps_done"] == 50 and found["settings"]["steps"] == 60
