"""The view of two models side by side: the same tokens of one text, and the lines that differ."""

from __future__ import annotations

from itertools import zip_longest

from minibert.look.data import add_view, find_view, stored_array, table
from minibert.look.sources import quote
from minibert.look.subject import Subject
from minibert.look.walk import head_line
from minibert.models.bert import BertModel
from minibert.models.gpt import GPT2Model
from minibert.nn.block import TransformerBlock

INTRO = ("Two models read one text; rows and columns are the tokens that both have, found by their "
         "place in the text. Where one model sees the future and the other does not, those cells "
         "are hatched in both.")


def add_two_models(data: dict, subjects: list[Subject]) -> None:
    """Add the view where there are two models. It draws what add_heads and add_lens gave."""
    if len(subjects) != 2:
        return
    tables = [predictions_table(data, subjects)]
    if subjects[0].causal != subjects[1].causal:
        tables.insert(0, differences_table(subjects))
    add_view(data, "two", "Two models", INTRO, tables)


def differences_table(subjects: list[Subject]) -> dict:
    """A table of what differs between BERT and GPT, with the lines."""
    columns = [["mask", "place of the norm", "head"]]
    for subject in subjects:
        mask = (GPT2Model, "is_causal=") if subject.causal else \
            (BertModel, "attn_mask=make_padding_mask")
        norm = TransformerBlock, ("self.attention_norm(x), inputs" if subject.norm_first else
                                  "x = self.attention_norm(x)")
        lines = [quote(module.forward, part) for module, part in (mask, norm)]
        lines += [head_line(subject)] if subject.target else []
        columns.append([f"{line['file']}:{line['line']}  {line['text']}" for line in lines])
    return table("The same block, but for three lines",
                 ["difference", *[subject.name for subject in subjects]],
                 [list(row) for row in zip_longest(*columns, fillvalue="")])


def predictions_table(data: dict, subjects: list[Subject]) -> dict:
    """The likeliest word of each model at each token that both have."""
    parts, rows = find_view(data, "lens")["models"], []
    head = [f"{subject.name}: {'the next word' if subject.causal else 'the word here'}"
            for subject in subjects]
    for span in [span for span in subjects[0].spans if span in subjects[1].spans and span]:
        at = [subject.spans.index(span) for subject in subjects]
        row = [subjects[0].tokens[at[0]]]
        for m, t in enumerate(at):
            if "places" not in parts[m]:
                row.append("")
                continue
            place = (2 * len(subjects[m].layers), t, 0)  # after all layers, the likeliest
            id, p = stored_array(data, m, "lens.ids")[place], stored_array(data, m, "lens.p")[place]
            row.append(f"{parts[m]['words'][int(id)]} {p:.3f}")
        rows.append(row)
    return table("The likeliest words", ["token", *head], rows)
