"""Classification and regression: labels, windows put together, weights, baselines, files."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.finetuning.small_tasks import (TOKENIZER, bert_config, classification, gpt2_config,
                                          reading, sentences, small)

from minibert.errors import InputError
from minibert.finetuning.build_model import config_changes, fresh_model, head_class
from minibert.finetuning.examples import SentenceExample
from minibert.finetuning.labels import balanced_weights, class_names, format_counts, most_frequent
from minibert.finetuning.objective import FineTuningObjective
from minibert.finetuning.tasks.base import predict
from minibert.finetuning.tasks.sentences import Classification, Regression
from minibert.models.architectures import BERT, GPT
from minibert.training.trainer import Trainer, TrainingSettings

LONG = "a b c d e a b c d e a a b c a b d"  # 17 tokens: 10 in a window, 2 of them shared


def test_a_long_text_has_windows_that_share_the_overlap():
    rows = classification().rows([SentenceExample(LONG, label="pos"), SentenceExample("a")])
    texts = [TOKENIZER.decode(row.ids[1:-1]) for row in rows]
    assert texts == ["a b c d e a b c d e", "d e a a b c a b d", "a"]
    assert [row.example for row in rows] == [0, 0, 1]
    assert [row.label for row in rows] == [1, 1, None]


def test_a_prediction_is_the_mean_over_the_windows_or_their_vote():
    task = classification()
    model = small(task).eval()
    examples = [SentenceExample(LONG), SentenceExample("b a")]
    by_hand = []
    for row in task.rows(examples):
        logits = model(**task.batch([row]).inputs()).logits.data[0]
        by_hand.append(np.exp(logits) / np.exp(logits).sum())
    predicted = predict(task, model.train(), examples)
    np.testing.assert_allclose(predicted, [np.mean(by_hand[:2], axis=0), by_hand[2]], rtol=1e-12)
    assert model.training, "the mode is put back"
    votes = np.eye(2)[np.argmax(by_hand, axis=1)]
    expected = [(votes[0] + votes[1] + predicted[0]) / 3, (votes[2] + predicted[1]) / 2]
    np.testing.assert_allclose(predict(classification(vote=True), model, examples), expected)


@given(seed=st.integers(0, 99))
def test_predictions_stand_in_the_order_of_the_examples(seed):
    rng = np.random.default_rng(seed)
    task = classification()
    examples = [SentenceExample(" ".join(rng.choice(list("abcde"), size=rng.integers(1, 20))))
                for _ in range(40)]
    model = small(task)
    together = predict(task, model, examples)
    for i in (0, 17, 39):
        [alone] = predict(task, model, examples[i:i + 1])
        np.testing.assert_allclose(together[i], alone, rtol=1e-9)


def test_pairs_are_read_as_pairs_and_their_order_matters():
    task = classification(name="pair")
    [row] = task.rows([SentenceExample("a b", "c", "pos")])
    assert TOKENIZER.convert_ids_to_tokens(row.ids) == "[CLS] a b [SEP] c [SEP]".split()
    assert row.types == [0, 0, 0, 0, 1, 1] and row.note == ""
    [cut] = task.rows([SentenceExample(LONG, LONG, "pos")])
    assert len(cut) == 12 and cut.note
    model = small(task)
    one, other = predict(task, model, [SentenceExample("a b", "c"), SentenceExample("c", "a b")])
    assert not np.allclose(one, other)


def test_labels_that_are_not_known_are_named():
    with pytest.raises(InputError, match="dev.tsv, line 4: the label 'so-so' did not occur in "
                                         "training, which had 'neg', 'pos'"):
        classification().rows([SentenceExample("a", label="so-so", where="dev.tsv, line 4")])
    with pytest.raises(InputError, match="train.tsv: 'pos' is the only class"):
        class_names(["pos", "pos"], "train.tsv")
    assert class_names(["10", "9", "9"]) == ("9", "10") and class_names("ba") == ("a", "b")
    assert class_names(["b", "10", "9"]) == ("10", "9", "b")  # not all of them are numbers
    equal = tuple("0" * k + "7" for k in range(16, -1, -1))  # as numbers; not in a set's order
    assert class_names(equal) == equal
    assert most_frequent(["b", "a", "c", "b", "a"]) == "a"
    assert format_counts(["b", "a", "b"]) == "b 2 (66.7%), a 1 (33.3%)"
    assert format_counts(list("abc"), most=1) == "a 1 (33.3%) and 2 more"
    assert format_counts("aab", most=2) == "a 2 (66.7%), b 1 (33.3%)"


@given(labels=st.lists(st.sampled_from("abc"), min_size=1, max_size=30))
def test_balanced_classes_count_alike(labels):
    weights = balanced_weights(labels, "abc")
    sums = [labels.count(name) * weight for name, weight in zip("abc", weights) if name in labels]
    np.testing.assert_allclose(sums, len(labels) / 3, rtol=1e-6)


def test_figures_and_details_of_a_classification():
    task = classification()
    examples = [SentenceExample("a", label=label) for label in ("neg", "neg", "neg", "pos")]
    predictions = [np.array([p, 1 - p]) for p in (0.9, 0.6, 0.2, 0.3)]
    figures = task.compute_metrics(examples, predictions)
    assert figures["accuracy"] == 0.75 and figures["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)
    assert figures["matthews"] == pytest.approx((4 * 3 - (3 * 2 + 1 * 2)) / np.sqrt(6 * 8))
    details = task.details(examples, predictions)
    assert details["confusion"] == [[2, 1], [0, 1]]
    assert details["per_class"]["neg"] == {"precision": 1.0, "recall": pytest.approx(2 / 3),
                                           "f1": 0.8, "support": 3}
    assert task.fit_baseline(examples) == "neg"
    majority = task.predict_baseline("neg", examples)
    assert task.compute_metrics(examples, majority)["accuracy"] == 0.75
    written = task.format_predictions(examples, predictions)
    lines = [json.loads(line) for line in written.splitlines()]
    assert [line["label"] for line in lines] == ["neg", "neg", "pos", "pos"]
    assert lines[0]["probabilities"] == {"neg": 0.9, "pos": 0.1}
    assert task.fit_baseline(examples[2:] + examples[3:]) == "pos"  # in any order
    minority = task.predict_baseline("pos", examples)
    assert task.compute_metrics(examples, minority)["accuracy"] == 0.25
    assert task.describe("dev", examples[2:]) == "classes in dev: neg 1 (50.0%), pos 1 (50.0%)"
    assert task.show(task.rows(examples)[3]) == "[CLS] a [SEP]\n  -> pos"


def test_what_is_written_has_six_decimals_and_names_as_they_are():
    task = Classification(reading(), ("坏", "好"))
    text = task.format_predictions([SentenceExample("a")], [np.array([1 / 3, 2 / 3])])
    assert text == '{"label": "好", "probabilities": {"坏": 0.333333, "好": 0.666667}}\n'


def test_regression():
    task = Regression(reading())
    examples = [SentenceExample(text, label=label) for text, label in
                (("a", 1.0), ("b", 2.0), ("c", 4.5))]
    figures = task.compute_metrics(examples, [2.0, 4.0, 9.0])
    assert figures == {"pearson": pytest.approx(1), "spearman": pytest.approx(1),
                       "mean_squared_error": pytest.approx((1 + 4 + 4.5 ** 2) / 3)}
    curved = task.compute_metrics(examples, [1.0, 2.0, 100.0])
    assert curved["spearman"] == pytest.approx(1) and curved["pearson"] < 0.97
    assert task.describe("dev", examples[1:]) == \
        "numbers in dev: 2 to 4.5, mean 3.25, standard deviation 1.25"
    assert task.fit_baseline(examples) == 2.5
    assert task.compute_metrics(examples, task.predict_baseline(2.5, examples))["pearson"] == 0
    model = small(task).eval()
    batch = task.batch(task.rows(examples))
    outputs = model(**batch.inputs())
    expected = ((outputs.logits.data[:, 0] - [1, 2, 4.5]) ** 2).sum()
    assert task.loss(outputs, batch.labels).item() == pytest.approx(expected)
    [long] = predict(task, model, [SentenceExample(LONG)])
    windows = [model(**task.batch([row]).inputs()).logits.data[0, 0]
               for row in task.rows([SentenceExample(LONG)])]
    assert len(windows) == 2 and long == pytest.approx(np.mean(windows))
    written = task.format_predictions(examples, [0.5, 1.5, 2.5])
    assert json.loads(written.splitlines()[1]) == {"label": 1.5}


@pytest.mark.parametrize("left_to_right", [False, True])
def test_a_tiny_model_learns_which_letter_is_more_frequent(left_to_right):
    rng = np.random.default_rng(0)
    task = classification(left_to_right=left_to_right)
    config = (gpt2_config(resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0) if left_to_right else
              bert_config(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0))
    config = replace(config, initializer_range=0.3)
    objective = FineTuningObjective(task, sentences(300, rng), sentences(100, rng), 16)
    trainer = Trainer(fresh_model(task, config), objective, TrainingSettings(
        steps=150, lr=1e-2, warmup=5, schedule="linear", eval_every=50))
    trainer.run()
    assert trainer.best["accuracy"] > 0.9


def test_a_dropout_of_its_own_reaches_all_places_also_one_of_0():
    for left_to_right, architecture, names in (
            (False, BERT, ("hidden_dropout_prob", "attention_probs_dropout_prob")),
            (True, GPT, ("resid_pdrop", "embd_pdrop", "attn_pdrop"))):
        task = classification(left_to_right=left_to_right)
        for p in (0.0, 0.3):
            changes = config_changes(task, architecture, p)
            assert [changes.pop(name) for name in names] == [p] * len(names)
            assert changes == config_changes(task, architecture)


def test_a_gpt_has_a_head_for_sentences_only():
    assert head_class("pair", GPT).__name__ == "GPT2ForSequenceClassification"
    with pytest.raises(InputError, match="for classify and pair only: give a BERT for tag"):
        head_class("tag", GPT)
