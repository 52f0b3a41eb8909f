"""The data of a page: one dict, from which the page, the terminal and the tests read.

    {"schema": "minibert.look.1", "made_by", "command", "notes": [...],
     "models": [{"name", "class", "layers", "heads", "width", "causal", "tokens", "special",
                 "words", "spans", "text", "target", "top", ...}],
     "views": [{"name", "title", "intro", "tables": [{"caption", "rows"}], ...}],
     "arrays": {name: {"shape", "axes", "f32" or "u8": base64}},
     "start": {"layer", "head", "token"}, "left_out": [{"what", "cure"}],
     "sources": {"file:line": the text of a quoted function}}

A view adds its part in one function, `add_VIEW(data, subjects)`, by `add_array` and `add_view`.
Its tables are what the page shows without JavaScript and the terminal in 80 columns: the first row
is the head, cells are texts. Whatever else it gives `add_view` is for its file in web/. An array of
model number m is named `array_name(m, "blocks.0.attn.hook_pattern")`.
"""

from __future__ import annotations

import base64

import numpy as np

from minibert.errors import InputError
from minibert.look.subject import Subject, top_outputs, weights_digest
from minibert.version import __version__

SCHEMA = "minibert.look.1"
MAX_BYTES = 7_500_000  # with the rest of a page: 8 MB
# What is left out of a page that is too large, the first to go first; KEEP never goes.
KEEP, WEIGHTS, LOGITS, QUERIES, STREAMS, PATTERNS = range(6)
LEFT_OUT = {WEIGHTS: "the weights of the model",
            LOGITS: "all logits (the 10 largest are there)",
            QUERIES: "queries, keys, values and scores of the layers but --layer",
            STREAMS: "the vectors of the residual stream",
            PATTERNS: "all but 8 bits of the attention weights"}


def new_data(subjects: list[Subject], command: str, start: dict[str, int]) -> dict:
    """The dict without views. `start`: layer, head and token that are shown first."""
    return {"schema": SCHEMA, "made_by": f"minibert {__version__}", "command": command,
            "notes": [note for subject in subjects for note in _notes(subject)],
            "models": [_model(subject) for subject in subjects], "views": [], "arrays": {},
            "start": start, "left_out": []}


def _model(subject: Subject) -> dict:
    config, target = subject.model.config, subject.target
    return {"name": subject.name, "class": type(subject.model).__name__,
            "layers": config.num_hidden_layers, "heads": config.num_attention_heads,
            "width": config.hidden_size, "vocab_size": config.vocab_size,
            "norm_first": config.block_config.norm_first,
            "norm_eps": config.block_config.layer_norm_eps, "causal": subject.causal,
            "parameters": sum([p.size for p in subject.model.parameters()]),
            "weights": weights_digest(subject.model), "tokens": subject.tokens,
            "ids": subject.ids, "types": subject.types,
            "special": [int(added) for added in subject.special], "words": subject.words,
            "spans": subject.spans, "target": None if target is None else vars(target),
            "top": [[word, p, i] for word, p, i in top_outputs(subject, 10)]}


def _notes(subject: Subject) -> list[str]:
    """Sentences that a reader must know about the text."""
    unknown = getattr(subject.tokenizer, "unk_token_id", None)
    own = [i for i, added in zip(subject.ids, subject.special) if not added]
    if subject.causal and unknown == subject.tokenizer.sep_token_id:  # GPT-2's <|endoftext|>
        return []
    count = own.count(unknown)
    if not count:
        return []
    which = "All" if count == len(own) else f"{count} of {len(own)}"
    return [f"{which} tokens of the text are unknown to {subject.name}'s vocabulary: it reads "
            f"{subject.tokenizer.unk_token} there."]


def array_name(model: int, name: str) -> str:
    """The name under which a page holds an array of model number `model`."""
    return f"m{model}.{name}"


def add_array(data: dict, name: str, array: np.ndarray, axes: str, drop: int = KEEP) -> None:
    """Add an array of float32 under `name`; `axes` names its axes, as in "head query key". `drop`:
    which of LEFT_OUT (or PATTERNS: 8 bits a number) it is, if the page becomes too large."""
    array = np.asarray(array)
    if array.ndim != len(axes.split()):
        raise ValueError(f"add_array: {name} of shape {array.shape} with the axes {axes!r}")
    data["arrays"][name] = {"axes": axes, "array": np.ascontiguousarray(array, "<f4"),
                            "drop": drop}


def add_view(data: dict, name: str, title: str, intro: str, tables: list[dict], **parts) -> None:
    """Add a view: its name (a word, in links), its title, a sentence or two that say how to read
    it, its tables, and the parts that its JavaScript reads. A part "static" is not for JavaScript:
    a list of {"svg", "text": lines}, pictures for the page without it and for the terminal."""
    data["views"].append({"name": name, "title": title, "intro": intro, "tables": tables, **parts})


def find_view(data: dict, name: str) -> dict | None:
    """The part of a view; None if it was not added."""
    return next((view for view in data["views"] if view["name"] == name), None)


def encoded(data: dict, max_bytes: int = MAX_BYTES) -> dict:
    """The dict for JSON: without static parts, with arrays in base64, and left out from the first
    kind of LEFT_OUT on until they fit `max_bytes`; data["left_out"] says which. Errors: InputError,
    they never fit."""
    kinds = {name: "f32" for name in data["arrays"]}
    left_out = list(data["left_out"])
    cure = f"--max-bytes {_bytes(data, kinds) + 200_000} brings all back"
    for level in range(WEIGHTS, PATTERNS + 1):
        found = [name for name, entry in data["arrays"].items() if entry["drop"] == level]
        gone = 0
        while gone < len(found) and (_bytes(data, kinds) > max_bytes or gone and level == WEIGHTS):
            gone += 1  # the last layers first; the weights all or none
            kinds[found[-gone]] = "u8" if level == PATTERNS else None
        if gone:
            left_out.append({"what": f"{LEFT_OUT[level]} ({gone} of {len(found)} arrays)",
                             "cure": cure})
    kinds = {name: kind for name, kind in kinds.items() if kind}
    if _bytes(data, kinds) > max_bytes:
        raise InputError(f"--max-bytes {max_bytes}: the page needs {_bytes(data, kinds):,} even "
                         "without all that can be left out: give more, or a shorter text")
    arrays = {name: {"shape": list(data["arrays"][name]["array"].shape),
                     "axes": data["arrays"][name]["axes"],
                     kind: _base64(data["arrays"][name]["array"], kind)}
              for name, kind in kinds.items()}
    views = [{part: value for part, value in view.items() if part != "static"}
             for view in data["views"]]
    return {**data, "views": views, "arrays": arrays, "left_out": left_out}


def _base64(array: np.ndarray, kind: str) -> str:
    if kind == "u8":  # weights between 0 and 1
        array = np.round(array * 255).astype(np.uint8)
    return base64.b64encode(array.tobytes()).decode("ascii")


def _bytes(data: dict, kinds: dict[str, str]) -> int:
    """The length in base64 of all arrays that are not left out."""
    return sum([4 * data["arrays"][name]["array"].size * (4 if kind == "f32" else 1) // 3
                for name, kind in kinds.items() if kind])
