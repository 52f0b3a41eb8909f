"""Tokenizer: the vocabulary, added tokens, pairs, truncation and padding of every tokenizer.

The call follows Hugging Face's: `tokenizer(text, text_pair, padding=..., truncation=..., ...)`
gives a dictionary of lists. A new kind of tokenizer is a subclass with two methods: `_pieces`, from
a text to ids, and `_join`, back again.
"""

from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral

import numpy as np

from minibert.errors import InputError
from minibert.tokenizers.added_tokens import AddedToken, AddedTokenFinder
from minibert.tokenizers.post_processing import BARE, Piece
from minibert.tokenizers.truncation import STRATEGIES, cut_windows
from minibert.validate import one_of

PADDINGS = ("longest", "max_length")
SIDES = ("right", "left")
_LARGEST_ID = 2**24  # a slip in a vocabulary file must not take all memory
LONGEST_CACHED, CACHE_SIZE = 50, 200_000  # characters, words


class BatchEncoding(dict):
    """The result of a tokenizer's call: columns by name, which are attributes as well."""

    def __getattr__(self, name: str):
        if name not in self:
            raise AttributeError(f"there is no column {name}, only {', '.join(self)}")
        return self[name]


class Tokenizer:
    """Tokens to ids and back.

    `vocab`: tokens in order of their ids, or token -> id, where ids may be left out (convert_
    ids_to_tokens gives "" for them, decode leaves them out). `extra_special_tokens` and
    `added_tokens` are tokens of `vocab`, and so are the named ones, pad_token and those in
    `defaults` of the class (None: there is no such token). `vocab_size` is the largest id + 1.
    """

    defaults: Mapping[str, str] = {}
    has_segments = True  # does a call give token_type_ids?
    truncation_side = "right"
    template = BARE  # the special tokens around the texts

    def __init__(self, vocab: Iterable[str] | Mapping[str, int],
                 model_max_length: int | None = None,
                 extra_special_tokens: Iterable[str] = (), padding_side: str = "right",
                 added_tokens: Iterable[AddedToken] = (), **specials: str | None):
        unknown = set(specials) - {*self.defaults, "pad_token"}
        if unknown:
            raise TypeError(f"{type(self).__name__}() got unexpected arguments {sorted(unknown)}")
        self.vocab = checked_vocab(vocab)
        self._tokens: list[str | None] = [None] * (max(self.vocab.values(), default=-1) + 1)
        for token, i in self.vocab.items():
            self._tokens[i] = token
        self.model_max_length = model_max_length
        self.padding_side = one_of("tokenizer: padding_side", padding_side, SIDES)
        self.extra_special_tokens = list(extra_special_tokens)
        self.added_tokens = {token.content: token for token in added_tokens}
        self._model_vocab = {token: i for token, i in self.vocab.items()
                             if token not in self.added_tokens or self.added_tokens[token].in_vocab}
        self._cache: dict[str, list[Piece]] = {}
        self.all_special_tokens: list[str] = []
        named = {name: token for name, token in (self.defaults | specials).items()
                 if token is not None}
        for name, token in named.items():
            self._check_special(name, token)
            setattr(self, f"{name}_id", self.vocab[token])
            setattr(self, "_pad_token" if name == "pad_token" else name, token)
        for token in self.extra_special_tokens:
            self._check_special("extra special token", token)
        self._find_added_tokens(list(named.values()))

    def _check_special(self, name: str, token: str) -> None:
        if not isinstance(token, str) or not token or token not in self.vocab:
            raise InputError(f"vocabulary: the {name} {token!r:.60} is missing among its "
                             f"{len(self.vocab)} entries; add it")

    def _find_added_tokens(self, named: list[str]) -> None:
        """Set what follows from the special and added tokens: the lists of special tokens and the
        finder of those that are searched in the text as it is."""
        special = [token.content for token in self.added_tokens.values() if token.special]
        self.all_special_tokens = list(dict.fromkeys(
            [*self.all_special_tokens, *named, *self.extra_special_tokens, *special]))
        self.all_special_ids = [self.vocab[token] for token in self.all_special_tokens]
        for content in self.all_special_tokens:
            if content not in self.added_tokens:
                self.added_tokens[content] = AddedToken(content, self.vocab[content])
        self._finder = AddedTokenFinder({token.content: token for token in
                                         self.added_tokens.values() if not token.normalized})

    @property
    def pad_token(self) -> str:
        """The token that fills short rows. A tokenizer without one may be given one of its
        vocabulary: `tokenizer.pad_token = tokenizer.eos_token`."""
        return self._pad_token

    @pad_token.setter
    def pad_token(self, token: str) -> None:
        self._check_special("pad_token", token)
        self._pad_token, self.pad_token_id = token, self.vocab[token]
        self._find_added_tokens([token])

    @property
    def vocab_size(self) -> int:
        """The number of ids, V."""
        return len(self._tokens)

    def __len__(self) -> int:
        return len(self._tokens)

    def __repr__(self) -> str:
        return (f"{type(self).__name__}({self.vocab_size} tokens, special "
                f"{str(self.all_special_tokens):.200})")

    # What a subclass defines.

    def _pieces(self, text: str) -> list[Piece]:
        """The tokens of a text, without added special tokens."""
        raise NotImplementedError

    def _join(self, tokens: list[str]) -> str:
        """The text of some tokens."""
        raise NotImplementedError

    # From text to ids.

    def _cached_pieces(self, word: str) -> list[Piece]:
        """The tokens of a word from _cut_word of the subclass; a short one is cut once."""
        pieces = self._cache.get(word)
        if pieces is None:
            pieces = self._cut_word(word)
            if len(word) <= LONGEST_CACHED and len(self._cache) < CACHE_SIZE:
                self._cache[word] = pieces
        return pieces

    def tokenize(self, text: str) -> list[str]:
        """The tokens of a text, without added special tokens."""
        return [self._tokens[piece[0]] for piece in self._pieces(_checked(text))]

    def encode(self, text: str, text_pair: str | None = None, add_special_tokens: bool = True,
               truncation: bool | str | None = None, max_length: int | None = None) -> list[int]:
        """The ids of a text, or of a pair of texts."""
        if text_pair is None and not truncation and max_length is None:  # faster
            pieces = self._pieces(_checked(text))
            if add_special_tokens:
                pieces = self.template.frame(pieces, None)[0]
            return [piece[0] for piece in pieces]
        return self(text, text_pair, add_special_tokens=add_special_tokens, truncation=truncation,
                    max_length=max_length)["input_ids"]

    def __call__(self, text: str | Sequence[str], text_pair: str | Sequence[str] | None = None,
                 add_special_tokens: bool = True, padding: bool | str = False,
                 truncation: bool | str | None = None, max_length: int | None = None,
                 stride: int = 0, return_overflowing_tokens: bool = False,
                 return_offsets_mapping: bool = False,
                 return_tensors: str | None = None) -> BatchEncoding:
        """input_ids, token_type_ids, attention_mask of one text, or lists of them for several
        (no token_type_ids where has_segments is False).

        truncation: True or "longest_first" takes tokens from the longer text, "only_first" and
        "only_second" from that text, on the side that `truncation_side` says; with
        return_overflowing_tokens the rest follows in windows that share `stride` tokens, and
        overflow_to_sample_mapping says from which text each is. None (not given) is True where a
        max_length is given without padding, as in Hugging Face.
        padding: True or "longest" (of the texts given), or "max_length"; on the side that
        `padding_side` says.
        return_offsets_mapping: where each token was written; (0, 0) for an added one.
        return_tensors: "np" gives arrays (B, T), also for one text, as a model wants them; so does
        "pt", Hugging Face's word for PyTorch's tensors, which do not exist here.
        """
        if return_tensors not in (None, "np", "pt"):
            raise InputError(f"tokenizer: return_tensors={return_tensors!r:.60}; expected 'np'")
        padding = _choice("padding", padding, PADDINGS)
        if truncation is None:
            truncation = max_length is not None and not padding
        strategy = _choice("truncation", truncation, STRATEGIES)
        max_length = self.model_max_length if max_length is None else max_length
        if max_length is None and (strategy or padding == "max_length"):
            raise InputError("tokenizer: truncation and padding='max_length' need a max_length")
        rows, owners = [], []
        template = self.template if add_special_tokens else BARE
        for i, (first, second) in enumerate(_pairs(text, text_pair)):
            windows = [(self._pieces(first), None if second is None else self._pieces(second))]
            if strategy:
                specials, _ = template.frame([], None if second is None else [])
                windows = cut_windows(*windows[0], max_length - len(specials), strategy, stride,
                                      return_overflowing_tokens, self.truncation_side)
            for window in windows:
                rows.append(template.frame(*window))
                owners.append(i)
        output = self._columns(rows, padding, max_length, return_offsets_mapping)
        if return_overflowing_tokens:
            output["overflow_to_sample_mapping"] = owners
        if return_tensors is not None:
            return BatchEncoding({name: _array(name, values) for name, values in output.items()})
        if isinstance(text, str) and not return_overflowing_tokens:
            return BatchEncoding({name: values[0] for name, values in output.items()})
        return output

    def _columns(self, rows: list[tuple[list[Piece], list[int]]], padding: str,
                 max_length: int | None, with_offsets: bool) -> BatchEncoding:
        """The rows as one list per kind of number, padded on the tokenizer's side."""
        width = 0
        if padding:
            if not hasattr(self, "pad_token_id"):
                raise InputError(f"{type(self).__name__}: has no padding token; do not pad, "
                                 "or name one where the class takes a pad_token")
            longest = max((len(pieces) for pieces, _ in rows), default=0)
            width = longest if padding == "longest" else max_length
        names = ["input_ids", *(["token_type_ids"] if self.has_segments else []),
                 "attention_mask", *(["offset_mapping"] if with_offsets else [])]
        output = BatchEncoding({name: [] for name in names})
        for pieces, types in rows:
            n_padding = max(width - len(pieces), 0)
            padding_id = self.pad_token_id if n_padding else None
            values = {"input_ids": ([piece[0] for piece in pieces], padding_id),
                      "token_type_ids": (types, 0), "attention_mask": ([1] * len(pieces), 0),
                      "offset_mapping": ([piece[1:] for piece in pieces], (0, 0))}
            for name, column in output.items():
                row, filling = values[name][0], [values[name][1]] * n_padding
                column.append(filling + row if self.padding_side == "left" else row + filling)
        return output

    # From ids to text.

    def decode(self, ids: int | Iterable[int], skip_special_tokens: bool = False) -> str:
        """The text that an id or some ids stand for. Errors: no ids, an id out of range."""
        ids = _id_list(ids)
        tokens = [self._token(i) for i in ids]
        left_out = set(self.all_special_ids) if skip_special_tokens else set()
        return self._join([token for i, token in zip(ids, tokens)
                           if token is not None and i not in left_out])

    def batch_decode(self, rows: Iterable[Iterable[int]], skip_special_tokens: bool = False
                     ) -> list[str]:
        """The text of each row."""
        return [self.decode(row, skip_special_tokens) for row in rows]

    def convert_ids_to_tokens(self, ids: int | Iterable[int]) -> str | list[str]:
        """One token for an id, a list for several. Errors: no ids, an id out of range."""
        if isinstance(ids, Integral):
            return self._token(ids) or ""
        return [self._token(i) or "" for i in _id_list(ids)]

    def _token(self, i: int) -> str | None:
        """The token of an id, None for an id that the vocabulary leaves out."""
        if not 0 <= i < len(self._tokens):
            raise InputError(f"token id {int(i)}: out of range, the vocabulary has "
                             f"{self.vocab_size} tokens (0 to {self.vocab_size - 1})")
        return self._tokens[i]

    def convert_tokens_to_ids(self, tokens: str | Iterable[str]) -> int | list[int]:
        """One id for a token, a list for several. An unknown token becomes unk_token."""
        if not isinstance(tokens, str):
            return [self.convert_tokens_to_ids(token) for token in tokens]
        if tokens in self.vocab:
            return self.vocab[tokens]
        if hasattr(self, "unk_token_id"):
            return self.unk_token_id
        raise InputError(f"token {tokens!r:.60}: not in the vocabulary of {self.vocab_size} tokens")


def checked_texts(texts: Iterable[str], name: str = "texts", expected: str = "a list of texts"
                  ) -> Iterable[str]:
    """`texts`, which must not be one text: its letters would pass for texts."""
    if isinstance(texts, (str, bytes, Mapping)) or not isinstance(texts, Iterable):
        raise InputError(f"tokenizer: {name} is {texts!r:.60}; expected {expected}")
    return texts


def checked_vocab(vocab: Iterable[str] | Mapping[str, int], where: str = "vocabulary"
                  ) -> dict[str, int]:
    """token -> id. Errors, which begin with `where`: two tokens with one id, a token twice, an id
    that is no whole number."""
    items = vocab.items() if isinstance(vocab, Mapping) else (
        (token, i) for i, token in enumerate(checked_texts(vocab)))
    ids: dict[str, int] = {}
    tokens: dict[int, str] = {}
    for token, i in items:
        if type(i) is not int or not 0 <= i < _LARGEST_ID:
            raise InputError(f"{where}: {token!r:.60} has the id {i!r:.60}; expected a whole "
                             f"number below {_LARGEST_ID}")
        if token in ids:
            raise InputError(f"{where}: {token!r:.60} is there twice (entries {ids[token]} and "
                             f"{i}); give token -> id, which may leave ids out")
        if i in tokens:
            raise InputError(f"{where}: {tokens[i]!r:.60} and {token!r:.60} have the same id {i}; "
                             "give each its own")
        ids[token], tokens[i] = i, token
    return ids


def _pairs(text: str | Sequence[str], text_pair: str | Sequence[str] | None) -> list[tuple]:
    """[(first, second or None), ...] of one or of several texts, checked to be texts."""
    if isinstance(text, str):
        firsts = [text]
        seconds = [text_pair or None]  # as in Hugging Face, an empty second text counts as none
    else:
        firsts = list(checked_texts(text, "text", "a text or a list of texts"))
        seconds = [None] * len(firsts) if text_pair is None else list(checked_texts(
            text_pair, "text_pair beside a list of texts", "a list, a second text for each"))
    if len(firsts) != len(seconds):
        raise InputError(f"tokenizer: {len(firsts)} texts but {len(seconds)} second texts; give "
                         "one for each")
    return [(_checked(first), None if second is None else _checked(second))
            for first, second in zip(firsts, seconds)]


def _array(name: str, rows: list) -> np.ndarray:
    if len({len(row) for row in rows if isinstance(row, list)}) > 1:
        raise InputError(f"tokenizer: the rows of {name} differ in length and make no array; ask "
                         "for padding=True (and truncation=True)")
    return np.array(rows, dtype=np.int64)


def _checked(text: object) -> str:
    if not isinstance(text, str):
        raise InputError(f"tokenizer: expected a text, found {type(text).__name__} {text!r:.60}")
    return text


def _id_list(ids: object) -> list[int]:
    ids = ids.tolist() if isinstance(ids, np.ndarray) else ids
    if isinstance(ids, Integral):
        return [ids]
    if isinstance(ids, (str, bytes)) or not isinstance(ids, Iterable):
        raise InputError(f"tokenizer: expected token ids, got {ids!r:.60}; encode and "
                         "convert_tokens_to_ids make ids of texts")
    ids = list(ids)
    for i in ids:
        if not isinstance(i, Integral):
            raise InputError(f"tokenizer: expected token ids, got {i!r:.60} among them; "
                             "batch_decode reads several rows")
    return ids


def _choice(name: str, value: bool | str, choices: tuple[str, ...]) -> str:
    """True is the first choice, False none."""
    if value is True:
        return choices[0]
    if value in (False, None, "do_not_truncate", "do_not_pad"):
        return ""
    if value not in choices:
        raise InputError(f"tokenizer: {name} = {value!r:.60}: expected True, False or one of "
                         f"{', '.join(choices)}")
    return value
