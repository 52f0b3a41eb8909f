"""Both sides of benchmark.py for generation: minibert, and PyTorch by transformers.

    python demos/benchmark/benchmark.py --sizes --decode GPT2        starts this file

A step is one text: greedy `generate` on a model loaded from a folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from cases import PROMPT, Case, serve  # noqa: E402


def prepare(case: Case, folder: str, variant: str):
    """Returns the function that generates a text and returns the mean of its new ids."""
    if variant == "minibert":
        import minibert as mb

        model = mb.GPT2LMHeadModel.from_pretrained(folder)

        def write(ids: np.ndarray) -> np.ndarray:
            return model.generate(ids, max_new_tokens=case.tokens)
    else:
        import torch
        import transformers

        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        model = transformers.GPT2LMHeadModel.from_pretrained(folder)

        def write(ids: np.ndarray) -> np.ndarray:
            return model.generate(torch.from_numpy(ids), max_new_tokens=case.tokens,
                                  do_sample=False, pad_token_id=0).numpy()

    def step(batch: dict[str, np.ndarray]) -> float:
        return float(write(batch["ids"])[:, PROMPT:].mean())

    return step


if __name__ == "__main__":
    serve(prepare)
