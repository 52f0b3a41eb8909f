"""Layer-wise decay of the learning rate, for fine-tuning.

Lower layers of a pre-trained model hold what is general, the upper ones what changes with the task.
So the top layer and the head learn at the full rate, and each layer below at `layer_decay` times
the rate of the one above it (Howard & Ruder 2018, "Universal Language Model Fine-tuning", section
3.2; for BERT Sun et al. 2019, "How to Fine-Tune BERT for Text Classification?", section 5.3.4).
"""

from __future__ import annotations

import re

from minibert.nn.module import Module


def layer_groups(model: Module, groups: list[dict], layer_decay: float
                 ) -> tuple[list[dict], list[float]]:
    """Split an optimizer's parameter groups by layers; -> (new groups, the factor of the learning
    rate for each of them).

    The embeddings are below the first layer; all that is neither embedding nor layer is the head,
    above the last. With a `layer_decay` of 1 the groups stay unchanged.
    """
    if layer_decay == 1:
        return groups, [1.0] * len(groups)
    layers = model.config.num_hidden_layers
    height = {id(parameter): _height(name, layers) for name, parameter in model.named_parameters()}
    split, factors = [], []
    for group in groups:
        for level in sorted({height[id(parameter)] for parameter in group["params"]}):
            split.append({**group, "params": [parameter for parameter in group["params"]
                                              if height[id(parameter)] == level]})
            factors.append(layer_decay ** max(layers - level, 0))
    return split, factors


def _height(name: str, layers: int) -> int:
    """0 for the embeddings, 1 to `layers` for the blocks, one more for the head."""
    block = re.search(r"stack\.blocks\.(\d+)\.", name)
    if block:
        return int(block[1]) + 1
    return 0 if "embeddings." in name else layers + 1
