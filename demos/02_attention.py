"""Demo 2: attention is a weighted look-up.

    python demos/02_attention.py

A dictionary returns the value of the one key that equals the query. Attention returns a weighted
mean of all values; a weight is large where its key matches (Vaswani et al. 2017, equation 1):

    attention(q, k, v) = softmax(q k^T / sqrt(D)) v
"""

import numpy as np

import minibert as mb


def shade(weight: float) -> str:
    """Returns a weight in [0, 1] as a grey square."""
    return " .:-=+*#%@"[min(9, int(weight * 10))] * 2


def main() -> None:
    words = ["the", "river", "bank", "was", "muddy"]
    # The three features of a key (D = 3): water, money, ambiguous noun
    keys = np.array([[0., 0., 0.], [1., 0., 0.], [0., 0., 1.], [0., 0., 0.], [.6, 0., 0.]])
    values = keys[:, :2]
    query = np.array([4., 4., 0.])  # of "bank": matches keys about water or money

    print("1. By hand: the query of 'bank' against the keys of all words.\n")
    scores = keys @ query / np.sqrt(3)
    weights = np.exp(scores) / np.exp(scores).sum()
    for word, score, weight in zip(words, scores, weights):
        print(f"   {word:6s} score {score:6.3f}   weight {weight:.3f} {shade(weight)}")
    answer = weights @ values
    print(f"\n   the output: water {answer[0]:.3f}, money {answer[1]:.3f}")

    print("\n2. By the engine: the same numbers, shapes (batch, heads, tokens, head width).\n")
    q, k, v = (mb.Tensor(a[None, None]) for a in (query[None], keys, values))
    by_engine = mb.functional.scaled_dot_product_attention(q, k, v).data[0, 0, 0]
    print(f"   the output: water {by_engine[0]:.3f}, money {by_engine[1]:.3f}")

    print("\n3. The weights of all queries, with random projections; every row sums to one.\n")
    rng = np.random.default_rng(1)
    x = rng.normal(size=(1, 1, 5, 8))
    q, k = (mb.Tensor(x @ rng.normal(size=(8, 4))) for _ in range(2))
    identity = mb.Tensor(np.eye(5))  # a mixture of its rows shows the weights
    table = mb.functional.scaled_dot_product_attention(q, k, identity).data[0, 0]
    print("   " + " " * 7 + "".join(f"{word:>7s}" for word in words))
    for word, row in zip(words, table):
        print(f"   {word:7s}" + "".join(f"{weight:7.2f}" for weight in row)
              + "   " + "".join(shade(weight) for weight in row))

    print("\n4. The order of keys and values does not matter: "
          "without positions, a text is a bag of words.\n")
    order = rng.permutation(5)
    shuffled = mb.functional.scaled_dot_product_attention(
        mb.Tensor(query[None, None, None]), mb.Tensor(keys[order][None, None]),
        mb.Tensor(values[order][None, None])).data[0, 0, 0]
    print(f"   keys and values as {[words[i] for i in order]}: "
          f"water {shuffled[0]:.3f}, money {shuffled[1]:.3f}")

    if not (np.allclose(answer, by_engine) and np.allclose(answer, shuffled)
            and np.allclose(table.sum(-1), 1)):
        raise SystemExit("the engine's look-up differs from the one by hand")
    print("\nClaim: the engine's attention equals the look-up by hand, in any order of the keys.")


if __name__ == "__main__":
    main()
