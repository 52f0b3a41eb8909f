"""What `pretrain` does when an option is not given: one small table for each corpus."""

from __future__ import annotations

from minibert.errors import InputError
from minibert.training.data_parallel import default_workers
from minibert.training.machine import core_count

# For every corpus and model, unless the tables below say otherwise.
COMMON = {"format": "prose", "tokenizer": "wordpiece", "vocab_size": 4000,
          "layers": 2, "heads": 4, "width": 64, "context": 48, "dropout": 0.0,
          "position_initializer_range": 0.02, "norm_first": False, "no_next_sentence": False,
          "batch": 32, "accumulate": 1, "steps": 2000, "lr": 1e-3, "warmup": 100,
          "schedule": "cosine", "weight_decay": 0.01, "betas": (0.9, 0.999), "clip": 1.0, "seed": 1}

# The size stands under "both"; steps and rates differ by model: the two learn at different speed.
TABLES = {
    # What each of these gives is in the README: "What the toy world teaches".
    "toy": {
        "both": {"batch": 16, "lr": 3e-3, "min_lr": 0.0, "schedule": "linear",
                 "betas": (0.9, 0.98), "initializer_range": 0.1,
                 "threads": 1},  # a second one hardly pays at this size
        "bert": {"steps": 14_000, "warmup": 700},
        "gpt": {"steps": 2000},
    },
    "python-docs": {
        "both": {"width": 128, "context": 64, "lr": 2e-3, "betas": (0.9, 0.98),
                 "weight_decay": 0.1},
        "bert": {"steps": 4000},
        "gpt": {"steps": 700},  # a small text: with more it is learned by heart
    },
    # Characters for GPT with the recipe of nanoGPT's README for a laptop's CPU.
    "text": {
        "both": {"layers": 4, "width": 128, "context": 64, "weight_decay": 0.1,
                 "betas": (0.9, 0.99)},
        "bert": {"steps": 2000, "batch": 32},
        "gpt": {"steps": 2000, "batch": 12, "tokenizer": "chars"},
    },
}

MIN_LR_SHARE = 0.1  # the rate at the end, as a share of the highest
EVALUATIONS = 5  # so many, evenly spaced
LONGEST_WARMUP = 0.1  # of the steps


def resolved(given: dict, corpus: str, model: str) -> dict:
    """All options of one training ("bert" or "gpt"): what was given, and the tables for the rest.

    What depends on another option follows it: the final rate the highest one, warmup and
    evaluations the number of steps, workers the size and the threads; and the first weights the
    width: with 1/sqrt(width) a linear layer neither shrinks nor stretches what it is given, and a
    small model learns much faster than from the published 0.02 (README: "What the toy world
    teaches").
    """
    options = {**COMMON, **TABLES[corpus]["both"], **TABLES[corpus][model], **given}
    options.setdefault("threads", core_count())
    for name in ("layers", "heads", "width", "context", "batch", "steps", "vocab_size", "threads"):
        check_at_least_1(name, options)
    options.setdefault("initializer_range", options["width"] ** -0.5)
    options.setdefault("min_lr", options["lr"] * MIN_LR_SHARE)
    if "warmup" not in given:
        options["warmup"] = min(options["warmup"], int(options["steps"] * LONGEST_WARMUP))
    options.setdefault("eval_every", -(-options["steps"] // EVALUATIONS))
    options.setdefault("workers", default_workers(options["batch"], options["context"],
                                                  options["width"], options["threads"]))
    check_at_least_1("workers", options)
    return options


def check_at_least_1(name: str, options: dict) -> None:
    if options[name] < 1:
        raise InputError(f"--{name.replace('_', '-')} is {options[name]}: expected at least 1")
