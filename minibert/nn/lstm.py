"""LSTM: several layers, one or two directions, as torch.nn.LSTM with batch_first=True.

PyTorch's parameter `weight_ih_l1` is `layers.1.weight_ih` here, `weight_ih_l1_reverse` is
`reverse_layers.1.weight_ih`, and so are weight_hh, bias_ih and bias_hh.
"""

from __future__ import annotations

import numpy as np

from minibert.autograd import functional as F
from minibert.autograd.ops import concat, masked_fill, stack
from minibert.autograd.tensor import Tensor
from minibert.errors import InputError
from minibert.nn.layers import Dropout
from minibert.nn.module import Module, new_parameter
from minibert.validate import flag, whole_number


class LSTMLayer(Module):
    """One layer in one direction: its parameters, zeros until they are drawn or loaded."""

    __slots__ = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "reverse")

    def __init__(self, input_size: int, hidden_size: int, reverse: bool = False):
        super().__init__()
        self.weight_ih = new_parameter(4 * hidden_size, input_size)
        self.weight_hh = new_parameter(4 * hidden_size, hidden_size)
        self.bias_ih, self.bias_hh = new_parameter(4 * hidden_size), new_parameter(4 * hidden_size)
        self.reverse = reverse

    def forward(self, x: Tensor, hx: tuple[Tensor, Tensor] | None = None,
                lengths: np.ndarray | None = None) -> Tensor:
        """See functional.lstm: (B, T, input_size) -> hidden states and cells (2, B, T, H)."""
        return F.lstm(x, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh, hx, lengths,
                      self.reverse)


class LSTM(Module):
    """A stack of LSTM layers; each reads the hidden states of the one below it, those of both
    directions side by side if `bidirectional`. Dropout acts between layers only, not between steps
    (Zaremba et al. 2014, figure 2). Errors: InputError for sizes below 1, dropout outside [0, 1).
    """

    __slots__ = ("layers", "reverse_layers", "dropout")

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1,
                 dropout: float = 0.0, bidirectional: bool = False):
        super().__init__()
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size),
                           ("num_layers", num_layers)):
            whole_number(f"LSTM: {name}", size, at_least=1)
        width = hidden_size * (2 if flag("LSTM: bidirectional", bidirectional) else 1)
        widths = [input_size] + [width] * (num_layers - 1)
        self.layers = [LSTMLayer(one, hidden_size) for one in widths]
        self.reverse_layers = [LSTMLayer(one, hidden_size, reverse=True) for one in widths
                               if bidirectional]
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, hx: tuple[Tensor, Tensor] | None = None,
                lengths: np.ndarray | None = None, rng: np.random.Generator | None = None
                ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """x (B, T, input_size) -> the last layer's hidden states (B, T, D H), where D = 2 for two
        directions, and (h_n, c_n), the last states of all layers and directions, (L D, B, H) each:
        layer 0 forward, layer 0 reverse, layer 1 forward ... `hx` are first states in that form.

        lengths (B,): tokens of each row; the rest of a row is padding, and its hidden states are
        zeros. Errors: InputError for an hx that is not two tensors of (L D, B, H).
        """
        directions = [self.layers, self.reverse_layers] if self.reverse_layers else [self.layers]
        if hx is not None:
            H = self.layers[0].weight_hh.shape[1]
            expected, shapes = (len(self.layers) * len(directions), len(x), H), [*map(np.shape, hx)]
            if shapes != [expected] * 2:
                raise InputError(f"LSTM: hx has shapes {', '.join(map(str, shapes))}: expected h_0 "
                                 f"and c_0, both (layers and directions, B, H) = {expected}")
        last = []
        for number in range(len(self.layers)):
            if number:
                x = self.dropout(x, rng)
            outputs = []
            for direction in directions:
                first = None if hx is None else (hx[0][len(last)], hx[1][len(last)])
                layer = direction[number]
                states = layer(x, first, lengths)  # (2, B, T, H)
                last.append(states[:, :, 0 if layer.reverse else -1])  # (2, B, H)
                outputs.append(states[0])
            x = outputs[0] if len(outputs) == 1 else concat(outputs, axis=-1)  # (B, T, D H)
        last = stack(last, axis=1)  # (2, L D, B, H)
        if lengths is not None:
            padding = np.arange(x.shape[1]) >= np.asarray(lengths)[:, None]
            x = masked_fill(x, padding[..., None], 0.0)
        return x, (last[0], last[1])
