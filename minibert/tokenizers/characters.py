"""A tokenizer of single characters; load_tokenizer, which opens a saved tokenizer of any class."""

import warnings
from collections.abc import Iterable
from pathlib import Path

from minibert.atomic_files import read_json
from minibert.errors import InputError
from minibert.tokenizers.base import Tokenizer, checked_texts
from minibert.tokenizers.byte_level_bpe import FILES as GPT2_FILES
from minibert.tokenizers.byte_level_bpe import GPT2Tokenizer
from minibert.tokenizers.post_processing import Piece
from minibert.tokenizers.roberta import byte_level_class
from minibert.tokenizers.tokenizer_folder import save_files
from minibert.tokenizers.wordpiece import SPECIALS as BERT_SPECIALS
from minibert.tokenizers.wordpiece import BertTokenizer
from minibert.validate import one_of

SPECIALS = {"sep_token": "<|endoftext|>", "unk_token": "<|unknown|>"}
FILE_NAME = "characters.json"


class CharTokenizer(Tokenizer):
    """Every character is a token, blanks and line breaks included; nothing is cleaned.

    sep_token stands between documents and is never made from text. A character that is not in the
    vocabulary is an InputError that names it, or unk_token where errors="replace".
    """

    has_segments = False
    defaults = SPECIALS

    def __init__(self, characters: Iterable[str], errors: str = "strict"):
        characters = list(characters)
        for char in characters:
            if not isinstance(char, str) or len(char) != 1:
                raise InputError(f"CharTokenizer: {char!r:.60} is not a single character")
        super().__init__([*SPECIALS.values(), *characters])
        self.errors = one_of("CharTokenizer: errors", errors, ("strict", "replace"))

    @classmethod
    def train(cls, texts: Iterable[str], errors: str = "strict") -> "CharTokenizer":
        """The tokenizer of all characters in `texts`, in code point order."""
        return cls(sorted(set().union(*checked_texts(texts))), errors)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "CharTokenizer":
        """The tokenizer that save_pretrained wrote."""
        path = Path(folder) / FILE_NAME
        characters = read_json(path).get("characters")
        if not isinstance(characters, list):
            raise InputError(f"{path}: field characters: expected a list of characters")
        return cls(characters)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write characters.json and tokenizer_config.json."""
        save_files(folder, {}, {FILE_NAME: {"characters": self._tokens[len(SPECIALS):]},
                                "tokenizer_config.json": {"tokenizer_class": "CharTokenizer"}})

    def _pieces(self, text: str) -> list[Piece]:
        pieces = []
        for i, char in enumerate(text):
            token_id = self.vocab.get(char)
            if token_id is None:
                if self.errors == "strict":
                    raise InputError(f"character {char!r} (U+{ord(char):04X}) at place {i}: it did "
                                     "not occur in the training text; leave it out")
                token_id = self.unk_token_id
            pieces.append((token_id, i, i + 1))
        return pieces

    def _join(self, tokens: list[str]) -> str:
        return "".join(tokens)


def load_tokenizer(folder: str | Path, vocab_size: int | None = None) -> Tokenizer:
    """The tokenizer of a run or of a Hugging Face folder, of whichever class it is.

    `vocab_size`: the number of tokens that the model has. Errors: a tokenizer with more (fewer are
    allowed: published models round their embedding up). Special tokens that the vocabulary lacks,
    whose ids follow it as in transformers, give a warning.
    """
    folder = Path(folder)
    tokenizer = _tokenizer_class(folder).from_pretrained(folder)
    if vocab_size is not None and tokenizer.vocab_size > vocab_size:
        beyond = [token for token, i in tokenizer.vocab.items() if i >= vocab_size]
        if not set(beyond) <= set(BERT_SPECIALS.values()):
            raise InputError(f"{folder}: the tokenizer has {tokenizer.vocab_size} tokens, but "
                             f"config.json says vocab_size = {vocab_size}: they are not of one "
                             "model; copy the tokenizer's files from where the weights come from")
        warnings.warn(f"{folder}: the vocabulary lacks {', '.join(beyond)}: the model has no "
                      "embedding for it", stacklevel=2)
    return tokenizer


def _tokenizer_class(folder: Path) -> type[Tokenizer]:
    """The class of the tokenizer in a folder. Errors: there is none, or there are two."""
    path = folder / "tokenizer.json"
    model = read_json(path).get("model") if path.exists() else None
    is_bpe = isinstance(model, dict) and model.get("type") == "BPE"
    classes = {FILE_NAME: CharTokenizer, **{name: GPT2Tokenizer for name, _ in GPT2_FILES},
               "vocab.txt": BertTokenizer, path.name: GPT2Tokenizer if is_bpe else BertTokenizer}
    found = {name: one for name, one in classes.items() if (folder / name).exists()}
    if not found:
        raise InputError(f"{folder}: there is no tokenizer here ({FILE_NAME}, vocab.txt, "
                         "vocab.json with merges.txt, or tokenizer.json); give the folder of a run "
                         "or of a model, or copy the tokenizer's files into it")
    if len(set(found.values())) > 1:
        raise InputError(f"{folder}: {' and '.join(found)} belong to different tokenizers: remove "
                         "those that are out of date")
    found_class = next(iter(found.values()))
    return byte_level_class(folder) if found_class is GPT2Tokenizer else found_class
