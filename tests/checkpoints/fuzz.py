"""Damages model folders at random and opens them: only InputError may come out.

    python tests/checkpoints/fuzz.py 12000        (about two minutes)

A mutation changes one thing that somebody could change: a field of the safetensors header or of
the index, a line or a value of config.json and of the tokenizer's files, or a few raw bytes. Each
is opened as a user would: the model, the tokenizer, a few words through both. Any exception but
InputError, more memory than the file's size warrants, or a case that takes a minute is a failure,
and shows the seed that makes it again.
"""

from __future__ import annotations

import dataclasses
import faulthandler
import json
import random
import shutil
import sys
import tempfile
import tracemalloc
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

import minibert as mb
from minibert.checkpoints.safetensors import INDEX, load_file, save_file
from minibert.errors import InputError
from minibert.tokenizers.byte_level_pre_tokenizer import BYTE_TO_CHAR
from minibert.tokenizers.characters import CharTokenizer, load_tokenizer

TEXT = "the dog, naïvely 日 <|endoftext|>"
NASTY = [0, 1, -1, 2, 3, 7, 2**31, 2**53, 2**63, 2**64, 10**30, 10**12, 0.0, 0.5, -0.5, 1e300, True,
         False, None, "", "a", "gelu", "F32", "I64", "U8", "BF16", "BOOL", "F64", "\ud800", "\x00",
         "../x", "/dev/zero", "model-1.safetensors", "model.safetensors", [], [0], [1, 2], [0, 0],
         [0, 2**62], [2**31, 2**31], [-1], [[1]], {}, {"a": 1}, {"content": "[SEP]"},
         float("nan"), float("inf"), "x" * 5000]


def make_folders(root: Path) -> list[tuple[Path, type]]:
    """Small sound folders of every kind, each with the class that opens it."""
    words = mb.BertTokenizer.from_words("the dog , a ##s".split())
    bert = mb.BertConfig(vocab_size=len(words), hidden_size=4, num_hidden_layers=1,
                         num_attention_heads=2, intermediate_size=6, max_position_embeddings=40)
    classes = dataclasses.replace(bert, num_labels=3, id2label={0: "no", 1: "maybe", 2: "yes"},
                                  problem_type="single_label_classification")
    gpt = mb.GPT2Config(vocab_size=260, n_embd=4, n_layer=1, n_head=2, n_positions=90,
                        bos_token_id=0, eos_token_id=0)
    folders = []
    for name, model in (("bert", mb.BertForPreTraining(bert)), ("shards", mb.BertModel(bert)),
                        ("gpt", mb.GPT2LMHeadModel(gpt)), ("gpt_json", mb.GPT2Model(gpt)),
                        ("characters", mb.GPT2LMHeadModel(gpt)),
                        ("classes", mb.BertForSequenceClassification(classes))):
        folder = root / name
        model.save_pretrained(folder)
        folders.append((folder, type(model)))
    words.save_pretrained(root / "bert")
    words.save_pretrained(root / "classes")
    words.save_pretrained(root / "shards")
    _split(root / "shards")
    (root / "shards" / "vocab.txt").unlink()
    _write(root / "shards" / "tokenizer.json",
           {"model": {"type": "WordPiece", "vocab": words.vocab}})
    CharTokenizer.train([TEXT]).save_pretrained(root / "characters")
    tokens = [*BYTE_TO_CHAR.values(), "th", "the", "<|endoftext|>"]
    bytewise = mb.GPT2Tokenizer(tokens, [("t", "h"), ("th", "e")])
    bytewise.padding_side, bytewise.pad_token = "left", "the"
    bytewise.save_pretrained(root / "gpt")
    _write(root / "gpt_json" / "tokenizer.json", {
        "normalizer": None, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False},
        "model": {"type": "BPE", "vocab": bytewise.vocab, "merges": ["t h", ["th", "e"]]},
        "added_tokens": [{"id": 259, "content": "<user>", "special": True}]})
    return folders


def _split(folder: Path) -> None:
    arrays = load_file(folder / "model.safetensors")
    places = {name: f"model-{i % 2}.safetensors" for i, name in enumerate(arrays)}
    for file_name in set(places.values()):
        save_file({name: arrays[name] for name in arrays if places[name] == file_name},
                  folder / file_name)
    (folder / "model.safetensors").unlink()
    _write(folder / INDEX, {"metadata": {"total_size": 1}, "weight_map": places})


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))


def mutate(path: Path, rng: random.Random) -> None:
    """Change one thing in a file, in the way that suits its kind (or a few bytes of any)."""
    content = path.read_bytes()
    try:
        if rng.random() < 0.2:
            content = _mutate_bytes(content, rng)
        elif path.suffix == ".safetensors":
            content = _mutate_header(content, rng)
        elif path.suffix == ".json":
            content = json.dumps(_mutate_json(json.loads(content), rng)).encode()
        else:
            content = _mutate_lines(content, rng)
    except (ValueError, RecursionError):  # damaged already
        content = _mutate_bytes(content, rng)
    path.write_bytes(content)


def _mutate_header(content: bytes, rng: random.Random) -> bytes:
    length = int.from_bytes(content[:8], "little")
    text = json.dumps(_mutate_json(json.loads(content[8:8 + length]), rng)).encode()
    told = len(text)
    if rng.random() < 0.1:
        told = rng.choice([0, 1, told - 1, 2**31, 2**63, 2**64 - 1])
    return told.to_bytes(8, "little") + text + content[8 + length:]


def _mutate_lines(content: bytes, rng: random.Random) -> bytes:
    lines = content.split(b"\n")
    k = rng.randrange(len(lines))
    lines[k:k + 1] = rng.choice([[], [b""], [lines[k]] * 2, [b" "], [b"a b c"], [b"\xff\xfe"],
                                 [lines[k] + b"\r"], [b"x" * 10_000], [lines[k], b"\x85"]])
    return b"\n".join(lines)


def _mutate_bytes(content: bytes, rng: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(min(len(data), 2000) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            data[place:place + 1] = bytes([rng.randrange(256)])
        elif kind == 1:
            del data[place:place + rng.randint(1, 9)]
        elif kind == 2:
            data[place:place] = data[:rng.randint(1, 50)]
        elif rng.random() < 0.3:
            del data[place:]
    return bytes(data)


def _mutate_json(value: object, rng: random.Random) -> object:
    """One value somewhere inside becomes another, goes, or changes its name or place."""
    paths = list(_paths(value))
    path = rng.choice(paths)
    if not path:
        return rng.choice(NASTY) if rng.random() < 0.05 else value
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    key, kind = path[-1], rng.random()
    if kind < 0.6:
        parent[key] = rng.choice(NASTY)
    elif kind < 0.75:
        del parent[key]
    elif isinstance(parent, dict):
        other = rng.choice(list(parent))
        if kind < 0.9:
            parent[key], parent[other] = parent[other], parent[key]
        else:
            name = rng.choice(["", "a", "\x00", "a\nb", key.upper(), f"bert.{key}"])
            parent[name] = parent.pop(key)
    elif type(parent[key]) is int:
        parent[key] += rng.choice([-1, 1, 4, 8])
    return value


def _paths(value: object, before: tuple = ()):
    yield before
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from _paths(value[key], (*before, key))


def use(folder: Path, model_class: type) -> None:
    """Open a folder and put a few words through it, as a user would."""
    model = model_class.from_pretrained(folder)
    tokenizer = load_tokenizer(folder, model.config.vocab_size)
    ids = tokenizer(TEXT, truncation=True, max_length=12)["input_ids"]
    tokenizer.decode(ids)
    if hasattr(tokenizer, "pad_token"):
        tokenizer([TEXT, "the"], padding=True)
    if ids:
        with mb.no_grad():
            model(np.array([ids]))
        if hasattr(model, "generate"):
            model.generate(np.array([ids]), max_new_tokens=2, sliding_window=True)


def run(seed: int, folders: list[tuple[Path, type]], root: Path) -> str:
    """One mutation: "opened", or the message of the InputError."""
    rng = random.Random(seed)
    folder, model_class = rng.choice(folders)
    copy = root / "mutated"
    shutil.copytree(folder, copy)
    try:
        for _ in range(rng.choice([1, 1, 1, 2])):
            mutate(rng.choice(sorted(copy.iterdir())), rng)
        size = sum(path.stat().st_size for path in copy.iterdir())
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                use(copy, model_class)
            outcome = "opened"
        except InputError as error:
            outcome = str(error)
            if len(outcome.splitlines()) != 1 or len(outcome) > 1500:
                raise AssertionError(f"not one line: {outcome!r:.300}") from error
        taken = tracemalloc.get_traced_memory()[1] - before
        if taken > 4_000_000 + 40 * size:
            raise AssertionError(f"took {taken:,} bytes of memory for {size:,} bytes of files")
        return outcome
    except Exception as error:
        error.args = (f"seed {seed}, {folder.name}: {error}",)
        raise
    finally:
        shutil.rmtree(copy)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 12_000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    seen: Counter[str] = Counter()
    tracemalloc.start()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        folders = make_folders(root)
        for folder, model_class in folders:
            use(folder, model_class)
        for seed in range(first, first + count):
            faulthandler.dump_traceback_later(60, exit=True)  # a hang ends here
            seen["opened" if run(seed, folders, root) == "opened" else "refused"] += 1
        faulthandler.cancel_dump_traceback_later()
    print(f"{count} mutations: " + ", ".join(f"{n} {what}" for what, n in seen.items()))


if __name__ == "__main__":
    main()
