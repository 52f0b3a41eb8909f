"""`look`: all views of one or several models, as one object that writes a page."""

from __future__ import annotations

import os

from minibert.look.data import MAX_BYTES, add_view, new_data
from minibert.look.heads import add_heads
from minibert.look.live import add_live
from minibert.look.optimizer_state import stored_optimizer
from minibert.look.page import iframe, write_page
from minibert.look.subject import Subject, make_subject
from minibert.look.walk import add_walk
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
        """The page within a notebook."""
        return iframe(self.data)


def look(model: PretrainedModel, tokenizer: Tokenizer, text: str, pair: str | None = None,
         target: str | None = None, instead: str | None = None) -> Look:
    """Run the model on a text (or pair) once and return its views: `look(...).write("look.html")`.

    `target` "[POSITION:]WORD" is the output whose logit is explained (None: the likeliest), with
    `instead` "WORD" that logit less another one. Errors: InputError, as `make_subject`.
    """
    name = "GPT" if "GPT" in type(model).__name__ else "BERT"
    subject = make_subject(name, model, tokenizer, text, pair, target=target, instead=instead)
    return Look(all_views([subject], [stored_optimizer(model)], "minibert.look(...)"))


def all_views(subjects: list[Subject], optimizers: list[dict], command: str, layer: int = 0,
              head: int = 0, token: int | None = None, live: bool = False) -> dict:
    """The data dict with every view of the subjects. `optimizers` are those of stored_optimizer;
    `layer`, `head` and `token` are shown first (None: the target's position). `live`: the weights
    of large models, too."""
    first = subjects[0]
    if token is None:
        token = 0 if first.target is None else first.target.position
    start = {"layer": layer, "head": head, "token": token}
    data = new_data(subjects, command, start)
    add_walk(data, subjects, optimizers)
    add_heads(data, subjects)
    add_live(data, subjects, live)
    add_view(data, "seal", "Seal", SEAL, [])
    return data
