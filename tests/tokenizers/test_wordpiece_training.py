"""Learning the vocabulary: against a naive recount, and its laws."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minibert.errors import InputError
from minibert.tokenizers.wordpiece import BertTokenizer
from minibert.tokenizers.wordpiece_training import learn_pieces


def learn_slowly(counts, n_pieces, min_frequency):
    """The definition: every pair counted anew before every merge."""
    words = {word: [word[0]] + ["##" + c for c in word[1:]] for word in counts}
    pieces = sorted({piece for split in words.values() for piece in split})
    while len(pieces) < n_pieces:
        pairs = Counter()
        for word, split in words.items():
            for pair in zip(split, split[1:]):
                pairs[pair] += counts[word]
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        if pairs[best] < min_frequency:
            break
        new = best[0] + best[1][2:]
        if new not in pieces:
            pieces.append(new)
        for split in words.values():
            k = 0
            while k + 1 < len(split):
                if (split[k], split[k + 1]) == best:
                    split[k:k + 2] = [new]
                k += 1
    return pieces


@given(counts=st.dictionaries(st.text("abc", min_size=1, max_size=8), st.integers(1, 9),
                              min_size=1, max_size=12),
       n_pieces=st.integers(6, 40), min_frequency=st.integers(1, 4))
def test_kept_counts_equal_a_recount_before_every_merge(counts, n_pieces, min_frequency):
    expected = learn_slowly(counts, n_pieces, min_frequency)
    assert learn_pieces(counts, n_pieces, min_frequency) == expected


def test_runs_of_one_letter():
    counts = {"a" * n: n for n in range(1, 12)}
    assert learn_pieces(counts, 12, 1) == learn_slowly(counts, 12, 1)


def test_the_order_of_the_texts_does_not_matter():
    texts = ["she plays and he plays", "they are playing", "going and playing and singing"]
    assert (BertTokenizer.train(texts, 50).vocab
            == BertTokenizer.train(reversed(texts), 50).vocab)


def test_a_short_text_teaches_the_example_of_the_paper():
    text = ("my dog is cute . he likes my dog . she likes to play . is he cute ? "
            "we play , you play , they play . looking , going , singing , seeing , being . ") * 2
    tokenizer = BertTokenizer.train([text], 85)
    tokens = tokenizer("my dog is cute", "he likes playing")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(tokens) == (
        "[CLS] my dog is cute [SEP] he likes play ##ing [SEP]".split())


def test_size_frequency_and_specials():
    tokenizer = BertTokenizer.train(["aa aa ab [MASK] [MASK] [MASK]"], 9)
    assert list(tokenizer.vocab)[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert list(tokenizer.vocab)[5:] == ["##a", "##b", "a", "aa"], "[MASK] in a text is no word"
    assert len(BertTokenizer.train(["aa aa ab"], 100)) == 9, "ab occurs once only"
    assert "ab" in BertTokenizer.train(["aa aa ab"], 100, min_frequency=1).vocab


def test_training_cleans_as_splitting_does():
    assert "cafe" in BertTokenizer.train(["CAFÉ café\tCafe\u0301"], 100).vocab
    assert "Café" in BertTokenizer.train(["Café Café"], 100, do_lower_case=False).vocab
    tokenizer = BertTokenizer.train(["no [UNK] here, none. No!"], 60)
    assert "[UNK]" not in tokenizer.tokenize("none here")


def test_impossible_sizes_and_empty_texts():
    with pytest.raises(InputError, match="need 3 pieces, but only 2"):
        BertTokenizer.train(["abc"], 7)
    with pytest.raises(InputError, match="no words"):
        BertTokenizer.train(["", " \n"], 100)
