"""A knowledge graph, triples (head, relation, tail) of names; TransE; metrics of link prediction.

Bordes, Usunier, Garcia-Duran, Weston & Yakhnenko 2013, "Translating Embeddings for Modeling
Multi-relational Data": entities and relations are vectors, with h + r close to t. In a triple
(h, r, t) relation r holds from head h to tail t; d is the distance of h + r from t. The loss of a
true triple and one whose head or tail was replaced by a random entity is (equation 1)

    max(0, margin + d(h + r, t) - d(h' + r, t'))            d(x, y) = sum_i |x_i - y_i|

Entities have length 1 (algorithm 1, line 5: else the loss falls by making them long). The paper
divides them by their length before each step; here the distance does.

Link prediction leaves out the head or the tail of a held-out triple and ranks all entities in its
place. The rank is filtered (section 4.1): other entities that are right are left out. Half of the
other entities at the same distance count as closer (the realistic rank of Berrendorf et al. 2020,
"On the Ambiguity of Rank-Based Evaluation of Entity Alignment or Link Prediction Methods"), so that
equal vectors are no advantage.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from minibert.autograd.elementwise import relu
from minibert.autograd.tensor import Tensor, no_grad
from minibert.errors import InputError
from minibert.nn.layers import Embedding
from minibert.nn.module import Module
from minibert.pretraining.objective import LossesAndMetrics, Objective, RowBatch
from minibert.pretraining.seeds import Purpose, generator
from minibert.validate import number, whole_number

Triple = tuple[str, str, str]


class KnowledgeGraph:
    """The names in `triples`: `entities` and `relations`, each sorted; E and R are their numbers.
    Errors: InputError where there are no triples, and for one that has not three names; `ids`
    raises that, too."""

    def __init__(self, triples: Sequence[Triple]):
        if not len(triples):
            raise InputError("KnowledgeGraph: no triples: expected at least one (head, relation, "
                             "tail)")
        _check_lengths(triples)
        heads, relations, tails = zip(*triples)
        self.entities, self.relations = sorted({*heads, *tails}), sorted(set(relations))
        self._entity = {name: k for k, name in enumerate(self.entities)}
        self._relation = {name: k for k, name in enumerate(self.relations)}

    def ids(self, triples: Sequence[Triple]) -> np.ndarray:
        """The numbers of (head, relation, tail), (N, 3). Errors: InputError for unknown names."""
        _check_lengths(triples)
        columns = (self._entity, self._relation, self._entity)
        for triple in triples:
            for name, known, kind in zip(triple, columns, ("entity", "relation", "entity")):
                if name not in known:
                    raise InputError(f"the triple {tuple(triple)!r:.90}: the graph has no {kind} "
                                     f"{name!r:.40}: build the KnowledgeGraph from triples that "
                                     "have it")
        return np.array([[known[name] for name, known in zip(triple, columns)]
                         for triple in triples], np.int64).reshape(-1, 3)

    def table(self, ids: np.ndarray) -> np.ndarray:
        """(R, E, E), True at [r, h, t] of each triple of ids (N, 3)."""
        table = np.zeros((len(self.relations), len(self.entities), len(self.entities)), bool)
        table[ids[:, 1], ids[:, 0], ids[:, 2]] = True
        return table


def _check_lengths(triples: Sequence[Triple]) -> None:
    for triple in triples:
        if len(triple) != 3 or isinstance(triple, str):
            raise InputError(f"KnowledgeGraph: {triple!r:.90}: expected (head, relation, tail)")


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
        """Returns training batch `number`, counted from 0 over all steps."""
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


def filtered_ranks(distances: np.ndarray, answers: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Ranks from 1 of `answers` (N,) among the columns of distances (N, E), the smallest first,
    without the columns where `known` (N, E) is True. Errors: InputError for a NaN, which has no
    rank."""
    if np.isnan(distances).any():
        raise InputError("filtered_ranks: a distance is NaN: the model's weights are damaged")
    rows = np.arange(len(answers))
    others = ~known
    others[rows, answers] = False
    own = distances[rows, answers][:, None]  # (N, 1)
    closer, equal = (others & (distances < own)).sum(axis=1), others & (distances == own)
    return 1 + closer + equal.sum(axis=1) / 2


def link_prediction(distances: np.ndarray, triples: np.ndarray, known: np.ndarray
                    ) -> dict[str, float]:
    """hits@1, hits@10 and mean reciprocal rank of the heads and of the tails of ids (N, 3).

    distances, known: (R, E, E), [r, h, t]; known: True at all true triples, those of training and
    of evaluation. Errors: InputError without triples, and as filtered_ranks.
    """
    if not len(triples):
        raise InputError("link_prediction: no triples: expected at least one")
    h, r, t = triples.T
    ranks = np.concatenate([filtered_ranks(distances[r, :, t], h, known[r, :, t]),
                            filtered_ranks(distances[r, h], t, known[r, h])])
    return {"hits@1": float((ranks <= 1).mean()), "hits@10": float((ranks <= 10).mean()),
            "mean_reciprocal_rank": float((1 / ranks).mean())}
