"""A knowledge graph, triples (head, relation, tail) of names, and metrics of link prediction.

Link prediction leaves out the head or the tail of a held-out triple and ranks all entities in its
place. The rank is filtered (Bordes et al. 2013, "Translating Embeddings for Modeling
Multi-relational Data", section 4.1): other entities that are right are left out. Half of the other
entities at the same distance count as closer (the realistic rank of Berrendorf et al. 2020, "On
the Ambiguity of Rank-Based Evaluation of Entity Alignment or Link Prediction Methods"), so that
equal vectors are no advantage.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minibert.errors import InputError

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
