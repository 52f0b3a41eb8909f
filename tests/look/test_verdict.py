"""The verdict: a sentence where the figures support it, and none where they do not."""

import pytest
from tests.look.small_runs import SETTINGS, falling, records, write_run

from minibert.look.history import read_histories
from minibert.look.verdict import verdict


@pytest.fixture
def said(tmp_path):
    """said(losses, held_out, ...) -> {sentence: kind} about such a run."""
    def of(losses, held_out, norms=(0.5,), settings=SETTINGS, **summary):
        run = write_run(tmp_path / "run", records(losses, held_out, settings, norms), **summary)
        [history] = read_histories([run])
        return {text: kind for kind, text in verdict(history)}

    return of


def kinds(found, words):
    return [kind for text, kind in found.items() if words in text]


def test_a_training_that_went_well(said):
    found = said(falling(), {0: 4.25, 10: 2.9, 20: 1.9, 40: 1.25}, norms=(0.5, 2.0))
    assert list(found.items()) == [
        ("Finished after 40 steps.", "fact"),
        ("Starts at 4.25 on the held-out text, at 4.20 on the first batch; ln V is 4.00: as an "
         "untrained model should.", "good"),
        ("Below counting words (3.00) at every evaluation since step 10.", "good"),
        ("Below counting pairs of words (2.00) at every evaluation since step 20.", "good"),
        ("0.250 +- 0.010 above the best possible (1.000) at the end.", "fact"),
        ("The gradient's norm was cut to 1.0 in 50% of the steps (4% to 100% in healthy runs).",
         "fact")]


@pytest.mark.parametrize("held_out, batch, kind, words", [
    (5.5, 4.2, "good", "as an untrained"), (4.2, 5.5, "good", "as an untrained"),
    (5.5, 5.5, "warning", "too wide"), (2.5, 2.5, "warning", "no untrained model"),
    (2.5, 4.0, "good", "as an untrained")])
def test_the_start_is_judged_by_the_evaluation_and_the_first_batch(said, held_out, batch, kind,
                                                                   words):
    found = said([batch, *falling(39)], {0: held_out, 40: 1.25})
    assert kinds(found, words) == [kind]


def test_a_training_that_goes_on_with_a_model_may_start_anywhere(said):
    found = said(falling(first=2.0), {0: 2.0, 40: 1.25}, about={"model": "gpt", "from": "other"})
    assert kinds(found, "goes on with a trained model") == ["fact"]


def test_below_counts_only_from_where_it_stays_below(said):
    found = said(falling(), {0: 4.2, 10: 2.9, 20: 3.1, 30: 2.9, 40: 2.8})
    assert kinds(found, "Below counting words (3.00) at every evaluation since step 30") == ["good"]
    assert kinds(found, "Not below counting pairs of words (2.00): ends at 2.80.") == ["warning"]


def test_too_slow_is_told_from_stuck(said, tmp_path):
    assert kinds(said(falling(last=4.1), {0: 4.2, 40: 4.1}), "8% of the way") == ["warning"]
    (tmp_path / "run").rename(tmp_path / "slow")
    assert kinds(said(falling(last=3.1), {0: 4.2, 40: 3.1}), "of the way") == []


@pytest.mark.parametrize("end, train, expected", [
    (2.5, 0.5, ["warning"]), (1.95, 0.5, []), (2.5, 2.7, [])])
def test_learning_by_heart_is_a_held_out_loss_that_rises_while_the_other_falls(said, end, train,
                                                                              expected):
    losses = falling(20, last=2.0) + falling(20, first=2.0, last=train)
    found = said(losses, {0: 4.2, 20: 1.9, 40: end})
    assert kinds(found, "Overfits: since step 20") == expected
    both = kinds(found, "Since step 20 the held-out loss rose from 1.90 to 2.50, the training loss")
    assert both == (["warning"] if train > 2 else [])


def test_a_loss_above_the_start_has_diverged(said):
    found = said(falling(last=9.0), {0: 4.2, 40: 9.0})
    assert kinds(found, "Diverged: the training loss began at 4.20") == ["warning"]
    assert kinds(found, "learning rate (it was up to 0.01)") == ["warning"]
    assert kinds(found, "Not below") == []


def test_a_noisy_training_loss_alone_is_no_divergence(said):
    found = said([0.6, 0.8, 0.6, 0.8], {0: 0.76, 4: 0.69}, baselines={}, oracle=None)
    assert kinds(found, "Diverged") == []


def test_a_training_without_a_later_evaluation_may_have_diverged(said):
    assert kinds(said(falling(last=9.0), {0: 4.2}), "Diverged") == ["warning"]


def test_a_run_that_is_not_finished_says_how_far_it_is(said):
    found = said(falling(12), {0: 4.2}, steps=None)
    assert kinds(found, "Not finished: 12 of 40 steps") == ["fact"]
    assert kinds(found, "ln V") == [] and kinds(found, "possible (") == []


def test_without_clipping_nothing_was_cut(said):
    found = said(falling(), {0: 4.2, 40: 1.2}, settings={"steps": 40, "lr": 0.01, "clip": 0})
    assert kinds(found, "was cut") == []
