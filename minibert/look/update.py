"""One step of AdamW on single weights, with the settings and moments of the run."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from minibert.autograd import reference
from minibert.checkpoints.safetensors import load_file
from minibert.look.sources import quote
from minibert.look.subject import Subject
from minibert.models.pretrained_model import PretrainedModel
from minibert.training.optim import decay_groups
from minibert.training.run_folder import Run
from minibert.training.settings import TrainingSettings

LINES = ("w = w - lr * weight_decay", "m = beta1 * m", "v = beta2 * v", "w = w - lr * (m /")


def stored_optimizer(model: PretrainedModel, folder: Path | None = None) -> dict:
    """{"lr", "betas", "eps", "clip", "weight_decay", "decayed": names, "step": the number of the
    next step, "moments": {name: (exp_avg, exp_avg_sq)}, "note": where these come from}.

    `folder` is the checkpoint that the model was read from. Its run's settings count, and the
    moments where the checkpoint is the run's last step; else they are zero, as at a first step.
    """
    settings, step, moments = dict(vars(TrainingSettings())), 1, {}
    decayed = decay_groups(model, settings["weight_decay"])[1]
    note = "with the default settings, from moments of zero"
    if folder is not None and (folder / "state.json").exists():
        run = Run(folder.parent)
        state = run.state(folder.name)
        if state["settings"].get("optimizer", "adamw") != "adamw":
            note = "with its default settings (the run was trained by another optimizer)"
        else:
            settings |= state["settings"]
            note = "with the run's settings and largest learning rate, from moments of zero"
            if run.checkpoint("latest") and run.state("latest")["step"] == state["step"] > 0:
                step, moments = state["step"] + 1, _moments(run.checkpoint("latest"), model)
                note = ("with the run's settings, largest learning rate and moments after step "
                        f"{state['step']:,}")
    shown = {name: settings[name] for name in ("lr", "eps", "clip", "weight_decay")}
    return {**shown, "betas": tuple(settings["betas"]), "decayed": decayed, "step": step,
            "moments": moments, "note": note}


def _moments(checkpoint: Path, model: PretrainedModel) -> dict[str, tuple[np.ndarray, ...]]:
    """The moments of each parameter that has finite ones."""
    arrays = load_file(checkpoint / "optimizer.safetensors")
    pairs = {name: (arrays.get(f"exp_avg.{name}"), arrays.get(f"exp_avg_sq.{name}"))
             for name, _ in model.named_parameters()}
    return {name: pair for name, pair in pairs.items()
            if all([array is not None and np.isfinite(array).all() for array in pair])}


def adamw_part(subject: Subject, optimizer: dict) -> dict:
    """{"optimizer", "weights"}: one step of AdamW on the weight with the largest gradient of each
    matrix, from this text's loss alone. `optimizer` is as stored_optimizer gives it."""
    parameters, grads = dict(subject.model.named_parameters()), subject.gradients
    norm = math.sqrt(sum([float(np.vdot(grad, grad)) for grad in grads.values()]))
    scale = min(1.0, (optimizer["clip"] or math.inf) / (norm + 1e-6))
    weights = []
    for name, grad in grads.items():
        if grad.ndim < 2 or not grad.any():
            continue
        index = np.unravel_index(np.abs(grad).argmax(), grad.shape)
        moments = optimizer["moments"].get(name, (np.zeros_like(grad), np.zeros_like(grad)))
        w, g, m, v = (float(array[index]) for array in (parameters[name].data, grad, *moments))
        decay = optimizer["weight_decay"] if name in optimizer["decayed"] else 0.0
        new = reference.adamw_step(np.float64(w), np.float64(g * scale), np.float64(m),
                                   np.float64(v), optimizer["step"], optimizer["lr"],
                                   optimizer["betas"], optimizer["eps"], decay)
        weights.append({"name": f"{name}[{', '.join(map(str, index))}]", "w": w, "g": g, "m": m,
                        "v": v, "decay": decay, "new": float(new[0])})
    shown = {name: optimizer[name] for name in ("lr", "betas", "eps", "step", "note")}
    return {"optimizer": {**shown, "norm": norm, "clip": optimizer["clip"], "scale": scale,
                          "lines": [quote(reference.adamw_step, part) for part in LINES]},
            "weights": weights}


def update_table(name: str, part: dict) -> dict:
    """What adamw_part gave for the model `name`, as a table."""
    rows = [[one["name"], f"{one['w']:.6g}", f"{one['g']:.3e}", f"{one['new']:.6g}"]
            for one in part["weights"]]
    return {"caption": f"{name}: one step of AdamW, {part['optimizer']['note']}",
            "rows": [["weight", "w", "gradient", "new w"], *rows]}
