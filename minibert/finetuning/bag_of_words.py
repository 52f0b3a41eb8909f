"""Log-linear models over bags of words, one for each family of tasks: the baseline of a model that
reads is one that only counts.

A bag is a list of names, each as often as it counts: words without their order. For fixed classes
an example is one bag and each class k has its own weights; where endings or spans are compared,
each candidate has a bag, and all have the same weights:

    p(class k | bag x) = exp(w_k . x) / sum_j exp(w_j . x)
    p(candidate c)     = exp(w . x_c) / sum_d exp(w . x_d)

The weights minimize the cross entropy plus l2/2 |w|^2 (multinomial logistic regression; Bishop
2006, "Pattern Recognition and Machine Learning", section 4.3.4); l2 is selected on the dev
examples. Words that two texts share have names of their own in the bags.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy import optimize, sparse

from minibert.finetuning.examples import (Answer, ChoiceExample, QuestionExample, SentenceExample,
                                          TagExample)
from minibert.finetuning.tasks.question_answering import PredictedAnswer

PENALTIES = (3.0, 0.3, 0.03, 0.003)
MOST_ITERATIONS = 200
LONGEST_SPAN = 3  # words

Choice = tuple[list[list[str]], int]  # the bags of the candidates, or the one bag; what is right


class BagOfWords:
    """A log-linear model for a task, which has a `name` (that of the command) and, except for
    choices and questions, `labels`."""

    def __init__(self, task):
        self.task = task
        self.classes = len(task.labels) if task.name in ("classify", "pair", "tag") else 1
        self.columns: dict[str, int] = {}
        self.weights = np.zeros((0, self.classes))

    def fit(self, train: Sequence, dev: Sequence) -> "BagOfWords":
        """Fit the weights to `train`, with the penalty of the best accuracy on `dev`."""
        choices = self._choices(train)
        names = sorted({name for bags, _ in choices for bag in bags for name in bag})
        self.columns = {name: column for column, name in enumerate(names)}
        x, first, right = self._matrix(choices)
        weights = np.zeros((len(names), self.classes))
        found = []
        for penalty in PENALTIES:
            self.weights = weights = _fitted(x, first, right, penalty, weights)
            found.append((self.accuracy(dev), weights))
        self.weights = found[int(np.argmax([accuracy for accuracy, _ in found]))][1]
        return self

    def predict(self, examples: Sequence) -> list:
        """The predictions, in the form in which a model's task has it: probabilities (all on one),
        tags, answers."""
        chosen = self._chosen(self._choices(examples))
        if self.task.name == "tag":
            tags = iter([self.task.labels[k] for k in chosen])
            return [tuple(next(tags) for _ in example.words) for example in examples]
        if self.task.name == "answer":
            spans = [candidate_spans(example.passage)[k] for example, k in zip(examples, chosen)]
            answers = [Answer(text, start) for start, text, _ in spans]
            return [PredictedAnswer(answer, answer, 1.0, 0.0) for answer in answers]
        classes = len(examples[0].endings) if self.task.name == "choice" else self.classes
        return list(np.eye(classes)[chosen])

    def accuracy(self, examples: Sequence) -> float:
        """The share of the choices in the examples that are right."""
        choices = self._choices(examples)
        return float(np.mean(np.array(self._chosen(choices)) == [right for _, right in choices]))

    def _choices(self, examples: Sequence) -> list[Choice]:
        if self.task.name == "choice":
            return [ending_choice(example) for example in examples]
        if self.task.name == "answer":
            return [span_choice(example) for example in examples]
        if self.task.name == "tag":
            return [choice for example in examples
                    for choice in tag_choices(example, self.task.labels)]
        return [sentence_choice(example, self.task.labels) for example in examples]

    def _chosen(self, choices: list[Choice]) -> list[int]:
        """The class, or the number of the candidate, for every choice."""
        x, first, _ = self._matrix(choices)
        scores = np.split((x @ self.weights).ravel(), first[1:])
        return [int(score.argmax()) for score in scores]

    def _matrix(self, choices: list[Choice]) -> tuple[sparse.csr_matrix, np.ndarray, np.ndarray]:
        """The bags (R, features); and where in the scores (R * classes,) each choice's first
        candidate stands, and its right one. Names that were not learned from are left out."""
        columns, counts, ends = [], [], [0]
        first, right = [], []
        for bags, answer in choices:
            first.append((len(ends) - 1) * self.classes)
            right.append(first[-1] + answer)
            for bag in bags:
                known = Counter([name for name in bag if name in self.columns])
                columns += [self.columns[name] for name in known]
                counts += known.values()
                ends.append(len(columns))
        shape = (len(ends) - 1, len(self.columns))
        x = sparse.csr_matrix((np.array(counts, np.float64), columns, ends), shape=shape)
        return x, np.array(first), np.array(right)


def _fitted(x: sparse.csr_matrix, first: np.ndarray, right: np.ndarray, penalty: float,
            start: np.ndarray) -> np.ndarray:
    """The weights (features, classes) of the least penalised cross entropy, by L-BFGS."""
    transposed = x.T.tocsr()
    candidates = np.diff(np.append(first, x.shape[0] * start.shape[1]))
    owner = np.repeat(np.arange(len(first)), candidates)  # the choice that each score belongs to

    def loss_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        scores = (x @ flat.reshape(start.shape)).ravel()
        scores -= np.maximum.reduceat(scores, first)[owner]
        exp = np.exp(scores)
        total = np.add.reduceat(exp, first)
        loss = (np.log(total) - scores[right]).sum() + penalty / 2 * flat @ flat
        gradient = exp / total[owner]
        gradient[right] -= 1.0
        gradient = transposed @ gradient.reshape(-1, start.shape[1])
        return loss, gradient.ravel() + penalty * flat

    return optimize.minimize(loss_and_gradient, start.ravel(), jac=True, method="L-BFGS-B",
                             options={"maxiter": MOST_ITERATIONS}).x.reshape(start.shape)


# ---- the bags of each family ----


def sentence_choice(example: SentenceExample, labels: Sequence[str]) -> Choice:
    """The words of the text, of the second text, and those in both."""
    bag = ["always", *example.text.split()]
    if example.text_pair is not None:
        second = example.text_pair.split()
        bag += [f"second {word}" for word in second]
        bag += _shared(set(example.text.split()) & set(second))
    return [bag], labels.index(example.label)


def ending_choice(example: ChoiceExample) -> Choice:
    """For each ending: its words, and those that stand in the context, too."""
    context = set(f"{example.context} {example.start}".split())
    bags = [[*ending.split(), *_shared(context & set(ending.split()))]
            for ending in example.endings]
    return bags, example.label


def tag_choices(example: TagExample, labels: Sequence[str]) -> list[Choice]:
    """For each word: itself, and all the words of the text."""
    text = ["always", *(f"in text {word}" for word in example.words)]
    return [([[word, *text]], labels.index(tag)) for word, tag in zip(example.words, example.tags)]


def span_choice(example: QuestionExample) -> Choice:
    """For each span of at most three words: its words, each of them with each word of the question,
    and how many words its sentence shares with the question. Right is the first answer."""
    question, answer = example.question.split(), example.answers[0]
    bags, right = [], None
    for start, text, sentence in candidate_spans(example.passage):
        if (start, text) == (answer.start, answer.text):
            right = len(bags)
        words = text.split()
        bags.append([*words, f"{len(words)} words",
                     *(f"{word} asked {asked}" for word in words for asked in question),
                     *["sentence shares"] * len(set(question) & set(sentence.split()))])
    return bags, right


def candidate_spans(passage: str) -> list[tuple[int, str, str]]:
    """(first character, text, sentence) of each span of at most three words."""
    spans, start = [], 0
    for sentence in passage.removesuffix(" .").split(" . "):
        words = sentence.split(" ")
        for k, word in enumerate(words):
            longest = min(LONGEST_SPAN, len(words) - k)
            spans += [(start, " ".join(words[k:k + length]), sentence)
                      for length in range(1, longest + 1)]
            start += len(word) + 1
        start += len(". ")
    return spans


def _shared(words: set[str]) -> list[str]:
    return ["shared"] * len(words) + [f"shared {word}" for word in words]
