"""The optimizer of a run as it stands at its last checkpoint, for one more step by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from minibert.checkpoints.safetensors import load_file
from minibert.models.pretrained_model import PretrainedModel
from minibert.training.optim import decay_groups
from minibert.training.run_folder import Run
from minibert.training.settings import TrainingSettings


def stored_optimizer(model: PretrainedModel, folder: Path | None = None) -> dict:
    """{"lr", "betas", "eps", "clip", "weight_decay", "decayed": names, "step": the number of the
    next step, "moments": {name: (exp_avg, exp_avg_sq)}, "note": where these come from}.

    `folder` is the checkpoint that the model was read from. Its run's settings count, and the
    moments where the checkpoint is the run's last step; else they are zero, as at a first step.
    """
    defaults = TrainingSettings()
    found = {"lr": defaults.lr, "betas": defaults.betas, "eps": defaults.eps,
             "clip": defaults.clip, "weight_decay": defaults.weight_decay, "step": 1,
             "moments": {}, "note": "with the default settings, from moments of zero"}
    found["decayed"] = decay_groups(model, defaults.weight_decay)[1]
    if folder is None or not (folder / "state.json").exists():
        return found
    run = Run(folder.parent)
    state, last = run.state(folder.name), run.checkpoint("latest")
    if state["settings"].get("optimizer", "adamw") != "adamw":
        found["note"] = "with its default settings (the run was trained by another optimizer)"
        return found
    found.update({name: state["settings"][name] for name in
                  ("lr", "eps", "clip", "weight_decay") if name in state["settings"]})
    found["betas"] = tuple(state["settings"].get("betas", defaults.betas))
    found["note"] = "with the run's settings and largest learning rate, from moments of zero"
    if last is None or run.state("latest")["step"] != state["step"] or state["step"] < 1:
        return found
    arrays = load_file(last / "optimizer.safetensors")
    moments = {name: tuple([arrays.get(f"{kind}.{name}") for kind in ("exp_avg", "exp_avg_sq")])
               for name, _ in model.named_parameters()}
    found["moments"] = {name: pair for name, pair in moments.items()
                        if all([array is not None and np.isfinite(array).all()
                                for array in pair])}
    found["step"] = state["step"] + 1
    found["note"] = f"with the run's settings, largest learning rate and moments after step " \
                    f"{state['step']:,}"
    return found
