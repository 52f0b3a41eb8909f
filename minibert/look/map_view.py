"""The map: word vectors, and the stream of each token layer by layer, in two dimensions."""

from __future__ import annotations

import numpy as np

from minibert.errors import InputError
from minibert.look.data import add_array, add_view, array_name
from minibert.look.stream import cosine
from minibert.look.subject import Subject, shown_token
from minibert.look.truth import topics
from minibert.toy_world.grammar import TOPICS
from minibert.toy_world.oracle import Oracle

WORDS = 128  # word vectors that are drawn
PAIRS = 8  # words in two contexts
INTRO = ("Two directions of many: the two along which the points lie furthest apart (principal "
         "components). Near points may be far apart in the others. All layers of the stream share "
         "their two directions, and each vector is first centred and scaled as layer norm does it.")


def add_map(data: dict, subjects: list[Subject], oracle: Oracle | None) -> None:
    """Add for each model the places of word vectors (N, 2), of the streams (L + 1, tokens, 2) of
    its text and of the second one, if any, the cosines (pairs, L + 1) of words in two contexts and
    the oracle's p(topic) of each token."""
    tables, parts = [], []
    for m, subject in enumerate(subjects):
        readings = [subject] if subject.against is None else [subject, subject.against]
        ids = [i for reading in readings for i in reading.ids]
        part = add_words(data, m, subject, sorted(set(ids)))
        x = np.concatenate([streams_of(reading) for reading in readings], axis=1)
        normed = (x - x.mean(-1, keepdims=True)) / (x.std(-1, keepdims=True) + 1e-6)
        places, part["share"] = principal_components(normed.reshape(-1, x.shape[-1]))
        add_array(data, array_name(m, "map.streams"), places.reshape(*x.shape[:2], 2),
                  "layer token axis")
        part["tokens"] = [token for reading in readings for token in reading.tokens]
        special = [added for reading in readings for added in reading.special]
        part["pairs"] = two_contexts(ids, special, x, len(subject.ids))
        cosines = np.array([cosine(x[:, i], x[:, j]) for i, j in part["pairs"]])
        add_array(data, array_name(m, "map.cosines"), cosines.reshape(-1, len(x)), "pair layer")
        part["note"] = add_topics(data, m, readings, oracle)
        parts.append(part)
        tables += cosine_table(subject, part, cosines)
    add_view(data, "map", "Map", INTRO, tables, models=parts, topics=list(TOPICS))


def add_words(data: dict, m: int, subject: Subject, own: list[int]) -> dict:
    """The vectors of the text's words and of those whose vectors are nearest to one of them."""
    table = next(array for name, array in subject.model.state_dict().items()
                 if name.endswith("word_embeddings.weight"))  # (V, C)
    unit = table / np.maximum(np.linalg.norm(table, axis=-1, keepdims=True), 1e-12)
    nearness = (unit @ unit[own].T).max(axis=1)
    nearness[[i for i in subject.tokenizer.all_special_ids if i < len(table)]] = -2
    nearness[own] = 2
    chosen = np.argsort(-nearness, kind="stable")[:WORDS]
    chosen = chosen[nearness[chosen] > -2]
    places, share = principal_components(table[chosen])
    add_array(data, array_name(m, "map.words"), places, "word axis")
    return {"words": [shown_token(subject.tokenizer, int(i)) for i in chosen],
            "own": len(own), "word_share": share}


def principal_components(x: np.ndarray) -> tuple[np.ndarray, float]:
    """(coordinates (N, 2) of vectors (N, C) along their first two principal components, the share
    of the variance that these hold) (Pearson 1901). A component's largest number is positive."""
    x = x.astype(np.float64) - x.mean(axis=0)
    _, sizes, components = np.linalg.svd(x, full_matrices=False)
    basis = np.zeros((2, x.shape[1]))
    basis[:min(2, len(components))] = components[:2]
    largest = np.abs(basis).argmax(axis=1)
    basis *= np.where(basis[[0, 1], largest] < 0, -1, 1)[:, None]
    return x @ basis.T, float((sizes[:2] ** 2).sum() / max((sizes ** 2).sum(), 1e-12))


def streams_of(subject: Subject) -> np.ndarray:
    """(L + 1, T, C): what enters each layer, and what leaves the last."""
    layers = range(subject.model.config.num_hidden_layers)
    last = "resid_post" if subject.model.config.block_config.norm_first else \
        "normalized_resid_post"
    return np.stack([*[subject.cache["resid_pre", i][0] for i in layers],
                     subject.cache[last, layers[-1]][0]])


def two_contexts(ids: list[int], special: list[bool], x: np.ndarray, T: int) -> list[list[int]]:
    """At most PAIRS places [i, j] of one word in two contexts: at the same position of both texts
    where there are two, else anywhere; those that part furthest first. x: (L + 1, tokens, C)."""
    pairs = [[i, j] for i in range(T) for j in range(i + 1, len(ids))
             if ids[i] == ids[j] and not special[i] and (len(ids) == T or j == i + T)]
    apart = [float(cosine(x[-1, i], x[-1, j])) for i, j in pairs]
    return [pairs[k] for k in np.argsort(apart, kind="stable")[:PAIRS]]


def add_topics(data: dict, m: int, readings: list[Subject], oracle: Oracle | None) -> str:
    """p(topic) of each token by the oracle; or the reason why not."""
    if oracle is None:
        return ""
    try:
        p = np.concatenate([topics(oracle, reading) for reading in readings])
    except InputError as reason:
        return f"No topics of words. {reason}."
    add_array(data, array_name(m, "map.topics"), np.nan_to_num(p), "token topic")
    return ""


def cosine_table(subject: Subject, part: dict, cosines: np.ndarray) -> list[dict]:
    """The cosines of words in two contexts, before the first layer and after whole layers."""
    if not part["pairs"]:
        return []
    layers = np.unique(np.linspace(0, cosines.shape[1] - 1, 7).astype(int))
    rows = [["word", "tokens", *[f"layer {i}" for i in layers]]]
    rows += [[part["tokens"][i], f"{i}, {j}", *[f"{of_pair[k]:.3f}" for k in layers]]
             for (i, j), of_pair in zip(part["pairs"], cosines)]
    return [{"caption": f"{subject.name}: cosine of one word's stream in two contexts",
             "rows": rows}]
