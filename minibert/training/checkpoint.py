"""The contents of a training run's checkpoint, and the way back from it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from minibert.atomic_files import write_json
from minibert.checkpoints.safetensors import load_file, save_file
from minibert.errors import InputError
from minibert.training.run_records import STATE_SCHEMA
from minibert.training.settings import TrainingSettings, settings_from_state


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
    """Collect the contents of state.json."""
    return {"schema": STATE_SCHEMA, "step": trainer.steps_done,
            "settings": asdict(trainer.settings),
            "about": trainer.about, "best": trainer.best, "held_out": trainer.held_out,
            "log_bytes": trainer.run_folder.log_bytes(), "seconds": trainer.seconds,
            "step_seconds": trainer.step_seconds, "tokens": trainer.tokens}


def load_training_state(trainer) -> None:
    """Put `trainer` where its run's latest checkpoint stood. The run is held (Run.hold) already.

    Errors: no checkpoint, settings that differ (but for `steps`), another model or optimizer, files
    that contradict each other; the run's files stay unchanged.
    """
    run = trainer.run_folder
    state, folder = run.state("latest"), run.checkpoint("latest")
    check_settings(folder, settings_from_state(state, folder / "state.json"), trainer.settings)
    arrays = load_file(folder / "optimizer.safetensors")
    moments = stored_moments(trainer, arrays, folder)
    check_progress(trainer, state, arrays, folder)
    model = type(trainer.model).from_pretrained(folder)
    trainer.model.load_state_dict(model.state_dict())
    trainer.optimizer.load_state_dict(moments)
    run.cut_log(state["log_bytes"])
    trainer.steps_done, trainer.best = state["step"], state["best"]
    trainer.held_out = state["held_out"]
    trainer.seconds, trainer.step_seconds = state["seconds"], state["step_seconds"]
    trainer.tokens = state["tokens"]


def check_settings(folder: Path, stored: TrainingSettings, given: TrainingSettings) -> None:
    """Errors: a setting other than `steps` differs from the stored one."""
    for name, value in asdict(given).items():
        before = getattr(stored, name)
        if name != "steps" and before != value:
            raise InputError(f"{name} is {value}, but the run in {folder} was begun with {before}: "
                             "leave the option out, or begin a new run in another --out")


def check_progress(trainer, state: dict, arrays: dict[str, np.ndarray], folder: Path) -> None:
    """Errors: more steps done than the settings allow; a number of steps that neither the moments
    nor the log confirm; a best evaluation later than that or without its metric."""
    path, step = folder / "state.json", state["step"]
    if step > trainer.settings.steps:
        raise InputError(f"steps = {trainer.settings.steps}, but the run in {folder} has made "
                         f"{step}: expected at least as many")
    stepped = max([int(array) for name, array in arrays.items() if name.startswith("step.")],
                  default=0)
    before, after = trainer.run_folder.logged_steps(state["log_bytes"])
    logged = max(before, default=0)
    # steps made by hand are not logged; a batch without a loss steps no moments
    if max(stepped, logged) != step:
        raise InputError(f"{path}: step = {step}, but optimizer.safetensors holds {stepped} steps "
                         f"and log.jsonl {logged}: the files are damaged")
    if min(after, default=step + 1) <= step:
        raise InputError(f"{path}: log_bytes = {state['log_bytes']}, but step {min(after)} stands "
                         "behind them in log.jsonl: the files are damaged")
    best, metric = state["best"], trainer.objective.metric_for_best_model
    if best is not None and (best["step"] > step or best.get(metric) is None):
        raise InputError(f"{path}: best = {best!r:.60}: expected a step up to {step} and its "
                         f"{metric}: the file is damaged")


def optimizer_arrays(trainer) -> dict[str, np.ndarray]:
    """Collect moments and step counts under the parameters' names: MOMENT.NAME, step.NAME."""
    state, names = trainer.optimizer.state_dict()["state"], _names_in_order(trainer)
    return {f"{kind}.{names[i]}": np.asarray(value)
            for i, entry in state.items() for kind, value in entry.items()}


def stored_moments(trainer, arrays: dict[str, np.ndarray], folder: Path) -> dict:
    """The opposite of `optimizer_arrays`: a state for Optimizer.load_state_dict. Errors: names that
    are not this model's, step counts that are none, values that are not finite."""
    path = folder / "optimizer.safetensors"
    kinds = [(*trainer.optimizer.moments_of(group), "step")
             for group in trainer.optimizer.param_groups for _ in group["params"]]
    stepped = {i: name for i, name in enumerate(_names_in_order(trainer))
               if f"step.{name}" in arrays}
    if set(arrays) != {f"{kind}.{name}" for i, name in stepped.items() for kind in kinds[i]}:
        raise InputError(f"{path}: holds other parameters than the model")
    for name, array in arrays.items():
        if name.startswith("step.") and (array.shape != () or array.dtype.kind not in "iu"
                                         or array < 1):
            raise InputError(f"{path}: {name} = {array!r:.60}: expected a whole number from 1")
        if not np.isfinite(array).all():
            raise InputError(f"{path}: {name} holds NaN or an infinity: the file is damaged")
    state = {i: {kind: arrays[f"{kind}.{name}"] for kind in kinds[i]}
             for i, name in stepped.items()}
    return {"state": state, "param_groups": trainer.optimizer.state_dict()["param_groups"]}


def _names_in_order(trainer) -> list[str]:
    """The model's name of each parameter, in the optimizer's numbering."""
    name_of = {id(parameter): name for name, parameter in trainer.model.named_parameters()}
    return [name_of[id(parameter)] for group in trainer.optimizer.param_groups
            for parameter in group["params"]]
