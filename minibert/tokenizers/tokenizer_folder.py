"""The files of a folder beside the vocabulary: special tokens, added tokens, settings.

Hugging Face keeps added tokens in up to four files (added_tokens.json, special_tokens_map.json,
tokenizer_config.json, tokenizer.json). They are read in the order of transformers 5: where
tokenizer_config.json has added_tokens_decoder, that one counts, and the other files must agree with
it; else the other files are merged. What transformers would read differently is refused by name.
"""

from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path

from minibert.atomic_files import read_bytes, read_json, write_json, write_text
from minibert.checkpoints.folder_keys import (TOKENIZER_CONFIG, TOKENIZER_FILES, TOKENIZER_JSON,
                                              check_keys)
from minibert.errors import InputError
from minibert.tokenizers.added_tokens import AddedToken
from minibert.tokenizers.base import SIDES, Tokenizer, checked_vocab
from minibert.validate import flag, one_of, whole_number

# Hugging Face's names, in the order in which missing tokens get their ids.
NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
# Classes that cut a text as BertTokenizer or GPT2Tokenizer do; those without a method of their own
# do what tokenizer.json says.
CLASSES = {"WordPiece": ("BertTokenizer", "ElectraTokenizer", "ConvBertTokenizer",
                         "MobileBertTokenizer", "SqueezeBertTokenizer", "DistilBertTokenizer"),
           "BPE": ("GPT2Tokenizer",), "RoBERTa's BPE": ("RobertaTokenizer", "BartTokenizer")}
GENERIC_CLASSES = ("PreTrainedTokenizer", "TokenizersBackend")
NO_ID = -1  # of a token whose id is still to be found
NO_LIMIT = 10**9  # a larger model_max_length is Hugging Face's way to say: no limit
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
        self.config = read_optional(self.config_path)
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
            name = read_optional(path).get("tokenizer_class")
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
        return default if value is None else flag(f"{self.config_path}: {name}", value)

    def _model_max_length(self) -> int | None:
        """The longest text in tokens (max_len before 2020), None for no limit."""
        name = "max_len" if self.config.get("model_max_length") is None else "model_max_length"
        longest = self.config.get(name)
        if longest is None or (isinstance(longest, (int, float)) and longest > NO_LIMIT):
            return None
        return whole_number(f"{self.config_path}: {name}", longest, at_least=1)

    def _side(self, name: str) -> str:
        """padding_side or truncation_side."""
        part = self._json_part(name.removesuffix("_side"))
        value = self.config.get(name) or str(part.get("direction", SIDES[0])).lower()
        return one_of(f"{self.config_path}: {name}", value, SIDES)

    def _json_part(self, name: str) -> dict:
        """Field `name` of tokenizer.json, {} where it is null."""
        part = (self.json or {}).get(name) or {}
        if not isinstance(part, dict) or part.get("pad_type_id", 0) != 0:
            raise InputError(f"{self.json_path}: field {name} is {part!r:.60}; expected null or an "
                             "object, with pad_type_id 0")
        return part

    def _has_segments(self, cls: type[Tokenizer]) -> bool:
        """Whether a call of the tokenizer, a `cls`, gives token_type_ids."""
        names = self.config.get("model_input_names")
        if names is None:  # as in transformers 5; in 4 generic classes have them
            name = str(self.config.get("tokenizer_class")).removesuffix("Fast")
            return cls.has_segments and not self.is_generic and name != "DistilBertTokenizer"
        if not isinstance(names, list) or "input_ids" not in names:
            raise InputError(f"{self.config_path}: model_input_names is {names!r:.60}; expected "
                             "a list with input_ids")
        if "token_type_ids" in names and not cls.has_segments:
            raise InputError(f"{self.config_path}: model_input_names has token_type_ids, which "
                             f"a {cls.__name__} does not give here; remove it")
        return "token_type_ids" in names

    # ---- special and added tokens ----------------------------------------------------------------

    def build(self, cls: type[Tokenizer], source: Path, vocab: Mapping[str, int],
              arguments: Mapping) -> Tokenizer:
        """A `cls` with the tokens and settings of the folder. `source`: the file of `vocab`, which
        errors name; `arguments`: those of `cls` alone, and those that replace the folder's.

        A token that the vocabulary lacks gets the next id, as in transformers.
        """
        model = checked_vocab(vocab, f"{source}: vocabulary")
        named, extra = self._named(cls.defaults)
        special = [token for token in [*named.values(), *extra] if token is not None]
        vocab, added = dict(model), {}
        next_id, largest = len(model), max(model.values(), default=-1)
        for where, token in [*self._entries({token.content for token in special}),
                             *[("", token) for token in special]]:
            content, is_new = token.content, token.content not in vocab
            if is_new and largest >= next_id:
                raise InputError(f"{self.folder}: {content!r:.60} is not in the vocabulary, whose "
                                 "ids have holes (repeated or blank lines), so that its id is not "
                                 "certain; add it to the vocabulary")
            expected = next_id if is_new else vocab[content]
            if token.id not in (NO_ID, expected):
                raise InputError(f"{where}: {content!r:.60} has id {token.id}, and {expected}"
                                 f"{' is next' if is_new else ' in the vocabulary'}"
                                 "; are they of one tokenizer?")
            vocab[content] = expected
            next_id, largest = max(next_id, expected + 1), max(largest, expected)
            added.setdefault(content, token._replace(id=expected, in_vocab=content in model))
        own = {name: None if named[name] is None else named[name].content
               for name in (*cls.defaults, "pad_token")}
        others = [token.content for name, token in named.items()
                  if token is not None and name not in own]
        settings = {"model_max_length": self._model_max_length(),
                    "padding_side": self._side("padding_side"),
                    "extra_special_tokens": [*others, *(token.content for token in extra)],
                    "added_tokens": added.values()}
        try:
            tokenizer = cls(vocab, **settings | own | arguments)
        except InputError as error:
            raise InputError(f"{source}: {error}") from None
        tokenizer.truncation_side = self._side("truncation_side")
        tokenizer.has_segments = self._has_segments(cls)
        return tokenizer

    def _named(self, defaults: Mapping[str, str]
               ) -> tuple[dict[str, AddedToken | None], list[AddedToken]]:
        """(named special tokens, further ones), ids still to be found. Errors: a list, or a file
        that transformers does not read, names other tokens than were read before."""
        named: dict[str, AddedToken | None] = dict.fromkeys(NAMES)
        if not self.is_generic:
            named |= {name: AddedToken(token, NO_ID) for name, token in defaults.items()}
        elif self._json_part("padding").get("pad_token") is not None:
            named["pad_token"] = _token(self._json_part("padding")["pad_token"],
                                        f"{self.json_path}: padding.pad_token")
        extra: dict[str, AddedToken] = {}
        decoder = {token.content for _, token in self._decoder() or ()}
        map_path = self.folder / "special_tokens_map.json"
        for path, values in ((self.config_path, self.config), (map_path, read_optional(map_path))):
            is_ignored = path == map_path and "added_tokens_decoder" in self.config
            for name, value in values.items():
                where = f"{path}: {name}"
                if name in ("extra_special_tokens", "additional_special_tokens"):
                    found = _token_list(value, where)
                    known = {*extra, *decoder} if is_ignored else extra or found
                    extra = extra if is_ignored else extra or found
                elif name in NAMES or _is_token(name, value):
                    found = _token_list([] if value is None else [value], where)
                    known = found
                    if is_ignored:
                        known = [] if named.get(name) is None else [named[name].content]
                    else:
                        named[name] = next(iter(found.values()), None)
                else:
                    continue
                if set(found) - set(known):
                    raise InputError(f"{where} names {', '.join(found)!r:.100}, but "
                                     f"{self.config_path.name} {', '.join(known)!r:.100}; make "
                                     "the two agree")
        if self.is_generic and self.kind == "WordPiece" and named["unk_token"] is None:
            named["unk_token"] = _token(self.json["model"].get("unk_token", "[UNK]"),
                                        f"{self.json_path}: field model.unk_token")
        return named, list(extra.values())

    def _entries(self, special: set[str]) -> list[tuple[str, AddedToken]]:
        """[(file and field, added token with its id), ...] in the order of their ids. `special`:
        the tokens of added_tokens.json that are special, which the file does not say."""
        where = f"{self.json_path}: field added_tokens"
        entries = (self.json or {}).get("added_tokens") or []
        in_json = [(where, _entry(entry, where))
                   for entry in (entries if isinstance(entries, list) else [entries])]
        path = self.folder / "added_tokens.json"
        written = [(str(path), _token(content, f"{path}: a token")._replace(
                        id=_id(number, path), special=content in special,
                        normalized=content not in special))
                   for content, number in read_optional(path).items()]
        decoder = self._decoder()
        if decoder is None:  # of one token's entries tokenizer.json's counts
            return sorted([*in_json, *written], key=_entry_id)
        known = {token.content for _, token in decoder}
        for other, token in written if self.is_generic else [*in_json, *written]:
            if token.content not in known:
                raise InputError(f"{other}: {token.content!r:.60} is not among "
                                 f"added_tokens_decoder of {self.config_path.name}; make the two "
                                 "agree")
        return sorted([*in_json, *decoder] if self.is_generic else decoder, key=_entry_id)

    def _decoder(self) -> list[tuple[str, AddedToken]] | None:
        """added_tokens_decoder of tokenizer_config.json: [(file and field, token), ...]."""
        decoder, where = (self.config.get("added_tokens_decoder"),
                          f"{self.config_path}: added_tokens_decoder")
        if decoder is None:
            return None
        if not isinstance(decoder, dict):
            raise InputError(f"{where} is {decoder!r:.60}; expected ids with their tokens")
        return [(where, _entry(entry, where, int(number) if number.isdecimal() and len(number) < 12
                               else number)) for number, entry in decoder.items()]


def read_text(path: Path) -> str:
    """The text of a file. Errors: InputError for one that is not UTF-8."""
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a UTF-8 text file ({error})") from None


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


def common_settings(tokenizer: Tokenizer) -> dict:
    """The settings of tokenizer_config.json that all tokenizers share."""
    names = dict.fromkeys([*tokenizer.defaults, "pad_token"])
    settings = {name: getattr(tokenizer, name, None) for name in names
                if name in tokenizer.defaults or hasattr(tokenizer, name)}
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


def read_optional(path: Path) -> dict:
    """The JSON object in a file, {} where there is none."""
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
    return AddedToken(content, NO_ID, **flags)


def _token_list(values: object, where: str) -> dict[str, AddedToken]:
    """A list of special tokens (or an object: name -> token), by their texts."""
    values = list(values.values()) if isinstance(values, dict) else values or []
    if not isinstance(values, list):
        raise InputError(f"{where} is {values!r:.60}; expected a list of tokens")
    tokens = [_token(value, where) for value in values]
    return {token.content: token for token in tokens}


def _entry(entry: object, where: str, number: object = None) -> AddedToken:
    """An added token with its id (`number`, or a field of the entry) and options."""
    if not isinstance(entry, dict):
        raise InputError(f"{where}: {entry!r:.60} is no token with its id")
    token = _token(entry, where)
    special = bool(entry.get("special", False))
    return token._replace(id=_id(entry.get("id") if number is None else number, where),
                          special=special,
                          normalized=bool(entry.get("normalized", not special)))


def _id(number: object, where: object) -> int:
    if type(number) is not int or number < 0:
        raise InputError(f"{where}: {number!r:.60} is no token's id")
    return number
