"""Demo 17: the logit lens: the predictions of a BERT and a GPT after each half of a layer.

    python demos/17_logit_lens.py

The stream before block 0, after each attention and after each MLP is read by the model's own head.
The lens is raw: the head was trained on the last layer alone. A GPT has the same word vectors for
input and output, so its first row repeats the input; a BERT's first row at [MASK] depends on the
position alone, not on the sentence.
"""

import argparse

import numpy as np
from toy_folders import toy_trainer

import minibert as mb

GPT_TEXT = "the old captain slowly rows her"
BERT_TEXT = "the captain slowly rows the [MASK] near the muddy bank ."
WINDOWS = 8


def places(model) -> list[str]:
    """Returns the names of the lens's rows."""
    layers = range(model.config.num_hidden_layers)
    return ["before block 0", *[f"after {part} {layer}" for layer in layers
                                for part in ("attention", "MLP")]]


def show(model, tokenizer, ids: np.ndarray, position: int) -> bool:
    """Prints the likeliest word at each place, and for `position` the final winner's probability.
    Returns whether the last row is the model's logits, to the bit."""
    outputs, cache = model.run_with_cache(ids)
    logits = getattr(outputs, "prediction_logits", getattr(outputs, "logits", None)).data[0]
    lens = mb.logit_lens(model, cache)  # (2 L + 1, T, V)
    winner = int(logits[position].argmax())
    tokens = tokenizer.convert_ids_to_tokens(ids[0])
    word = tokenizer.convert_ids_to_tokens(winner)
    print(f"{'':18s}" + "".join(f"{token[:9]:10s}" for token in tokens) + f"p({word})")
    for name, row in zip(places(model), lens):
        best = tokenizer.convert_ids_to_tokens(row.argmax(-1))
        p = np.exp(row[position] - row[position].max())
        print(f"{name:18s}" + "".join(f"{token[:9]:10s}" for token in best)
              + f"{p[winner] / p.sum():6.1%}")
    return np.array_equal(lens[-1], logits)


def losses(model, inputs: dict, positions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the loss of each place of the lens: (2 L + 1,). positions, flat indices into (B, T),
    and labels (M,)."""
    B, T = inputs["input_ids"].shape
    _, cache = model.run_with_cache(**inputs)
    rows = [mb.logit_lens(model, cache, row) for row in range(B)]
    flat = np.concatenate(rows, axis=1)[:, positions]  # (2 L + 1, M, V)
    return np.array([mb.functional.cross_entropy(row, labels).item() for row in flat])


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1600, help="of BERT; GPT takes a quarter")
    options = parser.parse_args(argv)
    gpt = toy_trainer("gpt", options.steps // 4)
    bert = toy_trainer("bert", options.steps)

    print("\nGPT: below each word, the likeliest next word at each place")
    ids = gpt.tokenizer.encode(GPT_TEXT, add_special_tokens=False)
    ids = np.array([[gpt.tokenizer.sep_token_id, *ids]])
    equal = show(gpt.model, gpt.tokenizer, ids, ids.shape[1] - 1)
    print("\nBERT: below each word, the likeliest word in its own place")
    ids = np.array([bert.tokenizer(BERT_TEXT)["input_ids"]])
    equal &= show(bert.model, bert.tokenizer, ids,
                  int(np.argmax(ids[0] == bert.tokenizer.mask_token_id)))

    following = next(iter(gpt.objective.held_out_batches()))
    ids, targets = following.input_ids[:WINDOWS], following.targets[:WINDOWS].ravel()
    valid = np.flatnonzero(targets >= 0)
    of_gpt = losses(gpt.model, {"input_ids": ids}, valid, targets[valid])
    masked = next(iter(bert.objective.held_out_batches()))
    rows = masked.masked_positions < WINDOWS * masked.input_ids.shape[1]
    of_bert = losses(bert.model, {name: getattr(masked, name)[:WINDOWS] for name in (
        "input_ids", "token_type_ids", "attention_mask")},
        masked.masked_positions[rows], masked.masked_labels[rows])
    print(f"\nheld-out loss, nats   GPT  BERT ({len(valid)} words, {rows.sum()} masked words)")
    for name, a, b in zip(places(gpt.model), of_gpt, of_bert):
        print(f"{name:18s}{a:7.2f}{b:6.2f}")
    if not equal:
        raise SystemExit("the lens's last row is not the model's logits")
    if of_gpt[-1] >= of_gpt[0] or of_bert[-1] >= of_bert[0]:
        raise SystemExit("the last place predicts held-out words no better than the first")
    print("\nClaim: the lens's last row is the model's logits to the bit, and predicts held-out "
          "words better than\nthe first row, in both models.")


if __name__ == "__main__":
    main()
