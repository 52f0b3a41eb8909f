"""The data of a page as text: at most 80 columns, in ASCII where the output shows no more."""

from __future__ import annotations

import textwrap
import unicodedata

import numpy as np

from minibert.look.data import array_name
from minibert.look.page import target_sentence

WIDTH = 80
SHADES = " .:-=+*#%@"  # a weight from 0 to 1
ASCII = {"\u2212": "-", "\u00b7": "*", "\u221a": "sqrt ", "\u03a3": "sum ", "\u03b5": "eps",
         "\u03b2": "beta", "\u03b3": "gamma", "\u2192": "->", "\u201c": '"', "\u201d": '"',
         "\u2019": "'", "\u1d40": "^T", "\u03a6": "Phi", "\u03c6": "phi", "\u03c3": "sigma",
         "\u2081": "1", "\u2082": "2", "\u2423": "_", "\u2026": "..."}


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
                lines += own_lines(data, part["name"], m)
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
        value = "".join([ASCII.get(character, character) for character in value])
        return value.encode(encoding, "backslashreplace").decode(encoding)


def wrapped(text: str) -> list[str]:
    """The lines of a paragraph; with wide characters they are shorter."""
    return textwrap.wrap(text, WIDTH if columns_of(text) == len(text) else WIDTH // 2)


def own_lines(data: dict, view: str, model: int) -> list[str]:
    """The lines that a view shows for the layer and head in data["start"] besides its tables."""
    start, stored = data["start"], data["models"][model]
    layer = min(start["layer"], stored["layers"] - 1)
    head, token = min(start["head"], stored["heads"] - 1), min(start["token"],
                                                               len(stored["tokens"]) - 1)
    name = f"blocks.{layer}.attn.hook_pattern"
    if view not in ("heads", "walk"):
        return []
    pattern = data["arrays"][array_name(model, name)]["array"][head]
    caption = f"{stored['name']}, layer {layer}, head {head}"
    if view == "heads":
        return ["", *wrapped(f"{caption}: rows ask, columns answer"),
                *matrix_lines(pattern, stored)]
    scores = data["arrays"][array_name(model, name.replace("pattern", "qk"))]["array"][head, token]
    keys = range(token + 1 if stored["causal"] else len(stored["tokens"]))
    most = max([scores[k] for k in keys])
    rows = [["key", "score", "- maximum", "exp", "weight"]]
    rows += [[stored["tokens"][k], f"{scores[k]:.4f}", f"{scores[k] - most:.4f}",
              f"{np.exp(scores[k] - most):.4f}", f"{pattern[token, k]:.4f}"] for k in keys]
    return ["", *wrapped(f"{caption}: the softmax of {stored['tokens'][token]}"),
            *table_lines(rows)]


def matrix_lines(weights: np.ndarray, model: dict) -> list[str]:
    """A matrix (T, T) as shades, two characters a cell; a token that is hidden from a row is `/`.
    The columns are numbered as the rows."""
    room = (WIDTH - 20) // 2
    lines = [" " * 18 + "".join([f"{k:>2}"[-2:] for k in range(min(len(weights), room))])]
    for q, row in enumerate(weights):
        cells = ["//" if model["causal"] and k > q else 2 * SHADES[min(int(10 * weight), 9)]
                 for k, weight in enumerate(row[:room])]
        lines.append(f"{q:>3} {fitted(model['tokens'][q], 12)}  " + "".join(cells))
    if len(weights) > room:
        lines.append(f"(the first {room} of {len(weights)} columns)")
    return lines


def table_lines(rows: list[list[str]]) -> list[str]:
    """Rows of cells as columns two blanks apart; while the line is longer than WIDTH the widest
    column gives way, and its cells are wrapped."""
    widths = [max([1, *[columns_of(row[i]) for row in rows]]) for i in range(len(rows[0]))]
    while sum(widths) + 2 * (len(widths) - 1) > WIDTH:
        widths[widths.index(max(widths))] -= 1
    lines = []
    for row in rows:
        cells = [textwrap.wrap(cell, width) or [""] for cell, width in zip(row, widths)]
        for k in range(max(map(len, cells))):
            line = [fitted(cell[k] if k < len(cell) else "", width)
                    for cell, width in zip(cells, widths)]
            lines.append("  ".join(line).rstrip())
    return lines


def columns_of(text: str) -> int:
    """The columns of a terminal that a text takes: a Chinese character takes two."""
    return sum([2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text])


def fitted(text: str, width: int) -> str:
    """`text` in exactly `width` columns, its end cut off or filled with blanks."""
    while columns_of(text) > width:
        text = text[:-1]
    return text + " " * (width - columns_of(text))
