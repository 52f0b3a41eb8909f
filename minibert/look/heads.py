"""The view of all heads: attention weights, the vectors that they move, and a sentence for each."""

from __future__ import annotations

import numpy as np

from minibert.look.data import PATTERNS, add_array, add_view, table
from minibert.look.subject import Subject

HABIT = 0.5  # the mean weight from which on a place is a head's habit
EVEN = 0.9  # the share of the largest possible entropy from which on a head is even

INTRO = ("Each small square is one head of one layer. In a matrix, rows are queries (the "
         "tokens that attend), columns keys; a row adds up to 1. The area of a "
         "square is the weight. A weight says how much is read, not how much it matters: the "
         "switch \u201ctimes the vector's length\u201d multiplies it by the length of what arrives "
         "(Kobayashi et al. 2020).")


def add_heads(data: dict, subjects: list[Subject]) -> None:
    """Add each model's attention weights (H, T, T) of every layer, the norms of the value vectors
    after W_O (L, H, T), the rollout (T, T) and the heads' sentences."""
    tables, sentences = [], []
    for m, subject in enumerate(subjects):
        patterns = subject.activations("pattern")  # (L, H, T, T)
        for i, pattern in enumerate(patterns):
            add_array(data, m, f"blocks.{i}.attn.hook_pattern", pattern, "head query key", PATTERNS)
        add_array(data, m, "value_norms", value_norms(subject), "layer head key")
        add_array(data, m, "rollout", rollout(patterns), "query key")
        sentences.append([[describe_head(weights, subject) for weights in pattern]
                          for pattern in patterns])
        rows = [[str(i), str(h), sentence] for i, of_layer in enumerate(sentences[-1])
                for h, sentence in enumerate(of_layer)]
        tables.append(table(f"{subject.name}: each head in words",
                            ["layer", "head", "reads mostly"], rows))
    add_view(data, "heads", "Heads", INTRO, tables, sentences=sentences)


def value_norms(subject: Subject) -> np.ndarray:
    """The length of v_s W_O for each layer, head and key s: (L, H, T). Times the attention weight
    it is the length of the vector that arrives (Kobayashi et al. 2020, "Attention is Not Only a
    Weight", section 2.3)."""
    norms = []
    for block, values in zip(subject.stack.blocks, subject.activations("v")):  # (T, H, D)
        output = block.attention.output.weight.data.reshape(-1, *values.shape[1:])  # (C, H, D)
        norms.append(np.linalg.norm(np.einsum("thd,chd->htc", values, output), axis=-1))
    return np.stack(norms)


def rollout(patterns: np.ndarray) -> np.ndarray:
    """Attention (L, H, T, T) multiplied through the layers, half of each layer being the residual
    connection: (T, T) (Abnar & Zuidema 2020, "Quantifying Attention Flow in Transformers", section
    3)."""
    result = np.eye(patterns[0].shape[-1])
    for pattern in patterns:
        result = (0.5 * pattern.mean(axis=0) + 0.5 * np.eye(len(result))) @ result
    return result


def describe_head(weights: np.ndarray, subject: Subject) -> str:
    """Describe what a head (T, T) reads, in a few words by fixed rules: a place that gets HABIT of
    the mean row; else "even", if the rows' entropy is nearly the largest possible; else the two
    commonest places."""
    T, ids, special = len(weights), np.array(subject.ids), np.array(subject.special)
    column, itself = np.arange(T), np.eye(T, dtype=bool)
    places = {"itself": itself, "previous token": np.eye(T, k=-1, dtype=bool),
              "next token": np.eye(T, k=1, dtype=bool),
              "first token": (column == 0) & (column[:, None] > 0),
              "same word elsewhere": (ids[:, None] == ids) & ~itself,
              "[SEP]": special & (column > 0) & ~itself}  # (T, T) each
    shares = {}
    for name, place in places.items():
        place = np.tril(place) if subject.causal else place
        if place.any():  # the mean over the rows that have such a place
            shares[name] = float((weights * place).sum() / place.any(axis=1).sum())
    best = sorted(shares, key=lambda name: -shares[name])
    if best and shares[best[0]] >= HABIT:
        return f"{best[0]} {shares[best[0]]:.2f}"
    entropy = float(-(weights * np.log(np.maximum(weights, 1e-30))).sum(axis=1).mean())
    seen = np.arange(1, T + 1) if subject.causal else np.full(T, T)
    largest = float(np.log(seen).mean())
    if largest and entropy >= EVEN * largest:
        return f"even: entropy {entropy:.1f} of {largest:.1f}"
    return "mixed: " + ", ".join([f"{name} {shares[name]:.2f}" for name in best[:2]])
