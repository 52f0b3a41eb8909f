"""The losses, one function for each kind of label. Training uses sums, not means.

Letters: B examples, T tokens, K classes.
"""

from __future__ import annotations

import numpy as np

from minibert.autograd import functional as F
from minibert.autograd.ops import stack
from minibert.autograd.tensor import Tensor
from minibert.errors import InputError
from minibert.models.config import BertConfig, GPT2Config
from minibert.validate import checked_ids


def classification_loss(logits: Tensor, labels: np.ndarray, weight: np.ndarray | None = None,
                        reduction: str = "mean", name: str = "labels") -> Tensor:
    """Each example is of one class: logits (B, K), labels (B,), `weight` (K,) of the classes. The
    mean is over the weights of the labels, as in PyTorch. `name` is that of the labels in errors.
    """
    labels = checked_ids(name, labels, logits.shape[1], logits.shape[:1])
    return F.cross_entropy(logits, labels, weight, reduction=reduction)


def token_loss(logits: Tensor, labels: np.ndarray, weight: np.ndarray | None = None,
               reduction: str = "mean") -> Tensor:
    """Each token is of one class (a tag, a word), or is not scored: logits (B, T, K), labels (B, T)
    with -100 where it is not, `weight` (K,). The mean is over the scored tokens."""
    B, T, K = logits.shape
    labels = checked_ids("labels", labels, K, (B, T), ignored=F.IGNORE_INDEX)
    return F.cross_entropy(logits.reshape(B * T, K), labels.reshape(B * T), weight,
                           reduction=reduction)


def span_loss(start_logits: Tensor, end_logits: Tensor, start_positions: np.ndarray,
              end_positions: np.ndarray, reduction: str = "mean") -> Tensor:
    """The start of an answer and its end (the last token), half of the loss each: logits (B, T),
    positions (B,) from 0. A position of T or more lies outside the window and is not scored; the
    mean is over the others."""
    start_loss = _position_loss("start_positions", start_logits, start_positions, reduction)
    end_loss = _position_loss("end_positions", end_logits, end_positions, reduction)
    return (start_loss + end_loss) / 2


def _position_loss(name: str, logits: Tensor, positions: np.ndarray, reduction: str) -> Tensor:
    B, T = logits.shape
    positions = np.asarray(positions)
    if positions.dtype.kind not in "iu" or positions.shape != (B,) or (positions < 0).any():
        raise InputError(f"{name}: expected {B} whole numbers from 0, got "
                         f"{positions.tolist()!r:.60}")
    return F.cross_entropy(logits, np.minimum(positions, T), ignore_index=T, reduction=reduction)


def regression_loss(logits: Tensor, labels: np.ndarray, reduction: str = "mean") -> Tensor:
    """The squared error: logits (B, K), labels of the same shape, or (B,) for K = 1."""
    return F.mse_loss(logits, _numbers(labels, logits), reduction)


def multi_label_loss(logits: Tensor, labels: np.ndarray, reduction: str = "mean") -> Tensor:
    """Each class is a binary decision of its own: logits (B, K), labels (B, K) from 0 to 1. The
    sigmoid of x is the softmax of (x, 0), so this is cross entropy between two classes."""
    labels = _numbers(labels, logits)
    if ((labels < 0) | (labels > 1)).any():
        raise InputError("labels: probabilities lie between 0 and 1, got "
                         f"{labels.min()} to {labels.max()}")
    pairs = stack([logits, Tensor(np.zeros_like(logits.data))], axis=1)  # (B, 2, K)
    return F.cross_entropy(pairs, np.stack([labels, 1 - labels], axis=1), reduction=reduction)


def _numbers(labels: np.ndarray, logits: Tensor) -> np.ndarray:
    """`labels` in the shape and the real dtype of the logits (B, K)."""
    labels = np.asarray(labels)
    if labels.dtype.kind not in "fiub" or labels.shape not in (
            logits.shape, logits.shape[:1] if logits.shape[1] == 1 else None):
        raise InputError(f"labels: got {labels.dtype} of shape {labels.shape}: expected numbers of "
                         f"shape {logits.shape}")
    if not np.isfinite(labels).all():
        raise InputError("labels: a number is not finite (NaN or infinity): leave such examples "
                         "out")
    return labels.reshape(logits.shape).astype(logits.data.real.dtype)


def problem_type(config: BertConfig | GPT2Config, labels: np.ndarray) -> str:
    """The kind of a sequence classifier: config.problem_type, or else, as in Hugging Face,
    "regression" with one label, "single_label_classification" if `labels` are whole numbers, and
    "multi_label_classification" otherwise."""
    if config.problem_type is not None:
        return config.problem_type
    if config.num_labels == 1:
        return "regression"
    if np.asarray(labels).dtype.kind in "iu":
        return "single_label_classification"
    return "multi_label_classification"


def sequence_loss(config: BertConfig | GPT2Config, logits: Tensor, labels: np.ndarray) -> Tensor:
    """The mean loss of a sequence classifier, by its `problem_type`."""
    problem = problem_type(config, labels)
    if problem == "regression":
        return regression_loss(logits, labels)
    if problem == "single_label_classification":
        return classification_loss(logits, labels)
    return multi_label_loss(logits, labels)
