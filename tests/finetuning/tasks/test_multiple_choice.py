"""Endings side by side: rows, shapes, loss, shares."""

import json

import numpy as np
import pytest
from tests.finetuning.small_tasks import TOKENIZER, bert_config, reading, small

from minibert.finetuning.build_model import fresh_model
from minibert.finetuning.examples import ChoiceExample
from minibert.finetuning.objective import FineTuningObjective
from minibert.finetuning.tasks.base import predict
from minibert.finetuning.tasks.multiple_choice import MultipleChoice
from minibert.training.trainer import Trainer, TrainingSettings

TASK = MultipleChoice(reading(max_length=16))
EXAMPLES = [ChoiceExample("a b c", "d", ("e", "a a", "b b b"), 1), ChoiceExample(
    "a", "", ("not good", "c", "very bad a b c d e a b c d e a b c"), 2),
    ChoiceExample("c", "d e", ("a", "b", "c"), 1)]


def test_each_ending_is_read_after_the_context():
    rows = TASK.rows(EXAMPLES)
    words = [[" ".join(TOKENIZER.convert_ids_to_tokens(w.ids)) for w in row.windows]
             for row in rows]
    assert words[0] == ["[CLS] a b c [SEP] d e [SEP]", "[CLS] a b c [SEP] d a a [SEP]",
                        "[CLS] a b c [SEP] d b b b [SEP]"]
    assert words[1][0] == "[CLS] a [SEP] not good [SEP]"
    assert [row.note != "" for row in rows] == [False, True, False] and len(rows[1]) == 16
    assert rows[0].windows[0].types == [0] * 5 + [1] * 3
    [cut] = TASK.rows([ChoiceExample("a", "", ("b " * 20, "c"), 0)])
    assert cut.note and len(cut) == 16, "whichever ending was cut"


def test_a_batch_is_of_examples_endings_tokens():
    batch = TASK.batch(TASK.rows(EXAMPLES))
    assert batch.input_ids.shape == batch.token_type_ids.shape == (3, 3, 16)
    assert batch.labels.tolist() == [1, 2, 1]
    assert batch.input_ids[2, 1, :7].tolist() == TOKENIZER.encode("c", "d e b")
    assert (batch.attention_mask == (batch.input_ids != TOKENIZER.pad_token_id)).all()
    assert batch.token_type_ids[0, 2].tolist() == [0] * 5 + [1] * 5 + [0] * 6
    assert batch.shard(1, 2).input_ids.shape == (2, 3, 16)


def test_the_loss_compares_the_endings_of_one_example():
    model = small(TASK).eval()
    batch = TASK.batch(TASK.rows(EXAMPLES))
    logits = np.array([[model(**TASK.batch([row]).inputs()).logits.data[0, k] for k in range(3)]
                       for row in TASK.rows(EXAMPLES)])
    expected = sum([np.log(np.exp(row).sum()) - row[label]
                    for row, label in zip(logits, (1, 2, 1))])
    assert TASK.loss(model(**batch.inputs()), batch.labels).item() == pytest.approx(expected)
    predictions = predict(TASK, model, EXAMPLES)
    p = np.exp(logits)
    np.testing.assert_allclose(predictions, p / p.sum(axis=1, keepdims=True), rtol=1e-9)


def test_figures_baseline_and_file():
    predictions = [np.array(p) for p in ([0.1, 0.8, 0.1], [0.5, 0.2, 0.3], [0.0, 0.4, 0.6])]
    assert TASK.compute_metrics(EXAMPLES, predictions) == {"accuracy": pytest.approx(1 / 3)}
    assert TASK.details(EXAMPLES, predictions)["confusion"] == [[0, 0, 0], [0, 1, 1], [1, 0, 0]]
    assert TASK.fit_baseline(EXAMPLES) == 1
    guessed = TASK.predict_baseline(1, EXAMPLES)
    assert TASK.compute_metrics(EXAMPLES, guessed) == {"accuracy": pytest.approx(2 / 3)}
    assert json.loads(TASK.format_predictions(EXAMPLES, predictions).splitlines()[1]) == {
        "label": 0, "probabilities": [0.5, 0.2, 0.3]}
    assert TASK.format_predictions(EXAMPLES[:1], [np.array([1 / 3, 2 / 3])]) == \
        '{"label": 1, "probabilities": [0.333333, 0.666667]}\n'
    assert TASK.describe("training", EXAMPLES[:2]) == \
        "3 endings in training; right is 1 1 (50.0%), 2 1 (50.0%)"
    shown = TASK.show(TASK.rows(EXAMPLES)[0]).splitlines()
    assert [line.endswith(" [SEP]  <- right") for line in shown] == [False, True, False]
    [two] = TASK.predict_baseline(2, [ChoiceExample("a", "", ("b", "c"))])
    assert len(two) == 2


def test_an_example_is_repeated_if_all_of_its_endings_are():
    train = [ChoiceExample("a", "", ("b", "c"), 0), ChoiceExample("a", "", ("d", "e"), 0)]
    dev = [ChoiceExample("a", "", ("b", "d"), 0), ChoiceExample("a", "", ("d", "e"), 1)]
    assert "50.0% of the dev windows also occur in training" in \
        FineTuningObjective(TASK, train, dev, 2).describe()


def test_a_tiny_model_learns_the_ending_that_repeats_the_context():
    rng = np.random.default_rng(1)

    def examples(count):
        made = []
        for _ in range(count):
            right, wrong = rng.choice(list("abcde"), size=2, replace=False)
            label = int(rng.integers(2))
            made.append(ChoiceExample(right, "", (right, wrong) if label == 0 else (wrong, right),
                                      label))
        return made

    config = bert_config(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
                         initializer_range=0.3)
    objective = FineTuningObjective(TASK, examples(100), examples(60), 16)
    trainer = Trainer(fresh_model(TASK, config), objective, TrainingSettings(
        steps=120, lr=1e-2, warmup=5, schedule="linear", eval_every=40))
    trainer.run()
    assert trainer.best["accuracy"] > 0.9 and "-> " not in objective.first_examples(1)[0]
