"""Demo 32: keywords: the words whose vectors are nearest to the vector of their text.

    python demos/32_keywords.py [--model FOLDER]

As KeyBERT does it: the candidates are the frequent words of a text without stop words; a keyword is
one with a large cosine with the vector of the text. Maximal marginal relevance (Carbonell &
Goldstein 1998) takes off what the keyword repeats of those before it, `diversity` says how much.

A document of the toy world has a hidden topic, so its keywords can be judged: how many of five are
words of the topic, and not of the characters that come and go in it. Vectors are skip-gram's, of a
text the mean over its words. With FOLDER, that of all-MiniLM-L6-v2 (demo 8), the same on Python's
documentation.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

import minibert as mb
from minibert.ancestors.word2vec import SkipGram, SkipGramConfig
from minibert.ancestors.word2vec_objective import Word2VecObjective
from minibert.cli.embed import ancestor_vectors, embed
from minibert.cli.keywords import candidate_words, extract_keywords
from minibert.cli.pooling import read_pooling
from minibert.data.corpora import toy_corpus
from minibert.data.python_docs import python_documents
from minibert.finetuning.toy.stories import ToyStories
from minibert.toy_world.grammar import TOPICS, ToyWorld

TOP, SENTENCES, WINDOW = 5, 12, 15
DIVERSITIES = (0.0, 0.2, 0.4)


def topic_documents(stories: ToyStories, count: int, rng: np.random.Generator
                    ) -> list[tuple[str, str]]:
    """Returns (text, topic) of stories whose topic stays the same."""
    found = []
    for story in stories.draw(SENTENCES, rng):
        topics = {stories.topic_of(states) for states in story.states}
        if len(topics) == 1:
            found.append((story.text, stories.topics[topics.pop()]))
        if len(found) == count:
            return found


def mean_cosine(vectors: np.ndarray) -> float:
    """Returns the mean cosine of two different rows of vectors (N, C), N > 1."""
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    N = len(units)
    return float(((units @ units.T).sum() - N) / (N * (N - 1)))


def show_python_docs(folder: str) -> None:
    """Prints the keywords of long documents of Python's documentation."""
    where, pooling = read_pooling(Path(folder))
    model = mb.BertModel.from_pretrained(where)
    tokenizer = mb.BertTokenizer.from_pretrained(where)

    def vectors(texts: list[str]) -> np.ndarray:
        return embed(model, tokenizer, texts, pooling=pooling)

    long = [document for document in python_documents() if len(document) >= 30]
    for document in long[:: len(long) // 6][:6]:
        text = " ".join(document[:30])
        print(f"\n{document[0][:96]}")
        print(f"   frequency       {' '.join(candidate_words(text)[:TOP])}")
        for diversity in (0.0, 0.5):
            words = extract_keywords(text, vectors, TOP, diversity)
            print(f"   diversity {diversity:.1f}   {' '.join(words)}")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", metavar="FOLDER", help="all-MiniLM-L6-v2, for Python's docs")
    parser.add_argument("--steps", type=int, default=2000, help="of skip-gram")
    parser.add_argument("--documents", type=int, default=8000, help="to train on")
    parser.add_argument("--judged", type=int, default=300, help="documents")
    arguments = parser.parse_args(argv)
    corpus, world = toy_corpus(arguments.documents, 50), ToyWorld()
    tokenizer = mb.BertTokenizer.from_words(world.words)
    model = SkipGram(SkipGramConfig(tokenizer.vocab_size, window=WINDOW), 1)
    objective = Word2VecObjective(model, tokenizer, corpus.train_texts, corpus.held_out_texts, 512)
    mb.Trainer(model, objective, mb.TrainingSettings(
        steps=arguments.steps, lr=1e-2, warmup=arguments.steps // 20, schedule="linear",
        weight_decay=0.0, eval_every=0)).run()

    def vectors(texts: list[str]) -> np.ndarray:
        return ancestor_vectors(model, tokenizer, texts)

    judged = topic_documents(ToyStories(world, corpus.train_documents), arguments.judged,
                             np.random.default_rng(5))
    topic_words = {name: topic.words() for name, topic in TOPICS.items()}

    def precision(keywords: Callable[[str], list[str]]) -> float:
        """Returns the mean share of the keywords of a text that are words of its topic."""
        return float(np.mean([np.mean([word in topic_words[topic] for word in keywords(text)])
                              for text, topic in judged]))

    text, topic = judged[0]
    print(f"{text}\n   hidden topic: {topic}")
    for diversity in DIVERSITIES:
        print(f"   diversity {diversity:.1f}: "
              f"{' '.join(extract_keywords(text, vectors, TOP, diversity, 50))}")

    possible = np.mean([min(TOP, sum(word in topic_words[topic] for word in candidate_words(text)))
                        for text, topic in judged]) / TOP
    frequency = precision(lambda text: candidate_words(text)[:TOP])
    print(f"\nOf {TOP} keywords of {len(judged)} documents so many are words of the hidden topic:")
    print(f"   all candidates   {precision(candidate_words):6.1%}")
    print(f"   most frequent    {frequency:6.1%}")
    found, likeness = {}, {}
    for diversity in DIVERSITIES:
        words = {text: extract_keywords(text, vectors, TOP, diversity, 50) for text, _ in judged}
        found[diversity] = precision(words.__getitem__)
        likeness[diversity] = np.mean([mean_cosine(vectors(some)) for some in words.values()])
        print(f"   diversity {diversity:.1f}    {found[diversity]:6.1%}   mean cosine of two "
              f"keywords {likeness[diversity]:.2f}")
    print(f"   best possible    {possible:6.1%}")

    if arguments.model is not None:
        show_python_docs(arguments.model)

    nearest, *_, most = DIVERSITIES
    assert frequency + 0.05 < found[nearest] <= possible, (frequency, found)
    assert likeness[most] < likeness[nearest], likeness
    print("\nDiversity has its price here: words of one topic are alike, and what differs most "
          "from them is\na word of something else.")
    print("The sentence of the story: a text and its words have vectors of one kind, so that the "
          "cosine of\nthe two says which words stand for the text, without a label.")
    print("Claim: the words nearest to the text's vector are words of its topic more often than "
          "the most\nfrequent ones, and diversity makes keywords less alike.")


if __name__ == "__main__":
    main()
