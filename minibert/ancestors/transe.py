"""TransE: entities and relations of a knowledge graph as vectors, with h + r close to t.

Bordes, Usunier, Garcia-Duran, Weston & Yakhnenko 2013, "Translating Embeddings for Modeling
Multi-relational Data". In a triple (h, r, t) relation r holds from head h to tail t; d is the
distance of h + r from t. The loss of a true triple and one whose head or tail was replaced by a
random entity is (equation 1)

    max(0, margin + d(h + r, t) - d(h' + r, t'))            d(x, y) = sum_i |x_i - y_i|

Entities have length 1 (algorithm 1, line 5: else the loss falls by making them long). The paper
divides them by their length before each step; here the distance does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from minibert.ancestors.knowledge_graph import KnowledgeGraph, Triple
from minibert.autograd.elementwise import relu
from minibert.autograd.tensor import Tensor, no_grad
from minibert.errors import InputError
from minibert.nn.layers import Embedding
from minibert.nn.module import Module
from minibert.pretraining.objective import LossesAndMetrics, Objective, RowBatch
from minibert.pretraining.seeds import Purpose, generator
from minibert.validate import number, whole_number

class TransE(Module):
    """A vector (C,) of each entity and of each relation of `graph`, C = hidden_size, drawn
    with `rng` from U(-6 / sqrt(C), 6 / sqrt(C)); relations are then divided by their length
    (algorithm 1, lines 1 to 3)."""

    __slots__ = ("entity_embeddings", "relation_embeddings")

    def __init__(self, graph: KnowledgeGraph, hidden_size: int = 32, rng=0):
        super().__init__()
        C, rng = whole_number("TransE: hidden_size", hidden_size, 1), np.random.default_rng(rng)
        self.entity_embeddings = Embedding(len(graph.entities), C)
        self.relation_embeddings = Embedding(len(graph.relations), C)
        for part in (self.entity_embeddings, self.relation_embeddings):
            part.weight.data = (rng.uniform(-6, 6, part.weight.shape) / C ** 0.5).astype(np.float32)
        self.relation_embeddings.weight.data /= np.linalg.norm(
            self.relation_embeddings.weight.data, axis=1, keepdims=True)

    def entities(self, ids: np.ndarray) -> Tensor:
        """The vectors of entities, of length 1: (...) -> (..., C)."""
        e = self.entity_embeddings(ids)
        return e / (e * e).sum(axis=-1, keepdims=True).sqrt()

    def distance(self, triples: np.ndarray) -> Tensor:
        """d(h + r, t): ids (..., 3) -> (...)."""
        h, t = self.entities(triples[..., 0]), self.entities(triples[..., 2])
        return abs(h + self.relation_embeddings(triples[..., 1]) - t).sum(axis=-1)

    def distance_table(self) -> np.ndarray:
        """The distances of all possible triples, (R, E, E): [r, h, t]."""
        E, R = len(self.entity_embeddings.weight), len(self.relation_embeddings.weight)
        h, t = np.indices((E, E))
        with no_grad():
            return np.stack([self.distance(np.stack([h, np.full_like(h, r), t], axis=-1)).data
                             for r in range(R)])


@dataclass(frozen=True)
class TripleBatch(RowBatch):
    """True triples (B, 3), and each with another head or tail."""

    corrupted: np.ndarray  # (B, 3)


class TransEObjective(Objective):
    """Equation 1, on train and held-out triples; a batch is a pure function of (seed, number).
    Errors: InputError for unknown names, where either has no triple, for batch_size below 1 and a
    margin that is not above 0."""

    name = "transe"

    def __init__(self, graph: KnowledgeGraph, train: Sequence[Triple], held_out: Sequence[Triple],
                 batch_size: int, margin: float = 1.0, seed: int = 0):
        self.graph, self.seed = graph, seed
        self.train, self.held_out = graph.ids(train), graph.ids(held_out)
        if not len(train) or not len(held_out):
            raise InputError(f"TransE: {len(train)} training and {len(held_out)} held-out triples: "
                             "expected at least one of each")
        self.batch_size = whole_number("batch_size", batch_size, 1)
        self.margin = number("margin", margin, above=0)

    def batch(self, number: int) -> TripleBatch:
        """Returns training batch `number`, counted over micro-batches."""
        rng = generator(self.seed, Purpose.WINDOWS, number)
        return self._corrupt(self.train[rng.integers(0, len(self.train), self.batch_size)], rng)

    def held_out_batches(self) -> Iterator[TripleBatch]:
        """Yields all held-out triples, corrupted in the same way every time."""
        yield self._corrupt(self.held_out, generator(self.seed, Purpose.HELD_OUT_MASKS, 0))

    def _corrupt(self, triples: np.ndarray, rng: np.random.Generator) -> TripleBatch:
        """Replaces the head or the tail, each with probability 1/2, by any entity (equation 2)."""
        corrupted, side = triples.copy(), rng.choice([0, 2], len(triples))
        corrupted[np.arange(len(triples)), side] = rng.integers(0, len(self.graph.entities),
                                                                len(triples))
        return TripleBatch(triples, corrupted)

    def counts(self, batch: TripleBatch) -> dict[str, int]:
        """Returns the divisor of the loss: the number of true triples."""
        return {"triples": len(batch.input_ids)}

    def losses(self, model: TransE, batch: TripleBatch, rng=None) -> LossesAndMetrics:
        """Returns the loss sum, and no metrics."""
        gap = model.distance(batch.input_ids) - model.distance(batch.corrupted)
        return {"triples": relu(gap + self.margin).sum()}, {}
