"""Exact match and F1 of answers, as in SQuAD (Rajpurkar et al. 2016 and 2018) and, for Chinese, as
in CMRC 2018 (Cui et al. 2019). All are from 0 to 1, where their scripts give percent.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher

from minibert.errors import InputError
from minibert.finetuning.examples import QuestionExample
from minibert.finetuning.metrics import check_lengths

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = frozenset(string.punctuation)  # ASCII's alone, as in SQuAD's script
_CHINESE = re.compile("[\u4e00-\u9fff]")
_LATIN_WORD = re.compile("[A-Za-z]+")
_CHINESE_WORD = re.compile("[\u4e00-\u9fff]|[^\\W\u4e00-\u9fff]+(?:[.,][^\\W\u4e00-\u9fff]+)*|\\S")
_CHINESE_PUNCTUATION = frozenset("-:_*^/\\~`+=，。：？！“”；’《》…·、「」（）－～『』")


def normalize_answer(text: str) -> str:
    """Drop upper case, punctuation, articles and runs of blanks, in this order, as SQuAD's script
    does: "The U.S." becomes "us", and "a-z" is one word."""
    text = "".join([char for char in text.lower() if char not in _PUNCTUATION])
    return " ".join(_ARTICLES.sub(" ", text).split())


def exact_match(answer: str, right: str) -> float:
    """1 if both are the same after normalize_answer, else 0."""
    return float(normalize_answer(answer) == normalize_answer(right))


def f1(answer: str, right: str) -> float:
    """F1 of the words that both share, in any order: 2 shared / (words of one + words of the
    other). Where one has no words (no answer) it is 1 if neither has, as in the script of SQuAD
    2.0; that of 1.1 gives 0 even to "the" for "a"."""
    words, right_words = normalize_answer(answer).split(), normalize_answer(right).split()
    if not words or not right_words:
        return float(words == right_words)
    shared = (Counter(words) & Counter(right_words)).total()
    return 2 * shared / (len(words) + len(right_words))


def chinese_exact_match(answer: str, right: str) -> float:
    """1 if both are the same without punctuation, else 0; in CMRC "." and "," are none, and blanks
    count."""
    return float(_without_punctuation(answer) == _without_punctuation(right))


def chinese_f1(answer: str, right: str) -> float:
    """F1 of the longest common substring, in words: in CMRC 2018, unlike SQuAD, the order counts.

    Each Chinese character is a word of its own; other text is cut at blanks and around marks, but
    not within "3.5" or "1,500". (CMRC's script cuts it with nltk, for which "don't" is two words.)
    """
    words, right_words = _chinese_words(answer), _chinese_words(right)
    if not words or not right_words:
        return float(words == right_words)
    longest = SequenceMatcher(None, words, right_words, autojunk=False).find_longest_match().size
    return 2 * longest / (len(words) + len(right_words))


def _chinese_words(text: str) -> list[str]:
    return _CHINESE_WORD.findall(_without_punctuation(text))


def _without_punctuation(text: str) -> str:
    return "".join([char for char in text.lower().strip() if char not in _CHINESE_PUNCTUATION])


def is_chinese(text: str) -> bool:
    """Whether a passage is Chinese: it has more Chinese characters than words in Latin letters. (An
    answer alone does not show it: "2009", or "天下" in an English passage.)"""
    return len(_CHINESE.findall(text)) > len(_LATIN_WORD.findall(text))


def answer_scores(example: QuestionExample, answer: str) -> tuple[float, float]:
    """(exact match, F1) of an answer, each the maximum over the accepted ones. For a question
    without an answer the empty one is right. Errors: an example without labels."""
    if example.answers is None:
        raise InputError(f"{example.where}: the question has no answers to score by")
    accepted = [right.text for right in example.answers if normalize_answer(right.text)] or [""]
    chinese = is_chinese(example.passage)
    match, overlap = (chinese_exact_match, chinese_f1) if chinese else (exact_match, f1)
    return (max([match(answer, right) for right in accepted]),
            max([overlap(answer, right) for right in accepted]))


def score_answers(examples: Sequence[QuestionExample], answers: Sequence[str]
                  ) -> dict[str, dict[str, float]]:
    """The means over the questions, {"all": {"exact_match", "f1", "support"}}; where some of them
    have no answer (SQuAD 2.0) also over each kind, "with an answer" and "without one". Errors:
    not one answer for each question, no question."""
    check_lengths("answers", examples, answers)
    scores = {"all": [], "with an answer": [], "without one": []}
    for example, answer in zip(examples, answers):
        score = answer_scores(example, answer)
        scores["all"].append(score)
        scores["with an answer" if example.answers else "without one"].append(score)
    if not scores["without one"]:
        del scores["with an answer"]  # the same as all
    return {kind: {"exact_match": sum([exact for exact, _ in found]) / len(found),
                   "f1": sum([overlap for _, overlap in found]) / len(found),
                   "support": len(found)} for kind, found in scores.items() if found}


def best_null_threshold(scores: Sequence[float], null_differences: Sequence[float],
                        answerable: Sequence[bool]) -> tuple[float, float]:
    """The threshold of the null difference with the best mean score (SQuAD 2.0): (threshold, that
    mean).

    For each question: the score (such as F1) of its best non-empty answer, its null difference, and
    whether it has an answer. A question is answered at the threshold or below. As in SQuAD's script
    the threshold is one of the differences, the lowest of equally good ones; it is less than all of
    them if no answer is best for every question.
    """
    n = len(scores)
    if not n or len(null_differences) != n or len(answerable) != n:
        raise InputError(f"best_null_threshold: {n} scores, {len(null_differences)} differences "
                         f"and {len(answerable)} questions: expected one of each for every "
                         "question")
    rows = sorted(zip(null_differences, scores, answerable))
    gained = float(sum([not has_answer for has_answer in answerable]))  # with nothing answered
    best_gain, threshold = gained, float(rows[0][0]) - 1.0
    for place, (difference, score, has_answer) in enumerate(rows):
        gained += score if has_answer else -1.0
        is_last_of_equals = place + 1 == n or rows[place + 1][0] > difference
        if is_last_of_equals and gained > best_gain:
            best_gain, threshold = gained, float(difference)
    return threshold, best_gain / n
