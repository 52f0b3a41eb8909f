"""Fine-tuning before the trainer: epochs, purity, workers, class weights, resuming, freezing."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from tests.finetuning.small_tasks import bert_config, classification, sentences, small

from minibert.errors import InputError
from minibert.finetuning.build_model import freeze_below, fresh_model
from minibert.finetuning.examples import SentenceExample
from minibert.finetuning.objective import FineTuningObjective
from minibert.finetuning.tasks.base import predict
from minibert.training.run_folder import Run
from minibert.training.trainer import Trainer, TrainingSettings

RNG = np.random.default_rng(3)
TRAIN, DEV = sentences(23, RNG, longest=14), sentences(40, RNG, longest=14)
SETTINGS = TrainingSettings(steps=20, lr=1e-2, warmup=2, schedule="linear", eval_every=5, seed=4,
                            layer_decay=0.8, patience=9)


def objective(task=None, **more) -> FineTuningObjective:
    return FineTuningObjective(task or classification(), TRAIN, DEV, **({"batch_size": 4} | more))


def rows_of(batch) -> list[tuple]:
    return [tuple(ids[mask]) for ids, mask in zip(batch.input_ids, batch.attention_mask)]


def test_every_epoch_reads_every_row_once_in_a_new_order():
    task = objective()
    assert len(task.rows) > len(TRAIN), "some texts have several windows"
    read = [row for step in range(3 * len(task.rows) // 4) for row in rows_of(task.batch(step))]
    wanted = Counter([tuple(row.ids) for row in task.rows])
    n = len(task.rows)
    epochs = [read[k * n:(k + 1) * n] for k in range(len(read) // n)]
    assert len(epochs) >= 2 and all([Counter(epoch) == wanted for epoch in epochs])
    assert epochs[0] != epochs[1]


def test_a_batch_is_a_function_of_seed_and_step():
    one, other = objective(), objective()
    later = rows_of(one.batch(9))
    assert rows_of(one.batch(2)) == rows_of(other.batch(2)) and rows_of(one.batch(9)) == later
    assert rows_of(objective(seed=1).batch(2)) != rows_of(one.batch(2))


def test_the_dev_file_is_read_whole_whatever_the_batch():
    figures = []
    for batch_size in (3, 17):
        task = objective(batch_size=batch_size)
        read = Counter([row for batch in task.held_out_batches() for row in rows_of(batch)])
        assert read == Counter([tuple(row.ids) for row in task.task.rows(DEV)])
        figures.append(Trainer(small(task.task), task).evaluate())
    assert figures[0] == figures[1] and set(figures[0]) == {"loss", "accuracy", "macro_f1",
                                                            "matthews"}


def test_what_is_measured_on_dev_is_what_is_predicted_for_it():
    weights = [0.25, 3.0]
    task = objective(classification(weights=weights))
    model = small(task.task).eval()
    figures = Trainer(model, task).evaluate()
    loss = figures.pop("loss")
    assert figures == task.task.compute_metrics(DEV, predict(task.task, model, DEV))
    rows = task.task.rows(DEV)
    outputs = model(**task.task.batch(rows).inputs())
    log_p = outputs.logits.data - np.log(np.exp(outputs.logits.data).sum(axis=1, keepdims=True))
    labels = np.array([row.label for row in rows])
    losses, weight = -log_p[np.arange(len(rows)), labels], np.array(weights)[labels]
    assert loss == pytest.approx((losses * weight).sum() / weight.sum(), rel=1e-6)


def test_an_epoch_counts_windows_and_its_last_batch_may_begin_the_next():
    n = len(objective().rows)
    for batch_size in (1, 4, n, n + 1):
        steps = objective(batch_size=batch_size).steps_per_epoch
        assert (steps - 1) * batch_size < n <= steps * batch_size
    lengths = [len(row) for row in objective().dev_rows]
    assert lengths == sorted(lengths), "short ones first, so that there is little padding"


@pytest.mark.parametrize("weights", [None, [0.25, 3.0]])
def test_the_loss_of_a_step_is_the_weighted_mean_over_its_rows(weights):
    task = objective(classification(weights=weights), batch_size=7)
    model = small(task.task, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    batch = task.batch(0)
    logits = model(**batch.inputs()).logits.data
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    weight = np.array(weights or [1.0, 1.0])[batch.labels]
    expected = -(weight * log_p[np.arange(7), batch.labels]).sum() / weight.sum()
    assert len(set(batch.labels.tolist())) == 2
    for workers in (1, 2, 9):
        trainer = Trainer(model, task, replace(SETTINGS, workers=workers))
        assert trainer.gradients(0)["loss"] == pytest.approx(expected, rel=1e-6)


def test_workers_add_up_to_one():
    gradients = []
    for workers in (1, 3):
        task = objective(classification(weights=[0.5, 2.0]), batch_size=8)
        model = small(task.task, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        Trainer(model, task, replace(SETTINGS, workers=workers)).gradients(0)
        gradients.append({name: p.grad.copy() for name, p in model.named_parameters()})
    for name, gradient in gradients[0].items():
        np.testing.assert_allclose(gradients[1][name], gradient, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("workers, stop", [(1, 10), (1, 7), (2, 10)])
def test_ten_and_ten_steps_are_twenty_bit_for_bit(tmp_path, workers, stop):
    def trainer(folder, create, seed):
        task = classification(weights=[0.5, 2.0])
        model = fresh_model(task, bert_config(), seed)
        freeze_below(model, 1)
        run = Run.create(tmp_path / folder) if create else Run(tmp_path / folder)
        return Trainer(model, objective(task), replace(SETTINGS, workers=workers), run=run)

    straight = trainer("straight", True, 1)
    straight.run()
    trainer("halves", True, 1).run(until=stop)
    resumed = trainer("halves", False, 2)
    resumed.resume()
    assert resumed.steps_done == stop
    resumed.run()
    for name in ("latest/model.safetensors", "latest/optimizer.safetensors",
                 "best/model.safetensors", "log.jsonl"):
        assert (tmp_path / "straight" / name).read_bytes() == (tmp_path / "halves"
                                                               / name).read_bytes(), name


@pytest.mark.parametrize("layers, moving", [
    (1, {"stack.blocks.1", "pooler", "classifier"}), (2, {"pooler", "classifier"})])
@pytest.mark.parametrize("norm_first", [False, True])
def test_frozen_layers_do_not_move(layers, moving, norm_first):
    task = classification()
    model = fresh_model(task, bert_config(norm_first=norm_first), 1)
    if norm_first and layers == 1:
        moving = moving | {"stack.final_norm"}
    freeze_below(model, layers)
    before = {name: array.copy() for name, array in model.state_dict().items()}
    trainer = Trainer(model, objective(task), replace(SETTINGS, weight_decay=0.5))
    for _ in range(3):
        trainer.step()
    for name, array in model.state_dict().items():
        moved = not np.array_equal(array, before[name])
        assert moved == any([part in name for part in moving]), name


def test_a_gpt_can_be_frozen_too():
    task = classification(left_to_right=True)
    model = small(task)
    freeze_below(model, 2)
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ["score.weight"]
    for layers in (-1, 3):
        with pytest.raises(InputError, match=f"{layers} layers cannot be frozen: the model has 2"):
            freeze_below(model, layers)


def test_what_there_is_to_learn_from_is_said():
    lines = objective(classification(max_length=9)).describe()
    assert lines[0].startswith("training: 23 examples in ") and "windows of" in lines[0]
    assert any(["are longer than 9 tokens: read in windows that share 2" in line
                for line in lines])
    assert not any(["[UNK]" in line for line in lines])
    counts = Counter([example.label for example in TRAIN])
    assert any([f"neg {counts['neg']} (" in line and "classes in training" in line
                for line in lines])
    strange = [SentenceExample("zebra a zebra b", label="neg")]  # 2 of [CLS], 4 words and [SEP]
    lines = FineTuningObjective(classification(), TRAIN, strange, 4).describe()
    [said] = [i for i, line in enumerate(lines) if "33.3% of the tokens are [UNK]" in line]
    assert lines[said - 1].startswith("dev: ")
    shown = objective().first_examples(2)
    assert len(shown) == 2 and shown[0].startswith("[CLS] ") and "-> " in shown[0]
    task = objective()
    assert shown == [task.task.show(row) for first in [rows_of(task.batch(0))[:2]]
                     for ids in first for row in task.rows if tuple(row.ids) == ids]
    with pytest.raises(InputError, match="batch = 0"):
        objective(batch_size=0)


def test_facts_count_examples_and_not_their_windows():
    def said(train, dev):
        return FineTuningObjective(classification(name="pair"), train, dev, 4).describe()

    long, pair = "a b c d e " * 5, SentenceExample("a", "b " * 20, "pos", "train.tsv, line 1")
    lines = said([SentenceExample(long, None, "pos"), SentenceExample("a", None, "neg")],
                 [SentenceExample(text, None, "neg") for text in "abc"])
    assert "  1 are longer than 12 tokens: read in windows that share 2" in lines
    assert "33.3% of the dev windows also occur in training" in lines
    lines = said([replace(pair, where=f"train.tsv, line {k}") for k in range(1, 7)], [pair])
    assert [line for line in lines if "lost" in line] == ["  6 lost the end of a text, to fit",
                                                          "  1 lost the end of a text, to fit"]
    assert len([line for line in lines if "train.tsv" in line]) == 4 + 1, "the first four"
    one = FineTuningObjective(classification(), [SentenceExample("a", None, "pos")], DEV, 4)
    assert len(one.first_examples(3)) == 1
