"""Make the reference files beside this script with PyTorch and Hugging Face's transformers.

    python tests/models/make_reference.py

For each class: the folder that Hugging Face's `save_pretrained` writes, in float64, and
expected.safetensors with the inputs, every output, the loss and the gradient of every parameter.
Weights are N(0, 0.5^2), biases and layer norms random too; the batch has padding, segments, and
labels of -100. In question answering padding is scored, too (as the end of an answer), and a token
that attention sees has the padding id: its word embedding gets no gradient. The losses are Hugging
Face's own for the tasks of fine-tuning; those of pre-training are taken from the float64 logits,
since some of Hugging Face's cast them to float32. Made with torch 2.13 and transformers 5.23; the
tests need neither.

    python tests/models/make_reference.py Question

makes only the folders that have the word in their names.
"""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import save_file

HERE = Path(__file__).parent / "reference"
B, T, V, C = 3, 7, 17, 12
WITH_A_HOLE = torch.tensor([[1] * 7, [1, 1, 1, 1, 0, 0, 0], [1, 1, 0, 0, 1, 1, 1]])
MASKS = {"Bert": WITH_A_HOLE, "Robe": WITH_A_HOLE, "Dist": WITH_A_HOLE,
         "Bart": torch.tensor([[1] * 7, [1, 1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 1, 0]]),
         "GPT2": torch.tensor([[1] * 7, [1, 1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 1, 1]])}

BERT = dict(vocab_size=V, hidden_size=C, num_hidden_layers=2, num_attention_heads=3,
            intermediate_size=10, max_position_embeddings=9)
GPT2 = dict(vocab_size=V, n_embd=C, n_layer=2, n_head=3, n_positions=9, n_inner=10, bos_token_id=1,
            eos_token_id=1)
ROBERTA = BERT | dict(type_vocab_size=1)  # padding is 1: positions 2 to 8
DISTILBERT = dict(vocab_size=V, dim=C, n_layers=2, n_heads=3, hidden_dim=10,
                  max_position_embeddings=9)
BART = dict(vocab_size=V, d_model=C, encoder_layers=2, encoder_attention_heads=3,
            encoder_ffn_dim=10, decoder_ffn_dim=11, max_position_embeddings=9, dropout=0.1)


def make(folder, config, with_labels):
    """Build the class that the folder's name begins with, save it, and store what it computes."""
    if len(sys.argv) > 1 and sys.argv[1] not in folder:
        return
    name = folder.partition("_")[0]
    torch.manual_seed(sum(map(ord, folder)))
    config._attn_implementation = "eager"
    model = getattr(transformers, name)(config).double().eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            is_scale = key.lower().endswith("norm.weight") or "ln_" in key and "weight" in key
            parameter.normal_(1.0 if is_scale else 0.0, 0.5)
        for _, buffer in model.named_buffers():
            if buffer.is_floating_point():  # final_logits_bias
                buffer.normal_(0.0, 0.5)
    mask = MASKS[name[:4]]
    inputs = {"input_ids": torch.randint(1, V, (B, T)), "attention_mask": mask}
    inputs["input_ids"] *= mask
    if name.startswith("Roberta"):  # where its padding is, the positions do not count
        inputs["input_ids"] = torch.where(mask == 1, inputs["input_ids"].clamp(2), 1)
    if name == "BartModel":  # its decoder reads the ids of the encoder, shifted to the right
        inputs["decoder_attention_mask"] = mask
    if name == "BertForQuestionAnswering":
        inputs["input_ids"][0, 2] = 0
    if name.startswith("Bert"):
        inputs["token_type_ids"] = torch.randint(0, 2, (B, T))
    if name in ("BertForMaskedLM", "GPT2Model"):
        inputs["position_ids"] = torch.randint(0, 9, (B, T))
    if name.endswith("ForMultipleChoice"):  # each question with its two choices, (B, 2, T)
        more = {key: value.flip(0) for key, value in inputs.items()}
        more["input_ids"] = more["input_ids"] * torch.randint(1, 3, (B, T)) % V
        inputs = {key: torch.stack([value, more[key]], 1)[..., :5] for key, value in inputs.items()}
    model.save_pretrained(HERE / folder)  # before its forward writes down a problem_type
    labels = {key: label(mask) for key, label in with_labels.items()}
    if name == "BartForConditionalGeneration":
        inputs["decoder_input_ids"] = model.prepare_decoder_input_ids_from_labels(labels["labels"])
    output = model(**inputs, output_hidden_states=True, output_attentions=True)
    inputs.pop("decoder_input_ids", None)  # they follow from the labels
    loss = loss_of(model, inputs, output, labels)
    loss.backward()
    expected = {f"input.{key}": value for key, value in (inputs | labels).items()}
    expected["output.loss"] = loss
    for key, value in output.items():
        if isinstance(value, torch.Tensor):
            expected[f"output.{key}"] = value
        elif isinstance(value, tuple):
            expected.update((f"output.{key}.{i}", part) for i, part in enumerate(value))
    expected.update((f"grad.{key}", parameter.grad) for key, parameter in model.named_parameters())
    (HERE / folder / "generation_config.json").unlink(missing_ok=True)
    save_file({key: value.detach().clone().contiguous() for key, value in expected.items()},
              HERE / folder / "expected.safetensors")


def words(mask):
    """Labels (B, T) with -100 at half of the tokens, at all padding and right after it."""
    chosen = (torch.rand(B, T) < 0.5) & (mask == 1)
    chosen[:, 1:] &= mask[:, :-1] == 1
    return torch.where(chosen, torch.randint(0, V, (B, T)), -100)


def targets(mask):
    """Labels (B, 5) of a decoder."""
    return words(mask)[:, :5]


def pairs(mask):
    """Labels (B,)."""
    return torch.randint(0, 2, (B,))


def classes(mask):
    return torch.tensor([2, 0, 2])


def numbers(mask):
    return torch.randn(B, dtype=torch.float64)


def several(mask):
    return torch.tensor([[1, 0, 1, 1], [0, 0, 0, 1], [0, 1, 1, 0]], dtype=torch.float64)


def starts(mask):
    """One answer inside, one that begins beyond the window, one question without an answer."""
    return torch.tensor([2, 9, 0])


def ends(mask):
    return torch.tensor([4, 12, 0])


def weights(mask):
    """What a bare model's last hidden state is weighed with, zero at padding."""
    return torch.randn(B, T, C, dtype=torch.float64) * mask[..., None]


def pooled_weights(mask):
    return torch.randn(B, C, dtype=torch.float64)


def loss_of(model, inputs, output, labels):
    name = type(model).__name__
    if name.endswith("Model") and "LM" not in name:
        loss = (output.last_hidden_state * labels["upstream"]).sum()
        if "upstream_pooler" in labels:
            loss = loss + (output.pooler_output * labels["upstream_pooler"]).sum()
        return loss
    if name == "BertForPreTraining":
        return (F.cross_entropy(output.prediction_logits.flatten(0, 1), labels["labels"].flatten())
                + F.cross_entropy(output.seq_relationship_logits, labels["next_sentence_label"]))
    if name == "BertForNextSentencePrediction":
        return F.cross_entropy(output.logits, labels["labels"])
    if name.endswith(("ForMaskedLM", "ForConditionalGeneration")):
        return F.cross_entropy(output.logits.flatten(0, 1), labels["labels"].flatten())
    if name == "GPT2LMHeadModel":
        return F.cross_entropy(output.logits[:, :-1].flatten(0, 1),
                               labels["labels"][:, 1:].flatten())
    loss = model(**inputs, **labels).loss
    assert loss.dtype == torch.float64
    return loss


if __name__ == "__main__":
    bert, gpt2, bart = transformers.BertConfig, transformers.GPT2Config, transformers.BartConfig
    make("BertModel", bert(**BERT), {"upstream": weights, "upstream_pooler": pooled_weights})
    make("BertForPreTraining", bert(**BERT), {"labels": words, "next_sentence_label": pairs})
    make("BertForMaskedLM", bert(**BERT), {"labels": words})
    make("BertForNextSentencePrediction", bert(**BERT, hidden_act="gelu_new"), {"labels": pairs})
    make("GPT2Model", gpt2(**GPT2), {"upstream": weights})
    make("GPT2LMHeadModel", gpt2(**GPT2), {"labels": words})

    make("BertForSequenceClassification",
         bert(**BERT, id2label={0: "no", 1: "maybe", 2: "yes"},
              label2id={"no": 0, "maybe": 1, "yes": 2}, classifier_dropout=0.3),
         {"labels": classes})
    make("BertForSequenceClassification_regression", bert(**BERT, num_labels=1),
         {"labels": numbers})
    make("BertForSequenceClassification_several", bert(**BERT, num_labels=4), {"labels": several})
    make("BertForMultipleChoice", bert(**BERT), {"labels": pairs})
    make("BertForTokenClassification", bert(**BERT, num_labels=V), {"labels": words})
    make("BertForQuestionAnswering", bert(**BERT),
         {"start_positions": starts, "end_positions": ends})
    make("GPT2ForSequenceClassification", gpt2(**GPT2, num_labels=3, pad_token_id=0),
         {"labels": classes})

    roberta, distilbert = transformers.RobertaConfig, transformers.DistilBertConfig
    for family, config in (("Roberta", roberta(**ROBERTA)), ("DistilBert",
                                                             distilbert(**DISTILBERT))):
        more = {"upstream_pooler": pooled_weights} if family == "Roberta" else {}
        make(f"{family}Model", config, {"upstream": weights} | more)
        make(f"{family}ForMultipleChoice", config, {"labels": pairs})
        make(f"{family}ForQuestionAnswering", config,
             {"start_positions": starts, "end_positions": ends})
    make("RobertaForMaskedLM", roberta(**ROBERTA, hidden_act="relu"), {"labels": words})
    make("RobertaForSequenceClassification", roberta(**ROBERTA, num_labels=3),
         {"labels": classes})
    make("RobertaForTokenClassification", roberta(**ROBERTA, num_labels=V), {"labels": words})
    make("DistilBertForMaskedLM", distilbert(**DISTILBERT, activation="relu"), {"labels": words})
    make("DistilBertForSequenceClassification", distilbert(**DISTILBERT, num_labels=3),
         {"labels": classes})
    make("DistilBertForTokenClassification", distilbert(**DISTILBERT, num_labels=V),
         {"labels": words})

    make("BartModel", bart(**BART, decoder_layers=1, decoder_attention_heads=2),
         {"upstream": weights})
    make("BartForConditionalGeneration",
         bart(**BART, decoder_layers=2, decoder_attention_heads=4, scale_embedding=True,
              activation_function="relu"), {"labels": targets})
