"""The views of the residual stream: the lengths of its vectors, a GPT's logit as a sum, and a map
of word vectors and streams in two dimensions."""

from __future__ import annotations

import re

import numpy as np

from minibert.errors import InputError
from minibert.look.causes import word_vectors
from minibert.look.data import add_array, add_view, table
from minibert.look.lens import direct_logit_attribution
from minibert.look.subject import Subject, shown_token
from minibert.look.truth import topics
from minibert.models.gpt import GPT2LMHeadModel
from minibert.toy_world.grammar import TOPICS
from minibert.toy_world.oracle import Oracle

PLACES = ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post")
MOST_PARTS = 40  # with more of them the heads of a layer are one part
WORDS = 128  # word vectors that are drawn
PAIRS = 8  # words in two contexts
INTRO = ("Attention and the MLP (feed-forward layer) add a vector to the stream of each token. "
         "Its length says how much, the cosine with the stream whether it points along it (1), "
         "across it (0) or against it (\u22121). A GPT's logit is a sum of what all parts added, "
         "once the scale of the last layer norm is held at the value that it had. A BERT's is no "
         "such sum: a norm follows each addition. For BERT see Causes.")
MAP_INTRO = ("Two directions of many: the two along which the points lie furthest apart "
             "(principal components). Near points may be far apart in the others. All layers of "
             "the stream share their two directions, and each vector is first centred and scaled "
             "as layer norm does it.")


def add_stream(data: dict, subjects: list[Subject]) -> None:
    """Add each model's lengths (5, L, T) at PLACES, the cosines (2, L, T) of attn_out with
    resid_pre and of mlp_out with what it is added to, and a GPT's parts of the target's logit."""
    tables, parts = [], []
    for m, subject in enumerate(subjects):
        norms, cosines = lengths_and_cosines(subject)  # (5, L, T), (2, L, T)
        add_array(data, m, "stream.norms", norms, "place layer token")
        add_array(data, m, "stream.cosines", cosines, "branch layer token")
        token = len(subject.ids) - 1 if subject.target is None else subject.target.position
        before, attention, _, mlp, after = norms[..., token]
        columns = (before, attention, cosines[0, :, token], mlp, cosines[1, :, token], after)
        head = ["layer", "stream", "attention adds", "cosine", "MLP adds", "cosine", "after"]
        rows = [[str(i), *[f"{column[i]:.2f}" for column in columns]] for i in subject.layers]
        tables.append(table(f"{subject.name}: lengths at token {token}, {subject.tokens[token]}",
                            head, rows))
        parts.append(logit_parts(subject))
        if parts[-1]:
            total = sum([x for _, x in parts[-1]])
            rows = [[name, f"{x:+.3f}"] for name, x in [*parts[-1], ["sum", total]]]
            tables.append(table(f"{subject.name}: the parts of the logit", ["part", "adds"], rows))
    add_view(data, "stream", "Stream", INTRO, tables, parts=parts)


def lengths_and_cosines(subject: Subject) -> tuple[np.ndarray, np.ndarray]:
    """((5, L, T), (2, L, T)): see add_stream."""
    vectors = np.stack([subject.activations(name) for name in PLACES])  # (5, L, T, C)
    before, attention, between, mlp, _ = vectors
    between = between if subject.norm_first else subject.activations("ln1.normalized")
    return (np.linalg.norm(vectors, axis=-1),
            np.stack([cosine(attention, before), cosine(mlp, between)]))


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The cosine of vectors (..., C): (...)."""
    product = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return (a * b).sum(-1) / np.maximum(product, 1e-12)


def logit_parts(subject: Subject) -> list[list]:
    """[name, number] of the parts of a GPT's target, which add up to it; [] for other models."""
    if not isinstance(subject.model, GPT2LMHeadModel):
        return []
    parts = direct_logit_attribution(subject.model, subject.cache, subject.target.indices)
    if len(parts) > MOST_PARTS:
        merged: dict[str, float] = {}
        for name, x in parts.items():
            name = re.sub(r"(H\d+| bias)$", " attention", name) if name[0] == "L" else name
            merged[name] = merged.get(name, 0.0) + x
        parts = merged
    return [[name, x] for name, x in parts.items()]


# ---- the map -------------------------------------------------------------------------------------


def add_map(data: dict, subjects: list[Subject], oracle: Oracle | None) -> None:
    """Add for each model the places of word vectors (N, 2), of the streams (L + 1, tokens, 2) of
    its text and of the second one, if any, the cosines (pairs, L + 1) of words in two contexts and
    the oracle's p(topic) of each token."""
    tables, parts = [], []
    for m, subject in enumerate(subjects):
        readings = [subject] if subject.against is None else [subject, subject.against]
        ids, tokens, special = [[one for reading in readings for one in getattr(reading, name)]
                                for name in ("ids", "tokens", "special")]
        part = add_words(data, m, subject, sorted(set(ids)))
        x = np.concatenate([streams_of(reading) for reading in readings], axis=1)
        normed = (x - x.mean(-1, keepdims=True)) / (x.std(-1, keepdims=True) + 1e-6)
        places, part["share"], _ = principal_components(normed.reshape(-1, x.shape[-1]))
        add_array(data, m, "map.streams", places.reshape(*x.shape[:2], 2), "layer token axis")
        part["tokens"], part["pairs"] = tokens, two_contexts(ids, special, x, len(subject.ids))
        cosines = np.array([cosine(x[:, i], x[:, j]) for i, j in part["pairs"]])
        add_array(data, m, "map.cosines", cosines.reshape(-1, len(x)), "pair layer")
        part["note"] = ""
        try:
            if oracle is not None:
                p = np.concatenate([topics(oracle, reading) for reading in readings])
                add_array(data, m, "map.topics", np.nan_to_num(p), "token topic")
        except InputError as reason:
            part["note"] = f"No topics of words. {reason}."
        parts.append(part)
        if part["pairs"]:
            rows = [[tokens[i], f"{i}, {j}", *[f"{value:.3f}" for value in of_pair]]
                    for (i, j), of_pair in zip(part["pairs"], cosines)]
            tables.append(table(f"{subject.name}: cosine of one word's stream in two contexts",
                                ["word", "tokens", *[f"layer {i}" for i in range(len(x))]], rows))
    add_view(data, "map", "Map", MAP_INTRO, tables, models=parts, topics=list(TOPICS))


def add_words(data: dict, m: int, subject: Subject, own: list[int]) -> dict:
    """The vectors of the text's words and of those whose vectors are nearest to one of them."""
    vectors = word_vectors(subject.model)  # (V, C)
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    nearness = (unit @ unit[own].T).max(axis=1)
    nearness[[i for i in subject.tokenizer.all_special_ids if i < len(vectors)]] = -2
    nearness[own] = 2
    chosen = np.argsort(-nearness, kind="stable")[:WORDS]
    chosen = chosen[nearness[chosen] > -2]
    places, share, _ = principal_components(vectors[chosen])
    add_array(data, m, "map.words", places, "word axis")
    return {"words": [shown_token(subject.tokenizer, int(i)) for i in chosen],
            "own": len(own), "word_share": share}


def principal_components(x: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """(coordinates (N, 2) of vectors (N, C) along their first two principal components, the share
    of the variance that these hold, the components (2, C)) (Pearson 1901). A component's largest
    number is positive; one that does not exist is 0."""
    x = x.astype(np.float64) - x.mean(axis=0)
    _, sizes, components = np.linalg.svd(x, full_matrices=False)
    basis = np.zeros((2, x.shape[1]))
    basis[:min(2, len(components))] = components[:2]
    largest = np.abs(basis).argmax(axis=1)
    basis *= np.where(basis[[0, 1], largest] < 0, -1, 1)[:, None]
    return x @ basis.T, float((sizes[:2] ** 2).sum() / max((sizes ** 2).sum(), 1e-12)), basis


def streams_of(subject: Subject) -> np.ndarray:
    """(L + 1, T, C): what enters each layer, and what leaves the last."""
    last = "resid_post" if subject.norm_first else "normalized_resid_post"
    return np.concatenate([subject.activations("resid_pre"), subject.cache[last, -1]])


def two_contexts(ids: list[int], special: list[bool], x: np.ndarray, T: int) -> list[list[int]]:
    """At most PAIRS places [i, j] of one word in two contexts: at the same position of both texts
    where there are two, else anywhere; those that part furthest first. x: (L + 1, tokens, C)."""
    pairs = [[i, j] for i in range(T) for j in range(i + 1, len(ids))
             if ids[i] == ids[j] and not special[i] and (len(ids) == T or j == i + T)]
    apart = [float(cosine(x[-1, i], x[-1, j])) for i, j in pairs]
    return [pairs[k] for k in np.argsort(apart, kind="stable")[:PAIRS]]
