"""Texts to train on: the user's files, Python's documentation, the toy world.

A corpus gives the same text twice. BERT reads documents, which are lists of sentences; GPT reads
plain texts. Either way a part is held out: whole documents for BERT, the last tenth of the user's
raw text for GPT. Nothing held out is seen by a vocabulary or by a model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minibert.data.python_docs import python_documents
from minibert.data.sentence_splitter import split_paragraphs, split_sentences
from minibert.errors import InputError
from minibert.tokenizers.characters import CharTokenizer
from minibert.tokenizers.wordpiece import BertTokenizer
from minibert.toy_world.grammar import ToyWorld

FORMATS = ("prose", "lines")
TOKENIZERS = ("wordpiece", "chars")
VOCAB_SIZE = 4_000
SUFFIXES = (".txt", ".md", ".rst")
HELD_OUT_SHARE = 0.1
TOY_DOCUMENTS, TOY_HELD_OUT_DOCUMENTS = 10_000, 1_000
TOY_SEEDS = (20_180_611, 20_181_011)  # the days GPT and BERT came out; the text is always the same

Documents = list[list[str]]


@dataclass(frozen=True)
class Corpus:
    """One text, in documents of sentences and as plain texts, each with its held-out part."""

    name: str
    train_documents: Documents
    held_out_documents: Documents
    train_texts: list[str]
    held_out_texts: list[str]
    sentences_per_segment: int | None = None  # None: BERT's segments fill the context
    words: tuple[str, ...] | None = None  # a closed world's vocabulary

    def repeated_share(self) -> float:
        """The share of held-out sentences that also occur in the training documents."""
        known = {sentence for document in self.train_documents for sentence in document}
        held_out = [sentence for document in self.held_out_documents for sentence in document]
        return sum(sentence in known for sentence in held_out) / max(len(held_out), 1)

    def describe(self) -> list[str]:
        """Its size, and how much of what is held out is not new."""
        lines = []
        for name, documents, texts in (
                ("training", self.train_documents, self.train_texts),
                ("held out", self.held_out_documents, self.held_out_texts)):
            sentences, characters = sum(map(len, documents)), sum(map(len, texts))
            lines.append(f"{name}: {len(documents):,} documents with {sentences:,} sentences for "
                         f"BERT, {characters:,} characters for GPT")
        lines.append(f"{self.repeated_share():.1%} of the held-out sentences also occur in the "
                     "training text")
        return lines


def train_tokenizer(corpus: Corpus, kind: str, reader: str,
                    vocab_size: int = VOCAB_SIZE) -> BertTokenizer | CharTokenizer:
    """A tokenizer, "wordpiece" or "chars", for "bert" or "gpt", from the training text alone.

    In a closed world every word is one piece. What the training text does not have is unknown.
    """
    if kind not in TOKENIZERS or reader not in ("bert", "gpt"):
        raise InputError(f"tokenizer {kind!r} for {reader!r}: expected {' or '.join(TOKENIZERS)}, "
                         "for bert or gpt")
    if kind == "chars":
        if reader == "bert":
            raise InputError("tokenizer chars: has no [CLS], [SEP] and [MASK], which BERT needs; "
                             "use wordpiece")
        return CharTokenizer.train(corpus.train_texts, errors="replace")
    if corpus.words is not None:
        return BertTokenizer.from_words(corpus.words)
    if reader == "gpt":
        return BertTokenizer.train(corpus.train_texts, vocab_size)
    sentences = [sentence for document in corpus.train_documents for sentence in document]
    return BertTokenizer.train(sentences, vocab_size)


def files_corpus(paths: Sequence[str | Path], format: str = "prose") -> Corpus:
    """The user's text files, or all files with a text's suffix in the user's folders.

    format "lines": one sentence a line, a blank line between documents; "prose": running text,
    every paragraph a document, split into sentences. Whether these are enough for BERT is for its
    objective to say: GPT needs no sentences. InputError: a file that is missing, empty or not text.
    """
    if format not in FORMATS:
        raise InputError(f"format {format!r}: expected one of {', '.join(FORMATS)}")
    texts = [read_text(path) for path in find_files(paths)]
    documents = [document for text in texts for document in _documents(text, format)]
    train_documents, held_out_documents = hold_out_documents(documents)
    train_texts, held_out_texts = hold_out_tail(texts)
    name = ", ".join(Path(path).name for path in paths)
    return Corpus(name, train_documents, held_out_documents, train_texts, held_out_texts)


def python_docs_corpus() -> Corpus:
    """The prose of Python's own documentation, without repeated sentences."""
    train, held_out = hold_out_documents(python_documents())
    return Corpus("python-docs", train, held_out, _joined(train), _joined(held_out))


def toy_corpus(n_documents: int = TOY_DOCUMENTS,
               n_held_out: int = TOY_HELD_OUT_DOCUMENTS) -> Corpus:
    """Documents that the toy world wrote, the same ones every time."""
    world = ToyWorld()
    train, held_out = (world.documents(n, np.random.default_rng(seed))
                       for n, seed in zip((n_documents, n_held_out), TOY_SEEDS))
    return Corpus("toy", train, held_out, _joined(train), _joined(held_out),
                  world.sentences_per_segment, tuple(world.words))


def hold_out_documents(documents: Documents) -> tuple[Documents, Documents]:
    """Every tenth document is held out (of a few, every other one): no document is in both parts.

    A single document is cut: the last tenth of its sentences is held out (none of a single one).
    """
    if len(documents) == 1:
        n_train = max(len(documents[0]) - max(round(HELD_OUT_SHARE * len(documents[0])), 1), 1)
        return [documents[0][:n_train]], [documents[0][n_train:]]
    every = min(max(len(documents) // 2, 2), round(1 / HELD_OUT_SHARE))
    train = [document for i, document in enumerate(documents) if i % every != every - 1]
    return train, documents[every - 1::every]


def hold_out_tail(texts: list[str]) -> tuple[list[str], list[str]]:
    """The last tenth of the characters of all texts together is held out; a text may be cut."""
    n_train = int((1 - HELD_OUT_SHARE) * sum(map(len, texts)))
    train, held_out = [], []
    for text in texts:
        head, tail = text[:n_train], text[n_train:]
        n_train -= len(head)
        train += [head] if head else []
        held_out += [tail] if tail else []
    return train, held_out


def find_files(paths: Sequence[str | Path]) -> list[Path]:
    """The files themselves, and for each folder the text files in it and below, in order; not the
    vocabulary of a model (a run may lie below the texts), which is no text."""
    files = []
    for path in map(Path, paths):
        if path.is_dir():
            found = sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES and p.is_file()
                           and not (p.parent / "config.json").exists())
            if not found:
                raise InputError(f"{path}: no {', '.join(SUFFIXES)} files in this folder; name the "
                                 "files themselves")
            files += found
        elif path.exists():
            files.append(path)
        else:
            raise InputError(f"{path}: there is no such file or folder; check the path")
    return files


def read_text(path: Path) -> str:
    """A UTF-8 text file, line breaks as they are. InputError where it is empty or not text."""
    content = Path(path).read_bytes()
    if b"\0" in content:
        raise InputError(f"{path}: a binary file (it has zero bytes); give a plain text file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} (0x{content[error.start]:02x}) is not UTF-8; "
                         "give a text file in UTF-8") from None
    if not text.strip():
        raise InputError(f"{path}: the file is empty; give a file with text in it")
    return text


def _documents(text: str, format: str) -> Documents:
    if format == "prose":
        return [split_sentences(paragraph) for paragraph in split_paragraphs(text)]
    blocks = [[line.strip() for line in block.splitlines()] for block in split_paragraphs(text)]
    return [[line for line in block if line] for block in blocks]


def _joined(documents: Documents) -> list[str]:
    return [" ".join(document) for document in documents]
