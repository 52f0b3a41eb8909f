"""The data of a page as text: at most 80 columns, in ASCII where the output shows no more."""

from __future__ import annotations

import textwrap
import unicodedata
from itertools import zip_longest

import numpy as np

from minibert.look.data import stored_array
from minibert.look.page import target_sentence

WIDTH = 80
ROOM = (WIDTH - 20) // 2  # columns of a matrix
MOST_COLUMNS = 12  # of a table
SHADES = " .:-=+*#%@"  # a weight from 0 to 1
ASCII = str.maketrans({
    "\u2212": "-", "\u00b7": "*", "\u221a": "sqrt ", "\u03a3": "sum ", "\u03b5": "eps",
    "\u03b2": "beta", "\u03b3": "gamma", "\u2192": "->", "\u201c": '"', "\u201d": '"',
    "\u2019": "'", "\u1d40": "^T", "\u03a6": "Phi", "\u03c6": "phi", "\u03c3": "sigma",
    "\u2081": "1", "\u2082": "2", "\u2423": "_", "\u2026": "..."})


def terminal_text(data: dict, view: str | None = None, encoding: str = "utf-8") -> str:
    """All views, or one: what its tables hold and, for heads and the walk, the matrix and the
    softmax of the layer, head and token in data["start"]. `encoding` is the output's."""
    data = shown(data, encoding)
    lines = []
    for model in data["models"]:
        lines += wrapped(f"{model['name']} reads {' '.join(model['tokens'])}")
        if model["target"] is not None:
            lines += wrapped(shown(target_sentence(model), encoding))
    lines += [line for note in data["notes"] for line in wrapped(note)]
    for part in data["views"]:
        if view in (None, part["name"]) and part["tables"]:
            lines += ["", part["title"], "=" * len(part["title"]), *wrapped(part["intro"])]
            for picture in part.get("static", []):
                lines += ["", *picture["text"]]
            for m in range(len(data["models"])):
                if part["name"] in ("heads", "walk"):
                    lines += ["", *head_lines(data, part["name"], m)]
            for table in part["tables"]:
                lines += ["", *wrapped(table["caption"]), *table_lines(table["rows"])]
    return "\n".join([line.rstrip() for line in lines])


def shown(value: object, encoding: str) -> object:
    """A text, or all texts within lists and dicts, in characters that `encoding` has."""
    if isinstance(value, dict):
        return {name: shown(part, encoding) for name, part in value.items()}
    if isinstance(value, list):
        return [shown(part, encoding) for part in value]
    if not isinstance(value, str):
        return value
    try:
        value.encode(encoding)
        return value
    except UnicodeEncodeError:
        return value.translate(ASCII).encode(encoding, "backslashreplace").decode(encoding)


def wrapped(text: str) -> list[str]:
    """The lines of a paragraph; with wide characters they are shorter."""
    return textwrap.wrap(text, WIDTH if columns_of(text) == len(text) else WIDTH // 2)


def head_lines(data: dict, view: str, m: int) -> list[str]:
    """The attention of the layer and head in data["start"] (heads), or its softmax at the token
    (walk)."""
    model = data["models"][m]
    layer, head, token = [min(data["start"][name], count - 1) for name, count in
                          (("layer", model["layers"]), ("head", model["heads"]),
                           ("token", len(model["tokens"])))]
    pattern, scores = [stored_array(data, m, f"blocks.{layer}.attn.{name}")[head]
                       for name in ("hook_pattern", "hook_qk")]
    caption = f"{model['name']}, layer {layer}, head {head}"
    if view == "heads":
        return [*wrapped(f"{caption}: rows are queries, columns keys"),
                *matrix_lines(pattern, model)]
    keys = model["tokens"][:token + 1] if model["causal"] else model["tokens"]
    centred = scores[token] - scores[token, :len(keys)].max()
    rows = [[key, *[f"{x:.4f}" for x in (scores[token, k], centred[k], np.exp(centred[k]),
                                         pattern[token, k])]] for k, key in enumerate(keys)]
    return [*wrapped(f"{caption}: the softmax of {model['tokens'][token]}"),
            *table_lines([["key", "score", "- maximum", "exp", "weight"], *rows])]


def matrix_lines(weights: np.ndarray, model: dict) -> list[str]:
    """A matrix (T, T) as shades, two characters a cell; a token that is hidden from a row is `/`.
    The columns are numbered as the rows."""
    lines = [" " * 18 + "".join([f"{k:>2}"[-2:] for k in range(min(len(weights), ROOM))])]
    for q, row in enumerate(weights):
        cells = ["//" if model["causal"] and k > q else 2 * SHADES[min(int(10 * weight), 9)]
                 for k, weight in enumerate(row[:ROOM])]
        lines.append(f"{q:>3} {fitted(model['tokens'][q], 12)}  " + "".join(cells))
    if len(weights) > ROOM:
        lines.append(f"(the first {ROOM} of {len(weights)} columns)")
    return lines


def table_lines(rows: list[list[str]]) -> list[str]:
    """Rows of cells as columns two blanks apart; while the line is longer than WIDTH the widest
    column gives way, and its cells are wrapped."""
    if len(rows[0]) > MOST_COLUMNS:  # the others follow beneath, beside the first column again
        return [*table_lines([row[:MOST_COLUMNS] for row in rows]), "",
                *table_lines([[row[0], *row[MOST_COLUMNS:]] for row in rows])]
    widths = [max(1, *map(columns_of, column)) for column in zip(*rows)]
    while sum(widths) + 2 * (len(widths) - 1) > WIDTH:
        widths[widths.index(max(widths))] -= 1
    lines = []
    for row in rows:
        cells = [textwrap.wrap(cell, width) for cell, width in zip(row, widths)]
        for line in zip_longest(*cells, fillvalue=""):
            lines.append("  ".join(map(fitted, line, widths)).rstrip())
    return lines


def columns_of(text: str) -> int:
    """The columns of a terminal that a text takes: a Chinese character takes two."""
    return sum([2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text])


def fitted(text: str, width: int) -> str:
    """`text` in exactly `width` columns, its end cut off or filled with blanks."""
    while columns_of(text) > width:
        text = text[:-1]
    return text + " " * (width - columns_of(text))
