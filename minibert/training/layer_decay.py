"""Lower layers learn more slowly: layer-wise decay of the learning rate.

What a pre-trained model knows of words sits low, what a new task needs is at the top. So the top
layer and the head learn at the full rate, and each layer below at `layer_decay` times the rate of
the one above it (Howard & Ruder 2018, "Universal Language Model Fine-tuning", section 3.2; for BERT
Sun et al. 2019, "How to Fine-Tune BERT for Text Classification?", section 5.3.4).
"""

from __future__ import annotations

import re

from minibert.nn.module import Module


def layer_groups(model: Module, groups: list[dict], layer_decay: float
                 ) -> tuple[list[dict], list[float]]:
    """AdamW's groups, each split by layers, and the share of the learning rate of each new group.

    The embeddings are below the first layer; everything that is neither is the head, above the
    last. With a decay of 1 the groups stay as they are.
    """
    if layer_decay == 1:
        return groups, [1.0] * len(groups)
    layers = model.config.num_hidden_layers
    height = {id(parameter): _height(name, layers) for name, parameter in model.named_parameters()}
    split, shares = [], []
    for group in groups:
        for level in sorted({height[id(parameter)] for parameter in group["params"]}):
            split.append({**group, "params": [parameter for parameter in group["params"]
                                              if height[id(parameter)] == level]})
            shares.append(layer_decay ** max(layers - level, 0))
    return split, shares


def _height(name: str, layers: int) -> int:
    """0 for the embeddings, 1 to `layers` for the blocks, one more for the head."""
    block = re.search(r"stack\.blocks\.(\d+)\.", name)
    if block:
        return int(block[1]) + 1
    return 0 if "embeddings." in name else layers + 1
