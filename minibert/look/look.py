"""`look`: all views of one or several models, as one object that writes a page."""

from __future__ import annotations

import os
from html import escape

from minibert.look.causes_view import add_causes
from minibert.look.data import MAX_BYTES, add_view, new_data
from minibert.look.heads import add_heads
from minibert.look.lens import add_lens
from minibert.look.live import add_live
from minibert.look.page import html_page, write_page
from minibert.look.sources import quoted_functions
from minibert.look.streams import add_map, add_stream
from minibert.look.subject import Subject, make_subject
from minibert.look.truth import find_oracle
from minibert.look.two_models import add_two_models
from minibert.look.walk import add_walk, stored_optimizer
from minibert.models.pretrained_model import PretrainedModel
from minibert.tokenizers.base import Tokenizer

SEAL = ("When this page opens, it computes its numbers once more from each other, and compares "
        "them with those of Python: a page that was damaged does not pass.")


class Look:
    """The result of `look`: `data` is the dict that data.py describes."""

    def __init__(self, data: dict):
        self.data = data

    def write(self, path: str | os.PathLike, max_bytes: int = MAX_BYTES) -> None:
        """Write the page (or, where `path` ends in .json, the dict). Errors: InputError, something
        is there already, or more than `max_bytes`; OSError."""
        write_page(self.data, path, max_bytes)

    def _repr_html_(self) -> str:
        """The page within a notebook, in a sandbox of its own."""
        return ('<iframe sandbox="allow-scripts" width="100%" height="800" '
                f'srcdoc="{escape(html_page(self.data))}"></iframe>')


def look(model: PretrainedModel, tokenizer: Tokenizer, text: str, pair: str | None = None,
         target: str | None = None, instead: str | None = None, against: str | None = None,
         quick: bool = False) -> Look:
    """Run the model on a text (or pair) and return its views: `look(...).write("look.html")`.

    `target` "[POSITION:]WORD" is the output whose logit is explained (None: the likeliest), with
    `instead` "WORD" that logit less another one. `against`: a second text of as many tokens, whose
    activations are patched into the first. `quick`: fewer interventions. Errors: InputError, as
    `make_subject`, and for texts of unequal length.
    """
    name = "GPT" if "GPT" in type(model).__name__ else "BERT"
    subject = make_subject(name, model, tokenizer, text, pair, None, target, instead, against)
    return Look(all_views([subject], [stored_optimizer(model)], "minibert.look(...)", quick=quick))


def all_views(subjects: list[Subject], optimizers: list[dict], command: str, layer: int = 0,
              head: int = 0, token: int | None = None, live: bool = False, quick: bool = False
              ) -> dict:
    """The data dict with every view of the subjects. `optimizers` are those of stored_optimizer;
    `layer`, `head` and `token` are shown first (None: the target's position). `live`: the weights
    of large models, too; `quick`: fewer interventions."""
    if token is None:
        token = 0 if subjects[0].target is None else subjects[0].target.position
    data = new_data(subjects, command, layer, head, token)
    oracle = find_oracle(subjects[0].tokenizer)
    add_walk(data, subjects, optimizers)
    add_heads(data, subjects)
    add_stream(data, subjects)
    add_lens(data, subjects, oracle)
    add_causes(data, subjects, oracle, quick)
    add_map(data, subjects, oracle)
    add_two_models(data, subjects)
    add_live(data, subjects, live)
    add_view(data, "seal", "Seal", SEAL, [])
    data["sources"] = quoted_functions(data["views"])
    return data
