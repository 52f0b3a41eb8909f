"""Demo 33: regression, classification and clustering from one set of vectors.

    python demos/33_from_vectors.py

A text becomes one vector, once; what is asked of it comes afterwards and is simple: ridge
regression (how many of the sentences are about a woman?), logistic regression (the topic of the
last sentence), k-means (groups, without labels, held against these topics). The vectors are counts
of words, the mean of skip-gram's static vectors with two sizes of window, the mean of the vectors
of a small BERT, and its vector of [CLS]. Each hidden quantity has a best possible score, from the
exact posterior.
"""

import argparse

import numpy as np
from scipy.cluster.vq import kmeans2
from scipy.optimize import minimize

import minibert as mb
from minibert.ancestors.word2vec import SkipGram, SkipGramConfig, Word2VecObjective
from minibert.cli.build_trainer import make_trainer
from minibert.cli.embed import Pooling, ancestor_vectors, embed
from minibert.cli.pretrain_options import resolved
from minibert.data.corpora import Corpus, toy_corpus
from minibert.finetuning.metrics import accuracy, adjusted_rand_score, purity
from minibert.finetuning.toy.stories import ToyStories, summed
from minibert.toy_world.grammar import CHARACTERS, ToyWorld

SENTENCES, CLUSTERS = 4, 4
PENALTY = 10.0  # on the squared weights, of standardised vectors
STARTS = 30  # of k-means


def skip_gram(corpus: Corpus, tokenizer: mb.BertTokenizer, window: int, steps: int) -> SkipGram:
    """Returns a trained skip-gram."""
    model = SkipGram(SkipGramConfig(tokenizer.vocab_size, window=window), 1)
    objective = Word2VecObjective(model, tokenizer, corpus.train_texts, corpus.held_out_texts, 512)
    mb.Trainer(model, objective, mb.TrainingSettings(
        steps=steps, lr=1e-2, warmup=steps // 20, schedule="linear", weight_decay=0.0,
        eval_every=0)).run()
    return model


def ridge(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns the weights (C,) that minimize |x w - y|^2 + PENALTY |w|^2, for x (N, C), y (N,)."""
    return np.linalg.solve(x.T @ x + PENALTY * np.eye(x.shape[1]), x.T @ y)


def logistic_regression(x: np.ndarray, y: np.ndarray, classes: int) -> np.ndarray:
    """Returns the weights (classes, C) of the smallest cross entropy plus PENALTY / 2 |W|^2: the
    gradient is our engine's, the steps are SciPy's (L-BFGS)."""
    def loss_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        W = mb.Tensor(flat.reshape(classes, -1), requires_grad=True)
        logits = mb.functional.linear(mb.Tensor(x), W)
        loss = mb.functional.cross_entropy(logits, y, reduction="sum") + PENALTY / 2 * (W * W).sum()
        loss.backward()
        return loss.item(), W.grad.ravel()

    start = np.zeros(classes * x.shape[1])
    return minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B").x.reshape(classes, -1)


def clusters(x: np.ndarray) -> list[np.ndarray]:
    """Returns the cluster of each row of x (N, C) by k-means from each of STARTS starts, the one
    with the smallest sum of squared distances to the centres first."""
    found = [kmeans2(x, CLUSTERS, iter=50, minit="++", seed=seed) for seed in range(STARTS)]
    distances = [((x - centres[of_row]) ** 2).sum() for centres, of_row in found]
    return [found[k][1] for k in np.argsort(distances)]


def r_squared(y: np.ndarray, predicted: np.ndarray) -> float:
    """Returns the explained share of the variance: 0 for the mean, 1 for the truth."""
    return float(1 - ((y - predicted) ** 2).mean() / y.var())


def scores_of_clusters(right: np.ndarray, found: list[np.ndarray]) -> tuple[float, float, float]:
    """Returns purity and adjusted Rand index of the first, and the mean index of all."""
    indices = [adjusted_rand_score(right, groups) for groups in found]
    return purity(right, found[0]), indices[0], float(np.mean(indices))


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=600, help="of BERT")
    parser.add_argument("--skip-gram-steps", type=int, default=1000)
    parser.add_argument("--documents", type=int, default=10_000, help="to train on")
    parser.add_argument("--labels", type=int, default=200)
    parser.add_argument("--test", type=int, default=1000)
    arguments = parser.parse_args(argv)
    corpus, world = toy_corpus(arguments.documents, 50), ToyWorld()
    trainer = make_trainer(resolved("bert", {"steps": arguments.steps, "eval_every": 0,
                                             "film": 0}), corpus)
    trainer.run()
    bert, tokenizer = trainer.model.bert, trainer.tokenizer

    world_stories, n = ToyStories(world, corpus.train_documents), arguments.labels
    drawn = world_stories.draw(SENTENCES, np.random.default_rng(5))
    stories = [next(drawn) for _ in range(n + arguments.test)]
    texts = [story.text for story in stories]
    women = [k for k, character in enumerate(CHARACTERS) if character.pronoun == "she"]
    count = np.array([sum(world_stories.character_of(states) in women for states in story.states)
                      for story in stories], np.float64)
    topic = np.array([world_stories.topic_of(story.states[-1]) for story in stories])
    print(f"{texts[0]}\n   about a woman: {count[0]:.0f} of {SENTENCES} sentences; the last one's "
          f"topic: {world_stories.topics[topic[0]]}\n")

    vectors = {"counts of words": np.array([np.bincount(
        tokenizer.encode(text, add_special_tokens=False), minlength=len(tokenizer))
        for text in texts])}
    for window in (5, 15):
        model = skip_gram(corpus, tokenizer, window, arguments.skip_gram_steps)
        vectors[f"skip-gram, window {window}"] = ancestor_vectors(model, tokenizer, texts)
    vectors["BERT, mean"] = embed(bert, tokenizer, texts)
    vectors["BERT, [CLS]"] = embed(bert, tokenizer, texts, pooling=Pooling(("cls",)))

    p = world_stories.oracle.last_states([story.sentences for story in stories[n:]])  # (B, K, E)
    ends = world.ends
    of_women = summed(p, np.isin(world_stories.character[ends], women).astype(int), 2)[..., 1]
    of_topic = summed(p[:, -1], world_stories.topic[ends], CLUSTERS)  # (B, topics)
    exact = of_topic.argmax(axis=1)
    y, right = count[n:], topic[n:]

    print(f"{n} labels, {len(y)} test texts    regression   classification   clustering\n"
          f"{'':27} R squared         accuracy   purity  adjusted Rand  mean of {STARTS} starts")
    majority = np.bincount(topic[:n]).argmax()
    random = np.random.default_rng(0).integers(0, CLUSTERS, len(y))
    found = {"mean, majority, random": (r_squared(y, np.full(len(y), count[:n].mean())),
                                        accuracy(right, np.full(len(y), majority)),
                                        *scores_of_clusters(right, [random]))}
    for name, x in vectors.items():
        x = x.astype(np.float64)
        x = (x - x[:n].mean(axis=0)) / np.maximum(x[:n].std(axis=0), 1e-3)
        predicted = count[:n].mean() + x[n:] @ ridge(x[:n], count[:n] - count[:n].mean())
        classes = (x[n:] @ logistic_regression(x[:n], topic[:n], CLUSTERS).T).argmax(axis=1)
        found[name] = (r_squared(y, predicted), accuracy(right, classes),
                       *scores_of_clusters(right, clusters(x[n:])))
    found["best possible"] = (r_squared(y, of_women.sum(axis=1)), of_topic.max(axis=1).mean(),
                              *scores_of_clusters(right, [exact]))
    for name, scores in found.items():
        print(f"{name:27}{scores[0]:10.3f}{scores[1]:17.1%}{scores[2]:9.1%}{scores[3]:15.3f}"
              f"{scores[4]:16.3f}")

    nothing, best = found["mean, majority, random"], np.array(found["best possible"])
    slack = 3 * np.sqrt(best[1] * (1 - best[1]) / len(y))
    for name in vectors:
        assert (np.array(found[name]) <= best + slack).all(), (name, found[name], best)
        assert found[name][0] > nothing[0] + 0.2 and found[name][1] > nothing[1] + 0.2, found[name]
    better = ""
    if arguments.steps >= 500:
        static = [found[name] for name in vectors if name.startswith("skip-gram")]
        for column in (3, 4):
            assert found["BERT, mean"][column] > max(row[column] for row in static) + 0.1, found
        better = "\nWithout labels BERT's vectors show the topics as groups; skip-gram's do not."
    print("\nWith labels counting words is hard to beat here: both quantities are nearly sums over "
          "words. Without\nlabels k-means finds what varies most. Counts of words have the topics "
          "as groups too, but few starts\nfind them: compare the mean of all starts.")
    print("The sentence of the story: one vector of a text serves for many questions.")
    print("Claim: with labels each set of vectors answers both questions far better than a guess, "
          "and none\nis better than the exact posterior." + better)


if __name__ == "__main__":
    main()
