"""Documents of sentences as one flat array of ids: encoded once, then cut by index."""

from collections.abc import Iterable, Sequence

import numpy as np

from minibert.errors import InputError
from minibert.tokenizers.base import Tokenizer


class EncodedDocuments:
    """Sentence s is ids[starts[s]:starts[s + 1]]; document d is the sentences from firsts[d] up to,
    not including, firsts[d + 1].

    `texts` gives the documents as sentences. What has no tokens is left out: neither sentence nor
    document is ever empty here.
    """

    def __init__(self, tokenizer: Tokenizer, texts: Iterable[Sequence[str]], name: str = "given"):
        self.name = name  # for messages: the training text, the held-out text
        ids, lengths, sizes = [], [], []
        for sentences in texts:
            encoded = [tokenizer.encode(text, add_special_tokens=False) for text in sentences]
            encoded = [sentence for sentence in encoded if sentence]
            if encoded:
                sizes.append(len(encoded))
                lengths += map(len, encoded)
                ids += encoded
        if not ids:
            raise InputError(f"the {name} text has no sentence; give a longer text")
        self.ids = np.fromiter((i for sentence in ids for i in sentence), np.int32, sum(lengths))
        self.starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        self.firsts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        self.document_of = np.repeat(np.arange(len(sizes)), sizes)
        self.ids.setflags(write=False)

    @property
    def n_documents(self) -> int:
        return len(self.firsts) - 1

    @property
    def n_sentences(self) -> int:
        return len(self.starts) - 1
