"""GPT-2: causal attention, and next-token prediction (Radford et al. 2019)."""

from __future__ import annotations

import math

import numpy as np

from minibert.autograd import functional as F
from minibert.autograd.hooks import hook_point
from minibert.autograd.tensor import Tensor
from minibert.errors import InputError
from minibert.generation.generate import GenerationMixin
from minibert.models.config import GPT2Config
from minibert.models.losses import sequence_loss
from minibert.models.outputs import BaseModelOutput, LossAndLogits
from minibert.models.pretrained_model import PretrainedModel, as_tuple
from minibert.nn.block import AttentionInputs, TransformerStack
from minibert.nn.embeddings import Embeddings
from minibert.nn.kv_cache import KeyValueCache
from minibert.nn.layers import Linear
from minibert.nn.module import new_parameter
from minibert.validate import checked_ids

Rng = np.random.Generator


class GPT2PretrainedModel(PretrainedModel):
    """The base of GPT-2's classes: how their weights are drawn."""

    __slots__ = ()
    config_class = GPT2Config

    def draw(self, name: str, shape: tuple[int, ...], rng: Rng) -> np.ndarray:
        """Normal with standard deviation `initializer_range`; the last matrix of a branch is scaled
        by 1/sqrt(N), N the number of branches (Radford et al. 2019, section 2.3). Hugging Face too
        draws the positions like the rest (OpenAI's code with half of that)."""
        values = rng.standard_normal(shape, np.float32) * np.float32(self.config.initializer_range)
        if name.endswith(("attention.output.weight", "feed_forward.output.weight")):
            values /= np.float32(math.sqrt(2 * self.config.n_layer))
        return values


class GPT2Model(GPT2PretrainedModel):
    """The bare model: embeddings and blocks."""

    __slots__ = ("embeddings", "stack")

    def __init__(self, config: GPT2Config, rng: Rng | int | None = 0):
        """`rng` None leaves the weights at zero, to be loaded."""
        super().__init__(config)
        self.embeddings = Embeddings(config.vocab_size, config.n_embd, config.n_positions,
                                     config.embd_pdrop)
        self.stack = TransformerStack(config.n_layer, config.block_config)
        self.initialize(rng)

    def forward(self, input_ids: np.ndarray | None = None, attention_mask: np.ndarray | None = None,
                position_ids: np.ndarray | None = None, inputs_embeds: Tensor | None = None,
                output_hidden_states: bool = False, output_attentions: bool = False,
                rng: Rng | None = None, past_key_values: KeyValueCache | None = None
                ) -> BaseModelOutput:
        """All (B, T): ids, mask (1 = token, 0 = padding), positions; or inputs_embeds (B, T, C) for
        the ids -> last_hidden_state (B, T, C). In training mode with dropout an `rng` is needed.

        With `past_key_values` these are the tokens (and the mask) after those in the cache, which
        is filled in place; positions then are counted without the padding. Within no_grad only.
        Errors: InputError for shapes that differ and for ids that the model does not have.
        """
        input_ids, inputs_embeds, (B, T) = self._batch_shape(input_ids, inputs_embeds)
        mask, position_ids = self._begin(past_key_values, attention_mask, position_ids, (B, T))
        inputs = AttentionInputs(attn_mask=mask, is_causal=past_key_values is None,
                                 position_ids=position_ids, rng=rng, cache=past_key_values,
                                 attentions=[] if output_attentions else None)
        hidden_states = [] if output_hidden_states else None
        x = self.embeddings(input_ids, inputs, inputs_embeds)  # (B, T, C)
        x = self.stack(x, inputs, hidden_states)
        if past_key_values is not None:
            past_key_values.commit()
        return BaseModelOutput(x, as_tuple(hidden_states), as_tuple(inputs.attentions))


class GPT2LMHeadModel(GenerationMixin, GPT2PretrainedModel):
    """GPT-2 with a language model's head: the product of each vector with those of all words gives
    the logits of the next token. The head is the word embedding itself unless the config unties
    them."""

    __slots__ = ("transformer", "lm_head", "generation_config")

    def __init__(self, config: GPT2Config, rng: Rng | int | None = 0):
        super().__init__(config)
        self.generation_config = None
        self.transformer = GPT2Model(config, None)
        words = self.transformer.embeddings.word_embeddings.weight
        self.lm_head = words if config.tie_word_embeddings else new_parameter(*words.shape)
        self.initialize(rng)

    def forward(self, input_ids: np.ndarray | None = None, attention_mask: np.ndarray | None = None,
                position_ids: np.ndarray | None = None, inputs_embeds: Tensor | None = None,
                labels: np.ndarray | None = None, output_hidden_states: bool = False,
                output_attentions: bool = False, rng: Rng | None = None,
                past_key_values: KeyValueCache | None = None, logits_to_keep: int = 0
                ) -> LossAndLogits:
        """logits (B, T, V), or those of the last `logits_to_keep` tokens. `labels` (B, T) may be
        the input ids themselves, with -100 where none is scored: the logits at t are scored against
        label t + 1. A training step calls next_token_loss instead."""
        outputs = self.transformer(input_ids, attention_mask, position_ids, inputs_embeds,
                                   output_hidden_states, output_attentions, rng, past_key_values)
        x = outputs.last_hidden_state  # (B, T, C)
        logits = F.linear(x[:, -logits_to_keep:] if logits_to_keep else x, self.lm_head)
        logits = hook_point("hook_logits", logits)
        loss = None if labels is None else self._shifted_loss(logits, labels)
        return LossAndLogits(loss, logits, outputs.hidden_states, outputs.attentions)

    def _shifted_loss(self, logits: Tensor, labels: np.ndarray) -> Tensor:
        B, T, V = logits.shape
        labels = checked_ids("labels", labels, V, (B, T), ignored=F.IGNORE_INDEX)
        if T < 2:
            raise InputError("labels: a text of one token has no next token: pass two or more")
        return F.cross_entropy(logits[:, :-1].reshape(B * (T - 1), V), labels[:, 1:].reshape(-1))

    def next_token_loss(self, input_ids: np.ndarray, targets: np.ndarray, rng: Rng | None = None
                        ) -> Tensor:
        """The forward of a training step: the sum of the losses at `targets` (B, T), which are
        shifted already (the token after each input token; -100 is ignored). The loss is fused with
        the head, so there are no logits; `forward` gives the mean."""
        with self.scope():
            x = self.transformer(input_ids, rng=rng).last_hidden_state  # (B, T, C)
            targets = checked_ids("targets", targets, self.config.vocab_size, x.shape[:2],
                                  ignored=F.IGNORE_INDEX)
            return F.linear_cross_entropy(x, self.lm_head, None, targets, reduction="sum")


class GPT2ForSequenceClassification(GPT2PretrainedModel):
    """The class of a text, or a number if `num_labels` is 1, from the vector of the last token, the
    only one that attends to the whole text."""

    __slots__ = ("transformer", "score")
    has_labels = True

    def __init__(self, config: GPT2Config, rng: Rng | int | None = 0):
        super().__init__(config)
        self.transformer = GPT2Model(config, None)
        self.score = Linear(config.n_embd, config.num_labels, bias=False)
        self.initialize(rng)

    def forward(self, input_ids: np.ndarray | None = None, attention_mask: np.ndarray | None = None,
                position_ids: np.ndarray | None = None, inputs_embeds: Tensor | None = None,
                labels: np.ndarray | None = None, output_hidden_states: bool = False,
                output_attentions: bool = False, rng: Rng | None = None) -> LossAndLogits:
        """logits (B, K); `labels` as for BertForSequenceClassification."""
        outputs = self.transformer(input_ids, attention_mask, position_ids, inputs_embeds,
                                   output_hidden_states, output_attentions, rng)
        x = outputs.last_hidden_state
        last = self._last_tokens(input_ids, attention_mask, x.shape[:2])
        logits = hook_point("hook_logits", self.score(x[np.arange(len(x)), last]))
        loss = None if labels is None else sequence_loss(self.config, logits, labels)
        return LossAndLogits(loss, logits, outputs.hidden_states, outputs.attentions)

    def _last_tokens(self, input_ids: np.ndarray | None, attention_mask: np.ndarray | None,
                     shape: tuple[int, int]) -> np.ndarray:
        """The column of each row's last token that is not `config.pad_token_id`: (B,). As in
        Hugging Face the ids decide, not the mask, so padding may stand on either side."""
        B, T = shape
        pad = self.config.pad_token_id
        if pad is None and B > 1:
            raise InputError(f"GPT2ForSequenceClassification: a batch of {B} texts needs padding, "
                             "and config.pad_token_id is None: set it, or pass one text")
        if input_ids is None and attention_mask is not None \
                and not np.asarray(attention_mask)[:, -1].all():
            raise InputError("GPT2ForSequenceClassification: inputs_embeds do not show where the "
                             "padding begins: pass input_ids, or pad on the left")
        if pad is None or input_ids is None:
            return np.full(B, T - 1)
        return (np.arange(T) * (np.asarray(input_ids) != pad)).argmax(axis=1)
