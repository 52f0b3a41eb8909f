"""From options to a trainer: each of them arrives in the objective or in the model."""

import tracemalloc
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from minibert.cli.build_trainer import make_trainer, text_digest
from minibert.cli.fill_mask import fill_gaps
from minibert.cli.memory import least_memory
from minibert.cli.pretrain_options import resolved
from minibert.cli.samples import FilledGap
from minibert.data.corpora import toy_corpus
from minibert.errors import InputError

GIVEN = {"corpus": "toy", "layers": 1, "heads": 2, "width": 8, "context": 48, "batch": 4,
         "steps": 10, "dropout": 0.2, "threads": 1, "workers": 1}


@pytest.fixture(scope="module")
def corpus():
    return toy_corpus(40, 12)


def made(which, corpus, **more):
    return make_trainer(resolved(which, GIVEN | more), corpus)


def test_what_is_asked_of_bert(corpus):
    trainer = made("bert", corpus, seed=5, dupe_factor=3)
    objective, config = trainer.objective, trainer.model.config
    assert (objective.seed, objective.batch_size, objective.context) == (5, 4, 48)
    assert objective.dupe_factor == 3 and objective.next_sentence
    assert not made("bert", corpus, no_next_sentence=True).objective.next_sentence
    assert objective.sentences_per_segment == corpus.sentences_per_segment is not None
    assert len(objective._held_out_segments) == 5 * 12, "five of each held-out document"
    assert config.hidden_dropout_prob == config.attention_probs_dropout_prob == 0.2
    assert (config.pad_token_id, config.max_position_embeddings) == (0, 48)


def test_what_is_asked_of_bart(corpus):
    objective = made("bart", corpus, seed=5, mlm_probability=0.3).objective
    assert (objective.seed, objective.batch_size, objective.context) == (5, 4, 48)
    assert objective.mlm_probability == 0.3 and made("bart", corpus).objective.mlm_probability == (
        0.15)


def test_what_is_asked_of_gpt(corpus):
    trainer = made("gpt", corpus, seed=5)
    objective, config = trainer.objective, trainer.model.config
    assert (objective.seed, objective.batch_size, objective.context) == (5, 4, 48)
    assert config.resid_pdrop == config.embd_pdrop == config.attn_pdrop == 0.2
    assert config.eos_token_id == config.bos_token_id == trainer.tokenizer.sep_token_id


@pytest.mark.parametrize("which", ["bert", "gpt"])
def test_the_seed_draws_the_first_weights(corpus, which):
    one, same, other = (made(which, corpus, seed=seed).model.state_dict() for seed in (5, 5, 6))
    assert all([np.array_equal(one[name], same[name]) for name in one])
    matrices = [name for name in one if one[name].ndim == 2]
    assert not any([np.array_equal(one[name], other[name]) for name in matrices])


def test_another_text_has_another_text_digest(corpus):
    texts = [replace(corpus, train_texts=train, held_out_texts=held_out) for train, held_out in (
        (["ab", "c"], ["d"]), (["a", "bc"], ["d"]), (["ab", "c"], ["e"]), (["ab"], ["cd"]))]
    assert len({text_digest(text) for text in texts}) == 4
    assert text_digest(replace(corpus, train_texts=["\ud800"]))  # half a character is no trouble


def test_the_gap_of_a_sample_is_found_beside_other_masks_and_unknown_words(corpus):
    trainer = made("bert", corpus, seed=5)
    tokenizer, batch = trainer.tokenizer, next(trainer.objective.held_out_batches())
    objective = SimpleNamespace(held_out_batches=lambda: iter([batch]))
    batch.original_ids[0, 1] = tokenizer.mask_token_id  # a text about BERT; [CLS] comes first
    gap = FilledGap(objective, tokenizer)
    every = fill_gaps(trainer.model, tokenizer, gap.ids, gap.types, 3)
    assert len(every) == 2 and gap.candidates(trainer.model, 3) == every[1] != every[0]
    assert gap.text(1).split()[1] == "[MASK]" and gap.text(1) in gap.text() and gap.position > 2
    words = ~np.isin(batch.original_ids[0], tokenizer.all_special_ids)
    batch.original_ids[0, words] = tokenizer.unk_token_id
    batch.original_ids[0, 1] = tokenizer.unk_token_id
    assert FilledGap(objective, tokenizer).answer == "[UNK]"


@pytest.mark.parametrize("which", ["bert", "gpt"])
def test_gradient_checkpointing_takes_less_memory(corpus, which):
    """The most that a step holds at once; the estimate of a run is the process's peak after one."""
    peaks = []
    for checkpointed in (False, True):
        trainer = made(which, corpus, layers=6, batch=16, gradient_checkpointing=checkpointed)
        assert trainer.model.gradient_checkpointing is checkpointed
        trainer.step()
        tracemalloc.start()
        trainer.step()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 0.6 * peaks[0]


@pytest.mark.parametrize("which", ["bert", "gpt"])
def test_what_no_memory_can_hold_is_refused_before_any_is_taken(corpus, which):
    for more in ({"layers": 10**9}, {"batch": 10**12}):
        with pytest.raises(InputError, match="not enough memory"):
            made(which, corpus, **more)


@pytest.mark.parametrize("which", ["bert", "gpt", "bart"])
def test_the_memory_of_the_vocabulary_counts_too(monkeypatch, corpus, which):
    options = resolved(which, GIVEN)
    without = least_memory(options.architecture.pretraining,
                           replace(options.config, vocab_size=1, pad_token_id=0), 4, 48)
    monkeypatch.setattr("minibert.cli.memory.physical_memory", lambda: without + 100)
    with pytest.raises(InputError, match="not enough memory"):
        made(which, corpus)
