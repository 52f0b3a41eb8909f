"""The probability of a given text."""

from __future__ import annotations

import numpy as np

from minibert.autograd.tensor import no_grad
from minibert.errors import InputError
from minibert.generation.decoding import checked_logits
from minibert.generation.sampling import log_probabilities
from minibert.nn.module import evaluating
from minibert.validate import checked_ids


def score(model, input_ids: np.ndarray) -> np.ndarray:
    """log p(token t | the tokens before it) for t = 1, 2, ...: (T,) -> (T - 1,), in nats. By the
    chain rule their sum is the log-probability of the text given its first token. More tokens than
    the model has positions, and logits that are not finite, are an InputError."""
    ids = checked_ids("input_ids", np.asarray(input_ids)[None], model.config.vocab_size)
    if ids.shape[1] > model.config.max_position_embeddings:
        raise InputError(f"score: {ids.shape[1]} tokens are more than the model's "
                         f"{model.config.max_position_embeddings} positions: give a shorter text")
    with evaluating(model), no_grad():
        logits = checked_logits("score", model(ids).logits.data[0, :-1])  # (T - 1, V)
        log_p = log_probabilities(logits)
    return log_p[np.arange(len(log_p)), ids[0, 1:]]
