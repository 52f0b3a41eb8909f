"""What can be asked of `generate`, under Hugging Face's names and with its defaults."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from numbers import Integral, Real

from minibert.errors import InputError

DEFAULT_NEW_TOKENS = 20  # as in Hugging Face, where neither length is given


@dataclass(frozen=True)
class GenerationConfig:
    """How a text is continued. Without `do_sample` and with one beam: greedily.

    An option that would have no effect (a temperature without `do_sample`, a length penalty
    without beams) is an InputError.
    """

    max_new_tokens: int | None = None
    max_length: int | None = None  # the prompt included; only where max_new_tokens is not given
    do_sample: bool = False
    temperature: float = 1.0  # 0 is the likeliest token
    top_k: int = 50  # 0: all
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    num_beams: int = 1
    length_penalty: float = 1.0  # a beam's log-probability is divided by its length to this power
    early_stopping: bool | str = False  # True, False or "never": see beams.py
    num_return_sequences: int = 1
    eos_token_id: int | Sequence[int] | None = None  # None: the model's; (): a text never ends
    pad_token_id: int | None = None  # what follows the end of a row; None: the end token
    suppress_tokens: Sequence[int] = ()
    # Beyond the model's positions the first tokens are forgotten. (Not an option of Hugging Face.)
    sliding_window: bool = False

    def __post_init__(self):
        for name in ("max_new_tokens", "max_length"):
            if getattr(self, name) is not None:
                self._check_whole(name, 1)
        for name, least in (("top_k", 0), ("num_beams", 1), ("num_return_sequences", 1)):
            self._check_whole(name, least)
        for name in ("do_sample", "sliding_window"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} is {getattr(self, name)!r:.60}: expected True or False")
        for name in ("temperature", "top_p", "repetition_penalty", "length_penalty"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
                raise InputError(f"{name} is {value!r:.60}: expected a finite number")
        if self.temperature < 0:
            raise InputError(f"temperature is {self.temperature}: expected at least 0")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p is {self.top_p}: expected more than 0 and at most 1")
        if self.repetition_penalty <= 0:
            raise InputError(f"repetition_penalty is {self.repetition_penalty}: expected more than "
                             "0 (1: none)")
        if not isinstance(self.early_stopping, bool) and self.early_stopping != "never":
            raise InputError(f"early_stopping is {self.early_stopping!r:.60}: expected True, False "
                             "or 'never'")
        self._check_combination()

    def _check_whole(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
            raise InputError(f"{name} is {value!r:.60}: expected a whole number from {least}")

    def _check_combination(self) -> None:
        """What would be ignored is a mistake."""
        defaults = {field.name: field.default for field in fields(self)}
        beams = self.num_beams > 1
        if self.do_sample and beams:
            raise InputError(f"do_sample with num_beams = {self.num_beams}: beam search draws "
                             "nothing: leave one of them out")
        unused = []
        if not self.do_sample:
            unused += [(name, "do_sample=True") for name in ("temperature", "top_k", "top_p")]
        if not beams:
            unused += [(name, "num_beams above 1") for name in ("length_penalty", "early_stopping")]
        for name, needed in unused:
            if getattr(self, name) != defaults[name]:
                raise InputError(f"{name} = {getattr(self, name)} has no effect without {needed}: "
                                 "ask for that, too, or leave it out")
        if self.num_return_sequences > (self.num_beams if beams else 1) and not self.do_sample:
            raise InputError(f"num_return_sequences = {self.num_return_sequences}: only so many "
                             f"as num_beams ({self.num_beams}) can differ: raise it, or sample")

    def new_tokens(self, prompt: int) -> int:
        """How many tokens may follow a prompt of that many."""
        if self.max_new_tokens is not None:
            return self.max_new_tokens
        if self.max_length is None:
            return DEFAULT_NEW_TOKENS
        if self.max_length <= prompt:
            raise InputError(f"generate: a prompt of {prompt} tokens has reached max_length = "
                             f"{self.max_length}: pass max_new_tokens")
        return self.max_length - prompt
