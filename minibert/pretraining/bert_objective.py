"""BERT's objective: masked language model and next-sentence prediction (Devlin et al. 2019)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from minibert.errors import InputError
from minibert.models.bert import BertForPreTraining
from minibert.pretraining.encoded_documents import EncodedDocuments
from minibert.pretraining.masked_lm import MASK_PROBABILITY, mask_tokens, n_correct, ordinary_ids
from minibert.pretraining.objective import (HELD_OUT_BATCH, Epochs, LossesAndMetrics, Objective,
                                            shard_rows)
from minibert.pretraining.seeds import Purpose, generator
from minibert.pretraining.sentence_pairs import (IS_NEXT, Segments, build_inputs, sample_pairs,
                                                 sample_segments)
from minibert.tokenizers.base import Tokenizer
from minibert.validate import number, whole_number


@dataclass(frozen=True)
class PretrainingBatch:
    """B examples of T tokens. masked_positions are flat indices into B*T; original_ids are the ids
    before masking, for display and for the oracle: no model receives them."""

    input_ids: np.ndarray  # (B, T)
    token_type_ids: np.ndarray  # (B, T)
    attention_mask: np.ndarray  # (B, T), True at tokens, False at padding
    masked_positions: np.ndarray  # (M,)
    masked_labels: np.ndarray  # (M,)
    next_sentence_label: np.ndarray | None  # (B,); None for single segments
    original_ids: np.ndarray  # (B, T)

    def shard(self, k: int, n: int) -> "PretrainingBatch":
        """Take the rows of worker k of n; masked positions count from the shard's first row."""
        rows = shard_rows(len(self.input_ids), k, n)
        T = self.input_ids.shape[1]
        row = self.masked_positions // T
        inside = (rows.start <= row) & (row < rows.stop)
        label = None if self.next_sentence_label is None else self.next_sentence_label[rows]
        return PretrainingBatch(
            self.input_ids[rows], self.token_type_ids[rows], self.attention_mask[rows],
            self.masked_positions[inside] - rows.start * T, self.masked_labels[inside], label,
            self.original_ids[rows])


class PretrainingObjective(Objective):
    """Masked LM and next-sentence prediction; a batch is a pure function of (seed, number).

    Every epoch has new pairs and every batch new masks (dynamic masking: Liu et al. 2019, section
    4.1). dupe_factor=n: static masking as in BERT's create_pretraining_data.py (there n = 10): the
    pairs and masks of the first n epochs are used again and again. train, held_out: documents, as
    sequences of sentences. context: the largest T. sentences_per_segment: None fills the context.
    n_held_out: the number of held-out examples (None: one epoch). masked_lm=False masks nothing,
    next_sentence=False reads single segments. mlm_probability: the share of the training
    tokens that is chosen. More than 15 % give more losses a batch, from a text with more gaps
    (Wettig et al. 2023, "Should You Mask 15% in Masked Language Modeling?"); of the held-out tokens
    it is always 15 %, so that losses can be compared. Errors: InputError where no example can be
    made.
    """

    name = "bert"

    def __init__(self, tokenizer: Tokenizer, train: Sequence[Sequence[str]],
                 held_out: Sequence[Sequence[str]], context: int, batch_size: int, seed: int = 0,
                 masked_lm: bool = True, next_sentence: bool = True,
                 sentences_per_segment: int | None = None, n_held_out: int | None = None,
                 mlm_probability: float = MASK_PROBABILITY, dupe_factor: int | None = None):
        if not (masked_lm or next_sentence):
            raise InputError("BERT's objective: neither masked LM nor sentence pairs; give one")
        if not hasattr(tokenizer, "mask_token_id"):
            raise InputError(f"BERT's objective: {tokenizer!r} has no mask token; use wordpiece")
        self.tokenizer = tokenizer
        self.context = whole_number("context, for [CLS] A [SEP] B [SEP]", context, at_least=5)
        self.batch_size, self.seed = whole_number("batch_size", batch_size, at_least=1), seed
        self.mlm_probability = number("mlm_probability", mlm_probability, above=0, at_most=1)
        self.masked_lm, self.next_sentence = masked_lm, next_sentence
        self.sentences_per_segment, self.dupe_factor = sentences_per_segment, dupe_factor
        for name, count in (("sentences_per_segment", sentences_per_segment),
                            ("n_held_out", n_held_out), ("dupe_factor", dupe_factor)):
            if count is not None:
                whole_number(name, count, at_least=1)
        self.ordinary = ordinary_ids(tokenizer)
        self.train = EncodedDocuments(tokenizer, train, "training")
        self.held_out = EncodedDocuments(tokenizer, held_out, "held-out")
        self.epochs = Epochs(partial(self._sample, self.train, Purpose.PAIRS))
        self.n_per_epoch = self.epochs.size
        rounds = Epochs(partial(self._sample, self.held_out, Purpose.HELD_OUT_PAIRS))
        self._held_out_segments = Segments.concatenate(
            rounds.examples(0, n_held_out or rounds.size))

    def batch(self, number: int) -> PretrainingBatch:
        """Make training batch `number`, counted from 0 over all steps: B rows, T <= context."""
        if self.dupe_factor is not None:
            number %= -(-self.dupe_factor * self.n_per_epoch // self.batch_size)  # whole batches
        parts = self.epochs.examples(number * self.batch_size, self.batch_size)
        return self._build(self.train, Segments.concatenate(parts),
                           generator(self.seed, Purpose.MASKS, number), self.mlm_probability)

    def held_out_batches(self) -> Iterator[PretrainingBatch]:
        """Yield all held-out examples, with the same pairs and masks every time."""
        for k, start in enumerate(range(0, len(self._held_out_segments), HELD_OUT_BATCH)):
            segments = self._held_out_segments[start:start + HELD_OUT_BATCH]
            yield self._build(self.held_out, segments,
                              generator(self.seed, Purpose.HELD_OUT_MASKS, k), MASK_PROBABILITY)

    def _build(self, documents: EncodedDocuments, segments: Segments,
               rng: np.random.Generator, mask_probability: float) -> PretrainingBatch:
        tokenizer = self.tokenizer
        ids, types, attention_mask = build_inputs(documents.ids, segments, tokenizer.cls_token_id,
                                                  tokenizer.sep_token_id, tokenizer.pad_token_id)
        corrupted, positions, labels = mask_tokens(ids, self.ordinary, tokenizer.mask_token_id, rng,
                                                   mask_probability if self.masked_lm else 0.0)
        next_sentence_label = segments.label if self.next_sentence else None
        return PretrainingBatch(corrupted, types, attention_mask, positions, labels,
                                next_sentence_label, ids)

    def counts(self, batch: PretrainingBatch) -> dict[str, int]:
        counts = {}
        if self.masked_lm:
            counts["mlm"] = len(batch.masked_labels)
        if self.next_sentence:
            counts["nsp"] = len(batch.next_sentence_label)
        return counts

    def losses(self, model: BertForPreTraining, batch: PretrainingBatch,
               rng: np.random.Generator | None = None) -> LossesAndMetrics:
        outputs = model.pretraining_losses(
            batch.input_ids, batch.attention_mask, batch.token_type_ids, batch.masked_positions,
            batch.masked_labels, batch.next_sentence_label, rng=rng)
        losses, metrics = {}, {}
        if self.masked_lm:
            losses["mlm"] = outputs.mlm_loss
            if outputs.mlm_logits is not None:
                metrics["mlm_correct"] = n_correct(outputs.mlm_logits.data, batch.masked_labels)
        if self.next_sentence:
            losses["nsp"] = outputs.nsp_loss
            if outputs.nsp_logits is not None:
                metrics["nsp_correct"] = n_correct(outputs.nsp_logits.data,
                                                   batch.next_sentence_label)
        return losses, metrics

    def summary(self, loss_sums: dict[str, float], counts: dict[str, int],
                metric_sums: dict[str, float]) -> dict[str, float]:
        """Divide sums over batches: loss, mlm_loss, mlm_accuracy, nsp_loss, nsp_accuracy."""
        means = {f"{name}_loss": loss_sums[name] / max(counts[name], 1) for name in counts}
        summary = {"loss": sum(means.values()), **means}
        for name in counts:
            if f"{name}_correct" in metric_sums:
                summary[f"{name}_accuracy"] = metric_sums[f"{name}_correct"] / max(counts[name], 1)
        return summary

    def first_examples(self, n: int = 3) -> list[str]:
        """Show the first n training examples as BERT's create_pretraining_data.py logs them."""
        batch, to_tokens = self.batch(0), self.tokenizer.convert_ids_to_tokens
        masked_row, positions = np.divmod(batch.masked_positions, batch.input_ids.shape[1])
        examples = []
        for row in range(min(n, len(batch.input_ids))):
            ids = batch.input_ids[row, batch.attention_mask[row]]
            lines, here = [" ".join(to_tokens(ids))], masked_row == row
            if here.any():
                answers = zip(positions[here], to_tokens(batch.masked_labels[here]))
                lines.append("  to predict: " + " ".join([f"{at}={word}" for at, word in answers]))
            if self.next_sentence:
                is_next = batch.next_sentence_label[row] == IS_NEXT
                lines.append("  B is " + ("the next sentence" if is_next else
                                          "from another document"))
            examples.append("\n".join(lines))
        return examples

    def describe(self) -> list[str]:
        segments = self.epochs.epoch(0)
        kind = "pairs" if self.next_sentence else "segments"
        lines = [part.describe(self.tokenizer) for part in (self.train, self.held_out)]
        used = ("fresh ones every epoch with fresh masks" if self.dupe_factor is None else
                f"those of {self.dupe_factor} epochs again and again with the same masks")
        lines.append(f"{len(segments):,} {kind} an epoch, {used}; "
                     f"{len(self._held_out_segments):,} held-out {kind}, always the same")
        if self.masked_lm:
            lines.append(f"{self.mlm_probability:.0%} of the tokens are masked in training, "
                         f"{MASK_PROBABILITY:.0%} in the held-out {kind}")
        if segments.truncated.any():
            lines.append(f"{segments.truncated.mean():.2%} of the {kind} had to be shortened to "
                         f"fit into {self.context} tokens")
        return lines

    def _sample(self, documents: EncodedDocuments, purpose: Purpose, epoch: int) -> Segments:
        rng = generator(self.seed, purpose, epoch)
        if self.next_sentence:
            return sample_pairs(documents, self.context, rng, self.sentences_per_segment)
        return sample_segments(documents, self.context, rng)
