"""Demo 10: decoding strategies side by side: greedy, beam search, temperature, top-k, top-p.

    python demos/10_sampling_strategies.py                  a small GPT-2, made here
    python demos/10_sampling_strategies.py FOLDER --prompt "The river"      yours

A model returns probabilities; the strategy turns them into a text. Columns: `log p` is the mean
log-probability of a new token under the model, `twice` the share of word pairs that are repeated.
Greedy and beam search give likely, repetitive texts; a high temperature gives unlikely ones; top-k
and top-p cut off the long tail of unlikely tokens (Holtzman et al. 2020).
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from toy_folders import make_gpt2_folder

import minibert as mb
from minibert.generation.scoring import score
from minibert.tokenizers.characters import load_tokenizer

STRATEGIES = [
    ("greedy", {}),
    ("beam search, 4 beams", {"num_beams": 4}),
    ("greedy, repetition penalty 1.3", {"repetition_penalty": 1.3}),
    ("temperature 0.5", {"do_sample": True, "top_k": 0, "temperature": 0.5}),
    ("temperature 1", {"do_sample": True, "top_k": 0}),
    ("temperature 1, top-k 5", {"do_sample": True, "top_k": 5}),
    ("temperature 1, top-p 0.8", {"do_sample": True, "top_k": 0, "top_p": 0.8}),
    ("temperature 2", {"do_sample": True, "top_k": 0, "temperature": 2.0}),
]
SHOWN = 100  # characters


def repeated(words: list[str]) -> float:
    """Returns the share of word bigrams that occurred before."""
    pairs = list(zip(words, words[1:]))
    return 1 - len(set(pairs)) / max(len(pairs), 1)


def try_out(model, tokenizer, ids: list[int], options: dict, new: int, samples: int
            ) -> tuple[str, float, float]:
    """Returns the first text, and over all samples the mean log p of a new token and the share of
    repeated bigrams. ids: the prompt; new: number of new tokens."""
    copies = samples if options.get("do_sample") else 1
    texts = model.generate(np.array([ids]), max_new_tokens=new, num_return_sequences=copies,
                           eos_token_id=(), rng=1, **options)
    log_p = [score(model, text)[len(ids) - 1:].mean() for text in texts]
    written = tokenizer.batch_decode(texts[:, len(ids):], skip_special_tokens=True)
    return written[0], float(np.mean(log_p)), float(np.mean([repeated(t.split()) for t in written]))


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", help="of a GPT-2, with its tokenizer")
    parser.add_argument("--prompt", default="the old captain")
    parser.add_argument("--tokens", type=int, default=32, help="new ones")
    parser.add_argument("--samples", type=int, default=20, help="of each strategy that samples")
    parser.add_argument("--steps", type=int, default=700, help="of training where none is given")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as made:
        folder = options.folder
        if folder is None:
            folder = Path(made) / "gpt2"
            make_gpt2_folder(folder, options.steps)
        model = mb.GPT2LMHeadModel.from_pretrained(folder)
        tokenizer = load_tokenizer(folder)
    ids = [tokenizer.sep_token_id, *tokenizer.encode(options.prompt, add_special_tokens=False)]
    print(f"{options.prompt!r} and {options.tokens} new tokens; {options.samples} texts of each "
          f"strategy that samples\n\n{'log p':>37s} twice")
    found = {}
    for name, strategy in STRATEGIES:
        text, log_p, twice = try_out(model, tokenizer, ids, strategy, options.tokens,
                                     options.samples)
        found[name] = log_p
        print(f"{name:31s}{log_p:6.2f} {twice:5.0%}  {' '.join(text.split())[:SHOWN]}")

    by_temperature = [found[f"temperature {t}"] for t in ("0.5", "1", "2")]
    cut = min(found["temperature 1, top-k 5"], found["temperature 1, top-p 0.8"])
    if not by_temperature[0] > by_temperature[1] > by_temperature[2]:
        raise SystemExit("a lower temperature gave less likely texts")
    if not cut > found["temperature 1"]:
        raise SystemExit("top-k or top-p gave less likely texts")
    if found["beam search, 4 beams"] < max(by_temperature[0], cut):
        raise SystemExit("sampled texts are likelier than the one of beam search")
    print("\nClaim: a lower temperature gives likelier texts, and so do top-k and top-p; none is "
          "as likely as\nthe text of beam search.")


if __name__ == "__main__":
    main()
