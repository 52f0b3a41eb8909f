"""The report on a trained model: its baselines, and on the toy world the best that is possible.

A distance to the oracle is the mean of paired differences, token by token on the same held-out
text, so that what is merely hard to predict cancels. Tokens of one row are not independent of each
other; the standard error is that of rows (a ratio estimator: Cochran 1977, "Sampling Techniques",
section 6.3).
"""

import math

import numpy as np

from minibert.autograd.functional import IGNORE_INDEX
from minibert.autograd.tensor import no_grad
from minibert.data.ngram_baselines import bigram_loss, majority_accuracy, uniform_loss, unigram_loss
from minibert.generation.sampling import log_probabilities
from minibert.nn.module import evaluating
from minibert.toy_world.grammar import ToyWorld
from minibert.toy_world.oracle import Oracle


def baselines(objective) -> dict[str, float]:
    """Scores of counting words on the held-out text: losses in nats, NSP as accuracy."""
    vocab_size = objective.tokenizer.vocab_size
    found = {"uniform": uniform_loss(vocab_size)}
    if objective.name == "gpt":
        text = (objective.train_ids, objective.held_out_ids, vocab_size)
        found |= {"unigram": unigram_loss(*text), "bigram": bigram_loss(*text)}
    elif objective.name == "bert":
        batches = list(objective.held_out_batches())
        masked = np.concatenate([batch.masked_labels for batch in batches])
        found["unigram"] = unigram_loss(objective.train.ids, masked, vocab_size)
        if objective.next_sentence:
            labels = np.concatenate([batch.next_sentence_label for batch in batches])
            found["nsp_accuracy"] = majority_accuracy(labels)
    return found


def why_no_oracle(objective) -> str | None:
    """The reason why the oracle cannot score this objective's examples, or None."""
    if objective.name == "bart":
        return "it fills gaps of one word, not spans"
    if not hasattr(objective.tokenizer, "mask_token_id"):
        return "it reads words, not characters"
    if any([objective.tokenizer.tokenize(word) != [word] for word in ToyWorld().words]):
        return "the tokenizer cuts its words to pieces"
    if objective.name == "bert" and not objective.next_sentence:
        return "it reads pairs"
    world = ToyWorld()
    longest_pair = 2 * world.sentences_per_segment * world.longest_sentence() + 3
    if objective.name == "bert" and objective.context < longest_pair:
        return f"it reads whole pairs: give a --context of at least {longest_pair}"
    return None


def against_oracle(model, objective) -> dict[str, float]:
    """The oracle's figures on the toy world's held-out text, and the model's distance to them."""
    figures_of = _next_token if objective.name == "gpt" else _pretraining
    with evaluating(model), no_grad():
        return figures_of(model, objective, Oracle(ToyWorld(), objective.tokenizer))


def _next_token(model, objective, oracle: Oracle) -> dict[str, float]:
    sums, counts, best = [], [], 0.0
    for batch in objective.held_out_batches():
        asked = batch.targets != IGNORE_INDEX
        log_p = log_probabilities(model(batch.input_ids).logits.data)  # (B, T, V)
        targets = np.where(asked, batch.targets, 0)[..., None]  # (B, T, 1)
        chosen = np.take_along_axis(log_p, targets, axis=-1)[..., 0]  # (B, T)
        possible = oracle.next_token(batch.input_ids, batch.targets)
        best -= possible[asked].sum()
        sums.append(np.where(asked, possible - chosen, 0.0).sum(axis=1))
        counts.append(asked.sum(axis=1))
    gap, error = ratio_and_error(np.concatenate(sums), np.concatenate(counts))
    return {"loss": best / np.concatenate(counts).sum(), "gap": gap, "gap_standard_error": error}


def _pretraining(model, objective, oracle: Oracle) -> dict[str, float]:
    sums, counts, best, right, possible_right = [], [], 0.0, 0, 0
    for batch in objective.held_out_batches():
        outputs = model(batch.input_ids, batch.attention_mask, batch.token_type_ids)
        B, T, V = outputs.prediction_logits.shape
        logits = outputs.prediction_logits.data.reshape(B * T, V)[batch.masked_positions]
        log_p = log_probabilities(logits)  # (M, V)
        chosen = log_p[np.arange(len(log_p)), batch.masked_labels]
        possible, pair_log_p = oracle.pairs(
            batch.input_ids, batch.token_type_ids, batch.attention_mask, batch.masked_positions,
            batch.masked_labels)
        best -= possible.sum()
        row = batch.masked_positions // T
        sums.append(np.bincount(row, possible - chosen, minlength=B))
        counts.append(np.bincount(row, minlength=B))
        label = batch.next_sentence_label
        right += (outputs.seq_relationship_logits.data.argmax(axis=1) == label).sum()
        possible_right += (pair_log_p.argmax(axis=1) == label).sum()
    counts = np.concatenate(counts)
    gap, error = ratio_and_error(np.concatenate(sums), counts)
    return {"mlm_loss": best / counts.sum(), "gap": gap, "gap_standard_error": error,
            "nsp_accuracy": float(possible_right / len(counts)),
            "nsp_accuracy_of_model": float(right / len(counts)), "pairs": len(counts)}


def ratio_and_error(sums: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """sum(sums) / sum(counts), and its standard error when rows are independent; both (rows,)."""
    ratio, rows = sums.sum() / counts.sum(), len(sums)
    residuals = sums - ratio * counts
    error = math.sqrt((residuals ** 2).sum() * rows / max(rows - 1, 1)) / counts.sum()
    return float(ratio), float(error)
