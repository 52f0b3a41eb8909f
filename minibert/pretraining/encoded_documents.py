"""Documents of sentences, encoded once as one flat array of token ids."""

from collections.abc import Iterable, Sequence

import numpy as np

from minibert.errors import InputError
from minibert.tokenizers.base import Tokenizer


class EncodedDocuments:
    """Token ids of documents, without special tokens.

    ids: all tokens, int32, read-only. Sentence s is ids[sentence_starts[s]:sentence_starts[s + 1]];
    document d is the sentences document_starts[d] to document_starts[d + 1] (exclusive);
    document_of[s] is the document of sentence s. Sentences without tokens and documents without
    sentences are left out. texts: documents as sequences of sentences. name: for messages
    ("training", "held-out"). Errors: InputError where no token is left, and for a document that is
    a single string.
    """

    def __init__(self, tokenizer: Tokenizer, texts: Iterable[Sequence[str]], name: str = "given"):
        self.name = name
        ids, lengths, sizes = [], [], []
        for sentences in texts:
            if isinstance(sentences, str):
                raise InputError(f"the {name} text has the string {sentences!r:.40} as a document: "
                                 "expected a list of sentences")
            encoded = [tokenizer.encode(text, add_special_tokens=False) for text in sentences]
            encoded = [sentence for sentence in encoded if sentence]
            if encoded:
                sizes.append(len(encoded))
                lengths += map(len, encoded)
                ids += encoded
        if not ids:
            raise InputError(f"the {name} text has no sentence; give a longer text or, where every "
                             "line is a sentence, --format lines")
        self.ids = np.fromiter((i for sentence in ids for i in sentence), np.int32, sum(lengths))
        self.sentence_starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        self.document_starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        self.document_of = np.repeat(np.arange(len(sizes)), sizes)
        self.ids.setflags(write=False)
        self.n_documents, self.n_sentences = len(sizes), len(lengths)

    def describe(self, tokenizer: Tokenizer) -> str:
        """List the size and the share of unknown tokens, in one line."""
        unknown = np.mean(self.ids == tokenizer.unk_token_id)
        return (f"{self.name}: {self.n_documents:,} documents, {self.n_sentences:,} sentences, "
                f"{len(self.ids):,} tokens, {unknown:.2%} of them unknown")
