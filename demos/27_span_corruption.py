"""Demo 27: span corruption, T5's objective, and gaps filled beside the exact answer.

    python demos/27_span_corruption.py

Spans of a text are replaced by sentinels, and an encoder-decoder writes each sentinel with the
tokens it stands for. A span of one word is a gap, and a gap of the toy world has an exact answer:
the distance of the model's distribution to it is measured in nats.
"""

import argparse

import numpy as np

from minibert.cli.build_trainer import make_trainer
from minibert.cli.pretrain_options import resolved
from minibert.data.corpora import toy_corpus
from minibert.data.ngram_baselines import unigram_log_p
from minibert.pretraining.span_corruption import gap_log_p
from minibert.toy_world.grammar import ToyWorld
from minibert.toy_world.oracle import Oracle

TOP = 3


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2500, help="of training")
    parser.add_argument("--gaps", type=int, default=300, help="held-out gaps that are measured")
    parser.add_argument("--documents", type=int, default=10_000, help="to train on")
    arguments = parser.parse_args(argv)

    corpus = toy_corpus(arguments.documents, max(arguments.documents // 10, 20))
    trainer = make_trainer(resolved("bart", {"steps": arguments.steps, "workers": 1}), corpus)
    objective, tokenizer, model = trainer.objective, trainer.tokenizer, trainer.model
    print("Texts with sentinels, and their targets:\n")
    for example in objective.first_examples(3):
        print(f"  {example}")

    rows = whole_sentences(tokenizer, corpus.held_out_documents, arguments.gaps)
    rng = np.random.default_rng(0)
    oracle, answers = Oracle(ToyWorld(), tokenizer), []
    for ids in rows:
        place = rng.integers(1, len(ids) - 1)
        _, both = oracle.gap_distributions(ids[None])
        answers.append((ids, place, np.log(np.maximum(both[0, place], 1e-300))))

    before = distance(model, tokenizer, objective, answers)
    print(f"\n{arguments.steps} steps of training ...", flush=True)
    for _ in range(arguments.steps):
        trainer.step()
    model.eval()
    after = distance(model, tokenizer, objective, answers)

    print("\nHeld-out spans, filled greedily:\n")
    for line in trainer.samples(model):
        print(f"  {line}")
    print("\nGaps of one word: the likeliest words of the model, and of the oracle\n")
    for ids, place, best in answers[:4]:
        found = gaps_of(model, tokenizer, objective, [(ids, place)])[0]
        tokens = tokenizer.convert_ids_to_tokens(ids.tolist())
        print("  " + " ".join([*tokens[1:place], "____", *tokens[place + 1:-1]]))
        for name, log_p in (("model ", found), ("oracle", best)):
            print(f"    {name} " + ", ".join([
                f"{tokenizer.convert_ids_to_tokens(int(w))} {np.exp(log_p[w]):.0%}"
                for w in np.argsort(-log_p)[:TOP]]))
    counted = np.mean([best[ids[place]] - unigram[ids[place]]
                       for unigram in [unigram_log_p(objective.train.ids, tokenizer.vocab_size)]
                       for ids, place, best in answers])
    print(f"\nNats above the oracle, {len(answers)} gaps: {before:.2f} untrained, {counted:.2f} "
          f"counting words, {after:.2f} trained")
    if not after < counted:
        raise SystemExit("the trained model is no better than counting words")
    print("\nClaim: trained on spans, the encoder-decoder fills a gap of one word better than "
          "counting words, and stays\nabove the oracle. The story: T5 turned every text task into "
          "text in, text out, pre-trained on spans.")


if __name__ == "__main__":
    main()
