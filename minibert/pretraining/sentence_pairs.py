"""Pairs of segments for next-sentence prediction (Devlin et al. 2019, section 3.1, task 2).

A pair stands on a gap between two sentences of one document. Segment A ends at the gap; segment B
begins there (IS_NEXT), or at any sentence of *another* document (NOT_NEXT). Both are whole
sentences, as many as fit: a long pair loses sentences at its two ends, never half of one, unless a
single sentence is already too long. Every gap is used once an epoch; each epoch shuffles the gaps,
the labels (always half of each) and the strangers anew.
"""

from dataclasses import astuple, dataclass, replace

import numpy as np

from minibert.errors import InputError
from minibert.pretraining.encoded_documents import EncodedDocuments

IS_NEXT = 0
NOT_NEXT = 1
N_SPECIAL = 3  # [CLS] A [SEP] B [SEP]


@dataclass(frozen=True)
class Plan:
    """N examples, not yet laid out: where in the flat ids each segment starts and how long it is.

    An example of one segment only has b_length 0 and label -1. `shortened`: a sentence had to lose
    its end, or there was no room for as many sentences as were asked for.
    """

    a_start: np.ndarray
    a_length: np.ndarray
    b_start: np.ndarray
    b_length: np.ndarray
    label: np.ndarray
    shortened: np.ndarray

    def __len__(self) -> int:
        return len(self.label)

    def rows(self, selection: slice) -> "Plan":
        return Plan(self.a_start[selection], self.a_length[selection], self.b_start[selection],
                    self.b_length[selection], self.label[selection], self.shortened[selection])

    @staticmethod
    def joined(plans: list["Plan"]) -> "Plan":
        if len(plans) == 1:
            return plans[0]
        return Plan(*map(np.concatenate, zip(*map(astuple, plans))))


def plan_pairs(documents: EncodedDocuments, n_tokens: int, rng: np.random.Generator,
               sentences: int | None = None) -> Plan:
    """One epoch of pairs that fit into `n_tokens` with [CLS] and two [SEP], shuffled.

    With `sentences`, each segment is exactly so many sentences long wherever n_tokens admits it:
    the choice then does not look at the words. Raises InputError where there are no pairs to make.
    """
    gaps, strangers = _candidates(documents, sentences or 1)
    gaps = rng.permutation(gaps)
    label = np.arange(len(gaps)) % 2  # IS_NEXT, NOT_NEXT, IS_NEXT ...: half of each, in any batch
    document = documents.document_of[gaps]
    b_first = np.where(label == IS_NEXT, gaps, _elsewhere(documents, strangers, document, rng))
    low = documents.firsts[document]
    high = documents.firsts[documents.document_of[b_first] + 1]
    if sentences is None:
        return _fit(documents.starts, gaps, low, b_first, high, label, n_tokens - N_SPECIAL)
    low, high = gaps - sentences, b_first + sentences
    plan = _fit(documents.starts, gaps, low, b_first, high, label, n_tokens - N_SPECIAL)
    whole = documents.starts[gaps] - documents.starts[low]
    whole += documents.starts[high] - documents.starts[b_first]
    return replace(plan, shortened=plan.a_length + plan.b_length < whole)


def plan_singles(documents: EncodedDocuments, n_tokens: int, rng: np.random.Generator) -> Plan:
    """One epoch of single segments for masked LM alone: a run of sentences from every sentence
    on."""
    first = rng.permutation(documents.n_sentences)
    starts = documents.starts
    high = documents.firsts[documents.document_of[first] + 1]
    room = n_tokens - (N_SPECIAL - 1)
    last = np.searchsorted(starts, starts[first] + room, side="right") - 1
    last = np.clip(last, first + 1, high)
    length = starts[last] - starts[first]
    zeros = np.zeros(len(first), dtype=np.int64)
    return Plan(starts[first], np.minimum(length, room), zeros, zeros, zeros - 1, length > room)


def lay_out(ids: np.ndarray, plan: Plan, cls_id: int, sep_id: int,
            pad_id: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """input_ids, token_type_ids, attention_mask (B, T) of [CLS] A [SEP] B [SEP] or [CLS] A [SEP].

    T is the longest row's length. Segment 0 includes the first [SEP], segment 1 the second;
    padding is segment 0.
    """
    a_length, b_length = plan.a_length[:, None], plan.b_length[:, None]  # (B, 1)
    first_sep = a_length + 1
    last_sep = np.where(b_length > 0, first_sep + 1 + b_length, first_sep)
    column = np.arange(last_sep.max() + 1)  # (T,)
    in_a = column < first_sep
    source = np.where(in_a, plan.a_start[:, None] - 1, plan.b_start[:, None] - first_sep - 1)
    source = np.clip(source + column, 0, len(ids) - 1)  # [CLS], [SEP] and padding read anything
    input_ids = ids[source].astype(np.int64)  # (B, T)
    input_ids[:, 0] = cls_id
    input_ids[(column == first_sep) | (column == last_sep)] = sep_id
    input_ids[column > last_sep] = pad_id
    token_type_ids = ((column > first_sep) & (column <= last_sep)).astype(np.int64)
    return input_ids, token_type_ids, column <= last_sep


def _candidates(documents: EncodedDocuments, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Gaps with n sentences before and after them, and sentences with which a stranger may start.

    Both as numbers of the sentence after the gap, or of the first sentence.
    """
    sentence = np.arange(documents.n_sentences)
    first = documents.firsts[documents.document_of]
    end = documents.firsts[documents.document_of + 1]
    has_room = sentence + n <= end
    gaps = sentence[has_room & (sentence - n >= first)]
    strangers = sentence[has_room]
    if documents.n_documents < 2 or len(np.unique(documents.document_of[strangers])) < 2:
        raise InputError(
            f"next-sentence pairs: the {documents.name} text has {documents.n_documents} "
            "document(s), but a sentence that is not the next comes from another document; "
            "separate documents by blank lines (--format lines), give more text, or train the "
            "masked LM alone (--no-next-sentence)")
    if len(gaps) == 0:
        raise InputError(
            f"next-sentence pairs: no document of the {documents.name} text has {2 * n} sentences, "
            "so there is no true next one; check --format, or train the masked LM alone "
            "(--no-next-sentence)")
    return gaps, strangers


def _elsewhere(documents: EncodedDocuments, strangers: np.ndarray, document: np.ndarray,
               rng: np.random.Generator) -> np.ndarray:
    """For each document number one of the `strangers`, uniformly among those of other documents."""
    low = np.searchsorted(strangers, documents.firsts[document])
    high = np.searchsorted(strangers, documents.firsts[document + 1])
    drawn = rng.integers(0, len(strangers) - (high - low))
    return strangers[np.where(drawn >= low, drawn + (high - low), drawn)]


def _fit(starts: np.ndarray, gap: np.ndarray, low: np.ndarray, b_first: np.ndarray,
         high: np.ndarray, label: np.ndarray, room: int) -> Plan:
    """A grows back from the gap to about half of the room, then B forward into what is left."""
    a_one = starts[gap] - starts[gap - 1]  # the one sentence of A and of B that must be there
    b_one = starts[b_first + 1] - starts[b_first]
    fits = a_one + b_one <= room
    # half, but never less than A's one sentence, nor so much that B's one has no room
    a_room = np.where(fits, np.clip(room // 2, a_one, np.maximum(room - b_one, a_one)), a_one)
    a_first = np.searchsorted(starts, starts[gap] - a_room, side="left")
    a_first = np.clip(a_first, low, gap - 1)
    a_length = starts[gap] - starts[a_first]
    b_room = np.where(fits, room - a_length, b_one)
    b_end = np.searchsorted(starts, starts[b_first] + b_room, side="right") - 1
    b_end = np.clip(b_end, b_first + 1, high)
    b_length = starts[b_end] - starts[b_first]
    # one sentence each and still too long: the longer one loses its end, then both do
    a_cut = np.minimum(a_length, np.maximum(room // 2, room - b_length))
    b_cut = np.minimum(b_length, room - a_cut)
    return Plan(starts[a_first], a_cut, starts[b_first], b_cut, label,
                (a_cut < a_length) | (b_cut < b_length))
