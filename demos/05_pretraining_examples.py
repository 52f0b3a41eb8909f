"""Demo 5: the training examples of both objectives, and their statistics.

    python demos/05_pretraining_examples.py

Shows masked words (15 % chosen independently: 80 % [MASK], 10 % random, 10 % kept), pairs (half of
them true neighbours) and the windows of a next-token model, and counts over many batches.
"""

import argparse

import numpy as np

import minibert as mb
from minibert.pretraining.bert_objective import PretrainingObjective
from minibert.pretraining.gpt_objective import NextTokenObjective
from minibert.pretraining.sentence_pairs import IS_NEXT
from minibert.toy_world.grammar import ToyWorld


def share(part: float, whole: float, expected: float) -> tuple[str, float]:
    """Returns a share beside its expectation, and their distance in standard errors."""
    error = np.sqrt(expected * (1 - expected) / whole)
    distance = (part / whole - expected) / error
    text = f"{part / whole:.4f} (expected {expected:.2f}, {distance:+.1f} standard errors)"
    return text, distance


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=400, help="batches of 32 to count over")
    batches = parser.parse_args(argv).batches

    world = ToyWorld()
    documents = world.documents(2000, np.random.default_rng(0))
    tokenizer = mb.BertTokenizer.from_words(world.words)
    bert = PretrainingObjective(tokenizer, documents[:1900], documents[1900:], context=64,
                                batch_size=32, seed=0,
                                sentences_per_segment=world.sentences_per_segment)
    print("1. BERT's examples: the corrupted input and what is to be predicted:\n")
    print("\n\n".join(bert.first_examples(3)))

    print(f"\n2. Counted over {batches} batches of 32 pairs:\n")
    ordinary = chosen = masked = kept = pairs = true_pairs = 0
    for number in range(batches):
        batch = bert.batch(number)
        ordinary += int((~np.isin(batch.original_ids, tokenizer.all_special_ids)).sum())
        shown = batch.input_ids.reshape(-1)[batch.masked_positions]
        chosen += len(shown)
        masked += int((shown == tokenizer.mask_token_id).sum())
        kept += int((shown == batch.masked_labels).sum())
        pairs += len(batch.next_sentence_label)
        true_pairs += int((batch.next_sentence_label == IS_NEXT).sum())
    words = len(world.words)
    distances = []
    for name, part, whole, expected in (
            ("words chosen", chosen, ordinary, 0.15),
            ("replaced by [MASK]", masked, chosen, 0.8),
            ("replaced by another", chosen - masked - kept, chosen, 0.1 * (1 - 1 / words)),
            ("kept", kept, chosen, 0.1 + 0.1 / words),
            ("B follows A", true_pairs, pairs, 0.5)):
        text, distance = share(part, whole, expected)
        distances.append(abs(distance))
        print(f"   {name:24s}{text}")

    first, next_epoch = bert.batch(0), bert.batch(bert.n_per_epoch // 32 + 1)
    repeatable = np.array_equal(first.input_ids, bert.batch(0).input_ids)
    fresh = not np.array_equal(first.input_ids, next_epoch.input_ids)
    print(f"\n   The same number gives the same batch: {repeatable}. "
          f"New pairs and masks in the next epoch: {fresh}.")

    texts = [" ".join(document) for document in documents]
    gpt = NextTokenObjective(tokenizer, texts[:1900], texts[1900:], context=16,
                             batch_size=4, seed=0)
    print("\n3. GPT's windows: every token is predicted from all tokens before it:\n")
    print("\n".join(gpt.first_examples(2)))

    if not (repeatable and fresh):
        raise SystemExit("a batch is not a function of its number, or an epoch repeats the last")
    if max(distances) > 4:
        raise SystemExit("a share is more than 4 standard errors from what BERT's paper says")
    print("\nClaim: every share is within 4 standard errors of what BERT's paper says.")


if __name__ == "__main__":
    main()
