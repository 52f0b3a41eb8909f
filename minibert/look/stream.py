"""The view of the residual stream: the lengths of its vectors; a GPT's logit as a sum."""

from __future__ import annotations

import numpy as np

from minibert.look.data import add_array, add_view, array_name
from minibert.look.lens import direct_logit_attribution
from minibert.look.subject import Subject
from minibert.models.gpt import GPT2LMHeadModel

PLACES = ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post")
MOST_PARTS = 40  # with more of them the heads of a layer are one part
INTRO = ("Attention and the MLP (feed-forward layer) add a vector to the stream of each token. "
         "Its length says how much, the cosine with the stream whether it points along it (1), "
         "across it (0) or against it (\u22121). A GPT's logit is a sum of what all parts added, "
         "once the scale of the last layer norm is held at the value that it had. A BERT's is no "
         "such sum: a norm follows each addition. For BERT see Causes.")


def add_stream(data: dict, subjects: list[Subject]) -> None:
    """Add each model's lengths (5, L, T) at PLACES, the cosines (2, L, T) of attn_out with
    resid_pre and of mlp_out with what it is added to, and a GPT's parts of the target's logit."""
    tables, parts = [], []
    for m, subject in enumerate(subjects):
        norms, cosines = lengths_and_cosines(subject)
        add_array(data, array_name(m, "stream.norms"), norms, "place layer token")
        add_array(data, array_name(m, "stream.cosines"), cosines, "branch layer token")
        token = len(subject.ids) - 1 if subject.target is None else subject.target.position
        rows = [["layer", "stream", "attention adds", "cosine", "MLP adds", "cosine", "after"]]
        rows += [[str(i), *[f"{x:.2f}" for x in (
            norms[0, i, token], norms[1, i, token], cosines[0, i, token], norms[3, i, token],
            cosines[1, i, token], norms[4, i, token])]] for i in range(norms.shape[1])]
        tables.append({"caption": f"{subject.name}: lengths at token {token}, "
                                  f"{subject.tokens[token]}", "rows": rows})
        parts.append(logit_parts(subject))
        if parts[-1]:
            rows = [[name, f"{x:+.3f}"] for name, x in parts[-1]]
            total = sum([x for _, x in parts[-1]])
            tables.append({"caption": f"{subject.name}: the parts of the logit",
                           "rows": [["part", "adds"], *rows, ["sum", f"{total:+.3f}"]]})
    add_view(data, "stream", "Stream", INTRO, tables, parts=parts)


def lengths_and_cosines(subject: Subject) -> tuple[np.ndarray, np.ndarray]:
    """((5, L, T), (2, L, T)): see add_stream."""
    config = subject.model.config
    layers = range(config.num_hidden_layers)
    vectors = {name: np.stack([subject.cache[name, i][0] for i in layers]) for name in PLACES}
    before_mlp = vectors["resid_mid"] if config.block_config.norm_first else \
        np.stack([subject.cache["ln1.normalized", i][0] for i in layers])
    norms = np.stack([np.linalg.norm(vectors[name], axis=-1) for name in PLACES])
    return norms, np.stack([cosine(vectors["attn_out"], vectors["resid_pre"]),
                            cosine(vectors["mlp_out"], before_mlp)])


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The cosine of vectors (..., C): (...)."""
    product = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return (a * b).sum(-1) / np.maximum(product, 1e-12)


def logit_parts(subject: Subject) -> list[list]:
    """[name, number] of the parts of a GPT's target, which add up to it; [] for other models."""
    if not isinstance(subject.model, GPT2LMHeadModel):
        return []
    parts = direct_logit_attribution(subject.model, subject.cache, subject.target.indices)
    if len(parts) > MOST_PARTS:
        merged: dict[str, float] = {}
        for name, x in parts.items():
            layer = name.split("H")[0].removesuffix(" bias")
            of_heads = name.startswith("L") and not name.endswith("MLP")
            name = f"{layer} attention" if of_heads else name
            merged[name] = merged.get(name, 0.0) + x
        parts = merged
    return [[name, x] for name, x in parts.items()]
