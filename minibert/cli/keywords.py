"""Keywords as KeyBERT (Grootendorst 2020) finds them: the words whose vectors have the largest
cosine with the vector of the text, chosen so that they differ from each other."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection

import numpy as np

from minibert.errors import InputError
from minibert.validate import number, whole_number

STOP_WORDS = frozenset("""
a about above after again against all almost already also although always am among an and another
any anything are as at away be because been before behind being below beside between both but by
can cannot could did do does doing done down during each either else even ever every few for from
further get given had has have having he her here hers herself him himself his how however i if in
instead into is it its itself just least less like many may me might mine more most much must my
myself near neither never no none nor not nothing now of off often on once one only onto or other
others otherwise our ours ourselves out over own perhaps rather same see several shall she should
since so some something sometimes still such than that the their theirs them themselves then there
therefore these they thing things this those though through thus to too toward under unless until
up upon us use used uses using very was we well were what whatever when where whether which while
who whole whom whose why will with within without would yet you your yours yourself
ain't can't let's ll shan't ve won't""".split())  # I'll and I've begin with one letter
_WORD = re.compile(r"[^\W\d_]{2,}(?:[-'][^\W\d_]+)*")
_ENDING = re.compile(r"(?:n't|'[^\W\d_]+)$")  # of isn't, it's, they're


def candidate_words(text: str, stop_words: Collection[str] = STOP_WORDS) -> list[str]:
    """The words of a text in lower case, without `stop_words` and their short forms (it's, isn't),
    the most frequent first and equally frequent ones in the order of the text."""
    text = unicodedata.normalize("NFC", text.lower().replace("’", "'"))  # é as one character
    words = [word for word in _WORD.findall(text)
             if word not in stop_words and _ENDING.sub("", word) not in stop_words]
    return [word for word, _ in Counter(words).most_common()]


def maximal_marginal_relevance(document: np.ndarray, candidates: np.ndarray, top_n: int,
                               diversity: float = 0.5) -> list[int]:
    """The rows of candidates (N, C) that are nearest to document (C,) by cosine and not near each
    other, in the order of their choice; all N where there are no more than top_n.

    Each choice has the largest lambda cos(document, c) - (1 - lambda) max_chosen cos(c, chosen),
    lambda = 1 - diversity (Carbonell & Goldstein 1998, "The Use of MMR, Diversity-Based Reranking
    for Reordering Documents and Producing Summaries"). Errors: InputError for top_n below 1,
    a diversity outside 0 to 1, a vector without length, and shapes that do not fit.
    """
    whole_number("top_n", top_n, 1)
    number("diversity", diversity, 0, 1)
    if candidates.ndim != 2 or document.shape != candidates.shape[1:]:
        raise InputError(f"maximal_marginal_relevance: document {document.shape}, candidates "
                         f"{candidates.shape}: expected (C,) and (N, C)")
    lengths = np.linalg.norm(candidates, axis=1), np.linalg.norm(document)
    if not all(np.all((length > 0) & (length < np.inf)) for length in lengths):
        raise InputError("maximal_marginal_relevance: a vector is zero or not finite: it has no "
                         "cosine")
    candidates = candidates / lengths[0][:, None]
    relevance, nearest = candidates @ (document / lengths[1]), np.zeros(len(candidates))  # (N,)
    chosen: list[int] = []
    while len(chosen) < min(top_n, len(candidates)):
        marginal = (1 - diversity) * relevance - diversity * nearest
        marginal[chosen] = -np.inf
        chosen.append(int(marginal.argmax()))
        nearest = (candidates @ candidates[chosen].T).max(axis=1)
    return chosen


def extract_keywords(text: str, embed: Callable[[list[str]], np.ndarray], top_n: int = 5,
                     diversity: float = 0.5, nr_candidates: int = 20,
                     stop_words: Collection[str] = STOP_WORDS) -> list[str]:
    """At most top_n keywords of a text, chosen among its `nr_candidates` most frequent words.

    embed: texts -> vectors (N, C), such as those of cli/embed.py. Errors: InputError for a text
    without candidates, and as maximal_marginal_relevance.
    """
    words = candidate_words(text, stop_words)[:whole_number("nr_candidates", nr_candidates, 1)]
    if not words:
        raise InputError(f"keywords: {text!r:.60} has no word that is not a stop word: give a "
                         "longer text or fewer stop words")
    vectors = embed([text, *words])
    return [words[i] for i in maximal_marginal_relevance(vectors[0], vectors[1:], top_n, diversity)]
