"""Write functional_reference.npz: PyTorch's values and gradients of the functions in functional.py.

    python tests/autograd/make_functional_reference.py   (needs torch; the tests do not)

Everything is float64. For a case "name" the file holds name/0, name/1, ... (the differentiable
inputs), name/grad (the upstream gradient), name/output, name/grad0, name/grad1, ... and name/KEY
for each constant.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(20)
arrays = {}


def record(name, function, *inputs, **constants):
    tensors = [torch.tensor(array, requires_grad=True) for array in inputs]
    output = function(*tensors, **{key: torch.tensor(value) for key, value in constants.items()})
    upstream = torch.tensor(rng.normal(size=output.shape))
    output.backward(upstream)
    for i, tensor in enumerate(tensors):
        arrays[f"{name}/{i}"] = tensor.detach().numpy()
        arrays[f"{name}/grad{i}"] = tensor.grad.numpy()
    arrays[f"{name}/output"] = output.detach().numpy()
    arrays[f"{name}/grad"] = upstream.numpy()
    for key, value in constants.items():
        arrays[f"{name}/{key}"] = np.asarray(value)


def normal(*shape):
    return rng.normal(size=shape)


x = normal(2, 5, 3, 2)
record("softmax", lambda x: F.softmax(x, 1), 3 * x)
record("log_softmax", lambda x: F.log_softmax(x, 2), 3 * x)
record("logsumexp", lambda x: torch.logsumexp(x, 3), 3 * x)
record("layer_norm", lambda x, w, b: F.layer_norm(x, (3, 2), w, b, 1e-3),
       x, normal(3, 2), normal(3, 2))
record("gelu", lambda x: F.gelu(x), 2 * x)
record("gelu_tanh", lambda x: F.gelu(x, approximate="tanh"), 2 * x)
record("linear", F.linear, x, normal(7, 2), normal(7))
record("embedding", lambda w, ids: F.embedding(ids, w), normal(6, 5),
       ids=rng.integers(0, 6, (4, 3)))
record("mse_loss", F.mse_loss, x, normal(*x.shape))
record("l1_loss", F.l1_loss, x, normal(*x.shape))

logits = 3 * normal(4, 6, 3)
targets = rng.integers(0, 6, (4, 3))
targets[1, 2] = targets[3, 0] = -100
weight = rng.random(6)
probabilities = rng.dirichlet(np.ones(6), (4, 3)).swapaxes(1, 2)
for name, wanted in (("classes", targets), ("probabilities", probabilities)):
    for reduction, smoothing, weighted in (
            ("mean", 0.0, False), ("mean", 0.0, True), ("sum", 0.0, False),
            ("mean", 0.2, False), ("mean", 0.2, True), ("none", 0.2, True)):
        constants = {"targets": wanted, **({"weight": weight} if weighted else {})}
        record(f"cross_entropy {name} {reduction} {smoothing} {weighted}",
               lambda x, targets, weight=None: F.cross_entropy(
                   x, targets, weight, reduction=reduction, label_smoothing=smoothing),
               logits, **constants)

query, key, value = normal(2, 3, 5, 4), normal(2, 3, 7, 4), normal(2, 3, 7, 6)
mask = rng.random((2, 1, 5, 7)) < 0.5
mask[..., 3] = True  # PyTorch makes NaN of a row that may attend to nothing
attention = F.scaled_dot_product_attention
record("attention plain", attention, query, key, value)
record("attention causal", lambda q, k, v: attention(q, k, v, is_causal=True), query, key, value)
record("attention scaled", lambda q, k, v: attention(q, k, v, scale=0.7), query, key, value)
record("attention masked", lambda q, k, v, mask: attention(q, k, v, mask),
       query, key, value, mask=mask)
record("attention biased", lambda q, k, v, m: attention(q, k, v, m),
       query, key, value, normal(3, 1, 7))

np.savez_compressed(Path(__file__).with_name("functional_reference.npz"), **arrays)
