"""The view of two models side by side: the same tokens of one text, and the lines that differ."""

from __future__ import annotations

from minibert.look.data import add_view, array_name, find_view
from minibert.look.sources import quote
from minibert.look.subject import Subject
from minibert.models.bert import BertModel
from minibert.models.gpt import GPT2LMHeadModel, GPT2Model
from minibert.models.heads import MaskedLMHead
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
    block = TransformerBlock.forward
    norms = {True: quote(block, "self.attention_norm(x), inputs"),
             False: quote(block, "x = self.attention_norm(x)")}
    rows = [["difference", *[subject.name for subject in subjects]]]
    for name, of_bert, of_gpt in (
            ("mask", quote(BertModel.forward, "attn_mask=make_padding_mask"),
             quote(GPT2Model.forward, "is_causal=")),
            ("place of the norm", None, None),
            ("head", quote(MaskedLMHead.forward, "return F.linear"),
             quote(GPT2LMHeadModel.forward, "logits = F.linear"))):
        rows.append([name])
        for subject in subjects:
            line = of_gpt if subject.causal else of_bert
            line = line or norms[subject.model.config.block_config.norm_first]
            rows[-1].append(f"{line['file']}:{line['line']}  {line['text']}")
    return {"caption": "The same block, but for three lines", "rows": rows}


def predictions_table(data: dict, subjects: list[Subject]) -> dict:
    """The likeliest word of each model at each token that both have."""
    lens, rows = find_view(data, "lens")["models"], []
    for span in [span for span in subjects[0].spans if span in subjects[1].spans and span]:
        at = [subject.spans.index(span) for subject in subjects]
        row = [subjects[0].tokens[at[0]]]
        for m, t in enumerate(at):
            if "places" not in lens[m]:
                row.append("")
                continue
            last = len([name for name in lens[m]["places"] if name != "oracle"]) - 1
            ids, p = [data["arrays"][array_name(m, f"lens.{name}")]["array"]
                      for name in ("ids", "p")]
            row.append(f"{lens[m]['words'][int(ids[last, t, 0])]} {p[last, t, 0]:.3f}")
        rows.append(row)
    head = [f"{subject.name}: {'the next word' if subject.causal else 'the word here'}"
            for subject in subjects]
    return {"caption": "The likeliest words", "rows": [["token", *head], *rows]}
