"""The files of a folder beside the vocabulary: special tokens, added tokens, settings.

Hugging Face keeps added tokens in up to four files (added_tokens.json, special_tokens_map.json,
tokenizer_config.json, tokenizer.json). They are read in the order of transformers 5: where
tokenizer_config.json has added_tokens_decoder, that one counts, and the other files must agree with
it; else the other files are merged. What transformers would read differently is refused by name.
"""

from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path

from minibert.atomic_files import read_json, write_json, write_text
from minibert.checkpoints.folder_keys import (TOKENIZER_CONFIG, TOKENIZER_FILES, TOKENIZER_JSON,
                                              check_keys)
from minibert.errors import InputError
from minibert.tokenizers.added_tokens import AddedToken
from minibert.tokenizers.base import SIDES, Tokenizer, checked_vocab

# Hugging Face's names, in the order in which missing tokens get their ids.
NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
# Classes that cut a text as BertTokenizer or GPT2Tokenizer do; those without a method of their own
# do what tokenizer.json says.
CLASSES = {"WordPiece": ("BertTokenizer", "ElectraTokenizer", "ConvBertTokenizer",
                         "MobileBertTokenizer", "SqueezeBertTokenizer", "DistilBertTokenizer"),
           "BPE": ("GPT2Tokenizer",), "RoBERTa's BPE": ("RobertaTokenizer", "BartTokenizer")}
GENERIC_CLASSES = ("PreTrainedTokenizer", "TokenizersBackend")
_FLAGS = ("special", "normalized", "lstrip", "rstrip", "single_word")


class TokenizerFolder:
    """The tokenizer settings in the files of `folder`, of the given kind ("WordPiece", "BPE")."""

    def __init__(self, folder: Path, kind: str):
        if not folder.is_dir():
            raise InputError(f"{folder}: there is no such folder; nothing is downloaded here, give "
                             "the path of one that holds the tokenizer's files")
        self.folder, self.kind = folder, kind
        self.config_path, self.json_path = (folder / "tokenizer_config.json",
                                            folder / "tokenizer.json")
        self.config = _read_optional(self.config_path)
        self.json = read_json(self.json_path) if self.json_path.exists() else None
        check_keys(self.config_path, {key: value for key, value in self.config.items()
                                      if not _is_token(key, value)}, TOKENIZER_CONFIG)
        if self.json is not None:
            check_keys(self.json_path, self.json, TOKENIZER_JSON)
        self.is_generic = self._is_generic()

    def _is_generic(self) -> bool:
        """Whether the class is one that does what tokenizer.json says. Errors: unknown classes."""
        path, name = self.config_path, self.config.get("tokenizer_class")
        if name is None:
            path = self.folder / "config.json"
            name = _read_optional(path).get("tokenizer_class")
        if name is None:
            return False
        bare = str(name).removesuffix("Fast")
        if bare not in (*CLASSES[self.kind], *GENERIC_CLASSES):
            raise InputError(f"{path}: tokenizer_class {name!r:.60} is not supported for "
                             f"{self.kind}: expected {', '.join(CLASSES[self.kind])}, or "
                             "PreTrainedTokenizerFast with tokenizer.json")
        if bare in GENERIC_CLASSES and self.json is None:
            raise InputError(f"{path}: tokenizer_class {name} needs a tokenizer.json, which is "
                             f"not in this folder; add it, or name {CLASSES[self.kind][0]}")
        return bare in GENERIC_CLASSES

    # ---- settings --------------------------------------------------------------------------------

    def flag(self, name: str, default: bool | None) -> bool | None:
        """A key of tokenizer_config.json that is true or false (or null: the default)."""
        value = self.config.get(name)
        if value is not None and not isinstance(value, bool):
            raise InputError(f"{self.config_path}: {name} is {value!r:.60}; expected true or false")
        return default if value is None else value

    def model_max_length(self) -> int | None:
        """The longest text in tokens (max_len before 2020), None for no limit."""
        name = "max_len" if self.config.get("model_max_length") is None else "model_max_length"
        longest = self.config.get(name)
        if type(longest) in (int, float) and longest > 10**9:  # Hugging Face's way to say: no limit
            return None
        if longest is not None and (type(longest) is not int or longest < 1):
            raise InputError(f"{self.config_path}: {name} is {longest!r:.60}; expected a whole "
                             "number from 1")
        return longest

    def side(self, name: str) -> str:
        """padding_side or truncation_side."""
        part = self._json_part(name.removesuffix("_side"))
        value = self.config.get(name) or str(part.get("direction", SIDES[0])).lower()
        if value not in SIDES:
            raise InputError(f"{self.config_path}: {name} is {value!r:.60}; expected one of "
                             f"{SIDES}")
        return value

    def _json_part(self, name: str) -> dict:
        """Field `name` of tokenizer.json, {} where it is null."""
        part = (self.json or {}).get(name) or {}
        if not isinstance(part, dict) or part.get("pad_type_id", 0) != 0:
            raise InputError(f"{self.json_path}: field {name} is {part!r:.60}; expected null or an "
                             "object, with pad_type_id 0")
        return part

    def configure(self, tokenizer: Tokenizer) -> None:
        """Set the attributes of `tokenizer` that are no arguments of its class."""
        tokenizer.truncation_side = self.side("truncation_side")
        names = self.config.get("model_input_names")
        if names is None:
            name = str(self.config.get("tokenizer_class")).removesuffix("Fast")
            without = self.is_generic or name == "DistilBertTokenizer"
            tokenizer.has_segments &= not without  # transformers 5; in 4 generic ones have them
            return
        if not isinstance(names, list) or "input_ids" not in names:
            raise InputError(f"{self.config_path}: model_input_names is {names!r:.60}; expected "
                             "a list with input_ids")
        if "token_type_ids" in names and not tokenizer.has_segments:
            raise InputError(f"{self.config_path}: model_input_names has token_type_ids, which "
                             f"a {type(tokenizer).__name__} does not give here; remove it")
        tokenizer.has_segments = "token_type_ids" in names

    # ---- special and added tokens ----------------------------------------------------------------

    def tokens(self, source: Path, vocab: Mapping[str, int], defaults: Mapping[str, str]
               ) -> tuple[dict[str, int], dict]:
        """(the vocabulary with all tokens, the arguments of the class that name tokens).

        `source`: the file of `vocab`; `defaults`: the named tokens of the class. A token that the
        vocabulary lacks gets the next id, as in transformers.
        """
        try:
            vocab = checked_vocab(vocab)
        except InputError as error:
            raise InputError(f"{source}: {error}") from None
        named, extra = self._named(defaults)
        model, vocab, added = vocab, dict(vocab), {}
        for where, entry in self._entries(named, extra):
            expected = vocab.get(entry.content)
            if expected is None:
                expected = self._next_id(vocab, len(model), added, entry.content)
            if entry.id != expected:
                raise InputError(f"{where}: {entry.content!r:.60} has id {entry.id}, and {expected}"
                                 f"{' in the vocabulary' if entry.content in vocab else ' is next'}"
                                 "; are they of one tokenizer?")
            added.setdefault(entry.content, entry._replace(in_vocab=entry.content in model))
            vocab[entry.content] = entry.id
        for token in [*named.values(), *extra]:
            if token is not None and token.content not in added:
                if token.content not in vocab:
                    vocab[token.content] = self._next_id(vocab, len(model), added, token.content)
                added[token.content] = token._replace(id=vocab[token.content],
                                                      in_vocab=token.content in model)
        arguments = {name: None if named.get(name) is None else named[name].content
                     for name in (*defaults, *(["pad_token"] if "pad_token" in named else []))}
        others = [token.content for name, token in named.items()
                  if token is not None and name not in arguments]
        return vocab, arguments | {
            "extra_special_tokens": [*others, *(token.content for token in extra)],
            "added_tokens": list(added.values())}

    def _next_id(self, vocab: Mapping[str, int], n_model: int, added: Mapping[str, AddedToken],
                 content: str) -> int:
        """The id that transformers gives a new token."""
        largest = max((token.id for token in added.values()), default=-1)
        next_id = largest + 1 if largest >= n_model else n_model
        if max(vocab.values(), default=-1) >= next_id:
            raise InputError(f"{self.folder}: {content!r:.60} is not in the vocabulary, whose ids "
                             "have holes (repeated or blank lines), so that its id is not certain; "
                             "add it to the vocabulary")
        return next_id

    def _named(self, defaults: Mapping[str, str]
               ) -> tuple[dict[str, AddedToken | None], list[AddedToken]]:
        """(named special tokens, further ones), ids still to be found."""
        path = self.folder / "special_tokens_map.json"
        listed = _read_optional(path)
        sources = [(self.config_path, self.config)]
        if "added_tokens_decoder" not in self.config:
            sources.append((path, listed))
        named: dict[str, AddedToken | None] = dict.fromkeys(NAMES)
        if not self.is_generic:
            named |= {name: AddedToken(token, -1) for name, token in defaults.items()}
        elif self._json_part("padding").get("pad_token") is not None:
            named["pad_token"] = _token(self._json_part("padding")["pad_token"],
                                        f"{self.json_path}: padding.pad_token")
        extra: dict[str, AddedToken] = {}
        for where, values in sources:
            for name, value in values.items():
                if name in NAMES or _is_token(name, value):
                    named[name] = None if value is None else _token(value, f"{where}: {name}")
            for name in ("extra_special_tokens", "additional_special_tokens"):
                found = _token_list(values.get(name), f"{where}: {name}")
                if found and extra and set(found) - set(extra):
                    raise InputError(f"{where}: {name} names other tokens than the lists read "
                                     f"before; expected {', '.join(extra)!r:.100}")
                extra = extra or found
        if "added_tokens_decoder" in self.config:
            self._check_ignored(path, listed, named, extra)
        return named, list(extra.values())

    def _check_ignored(self, path: Path, listed: Mapping, named: Mapping,
                       extra: Mapping[str, AddedToken]) -> None:
        """Errors: special_tokens_map.json has what transformers does not read from it."""
        for name, value in listed.items():
            if name in ("extra_special_tokens", "additional_special_tokens"):
                new = set(_token_list(value, f"{path}: {name}")) - set(extra)
            else:
                token = None if value is None else _token(value, f"{path}: {name}").content
                known = named.get(name)
                new = {token} - {None if known is None else known.content}
            decoder = self.config["added_tokens_decoder"]
            new -= {entry.get("content") for entry in decoder.values() if isinstance(entry, dict)
                    } if isinstance(decoder, dict) and not name.endswith("_token") else set()
            if new:
                raise InputError(f"{path}: {name} names {sorted(map(str, new))!s:.100}, which "
                                 f"{self.config_path.name} does not; make the two agree")

    def _entries(self, named: Mapping[str, AddedToken | None], extra: list[AddedToken]
                 ) -> list[tuple[str, AddedToken]]:
        """[(file and field, added token with its id), ...] in the order of their ids."""
        special = {token.content for token in [*named.values(), *extra] if token is not None}
        found = []  # (where, token)
        where = f"{self.json_path}: field added_tokens"
        entries = (self.json or {}).get("added_tokens") or []
        for entry in entries if isinstance(entries, list) else [entries]:
            number = entry.get("id") if isinstance(entry, dict) else None
            found.append((where, _entry(number, entry, where)))
        path = self.folder / "added_tokens.json"
        written = [(str(path), _token(content, f"{path}: a token")._replace(
                        id=_id(number, path), special=content in special,
                        normalized=content not in special))
                   for content, number in _read_optional(path).items()]
        decoder = self.config.get("added_tokens_decoder")
        if decoder is not None:
            where = f"{self.config_path}: added_tokens_decoder"
            if not isinstance(decoder, dict):
                raise InputError(f"{where} is {decoder!r:.60}; expected ids with their tokens")
            counted = [(where, _entry(int(number) if number.isdecimal() and len(number) < 12
                                      else number, entry, where))
                       for number, entry in decoder.items()]
            known = {token.content for _, token in counted}
            for other, token in [*(() if self.is_generic else found), *written]:
                if token.content not in known:
                    raise InputError(f"{other}: {token.content!r:.60} is not among "
                                     f"added_tokens_decoder of {self.config_path.name}; make the "
                                     "two agree")
            found = [*found, *counted] if self.is_generic else counted
        else:  # of one token's entries tokenizer.json's counts
            found = [*found, *written]
        return sorted(found, key=_entry_id)


def save_files(folder: str | Path, texts: Mapping[str, str], objects: Mapping[str, dict]) -> None:
    """Write a tokenizer's files (texts, and JSON objects) and then remove those of another
    tokenizer that lay there, which would be opened in their place."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_text(folder / name, text)
    for name, value in objects.items():
        write_json(folder / name, value)
    for name in TOKENIZER_FILES:
        if name not in texts and name not in objects:
            (folder / name).unlink(missing_ok=True)


def common_settings(tokenizer: Tokenizer, defaults: Mapping[str, str]) -> dict:
    """The settings of tokenizer_config.json that all tokenizers share."""
    names = (*defaults, *(["pad_token"] if "pad_token" not in defaults else []))
    settings = {name: getattr(tokenizer, name, None) for name in names
                if name in defaults or hasattr(tokenizer, name)}
    if tokenizer.model_max_length is not None:
        settings["model_max_length"] = tokenizer.model_max_length
    for name in ("padding_side", "truncation_side"):
        if getattr(tokenizer, name) != SIDES[0]:
            settings[name] = getattr(tokenizer, name)
    if tokenizer.has_segments != type(tokenizer).has_segments:
        settings["model_input_names"] = ["input_ids", "attention_mask"]
    named = [token for token in settings.values()
             if isinstance(token, str) and token in tokenizer.added_tokens]
    if any(token.content not in named or any(getattr(token, name) for name in _FLAGS[1:])
           for token in tokenizer.added_tokens.values()):
        settings["added_tokens_decoder"] = {
            str(token.id): {"content": token.content} | {name: getattr(token, name)
                                                         for name in _FLAGS}
            for token in sorted(tokenizer.added_tokens.values(), key=attrgetter("id"))}
    if tokenizer.extra_special_tokens:  # the key that transformers 4 reads, and 5 translates
        settings["additional_special_tokens"] = tokenizer.extra_special_tokens
    return settings


def _entry_id(found: tuple[str, AddedToken]) -> int:
    return found[1].id


def _read_optional(path: Path) -> dict:
    return read_json(path) if path.exists() else {}


def _is_token(name: str, value: object) -> bool:
    """Whether a key of tokenizer_config.json names a special token: e1_start_token = "[E1]"."""
    return name.endswith("_token") and isinstance(value, (str, dict))


def _token(value: object, where: str) -> AddedToken:
    """A special token as settings write it: its text, or an object with its options."""
    content = value.get("content") if isinstance(value, dict) else value
    if not isinstance(content, str) or not content:
        raise InputError(f"{where} is {value!r:.60}; expected a token")
    flags = {name: bool(value.get(name, False)) for name in _FLAGS[1:]} \
        if isinstance(value, dict) else {}
    return AddedToken(content, -1, **flags)


def _token_list(values: object, where: str) -> dict[str, AddedToken]:
    """A list of special tokens (or an object: name -> token), by their texts."""
    values = list(values.values()) if isinstance(values, dict) else values or []
    if not isinstance(values, list):
        raise InputError(f"{where} is {values!r:.60}; expected a list of tokens")
    tokens = [_token(value, where) for value in values]
    return {token.content: token for token in tokens}


def _entry(number: object, entry: object, where: str) -> AddedToken:
    """An added token with its id and options."""
    if not isinstance(entry, dict):
        raise InputError(f"{where}: {entry!r:.60} is no token with its id")
    token = _token(entry, where)
    special = bool(entry.get("special", False))
    return token._replace(id=_id(number, where), special=special,
                          normalized=bool(entry.get("normalized", not special)))


def _id(number: object, where: object) -> int:
    if type(number) is not int or number < 0:
        raise InputError(f"{where}: {number!r:.60} is no token's id")
    return number
