"""The learning rate at every step, against values worked out by hand and nanoGPT's function."""

import math

import pytest

from minibert.training.schedules import SCHEDULES


def nanogpt(it, learning_rate, min_lr, warmup_iters, lr_decay_iters):
    """get_lr of nanoGPT's train.py, as it stands there."""
    if it < warmup_iters:
        return learning_rate * (it + 1) / (warmup_iters + 1)
    if it > lr_decay_iters:
        return min_lr
    decay_ratio = (it - warmup_iters) / (lr_decay_iters - warmup_iters)
    coeff = 0.5 * (1.0 + math.cos(math.pi * decay_ratio))
    return min_lr + coeff * (learning_rate - min_lr)


@pytest.mark.parametrize("warmup, steps", [(0, 7), (3, 20), (10, 11)])
def test_cosine_is_nanogpts(warmup, steps):
    for step in range(steps + 3):
        assert SCHEDULES["cosine"](step, 0.3, 0.03, warmup, steps) == pytest.approx(
            nanogpt(step, 0.3, 0.03, warmup, steps), rel=1e-14)


def test_linear_and_constant_by_hand():
    linear = [SCHEDULES["linear"](step, 8.0, 2.0, 3, 6) for step in range(8)]
    assert linear == pytest.approx([2.0, 4.0, 6.0, 8.0, 6.0, 4.0, 2.0, 2.0])
    constant = [SCHEDULES["constant"](step, 8.0, 2.0, 3, 6) for step in range(8)]
    assert constant == pytest.approx([2.0, 4.0, 6.0, 8.0, 8.0, 8.0, 8.0, 8.0])


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_warmup_as_long_as_the_run_never_divides_by_zero(name):
    rates = [SCHEDULES[name](step, 1.0, 0.1, 5, 5) for step in range(7)]
    assert all([rate > 0 for rate in rates]) and rates[:5] == sorted(rates[:5])
