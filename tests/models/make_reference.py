"""Make the reference files beside this script with PyTorch and Hugging Face's transformers.

    python tests/models/make_reference.py

For each class: the folder that Hugging Face's `save_pretrained` writes, in float64, and
expected.safetensors with the inputs, every output, the loss and the gradient of every parameter.
Weights are N(0, 0.5^2), biases and layer norms random too; the batch has padding, segments, and
labels of -100. BERT's first tokens are never padding: its pooler reads them, and Hugging Face's
embedding has no gradient at the padding id. The losses are taken from the float64 logits, since
some of Hugging Face's own cast them to float32. Made with torch 2.13 and transformers 5.23; the
tests need neither.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import save_file

HERE = Path(__file__).parent / "reference"
B, T, V, C = 3, 7, 17, 12
MASKS = {"Bert": torch.tensor([[1] * 7, [1, 1, 1, 1, 0, 0, 0], [1, 1, 0, 0, 1, 1, 1]]),
         "GPT2": torch.tensor([[1] * 7, [1, 1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 1, 1]])}

BERT = dict(vocab_size=V, hidden_size=C, num_hidden_layers=2, num_attention_heads=3,
            intermediate_size=10, max_position_embeddings=9)
GPT2 = dict(vocab_size=V, n_embd=C, n_layer=2, n_head=3, n_positions=9, n_inner=10, bos_token_id=1,
            eos_token_id=1)


def make(name, config, with_labels):
    """Build the class `name`, save it, and store what it computes."""
    torch.manual_seed(sum(map(ord, name)))
    config._attn_implementation = "eager"
    model = getattr(transformers, name)(config).double().eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            is_scale = key.lower().endswith("norm.weight") or "ln_" in key and "weight" in key
            parameter.normal_(1.0 if is_scale else 0.0, 0.5)
    mask = MASKS[name[:4]]
    inputs = {"input_ids": torch.randint(1, V, (B, T)) * mask, "attention_mask": mask}
    if name.startswith("Bert"):
        inputs["token_type_ids"] = torch.randint(0, 2, (B, T))
    if name in ("BertForMaskedLM", "GPT2Model"):
        inputs["position_ids"] = torch.randint(0, 9, (B, T))
    output = model(**inputs, output_hidden_states=True, output_attentions=True)
    labels = {key: label(mask) for key, label in with_labels.items()}
    loss = loss_of(name, output, labels)
    loss.backward()
    expected = {f"input.{key}": value for key, value in (inputs | labels).items()}
    expected["output.loss"] = loss
    for key, value in output.items():
        if isinstance(value, torch.Tensor):
            expected[f"output.{key}"] = value
        elif key in ("hidden_states", "attentions"):
            expected.update((f"output.{key}.{i}", part) for i, part in enumerate(value))
    expected.update((f"grad.{key}", parameter.grad) for key, parameter in model.named_parameters())
    model.save_pretrained(HERE / name)
    (HERE / name / "generation_config.json").unlink(missing_ok=True)
    save_file({key: value.detach().clone().contiguous() for key, value in expected.items()},
              HERE / name / "expected.safetensors")


def words(mask):
    """Labels (B, T) with -100 at half of the tokens, at all padding and right after it."""
    chosen = (torch.rand(B, T) < 0.5) & (mask == 1)
    chosen[:, 1:] &= mask[:, :-1] == 1
    return torch.where(chosen, torch.randint(0, V, (B, T)), -100)


def pairs(mask):
    """Labels (B,)."""
    return torch.randint(0, 2, (B,))


def weights(mask):
    """What a bare model's last hidden state is weighed with, zero at padding."""
    return torch.randn(B, T, C, dtype=torch.float64) * mask[..., None]


def pooled_weights(mask):
    return torch.randn(B, C, dtype=torch.float64)


def loss_of(name, output, labels):
    if name in ("BertModel", "GPT2Model"):
        loss = (output.last_hidden_state * labels["upstream"]).sum()
        if name == "BertModel":
            loss = loss + (output.pooler_output * labels["upstream_pooler"]).sum()
        return loss
    if name == "BertForPreTraining":
        return (F.cross_entropy(output.prediction_logits.flatten(0, 1), labels["labels"].flatten())
                + F.cross_entropy(output.seq_relationship_logits, labels["next_sentence_label"]))
    if name == "BertForNextSentencePrediction":
        return F.cross_entropy(output.logits, labels["labels"])
    if name == "GPT2LMHeadModel":
        return F.cross_entropy(output.logits[:, :-1].flatten(0, 1),
                               labels["labels"][:, 1:].flatten())
    return F.cross_entropy(output.logits.flatten(0, 1), labels["labels"].flatten())


if __name__ == "__main__":
    bert, gpt2 = transformers.BertConfig, transformers.GPT2Config
    make("BertModel", bert(**BERT), {"upstream": weights, "upstream_pooler": pooled_weights})
    make("BertForPreTraining", bert(**BERT), {"labels": words, "next_sentence_label": pairs})
    make("BertForMaskedLM", bert(**BERT), {"labels": words})
    make("BertForNextSentencePrediction", bert(**BERT, hidden_act="gelu_new"), {"labels": pairs})
    make("GPT2Model", gpt2(**GPT2), {"upstream": weights})
    make("GPT2LMHeadModel", gpt2(**GPT2), {"labels": words})
