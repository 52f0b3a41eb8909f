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
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minibert.atomic_files import read_json, write_json
from minibert.checkpoints.safetensors import SafetensorsFile, save_file
from minibert.checkpoints.shards import INDEX, ShardedFile
from minibert.errors import InputError

WeightFile = SafetensorsFile | ShardedFile


class Place(NamedTuple):
    """The names that hold a parameter of ours: several hold consecutive rows of it."""

    names: tuple[str, ...]
    transposed: bool = False


class Layout(NamedTuple):
    """The names of one architecture; {i} is a layer's number, {p} is weight or bias."""

    prefix: str  # what a class with a head puts before the names of the bare model
    table: dict[str, Place]
    nothing_new: re.Pattern  # buffers and tied copies, which a file may have
    tied: dict[str, str]  # a tied copy -> the weights that it must equal
    stacks: tuple[str, ...] = ("stack",)  # our names of the stacks of blocks
    zeros: tuple[str, ...] = ()  # ours that are zeros where a file does not have them
    ours: str | None = None  # what our class has for the prefix, where it is another
    decoder: str | None = None  # the masked LM head with a bias that untied weights have twice

    @property
    def our_prefix(self) -> str:
        return self.ours or self.prefix


_BERT_LAYER = "encoder.layer.{i}."
_BERT = Layout("bert", {
    "embeddings.word_embeddings.weight": Place(("embeddings.word_embeddings.weight",)),
    "embeddings.position_embeddings.weight": Place(("embeddings.position_embeddings.weight",)),
    "embeddings.token_type_embeddings.weight": Place(("embeddings.token_type_embeddings.weight",)),
    "embeddings.norm.{p}": Place(("embeddings.LayerNorm.{p}",)),
    "stack.blocks.{i}.attention.qkv.{p}": Place((_BERT_LAYER + "attention.self.query.{p}",
                                                 _BERT_LAYER + "attention.self.key.{p}",
                                                 _BERT_LAYER + "attention.self.value.{p}")),
    "stack.blocks.{i}.attention.output.{p}": Place((_BERT_LAYER + "attention.output.dense.{p}",)),
    "stack.blocks.{i}.attention_norm.{p}": Place((_BERT_LAYER + "attention.output.LayerNorm.{p}",)),
    "stack.blocks.{i}.feed_forward.expand.{p}": Place((_BERT_LAYER + "intermediate.dense.{p}",)),
    "stack.blocks.{i}.feed_forward.output.{p}": Place((_BERT_LAYER + "output.dense.{p}",)),
    "stack.blocks.{i}.feed_forward_norm.{p}": Place((_BERT_LAYER + "output.LayerNorm.{p}",)),
    "stack.final_norm.{p}": Place(("encoder.final_norm.{p}",)),  # ours alone: norm_first
    "pooler.dense.{p}": Place(("pooler.dense.{p}",)),
    "mlm_head.dense.{p}": Place(("cls.predictions.transform.dense.{p}",)),
    "mlm_head.norm.{p}": Place(("cls.predictions.transform.LayerNorm.{p}",)),
    "mlm_head.decoder": Place(("cls.predictions.decoder.weight",)),  # untied
    "mlm_head.bias": Place(("cls.predictions.bias",)),
    "nsp_head.{p}": Place(("cls.seq_relationship.{p}",)),
    "classifier.{p}": Place(("classifier.{p}",)),
    "qa_outputs.{p}": Place(("qa_outputs.{p}",)),
}, re.compile(r"embeddings\.position_ids|embeddings\.token_type_ids"
                r"|cls\.predictions\.decoder\.(weight|bias)"),
    {"cls.predictions.decoder.weight": "embeddings.word_embeddings.weight",
     "cls.predictions.decoder.bias": "cls.predictions.bias"}, decoder="cls.predictions")

_IDENTICAL = ("embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight",
              "embeddings.norm.{p}", "qa_outputs.{p}", "classifier.{p}")
_ROBERTA = Layout("roberta", {
    **{name: place for name, place in _BERT.table.items() if "_head." not in name},
    "mlm_head.dense.{p}": Place(("lm_head.dense.{p}",)),
    "mlm_head.norm.{p}": Place(("lm_head.layer_norm.{p}",)),
    "mlm_head.decoder": Place(("lm_head.decoder.weight",)),  # untied
    "mlm_head.bias": Place(("lm_head.bias",)),
    "classifier.dense.{p}": Place(("classifier.dense.{p}",)),
    "classifier.out_proj.{p}": Place(("classifier.out_proj.{p}",)),
}, re.compile(r"embeddings\.position_ids|embeddings\.token_type_ids"
                r"|lm_head\.decoder\.(weight|bias)"),
    {"lm_head.decoder.weight": "embeddings.word_embeddings.weight",
     "lm_head.decoder.bias": "lm_head.bias"}, ours="bert", decoder="lm_head")

_DISTILBERT_LAYER = "transformer.layer.{i}."
_DISTILBERT = Layout("distilbert", {
    **{name: _BERT.table[name] for name in _IDENTICAL},
    "stack.blocks.{i}.attention.qkv.{p}": Place((_DISTILBERT_LAYER + "attention.q_lin.{p}",
                                                 _DISTILBERT_LAYER + "attention.k_lin.{p}",
                                                 _DISTILBERT_LAYER + "attention.v_lin.{p}")),
    "stack.blocks.{i}.attention.output.{p}": Place((_DISTILBERT_LAYER + "attention.out_lin.{p}",)),
    "stack.blocks.{i}.attention_norm.{p}": Place((_DISTILBERT_LAYER + "sa_layer_norm.{p}",)),
    "stack.blocks.{i}.feed_forward.expand.{p}": Place((_DISTILBERT_LAYER + "ffn.lin1.{p}",)),
    "stack.blocks.{i}.feed_forward.output.{p}": Place((_DISTILBERT_LAYER + "ffn.lin2.{p}",)),
    "stack.blocks.{i}.feed_forward_norm.{p}": Place((_DISTILBERT_LAYER
                                                     + "output_layer_norm.{p}",)),
    "mlm_head.dense.{p}": Place(("vocab_transform.{p}",)),
    "mlm_head.norm.{p}": Place(("vocab_layer_norm.{p}",)),
    "mlm_head.decoder": Place(("vocab_projector.weight",)),  # untied
    "mlm_head.bias": Place(("vocab_projector.bias",)),
    "classifier.dense.{p}": Place(("pre_classifier.{p}",)),
    "classifier.out_proj.{p}": Place(("classifier.{p}",)),
}, re.compile(r"embeddings\.position_ids|vocab_projector\.weight"),
    {"vocab_projector.weight": "embeddings.word_embeddings.weight"}, ours="bert")

_GPT2 = Layout("transformer", {
    "embeddings.word_embeddings.weight": Place(("wte.weight",)),
    "embeddings.position_embeddings.weight": Place(("wpe.weight",)),
    "stack.blocks.{i}.attention_norm.{p}": Place(("h.{i}.ln_1.{p}",)),
    "stack.blocks.{i}.attention.qkv.{p}": Place(("h.{i}.attn.c_attn.{p}",), transposed=True),
    "stack.blocks.{i}.attention.output.{p}": Place(("h.{i}.attn.c_proj.{p}",), transposed=True),
    "stack.blocks.{i}.feed_forward_norm.{p}": Place(("h.{i}.ln_2.{p}",)),
    "stack.blocks.{i}.feed_forward.expand.{p}": Place(("h.{i}.mlp.c_fc.{p}",), transposed=True),
    "stack.blocks.{i}.feed_forward.output.{p}": Place(("h.{i}.mlp.c_proj.{p}",), transposed=True),
    "stack.final_norm.{p}": Place(("ln_f.{p}",)),
    "lm_head": Place(("lm_head.weight",)),  # untied
    "score.{p}": Place(("score.{p}",)),
}, re.compile(r"h\.\d+\.attn\.(bias|masked_bias)|lm_head\.weight"),
    {"lm_head.weight": "wte.weight"})



def _bart_stack(side: str) -> dict[str, Place]:
    """The names of the encoder, or of the decoder, whose blocks have cross-attention."""
    ours, theirs = f"{side}.stack.blocks.{{i}}.", f"{side}.layers.{{i}}."
    table = {f"{side}.embeddings.position_embeddings.weight":
             Place((f"{side}.embed_positions.weight",)),
             f"{side}.embeddings.norm.{{p}}": Place((f"{side}.layernorm_embedding.{{p}}",))}
    for name, there in (("attention", "self_attn"), ("cross_attention", "encoder_attn")):
        if side == "decoder" or name == "attention":
            table |= {ours + name + ".qkv.{p}": Place(tuple(
                          [f"{theirs}{there}.{part}_proj.{{p}}" for part in "qkv"])),
                      ours + name + ".output.{p}": Place((theirs + there + ".out_proj.{p}",)),
                      ours + name + "_norm.{p}": Place((theirs + there + "_layer_norm.{p}",))}
    return table | {ours + "feed_forward.expand.{p}": Place((theirs + "fc1.{p}",)),
                    ours + "feed_forward.output.{p}": Place((theirs + "fc2.{p}",)),
                    ours + "feed_forward_norm.{p}": Place((theirs + "final_layer_norm.{p}",))}


_BART = Layout("model", {
    "word_embeddings.weight": Place(("shared.weight",)),
    **_bart_stack("encoder"), **_bart_stack("decoder"),
    "final_logits_bias": Place(("final_logits_bias",)),
}, re.compile(r"(encoder|decoder)\.(embed_tokens\.weight|version)|lm_head\.weight"),
    {"encoder.embed_tokens.weight": "shared.weight",
     "decoder.embed_tokens.weight": "shared.weight", "lm_head.weight": "shared.weight"},
    stacks=("encoder.stack", "decoder.stack"), zeros=("final_logits_bias",))

LAYOUTS = {"bert": _BERT, "gpt2": _GPT2, "bart": _BART, "roberta": _ROBERTA,
           "distilbert": _DISTILBERT}


def layout_of(model_type: str) -> Layout:
    """The layout of a model type; those of our own variants (bert_norm_first) are the family's.
    Errors: InputError for another model."""
    family = model_type.split("_")[0] if isinstance(model_type, str) else model_type
    if family not in tuple(LAYOUTS):
        raise InputError(f"model_type {model_type!r:.60} is unknown: expected one of "
                         f"{', '.join(LAYOUTS)}")
    return LAYOUTS[family]


def place_of(model_type: str, name: str) -> Place:
    """The place of our parameter `name`, with full names: for a class with a head the names of
    the bare model carry the prefix, there as here. A parameter that is not in the table has our
    name in the files of our own variants. Errors: InputError for one in the files of Hugging
    Face's models."""
    layout = layout_of(model_type)
    bare = name.removeprefix(f"{layout.our_prefix}.")
    if bare in layout.table:
        place, number, ending = layout.table[bare], "", ""
    else:  # stack.blocks.3.attention_norm.bias stands there as stack.blocks.{i}.attention_norm.{p}
        number = next(iter(re.findall(r"\.(\d+)\.", bare)), "")
        module, _, ending = bare.rpartition(".")
        if number:
            module = module.replace(f".{number}.", ".{i}.", 1)
        place = layout.table.get(module + ".{p}")
    if place is None:
        if model_type in LAYOUTS:
            raise InputError(f"{name}: Hugging Face's model of type {model_type!r} has no such "
                             "parameter: give the config's field that adds it changes_model_type")
        return Place((name,))
    prefix = f"{layout.prefix}." if bare != name else ""
    return Place(tuple(prefix + text.format(i=number, p=ending) for text in place.names),
                 place.transposed)


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
    decoder = layout_of(model_type).decoder
    if f"{decoder}.decoder.weight" in theirs:
        # Where the decoder is not tied to the embedding, Hugging Face unties its bias, too: it adds
        # this one, and has no use for the other, which it keeps.
        theirs[f"{decoder}.decoder.bias"] = theirs[f"{decoder}.bias"]
    return theirs


def stored_layers(model_type: str, file: WeightFile) -> list[int]:
    """The number of layers of which the file has weights, of each stack of the layout."""
    layout, counts = layout_of(model_type), []
    for stack in layout.stacks:
        first = place_of(model_type, f"{stack}.blocks.0.attention_norm.weight").names[0]
        start, _, _ = first.partition("0")
        counts.append(len({match[1] for text in file if (match := re.match(
            re.escape(start) + r"(\d+)\.", _bare(layout, text)))}))
    return counts


class StoredWeights(Mapping):
    """The weights of a file by our names. Each is read at its access, and the memory of the one
    before is freed: a large model is never in memory twice."""

    def __init__(self, file: WeightFile, places: dict[str, Place]):
        """`places` with the names as they stand in the file."""
        self._file, self._places = file, places

    def __getitem__(self, name: str) -> np.ndarray:
        self._file.let_go()
        place = self._places[name]
        parts = [self._file[text] for text in place.names]
        array = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return array.T if place.transposed else array

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of an array, which is not read."""
        names, transposed = self._places[name]
        rows, *rest = [self._file.shape(text) for text in names]
        shape = (sum([rows[0], *[more[0] for more in rest]]), *rows[1:])
        return shape[::-1] if transposed else shape

    def dtype_names(self) -> set[str]:
        """The dtypes of all arrays, as the file calls them: {"F32"}."""
        return {self._file.dtype_name(text) for place in self._places.values()
                for text in place.names}


def our_arrays(model_type: str, names: list[str], file: WeightFile
               ) -> tuple[StoredWeights, list[str], list[str]]:
    """The weights of our parameters `names` in a file -> (arrays, missing names, unused names).

    The missing are among `names`, the unused among the file's without buffers and tied copies.
    Errors: InputError for weights that are stored twice or are no floats, and tied copies that
    differ.
    """
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
    bias = f"{layout.decoder}.decoder.bias"
    if "mlm_head.bias" in names and bias in stored \
            and ("mlm_head.decoder" in found or "mlm_head.bias" not in found):
        found["mlm_head.bias"] = Place((stored[bias],))  # tied: the bias's other name
    if _has_tied_head(layout, names):
        _check_tied(layout, stored, file)
    for place in found.values():
        _check_weights(file, place.names)
    missing = [name for name in names if name not in found and name not in layout.zeros]
    unused = [name for bare, name in stored.items()
              if bare not in used and not layout.nothing_new.fullmatch(bare)]
    return StoredWeights(file, found), missing, unused


def _has_tied_head(layout: Layout, names: list[str]) -> bool:
    """Whether parameters of these names are a model that predicts tokens with its embedding."""
    if layout is _BART:
        return True  # its encoder and its decoder share it, too
    is_gpt = all(name.startswith("transformer.") for name in names)
    return is_gpt or ("mlm_head.bias" in names and "mlm_head.decoder" not in names)


def _check_tied(layout: Layout, stored: Mapping[str, str], file: WeightFile) -> None:
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


def _check_weights(file: WeightFile, names: tuple[str, ...]) -> None:
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
    return re.sub(r"(LayerNorm\.)(gamma|beta)$", _norm_name, name)


def _norm_name(match: re.Match) -> str:
    return match[1] + {"gamma": "weight", "beta": "bias"}[match[2]]


def save_folder(folder: str | os.PathLike, config: dict, arrays: Mapping[str, np.ndarray]) -> None:
    """Write config.json and model.safetensors; other files in the folder stay as they are.

    `config` holds model_type; `arrays` are named as ours.
    """
    folder, theirs = Path(folder), hf_arrays(config["model_type"], arrays)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: name a folder to save the model in")
    folder.mkdir(parents=True, exist_ok=True)
    save_file(theirs, folder / "model.safetensors", {"format": "pt"})
    write_json(folder / "config.json", config, sort_keys=True, ensure_ascii=True)


def load_folder(folder: str | os.PathLike) -> tuple[dict, WeightFile]:
    """(config.json, the arrays under the names of the file). Errors: InputError for a folder, a
    file or a kind of model that cannot be read."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder: expected one with config.json and "
                         "model.safetensors")
    config = read_json(folder / "config.json")
    try:  # files of the first years have no model_type: the model's class says it
        layout_of(config["model_type"] if "model_type" in config else "bert")
    except InputError as error:
        raise InputError(f"{folder / 'config.json'}: {error}") from None
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
