"""The answer key: zero for the oracle itself, and models that are easy to judge."""

import numpy as np
import pytest

from minibert.ancestors.answer_key import AnswerKey
from minibert.ancestors.ngram import NGramConfig, NGramModel
from minibert.errors import InputError
from minibert.pretraining.gpt_objective import token_stream
from minibert.tokenizers.wordpiece import BertTokenizer
from minibert.toy_world.grammar import ToyWorld

WORLD = ToyWorld()
TOKENIZER = BertTokenizer.from_words(WORLD.words)
V = TOKENIZER.vocab_size


@pytest.fixture(scope="module")
def documents():
    return WORLD.documents(30, np.random.default_rng(0))


@pytest.fixture(scope="module")
def key(documents):
    return AnswerKey(WORLD, TOKENIZER, documents, context=19)


class Exact:
    """The oracle, as a model. Beyond the end of the text there are separators, which no text has:
    a window with them is answered without them."""

    def __init__(self, oracle):
        self.oracle = oracle

    def next_word(self, input_ids):
        log_p = np.zeros((*input_ids.shape, V))
        for row, ids in enumerate(input_ids):
            twice = np.flatnonzero((ids[1:] == ids[:-1]) & (ids[1:] == TOKENIZER.sep_token_id))
            end = twice[0] + 1 if len(twice) else len(ids)
            with np.errstate(divide="ignore"):
                log_p[row, :end] = np.log(self.oracle.next_token_distribution(ids[None, :end])[0])
        return log_p

    def gap(self, input_ids, positions):
        hidden = input_ids.copy()
        _, both = self.oracle.gap_distributions(hidden)
        with np.errstate(divide="ignore"):
            return np.log(both[np.arange(len(both)), positions])


class Uniform:
    def next_word(self, input_ids):
        return np.full((*input_ids.shape, V), -np.log(V))

    def gap(self, input_ids, positions):
        return np.full((len(input_ids), V), -np.log(V))


def test_the_oracle_is_no_distance_from_itself(key):
    assert key.next_word_distance(Exact(key.oracle)) == pytest.approx(0.0, abs=1e-12)
    assert key.gap_distance(Exact(key.oracle)) == pytest.approx(0.0, abs=1e-12)


def test_a_uniform_model_is_ln_v_minus_the_oracles_loss_away(key, documents):
    stream = token_stream(TOKENIZER, [" ".join(document) for document in documents])
    scored = sum([(batch.targets >= 0).sum() for batch in key.windows])
    assert scored == len(stream) - 1  # every token but the first
    assert (key.windows[-1].targets < 0).any()  # the last window is padded: not scored
    best = -sum([log_p.sum() for log_p in key.window_log_p]) / scored
    assert key.next_word_distance(Uniform()) == pytest.approx(np.log(V) - best)
    log_p = np.concatenate([gaps.log_p for gaps in key.gaps])
    assert key.gap_distance(Uniform()) == pytest.approx(np.log(V) + log_p.mean())


def test_gaps_are_words_of_whole_runs(key, documents):
    texts = []
    for gaps in key.gaps:
        ends = gaps.input_ids[:, [0, -1]]
        assert (ends == TOKENIZER.sep_token_id).all()
        assert not np.isin(gaps.words, TOKENIZER.all_special_ids).any()
        texts += [" ".join(TOKENIZER.convert_ids_to_tokens(row[1:-1])) for row in gaps.input_ids]
    expected = [" ".join(document[i:i + 4]) for document in documents
                for i in range(0, len(document) - 3, 4)]
    assert sorted(texts) == sorted(expected)
    assert len({p for gaps in key.gaps for p in gaps.positions}) > 10
    from_the_end = {gaps.input_ids.shape[1] - p for gaps in key.gaps for p in gaps.positions}
    assert min(from_the_end) == 2  # the last word, too


def test_longer_n_grams_are_nearer(key):
    ids = token_stream(TOKENIZER, [" ".join(document) for document in
                                   WORLD.documents(300, np.random.default_rng(1))])
    distances = [key.next_word_distance(NGramModel.fit(NGramConfig(V, order), ids))
                 for order in (1, 2, 3)]
    assert distances[0] > distances[1] + 1 and distances[1] > distances[2] > 0.2


def test_documents_without_a_run_are_refused():
    with pytest.raises(InputError, match="no held-out document has 4 sentences"):
        AnswerKey(WORLD, TOKENIZER, [["the boat ."], ["she rows ."]][:0] or [
            WORLD.documents(1, np.random.default_rng(0))[0][:3]], context=5)
