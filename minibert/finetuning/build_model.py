"""Models for fine-tuning: a new head on a pre-trained or a fresh encoder; frozen layers."""

import os
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

from minibert.atomic_files import read_json
from minibert.errors import InputError
from minibert.finetuning.tasks.base import Task
from minibert.models.architectures import ARCHITECTURES, Architecture, architecture_of
from minibert.models.bert import BertModel, BertPretrainedModel
from minibert.models.config import DROPOUT, ModelConfig, option_fields
from minibert.models.gpt import GPT2Model
from minibert.models.pretrained_model import PretrainedModel


def head_class(task: str, architecture: Architecture) -> type[PretrainedModel]:
    """The class of the model for a task. Errors: InputError for a GPT, or a BART, that has no head
    for it."""
    if task not in architecture.heads:
        name, heads = architecture.name.upper(), " and ".join(architecture.heads) or "no task"
        raise InputError(f"a {name} is fine-tuned for {heads} only: give a BERT for {task}")
    return architecture.heads[task]


def config_changes(task: Task, architecture: Architecture, dropout: float | None = None) -> dict:
    """The config fields that a task sets: its labels, what a GPT pads with, and a dropout other
    than that of pre-training."""
    if task.labels is not None:
        changes = {"num_labels": len(task.labels), "id2label": dict(enumerate(task.labels))}
    else:  # a number for a text; the start and the end of an answer
        changes = {"num_labels": 1 if task.name in ("classify", "pair") else 2, "id2label": None}
    if task.reading.left_to_right:
        changes["pad_token_id"] = task.reading.pad_id
    if dropout is not None:
        fields = option_fields(architecture.config_class)[DROPOUT]
        changes |= dict.fromkeys([one.name for one in fields], dropout)
    return changes


def pretrained_model(task: Task, folder: str | os.PathLike, rng: np.random.Generator | int = 0,
                     dropout: float | None = None) -> PretrainedModel:
    """The encoder of a model's folder with a new head, drawn by `rng`, whatever head is there. A
    warning names what else was not there and is drawn (a pooler that no pre-training has
    taught)."""
    architecture = architecture_of(read_json(Path(folder) / "config.json"))
    head = head_class(task.name, architecture)
    bare, info = architecture.bare.from_pretrained(folder, rng, output_loading_info=True,
                                                   **config_changes(task, architecture, dropout))
    model = head(bare.config, rng)
    encoder, arrays = encoder_of(model), bare.state_dict()
    names = list(encoder.state_dict())
    encoder.load_state_dict({name: arrays[name] for name in names})
    new = [name for name in info["missing_keys"] if name in names]
    if new:
        warnings.warn(f"{folder} holds no {', '.join(new)}: freshly drawn, to be trained",
                      stacklevel=2)
    return model


def fresh_model(task: Task, config: ModelConfig, rng: np.random.Generator | int = 0
                ) -> PretrainedModel:
    """A model with random weights, to compare with."""
    architecture = next(one for one in ARCHITECTURES if type(config) is one.config_class)
    head = head_class(task.name, architecture)
    return head(replace(config, **config_changes(task, architecture)), rng)


def encoder_of(model: PretrainedModel) -> BertModel | GPT2Model:
    """The model without its head."""
    return model.bert if isinstance(model, BertPretrainedModel) else model.transformer


def freeze_below(model: PretrainedModel, layers: int) -> None:
    """Stop training the embeddings and the first `layers` blocks. With all of the blocks the whole
    encoder is frozen, a last norm too; a pooler belongs to the head and goes on."""
    encoder, most = encoder_of(model), model.config.num_hidden_layers
    if not 0 <= layers <= most:
        raise InputError(f"{layers} layers cannot be frozen: the model has {most}")
    encoder.embeddings.freeze()
    for block in encoder.stack.blocks[:layers]:
        block.freeze()
    if layers == most:
        encoder.stack.freeze()
