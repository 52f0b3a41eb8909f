"""Text from a model: sampling, and the probability of a given text.

The three filters take and return logits of shape (B, V); a token that is ruled out gets -inf. They
are plain functions of arrays, to be read and tried alone. `generate` puts them in the usual order:
temperature, top-k, top-p (Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration",
section 3), then one draw per row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from minibert.autograd.tensor import no_grad
from minibert.errors import InputError
from minibert.nn.modes import evaluating


def with_temperature(logits: np.ndarray, temperature: float) -> np.ndarray:
    """(B, V), the largest logit moved to 0, divided by the temperature; 0 leaves only the largest
    one, the first of a tie."""
    if temperature == 0:
        best = logits.argmax(axis=-1)[:, None]
        kept = np.full_like(logits, -np.inf)
        np.put_along_axis(kept, best, 0.0, axis=-1)
        return kept
    with np.errstate(over="ignore"):  # a tiny temperature may send the others to -inf, and rightly
        return (logits - logits.max(axis=-1, keepdims=True)) / temperature


def keep_top_k(logits: np.ndarray, k: int) -> np.ndarray:
    """Rule out all but the k largest of each row; what ties with the k-th stays too.

    k = 0 and any k of at least V keep everything.
    """
    if k == 0 or k >= logits.shape[-1]:
        return logits
    smallest_kept = np.partition(logits, -k, axis=-1)[:, -k, None]
    return np.where(logits < smallest_kept, -np.inf, logits)


def keep_top_p(logits: np.ndarray, p: float) -> np.ndarray:
    """Keep, from the most probable one down, the tokens until their probabilities reach p.

    The token that crosses p is kept, so that there is always one; of equal ones the first come
    first.
    """
    if p >= 1:
        return logits
    order = np.argsort(-logits, axis=-1, kind="stable")
    sorted_p = np.take_along_axis(probabilities(logits), order, axis=-1)
    reached_before = np.cumsum(sorted_p, axis=-1) - sorted_p  # by the more probable ones alone
    ruled_out = np.empty(logits.shape, bool)
    np.put_along_axis(ruled_out, order, reached_before >= p, axis=-1)
    ruled_out[np.arange(len(logits)), order[:, 0]] = False
    return np.where(ruled_out, -np.inf, logits)


def probabilities(logits: np.ndarray) -> np.ndarray:
    """softmax over the last axis, in float64."""
    exponentials = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def draw(logits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One token id per row, (B,), with the probabilities of that row."""
    cumulative = np.cumsum(probabilities(logits), axis=-1)
    threshold = rng.random((len(logits), 1)) * cumulative[:, -1:]
    return (cumulative <= threshold).sum(axis=-1)


def generate(model, input_ids: np.ndarray, max_new_tokens: int, *, temperature: float = 1.0,
             top_k: int = 0, top_p: float = 1.0, rng: np.random.Generator | int = 0,
             stop_token: int | None = None, banned: Iterable[int] = (),
             sliding_window: bool = False,
             on_token: Callable[[np.ndarray], None] | None = None) -> np.ndarray:
    """Continue each row of `input_ids` (B, T) by up to `max_new_tokens` tokens.

    Returns (B, T + new). A row that has drawn `stop_token` goes on with it; when all have, it ends.
    `banned` ids are never drawn. `on_token` is called with each new column (B,). With
    `sliding_window` the model sees only the last tokens once there are more than its positions;
    without, that many are an error. Errors: an empty prompt, ids or settings out of range.
    """
    ids = _checked_ids(model, input_ids)
    _check_sampling(max_new_tokens, temperature, top_k, top_p)
    positions = model.config.max_position_embeddings
    if not sliding_window and ids.shape[1] + max_new_tokens > positions:
        raise InputError(f"generate: {ids.shape[1]} tokens and {max_new_tokens} new ones are more "
                         f"than the model's {positions} positions: ask for fewer, or for a "
                         "sliding window")
    rng = np.random.default_rng(rng)
    banned = list(banned)
    stopped = np.zeros(len(ids), bool)
    with evaluating(model), no_grad():
        for _ in range(max_new_tokens):
            logits = next_logits(model, ids[:, -positions:])
            logits[:, banned] = -np.inf
            logits = keep_top_p(keep_top_k(with_temperature(logits, temperature), top_k), top_p)
            new = draw(logits, rng)
            if stop_token is not None:
                new = np.where(stopped, stop_token, new)
                stopped |= new == stop_token
            ids = np.concatenate([ids, new[:, None]], axis=1)
            if on_token is not None:
                on_token(new)
            if stopped.all():
                break
    return ids


def next_logits(model, ids: np.ndarray) -> np.ndarray:
    """(B, T) -> (B, V): the logits of the token that follows, float64, to be written into."""
    return model(ids).logits.data[:, -1].astype(np.float64)


def score(model, input_ids: np.ndarray) -> np.ndarray:
    """log p(token t | the tokens before it) for t = 1, 2, ...: (T,) -> (T - 1,), in nats.

    By the chain rule their sum is the log-probability of the text given its first token. More
    tokens than the model has positions are an error.
    """
    ids = _checked_ids(model, np.asarray(input_ids)[None])
    if ids.shape[1] > model.config.max_position_embeddings:
        raise InputError(f"score: {ids.shape[1]} tokens are more than the model's "
                         f"{model.config.max_position_embeddings} positions: give a shorter text")
    with evaluating(model), no_grad():
        logits = model(ids).logits.data[0, :-1].astype(np.float64)  # (T - 1, V)
    largest = logits.max(axis=-1)
    log_sum = largest + np.log(np.exp(logits - largest[:, None]).sum(axis=-1))
    return logits[np.arange(len(logits)), ids[0, 1:]] - log_sum


def _checked_ids(model, input_ids: np.ndarray) -> np.ndarray:
    ids = np.asarray(input_ids)
    if ids.ndim != 2 or ids.shape[1] == 0 or ids.dtype.kind not in "iu":
        raise InputError("expected token ids of shape (batch, tokens) with at least one token, got "
                         f"{ids.dtype} of shape {ids.shape}")
    vocab_size = model.config.vocab_size
    if ids.min(initial=0) < 0 or ids.max(initial=0) >= vocab_size:
        wrong = ids[(ids < 0) | (ids >= vocab_size)][0]
        raise InputError(f"token id {wrong} is out of range: the model has {vocab_size} tokens")
    return ids


def _check_sampling(max_new_tokens: int, temperature: float, top_k: int, top_p: float) -> None:
    if max_new_tokens < 0:
        raise InputError(f"max_new_tokens is {max_new_tokens}: expected at least 0")
    if not 0 <= temperature < np.inf:
        raise InputError(f"temperature is {temperature}: expected a number of at least 0")
    if top_k < 0:
        raise InputError(f"top_k is {top_k}: expected at least 0 (0 keeps all tokens)")
    if not 0 < top_p <= 1:
        raise InputError(f"top_p is {top_p}: expected more than 0 and at most 1")
