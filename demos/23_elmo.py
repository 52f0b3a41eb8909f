"""Demo 23: ELMo reads twice: once to the right, once to the left.

    python demos/23_elmo.py

Trains two LSTM language models on the toy world, one for each direction. A gap is filled from the
left side, from the right side and by the product of both; then the sense of ambiguous words (the
bank of the river, the bank of the town) is decided from the vectors of each layer, and from their
mixture by scalars that this task learns (Peters et al. 2018, equation 1).
"""

import argparse

import numpy as np

import minibert as mb
from minibert.ancestors.answer_key import AnswerKey
from minibert.ancestors.elmo import ELMo, ELMoConfig, ELMoObjective
from minibert.ancestors.word_sense import WordSenses, occurrence_vectors
from minibert.autograd.fused.threads import set_blas_threads
from minibert.autograd.tensor import no_grad
from minibert.data.corpora import toy_corpus
from minibert.nn.layers import Linear
from minibert.toy_world.grammar import ToyWorld
from minibert.training.machine import keep_freed_memory

GAP = "[SEP] the captain rows the [MASK] . she slowly rows [SEP]"
CONTEXT = 48


class OneSide:
    """Fills gaps from one side alone."""

    def __init__(self, model: ELMo, side: str):
        self.model, self.side = model, side

    def gap(self, input_ids: np.ndarray, positions: np.ndarray) -> np.ndarray:
        rows = np.arange(len(input_ids))
        if self.side == "left":
            return self.model.to_right.next_word(input_ids)[rows, positions - 1]
        return self.model.to_left.next_word(input_ids)[rows, positions + 1]


class OneLayer:
    """The states of layer j as vectors."""

    def __init__(self, model: ELMo, j: int):
        self.model, self.j = model, j

    def vectors(self, input_ids: np.ndarray) -> np.ndarray:
        with no_grad():
            return self.model.layer_states(input_ids)[self.j].data


def mixed(states: np.ndarray, scalars: mb.Tensor, gamma: mb.Tensor) -> mb.Tensor:
    """Equation 1 for states (L + 1, N, 2 C)."""
    s = mb.functional.softmax(scalars)
    terms = [s[j] * mb.Tensor(states[j]) for j in range(len(states))]
    return gamma * sum(terms[1:], terms[0])


def learn_mixture(model: ELMo, states: np.ndarray, topics: np.ndarray, steps: int) -> None:
    """Train `scalars` and `gamma` with a linear classifier of the sense; the LSTMs stay."""
    head = Linear(states.shape[2], int(topics.max()) + 1)
    optimizer = mb.optim.AdamW([model.scalars, model.gamma, head.weight, head.bias], lr=3e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        logits = head(mixed(states, model.scalars, model.gamma))
        mb.functional.cross_entropy(logits, topics).backward()
        optimizer.step()


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--documents", type=int, default=8000, help="of the training text")
    parser.add_argument("--occurrences", type=int, default=100, help="of each sense of each word")
    arguments = parser.parse_args(argv)
    keep_freed_memory()
    set_blas_threads(1)  # at this size a second thread costs time

    world = ToyWorld()
    corpus = toy_corpus(arguments.documents, n_held_out=60)
    tokenizer = mb.BertTokenizer.from_words(world.words)
    model = ELMo(ELMoConfig(tokenizer.vocab_size, hidden_size=48), rng=1)
    objective = ELMoObjective(model, tokenizer, corpus.train_texts, corpus.held_out_texts, CONTEXT,
                              batch_size=16, seed=1)
    trainer = mb.Trainer(model, objective, mb.TrainingSettings(
        steps=arguments.steps, lr=1e-2, schedule="linear", betas=(0.9, 0.98), eval_every=0, seed=1))
    trainer.run()
    found = trainer.held_out
    print(f"ELMo: {trainer.parameter_count():,} parameters, {arguments.steps} steps in "
          f"{trainer.seconds:.0f} s; held-out nats to the right {found['to_right_loss']:.3f}, to "
          f"the left {found['to_left_loss']:.3f}\n")
    model.eval()

    ids = np.array([tokenizer.convert_tokens_to_ids(GAP.split())])
    place = np.flatnonzero(ids[0] == tokenizer.mask_token_id)
    sides = {"left side": OneSide(model, "left"), "right side": OneSide(model, "right"),
             "product": model}
    print(GAP)
    for name, reader in sides.items():
        p = np.exp(reader.gap(ids, place)[0])
        print(f"   {name:12s}" + ", ".join(f"{tokenizer.convert_ids_to_tokens(int(w))} {p[w]:.0%}"
                                            for w in np.argsort(-p)[:4]))
    key = AnswerKey(world, tokenizer, corpus.held_out_documents, CONTEXT)
    distances = {name: key.gap_distance(reader) for name, reader in sides.items()}
    print("\nHeld-out gaps: nats above the oracle that reads both sides")
    for name, distance in distances.items():
        print(f"   {name:12s}{distance:8.3f}")
    print("Look: the product is not 0, also for perfect models: given the word, the two sides are "
          "not independent\n(both are about one topic), and neither model has seen both.")

    senses = WordSenses(world, tokenizer, nearest=min(20, arguments.occurrences),
                        linear=arguments.occurrences, decided=arguments.occurrences)
    layers = range(len(model.layer_states(ids)))
    states = np.stack([occurrence_vectors(OneLayer(model, j), senses.labelled) for j in layers])
    learn_mixture(model, states, np.array([one.topic for one in senses.labelled]), steps=100)
    print(f"\nThe sense of {', '.join(senses.words[:4])} ... ({len(senses.words)} words with two), "
          "per cent right")
    accuracy = {f"layer {j}": senses.accuracy(OneLayer(model, j))[1] for j in layers}
    accuracy["to the right alone"] = senses.accuracy(model.to_right)[1]
    accuracy["mixture"] = senses.accuracy(model)[1]
    accuracy["best possible, left"], accuracy["best possible, both"] = senses.bounds()
    weights = np.exp(model.scalars.data) / np.exp(model.scalars.data).sum()
    for name, share in accuracy.items():
        weight = f"   weight in the mixture {weights[int(name[6:])]:.2f}" if "layer" in name else ""
        print(f"   {name:20s}{share:8.1%}{weight}")

    if not distances["product"] < min(distances["left side"], distances["right side"]):
        raise SystemExit("the product is not better than each side alone")
    if not abs(accuracy["layer 0"] - 0.5) < 1e-9 < accuracy["mixture"] - 0.5:
        raise SystemExit("static vectors do not decide by chance, or the mixture does")
    better = ""
    if arguments.steps >= 500:
        better = ", and than the\nmodel that reads to the right alone"
        if accuracy["mixture"] <= accuracy["to the right alone"]:
            raise SystemExit("the mixture is not better than reading to the right alone")
    print("\nThe sentence of the story: with ELMo a word has a vector for each sentence, which is "
          "read twice, once from\neach side.")
    print("Claim: the product of both sides fills gaps better than either; static vectors decide "
          "the sense of a\nword by chance, the mixture of the layers better than that" + better
          + ".")


if __name__ == "__main__":
    main()
