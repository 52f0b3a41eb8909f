"""A language model of LSTM layers: one state carries all of the text so far.

Zaremba, Sutskever & Vinyals 2014, "Recurrent Neural Network Regularization": dropout before each
layer and before the prediction, never between two steps of a layer (figure 2). One matrix is the
table of the tokens' vectors and the head, as in GPT (Press & Wolf 2017). The objective is GPT's,
unchanged. The cell is Hochreiter & Schmidhuber's (1997), see autograd/reference.py.

Weights are drawn evenly: a layer's within 1/sqrt(C), as PyTorch's, the tokens' vectors within 1.
With vectors within 0.1, as in the paper, the toy world takes several times as many steps: 600 steps
of one layer ended at 1.43 nats with 0.3 and at 1.25 with 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minibert.ancestors.model import AncestorConfig, AncestorModel, Rng
from minibert.autograd import functional as F
from minibert.autograd.tensor import Tensor, no_grad
from minibert.nn.layers import Dropout, Embedding
from minibert.nn.lstm import LSTMLayer
from minibert.nn.module import evaluating, new_parameter
from minibert.pretraining.gpt_objective import NextTokenObjective


@dataclass(frozen=True)
class LSTMConfig(AncestorConfig):
    """hidden_size: C, of the tokens' vectors and of each layer's state. dropout: a probability."""

    hidden_size: int = 64
    num_layers: int = 2
    dropout: float = 0.0

    model_type = "lstm"


class LSTMLanguageModel(AncestorModel):
    """The next token from all tokens before it. `reverse`: the token before from all after it."""

    __slots__ = ("embeddings", "layers", "bias", "dropout")
    config_class = LSTMConfig
    unanswered = {"gap": "reads the left side alone"}

    def __init__(self, config: LSTMConfig, rng: Rng | int | None = 0, reverse: bool = False):
        super().__init__(config)
        V, C = config.vocab_size, config.hidden_size
        self.embeddings = Embedding(V, C)
        self.layers = [LSTMLayer(C, C, reverse) for _ in range(config.num_layers)]
        self.bias = new_parameter(V)
        self.dropout = Dropout(config.dropout)
        if rng is not None:
            rng = np.random.default_rng(rng)
            for name, parameter in self.named_parameters():
                if parameter.ndim == 2:  # biases begin at 0
                    limit = 1.0 if name == "embeddings.weight" else 1 / np.sqrt(C)
                    draws = rng.uniform(-limit, limit, parameter.shape)
                    parameter.data = draws.astype(np.float32)

    def hidden_states(self, input_ids: np.ndarray, lengths: np.ndarray | None = None,
                      rng: Rng | None = None) -> list[Tensor]:
        """The tokens' vectors and the hidden states of each layer, (B, T, C) each, for ids (B, T);
        lengths (B,): tokens of each row, the rest is padding. `rng` is for dropout."""
        states = [self.embeddings(input_ids)]
        for layer in self.layers:
            hidden, _ = layer(self.dropout(states[-1], rng), lengths=lengths)
            states.append(hidden)
        return states

    def next_token_loss(self, input_ids: np.ndarray, targets: np.ndarray, rng: Rng | None = None,
                        lengths: np.ndarray | None = None) -> Tensor:
        """The sum of the losses at `targets` (B, T), the token to predict at each input token; -100
        is ignored. `rng`, `lengths`: as for hidden_states."""
        hidden = self.dropout(self.hidden_states(input_ids, lengths, rng)[-1], rng)
        return F.linear_cross_entropy(hidden, self.embeddings.weight, self.bias, targets,
                                      reduction="sum")

    def log_probabilities(self, hidden: Tensor) -> Tensor:
        """Of the predicted token: (..., C) -> (..., V), in nats."""
        return F.log_softmax(F.linear(hidden, self.embeddings.weight, self.bias))

    def next_word(self, input_ids: np.ndarray) -> np.ndarray:
        """See AncestorModel."""
        ids = self.checked(input_ids)
        with evaluating(self), no_grad():
            return self.log_probabilities(self.hidden_states(ids)[-1]).data

    def vectors(self, input_ids: np.ndarray) -> np.ndarray:
        """See AncestorModel: the hidden states of the last layer, from the left side and the token
        itself."""
        ids = self.checked(input_ids)
        with evaluating(self), no_grad():
            return self.hidden_states(ids)[-1].data


class LSTMObjective(NextTokenObjective):
    """GPT's objective under the name of this row."""

    name = "lstm"
