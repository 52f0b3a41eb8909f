"""Makes lstm_reference.npz: torch.nn.LSTM in float64, outputs and all gradients.

    python tests/nn/make_lstm_reference.py      (needs PyTorch; the tests need only the file)

A case NAME holds NAME/x, NAME/lengths, NAME/h_0, NAME/c_0, the parameters NAME/p/..., the outputs
NAME/output, NAME/h_n, NAME/c_n, the upstream gradients NAME/up0 .. up2 and the gradients NAME/g/...
"""

from pathlib import Path

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

B, T, I, H = 3, 4, 5, 2
arrays = {}


def record(name: str, num_layers: int, bidirectional: bool, lengths: list[int] | None,
           with_states: bool) -> None:
    torch.manual_seed(len(arrays))
    model = torch.nn.LSTM(I, H, num_layers, batch_first=True, bidirectional=bidirectional).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    normal = [torch.randn(shape, dtype=torch.float64) for shape in
              [(B, T, I), *[(num_layers * (1 + bidirectional), B, H)] * 2]]
    x, h_0, c_0 = [tensor.requires_grad_() for tensor in normal]
    given = x if lengths is None else pack_padded_sequence(x, lengths, batch_first=True,
                                                           enforce_sorted=False)
    output, last = model(given, (h_0, c_0) if with_states else None)
    if lengths is not None:
        output, _ = pad_packed_sequence(output, batch_first=True, total_length=T)
    outputs = [output, *last]
    upstream = [torch.randn_like(one) for one in outputs]
    torch.autograd.backward(outputs, upstream)
    found = {"x": x, "output": output, "h_n": last[0], "c_n": last[1], "g/x": x.grad,
             **{f"up{i}": one for i, one in enumerate(upstream)},
             **{f"p/{key}": one for key, one in model.named_parameters()},
             **{f"g/{key}": one.grad for key, one in model.named_parameters()}}
    if with_states:
        found |= {"h_0": h_0, "c_0": c_0, "g/h_0": h_0.grad, "g/c_0": c_0.grad}
    if lengths is not None:
        found["lengths"] = torch.tensor(lengths)
    arrays.update({f"{name}/{key}": one.detach().numpy() for key, one in found.items()})


record("one layer", 1, False, None, False)
record("three layers", 3, False, None, True)
record("both directions", 2, True, None, True)
record("lengths", 2, True, [2, 4, 1], True)
np.savez_compressed(Path(__file__).with_name("lstm_reference.npz"), **arrays)
