"""WordPiece: BERT's tokenizer (Devlin et al. 2019; the greedy matching is Wu et al. 2016, section
4.1).

A word becomes the longest piece of the vocabulary that it starts with, then the longest piece that
the rest starts with, and so on; pieces inside a word are written with ##. A word with a rest that
no piece starts is [UNK] as a whole. Words are made in `normalization`, a vocabulary is learned in
`wordpiece_training`.
"""

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from io import StringIO
from operator import attrgetter
from pathlib import Path

from minibert.atomic_files import shown
from minibert.errors import InputError
from minibert.tokenizers.added_tokens import AddedTokenFinder
from minibert.tokenizers.base import Tokenizer, checked_texts
from minibert.tokenizers.normalization import (WHITE_SPACE, AlignedChar, chunks, clean_chunk,
                                               split_words)
from minibert.tokenizers.post_processing import (Piece, bert_template, read_template,
                                                 written_template)
from minibert.tokenizers.tokenizer_folder import (TokenizerFolder, common_settings, read_text,
                                                  save_files)
from minibert.tokenizers.tokenizer_json import bert_normalizer, check_bert_pipeline, model_of
from minibert.tokenizers.wordpiece_training import CONTINUATION, learn_pieces
from minibert.validate import whole_number

SPECIALS = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]",
            "mask_token": "[MASK]"}
LONGEST_WORD = 100

# Blanks before English punctuation and contractions: `decode` removes them as Hugging Face does.
_PUNCTUATION = re.compile(" (?=[.?!,])")
_CONTRACTIONS = re.compile(" (?=n't|'m|'s|'ve|'re)")


class BertTokenizer(Tokenizer):
    """BERT's tokenizer, with Hugging Face's names. `vocab`: tokens in order of their ids, or token
    -> id.

    Special tokens written in a text (`the [MASK] barks`) are found before anything else is done to
    it. strip_accents=None strips accents exactly if the text is lower-cased. Words of more than
    `max_input_chars_per_word` characters are [UNK]. `settings`: as for Tokenizer.
    """

    defaults = SPECIALS
    clean_up_tokenization_spaces = False  # decode's default
    max_input_chars_per_word = LONGEST_WORD
    _own_template = None  # none where [CLS] or [SEP] is missing

    def __init__(self, vocab: Iterable[str] | Mapping[str, int], do_lower_case: bool = True,
                 strip_accents: bool | None = None, tokenize_chinese_chars: bool = True,
                 **settings):
        super().__init__(vocab, **settings)
        if not hasattr(self, "unk_token"):
            raise InputError("vocabulary: WordPiece needs an unk_token; name one")
        if not self._model_vocab:
            raise InputError("vocabulary: it holds added tokens only; expected WordPiece's own")
        self.do_lower_case = do_lower_case
        self.strip_accents = strip_accents
        self.tokenize_chinese_chars = tokenize_chinese_chars
        if hasattr(self, "cls_token_id") and hasattr(self, "sep_token_id"):
            self.template = bert_template(self.cls_token_id, self.sep_token_id)
            self._own_template = self.template
        self._longest_piece = max(map(len, self._model_vocab))
        normalized = {}  # the added tokens that are searched in the normalized text
        for token in self.added_tokens.values():
            text = "".join(char for char, _, _ in self._normalized(token.content))
            if token.normalized and text:
                normalized.setdefault(text, token)
                self._tokens[token.id] = text  # as transformers 5 shows and decodes it
        self._normalized_finder = AddedTokenFinder(normalized)

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int, min_frequency: int = 2,
              **settings) -> "BertTokenizer":
        """A tokenizer whose vocabulary of at most `vocab_size` tokens is learned from `texts`;
        pairs of pieces that occur less than `min_frequency` times are not merged. `settings`:
        arguments of the class (do_lower_case...)."""
        empty = cls(SPECIALS.values(), **settings)
        pieces = learn_pieces(empty.word_counts(texts), vocab_size - len(SPECIALS), min_frequency)
        return cls([*SPECIALS.values(), *pieces], **settings)

    @classmethod
    def from_words(cls, words: Iterable[str]) -> "BertTokenizer":
        """A tokenizer of whole words: the special tokens, then `words`."""
        return cls([*SPECIALS.values(), *words])

    @classmethod
    def from_pretrained(cls, folder: str | Path, **changes) -> "BertTokenizer":
        """The tokenizer of a Hugging Face folder: vocab.txt or tokenizer.json, and the files beside
        them (see TokenizerFolder). `changes` are arguments of the class that replace the folder's.

        Errors: InputError for damaged files, files that contradict each other, and settings that
        are not supported.
        """
        files = TokenizerFolder(Path(folder), "WordPiece")
        vocab, source = _read_vocabulary(files)
        tokenizer = files.build(cls, source, vocab, _normalizer_settings(files) | changes)
        tokenizer.clean_up_tokenization_spaces = files.flag("clean_up_tokenization_spaces", False)
        if tokenizer.unk_token not in tokenizer._model_vocab:
            raise InputError(f"{files.folder}: the unk_token {tokenizer.unk_token!r:.60} is "
                             "missing in the vocabulary; add it")
        if files.json is not None:
            tokenizer._follow_json(files)
        return tokenizer

    def _follow_json(self, files: TokenizerFolder) -> None:
        """Take from tokenizer.json what no other file says."""
        path, content, model = files.json_path, files.json, files.json["model"]
        if files.is_generic or "pre_tokenizer" in content or "decoder" in content:
            check_bert_pipeline(path, content)
        longest = whole_number(f"{path}: field model.max_input_chars_per_word",
                               model.get("max_input_chars_per_word", LONGEST_WORD))
        template = read_template(path, content.get("post_processor"))
        if files.is_generic:
            self.max_input_chars_per_word, self.template = longest, template
            unknown = model.get("unk_token", self.unk_token)
            if self.unk_token != unknown:
                raise InputError(f"{path}: field model.unk_token is {unknown!r:.60}, the settings "
                                 f"say {self.unk_token!r:.60}; make them agree")
        elif longest != LONGEST_WORD:
            raise InputError(f"{path}: field model.max_input_chars_per_word: a BertTokenizer has "
                             f"{LONGEST_WORD}; change it, or the class to PreTrainedTokenizerFast")
        elif content.get("post_processor") is not None and template != self.template:
            warnings.warn(f"{path}: field post_processor has no effect: a BertTokenizer adds "
                          "[CLS] and [SEP]; the class PreTrainedTokenizerFast applies it",
                          stacklevel=3)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write vocab.txt and tokenizer_config.json, which Hugging Face's BertTokenizer opens; and
        tokenizer.json for what that class cannot do (other special tokens around a text, other
        longest words)."""
        config = {"tokenizer_class": "BertTokenizer", "do_lower_case": self.do_lower_case,
                  "strip_accents": self.strip_accents,
                  "tokenize_chinese_chars": self.tokenize_chinese_chars,
                  "clean_up_tokenization_spaces": self.clean_up_tokenization_spaces}
        config |= common_settings(self)
        lines = [None] * (max(self._model_vocab.values()) + 1)
        for token, i in self._model_vocab.items():
            if "\n" in token or "\r" in token:
                raise InputError(f"token {token!r:.60}: a line break cannot stand in vocab.txt")
            lines[i] = token
        # of equal lines the last one counts: the last token's text marks an id without a token
        text = "".join([f"{lines[-1] if token is None else token}\n" for token in lines])
        objects = {"tokenizer_config.json": config}
        if (self.template, self.max_input_chars_per_word) != (self._own_template, LONGEST_WORD):
            config["tokenizer_class"] = "PreTrainedTokenizerFast"
            config["model_input_names"] = ["input_ids", "attention_mask",
                                           *(["token_type_ids"] if self.has_segments else [])]
            objects["tokenizer.json"] = self._as_json()
        save_files(folder, {"vocab.txt": text}, objects)

    def _as_json(self) -> dict:
        """The tokenizer as a tokenizer.json."""
        token_of = {i: token for token, i in self.vocab.items()}
        added = [{"id": token.id, "content": token.content, "single_word": token.single_word,
                  "lstrip": token.lstrip, "rstrip": token.rstrip, "normalized": token.normalized,
                  "special": token.special}
                 for token in sorted(self.added_tokens.values(), key=attrgetter("id"))]
        return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
                "normalizer": {"type": "BertNormalizer", "clean_text": True,
                               "handle_chinese_chars": self.tokenize_chinese_chars,
                               "strip_accents": self.strip_accents,
                               "lowercase": self.do_lower_case},
                "pre_tokenizer": {"type": "BertPreTokenizer"},
                "post_processor": written_template(self.template, token_of),
                "decoder": {"type": "WordPiece", "prefix": CONTINUATION, "cleanup": True},
                "model": {"type": "WordPiece", "unk_token": self.unk_token,
                          "continuing_subword_prefix": CONTINUATION,
                          "max_input_chars_per_word": self.max_input_chars_per_word,
                          "vocab": self._model_vocab}}

    def decode(self, ids: int | Iterable[int], skip_special_tokens: bool = False,
               clean_up_tokenization_spaces: bool | None = None) -> str:
        """The text of some ids: pieces joined, no blank before punctuation.

        With clean_up_tokenization_spaces (None: the attribute of that name) contractions in several
        tokens (do n't, ' s) close up, too.
        """
        text = super().decode(ids, skip_special_tokens)
        if clean_up_tokenization_spaces is None:
            clean_up_tokenization_spaces = self.clean_up_tokenization_spaces
        if clean_up_tokenization_spaces:
            text = _CONTRACTIONS.sub("", _PUNCTUATION.sub("", text).replace(" ' ", "'"))
        return text

    def word_counts(self, texts: Iterable[str]) -> dict[str, int]:
        """word -> the number of its occurrences, without special tokens and words that are too
        long to be tokenized."""
        seen = Counter(chunk for text in checked_texts(texts)
                       for start, end, special in self._finder.cut(text) if special is None
                       for _, chunk in chunks(text[start:end]))
        counts: Counter[str] = Counter()
        for chunk, count in seen.items():
            for word in split_words(self._cleaned(chunk)):
                if len(word) <= self.max_input_chars_per_word:  # longer ones are [UNK] in any case
                    counts["".join(char for char, _, _ in word)] += count
        return counts

    def _pieces(self, text: str) -> list[Piece]:
        output = []
        for start, end, added in self._finder.cut(text):
            if added is not None:
                output.append((added, start, end))
            elif self._normalized_finder.tokens:
                output += self._normalized_pieces(text[start:end], start)
            else:
                for place, chunk in chunks(text[start:end]):
                    place += start
                    output += [(i, place + a, place + b) for i, a, b in self._cached_pieces(chunk)]
        return output

    def _normalized(self, text: str) -> list[AlignedChar]:
        """The normalized text, its white space as blanks, with each character's place."""
        chars, end = [], 0
        for start, chunk in chunks(text):
            chars += [(" ", i, i + 1) for i in range(end, start)]
            chars += [(char, start + a, start + b) for char, a, b in self._cleaned(chunk)]
            end = start + len(chunk)
        return chars + [(" ", i, i + 1) for i in range(end, len(text))]

    def _normalized_pieces(self, text: str, offset: int) -> list[Piece]:
        """The pieces of a text in which added tokens are searched after normalization; their
        places are counted from `offset` on."""
        chars = self._normalized(text)
        output = []
        for start, end, added in self._normalized_finder.cut("".join(char for char, _, _ in chars)):
            found = [(added, chars[start][1], chars[end - 1][2])] if added is not None else [
                piece for word in split_words(chars[start:end])
                for piece in self._word_pieces(word)]
            output += [(i, offset + a, offset + b) for i, a, b in found]
        return output

    def _cut_word(self, chunk: str) -> list[Piece]:
        return [piece for word in split_words(self._cleaned(chunk))
                for piece in self._word_pieces(word)]

    def _cleaned(self, chunk: str) -> list[AlignedChar]:
        strip = self.do_lower_case if self.strip_accents is None else self.strip_accents
        return clean_chunk(chunk, self.do_lower_case, strip, self.tokenize_chinese_chars)

    def _word_pieces(self, word: list) -> list[Piece]:
        """Greedy longest match first; the whole word is [UNK] if it cannot be covered."""
        unknown = [(self.unk_token_id, word[0][1], word[-1][2])]
        if len(word) > self.max_input_chars_per_word:
            return unknown
        text = "".join(char for char, _, _ in word)
        pieces = []
        start = 0
        while start < len(text):
            prefix = CONTINUATION if start else ""
            end = min(len(text), start + self._longest_piece)
            while end > start and prefix + text[start:end] not in self._model_vocab:
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
                token = token[len(CONTINUATION):] if token.startswith(CONTINUATION) else " " + token
            text.append(_CONTRACTIONS.sub("", _PUNCTUATION.sub("", token)))
        return "".join(text)


def _normalizer_settings(files: TokenizerFolder) -> dict[str, bool | None]:
    """do_lower_case, strip_accents and tokenize_chinese_chars of tokenizer_config.json, or of
    tokenizer.json for a generic class. Errors: the two contradict each other."""
    settings = {"do_lower_case": files.flag("do_lower_case", True),
                "strip_accents": files.flag("strip_accents", None),
                "tokenize_chinese_chars": files.flag("tokenize_chinese_chars", True)}
    if files.json is None or not (files.is_generic or "normalizer" in files.json):
        return settings
    stored = bert_normalizer(files.json_path, files.json)
    for name, value in settings.items():
        if stored[name] != value and not (files.is_generic and name not in files.config):
            raise InputError(f"{files.json_path}: field normalizer says {name} = {stored[name]}, "
                             f"and {files.config_path.name} {value}; make them agree")
    return stored


def _read_vocabulary(files: TokenizerFolder) -> tuple[dict[str, int], Path]:
    """(token -> id, the file that is to be named in errors).

    The id of a token in vocab.txt is its line's number, from 0; of equal lines the last one counts
    (Google's load_vocab, and transformers).
    """
    path = files.folder / "vocab.txt"
    stored = None if files.json is None else model_of(files.json_path, files.json,
                                                      "WordPiece")["vocab"]
    if not path.exists():
        if stored is None:
            raise InputError(f"{files.folder}: has neither vocab.txt nor tokenizer.json; "
                             "give a folder that save_pretrained wrote")
        return stored, files.json_path
    text = read_text(path)
    if text.startswith("\ufeff"):
        raise InputError(f"{path}: begins with a byte order mark, which would be part of the first "
                         "token; save it as UTF-8 without one")
    lines = StringIO(text, newline=None)  # at \n, \r\n and \r
    vocab = {line.rstrip(WHITE_SPACE): i for i, line in enumerate(lines)}
    if stored is not None and stored != vocab:
        token = next(token for token in {**stored, **vocab}
                     if (token in stored, stored.get(token)) != (token in vocab, vocab.get(token)))
        raise InputError(f"{path}: and {files.json_path.name} differ ({shown(token)}); they are "
                         "not of one tokenizer: remove the one that is out of date")
    return vocab, path
