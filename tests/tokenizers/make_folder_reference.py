"""Writes reference/folders.json: small tokenizer folders of every kind, and what transformers does
with a few texts.

    python tests/tokenizers/make_folder_reference.py  (needs transformers 5; tests do not)

Each folder is opened by AutoTokenizer; and what minibert saves of it is opened by AutoTokenizer
again, with the same result.
"""

import json
import tempfile
import warnings
from pathlib import Path

import tokenizers
import transformers
from transformers import AutoTokenizer

from minibert.tokenizers.byte_level_bpe import GPT2Tokenizer
from minibert.tokenizers.characters import load_tokenizer

NAMED = {"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]",
         "mask_token": "[MASK]"}
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES = ["the", "bank", "is", "The", "Bank", "play", "##ing", "##s", "cafe", "café", "foo", "bar",
          "日", "本", "[", "]", "'", "s", "!", "world", "mask", "e", "##1"]
VOCAB = SPECIALS + PIECES
N = len(VOCAB)
BERT_TEXTS = ["", "the bank", "The Banks is playing!", "the [MASK] bank [mask]", "[E1] bank [e1]x",
              "foobar FooBar foobars", "foo bar, foo barx", "the bankis banks", "café CAFÉ 日本",
              "[SEP] the  [E1] world 's", "</s> the <mask>", "\u3000the\tbank\n"]
END = "<|endoftext|>"
GPT2_TEXTS = ["", "the bank", " The bank's world", "the<pad> bank <usr>", f"a{END} {END}b",
              "foobar bank banks", "naïve 日本 \n\n x", "<s1>the <sep>"]
ROBERTA_TEXTS = ["", "the bank", " The bank's world  ",
                 "the  <mask> bank<mask></s> naïve 日本\n x"]


def token(content: str, special: bool = True, **changes) -> dict:
    return {"content": content, "lstrip": False, "normalized": not special, "rstrip": False,
            "single_word": False, "special": special} | changes


def decoder(*tokens: dict, first: int = N) -> dict:
    """added_tokens_decoder: the special tokens of BERT, and `tokens` behind the vocabulary."""
    return {str(i): token(t) for i, t in enumerate(SPECIALS)} | {
        str(first + k): entry for k, entry in enumerate(tokens)}


def template(single: str, pair: str, ids: dict[str, int]) -> dict:
    """"[CLS]:0 A:0 [SEP]:0" as tokenizer.json writes it."""
    def steps(text: str) -> list[dict]:
        return [{"Sequence" if name in "AB" else "SpecialToken": {"id": name, "type_id": int(kind)}}
                for name, kind in (part.split(":") for part in text.split())]

    return {"type": "TemplateProcessing", "single": steps(single), "pair": steps(pair),
            "special_tokens": {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in ids.items()}}


BERT_TEMPLATE = template("[CLS]:0 A:0 [SEP]:0", "[CLS]:0 A:0 [SEP]:0 B:1 [SEP]:1",
                         {"[CLS]": 2, "[SEP]": 3})


def wordpiece_json(vocab: dict | None = None, added: tuple = (), lowercase: bool = True,
                   post_processor: dict | None = BERT_TEMPLATE, longest: int = 100) -> dict:
    vocab = vocab or {t: i for i, t in enumerate(VOCAB)}
    return {"version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [{"id": i} | token(t) for i, t in enumerate(SPECIALS)] + list(added),
            "normalizer": {"type": "BertNormalizer", "clean_text": True,
                           "handle_chinese_chars": True, "strip_accents": None,
                           "lowercase": lowercase},
            "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": post_processor,
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                      "max_input_chars_per_word": longest, "vocab": vocab}}


def bpe_json(small: GPT2Tokenizer, post_processor: dict | None, added: tuple = ()) -> dict:
    cutting = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
               "use_regex": True}
    return {"version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [{"id": small.eos_token_id} | token(END), *added],
            "normalizer": None, "pre_tokenizer": cutting, "post_processor": post_processor,
            "decoder": cutting,
            "model": {"type": "BPE", "dropout": None, "unk_token": None,
                      "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": False,
                      "byte_fallback": False, "vocab": small.vocab,
                      "merges": [" ".join(pair) for pair in small.merges]}}


def bert_folders() -> dict[str, dict]:
    def with_txt(lines: list[str] = VOCAB, **files) -> dict:
        return {"vocab.txt": "".join(line + "\n" for line in lines)} | {
            f"{name}.json": value for name, value in files.items()}

    config = {"tokenizer_class": "BertTokenizer", "do_lower_case": True}
    generic = NAMED | {"tokenizer_class": "PreTrainedTokenizerFast"}
    other = {"unk_token": "<unk>", "sep_token": "</s>", "pad_token": "<pad>", "cls_token": "<s>",
             "mask_token": "<mask>"}
    slow = {"added_tokens": {"[E1]": N}, "special_tokens_map":
            NAMED | {"additional_special_tokens": ["[E1]"]}, "tokenizer_config":
            config | {"additional_special_tokens": ["[E1]"],
                      "added_tokens_decoder": decoder(token("[E1]"))}}
    words = (token("foobar", False), token("FooBar", False, normalized=False),
             token("foo bar", False, single_word=True), token("[E1]", lstrip=True, rstrip=True))
    return {
        "added_tokens.json": with_txt(added_tokens={"[e1]": N, "foobar": N + 1}),
        "added_tokens_decoder": with_txt(tokenizer_config=config | {
            "added_tokens_decoder": decoder(*words)}),
        "the files of 4.34 to 4.57": with_txt(**slow),
        "an added word that the vocabulary has": with_txt(tokenizer_config=config | {
            "added_tokens_decoder": decoder() | {"6": token("bank", False)}}),
        "special_tokens_map.json": with_txt(special_tokens_map=NAMED | {
            "additional_special_tokens": ["world", "[E1]"], "mask_token":
            {"content": "[MASK]", "lstrip": True, "normalized": False, "rstrip": False,
             "single_word": False}}),
        "other names": with_txt(["<pad>", "<unk>", "<s>", "</s>", "<mask>"] + PIECES,
                                special_tokens_map=other),
        "further names": with_txt(tokenizer_config=config | {
            "e1_token": "[E1]", "extra_special_tokens": ["world"], "bos_token": "<s>"}),
        "no [MASK]": with_txt([t for t in VOCAB if t != "[MASK]"]),
        "mask_token null": with_txt(tokenizer_config=config | {"mask_token": None}),
        "repeated and blank lines": with_txt(
            SPECIALS + ["the", "bank", "s"] + PIECES + ["", "bank", "the ", ""]),
        "clean_up_tokenization_spaces": with_txt(tokenizer_config=config | {
            "clean_up_tokenization_spaces": True, "max_len": 20}),
        "DistilBERT": with_txt(tokenizer_config={"tokenizer_class": "DistilBertTokenizerFast"}),
        "no token_type_ids": with_txt(tokenizer_config=config | {
            "model_input_names": ["input_ids", "attention_mask"], "do_lower_case": False}),
        "ids with a hole": {"tokenizer.json": wordpiece_json(
            {t: i + (i > 20) for i, t in enumerate(VOCAB)}), "tokenizer_config.json": config},
        "tokenizer.json with added tokens": {"tokenizer.json": wordpiece_json(added=(
            {"id": N} | token("foobar", False), {"id": N + 1} | token("[E1]")))},
        "generic, cased, short words": {
            "tokenizer.json": wordpiece_json(lowercase=False, longest=5),
            "tokenizer_config.json": generic},
        "generic, without a template": {"tokenizer.json": wordpiece_json(post_processor=None),
                                        "tokenizer_config.json": generic},
        "generic, another template": {"tokenizer.json": wordpiece_json(post_processor=template(
            "A:0 [SEP]:1", "[CLS]:0 A:0 B:1", {"[CLS]": 2, "[SEP]": 3})),
            "tokenizer_config.json": generic | {"model_input_names": ["input_ids",
                                                                      "token_type_ids"]}},
    }


def gpt2_folders() -> dict[str, dict]:
    small = GPT2Tokenizer.train(["the bank the world's foobar"] * 3, 275)
    n = small.vocab_size
    with tempfile.TemporaryDirectory() as folder:
        small.save_pretrained(folder)
        plain = {name: (Path(folder) / name).read_text(encoding="utf-8")
                 for name in ("vocab.json", "merges.txt")}
    config = {"tokenizer_class": "GPT2Tokenizer"}
    few = [END, *"thebankiwodrlsfum", "Ġ", "th", "the", "ba", "Ġba"]
    around = template(f"{END}:0 A:0", f"{END}:0 A:0 {END}:1 B:1", {END: small.eos_token_id})
    return {
        "GPT-2 with added tokens": plain | {
            "added_tokens.json": {"<pad>": n, "<usr>": n + 1},
            "tokenizer_config.json": config | {"pad_token": "<pad>"}},
        "GPT-2 with added_tokens_decoder": plain | {"tokenizer_config.json": config | {
            "added_tokens_decoder": {str(small.eos_token_id): token(END), str(n): token("<pad>"),
                                     str(n + 1): token("banks", False, single_word=True)}}},
        "GPT-2 with special_tokens_map.json": plain | {"special_tokens_map.json": {
            "bos_token": token(END, normalized=True), "pad_token": "<pad>", "sep_token": "<sep>",
            "additional_special_tokens": ["<s1>"]}},
        "GPT-2 with add_bos_token": plain | {"tokenizer_config.json": config | {
            "add_bos_token": True}},
        "GPT-2 of tokenizer.json": {"tokenizer.json": bpe_json(small, around, (
            {"id": n} | token("<usr>"),)), "tokenizer_config.json": config},
        "GPT-2 without all bytes": {"vocab.json": json.dumps({t: i for i, t in enumerate(few)}),
                                    "merges.txt": "t h\nth e\nb a\nĠ ba\n"},
    }


def roberta_folders() -> dict[str, dict]:
    small = GPT2Tokenizer.train(["the bank the world's foobar"] * 3, 275)
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *[t for t in small.vocab if t != END], "<mask>"]
    vocab = {t: i for i, t in enumerate(tokens)}
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "</s>",
             "pad_token": "<pad>", "cls_token": "<s>", "mask_token": "<mask>"}
    plain = {"vocab.json": json.dumps(vocab),
             "merges.txt": "".join(f"{a} {b}\n" for a, b in small.merges)}
    model = {"config.json": {"model_type": "roberta"}}
    config = {"tokenizer_class": "RobertaTokenizer", "add_prefix_space": False}
    generic = names | {"tokenizer_class": "PreTrainedTokenizerFast"}
    around = {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0],
              "trim_offsets": True, "add_prefix_space": False}
    untrimmed = template("<s>:0 A:0 </s>:0", "<s>:0 A:0 </s>:0 </s>:0 B:0 </s>:0",
                         {"<s>": 0, "</s>": 2})

    def whole(post_processor: dict) -> dict:
        content = bpe_json(small, post_processor)
        content["added_tokens"] = [{"id": vocab[t]} | token(t) for t in sorted(
            set(names.values()), key=vocab.get)]
        content["model"]["vocab"] = vocab
        return {"tokenizer.json": content}

    strips = {str(vocab[t]): token(t, lstrip=t == "<mask>") for t in sorted(
        set(names.values()), key=vocab.get)}
    return {
        "RoBERTa": plain | model,
        "RoBERTa of transformers 5": whole(around) | {
            "tokenizer_config.json": config | names | {"trim_offsets": True}},
        "RoBERTa of transformers 4": plain | {
            "tokenizer_config.json": config | names | {"added_tokens_decoder": strips}},
        "RoBERTa untrimmed": plain | {"tokenizer_config.json": config | {"trim_offsets": False}},
        "RoBERTa generic": whole(around) | {"tokenizer_config.json": generic},
        "RoBERTa generic, TemplateProcessing": whole(untrimmed) | model | {
            "tokenizer_config.json": generic},
    }


def write(folder: Path, files: dict, model_type: str) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in {"config.json": {"model_type": model_type}, **files}.items():
        (folder / name).write_text(content if isinstance(content, str) else
                                   json.dumps(content, ensure_ascii=False), encoding="utf-8")


def row(tokenizer, text: str, with_offsets: bool) -> list:
    """[text, ids, offsets, ids of the text as a pair with itself, segments, decoded, without
    special tokens]."""
    single = tokenizer(text, return_offsets_mapping=True)
    pair = tokenizer(text, text or "the")
    ids = single["input_ids"]
    return [text, ids, [list(o) for o in single["offset_mapping"]] if with_offsets else None,
            pair["input_ids"], pair.get("token_type_ids"), tokenizer.decode(ids),
            tokenizer.decode(ids, skip_special_tokens=True)]


def main() -> None:
    warnings.simplefilter("ignore")
    content = []
    for model_type, folders, texts in (("bert", bert_folders(), BERT_TEXTS),
                                       ("gpt2", gpt2_folders(), GPT2_TEXTS),
                                       ("roberta", roberta_folders(), ROBERTA_TEXTS)):
        for name, files in folders.items():
            with_offsets = "without all bytes" not in name  # their places are wrong there
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "theirs"
                write(path, files, model_type)
                theirs = AutoTokenizer.from_pretrained(path)
                rows = [row(theirs, text, with_offsets) for text in texts]
                load_tokenizer(path).save_pretrained(path)
                again = AutoTokenizer.from_pretrained(path)
                assert [row(again, text, with_offsets) for text in texts] == rows, name
            content.append({"name": name, "files": files, "rows": rows})
    path = Path(__file__).parent / "reference" / "folders.json"
    made = {"transformers": transformers.__version__, "tokenizers": tokenizers.__version__}
    with path.open("w", encoding="ascii") as file:  # one line a folder
        file.write(f'{{"made_with": {json.dumps(made)},\n"folders": [\n' + ",\n".join(
            json.dumps(folder, separators=(",", ":")) for folder in content) + "\n]}\n")
    print(len(content), "folders", path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
