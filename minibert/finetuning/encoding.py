"""From texts to the inputs of a model: ids, segments, windows over long texts, batches."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minibert.errors import InputError
from minibert.pretraining.objective import RowBatch
from minibert.pretraining.seq2seq import as_rows
from minibert.tokenizers.base import Piece, Tokenizer
from minibert.tokenizers.byte_level_bpe import GPT2Tokenizer
from minibert.tokenizers.roberta import RobertaTokenizer
from minibert.tokenizers.truncation import cut_windows
from minibert.validate import whole_number


@dataclass(frozen=True)
class Reading:
    """The encoding of texts for a model: at most `max_length` tokens, longer texts in windows of
    which neighbours share `overlap` tokens (Hugging Face's `stride`; a step is a window less that).

    BERT's inputs are [CLS] A [SEP] or [CLS] A [SEP] B [SEP]; RoBERTa's have two separators between
    A and B. A GPT's (`left_to_right`) are its separator and A, then the separator and B, as in its
    pre-training; its prediction comes from the last token. Errors: a tokenizer without [CLS] for
    BERT, sizes that leave no room.
    """

    tokenizer: Tokenizer
    max_length: int
    overlap: int = 0
    left_to_right: bool = False

    def __post_init__(self):
        if not self.left_to_right and not hasattr(self.tokenizer, "cls_token_id"):
            raise InputError(f"{self.tokenizer!r} has no [CLS] and [SEP], which BERT reads: give a "
                             "BERT with its own tokenizer")
        whole_number("max_length", self.max_length, 5)  # [CLS] A [SEP] B [SEP]
        # each window must have tokens that the one before has not
        whole_number("overlap (--stride)", self.overlap, 0, self.max_length - 3)

    @property
    def pad_id(self) -> int:
        """The id of padding. A GPT has no token of its own for it: its separator serves, since no
        text ends in one."""
        return self.tokenizer.sep_token_id if self.left_to_right else self.tokenizer.pad_token_id

    def ids(self, text: str) -> list[int]:
        """The ids of a text, without special tokens."""
        return self.tokenizer.encode(text, add_special_tokens=False)

    def pieces(self, text: str) -> list[Piece]:
        """(id, start, end) for the tokens of a text. A combining mark (an accent after e) belongs
        to the token before it, also where lower-casing drops it, so that text[start:end] is
        whole."""
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        offsets = encoded.offset_mapping
        next_starts = [start for start, _ in offsets[1:]] + [len(text)]
        pieces = []
        for token, (start, end), next_start in zip(encoded.input_ids, offsets, next_starts):
            while end < next_start and unicodedata.category(text[end]) == "Mn":
                end += 1
            pieces.append((token, start, end))
        return pieces

    def word_ids(self, word: str) -> list[int]:
        """The ids of a word in a sentence: with the blank before it where tokens have blanks."""
        return self.ids(f" {word}" if isinstance(self.tokenizer, GPT2Tokenizer) else word)

    @property
    def separators(self) -> int:
        """The number of special tokens between two texts."""
        return 2 if isinstance(self.tokenizer, RobertaTokenizer) and not self.left_to_right else 1

    def room(self, texts: int) -> int:
        """The number of tokens of one text, or of two, beside the special ones."""
        added = (texts - 1) * self.separators + (1 if self.left_to_right else 2)
        return self.max_length - added

    def framed(self, first: Sequence[int], second: Sequence[int] | None = None
               ) -> tuple[list[int], list[int]]:
        """(ids, segments) of one text or two, with special tokens."""
        sep = self.tokenizer.sep_token_id
        start, end = ([sep], []) if self.left_to_right else ([self.tokenizer.cls_token_id], [sep])
        ids = [*start, *first, *end]
        if second is None:
            return ids, [0] * len(ids)
        rest = [*[sep] * (self.separators - len(end)), *second, *end]
        return ids + rest, [0] * len(ids) + [1] * len(rest)

    def pair(self, first: str, second: str) -> tuple[list[int], list[int], bool]:
        """(ids, segments, whether tokens were cut) of two texts in one window: the longer one loses
        its end until both fit, as in BERT's run_classifier.py."""
        a, b = self.ids(first), self.ids(second)
        [(kept_a, kept_b)] = cut_windows(a, b, self.room(2), "longest_first", 0, False)
        return *self.framed(kept_a, kept_b), len(kept_a) + len(kept_b) < len(a) + len(b)


@dataclass(frozen=True)
class Window:
    """One row of a batch: an example, or a part of it.

    `example` is its number. `label` is None where it is to be predicted. `alignment` relates each
    token to the example, as the task needs it. `note`: what of the example is lost.
    """

    example: int
    ids: list[int]  # (T,)
    types: list[int]  # (T,)
    label: object = None
    alignment: Sequence[int] | np.ndarray = ()
    note: str = ""

    def __len__(self) -> int:
        return len(self.ids)


CUT = "lost the end of a text, to fit"  # a note


@dataclass(frozen=True)
class Batch(RowBatch):
    """The inputs of a model: ids, segments (None without them) and attention mask (B, T), or (B,
    N, T) for N endings; and labels (B, ...), None where they are to be predicted."""

    token_type_ids: np.ndarray | None
    attention_mask: np.ndarray
    labels: np.ndarray | None

    def inputs(self) -> dict[str, np.ndarray]:
        """The arguments of the model."""
        return {name: array for name, array in vars(self).items()
                if name != "labels" and array is not None}


def batch_of(reading: Reading, windows: Sequence[Window], labels: np.ndarray | None) -> Batch:
    """Pad windows to one length; labels (B, ...) as they are."""
    lengths = np.array([len(window) for window in windows])
    attended = np.arange(lengths.max()) < lengths[:, None]  # (B, T)
    ids = as_rows([window.ids for window in windows], reading.pad_id)
    types = as_rows([window.types for window in windows], 0)
    has_segments = reading.tokenizer.has_segments and not reading.left_to_right
    return Batch(ids, types if has_segments else None, attended, labels)
