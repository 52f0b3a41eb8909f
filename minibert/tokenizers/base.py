"""What every tokenizer shares: the vocabulary, special tokens, pairs, truncation and padding.

The call follows Hugging Face's: `tokenizer(text, text_pair, padding=..., truncation=..., ...)`
gives a dictionary of lists. A new kind of tokenizer is a subclass with two methods: `_pieces`, from
a text to ids, and `_join`, back again; `_frame` adds special tokens where there are any.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from minibert.atomic_files import read_json
from minibert.errors import InputError
from minibert.tokenizers.truncation import STRATEGIES, cut_windows

# One token: its id and the slice of the text that it was made from.
Piece = tuple[int, int, int]

PADDINGS = ("longest", "max_length")
SIDES = ("right", "left")

# What a tokenizer remembers of words that it has cut.
LONGEST_CACHED = 50
CACHE_SIZE = 200_000


class BatchEncoding(dict):
    """What a call of a tokenizer returns: columns by name, which are attributes as well."""

    def __getattr__(self, name: str):
        if name not in self:
            raise AttributeError(f"there is no column {name}, only {', '.join(self)}")
        return self[name]


class Tokenizer:
    """Tokens to ids and back. `specials` maps names such as `sep_token` to tokens of `vocab`."""

    has_segments = True  # does a call tell the two texts of a pair apart (token_type_ids)?

    def __init__(self, vocab: Iterable[str] | Mapping[str, int], specials: Mapping[str, str],
                 model_max_length: int | None = None,
                 extra_special_tokens: Iterable[str] = (), padding_side: str = "right"):
        self.vocab = _index(vocab)
        self._tokens = sorted(self.vocab, key=self.vocab.__getitem__)
        self.model_max_length = model_max_length
        if padding_side not in SIDES:
            raise InputError(f"tokenizer: padding_side={padding_side!r:.60}; expected one of "
                             f"{SIDES}")
        self.padding_side = padding_side
        self.all_special_tokens: list[str] = []
        self.extra_special_tokens = list(extra_special_tokens)
        for name, token in specials.items():
            self._add_special(name, token)
            setattr(self, name, token)
            setattr(self, f"{name}_id", self.vocab[token])
        for token in self.extra_special_tokens:
            self._add_special("extra special token", token)

    def _add_special(self, name: str, token: str) -> None:
        if not token:
            raise InputError(f"vocabulary: the {name} is an empty text; name a token")
        if token not in self.vocab:
            raise InputError(f"vocabulary: the {name} {token!r:.60} is missing among its "
                             f"{len(self.vocab)} entries; add it")
        if token not in self.all_special_tokens:
            self.all_special_tokens.append(token)
        self.all_special_ids = [self.vocab[token] for token in self.all_special_tokens]
        self._written_specials = re.compile(
            "|".join(re.escape(t) for t in sorted(self.all_special_tokens, key=len, reverse=True)))

    @property
    def pad_token(self) -> str:
        """The token that fills short rows. A tokenizer without one may be given one of its
        vocabulary: `tokenizer.pad_token = tokenizer.eos_token`."""
        return self._tokens[self.pad_token_id]

    @pad_token.setter
    def pad_token(self, token: str) -> None:
        self._add_special("pad_token", token)
        self.pad_token_id = self.vocab[token]

    @property
    def vocab_size(self) -> int:
        return len(self._tokens)

    def __len__(self) -> int:
        return len(self._tokens)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.vocab_size} tokens, special {self.all_special_tokens})"

    def _settings(self, special_names: Iterable[str]) -> dict:
        """What tokenizer_config.json says of every tokenizer: `read_config` reads it."""
        settings = {name: getattr(self, name) for name in special_names if hasattr(self, name)}
        if self.model_max_length is not None:
            settings["model_max_length"] = self.model_max_length
        if self.extra_special_tokens:
            settings["extra_special_tokens"] = self.extra_special_tokens
        if self.padding_side != SIDES[0]:
            settings["padding_side"] = self.padding_side
        return settings

    # What a subclass defines.

    def _pieces(self, text: str) -> list[Piece]:
        raise NotImplementedError

    def _join(self, tokens: list[str]) -> str:
        raise NotImplementedError

    def _frame(self, first: list, second: list | None) -> tuple[list[Piece], list[int]]:
        """The sequence with its special tokens, and each token's segment. Here: none are added."""
        return _bare(first, second)

    def _sections(self, text: str) -> Iterator[tuple[int, str, bool]]:
        """The text cut at special tokens written in it: (place, text, is it a special token?)."""
        end = 0
        for match in self._written_specials.finditer(text):
            yield end, text[end:match.start()], False
            yield match.start(), match.group(), True
            end = match.end()
        yield end, text[end:], False

    # From text to ids.

    def tokenize(self, text: str) -> list[str]:
        """The tokens of a text, without added special tokens."""
        return [self._tokens[piece[0]] for piece in self._pieces(_checked(text))]

    def encode(self, text: str, text_pair: str | None = None, add_special_tokens: bool = True,
               truncation: bool | str = False, max_length: int | None = None) -> list[int]:
        """The ids of a text, or of a pair of texts."""
        if text_pair is None and not truncation:  # the short way, for whole corpora
            pieces = self._pieces(_checked(text))
            if add_special_tokens:
                pieces = self._frame(pieces, None)[0]
            return [piece[0] for piece in pieces]
        return self(text, text_pair, add_special_tokens=add_special_tokens, truncation=truncation,
                    max_length=max_length)["input_ids"]

    def __call__(self, text: str | Sequence[str], text_pair: str | Sequence[str] | None = None,
                 add_special_tokens: bool = True, padding: bool | str = False,
                 truncation: bool | str = False, max_length: int | None = None, stride: int = 0,
                 return_overflowing_tokens: bool = False,
                 return_offsets_mapping: bool = False,
                 return_tensors: str | None = None) -> BatchEncoding:
        """input_ids, token_type_ids, attention_mask of one text, or lists of them for several
        (no token_type_ids where has_segments is False).

        truncation: True or "longest_first" takes tokens from the longer text, "only_first" and
        "only_second" from that text; with return_overflowing_tokens the rest follows in windows
        that share `stride` tokens, and overflow_to_sample_mapping says from which text each is.
        padding: True or "longest" (of the texts given), or "max_length"; on the side that
        `padding_side` says.
        return_offsets_mapping: where each token was written; (0, 0) for an added one.
        return_tensors: "np" gives arrays (B, T), also for one text, as a model wants them; so does
        "pt", Hugging Face's word for PyTorch's tensors, which do not exist here.
        """
        if return_tensors not in (None, "np", "pt"):
            raise InputError(f"tokenizer: return_tensors={return_tensors!r:.60}; expected 'np'")
        strategy = _choice("truncation", truncation, STRATEGIES)
        padding = _choice("padding", padding, PADDINGS)
        max_length = self.model_max_length if max_length is None else max_length
        if max_length is None and (strategy or padding == "max_length"):
            raise InputError("tokenizer: truncation and padding='max_length' need a max_length")
        rows, owners = [], []
        for i, (first, second) in enumerate(_pairs(text, text_pair)):
            windows = [(self._pieces(first), None if second is None else self._pieces(second))]
            if strategy:
                n_added = 0
                if add_special_tokens:
                    n_added = len(self._frame([], None if second is None else [])[0])
                windows = cut_windows(*windows[0], max_length - n_added, strategy, stride,
                                      return_overflowing_tokens)
            for window in windows:
                framed = self._frame(*window) if add_special_tokens else _bare(*window)
                rows.append(framed)
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
                 max_length: int | None, with_offsets: bool) -> dict[str, list]:
        """The rows as one list per kind of number, padded on the tokenizer's side."""
        width = 0
        if padding:
            if not hasattr(self, "pad_token_id"):
                raise InputError(f"{type(self).__name__}: has no padding token; do not pad, "
                                 "or name one where the class takes a pad_token")
            longest = max((len(pieces) for pieces, _ in rows), default=0)
            width = longest if padding == "longest" else max_length
        output = BatchEncoding({"input_ids": [], "token_type_ids": [], "attention_mask": []})
        if not self.has_segments:
            del output["token_type_ids"]
        if with_offsets:
            output["offset_mapping"] = []
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
        """The text that an id or some ids stand for."""
        ids = ids if hasattr(ids, "__iter__") else [ids]
        tokens = self.convert_ids_to_tokens(ids)
        if skip_special_tokens:
            tokens = [token for token in tokens if token not in self.all_special_tokens]
        return self._join(tokens)

    def batch_decode(self, rows: Iterable[Iterable[int]], skip_special_tokens: bool = False
                     ) -> list[str]:
        """The text of each row."""
        return [self.decode(row, skip_special_tokens) for row in rows]

    def convert_ids_to_tokens(self, ids: int | Iterable[int]) -> str | list[str]:
        """One token for an id, a list for several. An id out of range is an InputError."""
        if hasattr(ids, "__iter__"):
            return [self.convert_ids_to_tokens(i) for i in ids]
        if not 0 <= int(ids) < self.vocab_size:
            raise InputError(f"token id {int(ids)}: out of range, the vocabulary has "
                             f"{self.vocab_size} tokens (0 to {self.vocab_size - 1})")
        return self._tokens[int(ids)]

    def convert_tokens_to_ids(self, tokens: str | Iterable[str]) -> int | list[int]:
        """One id for a token, a list for several. An unknown token becomes unk_token."""
        if not isinstance(tokens, str):
            return [self.convert_tokens_to_ids(token) for token in tokens]
        if tokens in self.vocab:
            return self.vocab[tokens]
        if hasattr(self, "unk_token_id"):
            return self.unk_token_id
        raise InputError(f"token {tokens!r:.60}: not in the vocabulary of {self.vocab_size} tokens")


def read_config(folder: Path, special_names: Iterable[str]) -> tuple[dict, dict]:
    """tokenizer_config.json, if there is one: (all of it, the settings that all tokenizers share:
    special tokens and model_max_length)."""
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; nothing is downloaded here, give the "
                         "path of one that holds the tokenizer's files")
    path = folder / "tokenizer_config.json"
    config = read_json(path) if path.exists() else {}
    settings = {}
    for name in special_names:
        if config.get(name) is not None:
            settings[name] = _token(config[name], f"{path}: {name}")
    # Hugging Face's name for further special tokens of today, and the one before.
    for name in ("extra_special_tokens", "additional_special_tokens"):
        values = config.get(name) or []
        values = list(values.values()) if isinstance(values, dict) else values
        if not isinstance(values, list):
            raise InputError(f"{path}: {name} is {values!r:.60}; expected a list of tokens")
        if values:
            settings["extra_special_tokens"] = [_token(x, f"{path}: {name}") for x in values]
            break
    if config.get("padding_side") is not None:
        if config["padding_side"] not in SIDES:
            raise InputError(f"{path}: padding_side is {config['padding_side']!r:.60}; expected "
                             f"one of {SIDES}")
        settings["padding_side"] = config["padding_side"]
    longest = config.get("model_max_length")
    if type(longest) in (int, float) and longest > 10**9:  # Hugging Face's way to say: no limit
        return config, settings
    if longest is not None and (type(longest) is not int or longest < 1):
        raise InputError(f"{path}: model_max_length is {longest!r:.60}; expected a whole number "
                         "from 1")
    return config, settings | {"model_max_length": longest}


def _token(value: object, where: str) -> str:
    token = value.get("content") if isinstance(value, dict) else value
    if not isinstance(token, str):
        raise InputError(f"{where} is {value!r:.60}; expected a token")
    return token


def with_added_tokens(source: Path, vocab: Iterable[str] | Mapping[str, int],
                      specials: Mapping[str, str], settings: dict) -> tuple[dict[str, int], dict]:
    """(the vocabulary, the settings) with the special tokens that somebody added to them later,
    which Hugging Face keeps in tokenizer.json alone. `source` is the vocabulary's file, `specials`
    are those that every tokenizer of the kind has."""
    try:
        vocab = _index(vocab)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    path = source.parent / "tokenizer.json"
    entries = read_json(path).get("added_tokens", []) if path.exists() else []
    where = f"{path}: field added_tokens"
    extra = list(settings.get("extra_special_tokens", ()))
    for entry in entries if isinstance(entries, list) else [entries]:
        if not isinstance(entry, dict) or type(entry.get("id")) is not int:
            raise InputError(f"{where}: {entry!r:.60} is no token with its id")
        token = _token(entry, where)
        if vocab.get(token, entry["id"]) != entry["id"]:
            raise InputError(f"{where}: {token!r:.60} has id {entry['id']}, and {vocab[token]} in "
                             "the vocabulary; are they of one tokenizer?")
        if token not in vocab and not entry.get("special"):
            raise InputError(f"{where}: {token!r:.60} is no special token, and only such may be "
                             "added here; mark it as special")
        for name in ("lstrip", "rstrip", "single_word"):
            if entry.get(name):
                raise InputError(f"{where}: {token!r:.60} has {name}; only tokens that are found "
                                 "as they are written are known here")
        vocab[token] = entry["id"]
        named = [settings.get(name) for name in (*specials, "pad_token")]
        if entry.get("special") and token not in (*extra, *named, *specials.values()):
            extra.append(token)
    return vocab, settings | {"extra_special_tokens": extra}


def _index(vocab: Iterable[str] | Mapping[str, int]) -> dict[str, int]:
    if isinstance(vocab, Mapping):
        if not all(type(i) is int for i in vocab.values()) \
                or sorted(vocab.values()) != list(range(len(vocab))):
            raise InputError(f"vocabulary: its {len(vocab)} ids must be the numbers 0 to "
                             f"{len(vocab) - 1}, each once")
        return dict(vocab)
    index: dict[str, int] = {}
    for token in vocab:
        if token in index:
            raise InputError(f"vocabulary: {token!r:.60} is there twice (entries {index[token]} "
                             f"and {len(index)}); remove one")
        index[token] = len(index)
    return index


def _pairs(text: str | Sequence[str], text_pair: str | Sequence[str] | None) -> list[tuple]:
    """[(first, second or None), ...] of one or of several texts, checked to be texts."""
    if isinstance(text, str):
        firsts = [text]
        seconds = [text_pair or None]  # as in Hugging Face, an empty second text counts as none
    else:
        firsts = list(text)
        seconds = [None] * len(firsts) if text_pair is None else list(text_pair)
    if len(firsts) != len(seconds):
        raise InputError(f"tokenizer: {len(firsts)} texts but {len(seconds)} second texts; give "
                         "one for each")
    return [(_checked(first), None if second is None else _checked(second))
            for first, second in zip(firsts, seconds)]


def _bare(first: list, second: list | None) -> tuple[list[Piece], list[int]]:
    if second is None:
        return first, [0] * len(first)
    return first + second, [0] * len(first) + [1] * len(second)


def _array(name: str, rows: list) -> np.ndarray:
    if len({len(row) for row in rows if isinstance(row, list)}) > 1:
        raise InputError(f"tokenizer: the rows of {name} differ in length and make no array; ask "
                         "for padding=True (and truncation=True)")
    return np.array(rows, dtype=np.int64)


def _checked(text: object) -> str:
    if not isinstance(text, str):
        raise InputError(f"tokenizer: expected a text, found {type(text).__name__} {text!r:.60}")
    return text


def _choice(name: str, value: bool | str, choices: tuple[str, ...]) -> str:
    """True is the first choice, False none."""
    if value is True:
        return choices[0]
    if value in (False, None, "do_not_truncate", "do_not_pad"):
        return ""
    if value not in choices:
        raise InputError(f"tokenizer: {name}={value!r}; expected True, False or one of {choices}")
    return value
