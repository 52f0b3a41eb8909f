"""Demo 6: one block, two trainers, and a world that knows the right answers.

    python demos/06_one_block_two_trainers.py

A BERT and a GPT of the same size are trained on text from the toy world. Because the world is a
hidden Markov model, the best possible prediction at every place can be computed exactly: the
oracle. What a model still lacks is measured against it, token by token.
"""

import argparse

import minibert as mb
from minibert.commands.answers import against_oracle, baselines
from minibert.commands.ask import fill_mask, next_sentence_probability
from minibert.commands.defaults import resolved
from minibert.nn.block import TransformerBlock
from minibert.objectives.next_token import NextTokenObjective
from minibert.objectives.pretraining import PretrainingObjective
from minibert.text.corpora import toy_corpus
from minibert.training.machine import keep_freed_memory, set_blas_threads
from minibert.training.report import Report


def settings(which: str, steps: int) -> mb.TrainingSettings:
    """The recipe of `pretrain` on the toy world, with fewer steps."""
    recipe = resolved({"steps": steps, "threads": 1}, "toy", which)
    return mb.TrainingSettings(steps=steps, lr=recipe["lr"], min_lr=recipe["min_lr"],
                               warmup=steps // 20, schedule=recipe["schedule"],
                               betas=recipe["betas"], eval_every=0, seed=recipe["seed"])


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=5000, help="of BERT; GPT takes a third")
    parser.add_argument("--held-out", type=int, default=300, help="documents to be judged by")
    arguments = parser.parse_args(argv)
    keep_freed_memory()
    set_blas_threads(1)  # at this size a second thread is in the way

    corpus = toy_corpus(n_held_out=arguments.held_out)
    tokenizer = mb.BertTokenizer.from_words(corpus.words)
    recipe = resolved({"threads": 1}, "toy", "bert")
    width, context = recipe["width"], recipe["context"]

    bert = mb.BertForPreTraining(mb.BertConfig(
        vocab_size=tokenizer.vocab_size, hidden_size=width, num_hidden_layers=2,
        num_attention_heads=4, intermediate_size=4 * width, max_position_embeddings=context,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        initializer_range=recipe["initializer_range"]), rng=1)
    gpt = mb.GPT2LMHeadModel(mb.GPT2Config(
        vocab_size=tokenizer.vocab_size, n_embd=width, n_layer=2, n_head=4, n_positions=context,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0), rng=1)
    blocks = [module for model in (bert, gpt) for module in model.modules()
              if isinstance(module, TransformerBlock)]
    print(f"{len(blocks)} blocks, all of one class; BERT's have the norm after each addition, "
          "GPT's before each branch:\n"
          + "  ".join(f"norm_first={block.norm_first}" for block in blocks))

    masked = PretrainingObjective(tokenizer, corpus.train_documents, corpus.held_out_documents,
                                  context, recipe["batch"], seed=1,
                                  n_held_out=5 * arguments.held_out,
                                  sentences_per_segment=corpus.sentences_per_segment)
    following = NextTokenObjective(tokenizer, corpus.train_texts, corpus.held_out_texts, context,
                                   recipe["batch"], seed=1)
    print("\nWhat BERT reads:\n" + masked.first_examples(1)[0])
    print("What GPT reads:\n" + following.first_examples(1)[0] + "\n")

    rows = []
    for name, model, objective, steps in (("BERT", bert, masked, arguments.steps),
                                          ("GPT", gpt, following, arguments.steps // 3)):
        print(f"{name} learns for {steps} steps")
        trainer = mb.Trainer(model, objective, settings(name.lower(), steps), report=Report())
        trainer.run()
        oracle = against_oracle(model, objective)
        best = oracle["mlm_loss"] if name == "BERT" else oracle["loss"]
        rows.append((name, baselines(objective)["unigram"], best + oracle["gap"], best, oracle))

    print(f"\n{'held out, nats':16s}{'counting words':>15s}{'model':>9s}{'oracle':>9s}"
          f"{'distance':>18s}")
    for name, counted, loss, best, oracle in rows:
        print(f"{name:16s}{counted:15.3f}{loss:9.3f}{best:9.3f}"
              f"{oracle['gap']:9.3f} +- {oracle['gap_standard_error']:.3f}")
    pairs = rows[0][4]
    print(f"\nDoes B follow A? BERT is right in {pairs['nsp_accuracy_of_model']:.1%} of "
          f"{pairs['pairs']} held-out pairs, the oracle in {pairs['nsp_accuracy']:.1%}.")

    print("\nBERT fills a gap: the other half of the sentence decides.")
    for text in ("the captain rows the [MASK] .", "the captain plays the [MASK] ."):
        guesses = ", ".join(f"{word} {p:.0%}" for word, p in fill_mask(bert, tokenizer, text, 3)[0])
        print(f"   {text:34s} {guesses}")
    for second in ("she rows her boat .", "the twins sing the song ."):
        p = next_sentence_probability(bert, tokenizer,
                                      "the captain drinks tea . the bridge is muddy .",
                                      second + " she drinks tea .")
        print(f"   ... the bridge is muddy . | {second:26s} follows with {p:.0%}")

    for name, counted, loss, best, _ in rows:
        if not best < loss < counted:
            raise SystemExit(f"{name}: {loss:.3f} does not lie between the oracle's {best:.3f} and "
                             f"counting's {counted:.3f}")
    print("\nClaim: both models, from the one block, are below counting words, "
          "and above the oracle, which no\nmodel can beat.")


if __name__ == "__main__":
    main()
