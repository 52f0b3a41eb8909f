"""Entities in a row of tags, and how many of them were found.

Tags are O outside of entities, B-type at the first word of one and I-type within. An entity counts
as found if its type, its first and its last word all are right, as in the conlleval script of the
CoNLL shared tasks (Tjong Kim Sang & De Meulder 2003) and in seqeval's default mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from minibert.errors import InputError
from minibert.finetuning.metrics import Counts


class Entity(NamedTuple):
    """words[start:end] are of the kind."""

    kind: str
    start: int
    end: int


def entities_of(tags: Sequence[str]) -> list[Entity]:
    """The entities of one sentence, in their order.

    A model may predict what no annotator writes, an I- that continues nothing. As in conlleval it
    then begins an entity: after O, at the start of a sentence, or after a word of another type. (A
    strict reading would drop such words: seqeval's mode="strict".) Errors: a tag of another scheme.
    """
    entities, kind, start = [], None, 0
    for place, tag in enumerate(tags):
        here = _kind(tag)
        if kind is not None and (here != kind or tag[0] == "B"):
            entities.append(Entity(kind, start, place))
            kind = None
        if here is not None and kind is None:
            kind, start = here, place
    if kind is not None:
        entities.append(Entity(kind, start, len(tags)))
    return entities


def _kind(tag: str) -> str | None:
    if tag == "O":
        return None
    if tag[:2] not in ("B-", "I-") or len(tag) == 2:
        raise InputError(f"the tag {tag!r:.60} is neither O nor B-type nor I-type")
    return tag[2:]


def entity_counts(right: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]
                  ) -> dict[str, Counts]:
    """For each type of entity how many were found, predicted, and are there, over all sentences.

    metrics.total of them is what conlleval and seqeval report as the overall score (micro);
    conlleval knows no macro average, seqeval's is metrics.macro_f1. Errors: sentences that differ
    in number or length.
    """
    if len(right) != len(predicted):
        raise InputError(f"entities: tags of {len(predicted)} sentences were predicted, there are "
                         f"{len(right)}")
    counts: dict[str, list[int]] = {}  # by type: correct, predicted, there
    for number, (right_tags, predicted_tags) in enumerate(zip(right, predicted)):
        if len(right_tags) != len(predicted_tags):
            raise InputError(f"entities: sentence {number} has {len(right_tags)} words, but "
                             f"{len(predicted_tags)} predicted tags")
        there, found = set(entities_of(right_tags)), set(entities_of(predicted_tags))
        for column, entities in enumerate((there & found, found, there)):
            for entity in entities:
                counts.setdefault(entity.kind, [0, 0, 0])[column] += 1
    return {kind: Counts(*counts[kind]) for kind in sorted(counts)}
