"""TransE: the score, the loss and its gradient by their formulas, corrupted triples, a training."""

import numpy as np
import pytest

from minibert.ancestors.knowledge_graph import (KnowledgeGraph, TransE, TransEObjective,
                                                link_prediction)
from minibert.autograd.checks.gradcheck import gradcheck_parameters
from minibert.errors import InputError
from minibert.training.trainer import Trainer, TrainingSettings

# Three cats and three dogs: either eats what the others of its kind eat.
FACTS = [(f"{kind} {k}", "eats", food) for kind, foods in
         (("cat", ("fish", "mouse", "cream")), ("dog", ("meat", "bone", "cake")))
         for k in range(3) for food in foods]
HELD_OUT = [("cat 0", "eats", "fish"), ("dog 2", "eats", "cake")]
TRAIN = [fact for fact in FACTS if fact not in HELD_OUT]
GRAPH = KnowledgeGraph([*FACTS, ("fish", "fears", "cat 0")])


def objective_of(**changes):
    return TransEObjective(GRAPH, **({"train": TRAIN, "held_out": HELD_OUT, "batch_size": 32,
                                      "margin": 2.0} | changes))


def test_the_distance_is_h_plus_r_minus_t():
    model = TransE(GRAPH, 5, rng=3).double()
    e, r = model.entity_embeddings.weight.data, model.relation_embeddings.weight.data
    assert (np.abs(e) <= 6 / 5 ** 0.5).all() and np.linalg.norm(r, axis=1) == pytest.approx(1)
    unit = e / np.linalg.norm(e, axis=1, keepdims=True)
    ids = GRAPH.ids(FACTS)
    expected = [sum(abs(unit[h] + r[k] - unit[t])) for h, k, t in ids]
    np.testing.assert_allclose(model.distance(ids).data, expected, rtol=1e-12)
    table = model.distance_table()
    assert table.shape == (2, len(GRAPH.entities), len(GRAPH.entities))
    np.testing.assert_allclose(table[ids[:, 1], ids[:, 0], ids[:, 2]], expected, rtol=1e-12)


def test_the_loss_is_equation_1_and_its_gradient_the_engines():
    model, objective = TransE(GRAPH, 5, rng=3).double(), objective_of()
    batch = objective.batch(0)

    def loss():
        return objective.losses(model, batch)[0]["triples"]

    d, corrupted = model.distance(batch.input_ids).data, model.distance(batch.corrupted).data
    terms = 2.0 + d - corrupted
    assert (terms < 0).any() and (terms > 0).any()
    assert loss().item() == pytest.approx(terms[terms > 0].sum(), rel=1e-12)
    assert objective.summary({"triples": 6.0}, {"triples": 3}, {}) == {"loss": 2.0}
    gradcheck_parameters(loss, dict(model.named_parameters()), coordinates=8)


def test_one_end_of_a_corrupted_triple_is_another():
    objective = objective_of(batch_size=2000)
    batch = objective.batch(5)
    train = set(map(tuple, objective.train))
    assert {tuple(row) for row in batch.input_ids} == train
    changed = batch.input_ids != batch.corrupted
    assert not changed[:, 1].any() and (changed.sum(axis=1) <= 1).all()
    np.testing.assert_allclose(changed.mean(axis=0)[[0, 2]], 0.5 * 11 / 12, atol=0.04)
    np.testing.assert_array_equal(batch.corrupted, objective_of(batch_size=2000).batch(5).corrupted)
    assert (batch.corrupted != objective.batch(6).corrupted).any()
    first, second = (next(objective.held_out_batches()) for _ in range(2))
    np.testing.assert_array_equal(first.corrupted, second.corrupted)
    np.testing.assert_array_equal(first.input_ids, GRAPH.ids(HELD_OUT))
    assert [len(batch.shard(k, 3).corrupted) for k in range(3)] == [666, 667, 667]


def test_training_finds_what_is_held_out():
    model, objective = TransE(GRAPH, 16, rng=1), objective_of(batch_size=64)
    trainer = Trainer(model, objective, TrainingSettings(steps=200, lr=0.02, warmup=0,
                                                         weight_decay=0.0, eval_every=0))
    before = trainer.evaluate()["loss"]
    trainer.run()
    assert trainer.held_out["loss"] < before / 2
    found = link_prediction(model.distance_table(), GRAPH.ids(HELD_OUT),
                            GRAPH.table(GRAPH.ids(FACTS)))
    assert found["mean_reciprocal_rank"] == 1.0


def test_impossible_settings_are_refused():
    for changes, words in (({"train": []}, "0 training and 2 held-out"),
                           ({"held_out": []}, "at least one of each"),
                           ({"batch_size": 0}, "batch_size = 0"), ({"margin": 0}, "margin = 0"),
                           ({"train": [("cow", "eats", "fish")]}, "no entity 'cow'")):
        with pytest.raises(InputError, match=words):
            objective_of(**changes)
    with pytest.raises(InputError, match="hidden_size = 0"):
        TransE(GRAPH, 0)
