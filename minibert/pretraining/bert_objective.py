"""BERT's objective: masked language model and next-sentence prediction, both or one of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from minibert.errors import InputError
from minibert.models.bert import BertForPreTraining
from minibert.pretraining.encoded_documents import EncodedDocuments
from minibert.pretraining.masked_lm import MASK_PROBABILITY, mask_tokens, n_correct, ordinary_ids
from minibert.pretraining.objective import LossesAndMetrics, shard_rows
from minibert.pretraining.seeds import Purpose, generator
from minibert.pretraining.sentence_pairs import IS_NEXT, Plan, lay_out, plan_pairs, plan_singles
from minibert.tokenizers.base import Tokenizer

HELD_OUT_BATCH = 64  # not the training batch: two runs with different batches see the same examples


@dataclass(frozen=True)
class PretrainingBatch:
    """B examples of T tokens. The masked positions are flat indices into B*T.

    original_ids are the ids before masking, for showing and for the answer key; a model never gets
    them. next_sentence_label is None where only single segments are read.
    """

    input_ids: np.ndarray  # (B, T)
    token_type_ids: np.ndarray  # (B, T)
    attention_mask: np.ndarray  # (B, T), True at tokens, False at padding
    masked_positions: np.ndarray  # (M,)
    masked_labels: np.ndarray  # (M,)
    next_sentence_label: np.ndarray | None  # (B,)
    original_ids: np.ndarray  # (B, T)

    def shard(self, k: int, n: int) -> "PretrainingBatch":
        """Rows of worker k of n; the masked positions count from the share's first row."""
        rows = shard_rows(len(self.input_ids), k, n)
        width = self.input_ids.shape[1]
        row = self.masked_positions // width
        inside = (rows.start <= row) & (row < rows.stop)
        label = None if self.next_sentence_label is None else self.next_sentence_label[rows]
        return PretrainingBatch(
            self.input_ids[rows], self.token_type_ids[rows], self.attention_mask[rows],
            self.masked_positions[inside] - rows.start * width, self.masked_labels[inside], label,
            self.original_ids[rows])


class PretrainingObjective:
    """Fresh pairs and fresh masks every epoch, as a pure function of (seed, step).

    train, held_out: documents of sentences. sentences_per_segment: None fills the context; a number
    takes exactly so many. n_held_out: how many held-out examples (None: one for every gap).
    masked_lm=False masks nothing; next_sentence=False reads single segments.
    """

    name = "bert"
    metric_for_best_model, greater_is_better = "loss", False

    def __init__(self, tokenizer: Tokenizer, train: Sequence[Sequence[str]],
                 held_out: Sequence[Sequence[str]], context: int, batch_size: int, seed: int = 0,
                 masked_lm: bool = True, next_sentence: bool = True,
                 sentences_per_segment: int | None = None, n_held_out: int | None = None):
        if not (masked_lm or next_sentence):
            raise InputError("BERT's objective: neither masked LM nor sentence pairs; give one")
        if context < 5:
            raise InputError(f"context {context}: too short for [CLS] A [SEP] B [SEP]; give 5+")
        if not hasattr(tokenizer, "mask_token_id"):
            raise InputError(f"BERT's objective: {tokenizer!r} has no mask token; use wordpiece")
        self.tokenizer = tokenizer
        self.context, self.batch_size, self.seed = context, batch_size, seed
        self.mask_probability = MASK_PROBABILITY if masked_lm else 0.0
        self.next_sentence = next_sentence
        self.sentences_per_segment = sentences_per_segment
        self.ordinary = ordinary_ids(tokenizer)
        self.train = EncodedDocuments(tokenizer, train, "training")
        self.held_out = EncodedDocuments(tokenizer, held_out, "held-out")
        self._latest_epoch: tuple[int, Plan | None] = (-1, None)
        self.n_per_epoch = len(self._epoch(0))
        self._held_out_plan = self._plan_held_out(n_held_out)

    def batch(self, step: int) -> PretrainingBatch:
        """The training batch of a step."""
        plan = self._rows(step * self.batch_size, self.batch_size)
        return self._fill(self.train, plan, generator(self.seed, Purpose.MASKS, step))

    def held_out_batches(self) -> Iterator[PretrainingBatch]:
        """All held-out examples: the same pairs and masks whenever they are asked for."""
        for k, start in enumerate(range(0, len(self._held_out_plan), HELD_OUT_BATCH)):
            plan = self._held_out_plan.rows(slice(start, start + HELD_OUT_BATCH))
            yield self._fill(self.held_out, plan, generator(self.seed, Purpose.HELD_OUT_MASKS, k))

    def counts(self, batch: PretrainingBatch) -> dict[str, int]:
        """What each loss is divided by: scored tokens and pairs."""
        counts = {}
        if self.mask_probability:
            counts["mlm"] = len(batch.masked_labels)
        if self.next_sentence:
            counts["nsp"] = len(batch.next_sentence_label)
        return counts

    def losses(self, model: BertForPreTraining, batch: PretrainingBatch,
               rng: np.random.Generator | None = None) -> LossesAndMetrics:
        """Sums of the losses, and of right answers (where the model gives its logits)."""
        mlm_loss, mlm_logits, nsp_loss, nsp_logits = model.pretraining_losses(
            batch.input_ids, batch.attention_mask, batch.token_type_ids, batch.masked_positions,
            batch.masked_labels, batch.next_sentence_label, rng=rng)
        losses, metrics = {}, {}
        if self.mask_probability:
            losses["mlm"] = mlm_loss
            if mlm_logits is not None:
                metrics["mlm_correct"] = n_correct(mlm_logits.data, batch.masked_labels)
        if self.next_sentence:
            losses["nsp"] = nsp_loss
            if nsp_logits is not None:
                metrics["nsp_correct"] = n_correct(nsp_logits.data, batch.next_sentence_label)
        return losses, metrics

    def summary(self, loss_sums: dict[str, float], counts: dict[str, int],
                metric_sums: dict[str, float]) -> dict[str, float]:
        """What is reported, from sums over batches: loss, mlm_loss, mlm_accuracy, nsp_loss, ..."""
        means = {f"{name}_loss": loss_sums[name] / max(counts[name], 1) for name in counts}
        report = {"loss": sum(means.values()), **means}
        for name in counts:
            if f"{name}_correct" in metric_sums:
                report[f"{name}_accuracy"] = metric_sums[f"{name}_correct"] / max(counts[name], 1)
        return report

    def first_examples(self, n: int = 3) -> list[str]:
        """The first training examples in words, as BERT's create_pretraining_data.py shows them."""
        batch = self.batch(0)
        return [self._show(batch, row) for row in range(min(n, len(batch.input_ids)))]

    def describe(self) -> list[str]:
        """What there is to learn from, one fact a line."""
        plan = self._epoch(0)
        kind = "pairs" if self.next_sentence else "segments"
        lines = []
        for part in (self.train, self.held_out):
            unknown = np.mean(part.ids == self.tokenizer.unk_token_id)
            lines.append(f"{part.name}: {part.n_documents:,} documents, {part.n_sentences:,} "
                         f"sentences, {len(part.ids):,} tokens, {unknown:.2%} of them unknown")
        lines.append(f"{len(plan):,} {kind} an epoch, fresh ones every epoch with fresh masks; "
                     f"{len(self._held_out_plan):,} held-out {kind}, always the same")
        if plan.shortened.any():
            lines.append(f"{plan.shortened.mean():.2%} of the {kind} had to be shortened to fit "
                         f"into {self.context} tokens")
        return lines

    def _plan(self, documents: EncodedDocuments, rng: np.random.Generator) -> Plan:
        if self.next_sentence:
            return plan_pairs(documents, self.context, rng, self.sentences_per_segment)
        return plan_singles(documents, self.context, rng)

    def _epoch(self, epoch: int) -> Plan:
        known, plan = self._latest_epoch
        if epoch != known:
            plan = self._plan(self.train, generator(self.seed, Purpose.PAIRS, epoch))
            self._latest_epoch = (epoch, plan)
        return plan

    def _rows(self, start: int, n: int) -> Plan:
        """Examples start to start + n of the endless row of epochs."""
        plans = []
        while n > 0:
            epoch, offset = divmod(start, self.n_per_epoch)
            plan = self._epoch(epoch).rows(slice(offset, offset + n))
            plans.append(plan)
            start, n = start + len(plan), n - len(plan)
        return Plan.joined(plans)

    def _plan_held_out(self, n: int | None) -> Plan:
        plans = []
        while not plans or (n is not None and sum(map(len, plans)) < n):
            rng = generator(self.seed, Purpose.HELD_OUT_PAIRS, len(plans))
            plans.append(self._plan(self.held_out, rng))
        return Plan.joined(plans).rows(slice(0, n))

    def _fill(self, documents: EncodedDocuments, plan: Plan,
              rng: np.random.Generator) -> PretrainingBatch:
        ids, types, attended = lay_out(documents.ids, plan, self.tokenizer.cls_token_id,
                                       self.tokenizer.sep_token_id, self.tokenizer.pad_token_id)
        corrupted, positions, labels = mask_tokens(
            ids, self.ordinary, self.tokenizer.mask_token_id, rng, self.mask_probability)
        next_sentence_label = plan.label if self.next_sentence else None
        return PretrainingBatch(corrupted, types, attended, positions, labels,
                                next_sentence_label, ids)

    def _show(self, batch: PretrainingBatch, row: int) -> str:
        n_tokens = int(batch.attention_mask[row].sum())
        words = self.tokenizer.convert_ids_to_tokens(batch.input_ids[row, :n_tokens])
        width = batch.input_ids.shape[1]
        in_row = batch.masked_positions // width == row
        answers = [f"{position}={self.tokenizer.convert_ids_to_tokens(label)}"
                   for position, label in zip(batch.masked_positions[in_row] % width,
                                              batch.masked_labels[in_row])]
        lines = [" ".join(words)]
        if answers:
            lines.append("  to predict: " + " ".join(answers))
        if self.next_sentence:
            is_next = batch.next_sentence_label[row] == IS_NEXT
            lines.append("  B is " + ("the next sentence" if is_next else "from another document"))
        return "\n".join(lines)
