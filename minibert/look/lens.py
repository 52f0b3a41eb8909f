"""The stream read by the model's own head: the logit lens, and direct logit attribution.

A raw lens: the head was trained on the last layer's vectors, so the early rows understate what is
in the vectors (Belrose et al. 2023, "Eliciting Latent Predictions", section 2).
"""

from __future__ import annotations

import numpy as np

from minibert.autograd import functional as F
from minibert.autograd.tensor import Tensor, no_grad
from minibert.errors import InputError
from minibert.generation.sampling import log_probabilities
from minibert.look.data import add_array, add_view, stored_array, table
from minibert.look.subject import Subject, shown_token
from minibert.look.truth import next_words
from minibert.models.activations import ActivationCache
from minibert.models.bert import BertForPreTraining
from minibert.models.bert_tasks import BertForMaskedLM
from minibert.models.gpt import GPT2LMHeadModel
from minibert.models.pretrained_model import PretrainedModel
from minibert.nn.module import evaluating
from minibert.toy_world.oracle import Oracle

TOP = 5  # words of a cell
WATCHED = 8  # words whose rank is followed through the layers, for each token
COLUMNS = 6  # of the table of words
INTRO = ("The model's own head reads the stream after each part of each layer: the word that is "
         "likeliest there, and a square for its probability. It is the raw lens: the head was "
         "trained on the last layer, so early columns say less than their vectors hold. A GPT "
         "predicts the word after a token, a BERT the word at it.")


def logit_lens(model: PretrainedModel, cache: ActivationCache, row: int = 0) -> np.ndarray:
    """The logits (2 L + 1, T, V) of the stream before block 0, after each attention and after each
    MLP, of one row of the batch that `cache` is of (nostalgebraist 2020, "interpreting GPT: the
    logit lens").

    A GPT's rows pass the last layer norm (each with its own mean and variance) and the word
    vectors; a BERT's, taken after each layer norm, pass the MLM head. The last row is the model's
    logits, bit for bit. Errors: InputError for a model without such a head, and for a cache without
    the streams.
    """
    if not isinstance(model, (GPT2LMHeadModel, BertForPreTraining, BertForMaskedLM)):
        raise InputError(f"logit_lens: {type(model).__name__} has no head that gives the logits of "
                         "words: use GPT2LMHeadModel, BertForMaskedLM or BertForPreTraining")
    is_gpt, rows = isinstance(model, GPT2LMHeadModel), []
    stack = (model.transformer if is_gpt else model.bert).stack
    with F.reference(), no_grad(), evaluating(model):
        for name in streams(model).values():
            x = Tensor(cache[name])  # (B, T, C)
            x = x if stack.final_norm is None else stack.final_norm(x)
            logits = F.linear(x, model.lm_head) if is_gpt else model.mlm_head(x)
            rows.append(logits.data[row])
    return np.stack(rows)


def streams(model: PretrainedModel) -> dict[str, tuple[str, int]]:
    """The 2 L + 1 places at which the lens reads, and their activations; where layer norm follows
    the addition, after it."""
    after = ("resid_mid", "resid_post") if model.config.block_config.norm_first \
        else ("ln1.normalized", "normalized_resid_post")
    places = {"embeddings": ("resid_pre", 0)}
    for layer in range(model.config.num_hidden_layers):
        places |= {f"{part} {layer}": (name, layer) for part, name in zip(("attention", "MLP"),
                                                                          after)}
    return places


def direct_logit_attribution(model: PretrainedModel, cache: ActivationCache,
                             target: tuple[int, ...], row: int = 0) -> dict[str, float]:
    """The part of each addition to a GPT's stream in one logit: name -> number; they add up to
    the logit (Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits").

    `target` is (position, id), or (position, id, instead) for the difference of two logits. The
    last layer norm is linear once its scale is frozen at the value that it had: with u the word's
    vector, a vector v contributes ((v - mean(v)) / scale * weight) . u. The parts are "embed",
    "pos_embed", "L0H0" (a head's result), "L0 bias" (of W_O), "L0 MLP" and "ln_final bias". Errors:
    InputError for other models: a BERT's norms and its MLM head make it no sum.
    """
    if not isinstance(model, GPT2LMHeadModel):
        raise InputError(f"direct_logit_attribution: in a {type(model).__name__} the logit is no "
                         "sum of what the layers add (a norm follows each addition): use ablate")
    position, word, *instead = target
    stack, words = model.transformer.stack, model.lm_head.data
    u = words[word] - (words[instead[0]] if instead else 0)  # (C,)
    norm = stack.final_norm
    direction = norm.weight.data * u / cache["ln_final.hook_scale"][row, position]  # (C,)
    direction = direction - direction.mean()  # (v - mean(v)) . d = v . (d - mean(d))
    parts = {"embed": cache["embed"][row, position],
             "pos_embed": cache["pos_embed"][row if len(cache["pos_embed"]) > 1 else 0, position]}
    for layer, block in enumerate(stack.blocks):
        for head, result in enumerate(cache["result", layer][row, position]):
            parts[f"L{layer}H{head}"] = result
        parts[f"L{layer} bias"] = block.attention.output.bias.data
        parts[f"L{layer} MLP"] = cache["mlp_out", layer][row, position]
    contributions = {name: float(vector @ direction) for name, vector in parts.items()}
    return contributions | {"ln_final bias": float(norm.bias.data @ u)}


# ---- the view ------------------------------------------------------------------------------------


def add_lens(data: dict, subjects: list[Subject], oracle: Oracle | None) -> None:
    """Add for each model with a head for words, at each of P places (2 L + 1, and the oracle's
    distribution where there is one): the TOP words, p and rank of the watched words, and the KL
    divergence of each place from the oracle (2 L + 1, T)."""
    tables, parts = [], []
    for m, subject in enumerate(subjects):
        try:
            logits = logit_lens(subject.model, subject.cache)
        except InputError as reason:
            parts.append({"note": f"{subject.name}: no lens. {reason}."})
            continue
        p, note = None, ""
        try:
            p = None if oracle is None else next_words(oracle, subject)
        except InputError as reason:
            note = f"{subject.name}: no row of the oracle. {reason}."
        part = add_places(data, m, subject, logits, p)
        places = [*streams(subject.model), *["oracle"] * (p is not None)]
        parts.append(part | {"places": places, "note": note})
        tables += lens_tables(data, m, subject, parts[-1])
    add_view(data, "lens", "Lens", INTRO, tables, models=parts)


def add_places(data: dict, m: int, subject: Subject, logits: np.ndarray, p: np.ndarray | None
               ) -> dict:
    """Add the arrays of one model, from its logits (P, T, V) and the oracle's p (T, V); returns the
    words by id."""
    log_p = log_probabilities(logits)  # (P, T, V)
    places, T, V = log_p.shape
    if p is not None:
        p = np.nan_to_num(np.pad(p, ((0, 0), (0, V - p.shape[1]))))
        best = np.log(np.maximum(p, 1e-300))
        add_array(data, m, "lens.kl", np.where(p > 0, p * (best - log_p), 0).sum(-1), "place token")
        log_p = np.concatenate([log_p, best[None]])
    top = np.argsort(-log_p, axis=-1, kind="stable")[..., :TOP]
    watched = np.array([watched_words(subject, t, top[:, t, 0], places) for t in range(T)])
    followed = np.take_along_axis(log_p, watched[None], axis=-1)  # (P, T, W)
    ranks = np.stack([1 + (row[:, None] > of_row[..., None]).sum(-1)
                      for row, of_row in zip(log_p, followed)])
    add_array(data, m, "lens.ids", top, "place token best")
    add_array(data, m, "lens.p", np.exp(np.take_along_axis(log_p, top, axis=-1)),
              "place token best")
    add_array(data, m, "lens.watched", watched, "token word")
    add_array(data, m, "lens.watched_p", np.exp(followed), "place token word")
    add_array(data, m, "lens.ranks", ranks, "place token word")
    ids = np.union1d(top, watched).tolist()
    return {"words": {i: shown_token(subject.tokenizer, i) for i in ids}}


def watched_words(subject: Subject, t: int, leaders: np.ndarray, places: int) -> list[int]:
    """WATCHED ids: the target's (at its position), the oracle's first, and those that lead in any
    layer, the last layers first; filled up with the last."""
    target, words = subject.target, []
    if target.is_word and t == target.position:
        words = list(target.indices[1:])
    words += [int(i) for i in [*leaders[places:], *leaders[places - 1::-1]]]
    words = list(dict.fromkeys(words))[:WATCHED]
    return words + words[-1:] * (WATCHED - len(words))


def lens_tables(data: dict, m: int, subject: Subject, part: dict) -> list[dict]:
    """The places at the target's token, and the first words of all tokens after whole layers."""
    ids, p, ranks = [stored_array(data, m, f"lens.{name}") for name in ("ids", "p", "ranks")]
    t, places = subject.target.position, part["places"]
    words = [[part["words"][int(i)] for i in of_place] for of_place in ids[..., 0]]  # (P, T)
    head = ["place", "likeliest", "p", f"rank of {subject.target.word}"]
    rows = [[name, words[i][t], f"{p[i, t, 0]:.3f}", f"{ranks[i, t, 0]:.0f}"]
            for i, name in enumerate(places)]
    if "oracle" in places:
        head.append("KL to the oracle")
        kl = [f"{x:.3f}" for x in stored_array(data, m, "lens.kl")[:, t]]
        rows = [[*row, cell] for row, cell in zip(rows, [*kl, ""])]
    shown = np.unique(np.linspace(0, len(places) - 1, COLUMNS).astype(int))
    all_rows = [[token, *[words[i][at] for i in shown]] for at, token in enumerate(subject.tokens)]
    return [table(f"{subject.name}: at token {t}, {subject.tokens[t]}", head, rows),
            table(f"{subject.name}: the likeliest words", ["token", *[places[i] for i in shown]],
                  all_rows)]
