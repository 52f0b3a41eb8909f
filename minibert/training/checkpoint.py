"""What a checkpoint of a training run holds, and how a run goes on from it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from minibert.atomic_files import write_json
from minibert.checkpoints.safetensors import load_file, save_file
from minibert.errors import InputError
from minibert.training.run_folder import STATE_SCHEMA


def write_checkpoint(trainer, name: str) -> None:
    """Save `trainer` as `name` ("latest" or "best") of its run; only latest can be resumed."""
    def write(folder: Path) -> None:
        trainer.model.save_pretrained(folder)
        if trainer.tokenizer is not None:
            trainer.tokenizer.save_pretrained(folder)
        if name == "latest":
            save_file(optimizer_arrays(trainer), folder / "optimizer.safetensors")
        write_json(folder / "state.json", training_state(trainer))

    trainer.run_folder.save(name, write)


def training_state(trainer) -> dict:
    """The contents of state.json."""
    return {"schema": STATE_SCHEMA, "step": trainer.steps_done,
            "settings": asdict(trainer.settings),
            "about": trainer.about, "best": trainer.best, "held_out": trainer.held_out,
            "log_bytes": trainer.run_folder.log_bytes(), "seconds": trainer.seconds,
            "step_seconds": trainer.step_seconds, "tokens": trainer.tokens}


def load_training_state(trainer) -> None:
    """Put `trainer` where its run's latest checkpoint stood.

    Errors: no checkpoint, settings that differ (but for `steps`), another model or optimizer.
    """
    run = trainer.run_folder
    state, folder = run.state("latest"), run.checkpoint("latest")
    # a setting that did not exist yet when the run was begun has its default
    stored = asdict(type(trainer.settings)()) | state["settings"]
    check_settings(folder, stored, asdict(trainer.settings))
    model = type(trainer.model).from_pretrained(folder)
    trainer.model.load_state_dict(model.state_dict())
    load_optimizer_arrays(trainer, load_file(folder / "optimizer.safetensors"), folder)
    run.cut_log(state["log_bytes"])
    trainer.steps_done, trainer.best = state["step"], state["best"]
    trainer.held_out = state["held_out"]
    trainer.seconds, trainer.step_seconds = state["seconds"], state["step_seconds"]
    trainer.tokens = state["tokens"]


def check_settings(folder: Path, stored: dict, given: dict) -> None:
    """A run goes on as it was begun; only more steps may be asked of it."""
    for name, value in given.items():
        before = tuple(stored[name]) if name == "betas" else stored[name]
        if name != "steps" and before != value:
            raise InputError(f"{name} is {value}, but the run in {folder} was begun with {before}: "
                             "leave the option out, or begin a new run in another --out")


KINDS = ("exp_avg", "exp_avg_sq", "step")


def optimizer_arrays(trainer) -> dict[str, np.ndarray]:
    """The moments and step counts under the parameters' names."""
    state, names = trainer.optimizer.state_dict()["state"], _names_in_order(trainer)
    return {f"{kind}.{names[i]}": np.asarray(entry[kind])
            for i, entry in state.items() for kind in KINDS}


def load_optimizer_arrays(trainer, arrays: dict[str, np.ndarray], folder: Path) -> None:
    """The opposite of `optimizer_arrays`. Errors: names that are not this model's."""
    stepped = {i: name for i, name in enumerate(_names_in_order(trainer))
               if f"step.{name}" in arrays}
    if set(arrays) != {f"{kind}.{name}" for name in stepped.values() for kind in KINDS}:
        raise InputError(f"{folder / 'optimizer.safetensors'}: holds other parameters than the "
                         "model")
    state = {i: {kind: arrays[f"{kind}.{name}"] for kind in KINDS} for i, name in stepped.items()}
    state_dict = trainer.optimizer.state_dict()
    trainer.optimizer.load_state_dict({"state": state, "param_groups": state_dict["param_groups"]})


def _names_in_order(trainer) -> list[str]:
    """The model's name of each parameter, in the optimizer's numbering."""
    name_of = {id(parameter): name for name, parameter in trainer.model.named_parameters()}
    return [name_of[id(parameter)] for group in trainer.optimizer.param_groups
            for parameter in group["params"]]
