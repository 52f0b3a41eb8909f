"""Question answering: the span of a passage that answers a question (Devlin et al. 2019, sections
4.2 and 4.3).

Question and passage are read as a pair; a long passage comes in windows that overlap, each with the
whole question. The label of a window without the answer, and of a question that the passage does
not answer (SQuAD 2.0), is [CLS].
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minibert.autograd.tensor import Tensor
from minibert.data.sentence_splitter import split_sentences
from minibert.finetuning.answer_metrics import answer_scores, best_null_threshold, score_answers
from minibert.finetuning.encoding import Reading, Window
from minibert.finetuning.examples import Answer, QuestionExample
from minibert.finetuning.labels import format_counts
from minibert.finetuning.sliding_window import (best_spans, extract_answer, null_difference,
                                                windows_in_context)
from minibert.finetuning.tasks.base import Task
from minibert.generation.sampling import probabilities
from minibert.models.losses import span_loss
from minibert.tokenizers.base import Piece

LONGEST_QUESTION = 64  # tokens; this and the next as in BERT's run_squad.py
LONGEST_ANSWER = 30
NO_LABEL = (1 << 30, 1 << 30)  # positions outside of every window, which the loss leaves out
# notes
NO_EDGE = "have an answer that begins or ends inside a token: the whole token is taken"
NO_TOKEN = "have an answer without a token: left out of training"
CUT_QUESTION = "have a question that lost its end, to fit"

Examples = Sequence[QuestionExample]


@dataclass(frozen=True)
class PredictedAnswer:
    """A predicted `answer`, or None for no answer; `best` is the best span even then (None in a
    passage without tokens). `probability`: that of the prediction, by a softmax over the scores of
    the best spans (and of no answer). `null_difference`: the score of no answer minus that of the
    best span."""

    answer: Answer | None
    best: Answer | None
    probability: float
    null_difference: float

    @property
    def text(self) -> str:
        """The text of the answer; empty for no answer."""
        return "" if self.answer is None else self.answer.text


Predictions = Sequence[PredictedAnswer]


class QuestionAnswering(Task):
    """Question answering. A prediction is a PredictedAnswer. `may_be_empty`: there are questions
    without an answer (SQuAD 2.0); no answer is predicted where the null difference is above
    `null_threshold`."""

    name, metric_for_best_model = "answer", "f1"

    def __init__(self, reading: Reading, may_be_empty: bool, null_threshold: float = 0.0):
        super().__init__(reading)
        self.may_be_empty, self.null_threshold = may_be_empty, null_threshold
        self.baseline_name = "no answer" if may_be_empty else "first sentence"

    def rows(self, examples: Examples) -> list[Window]:
        return [row for number, example in enumerate(examples)
                for row in self._windows(number, example)]

    def _windows(self, number: int, example: QuestionExample) -> list[Window]:
        """The windows of one question. Their alignment (T, 3): start and end of a token in the
        passage, and whether it has its most context in this window; -1 for other tokens."""
        passage = self.reading.pieces(example.passage)
        whole_question = self.reading.ids(example.question)
        room = self.reading.room(2)
        question = whole_question[:min(LONGEST_QUESTION, room // 2)]
        span, note = None, CUT_QUESTION if len(question) < len(whole_question) else ""
        if example.answers:
            span, unaligned = align_answer(passage, example.answers[0])
            note = unaligned or note
        overlap = min(self.reading.overlap, room - len(question) - 1)
        first = 1 + len(question) + self.reading.separators  # [CLS] question [SEP]
        rows = []
        for start, end, is_best in windows_in_context(len(passage), room - len(question), overlap):
            part = np.array(passage[start:end], np.int32).reshape(-1, 3)
            ids, types = self.reading.framed(question, part[:, 0].tolist())
            alignment = np.full((len(ids), 3), -1, np.int32)
            alignment[first:first + len(part)] = np.column_stack([part[:, 1:], is_best])
            label = (0, 0)  # [CLS]: the answer is not in this window
            if example.answers is None:
                label = None
            elif example.answers and span is None:
                label = NO_LABEL
            elif span is not None and start <= span[0] and span[1] < end:
                label = (first + span[0] - start, first + span[1] - start)
            rows.append(Window(number, ids, types, label, alignment, note))
        return rows

    def count(self, labels: np.ndarray) -> float:  # of (B, 2)
        return int((labels[:, 0] != NO_LABEL[0]).sum())

    def loss(self, outputs, labels: np.ndarray) -> Tensor:
        return span_loss(outputs.start_logits, outputs.end_logits, labels[:, 0], labels[:, 1],
                         reduction="sum")

    def scores(self, outputs) -> list[np.ndarray]:
        return list(np.stack([outputs.start_logits.data, outputs.end_logits.data], axis=1))

    def predictions(self, examples: Examples, rows: Sequence[Window], scores: Sequence[np.ndarray]
                    ) -> list[PredictedAnswer]:
        windows: list[list] = [[] for _ in examples]
        for row, score in zip(rows, scores):
            windows[row.example].append((row, score[:, :len(row)]))
        return [self._found(example, *zip(*parts)) for example, parts in zip(examples, windows)]

    def _found(self, example: QuestionExample, rows: Sequence[Window],
               scores: Sequence[np.ndarray]) -> PredictedAnswer:
        """The best span of all windows of a question, or none."""
        starts, ends = [score[0] for score in scores], [score[1] for score in scores]
        in_passage = [row.alignment[:, 0] >= 0 for row in rows]
        is_best = [row.alignment[:, 2] == 1 for row in rows]
        spans = best_spans(starts, ends, in_passage, is_best, LONGEST_ANSWER)
        difference = null_difference(spans, starts, ends)
        if not spans:
            return PredictedAnswer(None, None, 1.0, difference)
        tokens = rows[spans[0].window].alignment[spans[0].start:spans[0].end + 1]
        best = extract_answer(example.passage, tokens[:, :2].tolist())
        candidates = [span.score for span in spans]
        if self.may_be_empty:
            candidates.append(spans[0].score + difference)
        p = probabilities(np.array(candidates))
        if self.may_be_empty and difference > self.null_threshold:
            return PredictedAnswer(None, best, float(p[-1]), difference)
        return PredictedAnswer(best, best, float(p[0]), difference)

    def compute_metrics(self, examples: Examples, predictions: Predictions) -> dict[str, float]:
        metrics = score_answers(examples, [found.text for found in predictions])["all"]
        return {"exact_match": metrics["exact_match"], "f1": metrics["f1"]}

    def details(self, examples: Examples, predictions: Predictions) -> dict:
        details = {"per_class": score_answers(examples, [found.text for found in predictions])}
        if self.may_be_empty:
            threshold, f1 = best_null_threshold(
                [answer_scores(example, found.best.text if found.best else "")[1]
                 for example, found in zip(examples, predictions)],
                [found.null_difference for found in predictions],
                [bool(example.answers) for example in examples])
            details["best_null_threshold"] = {"threshold": threshold, "f1": f1}
        return details

    def fit_baseline(self, train: Examples) -> str:
        """The baseline's name: it needs no counts."""
        return self.baseline_name

    def predict_baseline(self, baseline: str, examples: Examples) -> list[PredictedAnswer]:
        answers = [None if baseline == "no answer" else
                   Answer(split_sentences(example.passage)[0], 0) for example in examples]
        return [PredictedAnswer(answer, answer, 1.0, 0.0) for answer in answers]

    def format_predictions(self, examples: Examples, predictions: Predictions) -> str:
        """The answers by question id, as SQuAD's own script reads them."""
        answers = {example.id: found.text for example, found in zip(examples, predictions)}
        return json.dumps(answers, indent=1, ensure_ascii=False) + "\n"

    def describe(self, part: str, examples: Examples) -> str:
        kinds = ["with an answer" if example.answers else "without one" for example in examples]
        return f"questions in {part}: {format_counts(kinds)}"

    def show(self, row: Window) -> str:
        words = self.reading.tokenizer.convert_ids_to_tokens(row.ids)
        if row.label == NO_LABEL:
            return f"{' '.join(words)}\n  -> no label"
        start, end = row.label
        answer = " ".join(words[start:end + 1]) if start else "[CLS]: no answer here"
        return f"{' '.join(words)}\n  -> {answer}"


def align_answer(passage: Sequence[Piece], answer: Answer) -> tuple[tuple[int, int] | None, str]:
    """The first and the last token of an answer, None if it has none; and a note if its edges are
    not theirs."""
    start = answer.start + len(answer.text) - len(answer.text.lstrip())
    end = answer.start + len(answer.text.rstrip())
    inside = [i for i, (_, low, high) in enumerate(passage) if low < end and high > start]
    if not inside:
        return None, NO_TOKEN
    first, last = inside[0], inside[-1]
    exact = passage[first][1] == start and passage[last][2] == end
    return (first, last), "" if exact else NO_EDGE
