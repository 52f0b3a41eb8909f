"""Demo 18: where a word of two meanings turns: activation patching.

    python demos/18_where_a_word_turns.py

`bank` is in the river or in town. Two texts differ in two words before it, and a BERT reads both.
One activation at a time is taken from the text of the town and put into that of the river, and the
share of the difference that it brings along is measured: 0 is still the river's bank, 1 the town's.
The difference is logit(mill) - logit(market) in bank's own place: whether a river's place or a
town's would fit there. The toy world's oracle gives the exact probability of each meaning.
"""

import argparse

import numpy as np
from toy_folders import toy_trainer

import minibert as mb
from minibert.look.causes import target_value
from minibert.toy_world.grammar import TOPICS, ToyWorld
from minibert.toy_world.story_oracle import StoryOracle

RIVER, TOWN = "she slowly rows that boat .", "she slowly signs that note ."
AFTER = " the bank is [MASK] ."
SITES = ("resid_pre", "attn_out", "mlp_out")


def chance_of_river(sentence: str) -> float:
    """Returns p(the bank of the next sentence is in the river), exactly."""
    world = ToyWorld()
    groups = world.topic_groups()[world.starts]  # (N, topics)
    of_topic = StoryOracle(world).next_first_states([[sentence]])[0] @ groups  # (topics,)
    river, town = (of_topic[list(TOPICS).index(topic)] for topic in ("river", "town"))
    return float(river / (river + town))  # both topics say bank equally often


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1500, help="of training")
    options = parser.parse_args(argv)
    trainer = toy_trainer("bert", options.steps)
    model, tokenizer = trainer.model, trainer.tokenizer
    ids, other = (np.array([tokenizer(text + AFTER)["input_ids"]]) for text in (RIVER, TOWN))
    tokens = tokenizer.convert_ids_to_tokens(ids[0])
    bank, changed = tokens.index("bank"), np.flatnonzero(ids[0] != other[0])
    target = (bank, *tokenizer.convert_tokens_to_ids(["mill", "market"]))

    a, b = (target_value(model, text, target) for text in (ids, other))
    print("\nlogit(mill) - logit(market) at `bank`, and the oracle's p(river):")
    for value, sentence in ((a, RIVER), (b, TOWN)):
        print(f"  {value:6.2f}  {chance_of_river(sentence):6.1%}  {sentence}{AFTER}")

    values = mb.patch(model, ids, other, SITES, target=target)  # (sites, L, T)
    shares = np.round((values - a) / (b - a), 4) + 0.0  # no -0.00
    print("\nshare brought along, from each activation of the second text:\n" + " " * 22
          + "".join(f"{token[:7]:>8s}" for token in tokens))
    for layer in range(shares.shape[1]):
        for site, of_site in zip(SITES, shares):
            print(f"  blocks.{layer} {site:11s}"
                  + "".join(f"{share:8.2f}" for share in of_site[layer]))

    caches = [model.run_with_cache(text)[1] for text in (ids, other)]
    streams = [("resid_pre", 0), *[("normalized_resid_post", layer)
                                   for layer in range(shares.shape[1])]]
    print("\ncosine of the two vectors of `bank`:")
    for name, layer in streams:
        one, two = (cache[name, layer][0, bank] for cache in caches)
        cosine = one @ two / np.linalg.norm(one) / np.linalg.norm(two)
        print(f"  blocks.{layer} {name:22s}{cosine:6.2f}")

    last = shares.shape[1] - 1
    ends = mb.patch(model, ids, other, ["normalized_resid_post"], target=target)[0, last]
    elsewhere = np.arange(len(tokens)) != bank
    whole = mb.patch(model, ids, other, ["resid_pre"], target=target, positions=[changed])[0, 0, 0]
    if (values[0, 0, ~np.isin(np.arange(len(tokens)), changed)] != values[0, 0, bank]).any():
        raise SystemExit("a vector that is the same in both texts changed the target")
    if len(np.unique(ends[elsewhere])) > 1 or abs(ends[bank] - b) > 1e-4:
        raise SystemExit("after the last block something else than `bank` decides")
    if abs(whole - b) > 1e-4:
        raise SystemExit("the changed words do not carry the whole difference")
    carriers = [(site, shares[i, layer, bank], layer) for layer in range(last + 1)
                for i, site in enumerate(SITES) if site == "attn_out"]
    site, share, layer = max(carriers, key=lambda carrier: abs(carrier[1]))
    print(f"\nClaim: `bank` enters both texts as one vector (share exactly 0) and leaves the last "
          f"block as two\n(share 1.00); the words {tokens[changed[0]]!r} and "
          f"{tokens[changed[1]]!r} carry all of it before block 0. Of what\nattention brings to "
          f"`bank`, block {layer} has the largest share, {share:.2f}.")


if __name__ == "__main__":
    main()
