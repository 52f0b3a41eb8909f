"""Keywords: candidates by hand, maximal marginal relevance by its definition."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minibert.errors import InputError

DEMO = runpy.run_path(str(Path(__file__).parents[2] / "demos" / "32_keywords.py"))
STOP_WORDS, candidate_words = DEMO["STOP_WORDS"], DEMO["candidate_words"]
extract_keywords = DEMO["extract_keywords"]
maximal_marginal_relevance = DEMO["maximal_marginal_relevance"]


def cosine(a, b):
    return a @ b / np.sqrt((a @ a) * (b @ b))


def test_candidates_are_the_frequent_words_without_stop_words():
    text = "The cat sees a well-known DOG, the dog's tail and the cat. A cat's 3 x! Äpfel"
    assert candidate_words(text) == ["cat", "sees", "well-known", "dog", "dog's", "tail", "cat's",
                                     "äpfel"]
    assert candidate_words("to be or not to be") == []
    assert candidate_words("to be or not", {"or"}) == ["to", "be", "not"]
    assert "" not in STOP_WORDS and all(word == word.lower() for word in STOP_WORDS)


def test_short_forms_of_stop_words_are_stop_words():
    text = "It's what they’re told: don't, isn’t, I've, I'll, we can't, won't! The cat’s cat's tail"
    assert candidate_words(text) == ["cat's", "told", "tail"]
    assert candidate_words("isn't it's", {"it"}) == ["isn't"]


def test_an_accent_of_its_own_is_part_of_its_word():
    assert candidate_words("nai\u0308ve na\xefve cafe\u0301") == ["na\xefve", "caf\xe9"]


def test_vowel_signs_are_part_of_their_word_and_no_words():
    assert candidate_words("हिन्दी भाषा, हिन्दी-भाषा 1\ufe0f\u20e3 क") == [
        "हिन्दी", "भाषा", "हिन्दी-भाषा"]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 8), st.integers(1, 5), st.integers(1, 10), st.floats(0, 1),
       st.integers(0, 2 ** 32 - 1))
def test_each_choice_has_the_largest_marginal_relevance(N, C, top_n, diversity, seed):
    rng = np.random.default_rng(seed)
    document, words = rng.normal(size=C), rng.normal(size=(N, C))
    chosen = maximal_marginal_relevance(document, words, top_n, diversity)
    assert len(chosen) == len(set(chosen)) == min(top_n, N)  # all of them where top_n is more
    for place, choice in enumerate(chosen):
        def marginal(i):
            nearest = max([cosine(words[i], words[j]) for j in chosen[:place]], default=0.0)
            return (1 - diversity) * cosine(words[i], document) - diversity * nearest
        best = max(marginal(i) for i in range(N) if i not in chosen[:place])
        assert marginal(choice) == pytest.approx(best, abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2 ** 32 - 1), st.floats(0.01, 100))
def test_without_diversity_it_ranks_by_cosine(seed, length):
    rng = np.random.default_rng(seed)
    document, words = rng.normal(size=4) * length, rng.normal(size=(7, 4))
    ranked = sorted(range(7), key=lambda i: -cosine(words[i], document))
    assert maximal_marginal_relevance(document, words, 7, 0.0) == ranked
    some = maximal_marginal_relevance(document, words, 3, 0.4)
    assert some[0] == ranked[0]  # the nearest comes first
    assert some == maximal_marginal_relevance(document / length, words * 3, 3, 0.4)


def test_a_repetition_comes_last():
    document, words = np.array([1.0, 1.0]), np.array([[1.0, 0.8], [1.0, 0.79], [0.0, 1.0]])
    assert maximal_marginal_relevance(document, words, 3, 0.0) == [0, 1, 2]
    assert maximal_marginal_relevance(document, words, 3, 0.6) == [0, 2, 1]


def test_keywords_of_a_text():
    about = {"fish": (1.0, 0.1), "net": (0.9, 0.2), "piano": (0.0, 1.0)}

    def embed(texts):
        return np.array([about.get(text, (1.0, 0.0)) for text in texts])

    text = "The piano, the piano: the fish is in the net."
    assert extract_keywords(text, embed, 2, 0.0) == ["fish", "net"]
    assert extract_keywords(text, embed, 9, 0.0) == ["fish", "net", "piano"]
    assert extract_keywords(text, embed, 2, 0.0, nr_candidates=1) == ["piano"]
    assert extract_keywords(text, embed, 1, 0.0, stop_words={"the", "is", "in", "fish"}) == ["net"]


def test_impossible_input_is_refused():
    one, two = np.ones(2), np.ones((3, 2))
    for arguments, words in (((one, two, 0), "top_n = 0"), ((one, two, 2, 1.5), "diversity = 1.5"),
                             ((one, two[0], 2), "expected"), ((np.ones(3), two, 2), "expected"),
                             ((one * 0, two, 2), "zero or not finite"),
                             ((one, two * np.nan, 2), "zero or not finite"),
                             ((one, two * np.inf, 2), "zero or not finite")):
        with pytest.raises(InputError, match=words):
            maximal_marginal_relevance(*arguments)
    for text in ("", "to be or not", "3 * 4"):
        with pytest.raises(InputError, match="no word that is not a stop word"):
            extract_keywords(text, None)
    with pytest.raises(InputError, match="nr_candidates = 0"):
        extract_keywords("fish", None, nr_candidates=0)
