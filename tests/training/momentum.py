"""Another optimizer, as a contributor would add it: SGD with momentum."""

import numpy as np

from minibert.training.optimizer import Optimizer


class Momentum(Optimizer):
    """v <- momentum v + g;  w <- w - lr v"""

    moment_names = ("momentum_buffer",)

    def __init__(self, params, lr=0.1, momentum=0.9):
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @classmethod
    def from_settings(cls, groups, settings):
        given = [{"params": group["params"]} for group in groups]
        return cls(given, lr=settings.lr, momentum=settings.betas[0])

    def update(self, w, g, moments, step, settings, scratch):
        [velocity] = moments
        velocity *= settings["momentum"]
        velocity += g
        np.multiply(velocity, settings["lr"], out=scratch)
        w -= scratch

    def check_settings(self, settings):
        pass
