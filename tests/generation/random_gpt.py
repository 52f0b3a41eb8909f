"""A small GPT-2 in float64 whose weights are of honest size."""

import numpy as np

import minibert as mb


def random_gpt(seed, **changes):
    """Two layers, three heads, 9 positions, 17 tokens unless `changes` to the config say else."""
    config = dict(vocab_size=17, n_embd=12, n_layer=2, n_head=3, n_positions=9, n_inner=10)
    model = mb.GPT2LMHeadModel(mb.GPT2Config(**(config | changes)), rng=None).double()
    rng = np.random.default_rng(seed)
    for name, parameter in model.named_parameters():
        mean = 1.0 if name.endswith("norm.weight") else 0.0
        parameter.data = mean + 0.5 * rng.normal(size=parameter.shape)
    return model.eval()
