"""Demo 20: from counting words to vectors: n-grams, CBOW, skip-gram, GloVe, on the toy world.

    python demos/20_counting_to_vectors.py

A trigram predicts the next word well where it has seen the two words before; what stands further
to the left is invisible to it. Its distance to the exact answer is printed for n = 1 to 5; how many
words pay depends on how much text there is to count. CBOW reads the words on both sides of a gap,
but as a bag: a vector of each word, and their mean.

The loss names no kinds or topics of words. The vectors show them all the same: the nearest
neighbours of a word are words of its kind or its topic.
"""

import argparse

import numpy as np

from minibert.ancestors.answer_key import AnswerKey
from minibert.ancestors.glove import GloVe, GloVeConfig, GloVeObjective
from minibert.ancestors.ngram import NGramConfig, NGramModel
from minibert.ancestors.word2vec import (CBOW, CBOWConfig, SkipGram, SkipGramConfig,
                                       Word2VecObjective)
from minibert.data.corpora import toy_corpus
from minibert.pretraining.gpt_objective import token_stream
from minibert.tokenizers.wordpiece import BertTokenizer
from minibert.toy_world.grammar import TOPICS, ToyWorld
from minibert.training.settings import TrainingSettings
from minibert.training.trainer import Trainer

CONTEXT, NEIGHBOURS = 48, 4
ASKED = ("boat", "coin", "violin", "soup")  # each is of one topic


def trained(model, objective, steps: int):
    """Returns `model` after `steps` updates."""
    Trainer(model, objective, TrainingSettings(steps=steps, lr=1e-2, warmup=steps // 20,
                                               schedule="linear", weight_decay=0.0,
                                               eval_every=0)).run()
    return model


def neighbours(model, tokenizer: BertTokenizer, word: str) -> list[str]:
    """Returns the words whose vectors have the largest cosine with that of `word`."""
    ordinary = [i for i in range(len(tokenizer)) if i not in tokenizer.all_special_ids]
    vectors = model.vectors(np.array([ordinary]))[0]
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors[ordinary.index(tokenizer.convert_tokens_to_ids(word))]
    return [tokenizer.convert_ids_to_tokens(ordinary[i])
            for i in np.argsort(-cosines)[1:NEIGHBOURS + 1]]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=10_000, help="to count and to train on")
    parser.add_argument("--steps", type=int, default=2000, help="of each model with vectors")
    arguments = parser.parse_args(argv)
    corpus, world = toy_corpus(arguments.documents, 200), ToyWorld()
    tokenizer = BertTokenizer.from_words(world.words)
    V, texts = tokenizer.vocab_size, (tokenizer, corpus.train_texts, corpus.held_out_texts)
    key = AnswerKey(world, tokenizer, corpus.held_out_documents, CONTEXT)

    print("counting: nats above the exact distribution of the next word (held-out documents)")
    ids, distances = token_stream(tokenizer, corpus.train_texts), []
    for order in range(1, 6):
        model = NGramModel.fit(NGramConfig(V, order), ids)
        distances.append(key.next_word_distance(model))
        print(f"  n = {order}: {distances[-1]:.3f}, from {model.parameter_count():,} counts")

    cbow, skip_gram = CBOW(CBOWConfig(V, window=2), 1), SkipGram(SkipGramConfig(V), 1)
    glove = GloVe(GloVeConfig(V), 1)
    for model in (cbow, skip_gram):
        trained(model, Word2VecObjective(model, *texts, batch_size=512), arguments.steps)
    trained(glove, GloVeObjective(glove.config, *texts, batch_size=1024), arguments.steps)
    gap, nothing = key.gap_distance(cbow), key.gap_distance(CBOW(CBOWConfig(V, window=2), 1))
    print(f"CBOW: {gap:.3f} nats above the exact distribution of a gap; untrained {nothing:.3f}")

    print("nearest neighbours by the cosine of their vectors")
    shares = {}
    for name, model in (("CBOW", cbow), ("skip-gram", skip_gram), ("GloVe", glove)):
        found = {word: neighbours(model, tokenizer, word) for word in ASKED}
        of_topic = [near in TOPICS[topic].words() for word, topic in zip(ASKED, TOPICS)
                    for near in found[word]]
        shares[name] = np.mean(of_topic)
        print(f"  {name}: {shares[name]:.0%} of them are of the word's topic")
        for word, near in found.items():
            print(f"    {word:7} {' '.join(near)}")
    chance = np.mean([len(TOPICS[topic].words()) for topic in TOPICS]) / len(world.words)
    print(f"  by chance: {chance:.0%}")

    assert distances[0] > distances[1] > distances[2], distances
    assert gap < nothing - 1, (gap, nothing)
    assert shares["skip-gram"] > 2 * chance, shares
    print("Claim: pairs are nearer to the exact answer than words, trigrams nearer than pairs,\n"
          "and skip-gram's vectors, trained on neighbours alone, put words of one topic together.")


if __name__ == "__main__":
    main()
