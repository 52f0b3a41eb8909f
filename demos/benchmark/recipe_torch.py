"""The README's character GPT in idiomatic PyTorch: the other side of recipe.py.

    python demos/benchmark/recipe_torch.py shakespeare.txt --steps 2000 --threads 2 --out RUN
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from cases import Case
from torch_side import GPT
from torch import nn

CONTEXT, BATCH, EVALUATIONS, HELD_OUT_BATCH = 64, 12, 5, 64
LR, MIN_LR, WARMUP, DECAY = 1e-3, 1e-4, 100, 0.1


def main() -> None:
    options = parsed()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    train, held_out, vocabulary = read(options.text)
    model = GPT(Case("recipe", "gpt", 4, 128, 4, CONTEXT, BATCH, vocabulary))
    initialize(model)
    adamw = torch.optim.AdamW(groups(model), lr=LR, betas=(0.9, 0.99), foreach=True)
    evaluate(model, held_out)
    for step in range(options.steps):
        first = torch.randint(len(train) - CONTEXT, (BATCH,))
        windows = train[first[:, None] + torch.arange(CONTEXT + 1)]
        for group in adamw.param_groups:
            group["lr"] = rate(step, options.steps)
        adamw.zero_grad()
        loss = model.loss({"ids": windows[:, :-1], "targets": windows[:, 1:]})
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adamw.step()
        if (step + 1) % -(-options.steps // EVALUATIONS) == 0 or step + 1 == options.steps:
            held_out_loss = evaluate(model, held_out)
    options.out.mkdir()
    torch.save({"model": model.state_dict(), "optimizer": adamw.state_dict()},
               options.out / "latest.pt")
    summary = {"held_out": {"loss": held_out_loss}}
    (options.out / "summary.json").write_text(json.dumps(summary), encoding="utf-8")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


def read(path: Path) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Returns the ids of the first nine tenths, the ids of the rest, and the vocabulary size; id 0
    is the unknown character."""
    text = path.read_text(encoding="utf-8")
    cut = int(0.9 * len(text))
    number = {character: i for i, character in enumerate(sorted(set(text[:cut])), 1)}
    ids = torch.tensor([number.get(character, 0) for character in text])
    return ids[:cut], ids[cut:], len(number) + 1


def initialize(model: GPT) -> None:
    """The first weights of `pretrain`: N(0, 1/sqrt(width)); residual projections scaled by
    1/sqrt(branches), as in GPT-2."""
    spread = 1 / math.sqrt(model.transformer["embeddings"].word_embeddings.embedding_dim)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2:
            scaled = name.endswith(("attention.output.weight", "feed_forward.output.weight"))
            nn.init.normal_(parameter, std=spread / math.sqrt(8) if scaled else spread)
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)


def groups(model: GPT) -> list[dict]:
    """Returns parameter groups: weight decay for matrices, none for the rest."""
    named = list(model.named_parameters())
    decayed = [p for name, p in named if p.ndim == 2 and "embeddings" not in name]
    exempt = [p for name, p in named if p.ndim < 2 or "embeddings" in name]
    return [{"params": decayed, "weight_decay": DECAY}, {"params": exempt, "weight_decay": 0.0}]


def rate(step: int, steps: int) -> float:
    """Returns the learning rate: linear warmup, then half a cosine down to MIN_LR."""
    if step < WARMUP:
        return LR * (step + 1) / WARMUP
    done = (step - WARMUP) / max(1, steps - WARMUP)
    return MIN_LR + (LR - MIN_LR) * (1 + math.cos(math.pi * done)) / 2


@torch.no_grad()
def evaluate(model: GPT, ids: torch.Tensor) -> float:
    """Returns the mean loss of all tokens but the first, over consecutive windows."""
    model.eval()
    full = (len(ids) - 1) // CONTEXT * CONTEXT
    inputs, targets = ids[:full].view(-1, CONTEXT), ids[1:full + 1].view(-1, CONTEXT)
    batches = list(zip(inputs.split(HELD_OUT_BATCH), targets.split(HELD_OUT_BATCH)))
    if full < len(ids) - 1:
        batches.append((ids[full:-1][None], ids[full + 1:][None]))
    total = sum(model.loss({"ids": x, "targets": y}).item() * y.numel() for x, y in batches)
    model.train()
    return total / (len(ids) - 1)


if __name__ == "__main__":
    main()
