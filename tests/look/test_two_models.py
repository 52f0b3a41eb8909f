"""Two models on one text: aligned by places in the text, with the lines that differ."""

from pathlib import Path

import numpy as np
from tests.look.small_pages import bert, gpt, tokenizer

import minibert
from minibert.look.data import find_view, new_data
from minibert.look.lens import add_lens
from minibert.look.subject import make_subject
from minibert.look.two_models import add_two_models

WORDS = tokenizer()
ROOT = Path(minibert.__file__).resolve().parents[1]


def view(*models):
    """(subjects, the view or None)"""
    subjects = [make_subject(name, model, WORDS, "the bank is muddy .") for name, model in models]
    data = new_data(subjects, "look")
    add_lens(data, subjects, None)
    add_two_models(data, subjects)
    return subjects, find_view(data, "two")


def test_rows_are_the_tokens_that_both_have_with_each_models_word():
    (reader, writer), found = view(("BERT", bert(WORDS)), ("GPT", gpt(WORDS)))
    head, *rows = found["tables"][1]["rows"]
    assert head == ["token", "BERT: the word here", "GPT: the next word"]
    assert [row[0] for row in rows] == ["the", "bank", "is", "muddy", "."]
    for t, (_, *words) in enumerate(rows, 1):
        for subject, word in zip((reader, writer), words):
            logits = subject.target.logits(subject.outputs).data if t == subject.target.position \
                else getattr(subject.outputs, "prediction_logits",
                             getattr(subject.outputs, "logits", None)).data[0, t]
            p = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
            best = WORDS.convert_ids_to_tokens(int(p.argmax()))
            assert word == f"{best} {p.max():.3f}"


def test_the_three_lines_that_differ_stand_where_the_page_says():
    _, found = view(("BERT", bert(WORDS)), ("GPT", gpt(WORDS)))
    rows = found["tables"][0]["rows"][1:]
    assert [row[0] for row in rows] == ["mask", "place of the norm", "head"]
    for row in rows:
        for cell in row[1:]:
            place, text = cell.split("  ", 1)
            file, line = place.split(":")
            lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
            assert lines[int(line) - 1].strip() == text
    of_bert, of_gpt = zip(*[row[1:] for row in rows])
    assert "causal" in of_gpt[0] and "causal" not in of_bert[0]
    assert of_bert[1].endswith("x = self.attention_norm(x)") and "x = x + " in of_gpt[1]


def test_two_models_of_one_kind_have_no_such_lines_and_one_model_no_view():
    _, found = view(("old", gpt(WORDS)), ("new", gpt(WORDS)))
    assert len(found["tables"]) == 1
    assert view(("BERT", bert(WORDS)))[1] is None
