"""The view of a growing text: at each step the candidates, what cut them out, and the number drawn;
or the lattice of a beam search.

The text is that of `model.generate`. Its logits are computed once more, in one forward, and each
draw is repeated from the seed.
"""

from __future__ import annotations

import numpy as np

from minibert.autograd.tensor import no_grad
from minibert.errors import InputError
from minibert.generation.beam_search import beam_search
from minibert.generation.config import GenerationConfig
from minibert.generation.decoding import GrowingTexts
from minibert.generation.sampling import (keep_top_k, keep_top_p, log_probabilities, pick,
                                          probabilities, with_repetition_penalty, with_temperature,
                                          without_tokens)
from minibert.look.data import add_view, table
from minibert.look.subject import Subject, shown_token
from minibert.nn.module import evaluating

CANDIDATES = 8  # of a step
MOST_STEPS = 40
ROADS, ROAD_TOKENS = 2, 6  # roads not taken from each step, and how far they go on
MOST_NODES = 300  # on all roads together
INTRO = ("The model gives every token a probability; temperature, top-k and top-p change or cut "
         "them; then one number between 0 and 1 is drawn. The bar cumulates what was left, in the "
         "vocabulary's order: the token is written in whose part the number falls. Below it, how "
         "the text would have gone on from other tokens, always with the likeliest one.")
BEAM_INTRO = ("Beam search extends several texts at once and keeps the likeliest. Each column is a "
              "token, each line leads to the text that it continues. A finished text's score is "
              "its log-probability divided by its length to the power of the length penalty.")


def add_tree(data: dict, subject: Subject, seed: int, options: dict) -> None:
    """Add the tree (or with `num_beams` the lattice) of the text that `generate` continues with
    `options`, those of GenerationConfig. Errors: InputError, no GPT, too many steps."""
    if not subject.causal or subject.target is None or subject.target.kind != "next word":
        raise InputError(f"--grow: {subject.name} writes no text: expected a GPT")
    config = GenerationConfig(**options)
    if config.max_new_tokens > MOST_STEPS:
        raise InputError(f"--grow {config.max_new_tokens}: a picture holds {MOST_STEPS} tokens: "
                         "give fewer")
    with evaluating(subject.model), no_grad():
        if config.num_beams > 1:
            part = lattice(subject, config)
            rows = [[" ".join(one["tokens"]), f"{one['log_p']:.3f}", f"{one['score']:.3f}"]
                    for one in part["finished"]]
            of_texts = table("finished texts", ["text", "log p", "score"], rows)
            add_view(data, "tree", "Tree", BEAM_INTRO, [of_texts], part=part)
        else:
            part = sampled(subject, config, seed, options)
            add_view(data, "tree", "Tree", INTRO, [steps_table(part)], part=part)


# ---- one token after the other -------------------------------------------------------------------


def sampled(subject: Subject, config: GenerationConfig, seed: int, options: dict) -> dict:
    """{"steps": [...], "settings"}: each step of the text, see `step`."""
    model, prompt = subject.model, np.array([subject.ids])
    ids = model.generate(prompt, rng=seed, **options)[0]
    logits = model(ids[None, :-1]).logits.data[0, len(subject.ids) - 1:]  # (N, V)
    rng, steps = np.random.default_rng(seed), []
    for place, row in enumerate(logits, len(subject.ids)):
        u = float(rng.random((1, 1))[0, 0]) if config.do_sample else None
        steps.append(step(subject, row[None], ids[None, :place], int(ids[place]), config, u))
    add_roads(subject, steps, ids, options)
    return {"kind": "sampled", "steps": steps, "settings": {
        "temperature": config.temperature if config.do_sample else 0, "top_k": config.top_k,
        "top_p": config.top_p, "seed": seed}}


def step(subject: Subject, logits: np.ndarray, ids: np.ndarray, token: int,
         config: GenerationConfig, u: float | None) -> dict:
    """One step: logits (1, V) after ids (1, T), the `token` that was written and the number `u`
    (None: the likeliest token was taken).

    -> {"token", "u", "replayed": the token that u leads to here, "candidates": [{"token", "id",
    "p": the model's probability, "tempered": after the temperature, "kept": what was drawn from,
    "from", "to": its part of the bar, "cut": the filter that cut it out}]}
    """
    allowed = without_tokens(with_repetition_penalty(logits, ids, config.repetition_penalty),
                             config.suppress_tokens)
    tempered = with_temperature(allowed, config.temperature if config.do_sample else 0)
    after_k = keep_top_k(tempered, config.top_k)
    kept = keep_top_p(after_k, config.top_p)
    filters = {"no token of a text": allowed, "temperature 0": tempered, "top-k": after_k,
               "top-p": kept}
    p, p_tempered, p_kept = [probabilities(one)[0] for one in (logits, tempered, kept)]
    replayed = token if u is None else int(pick(kept, np.array([[u]]))[0])
    ends = np.cumsum(p_kept)
    shown = {token, *np.argsort(-p_tempered, kind="stable")[:CANDIDATES].tolist()}
    candidates = [
        {"token": shown_token(subject.tokenizer, i), "id": i, "p": float(p[i]),
         "tempered": float(p_tempered[i]), "kept": float(p_kept[i]),
         "from": float(ends[i] - p_kept[i]), "to": float(ends[i]),
         "cut": next((name for name, left in filters.items() if left[0, i] == -np.inf), "")}
        for i in sorted(shown, key=lambda i: (-p_tempered[i], -p[i], i))]
    return {"token": shown_token(subject.tokenizer, token), "id": token, "u": u,
            "replayed": shown_token(subject.tokenizer, replayed), "candidates": candidates,
            "roads": []}


def add_roads(subject: Subject, steps: list[dict], ids: np.ndarray, options: dict) -> None:
    """Add to each step its "roads": [{"tokens", "p"}], the likeliest tokens that were not taken
    and how the text goes on from there, always with the likeliest token."""
    prompt, N = len(subject.ids), len(steps)
    room = subject.model.config.max_position_embeddings - prompt - N
    new_tokens = min(ROAD_TOKENS, room, MOST_NODES // (ROADS * N) - 1)
    starts = []  # (number of the step, the candidate that is taken instead)
    for t, found in enumerate(steps):
        others = [one for one in found["candidates"]
                  if one["id"] != found["id"] and one["cut"] in ("", "temperature 0")]
        starts += [(t, one) for one in others[:ROADS]]
    if not starts or new_tokens < 1:
        return
    rows = [[*ids[:prompt + t], one["id"]] for t, one in starts]
    longest = max(map(len, rows))
    batch = np.array([[row[0]] * (longest - len(row)) + row for row in rows])
    mask = np.array([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    end = options.get("eos_token_id")
    written = subject.model.generate(
        batch, attention_mask=mask, max_new_tokens=new_tokens, eos_token_id=end,
        suppress_tokens=options.get("suppress_tokens", ()))
    for (t, one), row in zip(starts, written, strict=True):
        tail = [one["id"], *row[longest:].tolist()]
        tail = tail[:tail.index(end) + 1] if end in tail else tail
        steps[t]["roads"].append({"p": one["tempered"] or one["p"], "tokens": [
            shown_token(subject.tokenizer, i) for i in tail]})


def steps_table(part: dict) -> dict:
    """The steps as a table."""
    rows = []
    for t, found in enumerate(part["steps"]):
        chosen = next(one for one in found["candidates"] if one["id"] == found["id"])
        others = [one for one in found["candidates"] if one is not chosen][:2]
        rows.append([str(t + 1), found["token"], f"{chosen['p']:.3f}", f"{chosen['kept']:.3f}",
                     "-" if found["u"] is None else f"{found['u']:.4f}",
                     ", ".join([f"{one['token']} {one['p']:.2f}" for one in others])])
    return table("each step of the text", ["step", "written", "p", "drawn from", "number drawn",
                                           "likeliest others"], rows)


# ---- beams ---------------------------------------------------------------------------------------


class RecordedTexts(GrowingTexts):
    """GrowingTexts that keeps, for each step, the row that each text continues, its new token and
    its log-probability: `steps` holds (rows (K,), tokens (K,), log_p (K,))."""

    def __init__(self, model, ids: np.ndarray, mask: np.ndarray, new_tokens: int):
        super().__init__(model, ids, mask, new_tokens)
        self.steps: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._log_p = np.zeros(len(ids))
        self._next, self._rows = None, None

    def next_logits(self) -> np.ndarray:
        logits = super().next_logits()
        self._next = log_probabilities(logits)
        return logits

    def reorder(self, rows: np.ndarray) -> None:
        super().reorder(rows)
        self._rows = rows

    def append(self, tokens: np.ndarray) -> None:
        super().append(tokens)
        self._log_p = self._log_p[self._rows] + self._next[self._rows, tokens]
        self.steps.append((self._rows, tokens, self._log_p))


def lattice(subject: Subject, config: GenerationConfig) -> dict:
    """{"columns": [[{"token", "parent": place in the column before, "log_p"}]], "finished":
    [{"tokens", "log_p", "score"}], "best" first}."""
    K, N = config.num_beams, config.max_new_tokens
    prompt = np.array([subject.ids] * K)
    texts = RecordedTexts(subject.model, prompt, np.ones(prompt.shape, bool), N)
    ends = np.atleast_1d([] if config.eos_token_id is None else config.eos_token_id)
    [found] = beam_search(texts, config, N, ends)
    columns = [[{"token": shown_token(subject.tokenizer, int(token)), "parent": int(row),
                 "log_p": float(log_p)} for row, token, log_p in zip(*one)]
               for one in texts.steps[:N - 1]]  # at the last step all texts are finished
    finished = [{"tokens": [shown_token(subject.tokenizer, int(i)) for i in tokens],
                 "score": float(score),
                 "log_p": float(score * len(tokens)**config.length_penalty)}
                for score, tokens in found.texts]
    return {"kind": "beams", "columns": columns, "finished": finished,
            "settings": {"num_beams": K, "length_penalty": config.length_penalty}}
