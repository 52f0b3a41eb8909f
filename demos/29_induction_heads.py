"""Demo 29: induction heads: what has happened once is copied when it begins again.

    python demos/29_induction_heads.py [--save FOLDER]

Random words, repeated after 6 to 12 of them: nothing predicts the first round, and the second is
known to whoever finds the place in the first one (Olsson et al. 2022, "In-context Learning and
Induction Heads"). An induction head looks at what followed the current word before, and copies it.
It needs a head of an earlier layer: one that writes at each word which was before it, or one that
finds the current word's earlier place, next to which it then looks. So one layer cannot, two can.
The heads are found by their prefix-matching score and cut out.
"""

import argparse
import math

import numpy as np

import minibert as mb
from minibert.autograd.fused.threads import set_blas_threads
from minibert.nn.module import evaluating
from minibert.pretraining.gpt_objective import NextTokenBatch
from minibert.toy_world.grammar import ToyWorld
from minibert.training.machine import keep_freed_memory

TOKENIZER = mb.BertTokenizer.from_words(ToyWorld().words[:64])
WORDS = np.array(TOKENIZER.convert_tokens_to_ids(list(ToyWorld().words[:64])))  # their ids
T, SHORTEST, LONGEST = 25, 6, 12  # positions: [SEP] and words; words in a round
WIDTH, HEADS, BATCH = 64, 4, 32
FOUND = 0.5  # a head with a higher prefix-matching score is an induction head


def draw(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns ids (B, T), and how many words each row has before it begins again (B,)."""
    order = rng.permuted(np.tile(WORDS, (count, 1)), axis=1)  # no word twice in a round
    rounds = rng.integers(SHORTEST, LONGEST + 1, count)
    words = np.take_along_axis(order, np.arange(T - 1) % rounds[:, None], axis=1)
    return np.insert(words, 0, TOKENIZER.sep_token_id, axis=1), rounds


class RepeatedWords:
    """The objective: the next word of new rows in every batch."""

    def batch(self, number: int) -> NextTokenBatch:
        ids, _ = draw(BATCH, np.random.default_rng((1, number)))
        return NextTokenBatch(ids[:, :-1], ids[:, 1:])

    def counts(self, batch: NextTokenBatch) -> dict[str, int]:
        return {"words": batch.targets.size}

    def losses(self, model, batch: NextTokenBatch, rng=None):
        return {"words": model.next_token_loss(batch.input_ids, batch.targets)}, {}


def new_gpt(layers: int, local: bool) -> mb.GPT2LMHeadModel:
    """Returns a GPT of attention layers alone (its feed-forward layers have one neuron).

    `local`: its positions are fixed sinusoids (Vaswani et al. 2017, section 3.5) of wavelengths
    from 3 on, and in the first layer keys begin equal to queries, so that attention begins with
    equal words and near positions.
    """
    model = mb.GPT2LMHeadModel(mb.GPT2Config(
        vocab_size=len(TOKENIZER), n_positions=T, n_embd=WIDTH, n_layer=layers, n_head=HEADS,
        n_inner=1, embd_pdrop=0.0, resid_pdrop=0.0, attn_pdrop=0.0,
        initializer_range=WIDTH ** -0.5), 1)
    if local:
        angles = 2 * np.pi * np.arange(T)[:, None] / np.geomspace(3, 4 * T, WIDTH // 2)
        positions = model.transformer.embeddings.position_embeddings
        positions.weight.data = np.hstack([np.sin(angles), np.cos(angles)]).astype(np.float32)
        positions.freeze()
        qkv = model.transformer.stack.blocks[0].attention.qkv.weight  # (3 C, C)
        queries = np.float32(1.4) * qkv.data[:WIDTH]
        qkv.data = np.concatenate([queries, queries, qkv.data[2 * WIDTH:]])
    return model


def train(model, steps: int) -> None:
    trainer = mb.Trainer(model, RepeatedWords(), mb.TrainingSettings(
        steps=steps, lr=2e-2, warmup=steps // 20, schedule="linear", optimizer="muon",
        betas=(0.9, 0.98), weight_decay=0.0, eval_every=0))
    for _ in range(steps):
        trainer.step()


def two_losses(model, ids: np.ndarray, rounds: np.ndarray, cut: list[tuple[int, int]] = ()
               ) -> tuple[float, float]:
    """Returns the mean loss of the first round, and of all after the first word of the second;
    with the heads (layer, head) of `cut` set to zero."""
    def hook(z: np.ndarray, name: str) -> np.ndarray:
        z = z.copy()  # (B, T, H, D)
        z[:, :, [head for layer, head in cut if name.startswith(f"blocks.{layer}.")]] = 0
        return z

    hooks = [(f"blocks.{layer}.attn.hook_z", hook) for layer in {layer for layer, _ in cut}]
    with evaluating(model), mb.no_grad():
        logits = model.run_with_hooks(ids, hooks=hooks).logits
        log_p = mb.functional.log_softmax(logits, axis=-1).data
    losses = -np.take_along_axis(log_p[:, :-1], ids[:, 1:, None], axis=2)[..., 0]  # (B, T - 1)
    place = np.arange(T - 1) - rounds[:, None]  # 0: the first word of the second round
    return losses[place < 0].mean(), losses[place > 0].mean()


def head_scores(model, ids: np.ndarray, rounds: np.ndarray) -> dict[tuple[int, int], list]:
    """Returns for each (layer, head) means of its attention in the second round: from a word to
    those that followed it before (prefix matching), to itself before, and to the word before it."""
    same = np.tril(ids[:, :, None] == ids[:, None, :], -1)  # (B, query, key)
    followed = np.zeros_like(same)
    followed[:, :, 1:] = same[:, :, :-1]
    before = np.broadcast_to(np.eye(T, k=-1, dtype=bool), same.shape)
    again = np.arange(T) > rounds[:, None]  # (B, T)
    _, cache = model.run_with_cache(ids, names="blocks.*.attn.hook_pattern")
    return {(layer, head): [(cache["pattern", layer][:, head] * keys).sum(axis=2)[again].mean()
                            for keys in (followed, same, before)]
            for layer in range(model.config.n_layer) for head in range(HEADS)}


def show(model, row: np.ndarray, layer: int, head: int, length: int) -> str:
    """Prints where the head looks from each word of the second round; returns the text."""
    words = TOKENIZER.convert_ids_to_tokens(row.tolist())
    _, cache = model.run_with_cache(row[None], names="blocks.*.attn.hook_pattern")
    pattern = cache["pattern", layer][0, head]
    print(f"\nLayer {layer} head {head} in the second round:")
    for t in range(length + 1, min(2 * length + 1, T)):
        key = pattern[t].argmax()
        print(f"   {words[t]:>10s} looks at {words[key]:10s} {pattern[t, key]:4.0%}, the word "
              f"after {words[key - 1]}")
    return " ".join(words[1:])


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=800, help="of each model")
    parser.add_argument("--save", help="a folder for the model of two layers, for `look`")
    options = parser.parse_args(argv)
    keep_freed_memory()
    set_blas_threads(1)  # at this size a second thread costs time
    ids, rounds = draw(500, np.random.default_rng(0))
    guess = math.log(len(WORDS))
    print(f"ln V = {guess:.3f} nats is the loss of a guess among {len(WORDS)} words.\n")
    print(f"{'':32}first round   second round   highest prefix matching")
    second = {}
    for layers, local in ((1, False), (1, True), (2, False), (2, True)):
        model = new_gpt(layers, local)
        train(model, options.steps)
        first, second[layers, local] = two_losses(model, ids, rounds)
        scores = head_scores(model, ids, rounds)
        print(f"{layers} layer{'s' * (layers > 1)}, {'local' if local else 'usual'} first "
              f"weights{'' if layers > 1 else ' '}{first:15.3f}{second[layers, local]:15.3f}"
              f"{max([matching for matching, _, _ in scores.values()]):20.2f}", flush=True)

    print("\nThe last model:   prefix matching   same word   word before   second round without")
    for place, (matching, same, before) in scores.items():
        print(f"layer {place[0]} head {place[1]}{matching:17.2f}{same:13.2f}{before:13.2f}"
              f"{two_losses(model, ids, rounds, [place])[1]:18.3f}")
    found = [place for place, (matching, _, _) in scores.items() if matching > FOUND]
    best = max(scores, key=lambda place: scores[place][0])
    text = show(model, ids[0], *best, int(rounds[0]))
    cut = two_losses(model, ids, rounds, found)[1]
    print(f"\nWithout the {len(found)} heads above {FOUND} the second round's loss is {cut:.3f}.")
    if options.save:
        model.save_pretrained(options.save)
        TOKENIZER.save_pretrained(options.save)
        print(f"These heads on a page: python -m minibert look {options.save} \"{text}\"")
    if min(second[1, False], second[1, True]) < 1:
        raise SystemExit("one layer has learned to copy")
    claim = "one layer cannot copy what begins again"
    if options.steps >= 800:
        claim += (f", two can: {second[2, True]:.3f} nats in the second round,\n{cut:.2f} with the "
                  "induction heads cut out; the first round stays within 0.2 of ln V")
        if second[2, True] > 0.05 or cut < 1 or 0 in [layer for layer, _ in found]:
            raise SystemExit("the losses, or the layers of the induction heads, are not as claimed")
        if abs(first - guess) > 0.2:
            raise SystemExit("the first round is not at ln V")
    print(f"\nClaim: {claim}.\nOf the story: what GPT learns in its context begins with heads that "
          "find what was there before.")


if __name__ == "__main__":
    main()
