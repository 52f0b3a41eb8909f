"""The PyTorch side of benchmark.py: the same models in idiomatic PyTorch.

    python demos/benchmark/benchmark.py        starts this file where PyTorch is installed

The attributes have minibert's names, so that one set of weights fits both.
"""

from __future__ import annotations

import ctypes
import re

import numpy as np
import torch
import torch.nn.functional as F
from cases import LEARNING_RATE, MAX_NORM, Case, serve
from torch import nn


class Attention(nn.Module):
    def __init__(self, case: Case):
        super().__init__()
        self.case = case
        self.qkv = nn.Linear(case.width, 3 * case.width)
        self.output = nn.Linear(case.width, case.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        B, T, C = x.shape
        H = self.case.heads
        q, k, v = [part.view(B, T, H, C // H).transpose(1, 2) for part in self.qkv(x).split(C, -1)]
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.case.kind == "gpt",
                                               dropout_p=self.case.dropout)
        return self.output(mixed.transpose(1, 2).reshape(B, T, C))


class FeedForward(nn.Module):
    def __init__(self, case: Case):
        super().__init__()
        self.expand = nn.Linear(case.width, 4 * case.width)
        self.activation = nn.GELU("tanh" if case.kind == "gpt" else "none")
        self.output = nn.Linear(4 * case.width, case.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output(self.activation(self.expand(x)))


class Block(nn.Module):
    def __init__(self, case: Case):
        super().__init__()
        self.norm_first = case.kind == "gpt"
        self.attention = Attention(case)
        self.attention_norm = layer_norm(case)
        self.feed_forward = FeedForward(case)
        self.feed_forward_norm = layer_norm(case)
        self.dropout = nn.Dropout(case.dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.norm_first:
            x = x + self.dropout(self.attention(self.attention_norm(x)))
            return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        x = self.attention_norm(x + self.dropout(self.attention(x)))
        return self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))


class Embeddings(nn.Module):
    def __init__(self, case: Case):
        super().__init__()
        self.word_embeddings = nn.Embedding(case.vocabulary, case.width)
        self.position_embeddings = nn.Embedding(case.tokens, case.width)
        if case.kind == "bert":
            self.token_type_embeddings = nn.Embedding(2, case.width)
            self.norm = layer_norm(case)
        self.dropout = nn.Dropout(case.dropout)

    def forward(self, ids: torch.Tensor, segments: torch.Tensor | None = None) -> torch.Tensor:
        x = self.word_embeddings(ids) + self.position_embeddings.weight[:ids.shape[1]]
        if segments is not None:
            x = self.norm(x + self.token_type_embeddings(segments))
        return self.dropout(x)


class Stack(nn.Module):
    def __init__(self, case: Case):
        super().__init__()
        self.blocks = nn.ModuleList([Block(case) for _ in range(case.layers)])
        self.final_norm = layer_norm(case) if case.kind == "gpt" else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
        return self.final_norm(x)


class GPT(nn.Module):
    def __init__(self, case: Case):
        super().__init__()
        self.transformer = nn.ModuleDict({"embeddings": Embeddings(case), "stack": Stack(case)})

    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        words = self.transformer["embeddings"]
        x = self.transformer["stack"](words(batch["ids"]))
        logits = F.linear(x, words.word_embeddings.weight)
        return F.cross_entropy(logits.flatten(0, 1), batch["targets"].flatten())


class LSTM(nn.Module):
    def __init__(self, case: Case):
        super().__init__()
        self.embeddings = nn.Embedding(case.vocabulary, case.width)
        self.lstm = nn.LSTM(case.width, case.width, case.layers, batch_first=True)
        self.bias = nn.Parameter(torch.zeros(case.vocabulary))

    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        x, _ = self.lstm(self.embeddings(batch["ids"]))
        logits = F.linear(x, self.embeddings.weight, self.bias)
        return F.cross_entropy(logits.flatten(0, 1), batch["targets"].flatten())


class MaskedLMHead(nn.Module):
    def __init__(self, case: Case):
        super().__init__()
        self.dense = nn.Linear(case.width, case.width)
        self.norm = layer_norm(case)
        self.bias = nn.Parameter(torch.zeros(case.vocabulary))

    def forward(self, x: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        return F.linear(self.norm(F.gelu(self.dense(x))), words, self.bias)


class BERT(nn.Module):
    def __init__(self, case: Case):
        super().__init__()
        self.bert = nn.ModuleDict({"embeddings": Embeddings(case), "stack": Stack(case)})
        self.bert["pooler"] = nn.ModuleDict({"dense": nn.Linear(case.width, case.width)})
        self.mlm_head = MaskedLMHead(case)
        self.nsp_head = nn.Linear(case.width, 2)

    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        words = self.bert["embeddings"]
        x = self.bert["stack"](words(batch["ids"], batch["segments"]))
        chosen = x.flatten(0, 1)[batch["positions"]]
        word_logits = self.mlm_head(chosen, words.word_embeddings.weight)
        pair_logits = self.nsp_head(torch.tanh(self.bert["pooler"]["dense"](x[:, 0])))
        return (F.cross_entropy(word_logits, batch["labels"])
                + F.cross_entropy(pair_logits, batch["follows"]))


def layer_norm(case: Case) -> nn.LayerNorm:
    return nn.LayerNorm(case.width, 1e-5 if case.kind == "gpt" else 1e-12)


def prepare(case: Case, weights: str, variant: str):
    """`variant`: AdamW "foreach", "fused", or "tuned": fused, and the process keeps its memory."""
    if variant == "tuned":
        libc = ctypes.CDLL(None)  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD of <malloc.h>
        for setting, value in ((-3, 1 << 30), (-1, 2 ** 31 - 1), (-2, 64 << 20)):
            libc.mallopt(setting, value)
    torch.manual_seed(0)
    model = {"gpt": GPT, "bert": BERT, "lstm": LSTM}[case.kind](case)
    with np.load(weights) as arrays, torch.no_grad():
        # PyTorch's lstm.weight_ih_l0 is layers.0.weight_ih
        parameters = {re.sub(r"^lstm\.(\w+)_l(\d+)$", r"layers.\2.\1", name): parameter
                      for name, parameter in model.named_parameters()}
        if set(parameters) != set(arrays.files):
            raise SystemExit(f"names differ: {sorted(set(parameters) ^ set(arrays.files))}")
        for name, parameter in parameters.items():
            parameter.copy_(torch.from_numpy(arrays[name]))
    adamw = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, foreach=variant == "foreach",
                              fused=variant != "foreach")

    def step(batch: dict[str, np.ndarray]) -> float:
        adamw.zero_grad()
        loss = model.loss({name: torch.from_numpy(array) for name, array in batch.items()})
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)
        adamw.step()
        return loss.item()

    return step


if __name__ == "__main__":
    serve(prepare)
