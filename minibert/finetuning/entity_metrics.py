"""Entities in a row of tags, and precision, recall and F1 of predicted ones.

Tags are O outside of entities, B-type at the first word of one and I-type within; B and I alone
where all entities are of one type. An entity counts as correct if its type, its first and its last
word all are, as in the conlleval script of the CoNLL shared tasks (Tjong Kim Sang & De Meulder
2003) and in seqeval's default mode.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from minibert.errors import InputError
from minibert.finetuning.metrics import Counts

NO_TYPE = "_"  # seqeval's name for the type of B and I alone


class Entity(NamedTuple):
    """An entity of type `kind`: words[start:end]."""

    kind: str
    start: int
    end: int


def get_entities(tags: Sequence[str]) -> list[Entity]:
    """List the entities of one sentence, in their order.

    A model may predict an I- that continues nothing. As in conlleval it begins an entity: after O,
    at the start of a sentence, or after a word of another type. (seqeval's mode="strict" drops such
    words.) Errors: a tag of another scheme.
    """
    entities, kind, start = [], None, 0
    for place, tag in enumerate([*tags, "O"]):
        here = entity_type(tag)
        if kind is not None and (here != kind or tag[0] == "B"):
            entities.append(Entity(kind, start, place))
            kind = None
        if here is not None and kind is None:
            kind, start = here, place
    return entities


def entity_type(tag: str) -> str | None:
    """The type of the entity that a tag marks, "_" for B and I alone; None for O. Errors: a tag of
    another scheme."""
    if tag == "O":
        return None
    if not is_entity_tag(tag):
        raise InputError(f"the tag {tag!r:.60} is neither O nor B-type nor I-type")
    return tag[2:] or NO_TYPE


def is_entity_tag(tag: str) -> bool:
    """Whether a tag is B-type, I-type, B or I."""
    return tag in ("B", "I") or (tag[:2] in ("B-", "I-") and len(tag) > 2)


def has_entity_tags(tags: Iterable[str]) -> bool:
    """Whether tags mark entities, and not parts of speech or the like: some are B-type or I-type,
    or all are B, I and O."""
    tags = set(tags)
    return (any(len(tag) > 1 and is_entity_tag(tag) for tag in tags)
            or {"O"} < tags | {"O"} <= {"B", "I", "O"})


def entity_counts(right: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]
                  ) -> dict[str, Counts]:
    """For each type of entity how many were found, predicted, and are there, over all sentences.

    metrics.total of them is what conlleval and seqeval report as the overall score (micro);
    conlleval has no macro average, seqeval's is metrics.macro_f1. Errors: sentences that differ
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
        there, found = set(get_entities(right_tags)), set(get_entities(predicted_tags))
        for column, entities in enumerate((there & found, found, there)):
            for entity in entities:
                counts.setdefault(entity.kind, [0, 0, 0])[column] += 1
    return {kind: Counts(*counts[kind]) for kind in sorted(counts)}
