"""Further sides of benchmark.py: the GPT in HIPS autograd and in MyGrad, where installed.

Both wrap NumPy, so one forward serves both; `xp` is the package's own numpy.
"""

from __future__ import annotations

import math

import numpy as np
from cases import LEARNING_RATE, MAX_NORM, Case, serve


def gpt_loss(xp, case: Case, w: dict, ids: np.ndarray, targets: np.ndarray):
    """Returns the mean next-token loss; `w` maps minibert's parameter names to arrays."""
    B, T = ids.shape
    H, D = case.heads, case.width // case.heads
    x = (w["transformer.embeddings.word_embeddings.weight"][ids]
         + w["transformer.embeddings.position_embeddings.weight"][:T])

    def linear(x, name):
        return xp.matmul(x, w[f"{name}.weight"].T) + w[f"{name}.bias"]

    def layer_norm(x, name):
        centred = x - xp.mean(x, axis=-1, keepdims=True)
        variance = xp.mean(centred * centred, axis=-1, keepdims=True)
        return centred / xp.sqrt(variance + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]

    def exponentials(scores, axis=-1):
        exp = xp.exp(scores - xp.max(scores, axis=axis, keepdims=True))
        return exp, xp.sum(exp, axis=axis, keepdims=True)

    forbidden = np.where(np.tri(T, dtype=bool), 0, -1e30).astype(np.float32)
    for i in range(case.layers):
        block = f"transformer.stack.blocks.{i}"
        qkv = linear(layer_norm(x, f"{block}.attention_norm"), f"{block}.attention.qkv")
        qkv = xp.transpose(xp.reshape(qkv, (B, T, 3, H, D)), (2, 0, 3, 1, 4))
        q, k, v = qkv[0], qkv[1], qkv[2]  # (B, H, T, D)
        scores = xp.matmul(q, xp.swapaxes(k, -1, -2)) * (1 / math.sqrt(D)) + forbidden
        exp, total = exponentials(scores)
        mixed = xp.matmul(exp / total, v)
        mixed = xp.reshape(xp.transpose(mixed, (0, 2, 1, 3)), (B, T, H * D))
        x = x + linear(mixed, f"{block}.attention.output")
        h = linear(layer_norm(x, f"{block}.feed_forward_norm"), f"{block}.feed_forward.expand")
        h = 0.5 * h * (1 + xp.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * (h * h * h))))
        x = x + linear(h, f"{block}.feed_forward.output")
    x = layer_norm(x, "transformer.stack.final_norm")
    logits = xp.matmul(x, w["transformer.embeddings.word_embeddings.weight"].T)
    logits = xp.reshape(logits, (B * T, case.vocabulary))
    _, total = exponentials(logits)
    largest = xp.max(logits, axis=-1, keepdims=True)
    log_total = xp.log(total) + largest
    return xp.mean(log_total[:, 0] - logits[np.arange(B * T), targets.reshape(-1)])


def prepare(case: Case, weights: str, variant: str):
    """`variant`: "autograd" or "mygrad"."""
    with np.load(weights) as arrays:
        w = {name: arrays[name] for name in arrays.files}
    gradients = with_autograd if variant == "autograd" else with_mygrad
    m = {name: np.zeros_like(array) for name, array in w.items()}
    v = {name: np.zeros_like(array) for name, array in w.items()}
    steps = 0

    def step(batch: dict[str, np.ndarray]) -> float:
        nonlocal steps
        steps += 1
        loss, grads = gradients(case, w, batch)
        norm = math.sqrt(sum(float(np.vdot(grad, grad)) for grad in grads.values()))
        for name, grad in grads.items():
            grad = grad * np.float32(min(1.0, MAX_NORM / (norm + 1e-6)))
            m[name] += 0.1 * (grad - m[name])
            v[name] += 0.001 * (grad * grad - v[name])
            m_hat, v_hat = m[name] / (1 - 0.9 ** steps), v[name] / (1 - 0.999 ** steps)
            change = m_hat / (np.sqrt(v_hat) + 1e-8)
            w[name] = w[name] * (1 - LEARNING_RATE * 0.01) - LEARNING_RATE * change
        return loss

    return step


def with_autograd(case: Case, w: dict, batch: dict) -> tuple[float, dict]:
    import autograd
    import autograd.numpy as xp

    def loss_of(w):
        return gpt_loss(xp, case, w, batch["ids"], batch["targets"])

    loss, grads = autograd.value_and_grad(loss_of)(w)
    return float(loss), grads


def with_mygrad(case: Case, w: dict, batch: dict) -> tuple[float, dict]:
    import mygrad

    tensors = {name: mygrad.tensor(array) for name, array in w.items()}
    loss = gpt_loss(mygrad, case, tensors, batch["ids"], batch["targets"])
    loss.backward()
    return float(loss.data), {name: tensor.grad for name, tensor in tensors.items()}


if __name__ == "__main__":
    serve(prepare)
