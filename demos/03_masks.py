"""Demo 3: attention masks: bidirectional, causal, prefix; and why BERT needs [MASK].

    python demos/03_masks.py

Runs one block with three masks. The gradient of the output at one position with respect to the
input at another is zero exactly where the mask forbids attention.
"""

import numpy as np

import minibert as mb
from minibert.autograd import attention_masks as masks
from minibert.nn.block import AttentionInputs, BlockConfig, TransformerBlock

WORDS = "the river bank was muddy".split()
C = 8


def influence(block, mask) -> np.ndarray:
    """Returns (T, T): the size of the gradient of output t with respect to input s."""
    T = len(WORDS)
    rng = np.random.default_rng(1)
    table = np.zeros((T, T))
    for t in range(T):
        x = mb.Tensor(rng.normal(size=(1, T, C)), requires_grad=True)
        upstream = np.zeros((1, T, C))
        upstream[0, t] = rng.normal(size=C)
        block(x, AttentionInputs(attn_mask=mask)).backward(upstream)
        table[t] = np.abs(x.grad[0]).sum(-1)
    return table


def show(table: np.ndarray) -> None:
    print(" " * 9 + "".join(f"{word:>8s}" for word in WORDS))
    for word, row in zip(WORDS, table):
        print(f"   {word:6s}" + "".join(f"{value:8.3f}" if value else "       0" for value in row))


def main() -> None:
    block = TransformerBlock(BlockConfig(hidden_size=C, num_heads=2, intermediate_size=16,
                                         layer_norm_eps=1e-12)).double()
    rng = np.random.default_rng(0)
    for parameter in block.parameters():
        parameter.data = rng.normal(scale=0.5, size=parameter.shape)
    T = len(WORDS)
    bidirectional = masks.padding_mask(np.ones((1, T)))
    causal = masks.causal_mask(np.arange(T), np.arange(T))
    prefix = masks.prefix_mask([2], T)

    for name, mask in (("bidirectional, as BERT reads", bidirectional),
                       ("causal, as GPT reads", causal),
                       ("prefix: the first two words are read in both directions", prefix)):
        print(f"{name} (row = query, # = may attend):\n")
        print(masks.format_mask(np.broadcast_to(mask, (1, 1, T, T)), WORDS))
        print("\n   size of the gradients, row = output, column = input:\n")
        table = influence(block, mask)
        show(table)
        print()
        if not np.array_equal(table > 0, np.broadcast_to(mask, (1, 1, T, T))[0, 0]):
            raise SystemExit("a gradient is not zero where the mask forbids it")

    both, left = influence(block, bidirectional), influence(block, causal)
    print("Look at the diagonal: a word to be predicted must not be among the inputs.")
    print(f"  GPT predicts word t+1 at position t, where the gradient of word t+1 is "
          f"{max(left[t, t + 1] for t in range(T - 1)):.0f}:\n"
          "  every position is a training example.")
    print("  BERT's position t reads word t itself "
          f"(gradient {min(both[t, t] for t in range(T)):.3f} and more):\n"
          "  its prediction of word t would be a copy.")
    print("  So BERT reads [MASK] in place of the word, and the loss counts only those positions "
          "(15 %).")

    print("\nClaim: gradients are exactly zero where the mask forbids attention, and nowhere else.")


if __name__ == "__main__":
    main()
