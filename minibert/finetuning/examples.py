"""Labelled examples of the task families: sentences and pairs, choices, tags, questions (Devlin et
al. 2019, figure 4).

A label is None where it is to be predicted. `where` is the place of an example in its file
("dev.tsv, line 12"), for messages.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class SentenceExample:
    """One text or a pair, and its class (a name) or its score (a number, for regression)."""

    text: str
    text_pair: str | None = None
    label: str | float | None = None
    where: str = ""


@dataclass(frozen=True)
class ChoiceExample:
    """A context and several `endings`, of which one is right: number `label`. Each ending begins
    with `start`, the words that all of them share ("" if none)."""

    context: str
    start: str
    endings: tuple[str, ...]
    label: int | None = None
    where: str = ""


@dataclass(frozen=True)
class TagExample:
    """The words of a sentence and a tag for each, in the BIO2 scheme for entities."""

    words: tuple[str, ...]
    tags: tuple[str, ...] | None = None
    where: str = ""


@dataclass(frozen=True)
class Answer:
    """A part of a passage: passage[start:start + len(text)] == text."""

    text: str
    start: int


@dataclass(frozen=True)
class QuestionExample:
    """A question on a passage. `answers` are the accepted ones: empty for a question that the
    passage does not answer (SQuAD 2.0), None where they are to be predicted."""

    id: str
    question: str
    passage: str
    answers: tuple[Answer, ...] | None = None
    where: str = ""
