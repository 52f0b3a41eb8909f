"""Span corruption: T5's objective, text in and text out (Raffel et al. 2020, section 3.1.4).

Spans of tokens are taken out of a text, and a sentinel stands for each of them. The target has each
sentinel followed by the tokens it stands for, and an end token:

    the captain tunes that old guitar .     the captain <extra_id_0> guitar .
                                            <extra_id_0> tunes that old [SEP]

15 % of the tokens are taken out, in spans of 3 on average (section 3.3.4). T5 fixes both numbers
for each sequence of 512 tokens. Here a row is short, and a fixed number would tell how many tokens
are missing; so the tokens of a row are kept or not by a Markov chain with two states, of which both
numbers are expectations. The model that is trained here is an encoder-decoder in BART's layout;
BART's own objectives (Lewis et al. 2020, section 2.2) predict the whole text, not the spans alone.
"""

import math
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from minibert.autograd.functional import IGNORE_INDEX
from minibert.autograd.tensor import Tensor, no_grad
from minibert.errors import InputError
from minibert.generation.sampling import log_probabilities
from minibert.models.bart import BartForConditionalGeneration
from minibert.models.outputs import BaseModelOutput
from minibert.pretraining.encoded_documents import EncodedDocuments
from minibert.pretraining.objective import HELD_OUT_BATCH, Epochs
from minibert.pretraining.seeds import Purpose, generator
from minibert.pretraining.sentence_pairs import N_SPECIAL, Segments, sample_segments
from minibert.pretraining.seq2seq import Seq2SeqBatch, Seq2SeqObjective, as_rows
from minibert.tokenizers.base import Tokenizer
from minibert.tokenizers.wordpiece import BertTokenizer
from minibert.validate import number, whole_number

SENTINEL = "<extra_id_"  # T5's name of the sentinels, without their number
NOISE_SHARE, MEAN_LENGTH = 0.15, 3.0  # of the tokens; of a span, in tokens
GAP_ROWS = 8  # rows with all words in their gap at once


def with_sentinels(tokenizer: BertTokenizer, context: int) -> BertTokenizer:
    """Add sentinels to a tokenizer, four times as many as a text of `context` tokens needs on
    average: <extra_id_0>, <extra_id_1>..."""
    count = math.ceil(4 * NOISE_SHARE / MEAN_LENGTH * context)
    names = [f"{SENTINEL}{k}>" for k in range(count)]
    words = tokenizer.convert_ids_to_tokens(range(tokenizer.vocab_size))
    return BertTokenizer([*words, *names], tokenizer.do_lower_case, tokenizer.strip_accents,
                         tokenizer.tokenize_chinese_chars, extra_special_tokens=names)


def sentinel_ids(tokenizer: Tokenizer) -> np.ndarray:
    """List the ids of the tokenizer's sentinels, (K,). Errors: InputError, it has none."""
    ids = []
    while (found := tokenizer.vocab.get(f"{SENTINEL}{len(ids)}>")) is not None:
        ids.append(found)
    if not ids:
        raise InputError(f"span corruption: {tokenizer!r} has no sentinel {SENTINEL}0>: "
                         "see with_sentinels")
    return np.array(ids)


def draw_noise(shape: tuple[int, int], rng: np.random.Generator, share: float = NOISE_SHARE
               ) -> np.ndarray:
    """Draw which tokens (B, T) are taken out, True: stretches of MEAN_LENGTH tokens on average,
    geometrically distributed, that cover `share` of all tokens."""
    ends = 1 / MEAN_LENGTH
    begins = ends * share / (1 - share)  # the chain's balance: 1 token in 17 for 15 %
    draws = rng.random(shape)
    noise = np.empty(shape, bool)
    noise[:, 0] = draws[:, 0] < share
    for t in range(1, shape[1]):
        noise[:, t] = draws[:, t] < np.where(noise[:, t - 1], 1 - ends, begins)
    return noise


def corrupt_spans(ids: np.ndarray, noise: np.ndarray, sentinels: np.ndarray, end: int
                  ) -> tuple[np.ndarray, np.ndarray]:
    """Take the spans `noise` (T,) out of `ids` (T,) -> (the text with a sentinel for each of them,
    the target: each sentinel and its span, and `end`). Spans beyond the last sentinel stay."""
    begins = noise & ~np.concatenate([[False], noise[:-1]])
    span = begins.cumsum() - 1  # the number of the latest span
    noise, begins = noise & (span < len(sentinels)), begins & (span < len(sentinels))
    text = np.where(begins, sentinels[np.clip(span, 0, len(sentinels) - 1)], ids)[~noise | begins]
    places = np.flatnonzero(begins[noise])
    target = np.insert(ids[noise], places, sentinels[:len(places)])
    return text, np.append(target, end)


class SpanCorruptionObjective(Seq2SeqObjective):
    """Span corruption of texts that are whole sentences of one document; a batch is a pure function
    of (seed, number).

    Every epoch has one text from each sentence on, [CLS] text [SEP], and every batch new spans.
    train, held_out: documents, as sequences of sentences. context: the largest number of tokens.
    n_held_out: the number of held-out examples (None: one for each sentence). mlm_probability: the
    share of the training tokens that is taken out, at most 0.5: for more, texts have too few
    sentinels; of the held-out ones it is always 15 %. Errors: InputError where no example can be
    made, and for a tokenizer without sentinels.
    """

    name = "bart"

    def __init__(self, tokenizer: Tokenizer, train: Sequence[Sequence[str]],
                 held_out: Sequence[Sequence[str]], context: int, batch_size: int, seed: int = 0,
                 n_held_out: int | None = None, mlm_probability: float = NOISE_SHARE):
        self.tokenizer, self.sentinels = tokenizer, sentinel_ids(tokenizer)
        self.context = whole_number("context, for [CLS] text [SEP]", context, at_least=N_SPECIAL)
        self.batch_size, self.seed = whole_number("batch_size", batch_size, at_least=1), seed
        self.mlm_probability = number("mlm_probability", mlm_probability, above=0, at_most=0.5)
        if n_held_out is not None:
            whole_number("n_held_out", n_held_out, at_least=1)
        self.train = EncodedDocuments(tokenizer, train, "training")
        self.held_out = EncodedDocuments(tokenizer, held_out, "held-out")
        self.epochs = Epochs(partial(self._sample, self.train, Purpose.PAIRS))
        self._held_out_segments = self._sample(self.held_out, Purpose.HELD_OUT_PAIRS,
                                               0)[:n_held_out]

    def batch(self, number: int) -> Seq2SeqBatch:
        """Make training batch `number`, counted from 0 over all steps: B rows."""
        parts = self.epochs.examples(number * self.batch_size, self.batch_size)
        return self._build(self.train, Segments.concatenate(parts),
                           generator(self.seed, Purpose.MASKS, number), self.mlm_probability)

    def held_out_batches(self) -> Iterator[Seq2SeqBatch]:
        """Yield all held-out examples, with the same spans every time."""
        for k, start in enumerate(range(0, len(self._held_out_segments), HELD_OUT_BATCH)):
            segments = self._held_out_segments[start:start + HELD_OUT_BATCH]
            yield self._build(self.held_out, segments,
                              generator(self.seed, Purpose.HELD_OUT_MASKS, k), NOISE_SHARE)

    def describe(self) -> list[str]:
        return [self.train.describe(self.tokenizer), self.held_out.describe(self.tokenizer),
                f"{self.epochs.size:,} texts an epoch, with fresh spans every time; "
                f"{len(self._held_out_segments):,} held-out texts, always the same"]

    def _build(self, documents: EncodedDocuments, segments: Segments, rng: np.random.Generator,
               share: float) -> Seq2SeqBatch:
        tokenizer, texts, targets = self.tokenizer, [], []
        lengths = segments.a_length
        noise = draw_noise((len(segments), int(lengths.max())), rng, share)
        for start, length, taken_out in zip(segments.a_start, lengths, noise):
            ids = documents.ids[start:start + length].astype(np.int64)
            text, target = corrupt_spans(ids, taken_out[:length], self.sentinels,
                                         tokenizer.sep_token_id)
            texts.append(np.concatenate([[tokenizer.cls_token_id], text,
                                         [tokenizer.sep_token_id]]))
            targets.append(target)
        input_ids = as_rows(texts, tokenizer.pad_token_id)
        attention_mask = np.arange(input_ids.shape[1]) < np.array([[len(text)] for text in texts])
        return Seq2SeqBatch(input_ids, attention_mask, as_rows(targets, IGNORE_INDEX))

    def _sample(self, documents: EncodedDocuments, purpose: Purpose, epoch: int) -> Segments:
        return sample_segments(documents, self.context, generator(self.seed, purpose, epoch))


def gap_log_p(model: BartForConditionalGeneration, input_ids: np.ndarray, positions: np.ndarray,
              sentinel: int, end: int) -> np.ndarray:
    """log p(w | the text, a span of one token is missing at its position) for every word w: ids
    (B, S) without padding, positions (B,) -> (B, V), in nats.

    A span may have any length, so the decoder is asked for each w and the end after it:
    p(w, end | sentinel), divided by the sum over all w.
    """
    rows, V = np.arange(len(positions)), model.config.vocab_size
    corrupted = input_ids.copy()
    corrupted[rows, positions] = sentinel
    start = model.config.decoder_start_token_id
    targets = np.stack([np.full(V, start), np.full(V, sentinel), np.arange(V)], axis=1)  # (V, 3)
    found = []
    with no_grad():
        for first in range(0, len(corrupted), GAP_ROWS):
            encoded = model.model.encode(corrupted[first:first + GAP_ROWS]).last_hidden_state.data
            repeated = BaseModelOutput(Tensor(encoded.repeat(V, axis=0)))  # (B V, S, C)
            logits = model(encoder_outputs=repeated, logits_to_keep=2,
                           decoder_input_ids=np.tile(targets, (len(encoded), 1))).logits.data
            log_p = log_probabilities(logits).reshape(len(encoded), V, 2, V)
            word = log_p[:, np.arange(V), 0, np.arange(V)]  # (B, V)
            found.append(log_probabilities(word + log_p[:, :, 1, end]))
    return np.concatenate(found)
