"""word2vec: the loss and the gap by their formulas, batches by their definition, a training."""

import numpy as np
import pytest
from tests.ancestors.small_ancestors import TOKENIZER, V, small_models, texts

from minibert.ancestors.word2vec import (CBOW, CBOWConfig, SkipGram, SkipGramConfig,
                                       Word2VecObjective)
from minibert.errors import InputError
from minibert.pretraining.gpt_objective import token_stream
from minibert.training.run_folder import Run
from minibert.training.trainer import Trainer, TrainingSettings


def objective_of(model, batch_size=64, **changes):
    given = {"train": texts(), "held_out": texts(10, seed=1)} | changes
    return Word2VecObjective(model, TOKENIZER, **given, batch_size=batch_size, seed=3)


def test_the_loss_is_equation_4():
    model, rng = small_models()[1].double(), np.random.default_rng(0)
    read, targets, negatives = (rng.integers(0, V, shape) for shape in ((5, 4), 5, (5, 3)))
    v, u = model.input_embeddings.weight.data, model.output_embeddings.weight.data
    expected = 0.0
    for b in range(5):
        h = v[read[b]].mean(axis=0)
        expected -= np.log(1 / (1 + np.exp(-u[targets[b]] @ h)))
        for k in negatives[b]:
            expected -= np.log(1 / (1 + np.exp(u[k] @ h)))
    assert model.negative_sampling_loss(read, targets, negatives).item() == pytest.approx(expected)


def test_first_vectors_are_drawn_as_word2vec_draws_them():
    model = CBOW(CBOWConfig(400, 8), rng=0)
    drawn = np.abs(model.input_embeddings.weight.data)
    assert 0.99 * 0.5 / 8 < drawn.max() <= 0.5 / 8
    assert not model.output_embeddings.weight.data.any()


def test_a_gap_is_exact_at_the_optimum_of_the_loss():
    """One word on each side, one-hot vectors: u_w . h = log p(w | h) - log(K q(w)) gives p."""
    rng, K = np.random.default_rng(0), 3
    model = CBOW(CBOWConfig(4, 4, window=1, negatives=K), rng=None)
    model.noise = rng.dirichlet(np.ones(4))
    p = rng.dirichlet(np.ones(4), 4)  # row a: p(. | a on both sides)
    model.input_embeddings.weight.data = np.eye(4)
    model.output_embeddings.weight.data = (np.log(p) - np.log(K * model.noise)).T
    got = model.gap(np.array([[a, 0, a, 3] for a in range(4)]), np.ones(4, np.int64))
    np.testing.assert_allclose(np.exp(got), p, rtol=1e-12)


def test_a_gap_reads_only_the_window():
    model = small_models()[1]  # two words on each side
    row = token_stream(TOKENIZER, texts(1))[None, :9].astype(np.int64)
    got = model.gap(row, np.array([4]))
    far, near = row.copy(), row.copy()
    far[0, [1, 7, 8]] = TOKENIZER.mask_token_id
    near[0, 2] = TOKENIZER.mask_token_id
    np.testing.assert_array_equal(model.gap(far, np.array([4])), got)
    assert (model.gap(near, np.array([4])) != got).any()


def test_cbow_reads_both_sides_and_skip_gram_one_word():
    cbow, skip = (cls(config, 1) for cls, config in (
        (CBOW, CBOWConfig(V, 6, 2, 3)), (SkipGram, SkipGramConfig(V, 6, 2, 3))))
    objective = objective_of(cbow)
    stream = objective.train_ids
    windows = {tuple(stream[i:i + 5]) for i in range(len(stream) - 4)}
    batch = objective.batch(7)
    for read, target in zip(batch.input_ids, batch.targets):
        assert (*read[:2], target, *read[2:]) in windows
    pairs = {(stream[i], stream[i + d]) for d in (-2, -1, 1, 2)
             for i in range(2, len(stream) - 2)}
    objective = objective_of(skip, batch_size=4000)
    batch = objective.batch(0)
    assert set(zip(batch.input_ids[:, 0], batch.targets)) == pairs
    again = objective_of(skip, batch_size=4000).batch(0)
    np.testing.assert_array_equal(batch.negatives, again.negatives)
    shares = np.bincount(batch.negatives.ravel(), minlength=V) / batch.negatives.size
    counts = np.bincount(stream, minlength=V) ** 0.75
    np.testing.assert_allclose(shares, counts / counts.sum(), atol=0.02)
    assert [len(batch.shard(k, 3).targets) for k in range(3)] == [1333, 1333, 1334]
    assert len(objective.describe()) == 2


@pytest.mark.parametrize("config", [CBOWConfig(V, 8, 1, 3), SkipGramConfig(V, 8, 2, 3)])
def test_training_learns_and_resumes_to_the_same_bits(config, tmp_path, monkeypatch):
    monkeypatch.setattr("minibert.ancestors.word2vec.HELD_OUT_BATCHES", 1)
    kind = CBOW if type(config) is CBOWConfig else SkipGram
    settings = TrainingSettings(steps=150, lr=0.05, warmup=0, eval_every=0, weight_decay=0.0)
    whole, halves = kind(config, 1), kind(config, 1)
    trainer = Trainer(whole, objective_of(whole), settings, run=Run.create(tmp_path / "whole"))
    before = trainer.evaluate()["loss"]
    trainer.run()
    assert trainer.held_out["loss"] < before - 0.3
    run = Run.create(tmp_path / "halves")
    Trainer(halves, objective_of(halves), settings, run=run).run(until=60)
    halves = kind(config, 2)
    trainer = Trainer(halves, objective_of(halves), settings, run=run)
    trainer.resume()
    trainer.run()
    for name, array in whole.stored_arrays().items():
        np.testing.assert_array_equal(halves.stored_arrays()[name], array)
    if kind is CBOW:
        row = np.array([token_stream(TOKENIZER, ["the cat eats fish ."])])
        p = np.exp(whole.gap(row, np.array([3]))[0])  # between cat and fish
        assert TOKENIZER.convert_ids_to_tokens(int(p.argmax())) == "eats"


def test_each_word_with_a_window_is_drawn_and_near_words_are_read_more_often():
    cbow, skip = (cls(config, 1) for cls, config in (
        (CBOW, CBOWConfig(V, 6, 2, 3)), (SkipGram, SkipGramConfig(V, 6, 2, 3))))
    objective = objective_of(cbow, 400)
    objective.train_ids = np.arange(9)
    assert set(objective.batch(0).targets) == {2, 3, 4, 5, 6}
    objective = objective_of(skip, 8000)
    objective.train_ids = np.arange(9)
    batch = objective.batch(0)
    distance = np.abs(batch.targets - batch.input_ids[:, 0])  # 1 in windows of 1 and of 2
    np.testing.assert_allclose([(distance == d).mean() for d in (1, 2)], [0.75, 0.25], atol=0.02)


def test_texts_shorter_than_a_window_are_refused():
    model = CBOW(CBOWConfig(V, 4, window=9), 0)
    with pytest.raises(InputError, match="training text has 8 tokens, no window of 9"):
        objective_of(model, train=["the cat sees the dog . ."], held_out=texts(9))
    with pytest.raises(InputError, match="training text has 8 tokens, no window of 4"):
        objective_of(CBOW(CBOWConfig(V, 4, window=4), 0), train=["the cat sees the dog . ."])
    with pytest.raises(InputError, match="held-out"):
        objective_of(model, held_out=["the cat ."])
    with pytest.raises(InputError, match="noise"):
        CBOW.from_arrays(model.config, model.state_dict())
    for noise in (model.noise * 2, model.noise * np.nan):
        with pytest.raises(InputError, match="noise"):
            CBOW.from_arrays(model.config, model.stored_arrays() | {"noise": noise})
