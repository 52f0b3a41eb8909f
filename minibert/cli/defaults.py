"""The defaults of `pretrain`: small tables for each corpus."""

from __future__ import annotations

# For every corpus and model, unless the tables below say otherwise.
COMMON = {"format": "prose", "tokenizer": "wordpiece", "vocab_size": 4000,
          "layers": 2, "heads": 4, "width": 64, "context": 48, "dropout": 0.0,
          "position_initializer_range": 0.02, "no_next_sentence": False,
          "mlm_probability": 0.15, "gradient_checkpointing": False, "film": 0,
          "batch": 32, "accumulate": 1, "steps": 2000, "lr": 1e-3, "warmup": 100,
          "schedule": "cosine", "weight_decay": 0.01, "betas": (0.9, 0.999), "clip": 1.0, "seed": 1}

# Sizes stand under "both"; steps and rates differ by model: the two learn at different speed.
TABLES = {
    # What each of these gives is in demos/README.md: "What the toy world teaches" and "What an
    # optimizer and a masking rate bring".
    "toy": {
        "both": {"film": 24, "lr": 6e-3, "min_lr": 0.0, "schedule": "linear",
                 "betas": (0.9, 0.98), "initializer_range": 0.1,
                 "threads": 1},  # a second one hardly pays at this size
        "bert": {"optimizer": "muon", "steps": 2600, "batch": 32, "warmup": 100,
                 "mlm_probability": 0.25},
        "gpt": {"steps": 900, "batch": 16, "warmup": 50},
        # one layer on each side: not more parameters than GPT's two
        "bart": {"optimizer": "muon", "steps": 2400, "batch": 32, "warmup": 100, "layers": 1,
                 "width": 56, "film": 0},
    },
    "python-docs": {
        "both": {"width": 128, "context": 64, "lr": 2e-3, "betas": (0.9, 0.98),
                 "weight_decay": 0.1},
        "bert": {"optimizer": "muon", "lr": 4e-3, "steps": 4000},
        "bart": {"steps": 4000},
        "gpt": {"lr": 4e-3, "steps": 700},  # a small text: with more it overfits
    },
    # Characters for GPT with the recipe of nanoGPT's README for a laptop's CPU.
    "text": {
        "both": {"layers": 4, "width": 128, "context": 64, "weight_decay": 0.1,
                 "betas": (0.9, 0.99)},
        "bert": {"optimizer": "muon", "lr": 4e-3, "steps": 2000, "batch": 32},
        "bart": {"steps": 2000, "batch": 32},
        "gpt": {"steps": 2000, "batch": 12, "tokenizer": "chars"},
    },
}
# Of a model to go on with (--from): trained weights are changed by small steps.
TRAINED = {"optimizer": "adamw", "lr": 1e-3}

CORPUS = "toy"  # where neither --corpus nor --text is given

MIN_LR_SHARE = 0.1  # the rate at the end, as a share of the highest
EVALUATIONS = 5  # so many, evenly spaced
LONGEST_WARMUP = 0.1  # of the steps
