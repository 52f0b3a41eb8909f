"""The view of the logit lens: the words that each layer's stream would predict."""

from __future__ import annotations

import numpy as np

from minibert.errors import InputError
from minibert.generation.sampling import log_probabilities
from minibert.look.data import add_array, add_view, array_name
from minibert.look.lens import logit_lens, streams
from minibert.look.subject import Subject, shown_token
from minibert.look.truth import next_words
from minibert.toy_world.oracle import Oracle

TOP = 5  # words of a cell
WATCHED = 8  # words whose rank is followed through the layers, for each token
COLUMNS = 6  # of the table of words
INTRO = ("The model's own head reads the stream after each part of each layer: the word that is "
         "likeliest there, and a square for its probability. It is the raw lens: the head was "
         "trained on the last layer, so early columns say less than their vectors hold. A GPT "
         "predicts the word after a token, a BERT the word at it.")


def add_lens(data: dict, subjects: list[Subject], oracle: Oracle | None) -> None:
    """Add for each model with a head for words, at each of P places (2 L + 1, and the oracle's
    distribution where there is one): the TOP words, p and rank of the watched words, and the KL
    divergence of each place from the oracle (2 L + 1, T)."""
    tables, parts = [], []
    for m, subject in enumerate(subjects):
        try:
            logits = logit_lens(subject.model, subject.cache)
        except InputError as reason:
            parts.append({"note": f"{subject.name}: no lens. {reason}."})
            continue
        p, note = oracle_row(subject, oracle)
        names = [place_name(name, layer) for name, layer in streams(subject.model)]
        part = add_places(data, m, subject, logits, p)
        parts.append(part | {"places": names + ["oracle"] * (p is not None), "note": note})
        tables += lens_tables(data, m, subject, parts[-1])
    add_view(data, "lens", "Lens", INTRO, tables, models=parts)


def oracle_row(subject: Subject, oracle: Oracle | None) -> tuple[np.ndarray | None, str]:
    """The oracle's p (T, V), and a note: the reason why there is none."""
    try:
        return (None if oracle is None else next_words(oracle, subject)), ""
    except InputError as reason:
        return None, f"{subject.name}: no row of the oracle. {reason}."


def place_name(name: str, layer: int) -> str:
    """("resid_mid", 0) -> "attention 0"."""
    if name == "resid_pre":
        return "embeddings"
    return f"{'attention' if name in ('resid_mid', 'ln1.normalized') else 'MLP'} {layer}"


def add_places(data: dict, m: int, subject: Subject, logits: np.ndarray, p: np.ndarray | None
               ) -> dict:
    """Add the arrays of one model; returns the words by id."""
    places, T, V = len(logits), len(subject.ids), logits.shape[-1]
    rows = [log_probabilities(row) for row in logits]  # each (T, V)
    if p is not None:
        p = np.nan_to_num(np.pad(p, ((0, 0), (0, V - p.shape[1]))))
        divergence = [np.where(p > 0, p * (np.log(np.maximum(p, 1e-300)) - row), 0).sum(-1)
                      for row in rows]
        add_array(data, array_name(m, "lens.kl"), np.stack(divergence), "place token")
        rows.append(np.log(np.maximum(p, 1e-300)))
    top = np.stack([np.argsort(-row, axis=-1, kind="stable")[:, :TOP] for row in rows])
    watched = np.array([watched_words(subject, t, top[:, t, 0], places) for t in range(T)])
    every = np.arange(T)[:, None]
    add_array(data, array_name(m, "lens.ids"), top, "place token best")
    add_array(data, array_name(m, "lens.p"), np.exp([row[every, best] for row, best in
                                                     zip(rows, top)]), "place token best")
    chosen = np.stack([row[every, watched] for row in rows])  # (P, T, W)
    ranks = np.stack([1 + (row[:, None] > of_row[..., None]).sum(-1)
                      for row, of_row in zip(rows, chosen)])
    add_array(data, array_name(m, "lens.watched"), watched, "token word")
    add_array(data, array_name(m, "lens.watched_p"), np.exp(chosen), "place token word")
    add_array(data, array_name(m, "lens.ranks"), ranks, "place token word")
    ids = sorted({int(i) for i in [*top.ravel(), *watched.ravel()]})
    return {"words": {i: shown_token(subject.tokenizer, i) for i in ids}}


def watched_words(subject: Subject, t: int, leaders: np.ndarray, places: int) -> list[int]:
    """WATCHED ids: the target's (at its position), the oracle's first, and those that lead in any
    layer, the last layers first; filled up with the last."""
    target, words = subject.target, []
    if target.kind in ("word", "next word") and t == target.position:
        words = [target.id] if target.instead is None else [target.id, target.instead]
    words += [int(i) for i in [*leaders[places:], *leaders[places - 1::-1]]]
    words = list(dict.fromkeys(words))[:WATCHED]
    return words + words[-1:] * (WATCHED - len(words))


def lens_tables(data: dict, m: int, subject: Subject, part: dict) -> list[dict]:
    """The places at the target's token, and the first words of all tokens after whole layers."""
    def stored(name: str) -> np.ndarray | None:
        entry = data["arrays"].get(array_name(m, f"lens.{name}"))
        return None if entry is None else entry["array"]

    ids, p, ranks, kl = map(stored, ("ids", "p", "ranks", "kl"))
    t, words = subject.target.position, part["words"]
    rows = [["place", "likeliest", "p", f"rank of {subject.target.word}"]]
    rows += [[name, words[int(ids[i, t, 0])], f"{p[i, t, 0]:.3f}", f"{ranks[i, t, 0]:.0f}"]
             for i, name in enumerate(part["places"])]
    if kl is not None:
        column = ["KL to the oracle", *[f"{x:.3f}" for x in kl[:, t]], ""]
        rows = [[*row, cell] for row, cell in zip(rows, column)]
    shown = np.unique(np.linspace(0, len(part["places"]) - 1, COLUMNS).astype(int))
    all_rows = [["token", *[part["places"][i] for i in shown]]]
    all_rows += [[token, *[words[int(ids[i, at, 0])] for i in shown]]
                 for at, token in enumerate(subject.tokens)]
    return [{"caption": f"{subject.name}: at token {t}, {subject.tokens[t]}", "rows": rows},
            {"caption": f"{subject.name}: the likeliest words", "rows": all_rows}]
