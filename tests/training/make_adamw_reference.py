"""Makes adamw_reference.npz with PyTorch: python tests/training/make_adamw_reference.py"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # also when run as a script

from tests.training.adamw_scenario import CLIP, EPS, GROUPS, MISSING, SHAPES, STEPS, sample, values


def main() -> None:
    parameters = {name: torch.tensor(values(name, -1), requires_grad=True) for name in SHAPES}
    optimizer = torch.optim.AdamW(
        [{**{k: v for k, v in group.items() if k != "names"},
          "params": [parameters[name] for name in group["names"]]} for group in GROUPS], eps=EPS)
    arrays, norms = {}, []
    for step in range(STEPS):
        for name, parameter in parameters.items():
            missing = (name, step) in MISSING
            parameter.grad = None if missing else torch.tensor(values(name, step))
        norms.append(torch.nn.utils.clip_grad_norm_(parameters.values(), CLIP).item())
        if step == 6:
            optimizer.param_groups[0]["lr"] = 0.01
        optimizer.step()
        for name, parameter in parameters.items():
            arrays[f"{name}.{step}"] = sample(name, parameter.detach().numpy())
    for name, parameter in parameters.items():
        arrays[f"{name}.exp_avg"] = sample(name, optimizer.state[parameter]["exp_avg"].numpy())
        arrays[f"{name}.exp_avg_sq"] = sample(name,
                                              optimizer.state[parameter]["exp_avg_sq"].numpy())
    arrays["norms"] = np.array(norms)
    np.savez_compressed(Path(__file__).with_name("adamw_reference.npz"), **arrays)


if __name__ == "__main__":
    main()
