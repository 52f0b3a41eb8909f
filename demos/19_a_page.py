"""Demo 19: a page that shows every number of a model, and ten questions that it answers.

    python demos/19_a_page.py [--steps 1000] [--out look.html]

Trains a BERT and a GPT for a short time, writes the page of one sentence in both, and answers the
questions from the numbers in the file alone. Every answer is compared with the engine's.
"""

import argparse
import base64
import json
import re
import tempfile
from pathlib import Path

import numpy as np
from toy_folders import toy_trainer

import minibert as mb
from minibert.generation.sampling import probabilities
from minibert.look.look import Look, all_views
from minibert.look.subject import make_subject
from minibert.look.walk import stored_optimizer

TEXT = "the bank is [MASK] ."
LAYER, HEAD = 1, 2


class PageReader:
    """The data in the HTML file of a page."""

    def __init__(self, path: Path):
        page = path.read_text(encoding="utf-8")
        element = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
        self.data = json.loads(element[1])

    def view(self, name: str) -> dict:
        """Returns the part of a view."""
        return next(view for view in self.data["views"] if view["name"] == name)

    def array(self, model: int, name: str) -> np.ndarray:
        """Returns an array of float32 of a model."""
        entry = self.data["arrays"][f"m{model}.{name}"]
        return np.frombuffer(base64.b64decode(entry["f32"]), "<f4").reshape(entry["shape"])


def questions(page: PageReader, subjects: list) -> list[tuple[str, object, object]]:
    """Returns (question, the page's answer, the engine's) ten times."""
    bert, gpt = page.data["models"]
    engine, of_gpt = subjects
    tokens, walk = bert["tokens"], page.view("walk")["models"][0]
    bank, mask = tokens.index("bank"), tokens.index("[MASK]")
    place = f"blocks.{LAYER}.attn."
    pattern, scores = page.array(0, place + "hook_pattern"), page.array(0, place + "hook_qk")
    lengths = page.array(0, "value_norms")[LAYER, HEAD]
    q, k = (page.array(0, place + name)[:, HEAD] for name in ("hook_q", "hook_k"))
    moved = pattern[HEAD, bank] * lengths
    best = int(scores[HEAD, bank].argmax())
    powers = np.exp(scores[HEAD, bank] - scores[HEAD, bank].max())
    before, after = (np.linalg.norm(page.array(0, f"blocks.0.{name}")[bank])
                     for name in ("hook_resid_pre", "hook_resid_post"))
    logits = page.array(0, "target_logits")
    p = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    target, weight, lr = bert["target"], walk["weights"][-1], walk["optimizer"]["lr"]
    T = len(gpt["tokens"])
    future = np.triu(np.ones((T, T), bool), 1)
    zeros = sum([int((page.array(1, f"blocks.{i}.attn.hook_pattern")[:, future] == 0).sum())
                 for i in range(gpt["layers"])])

    cache = engine.cache
    part_of_sep = cache["result", LAYER][0, bank, HEAD] - without(engine, bank, len(tokens) - 1)
    post = cache["mlp.post", LAYER][0, mask]
    return [
        (f"How much of its reading does bank give to [SEP] in layer {LAYER}, head {HEAD}?",
         pattern[HEAD, bank, -1], cache["pattern", LAYER][0, HEAD, bank, -1]),
        ("And how long is the vector that it gets from there?", moved[-1],
         np.linalg.norm(part_of_sep)),
        (f"Which token answers bank's query best there? {tokens[best]}, with a score of",
         q[bank] @ k[best] / np.sqrt(len(q[bank])), cache["qk", LAYER][0, HEAD, bank].max()),
        ("What is its weight, by exp and division?", powers[best] / powers.sum(),
         cache["pattern", LAYER][0, HEAD, bank, best]),
        ("How many times longer is bank's vector after block 0 than before it?", after / before,
         np.linalg.norm(cache["resid_post", 0][0, bank])
         / np.linalg.norm(cache["resid_pre", 0][0, bank])),
        ("What is the value of the strongest neuron of [MASK] in the last block?",
         page.array(0, f"blocks.{LAYER}.neurons.post")[mask, 0], post[np.abs(post).argmax()]),
        (f"What is the probability of {target['word']!r}, the likeliest word?", p[target["id"]],
         probabilities(engine.logits.data[None])[0, target["id"]]),
        ("And the derivative of the loss by its logit?", p[target["id"]] - 1,
         engine.logits.grad[target["id"]]),
        (f"What does AdamW's first step make of {weight['name']} = {weight['w']:.6g}?",
         weight["w"] * (1 - lr * weight["decay"]) - lr * np.sign(weight["g"]), weight["new"]),
        ("How many weights on later tokens are exactly 0 in the GPT?", zeros,
         sum([int((of_gpt.cache["pattern", i][0][:, future] == 0).sum())
              for i in range(gpt["layers"])]))]


def without(subject, query: int, key: int) -> np.ndarray:
    """Returns what the head adds for `query` where the weight on `key` is set to zero: (C,)."""
    name = f"blocks.{LAYER}.attn.hook_pattern"

    def cut(pattern: np.ndarray, name: str) -> np.ndarray:
        pattern = pattern.copy()
        pattern[0, HEAD, query, key] = 0
        return pattern

    with mb.hooks(subject.model, [(name, cut)]):
        _, cache = subject.model.run_with_cache(np.array([subject.ids]), **subject.inputs())
    return cache["result", LAYER][0, query, HEAD]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000, help="of each model")
    parser.add_argument("--out", help="where to keep the page")
    options = parser.parse_args(argv)
    trainers = [toy_trainer(which, options.steps) for which in ("bert", "gpt")]
    subjects = [make_subject(name, trainer.model, trainer.tokenizer, TEXT.replace(" [MASK] .", "")
                             if name == "GPT" else TEXT)
                for name, trainer in zip(("BERT", "GPT"), trainers)]
    data = all_views(subjects, [stored_optimizer(one.model) for one in subjects], "demo 19")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(options.out or Path(folder) / "look.html")
        Look(data).write(path)
        print(f"\nthe page has {path.stat().st_size:,} bytes; from them alone:\n")
        page = PageReader(path)
    wrong = 0
    for number, (question, answer, truth) in enumerate(questions(page, subjects), 1):
        print(f"{number:2d}  {question}\n    {answer:.6g}")
        if not np.isclose(answer, truth, rtol=1e-3, atol=1e-6):
            wrong += 1
            print(f"    but the engine says {truth:.6g}")
    if wrong:
        raise SystemExit(f"{wrong} answers are not the engine's")
    print("\nClaim: all ten answers, computed from the file alone, are the engine's.")


if __name__ == "__main__":
    main()
