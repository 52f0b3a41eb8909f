"""Demo 10: one prompt, one model, and the ways to choose the next token side by side.

    python demos/10_sampling_strategies.py                  a small GPT-2, made here
    python demos/10_sampling_strategies.py FOLDER --prompt "The river"      yours

A model gives probabilities; what becomes of them is a choice. Look at the columns: `log p` is the
mean log-probability of a new token under the model itself, `twice` the share of pairs of words that
were there already. Greedy and beam search are likely and dull, a hot temperature is neither likely
nor sense, and top-k and top-p cut off the long tail of unlikely tokens that ruins a text.
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
SHOWN = 100  # letters


def repeated(words: list[str]) -> float:
    """The share of neighbouring pairs of words that stood there before."""
    pairs = list(zip(words, words[1:]))
    return 1 - len(set(pairs)) / max(len(pairs), 1)


def try_out(model, tokenizer, ids: list[int], options: dict, new: int, samples: int
            ) -> tuple[str, float, float]:
    """(the first text, mean log p of a new token, share of repeated pairs), over all samples."""
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
    parser.add_argument("--samples", type=int, default=20, help="of each strategy that draws")
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
    print(f"{options.prompt!r} goes on for {options.tokens} tokens; of each strategy that draws "
          f"{options.samples} texts\n\n{'log p':>37s} twice")
    found = {}
    for name, strategy in STRATEGIES:
        text, log_p, twice = try_out(model, tokenizer, ids, strategy, options.tokens,
                                     options.samples)
        found[name] = log_p
        print(f"{name:31s}{log_p:6.2f} {twice:5.0%}  {' '.join(text.split())[:SHOWN]}")

    by_heat = [found[f"temperature {heat}"] for heat in ("0.5", "1", "2")]
    cut = min(found["temperature 1, top-k 5"], found["temperature 1, top-p 0.8"])
    if not by_heat[0] > by_heat[1] > by_heat[2] or not cut > found["temperature 1"]:
        raise SystemExit("a colder or cut off distribution gave less likely texts")
    if found["beam search, 4 beams"] < max(by_heat[0], cut):
        raise SystemExit("a text that was drawn is likelier than what beam search found")
    print("\nClaim: the colder, the likelier; cutting off the tail makes texts likelier, too; and "
          "nothing that\nis drawn is as likely as what beam search finds.")


if __name__ == "__main__":
    main()
