"""Model folders in Hugging Face's layout: config.json and model.safetensors.

The tables map the names of our parameters to Hugging Face's. In BERT's files queries, keys and
values are three linear layers, which are one here; in GPT-2's files the weights of linear layers
are transposed ("Conv1D"). Tied weights are stored once. Published files differ from the tables in
several ways, which are read: with or without the prefix of the bare model, `gamma` and `beta` in
layer norms, a tied bias under its other name, buffers and tied copies.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minibert.atomic_files import read_json, write_json
from minibert.checkpoints.safetensors import INDEX, SafetensorsFile, ShardedFile, save_file
from minibert.errors import InputError


class Place(NamedTuple):
    """The names that hold a parameter of ours: several, of one shape, hold consecutive rows."""

    names: tuple[str, ...]
    transposed: bool = False

    def read(self, file: SafetensorsFile) -> np.ndarray:
        """The array in a file. The memory of all that was read before is freed: a large model is
        never in memory twice."""
        file.let_go()
        parts = [file[name] for name in self.names]
        array = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return array.T if self.transposed else array

    def shape(self, file: SafetensorsFile) -> tuple[int, ...]:
        """The shape of the array, which is not read."""
        rows, *rest = file.shape(self.names[0])
        shape = (len(self.names) * rows, *rest)
        return shape[::-1] if self.transposed else shape


class Layout(NamedTuple):
    """The names of one architecture."""

    prefix: str  # what a class with a head puts before the names of the bare model
    our_prefix: str  # what ours does
    # Ours -> theirs, of a parameter, or of a module (.weight and .bias follow); {i} is a layer's
    # number. Of several names, separated by blanks, each holds some rows.
    table: dict[str, str]
    buffers: str  # a pattern of names: nothing is lost where they are not read
    tied: dict[str, str]  # a copy that a file may have, too -> the weights that it must equal
    stacks: tuple[str, ...] = ("stack",)  # our names of the stacks of blocks
    zeros: tuple[str, ...] = ()  # ours that are zeros where a file does not have them
    decoder: str = "none"  # the layer of the masked LM head with a bias that untied ones have twice
    conv1d: str | None = None  # a part of the names of modules with transposed weights


def _blocks(ours: str, theirs: str, modules: Mapping[str, str]) -> dict[str, str]:
    """The names of a stack's `modules`, ours and theirs within a block, as they are in a model."""
    return {f"{ours}.blocks.{{i}}.{name}": " ".join(
        [f"{theirs}.{{i}}.{there}" for there in names.split()]) for name, names in modules.items()}


def _same(names: str) -> dict[str, str]:
    """Names that are theirs and ours."""
    return {name: name for name in names.split()}


_BERT = Layout("bert", "bert", {
    **_same("embeddings.word_embeddings embeddings.position_embeddings "
            "embeddings.token_type_embeddings pooler.dense classifier qa_outputs"),
    "embeddings.norm": "embeddings.LayerNorm",
    **_blocks("stack", "encoder.layer", {
        "attention.qkv": "attention.self.query attention.self.key attention.self.value",
        "attention.output": "attention.output.dense",
        "attention_norm": "attention.output.LayerNorm",
        "feed_forward.expand": "intermediate.dense",
        "feed_forward.output": "output.dense",
        "feed_forward_norm": "output.LayerNorm"}),
    "stack.final_norm": "encoder.final_norm",  # ours alone: norm_first
    "mlm_head.dense": "cls.predictions.transform.dense",
    "mlm_head.norm": "cls.predictions.transform.LayerNorm",
    "mlm_head.decoder": "cls.predictions.decoder.weight",  # untied
    "mlm_head.bias": "cls.predictions.bias",
    "nsp_head": "cls.seq_relationship",
}, r"embeddings\.position_ids|embeddings\.token_type_ids",
    {"cls.predictions.decoder.weight": "embeddings.word_embeddings.weight",
     "cls.predictions.decoder.bias": "cls.predictions.bias"}, decoder="cls.predictions.decoder")

_ROBERTA = Layout("roberta", "bert", {
    **{name: theirs for name, theirs in _BERT.table.items() if "_head" not in name},
    "mlm_head.dense": "lm_head.dense",
    "mlm_head.norm": "lm_head.layer_norm",
    "mlm_head.decoder": "lm_head.decoder.weight",  # untied
    "mlm_head.bias": "lm_head.bias",
    **_same("classifier.dense classifier.out_proj"),
}, _BERT.buffers,
    {"lm_head.decoder.weight": "embeddings.word_embeddings.weight",
     "lm_head.decoder.bias": "lm_head.bias"}, decoder="lm_head.decoder")

_DISTILBERT = Layout("distilbert", "bert", {
    **_same("embeddings.word_embeddings embeddings.position_embeddings classifier qa_outputs"),
    "embeddings.norm": "embeddings.LayerNorm",
    **_blocks("stack", "transformer.layer", {
        "attention.qkv": "attention.q_lin attention.k_lin attention.v_lin",
        "attention.output": "attention.out_lin",
        "attention_norm": "sa_layer_norm",
        "feed_forward.expand": "ffn.lin1",
        "feed_forward.output": "ffn.lin2",
        "feed_forward_norm": "output_layer_norm"}),
    "mlm_head.dense": "vocab_transform",
    "mlm_head.norm": "vocab_layer_norm",
    "mlm_head.decoder": "vocab_projector.weight",  # untied
    "mlm_head.bias": "vocab_projector.bias",
    "classifier.dense": "pre_classifier",
    "classifier.out_proj": "classifier",
}, r"embeddings\.position_ids", {"vocab_projector.weight": "embeddings.word_embeddings.weight"})

_GPT2 = Layout("transformer", "transformer", {
    "embeddings.word_embeddings": "wte",
    "embeddings.position_embeddings": "wpe",
    **_blocks("stack", "h", {
        "attention_norm": "ln_1",
        "attention.qkv": "attn.c_attn",
        "attention.output": "attn.c_proj",
        "feed_forward_norm": "ln_2",
        "feed_forward.expand": "mlp.c_fc",
        "feed_forward.output": "mlp.c_proj"}),
    "stack.final_norm": "ln_f",
    "lm_head": "lm_head.weight",  # untied
    "score": "score",
}, r"h\.\d+\.attn\.(bias|masked_bias)", {"lm_head.weight": "wte.weight"}, conv1d=".c_")

_BART_ENCODER = {"attention.qkv": "self_attn.q_proj self_attn.k_proj self_attn.v_proj",
                 "attention.output": "self_attn.out_proj",
                 "attention_norm": "self_attn_layer_norm",
                 "feed_forward.expand": "fc1",
                 "feed_forward.output": "fc2",
                 "feed_forward_norm": "final_layer_norm"}
_BART_DECODER = _BART_ENCODER | {
    f"cross_{name}": theirs.replace("self_attn", "encoder_attn")
    for name, theirs in _BART_ENCODER.items() if name.startswith("attention")}
_BART = Layout("model", "model", {
    "word_embeddings": "shared",
    "encoder.embeddings.position_embeddings": "encoder.embed_positions",
    "encoder.embeddings.norm": "encoder.layernorm_embedding",
    **_blocks("encoder.stack", "encoder.layers", _BART_ENCODER),
    "decoder.embeddings.position_embeddings": "decoder.embed_positions",
    "decoder.embeddings.norm": "decoder.layernorm_embedding",
    **_blocks("decoder.stack", "decoder.layers", _BART_DECODER),
    "final_logits_bias": "final_logits_bias",
}, r"(encoder|decoder)\.version",
    {"encoder.embed_tokens.weight": "shared.weight",
     "decoder.embed_tokens.weight": "shared.weight", "lm_head.weight": "shared.weight"},
    stacks=("encoder.stack", "decoder.stack"), zeros=("final_logits_bias",))

LAYOUTS = {"bert": _BERT, "gpt2": _GPT2, "bart": _BART, "roberta": _ROBERTA,
           "distilbert": _DISTILBERT}


def layout_of(model_type: str) -> Layout:
    """The layout of a model type; those of our own variants (bert_norm_first) are the family's."""
    return LAYOUTS[model_type.split("_")[0]]


def place_of(model_type: str, name: str) -> Place:
    """The place of our parameter `name`, with full names: for a class with a head the names of
    the bare model carry the prefix, there as here. A parameter that is not in the table has our
    name in the files of our own variants. Errors: InputError for one in the files of Hugging
    Face's models."""
    layout = layout_of(model_type)
    bare = name.removeprefix(f"{layout.our_prefix}.")
    number = next(iter(re.findall(r"\.(\d+)\.", bare)), "")
    key, ending = (bare.replace(f".{number}.", ".{i}.", 1) if number else bare), ""
    if key not in layout.table:
        key, _, ending = key.rpartition(".")
    if key not in layout.table:
        if model_type in LAYOUTS:
            raise InputError(f"{name}: Hugging Face's model of type {model_type!r} has no such "
                             "parameter: give the config's field that adds it changes_model_type")
        return Place((name,))
    prefix = f"{layout.prefix}." if bare != name else ""
    theirs = layout.table[key].format(i=number)
    return Place(tuple([prefix + text + (f".{ending}" if ending else "")
                        for text in theirs.split()]),
                 layout.conv1d is not None and layout.conv1d in theirs)


def hf_arrays(model_type: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays (values, or gradients) under our parameters' names -> under Hugging Face's. Errors:
    InputError for a parameter that has no place there, see place_of."""
    theirs = {}
    for name, array in arrays.items():
        place = place_of(model_type, name)
        count = len(place.names)
        if count > 1 and array.ndim == 2 and len(array) != count * array.shape[1]:
            raise InputError(f"{name}: got shape {array.shape}, expected as many rows for each of "
                             f"{', '.join(place.names)}: a BERT with fewer key/value heads than "
                             "query heads cannot be saved")
        theirs.update(zip(place.names, np.split(array.T if place.transposed else array, count)))
    layout = layout_of(model_type)
    if f"{layout.decoder}.weight" in theirs:
        # Where the decoder is not tied to the embedding, Hugging Face unties its bias, too: it adds
        # this one, and has no use for the other, which it keeps.
        bias = f"{layout.decoder}.bias"
        theirs[bias] = theirs[layout.tied[bias]]
    return theirs


def stored_layers(model_type: str, file: SafetensorsFile) -> list[int]:
    """The number of layers of which the file has weights, of each stack of the layout."""
    layout, counts = layout_of(model_type), []
    for stack in layout.stacks:
        first = place_of(model_type, f"{stack}.blocks.0.attention_norm.weight").names[0]
        start, _, _ = first.partition("0")
        counts.append(len({match[1] for text in file if (match := re.match(
            re.escape(start) + r"(\d+)\.", _bare(layout, text)))}))
    return counts


def stored_places(model_type: str, names: list[str], file: SafetensorsFile
                  ) -> tuple[dict[str, Place], list[str], list[str]]:
    """Our parameters `names` in a file -> ({name: its place}, missing names, unused names). The
    missing are among `names`, the unused among the file's without buffers and tied copies. Errors:
    InputError for weights that are stored twice or are no floats, and tied copies that differ."""
    layout = layout_of(model_type)
    stored = {_bare(layout, name): name for name in file}
    if len(stored) != len(file):
        raise InputError(f"{file.path}: some weights stand there twice, with and without the "
                         f"prefix {layout.prefix!r}")
    found, used = {}, set()
    for name in names:
        place = place_of(model_type, name)
        wanted = [_bare(layout, text) for text in place.names]
        if all(text in stored for text in wanted):
            used.update(wanted)
            found[name] = Place(tuple([stored[text] for text in wanted]), place.transposed)
    bias = f"{layout.decoder}.bias"
    if "mlm_head.bias" in names and bias in stored \
            and ("mlm_head.decoder" in found or "mlm_head.bias" not in found):
        found["mlm_head.bias"] = Place((stored[bias],))  # tied: the bias's other name
    if _has_tied_head(layout, names):
        _check_tied(layout, stored, file)
    for place in found.values():
        _check_weights(file, place.names)
    missing = [name for name in names if name not in found and name not in layout.zeros]
    unused = [name for bare, name in stored.items()
              if bare not in {*used, *layout.tied} and not re.fullmatch(layout.buffers, bare)]
    return found, missing, unused


def _has_tied_head(layout: Layout, names: list[str]) -> bool:
    """Whether parameters of these names are a model that predicts tokens with its embedding."""
    if layout is _BART:
        return True  # its encoder and its decoder share it, too
    is_gpt = all(name.startswith("transformer.") for name in names)
    return is_gpt or ("mlm_head.bias" in names and "mlm_head.decoder" not in names)


def _check_tied(layout: Layout, stored: Mapping[str, str], file: SafetensorsFile) -> None:
    """Errors: InputError for copies of tied weights that are no copies. (transformers 5 then unties
    the weights, 4 takes the embedding.)"""
    for copy, source in layout.tied.items():
        if copy in stored and source in stored:
            both = [file[stored[name]] for name in (copy, source)]
            if both[0].shape != both[1].shape or not np.array_equal(*both, equal_nan=True):
                raise InputError(f"{file.path}: {stored[copy]} and {stored[source]} differ, and "
                                 "config.json ties them: set tie_word_embeddings to false there, "
                                 "or remove one from the file")
            file.let_go()


def _check_weights(file: SafetensorsFile, names: tuple[str, ...]) -> None:
    """The parts of one parameter must be numbers, and of one shape."""
    for name in names:
        if file.dtype_name(name) not in ("F64", "F32", "F16", "BF16"):
            raise InputError(f"{file.path}: {name}: a weight of dtype {file.dtype_name(name)}: "
                             "expected F64, F32, F16 or BF16 (quantized models are not read)")
    shapes = [file.shape(name) for name in names]
    if len(set(shapes)) > 1 or shapes[0] == ():
        raise InputError(f"{file.path}: {', '.join(names)}: shapes {shapes} do not go together")


def _bare(layout: Layout, name: str) -> str:
    """A file's name without prefix, and with today's name for the parameters of layer norms."""
    name = name.removeprefix(f"{layout.prefix}.")
    return name.replace("LayerNorm.gamma", "LayerNorm.weight") \
               .replace("LayerNorm.beta", "LayerNorm.bias")


def save_folder(folder: str | os.PathLike, config: dict, arrays: Mapping[str, np.ndarray]) -> None:
    """Write config.json and model.safetensors; other files in the folder stay as they are. `config`
    holds model_type; `arrays` are named as ours."""
    folder, theirs = Path(folder), hf_arrays(config["model_type"], arrays)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: name a folder to save the model in")
    folder.mkdir(parents=True, exist_ok=True)
    save_file(theirs, folder / "model.safetensors", {"format": "pt"})
    write_json(folder / "config.json", config, sort_keys=True, ensure_ascii=True)


def load_folder(folder: str | os.PathLike) -> tuple[dict, SafetensorsFile]:
    """(config.json, the arrays under the names of the file). Errors: InputError for a folder, a
    file or a kind of model that cannot be read."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder: expected one with config.json and "
                         "model.safetensors")
    config = read_json(folder / "config.json")
    model_type = config.get("model_type", "bert")  # files of the first years have none
    if str(model_type).split("_")[0] not in LAYOUTS:
        raise InputError(f"{folder / 'config.json'}: model_type {model_type!r:.60} is unknown: "
                         f"expected one of {', '.join(LAYOUTS)}")
    if (folder / "adapter_config.json").exists():
        raise InputError(f"{folder / 'adapter_config.json'}: adapters (PEFT) are not applied here: "
                         "merge them into the weights (merge_and_unload) and save the model")
    weights = folder / "model.safetensors"
    if weights.is_file():
        return config, SafetensorsFile(weights)
    if (folder / INDEX).is_file():
        return config, ShardedFile(folder / INDEX)
    for name in ("pytorch_model.bin", "pytorch_model.bin.index.json"):
        if (folder / name).exists():
            raise InputError(f"{folder}: {name} is not read, since opening such a file runs code; "
                             "convert it where transformers and torch are installed: "
                             f"AutoModelForPreTraining.from_pretrained({str(folder)!r})"
                             f".save_pretrained({str(folder)!r})")
    raise InputError(f"{weights}: there is no such file, nor {INDEX}")
