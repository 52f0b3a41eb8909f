"""Make hooks_reference.npz beside this script: the activations that TransformerLens sees.

    python tests/models/make_hooks_reference.py

The models are those of reference/BertForPreTraining and reference/GPT2LMHeadModel, loaded into
TransformerLens as its `from_pretrained_no_processing` does (weights neither folded nor centred), in
float64. "<class>/input.<name>" are the inputs, "<class>/<activation>" the activations, and
"<class>/grad.<activation>" the gradients of the sum of the squared logits. Made with
TransformerLens 2.18, torch 2.13 and transformers 5.24; the tests need none of them.
"""

from pathlib import Path

import numpy as np
import torch
import transformers
from transformer_lens import HookedEncoder, HookedTransformer, HookedTransformerConfig
from transformer_lens.pretrained.weight_conversions import (convert_bert_weights,
                                                            convert_gpt2_weights)

HERE = Path(__file__).parent
SIZES = dict(n_layers=2, d_model=12, n_heads=3, d_head=4, d_mlp=10, n_ctx=9, d_vocab=17,
             normalization_type="LN", dtype=torch.float64, use_attn_result=True)
rng = np.random.default_rng(0)


def load(folder):
    model_class = getattr(transformers, folder)
    return model_class.from_pretrained(HERE / "reference" / folder, dtype=torch.float64).eval()


def watched(model, run, inputs):
    """The activations of run() and their gradients. TransformerLens computes GPT-2's first layer
    norm three times, for queries, keys and values: the sum of its gradients."""
    kept = {}

    def keep(tensor, hook):
        tensor.retain_grad()
        kept.setdefault(hook.name, []).append(tensor)

    with model.hooks(fwd_hooks=[(lambda name: True, keep)]):
        logits = run()
    (logits**2).sum().backward()
    found = {f"input.{name}": array for name, array in inputs.items()}
    found["logits"] = logits.detach().numpy()
    for name, tensors in kept.items():
        found[name] = tensors[0].detach().numpy()
        gradients = [tensor.grad.numpy() for tensor in tensors if tensor.grad is not None]
        if gradients:
            found[f"grad.{name}"] = sum(gradients)
    return found


def gpt2():
    hf = load("GPT2LMHeadModel")
    config = HookedTransformerConfig(**SIZES, act_fn="gelu_new", attention_dir="causal",
                                     eps=hf.config.layer_norm_epsilon)
    model = HookedTransformer(config)
    model.load_and_process_state_dict(
        convert_gpt2_weights(hf, config) | {"unembed.W_U": hf.lm_head.weight.T}, fold_ln=False,
        center_writing_weights=False, center_unembed=False, fold_value_biases=False)
    ids = rng.integers(0, 17, (2, 5))
    return watched(model, lambda: model(torch.tensor(ids)), {"input_ids": ids})


def bert():
    hf = load("BertForPreTraining")
    config = HookedTransformerConfig(**SIZES, act_fn="gelu", attention_dir="bidirectional",
                                     eps=hf.config.layer_norm_eps)
    model = HookedEncoder(config)
    model.load_state_dict(convert_bert_weights(hf, config), strict=False)
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]])
    inputs = {"input_ids": rng.integers(1, 17, (2, 5)) * mask, "attention_mask": mask,
              "token_type_ids": rng.integers(0, 2, (2, 5))}
    tensors = {name: torch.tensor(array) for name, array in inputs.items()}

    def run():
        return model(tensors["input_ids"], token_type_ids=tensors["token_type_ids"],
                     one_zero_attention_mask=tensors["attention_mask"])

    return watched(model, run, inputs)


arrays = {f"{name}/{key}": array for name, make in (("GPT2LMHeadModel", gpt2),
                                                    ("BertForPreTraining", bert))
          for key, array in make().items()}
np.savez_compressed(HERE / "hooks_reference.npz", **arrays)
for name, array in arrays.items():
    if "/grad." not in name:
        print(name, array.shape, array.dtype)
