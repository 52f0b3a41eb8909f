"""Marks in a text: in colour where the terminal can."""

import sys

from minibert.cli.highlight import can_colour, marked


def test_colours_only_where_they_can_and_may_be():
    class Terminal:
        def isatty(self):
            return True

    assert can_colour(Terminal(), {"TERM": "xterm"}) and can_colour(Terminal(), {"NO_COLOR": ""})
    assert not can_colour(Terminal(), {"NO_COLOR": "1"}) and not can_colour(sys.stdout, {})
    assert not can_colour(Terminal(), {"TERM": "dumb"})
    marks = [(0, 1, "B"), (2, 3, "A"), (3, 5, "B")]
    assert marked("a bcd.", marks, False) == "[a B] [b A][cd B]."
    assert marked("a bcd.", marks, True) == ("\x1b[1;35ma B\x1b[0m \x1b[1;32mb A\x1b[0m"
                                             "\x1b[1;35mcd B\x1b[0m.")
    assert marked("", [], True) == ""
