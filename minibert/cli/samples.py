"""Samples of a model in training: a filled gap, a generated line."""

import numpy as np

from minibert.autograd.functional import IGNORE_INDEX
from minibert.cli.fill_mask import fill_gaps
from minibert.cli.generate import continued
from minibert.models.pretrained_model import PretrainedModel
from minibert.pretraining.bert_objective import PretrainingObjective
from minibert.pretraining.span_corruption import SpanCorruptionObjective
from minibert.tokenizers.base import Tokenizer
from minibert.tokenizers.characters import CharTokenizer

SAMPLE_TOKENS, SAMPLE_CHARACTERS = 30, 90
SAMPLE_REACH = 6
SPAN_TOKENS = 8  # of the target that is shown, about


class FilledGap:
    """A sample of a BERT in training: its candidates for the middle word of a held-out example.

    `ids` and `types` (1, T) are the example with [MASK] at `position`, `answer` the word there.
    """

    def __init__(self, objective: PretrainingObjective, tokenizer: Tokenizer):
        batch = next(objective.held_out_batches())
        length = int(batch.attention_mask[0].sum())
        self.tokenizer = tokenizer
        self.ids = batch.original_ids[:1, :length].copy()
        self.types = batch.token_type_ids[:1, :length]
        around = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}  # the words, if unknown
        words = np.flatnonzero(~np.isin(self.ids[0], list(around)))
        self.position = words[len(words) // 2]
        self.answer = tokenizer.convert_ids_to_tokens(int(self.ids[0, self.position]))
        self.ids[0, self.position] = tokenizer.mask_token_id

    def text(self, reach: int | None = None) -> str:
        """The example with its gap, or only `reach` tokens on either side of it (None: all)."""
        tokens = self.tokenizer.convert_ids_to_tokens(self.ids[0].tolist())
        reach = len(tokens) if reach is None else reach
        return " ".join(tokens[max(0, self.position - reach):self.position + reach + 1])

    def candidates(self, model: PretrainedModel, top: int) -> list[tuple[str, float]]:
        """The `top` candidates of the model with their probabilities. The text may have masks of
        its own; those before this one are skipped."""
        masks = (self.ids[0, :self.position] == self.tokenizer.mask_token_id).sum()
        return fill_gaps(model, self.tokenizer, self.ids, self.types, top)[masks]

    def __call__(self, model: PretrainedModel) -> list[str]:
        found = ", ".join([f"{token} {p:.0%}" for token, p in self.candidates(model, 3)])
        return [f"{self.text(SAMPLE_REACH)}  -> {found} (it was {self.answer})"]


class FilledSpans:
    """A sample of an encoder-decoder in training: the likeliest spans for a held-out text."""

    def __init__(self, objective: SpanCorruptionObjective, tokenizer: Tokenizer):
        batch = next(objective.held_out_batches())
        scored = batch.targets != IGNORE_INDEX
        row = int(np.abs(scored.sum(axis=1) - SPAN_TOKENS).argmin())
        self.tokenizer, self.ids = tokenizer, batch.input_ids[row, batch.attention_mask[row]]
        self.target = batch.targets[row, scored[row]]

    def __call__(self, model: PretrainedModel) -> list[str]:
        room = min(2 * SPAN_TOKENS, model.config.context_length - 1)
        found = model.generate(self.ids[None], max_new_tokens=room)[0, 1:]
        text, spans, was = [" ".join(self.tokenizer.convert_ids_to_tokens(ids.tolist()))
                            for ids in (self.ids, found, self.target)]
        return [text, f"  -> {spans}", f"  (it was {was})"]


class GeneratedLine:
    """A sample of a GPT in training: the beginning of a generated document."""

    def __init__(self, tokenizer: Tokenizer, seed: int):
        self.tokenizer, self.seed = tokenizer, seed

    def __call__(self, model: PretrainedModel) -> list[str]:
        tokens = SAMPLE_CHARACTERS if isinstance(self.tokenizer, CharTokenizer) else SAMPLE_TOKENS
        return [repr(continued(model, self.tokenizer, "", tokens, rng=self.seed))]
