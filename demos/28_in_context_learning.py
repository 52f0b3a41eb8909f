"""Demo 28: in-context learning with an answer key: a GPT beside least squares.

    python demos/28_in_context_learning.py

A small GPT reads x1 y1 x2 y2 ... and predicts each y from the examples before it (Garg et al. 2022,
"What Can Transformers Learn In-Context?", section 2). Every sequence has a linear function of its
own, y = w x + noise, which is not in the weights: it can only be learned in the context. Least
squares and the Bayes-optimal ridge regression read the same examples.
"""

import argparse
from dataclasses import dataclass

import numpy as np
from scipy.linalg import lstsq

import minibert as mb
from minibert.autograd.fused.threads import set_blas_threads
from minibert.nn.layers import Linear
from minibert.nn.module import Module, evaluating
from minibert.training.machine import keep_freed_memory

d, K = 2, 8  # numbers in an x; examples in a sequence
SIGMA = 0.5  # standard deviation of the noise in y; x and w are N(0, I)
WIDTH, LAYERS, HEADS, BATCH = 32, 3, 4, 64
FUNCTIONS = 4000  # for the test


@dataclass
class Functions:
    """Sequences of examples, each of one linear function."""

    w: np.ndarray  # (B, d)
    x: np.ndarray  # (B, K, d)
    y: np.ndarray  # (B, K)
    input_ids: np.ndarray  # (B, 2 K, d + 1): x and 0, then 0 and y; numbers in the place of ids


def draw(count: int, rng: np.random.Generator) -> Functions:
    w, x = rng.normal(size=(count, d)), rng.normal(size=(count, K, d))
    y = np.einsum("bkd,bd->bk", x, w) + SIGMA * rng.normal(size=(count, K))
    tokens = np.zeros((count, 2 * K, d + 1), np.float32)
    tokens[:, 0::2, :d], tokens[:, 1::2, d] = x, y
    return Functions(w, x, y, tokens)


class InContextRegressor(Module):
    """GPT-2's blocks between a linear layer that reads numbers and one that predicts y."""

    __slots__ = ("read_in", "gpt", "read_out")

    def __init__(self, rng: np.random.Generator):
        super().__init__()
        spread = WIDTH ** -0.5
        self.gpt = mb.GPT2Model(mb.GPT2Config(
            vocab_size=1, n_positions=2 * K, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS,
            embd_pdrop=0.0, resid_pdrop=0.0, attn_pdrop=0.0, initializer_range=spread), rng)
        self.gpt.freeze("embeddings.word_embeddings.weight")  # inputs_embeds replace them
        self.read_in, self.read_out = Linear(d + 1, WIDTH), Linear(WIDTH, 1)
        for layer in (self.read_in, self.read_out):
            rows, columns = layer.weight.shape
            layer.weight.data = rng.normal(scale=columns ** -0.5,
                                           size=(rows, columns)).astype(np.float32)

    def forward(self, tokens: np.ndarray) -> mb.Tensor:
        """(B, 2 K, d + 1) -> the predictions of y (B, K), each at its x."""
        hidden = self.gpt(inputs_embeds=self.read_in(mb.Tensor(tokens))).last_hidden_state
        return self.read_out(hidden[:, 0::2]).reshape(len(tokens), K)


class SquaredError:
    """The objective: the squared error of every prediction; new functions in every batch."""

    def batch(self, number: int) -> Functions:
        return draw(BATCH, np.random.default_rng((1, number)))

    def counts(self, batch: Functions) -> dict[str, int]:
        return {"y": batch.y.size}

    def losses(self, model: InContextRegressor, batch: Functions, rng=None):
        error = model(batch.input_ids) - batch.y.astype(np.float32)
        return {"y": (error * error).sum()}, {}


def by_formula(test: Functions) -> tuple[np.ndarray, np.ndarray]:
    """Returns the predictions (B, K) of least squares, of minimum norm below d examples, and of the
    mean of w given the examples: ridge regression with lambda = sigma^2."""
    squares, bayes = np.zeros(test.y.shape), np.zeros(test.y.shape)
    for b in range(len(test.y)):
        for k in range(1, K):
            x, y, query = test.x[b, :k], test.y[b, :k], test.x[b, k]
            squares[b, k] = query @ lstsq(x, y)[0]
            bayes[b, k] = query @ np.linalg.solve(x.T @ x + SIGMA ** 2 * np.eye(d), x.T @ y)
    return squares, bayes


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2000)
    steps = parser.parse_args(argv).steps
    keep_freed_memory()
    set_blas_threads(1)  # at this size a second thread costs time

    test = draw(FUNCTIONS, np.random.default_rng(0))
    print("The beginning of a sequence, whose function is w = ("
          + ", ".join(f"{value:+.2f}" for value in test.w[0]) + "), not shown to the GPT:")
    for k in range(3):
        numbers = ", ".join(f"{value:+.2f}" for value in test.x[0, k])
        print(f"   x{k + 1} = ({numbers})   y{k + 1} = {test.y[0, k]:+.2f}")
    model = InContextRegressor(np.random.default_rng(1))
    trainer = mb.Trainer(model, SquaredError(), mb.TrainingSettings(
        steps=steps, lr=6e-3, warmup=steps // 20, schedule="linear", optimizer="muon",
        betas=(0.9, 0.98), weight_decay=0.0, eval_every=0))
    print(f"\n{steps:,} steps, {steps * BATCH:,} functions ...", flush=True)
    for _ in range(steps):
        trainer.step()

    with evaluating(model), mb.no_grad():
        predicted = model(test.input_ids).data
    squares, bayes = by_formula(test)
    errors = {name: np.square(found - test.y) for name, found in (
        ("no example", 0.0), ("GPT", predicted), ("least squares", squares), ("Bayes", bayes))}
    means = {name: error.mean(axis=0) for name, error in errors.items()}  # (K,) each
    print(f"\nSquared error of the next y after k examples, mean of {FUNCTIONS:,} new functions; "
          f"d = {d}. The noise is part of\ny, so no error is below {SIGMA ** 2}. Without an "
          "example the best prediction is 0.\n")
    print("  k" + "".join(f"{name:>15s}" for name in means)
          + "   GPT / least squares   GPT / Bayes")
    for k in range(K):
        ratios = [means["GPT"][k] / means[name][k] for name in ("least squares", "Bayes")]
        print(f"{k:3d}" + "".join(f"{mean[k]:15.3f}" if mean[k] < 1000 else f"{'> 1000':>15s}"
                                  for mean in means.values())
              + f"{ratios[0]:22.3f}{ratios[1]:14.3f}")
    print("Least squares fits the noise of d examples exactly and is lost there. Bayes uses how "
          "large w and the noise\nusually are; so can the GPT, whose training has shown it.")

    worst = {name: (means["GPT"] / mean)[2 * d:].max() for name, mean in means.items()}
    ahead = errors["Bayes"] - errors["GPT"]
    if (ahead.mean(axis=0) > 4 * ahead.std(axis=0) / FUNCTIONS ** 0.5).any():
        raise SystemExit("the GPT is better than the best possible prediction")
    if means["GPT"][-1] > 0.85 * means["no example"][-1]:
        raise SystemExit("the GPT has learned nothing from its context")
    near = ""
    if steps >= 2000:
        near = (f"\nFrom 2 d examples on its error is at most {worst['least squares']:.3f} times "
                f"that of least squares (10 % more is allowed), {worst['Bayes']:.3f} times\nthat "
                "of Bayes.")
        if worst["least squares"] > 1.1:
            raise SystemExit(f"the error is {worst['least squares']:.2f} times least squares'")
    print("\nClaim: with its weights fixed, the GPT learns a function from the examples in its "
          f"context, never better than Bayes.{near}\nOf the story: GPT-3 learns a task from "
          "examples in its prompt, without a step of training.")


if __name__ == "__main__":
    main()
