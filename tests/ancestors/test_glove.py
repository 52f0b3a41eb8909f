"""GloVe: the counts and the loss by their definitions, a training."""

import numpy as np
import pytest
from tests.ancestors.small_ancestors import TOKENIZER, V, texts

from minibert.ancestors.glove import GloVe, GloVeConfig, GloVeObjective, cooccurrences
from minibert.errors import InputError
from minibert.training.trainer import Trainer, TrainingSettings


def test_cooccurrences_equal_their_definition():
    ids, window = np.random.default_rng(0).integers(0, V, 60), 4
    expected = np.zeros((V, V))
    for i in range(60):
        for j in range(60):
            if i != j and abs(i - j) <= window:
                expected[ids[i], ids[j]] += 1 / abs(i - j)
    cells = cooccurrences(ids, V, window)
    got = np.zeros((V, V))
    got[tuple(cells.input_ids.T)] = cells.values
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    assert (cells.values > 0).all()


def test_first_values_are_drawn_as_gloves_program_draws_them():
    for array in GloVe(GloVeConfig(400, 8), 1).state_dict().values():
        assert 0.9 * 0.5 / 8 < array.max() <= 0.5 / 8 and -0.5 / 8 <= array.min() < -0.9 * 0.5 / 8


def test_the_loss_is_equation_8():
    model = GloVe(GloVeConfig(V, 6, x_max=10.0), 1)
    cells = np.random.default_rng(0).integers(0, V, (7, 2))
    values = np.array([0.5, 1.0, 3.0, 9.0, 10.0, 11.0, 500.0])
    w, w_context, b, b_context = (array.astype(float) for array in model.state_dict().values())
    expected = 0.0
    for (i, j), x in zip(cells, values):
        error = w[i] @ w_context[j] + b[i, 0] + b_context[j, 0] - np.log(x)
        expected += min((x / 10.0) ** 0.75, 1.0) * error ** 2
    assert model.loss(cells, values).item() == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(model.vectors(cells), (w + w_context)[cells], rtol=1e-6)


def test_training_learns_that_cats_go_with_fish():
    config = GloVeConfig(V, 6, window=5, x_max=30.0)
    objective = GloVeObjective(config, TOKENIZER, texts(), texts(20, seed=1), 64, seed=3)
    model = GloVe(config, 1)
    trainer = Trainer(model, objective, TrainingSettings(
        steps=250, lr=0.05, warmup=0, weight_decay=0.0, eval_every=0))
    before = trainer.evaluate()["loss"]
    assert objective.held_out.values.sum() == pytest.approx(objective.train.values.sum())
    assert objective.summary({"examples": 6.0}, {"examples": 3}, {}) == {"loss": 2.0}
    trainer.run()
    assert trainer.held_out["loss"] < before / 10
    index = TOKENIZER.convert_tokens_to_ids
    score = (model.w.weight.data @ model.w_context.weight.data.T)[index("cat")]
    assert score[index("fish")] > score[index("meat")]
    assert [len(objective.batch(0).shard(k, 3).values) for k in range(3)] == [21, 21, 22]


def test_texts_shorter_than_the_window_are_refused():
    with pytest.raises(InputError, match="has 7 tokens, no more than the window of 10"):
        GloVeObjective(GloVeConfig(V), TOKENIZER, ["the cat sees the dog ."], texts(), 8)
