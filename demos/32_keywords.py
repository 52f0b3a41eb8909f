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
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np

import minibert as mb
from minibert.ancestors.word2vec import SkipGram, SkipGramConfig, Word2VecObjective
from minibert.cli.embed import ancestor_vectors, embed, read_pooling
from minibert.data.corpora import toy_corpus
from minibert.data.python_docs import python_documents
from minibert.errors import InputError
from minibert.finetuning.toy.stories import ToyStories
from minibert.tokenizers.byte_level_pre_tokenizer import category_ranges
from minibert.toy_world.grammar import TOPICS, ToyWorld
from minibert.validate import number, whole_number

TOP, SENTENCES, WINDOW = 5, 12, 15
DIVERSITIES = (0.0, 0.2, 0.4)
STOP_WORDS = frozenset("""
a about above after again against all almost already also although always am among an and another
any anything are as at away be because been before behind being below beside between both but by
can cannot could did do does doing done down during each either else even ever every few for from
further get given had has have having he her here hers herself him himself his how however i if in
instead into is it its itself just least less like many may me might mine more most much must my
myself near neither never no none nor not nothing now of off often on once one only onto or other
others otherwise our ours ourselves out over own perhaps rather same see several shall she should
since so some something sometimes still such than that the their theirs them themselves then there
therefore these they thing things this those though through thus to too toward under unless until
up upon us use used uses using very was we well were what whatever when where whether which while
who whole whom whose why will with within without would yet you your yours yourself
ain't can't let's ll shan't ve won't""".split())  # I'll and I've begin with one letter
_INSIDE = rf"(?:[^\W\d_]|[{category_ranges('M')}])"  # \w has no vowel signs (Devanagari)
_WORD = re.compile(rf"[^\W\d_]{_INSIDE}+(?:[-'][^\W\d_]{_INSIDE}*)*")
_ENDING = re.compile(r"(?:n't|'[^\W\d_]+)$")  # of isn't, it's, they're


def candidate_words(text: str, stop_words: Collection[str] = STOP_WORDS) -> list[str]:
    """Returns the words of a text in lower case, without `stop_words` and their short forms (it's,
    isn't), the most frequent first and equally frequent ones in the order of the text."""
    text = unicodedata.normalize("NFC", text.lower().replace("’", "'"))  # é as one character
    words = [word for word in _WORD.findall(text)
             if word not in stop_words and _ENDING.sub("", word) not in stop_words]
    return [word for word, _ in Counter(words).most_common()]


def maximal_marginal_relevance(document: np.ndarray, candidates: np.ndarray, top_n: int,
                               diversity: float = 0.5) -> list[int]:
    """Returns the rows of candidates (N, C) that are nearest to document (C,) by cosine and not
    near each other, in the order of their choice; all N where there are no more than top_n.

    Each choice has the largest lambda cos(document, c) - (1 - lambda) max_chosen cos(c, chosen),
    lambda = 1 - diversity (Carbonell & Goldstein 1998, "The Use of MMR, Diversity-Based Reranking
    for Reordering Documents and Producing Summaries"). Errors: InputError for top_n below 1,
    a diversity outside 0 to 1, a vector without length, and shapes that do not fit.
    """
    whole_number("top_n", top_n, 1)
    number("diversity", diversity, 0, 1)
    if candidates.ndim != 2 or document.shape != candidates.shape[1:]:
        raise InputError(f"maximal_marginal_relevance: document {document.shape}, candidates "
                         f"{candidates.shape}: expected (C,) and (N, C)")
    lengths = np.linalg.norm(candidates, axis=1), np.linalg.norm(document)
    if not all(np.all((length > 0) & (length < np.inf)) for length in lengths):
        raise InputError("maximal_marginal_relevance: a vector is zero or not finite: it has no "
                         "cosine")
    candidates = candidates / lengths[0][:, None]
    relevance, nearest = candidates @ (document / lengths[1]), np.zeros(len(candidates))  # (N,)
    chosen: list[int] = []
    while len(chosen) < min(top_n, len(candidates)):
        marginal = (1 - diversity) * relevance - diversity * nearest
        marginal[chosen] = -np.inf
        chosen.append(int(marginal.argmax()))
        nearest = (candidates @ candidates[chosen].T).max(axis=1)
    return chosen


def extract_keywords(text: str, embed: Callable[[list[str]], np.ndarray], top_n: int = 5,
                     diversity: float = 0.5, nr_candidates: int = 20,
                     stop_words: Collection[str] = STOP_WORDS) -> list[str]:
    """Returns at most top_n keywords of a text, among its `nr_candidates` most frequent words.

    embed: texts -> vectors (N, C). Errors: InputError for a text without candidates, and as
    maximal_marginal_relevance.
    """
    words = candidate_words(text, stop_words)[:whole_number("nr_candidates", nr_candidates, 1)]
    if not words:
        raise InputError(f"keywords: {text!r:.60} has no word that is not a stop word: give a "
                         "longer text or fewer stop words")
    vectors = embed([text, *words])
    return [words[i] for i in maximal_marginal_relevance(vectors[0], vectors[1:], top_n, diversity)]


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
