"""What needs no model: the answers to hold a score against. (Those from counting labels stand with
the tasks.)"""

from collections.abc import Sequence

from minibert.data.sentence_splitter import split_sentences
from minibert.finetuning.examples import QuestionExample


def first_sentences(examples: Sequence[QuestionExample]) -> dict[str, str]:
    """By question id the first sentence of the context, as the answer to whatever was asked."""
    return {example.id: split_sentences(example.passage)[0] for example in examples}


def no_answers(examples: Sequence[QuestionExample]) -> dict[str, str]:
    """By question id the empty answer: in SQuAD 2.0 right for every question that has none."""
    return {example.id: "" for example in examples}
