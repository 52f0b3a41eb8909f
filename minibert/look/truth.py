"""The toy world's exact answers beside a model's: words, topics, which words matter; and its texts.
"""

from __future__ import annotations

import numpy as np

from minibert.data.corpora import toy_corpus
from minibert.errors import InputError
from minibert.finetuning.encoding import Reading, Window, batch_of
from minibert.look.subject import Subject
from minibert.tokenizers.base import Tokenizer
from minibert.tokenizers.wordpiece import BertTokenizer
from minibert.toy_world.grammar import ToyWorld
from minibert.toy_world.oracle import Oracle

HELD_OUT_DOCUMENTS = 64  # whose beginnings means are taken over
LARGEST_VOCABULARY = 1000  # of a tokenizer that was trained on the toy world's text


def find_oracle(tokenizer: Tokenizer) -> Oracle | None:
    """The oracle for texts of this tokenizer; None where its vocabulary is not the toy world's."""
    if not isinstance(tokenizer, BertTokenizer) or len(tokenizer) > LARGEST_VOCABULARY:
        return None
    world = ToyWorld()
    if not set(world.words) <= set(tokenizer.vocab):
        return None
    return Oracle(world, tokenizer)


def held_out_inputs(subject: Subject) -> dict[str, np.ndarray]:
    """The model's inputs for the first two sentences of each of HELD_OUT_DOCUMENTS, which no run of
    `pretrain` was trained on; one of a single sentence is left out."""
    documents = toy_corpus(n_documents=1).held_out_documents[:HELD_OUT_DOCUMENTS]
    starts = [sentences[:2] for sentences in documents if len(sentences) > 1]
    reading = Reading(subject.tokenizer, max(subject.model.config.context_length, 5),
                      left_to_right=subject.causal)
    if subject.causal:
        rows = [reading.framed(reading.ids(" ".join(start))[:reading.room(1)]) for start in starts]
    else:
        rows = [reading.pair(*start)[:2] for start in starts]
    return batch_of(reading, [Window(i, *row) for i, row in enumerate(rows)], None).inputs()


def next_words(oracle: Oracle, subject: Subject) -> np.ndarray:
    """The best possible p(word) where the model gives its own, (T, V): of a GPT's next word, of a
    BERT's word here given all that it reads; NaN at BERT's special tokens. Errors: InputError, the
    world does not write this text."""
    ids, types = np.array([subject.ids]), np.array([subject.types])
    if subject.causal:
        return oracle.next_token_distribution(ids)[0]
    own = np.flatnonzero(~np.array(subject.special))
    found = np.full((len(subject.ids), oracle.emission.shape[1]), np.nan)
    found[own] = oracle.pair_distributions(ids, types, np.ones_like(ids), own)[0]
    return found


def topics(oracle: Oracle, subject: Subject) -> np.ndarray:
    """p(topic of each token's hidden state), (T, topics): a GPT's given the tokens so far, a BERT's
    given all; NaN at special tokens. Errors: InputError, the world does not write this text."""
    own = ~np.array(subject.special)
    groups = oracle.world.topic_groups()
    given = oracle.state_posteriors(np.array([subject.ids])[:, own], groups)
    found = np.full((len(own), groups.shape[1]), np.nan)
    found[own] = given[0 if subject.causal else 1][0]
    return found


def words_that_matter(oracle: Oracle, subject: Subject) -> np.ndarray:
    """Each word's part in the best possible prediction of the target, (T,): log p(target | text)
    less log p(target | the text without this word), the sum over all words that could stand there;
    with `instead` the difference of two such numbers. NaN at special tokens. Errors: InputError,
    the world does not write this text, or not the target."""
    target, own = subject.target, np.flatnonzero(~np.array(subject.special))
    if target.kind not in ("word", "next word"):
        raise InputError(f"oracle: it predicts words, and the target is of the kind {target.kind}")

    def target_log_p(p: np.ndarray) -> float:
        chosen = p[list(target.indices[1:])]
        if not (chosen > 0).all():
            raise InputError("oracle: the toy world never writes the target there")
        return float(np.log(chosen[0]) - (np.log(chosen[1]) if len(chosen) > 1 else 0))

    with_all = target_log_p(next_words(oracle, subject)[target.position])
    added = np.full(len(subject.ids), np.nan)
    for place in own:
        added[place] = with_all - target_log_p(without(oracle, subject, place))
    return added


def without(oracle: Oracle, subject: Subject, place: int) -> np.ndarray:
    """The best possible p(word) at the target's position, (V,), where the word at `place` is
    unknown: for BERT it is [MASK]; for GPT the mean over the words that the others leave possible,
    weighted by their probability."""
    ids, position = np.array([subject.ids]), subject.target.position
    if not subject.causal:
        ids[0, place] = oracle.mask_id
        types = np.array([subject.types])
        return oracle.pair_distributions(ids, types, np.ones_like(ids), [position])[0][0]
    ids = ids[:, :position + 1]
    if place > position:
        return oracle.next_token_distribution(ids)[0, -1]
    weights = oracle.gap_distributions(ids)[1][0, place]  # (V,)
    words = np.flatnonzero(weights)
    texts = np.repeat(ids, len(words), axis=0)
    texts[:, place] = words
    p = oracle.next_token_distribution(texts)[:, -1]  # (words, V)
    return weights[words] @ p / weights[words].sum()
