"""ELMo: two language models of LSTM layers, one reads to the right, one to the left.

Peters et al. 2018, "Deep contextualized word representations". Both share the tokens' vectors and
the head (section 3.1). The vector of token k mixes its states of all layers j (equation 1):

    ELMo_k = gamma sum_j s_j h_kj    s = softmax(scalars)    h_kj = [to the right; to the left]

where h_k0 is the token's own vector, twice. The scalars and gamma are learned by the task that uses
the vectors; the language models give them no gradient.

A gap in the text gets p(w | left) p(w | right) / p(w), normalised: Bayes' rule if, given the word,
both sides are independent. Each side's model has never seen the other side: it is shallow. A deeper
mixture would let a token predict itself (demo 24).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minibert.ancestors.lstm import LSTMConfig, LSTMLanguageModel
from minibert.ancestors.model import AncestorModel, Rng
from minibert.autograd import functional as F
from minibert.autograd.ops import concat
from minibert.autograd.tensor import Tensor, no_grad
from minibert.data.ngram_baselines import unigram
from minibert.nn.module import evaluating, new_parameter
from minibert.pretraining.gpt_objective import NextTokenBatch, NextTokenObjective
from minibert.pretraining.objective import LossesAndMetrics, Objective
from minibert.validate import checked_ids


@dataclass(frozen=True)
class ELMoConfig(LSTMConfig):
    """As LSTMConfig, for each direction."""

    model_type = "elmo"


class ELMo(AncestorModel):
    """Two language models; `scalars` (L + 1,) and `gamma` (1,) mix their states."""

    __slots__ = ("to_right", "to_left", "scalars", "gamma", "unigram")
    config_class = ELMoConfig
    distributions = {"unigram": False}

    def __init__(self, config: ELMoConfig, rng: Rng | int | None = 0):
        super().__init__(config)
        rng = None if rng is None else np.random.default_rng(rng)
        self.to_right = LSTMLanguageModel(config, rng)
        self.to_left = LSTMLanguageModel(config, rng, reverse=True)
        self.to_left.embeddings, self.to_left.bias = self.to_right.embeddings, self.to_right.bias
        self.scalars = new_parameter(config.num_layers + 1)
        self.gamma = new_parameter(1, value=1.0)
        self.unigram = np.full(config.vocab_size, 1 / config.vocab_size)  # p(w), from counts

    def count_unigram(self, ids: np.ndarray) -> None:
        """Set p(w) from the token ids (N,) of the training text."""
        self.unigram = unigram(np.bincount(ids, minlength=self.config.vocab_size))

    def layer_states(self, input_ids: np.ndarray) -> list[Tensor]:
        """h_k0 to h_kL: (B, T) -> (B, T, 2 C) each."""
        both = zip(self.to_right.hidden_states(input_ids), self.to_left.hidden_states(input_ids))
        return [concat(pair, axis=-1) for pair in both]

    def mixed(self, input_ids: np.ndarray) -> Tensor:
        """Equation 1: (B, T) -> (B, T, 2 C). Its gradient trains the scalars and gamma."""
        s = F.softmax(self.scalars)
        terms = [s[j] * h for j, h in enumerate(self.layer_states(input_ids))]
        return self.gamma * sum(terms[1:], terms[0])

    def next_word(self, input_ids: np.ndarray) -> np.ndarray:
        """See AncestorModel: the model that reads to the right."""
        return self.to_right.next_word(input_ids)

    def gap(self, input_ids: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """See AncestorModel. Where the row has no token on one side, the other decides alone."""
        ids, log_p = self.checked(input_ids), np.log(self.unigram)
        B, T = ids.shape
        positions = checked_ids("positions", positions, T, (B,))
        log_product = np.tile(log_p, (B, 1))  # p(w), for rows of one token
        with evaluating(self), no_grad():
            for model, neighbour in ((self.to_right, positions - 1), (self.to_left, positions + 1)):
                rows = np.flatnonzero((neighbour >= 0) & (neighbour < T))
                hidden = model.hidden_states(ids)[-1][rows, neighbour[rows]]  # (rows, C)
                log_product[rows] += model.log_probabilities(hidden).data - log_p
        return F.log_softmax(log_product).data

    def vectors(self, input_ids: np.ndarray) -> np.ndarray:
        """See AncestorModel: equation 1."""
        ids = self.checked(input_ids)
        with evaluating(self), no_grad():
            return self.mixed(ids).data


class ELMoObjective(NextTokenObjective):
    """The next token and the token before, on the same windows; the loss is the sum of both means.

    It counts `model.unigram`. Errors: see NextTokenObjective.
    """

    name = "elmo"

    def __init__(self, model: ELMo, tokenizer, train: list[str], held_out: list[str], context: int,
                 batch_size: int, seed: int = 0):
        super().__init__(tokenizer, train, held_out, context, batch_size, seed)
        model.count_unigram(self.train_ids)

    def counts(self, batch: NextTokenBatch) -> dict[str, int]:
        """Returns the number of targets, which is the same for both directions."""
        return dict.fromkeys(("to_right", "to_left"), super().counts(batch)["tokens"])

    def losses(self, model: ELMo, batch: NextTokenBatch, rng: Rng | None = None
               ) -> LossesAndMetrics:
        """Returns the loss sums. The model that reads to the left gets the targets as its input
        and the input as its targets."""
        is_token = batch.targets != F.IGNORE_INDEX
        after = np.where(is_token, batch.targets, 0)
        before = np.where(is_token, batch.input_ids, F.IGNORE_INDEX)
        lengths = is_token.sum(axis=1)
        return {"to_right": model.to_right.next_token_loss(batch.input_ids, batch.targets, rng),
                "to_left": model.to_left.next_token_loss(after, before, rng, lengths)}, {}

    def summary(self, loss_sums: dict[str, float], counts: dict[str, int],
                metric_sums: dict[str, float]) -> dict[str, float]:
        """Divide sums over batches: the loss of each direction (nats per token), and their sum."""
        return Objective.summary(self, loss_sums, counts, metric_sums)
