"""WordPiece: BERT's tokenizer (Devlin et al. 2019; the greedy matching is Wu et al. 2016, section
4.1).

A word becomes the longest piece of the vocabulary that it starts with, then the longest piece that
the rest starts with, and so on; pieces inside a word are written with ##. A word with a rest that
no piece starts is [UNK] as a whole. `normalization` says how a text becomes words; how a vocabulary
is learned stands in `wordpiece_training`.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from minibert.atomic_files import read_json, write_json, write_text
from minibert.errors import InputError
from minibert.tokenizers.base import (CACHE_SIZE, LONGEST_CACHED, Piece, Tokenizer, read_config,
                                      with_added_tokens)
from minibert.tokenizers.normalization import chunks, clean_chunk, split_words
from minibert.tokenizers.wordpiece_training import CONTINUATION, learn_pieces

SPECIALS = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]",
            "mask_token": "[MASK]"}
LONGEST_WORD = 100

# English contractions and punctuation that `decode` closes up, as Hugging Face does.
_CLEAN_UP = (" .", " ?", " !", " ,", " n't", " 'm", " 's", " 've", " 're")


class BertTokenizer(Tokenizer):
    """BERT's tokenizer, with Hugging Face's names. `vocab`: tokens in order of their ids, or token
    -> id.

    Special tokens written in a text (`the [MASK] barks`) are found before anything else is done to
    it. strip_accents=None strips accents exactly if the text is lower-cased.
    """

    def __init__(self, vocab: Iterable[str] | Mapping[str, int], do_lower_case: bool = True,
                 strip_accents: bool | None = None, tokenize_chinese_chars: bool = True,
                 model_max_length: int | None = None, extra_special_tokens: Iterable[str] = (),
                 padding_side: str = "right", **specials: str):
        unknown = set(specials) - set(SPECIALS)
        if unknown:
            raise TypeError(f"BertTokenizer() got unexpected arguments {sorted(unknown)}")
        super().__init__(vocab, {**SPECIALS, **specials}, model_max_length, extra_special_tokens,
                         padding_side)
        self.do_lower_case = do_lower_case
        self.strip_accents = strip_accents
        self.tokenize_chinese_chars = tokenize_chinese_chars
        self._longest_piece = max(map(len, self.vocab))
        self._cache: dict[str, list[Piece]] = {}

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int, min_frequency: int = 2,
              do_lower_case: bool = True, strip_accents: bool | None = None,
              tokenize_chinese_chars: bool = True) -> "BertTokenizer":
        """A tokenizer whose vocabulary of at most `vocab_size` tokens is learned from `texts`."""
        empty = cls(list(SPECIALS.values()), do_lower_case, strip_accents, tokenize_chinese_chars)
        pieces = learn_pieces(empty.word_counts(texts), vocab_size - len(SPECIALS), min_frequency)
        return cls([*SPECIALS.values(), *pieces], do_lower_case, strip_accents,
                   tokenize_chinese_chars)

    @classmethod
    def from_words(cls, words: Iterable[str]) -> "BertTokenizer":
        """A tokenizer that knows whole words only: the special tokens, then `words`."""
        return cls([*SPECIALS.values(), *words])

    @classmethod
    def from_pretrained(cls, folder: str | Path, **changes) -> "BertTokenizer":
        """The tokenizer of a Hugging Face folder: vocab.txt or tokenizer.json,
        tokenizer_config.json. `changes` are arguments of the class that replace the folder's."""
        folder = Path(folder)
        config, settings = read_config(folder, SPECIALS)
        for name in ("do_lower_case", "strip_accents", "tokenize_chinese_chars"):
            value = config.get(name)
            if isinstance(value, bool):
                settings[name] = value
            elif value is not None:
                raise InputError(f"{folder / 'tokenizer_config.json'}: {name} is {value!r:.60}; "
                                 "expected true or false")
        vocab, source = _read_vocabulary(folder)
        vocab, settings = with_added_tokens(source, vocab, SPECIALS, settings)
        try:
            return cls(vocab, **settings | changes)
        except InputError as error:
            raise InputError(f"{source}: {error}") from None

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes vocab.txt and tokenizer_config.json, which Hugging Face's BertTokenizer opens."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for token in self._tokens:
            if "\n" in token or "\r" in token:
                raise InputError(f"token {token!r:.60}: a line break cannot stand in vocab.txt")
        write_text(folder / "vocab.txt", "".join([f"{token}\n" for token in self._tokens]))
        config = {"tokenizer_class": "BertTokenizer", "do_lower_case": self.do_lower_case,
                  "strip_accents": self.strip_accents,
                  "tokenize_chinese_chars": self.tokenize_chinese_chars}
        write_json(folder / "tokenizer_config.json", config | self._settings(SPECIALS))

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = False,
               clean_up_tokenization_spaces: bool = False) -> str:
        """The text of some ids: pieces joined, no blank before punctuation.

        With clean_up_tokenization_spaces contractions in several tokens (do n't, ' s) close up,
        too.
        """
        text = super().decode(ids, skip_special_tokens)
        if clean_up_tokenization_spaces:
            text = _close_up(text, _CLEAN_UP[:4])
            text = _close_up(text.replace(" ' ", "'"), _CLEAN_UP[4:])
        return text

    def word_counts(self, texts: Iterable[str]) -> dict[str, int]:
        """How often each word occurs, as `normalization` cuts words; special tokens are left
        out."""
        seen: dict[str, int] = {}
        for text in texts:
            for _, part, is_special in self._sections(text):
                if not is_special:
                    for _, chunk in chunks(part):
                        seen[chunk] = seen.get(chunk, 0) + 1
        counts: dict[str, int] = {}
        for chunk, count in seen.items():
            for word in self._words(chunk):
                text = "".join(char for char, _, _ in word)
                counts[text] = counts.get(text, 0) + count
        return counts

    def _pieces(self, text: str) -> list[Piece]:
        output = []
        for offset, part, is_special in self._sections(text):
            if is_special:
                output.append((self.vocab[part], offset, offset + len(part)))
                continue
            for start, chunk in chunks(part):
                start += offset
                output += [(i, start + a, start + b) for i, a, b in self._chunk_pieces(chunk)]
        return output

    def _chunk_pieces(self, chunk: str) -> list[Piece]:
        pieces = self._cache.get(chunk)
        if pieces is None:
            pieces = [piece for word in self._words(chunk) for piece in self._word_pieces(word)]
            if len(chunk) <= LONGEST_CACHED and len(self._cache) < CACHE_SIZE:
                self._cache[chunk] = pieces
        return pieces

    def _words(self, chunk: str) -> Iterable[list]:
        strip = self.do_lower_case if self.strip_accents is None else self.strip_accents
        return split_words(
            clean_chunk(chunk, self.do_lower_case, strip, self.tokenize_chinese_chars))

    def _word_pieces(self, word: list) -> list[Piece]:
        """Greedy longest match first; the whole word is [UNK] if it cannot be covered."""
        unknown = [(self.unk_token_id, word[0][1], word[-1][2])]
        if len(word) > LONGEST_WORD:
            return unknown
        text = "".join(char for char, _, _ in word)
        pieces = []
        start = 0
        while start < len(text):
            prefix = CONTINUATION if start else ""
            end = min(len(text), start + self._longest_piece)
            while end > start and prefix + text[start:end] not in self.vocab:
                end -= 1
            if end == start:
                return unknown
            pieces.append((self.vocab[prefix + text[start:end]], word[start][1], word[end - 1][2]))
            start = end
        return pieces

    def _join(self, tokens: list[str]) -> str:
        text = []
        for i, token in enumerate(tokens):
            if i > 0:
                is_inside = token.startswith(CONTINUATION)
                token = token[len(CONTINUATION):] if is_inside else " " + token
            text.append(_close_up(token, _CLEAN_UP))
        return "".join(text)

    def _frame(self, first: list[Piece], second: list[Piece] | None) -> tuple[list, list[int]]:
        """[CLS] A [SEP], or [CLS] A [SEP] B [SEP], whose segments are 0 up to the first [SEP]."""
        cls, sep = (self.cls_token_id, 0, 0), (self.sep_token_id, 0, 0)
        pieces = [cls, *first, sep]
        if second is None:
            return pieces, [0] * len(pieces)
        return [*pieces, *second, sep], [0] * len(pieces) + [1] * (len(second) + 1)


def _close_up(text: str, patterns: tuple[str, ...]) -> str:
    for pattern in patterns:
        text = text.replace(pattern, pattern[1:])
    return text


def _read_vocabulary(folder: Path) -> tuple[list[str] | dict[str, int], Path]:
    """(the tokens in order, or token -> id; the file that is to be named in errors)."""
    path = folder / "vocab.txt"
    if path.exists():
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: not a UTF-8 text file ({error})") from None
        return (lines[:-1] if lines[-1] == "" else lines), path
    path = folder / "tokenizer.json"
    if not path.exists():
        raise InputError(f"{folder}: has neither vocab.txt nor tokenizer.json; "
                         "give a folder that save_pretrained wrote")
    model = read_json(path).get("model")
    vocab = model.get("vocab") if isinstance(model, dict) else None
    if not isinstance(vocab, dict) or model.get("type", "WordPiece") != "WordPiece":
        raise InputError(f"{path}: field model.vocab: expected WordPiece tokens with their ids")
    return vocab, path
