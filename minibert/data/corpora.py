"""Texts to train on: the user's files, Python's documentation, the toy world.

A corpus holds a text in two forms: documents, which are lists of sentences, for BERT, and plain
texts for GPT. Each has a held-out part: whole documents (of a single one its last sentences) for
BERT, the last tenth of the characters of the user's files for GPT. The vocabulary comes from the
training part alone.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minibert.data.python_docs import python_documents
from minibert.data.sentence_splitter import split_paragraphs, split_sentences
from minibert.data.text_files import find_files, read_text, split_lines
from minibert.errors import InputError
from minibert.tokenizers.characters import CharTokenizer
from minibert.tokenizers.wordpiece import BertTokenizer
from minibert.toy_world.grammar import ToyWorld
from minibert.validate import one_of

FORMATS = ("prose", "lines")
TOKENIZERS = ("wordpiece", "chars")
VOCAB_SIZE = 4_000
HELD_OUT_SHARE = 0.1
MOST_LINES = 10  # of one sentence: a paragraph that is longer has a sentence a line, perhaps
TOY_DOCUMENTS, TOY_HELD_OUT_DOCUMENTS = 10_000, 1_000
TOY_SEEDS = (20_180_611, 20_181_011)  # the days GPT and BERT came out; the text is always the same

Documents = list[list[str]]


@dataclass(frozen=True)
class Corpus:
    """A text in documents of sentences and as plain texts, each with its held-out part."""

    name: str
    train_documents: Documents
    held_out_documents: Documents
    train_texts: list[str]
    held_out_texts: list[str]
    sentences_per_segment: int | None = None  # None: BERT's segments fill the context
    words: tuple[str, ...] | None = None  # a closed world's vocabulary

    def repeated_share(self) -> float:
        """Compute the share of the held-out sentences that also occur in the training documents."""
        known = {sentence for document in self.train_documents for sentence in document}
        held_out = [sentence for document in self.held_out_documents for sentence in document]
        return sum(sentence in known for sentence in held_out) / max(len(held_out), 1)

    def describe(self) -> list[str]:
        """List the sizes of both parts, and the share of repeated sentences, one fact a line."""
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
    """Train a tokenizer of `kind` "wordpiece" or "chars" for the model `reader`, "bert", "gpt" or
    "bart", on the training text alone; where `words` is the whole vocabulary, each word is one
    token.

    Errors: another kind or reader, characters for BERT or BART (which need [CLS] and [SEP]).
    """
    one_of("tokenizer", kind, TOKENIZERS)
    one_of("the tokenizer's reader", reader, ("bert", "gpt", "bart"))
    if kind == "chars":
        if reader != "gpt":
            raise InputError(f"tokenizer chars: has no [CLS], [SEP] and [MASK], which "
                             f"{reader.upper()} needs; use wordpiece")
        return CharTokenizer.train(corpus.train_texts, errors="replace")
    if corpus.words is not None:
        return BertTokenizer.from_words(corpus.words)
    if reader == "gpt":
        return BertTokenizer.train(corpus.train_texts, vocab_size)
    sentences = [sentence for document in corpus.train_documents for sentence in document]
    return BertTokenizer.train(sentences, vocab_size)


def files_corpus(paths: Sequence[str | Path], format: str = "prose") -> Corpus:
    """Read the user's text files, and all text files in the user's folders.

    format "lines": one sentence a line, a blank line between documents; "prose": running text,
    every paragraph a document, split into sentences. BERT's objective checks that there are enough
    sentences, since GPT needs none; a warning says where "lines" seems to be meant. Errors: another
    format, and those of find_files and read_text.
    """
    one_of("format", format, FORMATS)
    files = find_files(paths)
    texts = [read_text(path) for path in files]
    documents = []
    for path, text in zip(files, texts):
        read = _documents(text, format)
        if _has_a_sentence_a_line(text, read):
            warnings.warn(f"{path}: for BERT its {sum(map(len, read)):,} sentences were found by "
                          "full stops and capital letters after them, but the lines look like "
                          "sentences: if each is one, give --format lines", stacklevel=2)
        documents += read
    train_documents, held_out_documents = hold_out_documents(documents)
    train_texts, held_out_texts = hold_out_tail(texts)
    name = ", ".join(Path(path).name for path in paths)
    return Corpus(name, train_documents, held_out_documents, train_texts, held_out_texts)


def python_docs_corpus() -> Corpus:
    """Read the prose of Python's own documentation, without repeated sentences."""
    train, held_out = hold_out_documents(python_documents())
    return Corpus("python-docs", train, held_out, _joined(train), _joined(held_out))


def toy_corpus(n_documents: int = TOY_DOCUMENTS,
               n_held_out: int = TOY_HELD_OUT_DOCUMENTS) -> Corpus:
    """Draw documents from the toy world with fixed seeds, so that the text is always the same."""
    world = ToyWorld()
    train, held_out = (world.documents(n, np.random.default_rng(seed))
                       for n, seed in zip((n_documents, n_held_out), TOY_SEEDS))
    return Corpus("toy", train, held_out, _joined(train), _joined(held_out),
                  world.sentences_per_segment, tuple(world.words))


def hold_out_documents(documents: Documents) -> tuple[Documents, Documents]:
    """Split documents into (training, held out): every tenth is held out, of a few every other one.

    Of a single document the last tenth of the sentences is held out (none of a single sentence).
    """
    if len(documents) == 1:
        n_train = max(len(documents[0]) - max(round(HELD_OUT_SHARE * len(documents[0])), 1), 1)
        return [documents[0][:n_train]], [documents[0][n_train:]]
    every = min(max(len(documents) // 2, 2), round(1 / HELD_OUT_SHARE))
    train = [document for i, document in enumerate(documents) if i % every != every - 1]
    return train, documents[every - 1::every]


def hold_out_tail(texts: list[str]) -> tuple[list[str], list[str]]:
    """Split texts into (training, held out): the last tenth of the characters of all texts together
    is held out; one text may be cut."""
    n_train = int((1 - HELD_OUT_SHARE) * sum(map(len, texts)))
    train, held_out = [], []
    for text in texts:
        head, tail = text[:n_train], text[n_train:]
        n_train -= len(head)
        train += [head] if head else []
        held_out += [tail] if tail else []
    return train, held_out


def _documents(text: str, format: str) -> Documents:
    if format == "prose":
        return [split_sentences(paragraph) for paragraph in split_paragraphs(text)]
    blocks = [[line.strip() for line in split_lines(block)] for block in split_paragraphs(text)]
    return [[line for line in block if line] for block in blocks]


def _has_a_sentence_a_line(text: str, documents: Documents) -> bool:
    """True if the lines of a text look like sentences that split_sentences did not find: more than
    half of the lines end like sentences, or a long paragraph is a single one."""
    sentences = sum(map(len, documents))
    ends = sum([line.rstrip().endswith((".", "!", "?")) for line in split_lines(text)])
    return ends > 2 * sentences or any(
        len(document) == 1 and len(split_lines(paragraph.strip())) > MOST_LINES
        for document, paragraph in zip(documents, split_paragraphs(text)))


def _joined(documents: Documents) -> list[str]:
    return [" ".join(document) for document in documents]
