"""Options of `generate`, under Hugging Face's names and with its defaults."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np

from minibert.atomic_files import read_json, write_json
from minibert.checkpoints.folder_keys import GENERATION_CONFIG, HARMLESS, USED, check_keys
from minibert.errors import InputError
from minibert.validate import check_fields, checked, flag, number, shown_value, whole_number

DEFAULT_NEW_TOKENS = 20  # as in Hugging Face, where neither length is given
FILE_NAME = "generation_config.json"
_OF_THE_MODEL = ("eos_token_id", "pad_token_id", "forced_eos_token_id")  # in a config.json
_from_1 = partial(whole_number, at_least=1)
_token_id = partial(whole_number, at_least=-1, at_most=2**63 - 1)  # -1 is no token


def _token_ids(name: str, value: object) -> tuple[int, ...]:
    """One token id, or several."""
    several = isinstance(value, (Sequence, Set, np.ndarray))
    return tuple([_token_id(name, one) for one in (value if several else [value])])


@dataclass(frozen=True)
class GenerationConfig:
    """The options of generate. Without `do_sample` and with one beam: greedily. Errors: InputError
    for a value out of range, and for an option that would have no effect (a temperature without
    `do_sample`, a length penalty without beams)."""

    max_new_tokens: int | None = checked(_from_1, None, optional=True)
    # The prompt included; only where max_new_tokens is not given.
    max_length: int | None = checked(_from_1, None, optional=True)
    do_sample: bool = checked(flag, False)
    temperature: float = checked(partial(number, at_least=0), 1.0)  # 0 is the likeliest token
    top_k: int = checked(whole_number, 50)  # 0: all
    top_p: float = checked(partial(number, above=0, at_most=1), 1.0)
    repetition_penalty: float = checked(partial(number, above=0), 1.0)
    num_beams: int = checked(_from_1, 1)
    # A beam's log-probability is divided by its length to this power.
    length_penalty: float = checked(number, 1.0)
    early_stopping: bool | str = False  # True, False or "never": see beam_search.py
    num_return_sequences: int = checked(_from_1, 1)
    # None: the model's; (): a text never ends.
    eos_token_id: int | Sequence[int] | None = checked(_token_ids, None, optional=True)
    # What follows the end of a row; None: the model's, else the end token.
    pad_token_id: int | None = checked(_token_id, None, optional=True)
    suppress_tokens: Sequence[int] = checked(_token_ids, ())
    # A decoder's first token after its start token; the last token of a text that its length ends.
    forced_bos_token_id: int | None = checked(whole_number, None, optional=True)
    forced_eos_token_id: int | None = checked(whole_number, None, optional=True)
    # Beyond the model's positions the first tokens are forgotten. (Not an option of Hugging Face.)
    sliding_window: bool = checked(flag, False)

    def __post_init__(self):
        check_fields(self)
        if not isinstance(self.early_stopping, bool) and self.early_stopping != "never":
            raise InputError(f"early_stopping = {shown_value(self.early_stopping)}: expected True, "
                             "False or 'never'")
        beams = self.num_beams > 1
        if self.do_sample and beams:
            raise InputError(f"do_sample with num_beams = {self.num_beams}: beam search draws "
                             "nothing: leave one of them out")
        for name, needed in _without_effect(self.do_sample, self.num_beams):
            if getattr(self, name) != _DEFAULTS[name]:
                raise InputError(f"{name} = {getattr(self, name)} has no effect without {needed}: "
                                 "set that, too, or leave it out")
        if self.num_return_sequences > (self.num_beams if beams else 1) and not self.do_sample:
            raise InputError(f"num_return_sequences = {self.num_return_sequences}: only so many "
                             f"as num_beams ({self.num_beams}) can differ: raise it, or sample")

    def new_tokens(self, prompt: int) -> int:
        """The number of tokens that may follow a prompt of `prompt` tokens."""
        if self.max_new_tokens is not None:
            return self.max_new_tokens
        if self.max_length is None:
            return DEFAULT_NEW_TOKENS
        if self.max_length <= prompt:
            raise InputError(f"generate: a prompt of {prompt} tokens has reached max_length = "
                             f"{self.max_length}: pass max_new_tokens")
        return self.max_length - prompt

    def forced_token(self, length: int, is_last: bool) -> int | None:
        """The only token that may follow `length` tokens, None where all may: forced_bos_token_id
        after a decoder's start token alone, forced_eos_token_id where `is_last` says that no other
        token can follow."""
        if is_last and self.forced_eos_token_id is not None:
            return self.forced_eos_token_id
        return self.forced_bos_token_id if length == 1 else None


def _without_effect(do_sample: bool, num_beams: int) -> list[tuple[str, str]]:
    """[(option that has no effect, what it needs), ...]"""
    unused = []
    if not do_sample:
        unused += [(name, "do_sample=True") for name in ("temperature", "top_k", "top_p")]
    if num_beams == 1:
        unused += [(name, "num_beams above 1") for name in ("length_penalty", "early_stopping")]
    return unused


_DEFAULTS = {field.name: field.default for field in fields(GenerationConfig)}


@dataclass(frozen=True)
class StoredOptions:
    """The options of `generate` that a model's folder holds, and the file that they are in."""

    path: Path
    values: Mapping[str, object]

    def with_options(self, options: Mapping[str, object]) -> GenerationConfig:
        """The stored options, replaced by those of a call. Stored options that have no effect
        beside those of the call are left out. Errors: InputError for a stored option that is not
        supported, or that excludes one of the call."""
        check_keys(self.path, self.values, GENERATION_CONFIG)
        stored = {name: value for name, value in self.values.items() if value is not None
                  and name not in options and GENERATION_CONFIG.get(name) == USED}
        if "max_length" in options:
            stored.pop("max_new_tokens", None)  # which would count
        merged = stored | dict(options)
        for name, _ in _without_effect(bool(merged.get("do_sample", False)),
                                       merged.get("num_beams", 1)):
            if name in stored:
                del merged[name]
        try:
            return GenerationConfig(**merged)
        except InputError as error:
            names = ", ".join(name for name in stored if name in merged)
            raise InputError(f"{error} ({self.path} sets {names})") from None


def read_stored_options(folder: Path, config: Mapping) -> StoredOptions | None:
    """The options in a folder: those of generation_config.json, else those that `config`, an older
    config.json, has beside the model's; None where there are none."""
    path = folder / FILE_NAME
    if path.exists():
        return StoredOptions(path, read_json(path))
    values = {name: value for name, value in config.items()
              if name not in _OF_THE_MODEL and not _has_no_effect(name, value)}
    return StoredOptions(folder / "config.json", values) if values else None


def _has_no_effect(name: str, value: object) -> bool:
    """Whether a key of a config.json is none of generate's, or has its default: transformers 2 and
    3 wrote the defaults to every config.json."""
    rule = GENERATION_CONFIG.get(name, HARMLESS)
    if rule == USED:
        return value == (DEFAULT_NEW_TOKENS if name == "max_length" else _DEFAULTS[name])
    return rule == HARMLESS or value in rule


def write_stored_options(folder: str | os.PathLike, options: StoredOptions | None) -> None:
    """Write the options to a model's folder; without options, remove those of a model that lay
    there before."""
    path = Path(folder) / FILE_NAME
    if options is None:
        path.unlink(missing_ok=True)
    else:
        write_json(path, dict(options.values))
