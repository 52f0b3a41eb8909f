"""Stretches of a text that are marked: in colour where the terminal can, in brackets elsewhere."""

import os
from collections.abc import Mapping, Sequence
from typing import TextIO

COLOURS = (32, 35, 36, 33, 34, 31)  # ANSI: green, magenta, cyan, yellow, blue, red
Mark = tuple[int, int, str]  # text[start:end] is of this kind ("" for none)


def can_colour(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether colours can and may be shown: a terminal that is not dumb, and no NO_COLOR set (see
    no-color.org)."""
    return (stream.isatty() and not environment.get("NO_COLOR")
            and environment.get("TERM") != "dumb")


def marked(text: str, marks: Sequence[Mark], in_colour: bool) -> str:
    """The text with its marks, which stand in order and do not overlap."""
    kinds = sorted({kind for _, _, kind in marks})
    shown, end = [], 0
    for start, stop, kind in marks:
        words = f"{text[start:stop]} {kind}".rstrip()
        if in_colour:
            colour = COLOURS[kinds.index(kind) % len(COLOURS)]
            words = f"\x1b[1;{colour}m{words}\x1b[0m"
        else:
            words = f"[{words}]"
        shown += [text[end:start], words]
        end = stop
    return "".join(shown) + text[end:]
