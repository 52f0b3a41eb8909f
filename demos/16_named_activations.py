"""Demo 16: every activation has a name, can be read, checked and changed; a head is cut out.

    python demos/16_named_activations.py

Trains a small GPT, reads a sentence with `run_with_cache` and recomputes one block by hand from the
named arrays. Then cuts out each head with a hook on `hook_z`, before the output matrix W_O, and
compares with a model in whose W_O the head's columns are zero. Names and axes are those of
TransformerLens.
"""

import argparse

import numpy as np
from toy_folders import toy_trainer

import minibert as mb

TEXT = "the old captain slowly rows her"


def shades(weights: np.ndarray) -> str:
    """Returns one character for each weight, darker for larger ones."""
    return "".join(" .:-=+*#%@"[min(int(10 * weight), 9)] for weight in weights)


def recomputed_block(cache: mb.ActivationCache, layer: int, bias: np.ndarray
                     ) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Returns (formula, the named array, the same by hand) for the steps of one block; bias: that
    of its W_O."""
    def named(name: str) -> np.ndarray:
        return cache[name, layer]

    q, k = named("q"), named("k")  # (B, T, H, D)
    qk = np.einsum("bthd,bshd->bhts", q, k) / np.sqrt(q.shape[-1])
    e = np.exp(named("attn_scores") - named("attn_scores").max(-1, keepdims=True))
    return [
        ("qk = q . k / sqrt(D)", named("qk"), qk),
        ("pattern = softmax(attn_scores)", named("pattern"), e / e.sum(-1, keepdims=True)),
        ("z = pattern v", named("z"), np.einsum("bhts,bshd->bthd", named("pattern"), named("v"))),
        ("attn_out = sum of the heads' results + b_O", named("attn_out"),
         named("result").sum(2) + bias),
        ("resid_mid = resid_pre + attn_out", named("resid_mid"),
         named("resid_pre") + named("attn_out")),
        ("resid_post = resid_mid + mlp_out", named("resid_post"),
         named("resid_mid") + named("mlp_out")),
    ]


def cut_heads(model, ids: np.ndarray) -> float:
    """Prints the change of the loss by each head, cut out by a hook. Returns the largest difference
    from the loss with zeros in W_O."""
    plain, worst = model(ids, labels=ids).loss.item(), 0.0
    print(f"\nHeld-out loss {plain:.4f} nats a token; change when a head is cut out (hook_z = 0):")
    D = model.config.n_embd // model.config.n_head
    for layer, block in enumerate(model.transformer.stack.blocks):
        for head in range(model.config.n_head):
            def cut(z: np.ndarray, name: str) -> np.ndarray:
                z = z.copy()  # (B, T, H, D); an activation itself is read-only
                z[:, :, head] = 0
                return z

            loss = model.run_with_hooks(
                ids, labels=ids, hooks=[(f"blocks.{layer}.attn.hook_z", cut)]).loss.item()
            weight = block.attention.output.weight  # (C, H D)
            kept = weight.data
            weight.data = np.where(np.arange(kept.shape[1]) // D == head, 0, kept)
            worst = max(worst, abs(loss - model(ids, labels=ids).loss.item()))
            weight.data = kept
            print(f"  layer {layer} head {head} {loss - plain:+.4f}")
    return worst


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=600, help="of training")
    options = parser.parse_args(argv)
    trainer = toy_trainer("gpt", options.steps)
    model, tokenizer = trainer.model, trainer.tokenizer
    names = mb.hook_names(model)
    print(f"\n{len(names)} named activations; those outside of the second block:\n")
    print("\n".join([line for line in str(names).splitlines() if "blocks.1." not in line]))

    ids = np.array([[tokenizer.sep_token_id, *tokenizer.encode(TEXT, add_special_tokens=False)]])
    outputs, cache = model.run_with_cache(ids, grads=True)
    tokens = tokenizer.convert_ids_to_tokens(ids[0])
    print(f"\nblocks.0.attn.hook_pattern, {cache.source(('pattern', 0))}: a row for each token "
          "that reads\n(query), a column for each that is read (key), in the tokens' order")
    for token, of_token in zip(tokens, cache["pattern", 0][0].swapaxes(0, 1)):
        print(f"  {token:8s}", "   ".join([f"head {head} |{shades(row)}|"
                                          for head, row in enumerate(of_token)]))

    print("\nblock 0 by hand, largest difference from the named array:")
    worst = 0.0
    bias = model.transformer.stack.blocks[0].attention.output.bias.data
    for formula, array, by_hand in recomputed_block(cache, 0, bias):
        worst = max(worst, abs(array - by_hand).max())
        print(f"  {formula:45s}{abs(array - by_hand).max():9.1e}")
    best = int(outputs.logits.data[0, -1].argmax())
    outputs.logits[0, -1, best].backward()
    lengths = np.linalg.norm(cache.grad("embed")[0], axis=-1)
    print(f"\nNext word: {tokenizer.convert_ids_to_tokens(best)!r}. Length of its logit's gradient "
          "by each word's vector:\n  "
          + "  ".join([f"{token} {length:.2f}" for token, length in zip(tokens, lengths)]))

    batch = next(iter(trainer.objective.held_out_batches()))
    worst = max(worst, cut_heads(model, batch.input_ids))
    if worst > 1e-5:
        raise SystemExit(f"the named numbers differ from those by hand by {worst:.1e}")
    print("\nClaim: every step of the block equals its formula over the named arrays, and a head "
          "cut out by a\nhook equals zeros in its columns of W_O (to 1e-5).")


if __name__ == "__main__":
    main()
