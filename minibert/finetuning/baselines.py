"""Baselines of question answering that need no model. (Those from counts of labels are in the
tasks.)"""

from collections.abc import Sequence

from minibert.data.sentence_splitter import split_sentences
from minibert.finetuning.examples import QuestionExample


def first_sentences(examples: Sequence[QuestionExample]) -> dict[str, str]:
    """Answer each question with the first sentence of its passage: {question id: answer}."""
    return {example.id: split_sentences(example.passage)[0] for example in examples}


def no_answers(examples: Sequence[QuestionExample]) -> dict[str, str]:
    """Give each question the empty answer, which is right for those of SQuAD 2.0 without one."""
    return {example.id: "" for example in examples}
