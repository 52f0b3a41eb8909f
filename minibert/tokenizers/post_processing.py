"""Templates: the special tokens that a call adds around one or two texts.

[CLS] A [SEP] and [CLS] A [SEP] B [SEP] for BERT (Devlin et al. 2019, figure 2), <s> A </s> and
<s> A </s></s> B </s> for RoBERTa, the bare texts for GPT-2. A template is Hugging Face's
TemplateProcessing: parts in order, each a special token's id, or a text ("A" or "B"), with the
segment (token_type_id) of its tokens.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from minibert.errors import InputError

# One token: its id and the slice of the text that it was made from.
Piece = tuple[int, int, int]
Part = tuple[int | str, int]


class Template(NamedTuple):
    """The parts around one text, and around a pair of texts."""

    single: tuple[Part, ...] = (("A", 0),)
    pair: tuple[Part, ...] = (("A", 0), ("B", 1))

    def frame(self, first: list[Piece], second: list[Piece] | None) -> tuple[list[Piece], list]:
        """(the pieces with the special tokens, each one's segment)."""
        pieces: list[Piece] = []
        segments: list[int] = []
        for part, segment in self.single if second is None else self.pair:
            added = first if part == "A" else second if part == "B" else [(part, 0, 0)]
            pieces += added
            segments += [segment] * len(added)
        return pieces, segments


BARE = Template()


def bert_template(cls: int, sep: int) -> Template:
    """[CLS] A [SEP] and [CLS] A [SEP] B [SEP]; segment 1 begins after the first [SEP]."""
    single = ((cls, 0), ("A", 0), (sep, 0))
    return Template(single, (*single, ("B", 1), (sep, 1)))


def roberta_template(cls: int, sep: int) -> Template:
    """<s> A </s> and <s> A </s></s> B </s>, all in segment 0."""
    single = ((cls, 0), ("A", 0), (sep, 0))
    return Template(single, (*single, (sep, 0), ("B", 0), (sep, 0)))


def gpt2_template(bos: int | None, eos: int | None) -> Template:
    """Each text between the given tokens, None for neither: add_bos_token and add_eos_token."""
    def around(text: str, segment: int) -> tuple[Part, ...]:
        return tuple((part, segment) for part in (bos, text, eos) if part is not None)

    return Template(around("A", 0), around("A", 0) + around("B", 1))


def read_template(path: Path, value: object) -> Template:
    """The template that field post_processor of a tokenizer.json describes.

    Errors: InputError that names `path` for another kind of post-processor.
    """
    kind = value.get("type") if isinstance(value, Mapping) else None
    if value is None or (kind == "ByteLevel" and value.get("trim_offsets") is False):
        return BARE
    try:
        if kind == "Sequence":
            steps = [read_template(path, step) for step in value["processors"]]
            others = [step for step in steps if step != BARE]
            if len(others) <= 1:
                return others[0] if others else BARE
        elif kind == "BertProcessing":
            return bert_template(int(value["cls"][1]), int(value["sep"][1]))
        elif kind == "RobertaProcessing" and value.get("add_prefix_space") is False:
            return roberta_template(int(value["cls"][1]), int(value["sep"][1]))
        elif kind == "TemplateProcessing":
            ids = {name: tuple(map(int, entry["ids"]))
                   for name, entry in value["special_tokens"].items()}
            template = Template(_parts(value["single"], ids), _parts(value["pair"], ids))
            texts = [sorted(part for part, _ in parts if part in ("A", "B")) for parts in template]
            if texts == [["A"], ["A", "B"]]:
                return template
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        pass
    raise InputError(f"{path}: field post_processor: {value!r:.100} is not supported: expected "
                     "null, BertProcessing, RobertaProcessing without add_prefix_space, ByteLevel "
                     "with trim_offsets false, or TemplateProcessing with each text once")


def _parts(steps: list, ids: Mapping[str, tuple[int, ...]]) -> tuple[Part, ...]:
    parts: list[Part] = []
    for step in steps:
        if "Sequence" in step:
            parts.append((str(step["Sequence"]["id"]), int(step["Sequence"]["type_id"])))
        else:
            token = step["SpecialToken"]
            parts += [(i, int(token["type_id"])) for i in ids[token["id"]]]
    return tuple(parts)


def written_template(template: Template, token_of: Mapping[int, str]) -> dict:
    """The field post_processor of a tokenizer.json; `token_of`: each special token's text by id."""
    def step(part: int | str, segment: int) -> dict:
        if part in ("A", "B"):
            return {"Sequence": {"id": part, "type_id": segment}}
        return {"SpecialToken": {"id": token_of[part], "type_id": segment}}

    used = {part for parts in template for part, _ in parts if part not in ("A", "B")}
    return {"type": "TemplateProcessing",
            "single": [step(*part) for part in template.single],
            "pair": [step(*part) for part in template.pair],
            "special_tokens": {token_of[i]: {"id": token_of[i], "ids": [i], "tokens": [token_of[i]]}
                               for i in sorted(used)}}
