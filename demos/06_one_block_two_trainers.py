"""Demo 6: one block, two trainers, and the best possible loss.

    python demos/06_one_block_two_trainers.py

Trains a BERT and a GPT of the same size on text from the toy world. The world is a hidden Markov
model, so the best possible prediction at every position can be computed exactly (the oracle), and
the distance of each model to it is measured token by token.
"""

import argparse

import numpy as np

from minibert.autograd.fused.threads import set_blas_threads
from minibert.cli.build_trainer import make_trainer
from minibert.cli.fill_mask import fill_mask
from minibert.cli.next_sentence import next_sentence_probability
from minibert.cli.oracle_report import against_oracle, baselines
from minibert.cli.pretrain_options import resolved
from minibert.data.corpora import toy_corpus
from minibert.nn.block import TransformerBlock
from minibert.toy_world.grammar import ToyWorld
from minibert.toy_world.oracle import Oracle
from minibert.training.machine import keep_freed_memory
from minibert.training.report import Report


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2400, help="of BERT; GPT takes a quarter")
    parser.add_argument("--held-out", type=int, default=300, help="documents of the evaluation")
    arguments = parser.parse_args(argv)
    keep_freed_memory()
    set_blas_threads(1)  # at this size a second thread costs time

    corpus = toy_corpus(n_held_out=arguments.held_out)
    trainers = {}
    for which, steps in (("bert", arguments.steps), ("gpt", arguments.steps // 4)):
        recipe = resolved(which, {"corpus": "toy", "steps": steps, "eval_every": 0})
        trainers[which] = make_trainer(recipe, corpus, Report())
    bert, masked = trainers["bert"].model, trainers["bert"].objective
    following = trainers["gpt"].objective
    blocks = [module for trainer in trainers.values() for module in trainer.model.modules()
              if isinstance(module, TransformerBlock)]
    print(f"{len(blocks)} blocks, all of one class; BERT's have the norm after each addition, "
          "GPT's before each branch:\n"
          + "  ".join(f"norm_first={block.norm_first}" for block in blocks))
    print("\nAn input of BERT:\n" + masked.first_examples(1)[0])
    print("An input of GPT:\n" + following.first_examples(1)[0] + "\n")

    rows = []
    for which, trainer in trainers.items():
        print(f"{which}: {trainer.settings.steps} steps")
        trainer.run()
        oracle = against_oracle(trainer.model, trainer.objective)
        best = oracle["mlm_loss"] if which == "bert" else oracle["loss"]
        rows.append((which, baselines(trainer.objective)["unigram"], best + oracle["gap"], best,
                     oracle))

    print(f"\n{'held out, nats':16s}{'counting words':>15s}{'model':>9s}{'oracle':>9s}"
          f"{'distance':>18s}")
    for name, counted, loss, best, oracle in rows:
        print(f"{name:16s}{counted:15.3f}{loss:9.3f}{best:9.3f}"
              f"{oracle['gap']:9.3f} +- {oracle['gap_standard_error']:.3f}")
    pairs = rows[0][4]
    print(f"\nDoes B follow A? BERT is right in {pairs['nsp_accuracy_of_model']:.1%} of "
          f"{pairs['pairs']} held-out pairs, the oracle in {pairs['nsp_accuracy']:.1%}.")

    windows = np.concatenate([batch.input_ids for batch in following.held_out_batches()])[:-1]
    left, both = Oracle(ToyWorld(), following.tokenizer).leave_one_out(windows)
    print(f"\nOne hidden token in clean text, best possible: {-left.mean():.3f} nats from the left "
          f"side alone (GPT),\n{-both.mean():.3f} nats from both sides (BERT).")

    print("\nBERT fills [MASK]: the right answer depends on both sides.")
    for text in ("the captain rows the [MASK] .", "the captain plays the [MASK] ."):
        candidates, = fill_mask(bert, masked.tokenizer, text, 3)
        guesses = ", ".join(f"{word} {p:.0%}" for word, p in candidates)
        print(f"   {text:34s} {guesses}")
    for second in ("she rows her boat .", "the twins sing the song ."):
        p = next_sentence_probability(bert, masked.tokenizer,
                                      "the captain drinks tea . the bridge is muddy .",
                                      second + " she drinks tea .")
        print(f"   ... the bridge is muddy . | {second:26s} follows with {p:.0%}")

    for name, counted, loss, best, _ in rows:
        if not best < loss < counted:
            raise SystemExit(f"{name}: {loss:.3f} is not between the oracle's {best:.3f} and the "
                             f"unigram baseline's {counted:.3f}")
    print("\nClaim: both models, from the one block, are below counting words, "
          "and above the oracle, which no\nmodel can beat.")


if __name__ == "__main__":
    main()
