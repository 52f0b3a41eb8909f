"""Every task as text in, text out (Raffel et al. 2020, section 2.4): one model, one loss, no heads.

A prefix names the task, and the answer is written in words:

    mood : the captain tunes that guitar .                      glad
    same : the bank is muddy .  with  she drinks tea .          other
    ending : they share secrets . they ...  a  row the raft .   the ending's letter
    entities : the old captain rows her boat .                  the old captain = captain , ...
    question : the captain drinks tea .  passage : ...          her boat

An encoder-decoder reads the left column and writes the right one. A GPT goes on with a prompt that
is the left column and "answer :" (Radford et al. 2019, section 3).
"""

from collections.abc import Iterator, Sequence

import numpy as np

from minibert.autograd.functional import IGNORE_INDEX
from minibert.finetuning.answer_metrics import exact_match
from minibert.finetuning.entity_metrics import get_entities
from minibert.finetuning.examples import (ChoiceExample, QuestionExample, SentenceExample,
                                          TagExample)
from minibert.finetuning.metrics import Counts, total
from minibert.finetuning.objective import shuffled_epochs
from minibert.models.gpt import GPT2LMHeadModel
from minibert.pretraining.objective import HELD_OUT_BATCH, LossesAndMetrics
from minibert.pretraining.seq2seq import Seq2SeqBatch, Seq2SeqObjective, as_rows
from minibert.tokenizers.base import Tokenizer
from minibert.validate import whole_number

Example = SentenceExample | ChoiceExample | TagExample | QuestionExample
LETTERS = "abcdefghij"  # of endings
WORDS = (*LETTERS, *"glad sad same other mood ending entities question passage with answer : = ,"
         .split())


def as_texts(example: Example) -> tuple[str, str]:
    """The input and the answer of an example, as texts of words and blanks."""
    if isinstance(example, QuestionExample):
        return (f"question : {example.question} passage : {example.passage}",
                example.answers[0].text)
    if isinstance(example, ChoiceExample):
        endings = " ".join([f"{letter} {ending}"
                            for letter, ending in zip(LETTERS, example.endings)])
        return f"ending : {example.context} {example.start} {endings}", LETTERS[example.label]
    if isinstance(example, TagExample):
        return f"entities : {' '.join(example.words)}", " , ".join(
            [f"{' '.join(example.words[start:end])} = {kind.lower()}"
             for kind, start, end in get_entities(example.tags)])
    if example.text_pair is None:
        return f"mood : {example.text}", example.label
    return f"same : {example.text} with {example.text_pair}", example.label


def score(examples: Sequence[Example], answers: Sequence[str]) -> float:
    """The metric of demos 12 and 13 for the answers as texts: the share of right ones, for tagged
    words F1 of entities. An answer in another form than `as_texts` gives is wrong."""
    if not isinstance(examples[0], TagExample):
        return float(np.mean([exact_match(answer, as_texts(example)[1])
                              for example, answer in zip(examples, answers)]))
    counts = []
    for example, answer in zip(examples, answers):
        right = set(get_entities(example.tags))
        found = set(entities_in(answer, example.words))
        counts.append(Counts(len(right & found), len(found), len(right)))
    return total(counts).scores()["f1"]


def entities_in(answer: str, words: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """(type, start, end) of the mentions that an answer names; each is looked for in `words` behind
    the one before, and left out where it does not stand there."""
    place = 0
    for part in answer.split(" , "):
        mention, _, kind = part.partition(" = ")
        mention = mention.split()
        for start in range(place, len(words) - len(mention) + 1):
            if mention and list(words[start:start + len(mention)]) == mention:
                place = start + len(mention)
                yield kind.upper(), start, place
                break


class TextToTextObjective(Seq2SeqObjective):
    """Batches of texts and answers, epoch after epoch: a batch is a pure function of (seed,
    number). pairs: (input, answer) texts."""

    name = "text to text"

    def __init__(self, tokenizer: Tokenizer, pairs: Sequence[tuple[str, str]],
                 held_out: Sequence[tuple[str, str]], batch_size: int, seed: int = 0):
        self.tokenizer = tokenizer
        self.batch_size = whole_number("batch_size", batch_size, 1)
        self.rows, self.held_out = ([self._encoded(*pair) for pair in part]
                                    for part in (pairs, held_out))
        self.epochs = shuffled_epochs(self.rows, seed)

    def batch(self, number: int) -> Seq2SeqBatch:
        """Make training batch `number`, counted from 0 over all steps."""
        parts = self.epochs.examples(number * self.batch_size, self.batch_size)
        return self._built([row for part in parts for row in part])

    def held_out_batches(self) -> Iterator[Seq2SeqBatch]:
        """Yield all held-out examples."""
        for start in range(0, len(self.held_out), HELD_OUT_BATCH):
            yield self._built(self.held_out[start:start + HELD_OUT_BATCH])

    def describe(self) -> list[str]:
        """List facts about the training and held-out data, one a line."""
        return [f"{len(self.rows):,} texts with answers, {len(self.held_out):,} held out"]

    def _encoded(self, text: str, answer: str) -> tuple[list[int], list[int]]:
        return self.tokenizer.encode(text), self._target(answer)

    def _target(self, answer: str) -> list[int]:
        ids = self.tokenizer.encode(answer, add_special_tokens=False)
        return [*ids, self.tokenizer.sep_token_id]

    def _built(self, rows: Sequence[tuple[list[int], list[int]]]) -> Seq2SeqBatch:
        texts, targets = zip(*rows)
        input_ids = as_rows(texts, self.tokenizer.pad_token_id)
        return Seq2SeqBatch(input_ids, input_ids != self.tokenizer.pad_token_id,
                            as_rows(targets, IGNORE_INDEX))


class PromptObjective(TextToTextObjective):
    """The same examples for a GPT: a row is a prompt and its answer, the targets are the answer's
    tokens alone."""

    name = "prompts"

    def losses(self, model: GPT2LMHeadModel, batch: Seq2SeqBatch,
               rng: np.random.Generator | None = None) -> LossesAndMetrics:
        """Return the loss sum, and no metrics."""
        return {"tokens": model.next_token_loss(batch.input_ids, batch.targets, rng=rng)}, {}

    def _encoded(self, text: str, answer: str) -> tuple[list[int], list[int]]:
        prompt, target = prompt_ids(self.tokenizer, text), self._target(answer)
        return [*prompt, *target[:-1]], [IGNORE_INDEX] * (len(prompt) - 1) + target


def prompt_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids of "[SEP] text answer :"."""
    return [tokenizer.sep_token_id, *tokenizer.encode(f"{text} answer :", add_special_tokens=False)]


def answer_all(model, tokenizer: Tokenizer, texts: Sequence[str], max_new_tokens: int) -> list[str]:
    """The likeliest answers (greedy) of an encoder-decoder to the texts, or of a GPT to their
    prompts, as words and blanks."""
    answers, pad = [], tokenizer.pad_token_id
    for start in range(0, len(texts), HELD_OUT_BATCH):
        some = texts[start:start + HELD_OUT_BATCH]
        if isinstance(model, GPT2LMHeadModel):  # padding stands on the left: the rows go on
            ids = as_rows([prompt_ids(tokenizer, text)[::-1] for text in some], pad)[:, ::-1]
            new_from = ids.shape[1]
        else:
            ids, new_from = as_rows([tokenizer.encode(text) for text in some], pad), 1
        found = model.generate(ids, (ids != pad).astype(int), max_new_tokens=max_new_tokens)
        for row in found[:, new_from:].tolist():
            end = [*row, tokenizer.sep_token_id].index(tokenizer.sep_token_id)
            answers.append(" ".join(tokenizer.convert_ids_to_tokens(row[:end])))
    return answers
