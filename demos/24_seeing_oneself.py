"""Demo 24: seeing oneself: why ELMo stayed shallow, and why BERT needs [MASK].

    python demos/24_seeing_oneself.py

A word is predicted from both sides: from the state of an LSTM that reads to the right, just before
the word, and of one that reads to the left, just after it. Two layers of each direction apart, as
in ELMo, or two layers whose second reads both directions of the first. The gradient of a prediction
with respect to each word says what was read; a training on random words says what that is worth.
"""

import argparse
import math

import numpy as np

import minibert as mb
from minibert import functional as F
from minibert.autograd.ops import concat, flip
from minibert.nn.layers import Embedding, Linear
from minibert.nn.lstm import LSTM
from minibert.nn.module import Module

WORDS = "the river bank was muddy".split()
V, MASK = 12, 12  # the words 0 to V - 1, and [MASK]
LAYERS = 2


class TwoSided(Module):
    """Predicts words 1 to T - 2 of a row from the words on both sides."""

    __slots__ = ("embeddings", "both", "to_right", "to_left", "head")

    def __init__(self, width: int, deep: bool, rng: np.random.Generator):
        super().__init__()
        self.embeddings, self.head = Embedding(V + 1, width), Linear(2 * width, V)
        self.both = LSTM(width, width, LAYERS, bidirectional=True) if deep else None
        self.to_right = self.to_left = None
        if not deep:
            self.to_right, self.to_left = LSTM(width, width, LAYERS), LSTM(width, width, LAYERS)
        for parameter in self.parameters():
            parameter.data = rng.normal(scale=0.5 / math.sqrt(width / 8),
                                        size=parameter.shape).astype(np.float32)

    def forward(self, x: mb.Tensor) -> mb.Tensor:
        """Word vectors (B, T, C) -> logits (B, T - 2, V)."""
        if self.both is not None:
            states, _ = self.both(x)  # (B, T, 2 C)
            right, left = states[..., :x.shape[2]], states[..., x.shape[2]:]
        else:
            right, _ = self.to_right(x)
            left = flip(self.to_left(flip(x, axis=1))[0], axis=1)
        return self.head(concat([right[:, :-2], left[:, 2:]], axis=-1))  # before t, after t


def influence(model: TwoSided) -> np.ndarray:
    """Returns (T - 2, T): the size of the gradient of each prediction with respect to each word."""
    rng, T = np.random.default_rng(1), len(WORDS)
    table = np.zeros((T - 2, T))
    for t in range(T - 2):
        x = mb.Tensor(rng.normal(size=(1, T, model.head.weight.shape[1] // 2)), requires_grad=True)
        model(x)[0, t].sum().backward()
        table[t] = np.abs(x.grad[0]).sum(-1)
    return table


def train(model: TwoSided, steps: int, mask: bool) -> float:
    """Returns the mean loss of the last tenth of the steps on rows of random words: no word says
    anything about another, so ln V is the best possible. `mask`: one word of each row shows [MASK]
    and is the only one that is predicted."""
    rng, optimizer = np.random.default_rng(2), mb.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(steps):
        ids = rng.integers(0, V, (32, 8))
        shown, targets = ids.copy(), ids[:, 1:-1].copy()
        if mask:
            row, place = np.arange(32), rng.integers(1, 7, 32)
            shown[row, place] = MASK
            targets[:] = F.IGNORE_INDEX
            targets[row, place - 1] = ids[row, place]
        optimizer.zero_grad()
        logits = model(model.embeddings(shown))
        loss = F.cross_entropy(logits.reshape(-1, V), targets.reshape(-1))
        loss.backward()
        mb.clip_grad_norm_(list(model.parameters()), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return float(np.mean(losses[-max(1, steps // 10):]))


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=400)
    steps = parser.parse_args(argv).steps

    tables = {}
    for name, deep in (("two layers to the right, two to the left, apart (ELMo)", False),
                       ("two layers, the second reads both directions of the first", True)):
        tables[deep] = influence(TwoSided(8, deep, np.random.default_rng(0)).double())
        print(f"{name}:\nsize of the gradients, row = predicted word, column = word read\n")
        print(" " * 9 + "".join(f"{word:>8s}" for word in WORDS))
        for word, row in zip(WORDS[1:], tables[deep]):
            print(f"   {word:6s}" + "".join(f"{value:8.3f}" if value else "       0"
                                            for value in row))
        print()
    itself = {deep: np.diagonal(table, 1) for deep, table in tables.items()}
    print("Look at each word's own column. Apart, no path leads from a word to its own prediction. "
          "In the deep\nmodel there is one: 'bank' is in the first layer's state to the left, at "
          "'river', which the second\nlayer's state to the right reads there, and that predicts "
          "'bank'.\n")

    print(f"Random words, {steps} steps: nothing can be predicted, ln V = {math.log(V):.3f} is the "
          "best possible.")
    losses = {}
    for name, deep, mask in (("apart", False, False), ("deep", True, False),
                             ("deep, [MASK] in place of the predicted word", True, True)):
        model = TwoSided(32, deep, np.random.default_rng(3))
        losses[deep, mask] = train(model, steps, mask)
        print(f"   {name:44s} loss {losses[deep, mask]:.3f}")
    print("The deep model is no language model: it copies. With [MASK] it has nothing to copy.")

    if itself[False].any() or not itself[True].all():
        raise SystemExit("a word's own gradient is not zero apart, or zero in the deep model")
    if losses[False, False] < 0.97 * math.log(V) or losses[True, True] < 0.97 * math.log(V) \
            or losses[True, False] > 0.8 * math.log(V):
        raise SystemExit("the losses are not those of a copy and of chance")
    print("\nThe sentence of the story: ELMo reads both directions, but never together; BERT does, "
          "and hides the\nword with [MASK].")
    print("Claim: apart, a word has a gradient of exactly zero in its own prediction; a deep "
          "bidirectional LSTM\nsees the word and copies it, unless it reads [MASK].")


if __name__ == "__main__":
    main()
