"""What a labelled example is, for each of the four task families (Devlin et al. 2019, figure 4).

A label is None where it is to be predicted. `where` says where an example was read ("dev.tsv, line
12"), for messages about it.
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
    """Which of `endings` goes on best after `context`? Each ending begins with `start`, the words
    that all of them share ("" if none); `label` is the number of the right one."""

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
    """A stretch of the context: context[start:start + len(text)] == text."""

    text: str
    start: int


@dataclass(frozen=True)
class QuestionExample:
    """A question to a text. `answers` are the accepted ones: empty for a question that the text
    does not answer (SQuAD 2.0), None where they are to be predicted."""

    id: str
    question: str
    context: str
    answers: tuple[Answer, ...] | None = None
    where: str = ""
