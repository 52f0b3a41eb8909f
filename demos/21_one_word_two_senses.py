"""Demo 21: one word, two senses: static vectors against contextual ones.

    python demos/21_one_word_two_senses.py

A bank is in the river or in the town, a bass is caught or played. word2vec has one vector of
"bank", the same array in every sentence, to the bit: it can say the prior and nothing else. The
hidden states of a GPT and of a BERT differ from sentence to sentence. The nearer average of 20
occurrences of each sense decides, and a linear discriminant of 200.

The bounds are exact: the posterior of the sense from the left side, which is all that a GPT reads,
and from both sides. A sense that only the right side reveals ("near the bank lies the net") is
lost to the GPT, whatever its size.
"""

import argparse

from minibert.ancestors.word2vec import SkipGram, SkipGramConfig, Word2VecObjective
from minibert.ancestors.word_sense import LINEAR, NEAREST, WordSenses
from minibert.cli.build_trainer import make_trainer
from minibert.cli.pretrain_options import resolved
from minibert.cli.road_rows import BERTRow, GPTRow
from minibert.data.corpora import toy_corpus
from minibert.toy_world.grammar import TOPICS, ToyWorld
from minibert.training.settings import TrainingSettings
from minibert.training.trainer import Trainer


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=10_000, help="to train on")
    parser.add_argument("--steps", type=int, default=850, help="of the GPT and of the BERT")
    parser.add_argument("--labelled", type=int, default=LINEAR,
                        help="occurrences of each sense, and as many to decide")
    arguments = parser.parse_args(argv)
    corpus, world = toy_corpus(arguments.documents, 100), ToyWorld()
    trainers = {name: make_trainer(resolved(name, {"steps": arguments.steps, "eval_every": 0,
                                                  "film": 0}), corpus)
                for name in ("gpt", "bert")}
    tokenizer = trainers["bert"].tokenizer
    count = arguments.labelled
    senses = WordSenses(world, tokenizer, min(NEAREST, count), count, count)
    for word, p in senses.priors.items():
        topics = [topic for topic, share in zip(TOPICS, p) if share]
        print(f"{word}: of the {topics[0]} or of the {topics[1]}")

    skip_gram = SkipGram(SkipGramConfig(tokenizer.vocab_size), 1)
    objective = Word2VecObjective(skip_gram, tokenizer, corpus.train_texts, corpus.held_out_texts,
                                  batch_size=512)
    Trainer(skip_gram, objective, TrainingSettings(
        steps=arguments.steps // 2, lr=1e-2, weight_decay=0.0, eval_every=0)).run()
    for trainer in trainers.values():
        trainer.run()
        trainer.model.eval()
    gpt = GPTRow(trainers["gpt"].model)
    bert = BERTRow(trainers["bert"].model, tokenizer, world.sentences_per_segment)

    left, both = senses.bounds()
    print(f"right decisions of {len(senses.decided):,}: nearest of {senses.nearest}, linear of "
          f"{count}")
    found = {}
    for name, model in (("skip-gram", skip_gram), ("GPT", gpt), ("BERT", bert)):
        found[name] = senses.accuracy(model)
        print(f"  {name:10} {found[name][0]:6.1%} {found[name][1]:6.1%}")
    print(f"  exact posterior: {left:.1%} from the left side, {both:.1%} from both")

    assert senses.is_static(skip_gram) and found["skip-gram"] == (0.5, 0.5)
    assert found["GPT"][1] > 0.6 and found["BERT"][1] > 0.6, found
    assert found["GPT"][1] <= left + 0.02, (found, left)
    print("Claim: a static vector says the prior, to the bit; contextual vectors tell the senses\n"
          "apart, and the one that reads the left side alone stays below the left side's bound.")


if __name__ == "__main__":
    main()
