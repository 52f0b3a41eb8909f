"""Distances to the oracle: against loops, and zero for the oracle itself."""

from types import SimpleNamespace

import numpy as np
import pytest

from minibert.autograd.tensor import Tensor
from minibert.cli.oracle_report import against_oracle, baselines, ratio_and_error, why_no_oracle
from minibert.data.corpora import toy_corpus, train_tokenizer
from minibert.data.ngram_baselines import bigram_loss, unigram_loss
from minibert.nn.module import Module
from minibert.pretraining.bert_objective import PretrainingObjective
from minibert.pretraining.gpt_objective import NextTokenObjective
from minibert.tokenizers.characters import CharTokenizer
from minibert.toy_world.grammar import ToyWorld
from minibert.toy_world.oracle import Oracle


@pytest.fixture(scope="module")
def corpus():
    return toy_corpus(40, 12)


@pytest.fixture(scope="module")
def tokenizer(corpus):
    return train_tokenizer(corpus, "wordpiece", "bert")


class Uniform(Module):
    """Finds every token as likely as any other, and B always the next sentence."""

    __slots__ = ("vocab_size",)

    def __init__(self, vocab_size):
        super().__init__()
        self.vocab_size = vocab_size

    def forward(self, ids, *others):
        logits = Tensor(np.full((*ids.shape, self.vocab_size), 3.0, np.float32))
        return SimpleNamespace(logits=logits, prediction_logits=logits,
                               seq_relationship_logits=Tensor(np.tile([1.0, 0.0], (len(ids), 1))))


def test_a_model_that_knows_nothing_is_ln_v_minus_the_oracles_loss_away(corpus, tokenizer):
    objective = NextTokenObjective(tokenizer, corpus.train_texts, corpus.held_out_texts, 48, 4)
    oracle, total, count = Oracle(ToyWorld(), tokenizer), 0.0, 0
    for batch in objective.held_out_batches():
        log_p = oracle.next_token(batch.input_ids, batch.targets)
        total, count = total - log_p.sum(), count + (batch.targets != -100).sum()
    figures = against_oracle(Uniform(tokenizer.vocab_size), objective)
    assert figures["loss"] == pytest.approx(total / count)
    assert figures["gap"] == pytest.approx(np.log(tokenizer.vocab_size) - total / count)
    assert 0 < figures["gap_standard_error"] < 0.2


def test_the_same_for_masked_words_and_pairs(corpus, tokenizer):
    objective = PretrainingObjective(tokenizer, corpus.train_documents, corpus.held_out_documents,
                                     48, 4,
                                     sentences_per_segment=corpus.sentences_per_segment,
                                     n_held_out=70)
    oracle, total, count, right, labels = Oracle(ToyWorld(), tokenizer), 0.0, 0, 0, []
    for batch in objective.held_out_batches():
        arrays = batch.input_ids, batch.token_type_ids, batch.attention_mask
        log_p, pair_log_p = oracle.pairs(*arrays, batch.masked_positions, batch.masked_labels)
        total, count = total - log_p.sum(), count + len(log_p)
        right += (pair_log_p.argmax(axis=1) == batch.next_sentence_label).sum()
        labels.extend(batch.next_sentence_label)
    figures = against_oracle(Uniform(tokenizer.vocab_size), objective)
    assert figures["mlm_loss"] == pytest.approx(total / count)
    assert figures["gap"] == pytest.approx(np.log(tokenizer.vocab_size) - total / count)
    assert figures["nsp_accuracy"] == pytest.approx(right / 70) and figures["pairs"] == 70
    assert figures["nsp_accuracy_of_model"] == pytest.approx(np.mean(np.array(labels) == 0))


def test_the_model_reads_what_the_oracle_reads(corpus, tokenizer):
    """The masked words, segments and padding; never the words behind the masks."""
    objective = PretrainingObjective(tokenizer, corpus.train_documents, corpus.held_out_documents,
                                     48, 4, sentences_per_segment=corpus.sentences_per_segment)
    expected, right = list(objective.held_out_batches()), 0

    class Listening(Uniform):
        __slots__ = ("heard",)

        def forward(self, *arrays):
            self.heard.append(arrays)
            outputs = super().forward(*arrays)
            outputs.seq_relationship_logits = Tensor(np.eye(2)[arrays[0].sum(axis=1) % 2])
            return outputs

    model = Listening(tokenizer.vocab_size)
    model.heard = []
    figures = against_oracle(model, objective)
    for heard, batch in zip(model.heard, expected, strict=True):
        for array, name in zip(heard, ("input_ids", "attention_mask", "token_type_ids"),
                               strict=True):
            np.testing.assert_array_equal(array, getattr(batch, name))
        right += (batch.input_ids.sum(axis=1) % 2 == batch.next_sentence_label).sum()
    assert figures["nsp_accuracy_of_model"] == right / figures["pairs"]


def test_the_standard_error_is_the_usual_one_for_rows_of_one_length():
    rng = np.random.default_rng(0)
    sums = rng.normal(2.0, 1.0, size=500)
    ratio, error = ratio_and_error(sums * 7, np.full(500, 7))
    assert ratio == pytest.approx(sums.mean())
    assert error == pytest.approx(sums.std(ddof=1) / np.sqrt(500))


def test_the_standard_error_covers_the_truth_about_as_often_as_it_says():
    rng, covered = np.random.default_rng(1), 0
    for _ in range(400):
        counts = rng.integers(1, 9, size=80)
        sums = np.array([rng.normal(0.5, 1.0, size=count).sum() for count in counts])
        ratio, error = ratio_and_error(sums, counts)
        covered += abs(ratio - 0.5) < 1.96 * error
    assert 0.91 < covered / 400 < 0.98


def test_baselines_have_the_names_that_a_summary_shows(corpus, tokenizer):
    gpt = NextTokenObjective(tokenizer, corpus.train_texts, corpus.held_out_texts, 48, 4)
    bert = PretrainingObjective(tokenizer, corpus.train_documents, corpus.held_out_documents, 48, 4)
    counted = baselines(gpt)
    assert counted["bigram"] < counted["unigram"] < counted["uniform"]
    assert counted["uniform"] == np.log(tokenizer.vocab_size)
    assert set(baselines(bert)) == {"uniform", "unigram", "nsp_accuracy"}
    several = PretrainingObjective(tokenizer, corpus.train_documents, corpus.held_out_documents,
                                   48, 4, n_held_out=70)  # in two batches
    masked = np.concatenate([batch.masked_labels for batch in several.held_out_batches()])
    # what is counted in the training text is held against the held-out text
    assert baselines(several)["unigram"] == unigram_loss(several.train.ids, masked,
                                                         tokenizer.vocab_size)
    assert counted["bigram"] == bigram_loss(gpt.train_ids, gpt.held_out_ids, tokenizer.vocab_size)
    assert baselines(bert)["nsp_accuracy"] == pytest.approx(0.5, abs=0.02)


def test_the_oracle_is_asked_only_what_it_can_answer(corpus, tokenizer):
    characters = CharTokenizer.train(corpus.train_texts, errors="replace")
    pairs = corpus.train_documents, corpus.held_out_documents
    assert why_no_oracle(NextTokenObjective(tokenizer, *[["the bank ."] * 9] * 2, 4, 1)) is None
    assert "characters" in why_no_oracle(NextTokenObjective(characters, *[["the bank ."] * 9] * 2,
                                                            4, 1))
    assert "47" in why_no_oracle(PretrainingObjective(tokenizer, *pairs, 40, 1))
    assert "pairs" in why_no_oracle(PretrainingObjective(tokenizer, *pairs, 48, 1,
                                                         next_sentence=False))
    for context in (47, 48):
        assert why_no_oracle(PretrainingObjective(tokenizer, *pairs, context, 1)) is None
