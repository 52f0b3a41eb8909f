"""The weights of a small model within the page, so that web/model.js can run it there."""

from __future__ import annotations

from minibert.look.data import WEIGHTS, add_array, add_view
from minibert.look.subject import Subject, output_layer, output_names, shown_token

PARAMETERS = 500_000  # up to so many a model is live by itself
INTRO = ("The weights are in this page, and a few lines of JavaScript compute the model from them: "
         "replace a token by another one of the vocabulary, cut heads out (their part is set to "
         "zero before W\u2092), or move the temperature.")
AXES = {1: "output", 2: "output input"}


def add_live(data: dict, subjects: list[Subject], all_sizes: bool = False) -> None:
    """Add the weights of each model that has a target and at most PARAMETERS parameters
    (`all_sizes`: any number), and of these what else the forward needs."""
    parts = [None] * len(subjects)
    for m, subject in enumerate(subjects):
        if subject.target and (all_sizes or data["models"][m]["parameters"] <= PARAMETERS):
            parts[m] = live_part(data, m, subject)
    if any(parts):
        add_view(data, "live", "Live", INTRO, [], models=parts)


def live_part(data: dict, m: int, subject: Subject) -> dict:
    """The dict that the view needs of one model."""
    for name, weight in subject.parameters.items():
        add_array(data, m, f"weights.{name}", weight, AXES[weight.ndim], WEIGHTS)
    config, target = subject.model.config, subject.target
    weight, bias = output_layer(subject)
    # the layers that may stand between a token's vector and the output layer
    activations = {"mlm_head.dense": getattr(config, "mlm_act", None),
                   "classifier.dense": getattr(config, "classifier_act", None),
                   "pooler.dense": "tanh"}
    hidden = next((name for name in activations if f"{name}.weight" in subject.parameters), None)
    data["models"][m]["live"] = {
        "activation": config.block_config.activation, "first_position": config.first_position,
        "weight": weight, "bias": bias, "hidden": hidden,
        "hidden_activation": activations.get(hidden)}
    return {"words": [shown_token(subject.tokenizer, i) for i in range(config.vocab_size)],
            "outputs": None if target.is_word else output_names(subject, target.kind)}

