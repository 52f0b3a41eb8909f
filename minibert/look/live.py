"""The weights of a small model within the page, so that web/model.js can run it there."""

from __future__ import annotations

from minibert.look.data import WEIGHTS, add_array, add_view
from minibert.look.subject import Subject, output_names, shown_token

PARAMETERS = 500_000  # up to so many a model is live by itself
INTRO = ("The weights are in this page, and a few lines of JavaScript compute the model from them: "
         "replace a token by another one of the vocabulary, cut heads out (their part is set to "
         "zero before W\u2092), or move the temperature.")
AXES = {1: "output", 2: "output input"}
WORD_HEADS = ("mlm_head.decoder", "lm_head", "embeddings.word_embeddings.weight")
OTHER_HEADS = ("classifier.out_proj", "classifier", "nsp_head", "qa_outputs", "score")


def add_live(data: dict, subjects: list[Subject], all_sizes: bool = False) -> None:
    """Add the weights of each model that has a target and at most PARAMETERS parameters
    (`all_sizes`: any number), and of these what else the forward needs."""
    parts = []
    for m, subject in enumerate(subjects):
        is_small = all_sizes or data["models"][m]["parameters"] <= PARAMETERS
        parts.append(live_part(data, m, subject) if is_small and subject.target else None)
    if any(parts):
        add_view(data, "live", "Live", INTRO, [], models=parts)


def live_part(data: dict, m: int, subject: Subject) -> dict:
    """The dict that the view needs of one model."""
    model, target = subject.model, subject.target
    weights = {name.removeprefix("bert.").removeprefix("transformer."): parameter.data
               for name, parameter in model.named_parameters()}
    for name, weight in weights.items():
        add_array(data, m, f"weights.{name}", weight, AXES[weight.ndim], WEIGHTS)
    block = model.config.block_config
    data["models"][m]["live"] = {
        "activation": block.activation, "eps": block.layer_norm_eps,
        "first_position": model.config.first_position, "hidden": hidden_layer(subject, weights),
        # the matrix (for words) or linear layer that gives the logits
        "classifier": next(name for name in WORD_HEADS if name in weights) if target.is_word else
        next(name for name in OTHER_HEADS if f"{name}.weight" in weights)}
    return {"words": [shown_token(subject.tokenizer, i) for i in range(model.config.vocab_size)],
            "outputs": None if target.is_word else output_names(subject, target.kind)}


def hidden_layer(subject: Subject, weights: dict) -> dict | None:
    """The layer between the vector of the target's position and the head's last one, and its
    activation; None: there is none."""
    config, kind = subject.model.config, subject.target.kind
    if kind == "word":
        return {"layer": "mlm_head.dense", "act": config.mlm_act}
    if kind == "class" and "classifier.dense.weight" in weights:
        return {"layer": "classifier.dense", "act": config.classifier_act}
    if kind == "class" and "pooler.dense.weight" in weights:
        return {"layer": "pooler.dense", "act": "tanh"}
    return None
