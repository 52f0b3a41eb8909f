"""Run folders with a log and a summary as a training writes them, made without one."""

import json
from pathlib import Path

SETTINGS = {"steps": 40, "lr": 0.01, "clip": 1.0}
BASELINES = {"uniform": 4.0, "unigram": 3.0, "bigram": 2.0}
ORACLE = {"loss": 1.0, "gap": 0.25, "gap_standard_error": 0.01}


def records(losses, held_out, settings=SETTINGS, norms=(0.5,)) -> list[dict]:
    """A log: `losses` of the steps from 1 on, `held_out` {step: loss}, `norms` of the gradients in
    turn."""
    found = [{"kind": "start", "schema": "minibert.log.1", "objective": "gpt", "parameters": 7,
              "settings": settings}]
    for step in range(len(losses) + 1):
        if step:
            found.append({"kind": "step", "step": step, "loss": losses[step - 1], "lr": 0.01,
                          "grad_norm": norms[step % len(norms)]})
        if step in held_out:
            found.append({"kind": "eval", "step": step, "loss": held_out[step]})
            found.append({"kind": "sample", "step": step, "lines": [f"text of step {step}"]})
    return found


def falling(steps=40, first=4.2, last=1.25) -> list[float]:
    return [first + (last - first) * i / (steps - 1) for i in range(steps)]


def write_run(folder: Path, log: list[dict], **summary) -> Path:
    """A run of this log; `summary` replaces entries of its summary.json (steps=None: none)."""
    folder.mkdir(parents=True)
    (folder / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in log))
    steps = max([record["step"] for record in log if record["kind"] == "step"], default=0)
    whole = {"schema": "minibert.summary.1", "settings": SETTINGS, "about": {"model": "gpt"},
             "parameters": 7, "steps": steps, "held_out": {"loss": 1.25}, "best": None,
             "baselines": BASELINES, "oracle": ORACLE, "seconds": 1.0, "tokens_per_second": 1}
    if whole | summary != whole | {"steps": None}:
        (folder / "summary.json").write_text(json.dumps(whole | summary))
    return folder
