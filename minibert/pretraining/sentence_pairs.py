"""Pairs of segments for next-sentence prediction (Devlin et al. 2019, section 3.1, task 2).

Each pair belongs to a boundary between two sentences of one document. Segment A ends at the
boundary; segment B begins there (IS_NEXT), or at a random sentence of another document (NOT_NEXT),
drawn by its position: its words may be those of the true next sentence. Both segments are whole
sentences, as many as fit: a long pair loses sentences at its two outer ends, and a sentence is
truncated only where one sentence each is too long. An epoch has one pair for each boundary and
draws the order, the labels (half of each) and the random sentences anew.
"""

from dataclasses import dataclass, replace

import numpy as np

from minibert.errors import InputError
from minibert.pretraining.encoded_documents import EncodedDocuments

IS_NEXT = 0
NOT_NEXT = 1
N_SPECIAL = 3  # [CLS] A [SEP] B [SEP]


@dataclass(frozen=True)
class Segments:
    """N examples as spans of the flat ids: start and length of segments A and B, each (N,).

    label: IS_NEXT or NOT_NEXT. Examples of one segment have b_length 0 and label -1. truncated: a
    sentence lost tokens, or fewer sentences fit than were required.
    """

    a_start: np.ndarray
    a_length: np.ndarray
    b_start: np.ndarray
    b_length: np.ndarray
    label: np.ndarray
    truncated: np.ndarray

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, rows: slice) -> "Segments":
        return Segments(*[column[rows] for column in vars(self).values()])

    @staticmethod
    def concatenate(parts: list["Segments"]) -> "Segments":
        """Join examples in the given order."""
        return Segments(*map(np.concatenate, zip(*[vars(part).values() for part in parts])))


def sample_pairs(documents: EncodedDocuments, n_tokens: int, rng: np.random.Generator,
                 sentences: int | None = None) -> Segments:
    """Draw one epoch of pairs of at most `n_tokens` tokens, [CLS] and two [SEP] included.

    sentences: exactly so many whole sentences in each segment wherever n_tokens allows it, so that
    the choice is independent of the words; None fills n_tokens. Errors: InputError where no
    document has a boundary or only one document has sentences for B.
    """
    boundaries, negatives = _candidates(documents, sentences or 1)
    boundaries = rng.permutation(boundaries)
    label = np.arange(len(boundaries)) % 2  # IS_NEXT, NOT_NEXT, ...: half of each, in any batch
    document = documents.document_of[boundaries]
    random_starts = _sample_other_documents(documents, negatives, document, rng)
    b_first = np.where(label == IS_NEXT, boundaries, random_starts)
    low = documents.document_starts[document]
    high = documents.document_starts[documents.document_of[b_first] + 1]
    starts, room = documents.sentence_starts, n_tokens - N_SPECIAL
    if sentences is None:
        return _fit(starts, boundaries, low, b_first, high, label, room)
    low, high = boundaries - sentences, b_first + sentences
    pairs = _fit(starts, boundaries, low, b_first, high, label, room)
    whole = starts[boundaries] - starts[low] + starts[high] - starts[b_first]
    return replace(pairs, truncated=pairs.a_length + pairs.b_length < whole)


def sample_segments(documents: EncodedDocuments, n_tokens: int,
                    rng: np.random.Generator) -> Segments:
    """Draw one epoch of single segments for masked LM alone: one from each sentence on, of as many
    sentences of its document as fit into `n_tokens`, [CLS] and [SEP] included."""
    first = rng.permutation(documents.n_sentences)
    starts = documents.sentence_starts
    high = documents.document_starts[documents.document_of[first] + 1]
    room = n_tokens - (N_SPECIAL - 1)
    last = np.searchsorted(starts, starts[first] + room, side="right") - 1
    last = np.clip(last, first + 1, high)
    length = starts[last] - starts[first]
    zeros = np.zeros(len(first), dtype=np.int64)
    return Segments(starts[first], np.minimum(length, room), zeros, zeros, zeros - 1, length > room)


def build_inputs(ids: np.ndarray, segments: Segments, cls_id: int, sep_id: int,
                 pad_id: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Build input_ids, token_type_ids and attention_mask, (B, T), of [CLS] A [SEP] B [SEP] or
    [CLS] A [SEP].

    ids: the flat ids of the documents. T is the length of the longest row. Token type 0 includes
    [CLS], the first [SEP] and the padding, type 1 the second [SEP].
    """
    a_length, b_length = segments.a_length[:, None], segments.b_length[:, None]  # (B, 1)
    first_sep = a_length + 1
    last_sep = np.where(b_length > 0, first_sep + 1 + b_length, first_sep)
    column = np.arange(last_sep.max() + 1)  # (T,)
    in_a = column < first_sep  # (B, T)
    a_start, b_start = segments.a_start[:, None], segments.b_start[:, None]
    source = column + np.where(in_a, a_start - 1, b_start - first_sep - 1)
    source = np.clip(source, 0, len(ids) - 1)  # any index at [CLS], [SEP] and padding
    input_ids = ids[source].astype(np.int64)  # (B, T)
    input_ids[:, 0] = cls_id
    input_ids[(column == first_sep) | (column == last_sep)] = sep_id
    input_ids[column > last_sep] = pad_id
    token_type_ids = ((column > first_sep) & (column <= last_sep)).astype(np.int64)
    return input_ids, token_type_ids, column <= last_sep


def _candidates(documents: EncodedDocuments, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Boundaries with n sentences before and after them, as the number of the sentence after them,
    and sentences at which n sentences of one document begin."""
    sentence = np.arange(documents.n_sentences)
    first = documents.document_starts[documents.document_of]
    end = documents.document_starts[documents.document_of + 1]
    has_room = sentence + n <= end
    boundaries = sentence[has_room & (sentence - n >= first)]
    negatives = sentence[has_room]
    if len(np.unique(documents.document_of[negatives])) < 2:
        raise InputError(
            f"next-sentence pairs: the {documents.name} text has {documents.n_documents} "
            "document(s), but a sentence that is not the next comes from another document; "
            "separate documents by blank lines (--format lines), give more text, or train the "
            "masked LM alone (--no-next-sentence)")
    if len(boundaries) == 0:
        raise InputError(
            f"next-sentence pairs: no document of the {documents.name} text has {2 * n} sentences, "
            "so there is no true next one; check --format, or train the masked LM alone "
            "(--no-next-sentence)")
    return boundaries, negatives


def _sample_other_documents(documents: EncodedDocuments, negatives: np.ndarray,
                            document: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each document number one of the `negatives`, uniform over those of other documents."""
    low = np.searchsorted(negatives, documents.document_starts[document])
    high = np.searchsorted(negatives, documents.document_starts[document + 1])
    drawn = rng.integers(0, len(negatives) - (high - low))
    return negatives[np.where(drawn >= low, drawn + (high - low), drawn)]


def _fit(starts: np.ndarray, boundary: np.ndarray, low: np.ndarray, b_first: np.ndarray,
         high: np.ndarray, label: np.ndarray, room: int) -> Segments:
    """Extend A back from the boundary to about half of `room` tokens, at most to sentence `low`,
    then B forward into the rest, at most to sentence `high`; all (N,) but `starts` and `room`."""
    a_one = starts[boundary] - starts[boundary - 1]  # the one sentence of A that must be there
    b_one = starts[b_first + 1] - starts[b_first]  # ... of B
    fits = a_one + b_one <= room
    # half, but never less than A's one sentence, nor so much that B's one has no room
    a_room = np.where(fits, np.clip(room // 2, a_one, np.maximum(room - b_one, a_one)), a_one)
    a_first = np.searchsorted(starts, starts[boundary] - a_room, side="left")
    a_first = np.maximum(a_first, low)
    a_length = starts[boundary] - starts[a_first]
    b_room = np.where(fits, room - a_length, b_one)
    b_end = np.searchsorted(starts, starts[b_first] + b_room, side="right") - 1
    b_end = np.minimum(b_end, high)
    b_length = starts[b_end] - starts[b_first]
    # one sentence each and still too long: the longer one loses its end, then both do
    a_cut = np.minimum(a_length, np.maximum(room // 2, room - b_length))
    b_cut = np.minimum(b_length, room - a_cut)
    return Segments(starts[a_first], a_cut, starts[b_first], b_cut, label,
                    (a_cut < a_length) | (b_cut < b_length))
