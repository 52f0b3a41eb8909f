"""BERT's objective: batches by number, held-out examples, losses."""

import numpy as np
import pytest
from scipy.stats import chisquare

from minibert.autograd.tensor import no_grad
from minibert.errors import InputError
from minibert.models.bert import BertForPreTraining
from minibert.models.config import BertConfig
from minibert.pretraining.bert_objective import PretrainingObjective
from minibert.pretraining.objective import HELD_OUT_BATCH
from minibert.pretraining.seeds import Purpose, generator
from minibert.pretraining.sentence_pairs import Segments
from minibert.tokenizers.characters import CharTokenizer
from minibert.tokenizers.wordpiece import BertTokenizer

WORDS = [f"w{i}" for i in range(30)]
TOKENIZER = BertTokenizer.from_words(WORDS)


def documents(n, seed):
    rng = np.random.default_rng(seed)
    return [[" ".join(rng.choice(WORDS, rng.integers(2, 6))) for _ in range(rng.integers(1, 7))]
            for _ in range(n)]


def objective(**changes):
    settings = dict(tokenizer=TOKENIZER, train=documents(20, 0), held_out=documents(40, 1),
                    context=24, batch_size=8, seed=3)
    return PretrainingObjective(**(settings | changes))


def examples(task, start, n):
    return Segments.concatenate(task.epochs.examples(start, n))


def arrays(batch):
    return {name: value for name, value in vars(batch).items() if value is not None}


def same(first, second):
    a, b = arrays(first), arrays(second)
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def test_a_batch_is_a_function_of_seed_and_number():
    first, again, other = objective(), objective(), objective(seed=4)
    later = [again.batch(step) for step in (40, 7, 0)]
    for step, batch in zip((0, 7, 40), reversed(later)):
        assert same(first.batch(step), batch), "in any order"
    assert not same(first.batch(0), other.batch(0))


def test_every_seed_purpose_and_number_has_its_own_generator():
    first = {generator(seed, purpose, step).random()
             for seed in range(3) for purpose in Purpose.__members__.values() for step in range(4)}
    assert len(first) == 3 * 7 * 4


def test_evaluation_changes_no_batch_and_is_always_the_same():
    task = objective()
    batches = [task.batch(step) for step in range(3)]
    held_out = list(task.held_out_batches())
    task.batch(50)
    assert all(same(a, b) for a, b in zip(held_out, task.held_out_batches(), strict=True))
    assert all(same(task.batch(step), batch) for step, batch in enumerate(batches))


def test_an_epoch_has_every_boundary_once_and_the_next_one_has_new_pairs():
    task = objective(batch_size=4)
    n = task.n_per_epoch
    rows = examples(task, 0, 3 * n)
    boundary = (rows.a_start + rows.a_length).reshape(3, n)
    assert (np.sort(boundary, axis=1) == np.sort(boundary[0])).all()
    assert len(np.unique(boundary[0])) == n
    assert not np.array_equal(boundary[0], boundary[1])
    assert not np.array_equal(boundary[1], boundary[2])
    labels = rows.label.reshape(3, n)
    by_boundary = np.take_along_axis(labels, np.argsort(boundary, axis=1), axis=1)
    assert (by_boundary[0] != by_boundary[1]).any(), "a boundary changes its label between epochs"
    negatives = [set(zip(g[lab == 1], b[lab == 1])) for g, lab, b
                 in zip(boundary, labels, rows.b_start.reshape(3, n))]
    assert negatives[0] != negatives[1]
    assert not np.array_equal(examples(objective(seed=4), 0, n).a_start, rows.a_start[:n])


def test_masks_are_new_though_the_sentence_is_the_same():
    task_text = [["w1 w2 w3 w4 w5 w6 w7"]]
    task = objective(train=task_text, next_sentence=False, batch_size=1)
    batches = [task.batch(step) for step in range(40)]
    assert all(np.array_equal(b.original_ids, batches[0].original_ids) for b in batches)
    assert len({tuple(b.masked_positions) for b in batches}) > 8
    assert any(len(b.masked_positions) == 0 for b in batches), "each token on its own: maybe none"
    other = objective(train=task_text, next_sentence=False, batch_size=1, seed=4)
    assert [b.masked_positions.tolist() for b in batches] != [
        other.batch(step).masked_positions.tolist() for step in range(40)], "and others by the seed"
    same_texts = objective(train=task_text, held_out=task_text * 128, next_sentence=False)
    first, second = same_texts.held_out_batches()
    assert not np.array_equal(first.masked_positions, second.masked_positions)


@pytest.mark.parametrize("changes", [{}, {"next_sentence": False}, {"masked_lm": False}])
def test_static_masks_are_those_of_the_first_epochs_again_and_again(changes):
    dynamic, static = objective(**changes), objective(**changes, dupe_factor=2)
    distinct = -(-2 * static.n_per_epoch // 8)
    for number in (distinct, 0, 2 * distinct - 1, 5 * distinct + 3):  # in any order
        assert same(static.batch(number), dynamic.batch(number % distinct))
        assert number < distinct or not same(dynamic.batch(number), static.batch(number))
    if static.masked_lm:  # each copy of the text has masks of its own
        first, second = objective(dupe_factor=1, **changes), static
        n = -(-first.n_per_epoch // 8)
        assert same(first.batch(n), first.batch(0)) and not same(second.batch(n), second.batch(0))
    assert all(same(a, b) for a, b in zip(static.held_out_batches(), dynamic.held_out_batches()))
    assert any("those of 2 epochs again and again" in line for line in static.describe())
    one = objective(**changes, dupe_factor=1, batch_size=10 ** 4)  # a batch of more than an epoch
    assert same(one.batch(0), one.batch(3))


def test_the_masked_share_is_that_of_training_alone():
    """Each ordinary token on its own, 80/10/10; the held-out masks stay at 15 %."""
    plain, often = objective(), objective(mlm_probability=0.4)
    assert all(same(a, b) for a, b in zip(plain.held_out_batches(), often.held_out_batches()))
    batches = [often.batch(number) for number in range(60)]
    counts = np.zeros(4)  # not chosen; [MASK], kept, another token
    for batch in batches:
        shown = batch.input_ids.ravel()[batch.masked_positions]
        counts[0] += np.isin(batch.original_ids, often.ordinary).sum() - len(shown)
        masked, kept = shown == TOKENIZER.mask_token_id, shown == batch.masked_labels
        counts[1:] += masked.sum(), kept.sum(), (~masked & ~kept).sum()
    words = len(often.ordinary)
    shares = [0.6, 0.4 * 0.8, 0.4 * (0.1 + 0.1 / words), 0.4 * 0.1 * (1 - 1 / words)]
    assert counts.sum() > 5000
    assert chisquare(counts, np.multiply(shares, counts.sum())).pvalue > 1e-6
    only_pairs = objective(masked_lm=False, mlm_probability=0.4)
    assert len(only_pairs.batch(0).masked_positions) == 0


@pytest.mark.parametrize("value", [0, -0.1, 1.01, float("nan"), "0.3", True])
def test_a_masked_share_that_is_none_is_refused(value):
    with pytest.raises(InputError, match="mlm_probability"):
        objective(mlm_probability=value)


def test_batches_run_over_the_ends_of_epochs_without_losing_a_pair():
    task = objective(batch_size=7)
    n = task.n_per_epoch
    ends = np.concatenate([examples(task, 7 * step, 7).a_start for step in range(n)])
    whole = examples(task, 0, 7 * n).a_start
    assert np.array_equal(ends, whole)


def test_what_is_scored_is_what_stood_there():
    task = objective()
    for step in range(20):
        batch = task.batch(step)
        assert np.array_equal(batch.original_ids.ravel()[batch.masked_positions],
                              batch.masked_labels)
        unscored = np.setdiff1d(np.arange(batch.input_ids.size), batch.masked_positions)
        assert np.array_equal(batch.original_ids.ravel()[unscored],
                              batch.input_ids.ravel()[unscored])
        assert batch.attention_mask.ravel()[batch.masked_positions].all()
        assert task.counts(batch) == {"mlm": len(batch.masked_labels), "nsp": 8}
        assert abs(batch.next_sentence_label.sum() - 4) <= 1, "half of each; an odd epoch ends odd"


@pytest.mark.parametrize("n", [1, 2, 3, 8, 11])
def test_the_shares_of_the_workers_are_the_batch(n):
    task = objective()
    batch = task.batch(0)
    shares = [batch.shard(k, n) for k in range(n)]
    assert sum(len(share.masked_labels) for share in shares) == len(batch.masked_labels)
    sizes = [len(share.input_ids) for share in shares]
    assert sum(sizes) == 8 and max(sizes) - min(sizes) <= 1
    for name in ("input_ids", "token_type_ids", "attention_mask", "original_ids",
                 "next_sentence_label", "masked_labels"):
        whole = np.concatenate([getattr(share, name) for share in shares])
        assert np.array_equal(whole, getattr(batch, name)), name
    for share in shares:
        assert np.array_equal(share.original_ids.ravel()[share.masked_positions],
                              share.masked_labels)
    single = objective(next_sentence=False).batch(0).shard(0, 2)
    assert single.next_sentence_label is None


def test_the_stored_text_is_never_written():
    task = objective()
    before = task.train.ids.copy(), task.held_out.ids.copy()
    for step in range(10):
        task.batch(step)
    list(task.held_out_batches())
    assert not task.train.ids.flags.writeable
    assert np.array_equal(task.train.ids, before[0])
    assert np.array_equal(task.held_out.ids, before[1])


def test_held_out_batches_come_from_the_held_out_text_whatever_the_batch_size():
    train = [[sentence.replace("w1", "w2") for sentence in d] for d in documents(20, 0)]
    held_out = [["w1 w1 w1", "w11 w1", "w1"]] * 60
    small = objective(train=train, held_out=held_out, batch_size=2)
    large = objective(train=train, held_out=held_out, batch_size=32)
    batches = list(small.held_out_batches())
    assert all(same(a, b) for a, b in zip(batches, large.held_out_batches(), strict=True))
    assert [len(b.input_ids) for b in batches] == [HELD_OUT_BATCH, 120 - HELD_OUT_BATCH]
    for batch in batches:
        tokens = TOKENIZER.convert_ids_to_tokens(batch.original_ids.ravel())
        assert set(tokens) <= {"w1", "w11", "[CLS]", "[SEP]", "[PAD]"}


def test_as_many_sentences_in_a_segment_as_required():
    texts = [["w1 w2", "w3", "w4 w5 w6", "w7", "w8"] for _ in range(4)]
    task = objective(train=texts, held_out=texts, sentences_per_segment=2)
    assert task.n_per_epoch == 8, "5 sentences have 2 boundaries with 2 before and 2 after them"
    ends = {"w2", "w3", "w6", "w7", "w8"}
    for batch in [task.batch(0), *task.held_out_batches()]:
        for row in batch.original_ids:
            tokens = " ".join(TOKENIZER.convert_ids_to_tokens(row)).split("[SEP]")
            assert [len(ends & set(segment.split())) for segment in tokens[:2]] == [2, 2]


def test_the_number_of_held_out_pairs():
    task = objective(n_held_out=501)
    batches = list(task.held_out_batches())
    labels = np.concatenate([batch.next_sentence_label for batch in batches])
    assert len(labels) == 501
    assert abs(labels.mean() - 0.5) < 0.02
    assert len(objective(n_held_out=3)._held_out_segments) == 3
    plan, once = task._held_out_segments, len(objective()._held_out_segments)
    negatives = set(zip(plan.a_start[plan.label == 1], plan.b_start[plan.label == 1]))
    assert once < 501 and len(negatives) > once / 2 + 1, "each round has its own pairs"


@pytest.mark.parametrize("masked_lm, next_sentence", [(True, True), (True, False), (False, True)])
def test_losses_of_both_tasks_or_of_one(masked_lm, next_sentence):
    # An odd number of pairs: a model that always predicts the same class has 4 or 5 of 9 right.
    task = objective(masked_lm=masked_lm, next_sentence=next_sentence, batch_size=9)
    model = tiny_bert()
    batch = task.batch(0)
    names = {name for name, there in (("mlm", masked_lm), ("nsp", next_sentence)) if there}
    losses, _ = task.losses(model, batch, np.random.default_rng(0))
    assert set(losses) == set(task.counts(batch)) == names
    with no_grad():
        model.eval()
        losses, metrics = task.losses(model, batch)
    assert set(metrics) == {f"{name}_correct" for name in names}
    assert losses_agree_with_logits(model, batch, losses, metrics)
    assert (len(batch.masked_labels) > 0) is masked_lm
    assert np.array_equal(batch.input_ids, batch.original_ids) is not masked_lm


def losses_agree_with_logits(model, batch, losses, metrics):
    """The same sums from the model's full logits, by plain NumPy."""
    with no_grad():
        output = model(batch.input_ids, batch.attention_mask, batch.token_type_ids)
    words = output.prediction_logits.data.reshape(-1, len(TOKENIZER))[batch.masked_positions]
    for name, logits, labels in (
            ("mlm", words, batch.masked_labels),
            ("nsp", output.seq_relationship_logits.data, batch.next_sentence_label)):
        if name in losses:
            logits = logits.astype(np.float64)
            p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            expected = -np.log(p[np.arange(len(labels)), labels]).sum()
            np.testing.assert_allclose(losses[name].item(), expected, rtol=1e-5)
            assert metrics[f"{name}_correct"] == (p.argmax(axis=1) == labels).sum()
    return True


def tiny_bert():
    config = BertConfig(vocab_size=len(TOKENIZER), hidden_size=12, num_hidden_layers=1,
                        num_attention_heads=3, intermediate_size=20, max_position_embeddings=24,
                        initializer_range=0.5)
    return BertForPreTraining(config, rng=1)


def test_the_summary_weighs_tokens_and_pairs():
    summary = objective().summary({"mlm": 30.0, "nsp": 4.0}, {"mlm": 10, "nsp": 8},
                                  {"mlm_correct": 5.0, "nsp_correct": 6.0})
    assert summary == {"loss": 3.5, "mlm_loss": 3.0, "nsp_loss": 0.5, "mlm_accuracy": 0.5,
                       "nsp_accuracy": 0.75}
    alone = objective(masked_lm=False).summary({"nsp": 4.0}, {"nsp": 8}, {})
    assert alone == {"loss": 0.5, "nsp_loss": 0.5}
    nothing = objective(next_sentence=False).summary({"mlm": 0.0}, {"mlm": 0}, {"mlm_correct": 0})
    assert nothing == {"loss": 0.0, "mlm_loss": 0.0, "mlm_accuracy": 0.0}


def test_the_first_examples_can_be_read():
    task = objective()
    batch, examples = task.batch(0), task.first_examples(8)
    assert len(examples) == 8
    for row, example in enumerate(examples):
        words, *rest = example.split("\n")
        tokens = words.split(" ")
        assert tokens[0] == "[CLS]" and tokens[-1] == "[SEP]" and "[PAD]" not in tokens
        is_next = "B is the next sentence" in rest[-1]
        assert is_next == (batch.next_sentence_label[row] == 0)
        if len(rest) == 2:
            for answer in rest[0].split(": ")[1].split(" "):
                place, word = answer.split("=")
                original = batch.original_ids[row, int(place)]
                assert TOKENIZER.convert_ids_to_tokens(original) == word
    assert len(task.first_examples(9)) == 8, "no more than a batch has"
    lines = objective(train=[["w1 zebra"], ["w2", "w3"]], held_out=[["w4"] * 3, ["w5"]]).describe()
    assert lines == ["training: 2 documents, 3 sentences, 4 tokens, 25.00% of them unknown",
                     "held-out: 2 documents, 4 sentences, 4 tokens, 0.00% of them unknown",
                     "1 pairs an epoch, fresh ones every epoch with fresh masks; 2 held-out pairs, "
                     "always the same",
                     "15% of the tokens are masked in training, 15% in the held-out pairs"]


def test_one_document_only():
    with pytest.raises(InputError, match=r"training text has 1 document.*masked LM alone"):
        objective(train=[["w1 w2", "w3", "w4 w5"]])
    with pytest.raises(InputError, match=r"held-out text has 1 document"):
        objective(held_out=[["w1 w2", "w3", "w4 w5"]])
    task = objective(train=[["w1 w2", "w3"]], held_out=[["w4"]], next_sentence=False)
    assert task.batch(0).next_sentence_label is None
    assert len(list(task.held_out_batches())) == 1


def test_what_cannot_be_trained_on_is_an_error():
    with pytest.raises(InputError, match="training text has no sentence"):
        objective(train=[[""]])
    with pytest.raises(InputError, match="held-out text has no sentence"):
        objective(held_out=[])
    for name, value in (("context", 4), ("batch_size", 0), ("sentences_per_segment", 0),
                        ("n_held_out", 0), ("n_held_out", 2.5), ("dupe_factor", 0),
                        ("dupe_factor", 1.5)):
        with pytest.raises(InputError, match=f"{name}.* = {value}: expected a whole number"):
            objective(**{name: value})
    with pytest.raises(InputError, match="neither"):
        objective(masked_lm=False, next_sentence=False)
    with pytest.raises(InputError, match="no mask token"):
        objective(tokenizer=CharTokenizer.train(["w1"]))


def test_truncated_pairs_are_reported():
    assert not any("shortened" in line for line in objective(context=60).describe())
    assert any("shortened" in line for line in objective(context=8).describe())
