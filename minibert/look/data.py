"""The data of a page: one dict, from which the page, the terminal and the tests read.

    {"schema": "minibert.look.1", "made_by", "command", "notes": [...],
     "models": [{"name", "class", "layers", "heads", "width", "causal", "tokens", "special",
                 "words", "spans", "target", "top", ...}],
     "views": [{"name", "title", "intro", "tables": [{"caption", "rows"}], ...}],
     "arrays": {name: {"shape", "axes", "f32" or "u8": base64}},
     "start": {"layer", "head", "token"}, "left_out": [{"what", "cure"}],
     "sources": {"file:line": the text of a quoted function}}

A view adds its part in one function, `add_VIEW(data, subjects)`, by `add_array` and `add_view`.
Its tables are what the page shows without JavaScript and the terminal in 80 columns: the first row
is the head, cells are texts. Whatever else it gives `add_view` is for its file in web/. An array of
model number m is named "m{m}.blocks.0.attn.hook_pattern".
"""

from __future__ import annotations

import base64
import hashlib

import numpy as np

from minibert.errors import InputError
from minibert.look.subject import Subject, top_outputs, visible
from minibert.version import __version__

SCHEMA = "minibert.look.1"
CODES = {"u8": np.dtype("u1"), "f16": np.dtype("<f2"), "f32": np.dtype("<f4")}
MAX_BYTES = 7_500_000  # with the rest of a page: 8 MB
# What is left out of a page that is too large, the first to go first; KEEP never goes.
KEEP, WEIGHTS, QUERIES, STREAMS, PATTERNS = range(5)
LEFT_OUT = {WEIGHTS: "the weights of the model",
            QUERIES: "queries, keys, values and scores of the layers but --layer",
            STREAMS: "the vectors of the residual stream",
            PATTERNS: "all but 8 bits of the attention weights"}


def new_data(subjects: list[Subject], command: str, layer: int = 0, head: int = 0, token: int = 0
             ) -> dict:
    """The dict without views. `layer`, `head` and `token` are shown first."""
    return {"schema": SCHEMA, "made_by": f"minibert {__version__}", "command": visible(command),
            "notes": [note for subject in subjects for note in _unknown_tokens(subject)],
            "models": [_model(subject) for subject in subjects], "views": [], "arrays": {},
            "start": {"layer": layer, "head": head, "token": token}, "left_out": []}


def _model(subject: Subject) -> dict:
    config, target = subject.model.config, subject.target
    digest = hashlib.sha256()
    for name, array in subject.model.state_dict().items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(array).data)
    shown = {name: getattr(subject, name) for name in
             ("name", "norm_first", "causal", "tokens", "ids", "types", "words", "spans")}
    return {**shown, "special": list(map(int, subject.special)),
            "class": type(subject.model).__name__, "layers": config.num_hidden_layers,
            "heads": config.num_attention_heads, "width": config.hidden_size,
            "norm_eps": config.block_config.layer_norm_eps,
            "parameters": sum([p.size for p in subject.model.parameters()]),
            "weights": digest.hexdigest()[:12], "target": target and vars(target),
            "top": top_outputs(subject, subject.outputs, 10) if target else []}


def _unknown_tokens(subject: Subject) -> list[str]:
    """A sentence about the text's tokens that are not in the vocabulary, if there are any."""
    unknown = getattr(subject.tokenizer, "unk_token_id", None)
    own = [i for i, added in zip(subject.ids, subject.special) if not added]
    count = own.count(unknown)
    if not count or subject.causal and unknown == subject.tokenizer.sep_token_id:  # <|endoftext|>
        return []
    which = "All" if count == len(own) else f"{count} of {len(own)}"
    return [f"{which} tokens of the text are unknown to {subject.name}'s vocabulary: it reads "
            f"{subject.tokenizer.unk_token} there."]


def add_array(data: dict, model: int, name: str, array: np.ndarray, axes: str, drop: int = KEEP
              ) -> None:
    """Add an array of model number `model`, as float32; `axes` names its axes, as in "head query
    key". `drop`: which of LEFT_OUT it is, if the page becomes too large."""
    array = np.ascontiguousarray(array, np.float32)
    if array.ndim != len(axes.split()):
        raise ValueError(f"add_array: {name} of shape {array.shape} with the axes {axes!r}")
    data["arrays"][f"m{model}.{name}"] = {"axes": axes, "array": array, "drop": drop}


def stored_array(data: dict, model: int, name: str) -> np.ndarray:
    """An array that add_array has added."""
    return data["arrays"][f"m{model}.{name}"]["array"]


def add_view(data: dict, name: str, title: str, intro: str, tables: list[dict], **parts) -> None:
    """Add a view: its name (a word, in links), its title, a sentence or two that say how to read
    it, its tables, and the parts that its JavaScript reads. A part "static" is not for JavaScript:
    a list of {"svg", "text": lines}, pictures for the page without it and for the terminal."""
    data["views"].append({"name": name, "title": title, "intro": intro, "tables": tables, **parts})


def table(caption: str, head: list[str], rows: list[list[str]]) -> dict:
    """A table of a view."""
    return {"caption": caption, "rows": [head, *rows]}


def find_view(data: dict, name: str) -> dict | None:
    """The part of a view; None if it was not added."""
    return next((view for view in data["views"] if view["name"] == name), None)


def encoded(data: dict, max_bytes: int = MAX_BYTES) -> dict:
    """The dict for JSON: no static parts, arrays in base64, the kinds of LEFT_OUT left out in turn
    until the rest fits `max_bytes` (data["left_out"]). Errors: InputError, it never does."""
    codes, left_out = dict.fromkeys(data["arrays"], "f32"), []
    cure = f"--max-bytes {_bytes(data, codes) + 200_000} brings all back"
    for level, what in LEFT_OUT.items():
        found = [name for name, entry in data["arrays"].items() if entry["drop"] == level]
        gone = 0
        while gone < len(found) and (_bytes(data, codes) > max_bytes or gone and level == WEIGHTS):
            gone += 1  # the last layers first; the weights all or none
            if level == PATTERNS:
                codes[found[-gone]] = "u8"
            else:
                del codes[found[-gone]]
        if gone:
            left_out.append({"what": f"{what} ({gone} of {len(found)} arrays)", "cure": cure})
    if _bytes(data, codes) > max_bytes:
        raise InputError(f"--max-bytes {max_bytes}: the page needs {_bytes(data, codes):,} even "
                         "without all that can be left out: give more, or a shorter text")
    arrays = {}
    for name, code in codes.items():
        array = data["arrays"][name]["array"]
        array = np.round(array * 255) if code == "u8" else array  # weights between 0 and 1
        arrays[name] = coded(array, code) | {"axes": data["arrays"][name]["axes"]}
    views = [{part: value for part, value in view.items() if part != "static"}
             for view in data["views"]]
    return {**data, "views": views, "arrays": arrays, "left_out": left_out}


def coded(array: np.ndarray, code: str) -> dict:
    """An array as {"shape", code: base64 of little-endian numbers}; `code` is one of CODES."""
    numbers = np.ascontiguousarray(array, CODES[code]).tobytes()
    return {"shape": list(array.shape), code: base64.b64encode(numbers).decode("ascii")}


def _bytes(data: dict, codes: dict[str, str]) -> int:
    """The length in base64 of the arrays in `codes`."""
    return sum([4 * data["arrays"][name]["array"].size * CODES[code].itemsize // 3
                for name, code in codes.items()])
