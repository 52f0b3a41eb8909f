"""Printing a text while it is generated."""

from __future__ import annotations

from typing import TextIO

import numpy as np

from minibert.errors import InputError


class TextStreamer:
    """Prints each token as soon as `generate` has it, as Hugging Face's class of this name does.
    All that is printed together is tokenizer.decode of all tokens. A token that is a part of a
    character is printed with the character's last token."""

    def __init__(self, tokenizer, skip_prompt: bool = False, skip_special_tokens: bool = False,
                 file: TextIO | None = None):
        self.tokenizer = tokenizer
        self.skip_prompt, self.skip_special_tokens = skip_prompt, skip_special_tokens
        self.file = file
        self._restart()

    def _restart(self) -> None:
        self._ids: list[int] = []
        self._printed = ""
        self._is_prompt = True

    def put(self, ids: np.ndarray) -> None:
        """Print new tokens of the one row, any shape; the first call has the prompt."""
        ids = np.asarray(ids)
        if ids.ndim > 1 and len(ids) > 1:
            raise InputError(f"TextStreamer: {len(ids)} texts at once cannot be shown while they "
                             "are written: generate one")
        prompt, self._is_prompt = self._is_prompt, False
        if not (prompt and self.skip_prompt):
            self._ids += ids.reshape(-1).tolist()
            self._print(self._decoded().rstrip("\N{REPLACEMENT CHARACTER}"))

    def end(self) -> None:
        """Print the rest of the text, and a line break."""
        self._print(self._decoded() + "\n")
        self._restart()

    def _decoded(self) -> str:
        return self.tokenizer.decode(self._ids, skip_special_tokens=self.skip_special_tokens)

    def _print(self, text: str) -> None:
        print(text[len(self._printed):], end="", flush=True, file=self.file)
        self._printed = text
