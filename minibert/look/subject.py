"""Subject: one model that reads one text, the number that is explained, and all activations.

Tokens are shown as they stand in the text. What a page cannot show (control and bidirectional
characters, half of a surrogate pair) is shown by its name.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import numpy as np

from minibert.autograd.tensor import Tensor
from minibert.errors import InputError
from minibert.finetuning.encoding import Reading
from minibert.generation.sampling import probabilities
from minibert.look.causes import logits_of
from minibert.models.activations import ActivationCache
from minibert.models.bert_tasks import (BertForMultipleChoice, BertForQuestionAnswering,
                                        BertForTokenClassification)
from minibert.models.config import GPT2Config
from minibert.models.pretrained_model import PretrainedModel
from minibert.nn.block import TransformerStack
from minibert.nn.module import evaluating
from minibert.tokenizers.base import Tokenizer
from minibert.tokenizers.byte_level_bpe import GPT2Tokenizer
from minibert.validate import whole_number

LONGEST = 128  # tokens: a larger matrix cannot be read
# The names of the matrices that give the logits: of words (the last is a tied one), and of others.
WORD_MATRICES = ("mlm_head.decoder", "lm_head", "embeddings.word_embeddings.weight")
OTHER_MATRICES = ("classifier.out_proj.weight", "classifier.weight", "nsp_head.weight",
                  "qa_outputs.weight", "score.weight")
BLANK = "\u2423"  # an open box, for a blank within a token
ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


@dataclass(frozen=True)
class Target:
    """The number that is explained: the logit of output `id` (`word`) at `position`, or, with
    `instead`, that logit less the one of another output.

    `kind`: "word" (masked LM), "next word", "class", "tag" or "answer". `position` is the token
    whose vector decides: for a class the first one (BERT) or the last one (GPT).
    """

    kind: str
    position: int
    id: int
    word: str
    instead: int | None = None
    instead_word: str | None = None

    def logits(self, outputs: object) -> Tensor:
        """The logits (V,) at the position: a slice of the model's outputs."""
        logits = logits_of(outputs)
        return logits[0, self.position] if logits.ndim == 3 else logits[0]

    @property
    def is_word(self) -> bool:
        """Whether the outputs are the words of the vocabulary."""
        return self.kind in ("word", "next word")

    @property
    def indices(self) -> tuple[int, ...]:
        """The target as causes.py takes it: (position, id) or (id,), then `instead` if given."""
        place = (self.position,) if self.is_word or self.kind == "tag" else ()
        return (*place, self.id, *([] if self.instead is None else [self.instead]))


class Subject:
    """One model that reads one text; `outputs` and all activations (`cache`) are of one forward.

    For each token: `ids`, `types` (segments), `tokens` (texts to be shown), `words` (the number of
    the word that it belongs to), `spans` (its place in the text, of pairs in both with a blank
    between them; None for a special token), `special`. `target` is None for a model without a
    head. `logits` (the target's, with their gradient) and `gradients` (by parameter) are set by
    walk.backward. `against` is the reading of a second text, if any.
    """

    def __init__(self, name: str, model: PretrainedModel, tokenizer: Tokenizer, ids: list[int],
                 types: list[int], words: list[int], spans: list[tuple[int, int] | None]):
        self.name, self.model, self.tokenizer = name, model, tokenizer
        self.ids, self.types, self.words, self.spans = ids, types, words, spans
        self.tokens = [shown_token(tokenizer, i) for i in ids]
        self.special = [span is None for span in spans]
        self.causal = isinstance(model.config, GPT2Config)  # a token sees only those before it
        self.norm_first = model.config.block_config.norm_first  # or norms follow the additions
        self.layers = range(model.config.num_hidden_layers)
        encoder = getattr(model, "bert", getattr(model, "transformer", model))
        self.stack: TransformerStack = encoder.stack
        # the weights without the encoder's name in front of theirs; a tied one once
        self.parameters = {name.removeprefix("bert.").removeprefix("transformer."): parameter.data
                           for name, parameter in model.named_parameters()}
        self.outputs: object = None
        self.cache: ActivationCache | None = None
        self.target: Target | None = None
        self.logits: Tensor | None = None
        self.gradients: dict[str, np.ndarray] | None = None
        self.against: Subject | None = None

    def activations(self, name: str) -> np.ndarray:
        """An activation of every layer by its short name, such as "resid_pre": (L, T, ...)."""
        return np.stack([self.cache[name, layer][0] for layer in self.layers])

    def inputs(self) -> dict[str, np.ndarray]:
        """The arguments of the model besides the ids."""
        return {"token_type_ids": np.array([self.types])} if any(self.types) else {}


def make_subject(name: str, model: PretrainedModel, tokenizer: Tokenizer, text: str,
                 pair: str | None = None, tokens: tuple[int, int] | None = None,
                 target: str | None = None, instead: str | None = None,
                 against: str | None = None) -> Subject:
    """Read the text, run the model once and choose the target; likewise the text `against`.

    `tokens` (a, b): only tokens a to b - 1 of the text. `target` "[POSITION:]WORD" and `instead`
    "WORD" as on the command line. Errors: InputError for an empty text, one that is too long, a
    word or position that does not exist, a model that reads several endings.
    """
    if isinstance(model, BertForMultipleChoice):
        raise InputError(f"look: {name} reads several endings at once: expected a model that reads "
                         "one text or pair")
    subject = read_text(name, model, tokenizer, text, pair, tokens)
    with evaluating(model):
        subject.outputs, subject.cache = model.run_with_cache(np.array([subject.ids]), grads=True,
                                                              **subject.inputs())
    if not all([np.isfinite(array).all() for array in subject.cache.values()]):
        raise InputError(f"look: {name} computes NaN or an infinity from this text: its weights "
                         "are too large, or damaged")
    subject.target = choose_target(subject, target, instead)
    if against is not None:
        subject.against = make_subject(name, model, tokenizer, against, pair, tokens)
        if len(subject.against.ids) != len(subject.ids):
            raise InputError(f"--against: {name} reads the texts as {len(subject.ids)} and "
                             f"{len(subject.against.ids)} tokens: expected equally many, so that "
                             "each position has its partner")
    return subject


def read_text(name: str, model: PretrainedModel, tokenizer: Tokenizer, text: str, pair: str | None,
              tokens: tuple[int, int] | None) -> Subject:
    """The subject of a text before any model ran."""
    causal = isinstance(model.config, GPT2Config)
    positions = model.config.context_length
    reading = Reading(tokenizer, max(positions, 5), left_to_right=causal)
    if causal and pair is not None:
        text, pair = f"{text} {pair}", None
    first, second = reading.pieces(text), None if pair is None else reading.pieces(pair)
    if not first or second == []:
        raise InputError("look: the text is empty: give one with a word in it")
    if tokens is not None:
        start, end = tokens
        if not 0 <= start < end <= len(first):
            raise InputError(f"--tokens {start}:{end}: the text has {len(first)} tokens: expected "
                             f"a range within 0:{len(first)}")
        first = first[start:end]
    if second is not None:
        shift, text = len(text) + 1, f"{text} {pair}"
        second = [(id, start + shift, end + shift) for id, start, end in second]
    framed, types = reading.framed(first, second)  # pieces, and the ids of special tokens
    has_segments = tokenizer.has_segments and getattr(model.config, "type_vocab_size", 0) > 1
    types = types if has_segments else [0] * len(framed)
    ids = [one if isinstance(one, int) else one[0] for one in framed]
    spans = [None if isinstance(one, int) else one[1:] for one in framed]
    over = len(ids) - min(LONGEST, positions)
    if over > 0:
        why = (f"{name} has {positions} positions" if positions <= LONGEST
               else "larger pictures cannot be read")
        raise InputError(f"look: the text has {len(ids)} tokens with the special ones; {why}: "
                         f"choose a part, such as --tokens 0:{max(len(first) - over, 1)}")
    return Subject(name, model, tokenizer, ids, types, word_numbers(text, spans), spans)


def word_numbers(text: str, spans: list[tuple[int, int] | None]) -> list[int]:
    """A number for each token: pieces that follow each other without a blank, and letters on both
    sides, belong to one word."""
    starts = []
    for before, span in zip([None, *spans], spans):
        joins = before and span and before[1] == span[0] > 0
        starts.append(not (joins and text[span[0] - 1:span[0] + 1].isalnum()))
    return (np.cumsum(starts) - 1).tolist()


def shown_token(tokenizer: Tokenizer, id: int) -> str:
    """A token as text to be shown; a part of a character in GPT-2's letters for bytes."""
    token = tokenizer.convert_ids_to_tokens(id) if id < len(tokenizer) else f"(id {id})"
    if token in tokenizer.all_special_tokens or not isinstance(tokenizer, GPT2Tokenizer):
        return visible(token)
    text = tokenizer.decode([id])
    return visible(token if "\ufffd" in text else text)


def visible(text: str) -> str:
    """`text` with a mark for each blank at its ends, names for control and bidirectional
    characters, and U+FFFD for half of a surrogate pair."""
    shown = ""
    for character in text:
        kind = unicodedata.category(character)
        if kind == "Cs":
            shown += "\ufffd"
        elif kind[0] in "CZ" and character != " ":
            shown += ESCAPES.get(character, f"<U+{ord(character):04X}>")
        else:
            shown += character
    shown = shown.lstrip(" ").rjust(len(shown), BLANK)
    return shown.rstrip(" ").ljust(len(shown), BLANK) or "''"


# ---- the target ----------------------------------------------------------------------------------


def choose_target(subject: Subject, target: str | None, instead: str | None) -> Target | None:
    """The target that is named, or: BERT's likeliest word at the first [MASK] (without one, the
    last word itself), GPT's likeliest next word, the likeliest class, tag of the first word, or
    start of an answer."""
    kind, position = kind_of_target(subject)
    if kind is None:
        if target is not None or instead is not None:
            raise InputError(f"--target: {subject.name} is a {type(subject.model).__name__}, which "
                             "has no head: leave it out")
        return None
    names = output_names(subject, kind)
    placed = re.fullmatch(r"(\d{1,9}):(.+)", target or "", re.DOTALL)
    if placed and target not in names:  # the outputs of an answer are "2:bank" themselves
        position = whole_number("--target: position", int(placed[1]), 0, len(subject.ids) - 1)
        target = placed[2]
    if target is not None:
        chosen = index_of(names, target, "--target")
    elif kind == "word" and subject.tokenizer.mask_token_id not in subject.ids:
        chosen = subject.ids[position]
    else:
        logits = Target(kind, position, 0, "").logits(subject.outputs).data
        chosen = int(np.argmax(logits[:len(names)]))
    other = None if instead is None else index_of(names, instead, "--instead")
    return Target(kind, chosen if kind == "answer" else position, chosen, visible(names[chosen]),
                  other, None if other is None else visible(names[other]))


def kind_of_target(subject: Subject) -> tuple[str | None, int]:
    """(kind of target, position by default)."""
    logits, last = logits_of(subject.outputs), len(subject.ids) - 1
    if logits is None:
        return None, 0
    if isinstance(subject.model, BertForQuestionAnswering):
        return "answer", 0
    if logits.ndim == 2:
        return "class", last if subject.causal else 0
    if isinstance(subject.model, BertForTokenClassification):
        return "tag", 1
    if subject.causal:
        return "next word", last
    if subject.tokenizer.mask_token_id in subject.ids:
        return "word", subject.ids.index(subject.tokenizer.mask_token_id)
    own = [i for i, added in enumerate(subject.special) if not added]
    words = [i for i in own if subject.tokens[i][:1].isalnum()] or own
    return "word", words[-1]


def output_names(subject: Subject, kind: str) -> list[str]:
    """The names of the outputs that the logits of this kind belong to."""
    tokenizer, config = subject.tokenizer, subject.model.config
    if kind in ("word", "next word"):
        return tokenizer.convert_ids_to_tokens(range(min(len(tokenizer), config.vocab_size)))
    if kind == "answer":
        return [f"{i}:{token}" for i, token in enumerate(subject.tokens)]
    count = logits_of(subject.outputs).shape[-1]
    return [str(config.id2label.get(i, i)) for i in range(count)]


def output_layer(subject: Subject) -> tuple[str, str | None]:
    """The names of the matrix (outputs, C) and the bias (outputs,) or None that give the target's
    logits, in subject.parameters."""
    parameters, target = subject.parameters, subject.target
    weight = next(name for name in (WORD_MATRICES if target.is_word else OTHER_MATRICES)
                  if name in parameters)
    bias = "mlm_head.bias" if target.kind == "word" else weight.replace(".weight", ".bias")
    return weight, bias if bias in parameters and bias != weight else None


def index_of(names: list[str], word: str, option: str) -> int:
    """The output of this name. Errors: InputError that begins with `option`, there is none."""
    for wanted in (word, "\u0120" + word):  # GPT-2's tokens begin with their blank
        if wanted in names:
            return names.index(wanted)
    near = [name for name in names if name.lower().startswith(word.lower()[:2])][:3]
    hint = f", such as {', '.join(near)}" if near else ""
    raise InputError(f"{option} {word!r:.60}: not among the {len(names)} outputs of the model: "
                     f"expected one of them{hint}")


def top_outputs(subject: Subject, outputs: object, count: int) -> list[tuple[str, float, int]]:
    """(shown name, probability, id) of the `count` likeliest of a model's `outputs` at the target's
    position."""
    names = output_names(subject, subject.target.kind)
    p = probabilities(subject.target.logits(outputs).data[None])[0]
    best = np.argsort(-p[:len(names)], kind="stable")[:count]
    return [(visible(names[i]), float(p[i]), int(i)) for i in best]
