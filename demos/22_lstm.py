"""Demo 22: an LSTM reads: one state carries all of the text so far.

    python demos/22_lstm.py

Counts words, pairs and trigrams, trains an LSTM and a GPT on the same text of the toy world, and
compares their predictions of the next word with the best possible ones. Then the gates of the LSTM,
by its formulas, on one held-out text: for how many words does each unit remember?
"""

import argparse

import numpy as np

import minibert as mb
from minibert.ancestors.lstm import LSTMConfig, LSTMLanguageModel, LSTMObjective
from minibert.ancestors.ngram import NGramConfig, NGramModel
from minibert.autograd.fused.threads import set_blas_threads
from minibert.autograd.ops import sigmoid, split, tanh
from minibert.cli.build_trainer import make_trainer
from minibert.cli.pretrain_options import resolved
from minibert.data.corpora import toy_corpus
from minibert.nn.lstm import LSTMLayer
from minibert.toy_world.grammar import ToyWorld
from minibert.toy_world.oracle import Oracle
from minibert.training.machine import keep_freed_memory
from minibert.training.report import Report

GATES = ("i", "f", "g", "o")


def loss_of(next_word, objective) -> float:
    """Returns the mean loss of `next_word`, ids (B, T) -> log p (B, T, V), on the held-out text."""
    total = count = 0
    for batch in objective.held_out_batches():
        is_target = batch.targets != mb.functional.IGNORE_INDEX
        words = np.where(is_target, batch.targets, 0)[..., None]
        log_p = np.take_along_axis(next_word(batch.input_ids), words, axis=-1)[..., 0]
        total -= log_p[is_target].sum()
        count += is_target.sum()
    return total / count


def gates(layer: LSTMLayer, x: mb.Tensor) -> tuple[dict[str, np.ndarray], mb.Tensor, mb.Tensor]:
    """Returns the gates of each token, (T, H) each, and the states (2, T, H) by the formulas and by
    the op, for x (T, C)."""
    by_op = layer(x.reshape(1, *x.shape))[:, 0]
    h = c = mb.Tensor(np.zeros(by_op.shape[2], np.float32))
    found, states = [], []
    for t in range(len(x)):
        z = x[t] @ layer.weight_ih.T + layer.bias_ih + h @ layer.weight_hh.T + layer.bias_hh
        i, f, g, o = split(z, 4)
        i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
        c = f * c + i * g
        h = o * tanh(c)
        found.append([gate.data for gate in (i, f, g, o)])
        states.append([h.data, c.data])
    of_gate = dict(zip(GATES, np.array(found).transpose(1, 0, 2)))
    return of_gate, np.array(states).transpose(1, 0, 2), by_op.data


def half_lives(forget: np.ndarray) -> np.ndarray:
    """Returns the number of words after which half of a cell is left, (H,): what is left of it is
    multiplied by the forget gate (T, H) at every word."""
    return np.log(0.5) / np.minimum(np.log(forget).mean(axis=0), -1e-6)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000, help="of the LSTM and of GPT")
    parser.add_argument("--documents", type=int, default=8000, help="of the training text")
    arguments = parser.parse_args(argv)
    keep_freed_memory()
    set_blas_threads(1)  # at this size a second thread costs time

    corpus = toy_corpus(arguments.documents, n_held_out=60)
    gpt = make_trainer(resolved("gpt", {"corpus": "toy", "steps": arguments.steps,
                                        "eval_every": 0}), corpus, Report())
    objective, tokenizer = gpt.objective, gpt.objective.tokenizer
    losses, V = {}, tokenizer.vocab_size
    for order, name in ((1, "words"), (2, "pairs"), (3, "trigrams")):
        counted = NGramModel.fit(NGramConfig(V, order), objective.train_ids)
        losses[f"counting {name}"] = loss_of(counted.next_word, objective)

    lstm = LSTMLanguageModel(LSTMConfig(V, hidden_size=64), rng=1)
    untrained = half_lives(gates(lstm.layers[0], lstm.embeddings(np.arange(V)))[0]["f"])
    reads = LSTMObjective(tokenizer, corpus.train_texts, corpus.held_out_texts, objective.context,
                          objective.batch_size, seed=1)
    settings = mb.TrainingSettings(steps=arguments.steps, lr=1e-2, schedule="linear",
                                   betas=(0.9, 0.98), eval_every=0, seed=1)
    for name, trainer in (("LSTM", mb.Trainer(lstm, reads, settings)), ("GPT", gpt)):
        trainer.run()
        losses[name] = trainer.held_out["loss"]
        print(f"{name}: {trainer.parameter_count():,} parameters, {arguments.steps} steps in "
              f"{trainer.seconds:.0f} s")
    oracle = Oracle(ToyWorld(), tokenizer)
    losses["best possible"] = -sum(oracle.next_token(batch.input_ids, batch.targets).sum()
                                   for batch in objective.held_out_batches()) / (
                                       len(objective.held_out_ids) - 1)
    print("\nheld out, next word        nats")
    for name, loss in losses.items():
        print(f"   {name:20s}{loss:8.3f}")

    ids = objective.held_out_ids[:40].astype(np.int64)
    words = tokenizer.convert_ids_to_tokens(ids)
    log_p = lstm.eval().next_word(ids[None])[0]
    x, lives, gap = lstm.embeddings(ids), [], 0.0
    for layer in lstm.layers:
        of_gate, by_formula, by_op = gates(layer, x)
        gap = max(gap, float(np.abs(by_formula - by_op).max()))
        lives.append(half_lives(of_gate["f"]))
        x = mb.Tensor(by_op[0])
    order = np.argsort(lives[-1])
    shown = [order[-1], order[len(order) // 2], order[0]]
    print("\nForget gates of three units of the last layer: the longest memory, the middle one, "
          "the shortest\n   word        p(word | before)"
          + "".join(f"   unit {k:2d}" for k in shown))
    for t in range(1, 16):
        print(f"   {words[t]:12s}{np.exp(log_p[t - 1, ids[t]]):14.1%}  "
              + "".join(f"{of_gate['f'][t, k]:10.2f}" for k in shown))
    print("\nWords after which half of a cell is left: before the training "
          f"{untrained.min():.1f} to {untrained.max():.1f}; after it, by unit")
    for number, of_layer in enumerate(lives):
        counts = [int(((of_layer >= low) & (of_layer < high)).sum())
                  for low, high in ((0, 2), (2, 10), (10, np.inf))]
        print(f"   layer {number}: {counts[0]} under 2 words, {counts[1]} up to 10, {counts[2]} "
              f"longer")
    longest = max(of_layer.max() for of_layer in lives)
    print(f"   the longest memory: {longest:.1f} words")

    if gap > 1e-4:
        raise SystemExit(f"the formulas and the op differ by {gap:.2g}")
    if losses["LSTM"] < losses["best possible"]:
        raise SystemExit("the LSTM is below the best possible loss")
    counts, memory = "words", ""
    if arguments.steps >= 500:
        counts = "trigrams"
        memory = " A\nunit remembers at least twice as long as any before the training."
        if longest < 2 * untrained.max():
            raise SystemExit(f"no unit remembers longer than at first: {longest:.1f} words")
    if losses["LSTM"] > losses[f"counting {counts}"]:
        raise SystemExit(f"the LSTM is not below counting {counts}")
    print("\nThe sentence of the story: counting sees two words back; an LSTM carries one state "
          "from word to word,\nand learns what to keep in it.")
    print(f"Claim: the gates by their formulas give the op's states; the LSTM is below counting "
          f"{counts}.{memory}")


if __name__ == "__main__":
    main()
