"""The views as text: 80 columns, ASCII where the output has no more."""

import numpy as np
import pytest
from tests.look.small_pages import bert, gpt, tokenizer

import minibert as mb
from minibert.look.terminal import columns_of, matrix_lines, table_lines, terminal_text


@pytest.mark.parametrize("make", [bert, gpt])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_no_line_is_wider_than_the_terminal(make, encoding):
    words = tokenizer("\u94f6\u884c", "x" * 90)
    data = mb.look(make(words), words, "the \u94f6\u884c " + "bank is muddy . " * 4 + "x" * 90).data
    text = terminal_text(data, None, encoding)
    assert max(columns_of(line) for line in text.splitlines()) <= 80
    text.encode(encoding)
    assert "Walk\n====" in text and "Heads\n=====" in text


def test_one_view_alone():
    words = tokenizer()
    data = mb.look(bert(words), words, "the bank").data
    text = terminal_text(data, "heads")
    assert "Heads" in text and "Walk" not in text


def test_a_matrix_as_shades_has_rows_that_ask_and_columns_that_answer():
    model = {"causal": True, "tokens": ["a", "b", "c"]}
    lines = matrix_lines(np.array([[1, 0, 0], [0.55, 0.45, 0], [0.0, 0.95, 0.05]]), model)
    assert [line[18:] for line in lines[1:]] == ["@@////", "++==//", "  @@  "]


def test_columns_that_do_not_fit_follow_beneath():
    head, row = ["step", *[f"metric {i}" for i in range(40)]], [str(i) for i in range(100, 141)]
    text = "\n".join(table_lines([head, row]))
    assert max(map(len, text.splitlines())) <= 80 and text.count("100") == 4
    assert sorted(set(text.split()) & set(row)) == row


def test_a_wide_cell_is_wrapped():
    lines = table_lines([["name", "number"], ["word " * 30, "1"]])
    assert max(map(len, lines)) <= 80 and " ".join(lines).count("word") == 30
