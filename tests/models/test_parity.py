"""Every output and every gradient against Hugging Face's models, from files that they wrote.

The files were made by make_reference.py, in float64. What padding itself would see is not compared.
"""

import warnings
from pathlib import Path

import numpy as np
import pytest

import minibert as mb
from minibert.checkpoints.hugging_face import hf_arrays
from minibert.checkpoints.safetensors import load_file

REFERENCE = Path(__file__).parent / "reference"
FOLDERS = sorted(path.name for path in REFERENCE.iterdir())


def compare(what, ours, theirs):
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype == np.float64, what
    difference = abs(ours - theirs).max()
    if difference > 1e-10:
        pairs = [f"  {i}: {a:.12f} here, {b:.12f} there"
                 for i, (a, b) in enumerate(zip(ours.flat, theirs.flat)) if abs(a - b) > 1e-10]
        pytest.fail("\n".join([f"{what} differs by {difference}:"] + pairs[:5]))


def at_tokens(array, name, masks):
    """Only the rows of real tokens: (B, H, T, S) -> queries, (B, T, ...) -> tokens. Of an
    encoder-decoder `masks` has two."""
    mask = masks[0] if len(masks) == 1 or name.startswith("encoder") else masks[1]
    if name.endswith("attentions"):
        return np.moveaxis(array, 1, 2)[mask]
    return array[mask] if array.shape[:2] == mask.shape else array


def test_every_class_is_compared():
    classes = {name for name in vars(mb)
               if name.startswith(("Bert", "GPT2", "Bart", "Roberta", "DistilBert"))
               and hasattr(getattr(mb, name), "from_pretrained") and "Tokenizer" not in name}
    assert {name.partition("_")[0] for name in FOLDERS} == classes


@pytest.mark.parametrize("folder_name", FOLDERS)
def test_all_outputs_and_gradients(folder_name):
    folder, model_class = REFERENCE / folder_name, getattr(mb, folder_name.partition("_")[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing unused, nothing missing
        model = model_class.from_pretrained(folder)
    expected = load_file(folder / "expected.safetensors")
    inputs = {name.removeprefix("input."): array for name, array in expected.items()
              if name.startswith("input.")}
    upstream, pooled = inputs.pop("upstream", None), inputs.pop("upstream_pooler", None)
    output = model(**inputs, output_hidden_states=True, output_attentions=True)

    if upstream is not None:
        loss = (output.last_hidden_state * upstream).sum()
        loss = loss if pooled is None else loss + (output.pooler_output * pooled).sum()
    else:
        loss = output.loss
    compare("loss", loss.data, expected["output.loss"])

    masks = [inputs["attention_mask"]]
    if "Bart" in folder_name:
        masks.append(inputs.get("decoder_attention_mask", np.ones((3, 5))))
    masks = [mask.reshape(-1, mask.shape[-1]) == 1 for mask in masks]  # of several choices too
    compared = set()
    for key in [key for key in expected if key.startswith("output.") and key != "output.loss"]:
        _, name, *index = key.split(".")
        tensor = getattr(output, name)[int(index[0])] if index else getattr(output, name)
        compare(key, at_tokens(tensor.data, name, masks), at_tokens(expected[key], name, masks))
        compared.add(name)
    assert {"hidden_states", "attentions"} < {name.removeprefix("decoder_") for name in compared}
    returned = {name for name, value in vars(output).items() if value is not None}
    assert returned - {"loss"} == compared

    loss.backward()
    gradients = hf_arrays(model.config.model_type, {
        name: p.grad for name, p in model.named_parameters() if p.requires_grad})
    theirs = {key.removeprefix("grad."): array for key, array in expected.items()
              if key.startswith("grad.")}
    assert gradients.keys() == theirs.keys()
    for name, gradient in gradients.items():
        compare(f"gradient of {name}", gradient, theirs[name])
