"""Make metrics_reference.json beside this script with scikit-learn, SciPy and seqeval.

    python tests/finetuning/make_metrics_reference.py

Random predictions, with what is degenerate among them: one class only, classes that never occur,
constants, sentences without an entity, tags that are ill-formed. Made with scikit-learn 1.9, SciPy
1.17 and seqeval 1.2; the tests need none of them.
"""

import json
import warnings
from pathlib import Path

import numpy as np
import scipy.stats
import sklearn.metrics as sk
from seqeval.metrics import sequence_labeling as seq

warnings.simplefilter("ignore")  # of 0/0, which counts as 0
rng = np.random.default_rng(0)


def classes(right, predicted, n_classes):
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        right, predicted, labels=range(n_classes), zero_division=0)
    return {"right": right.tolist(), "predicted": predicted.tolist(), "classes": n_classes,
            "accuracy": sk.accuracy_score(right, predicted),
            "confusion": sk.confusion_matrix(right, predicted, labels=range(n_classes)).tolist(),
            "precision": precision.tolist(), "recall": recall.tolist(), "f1": f1.tolist(),
            "support": support.tolist(),
            "macro_f1": sk.f1_score(right, predicted, average="macro", zero_division=0),
            "micro_f1": sk.f1_score(right, predicted, average="micro", zero_division=0),
            "matthews": sk.matthews_corrcoef(right, predicted),
            "adjusted_rand": sk.adjusted_rand_score(right, predicted)}


def numbers(right, predicted):
    found = [scipy.stats.pearsonr(right, predicted)[0], scipy.stats.spearmanr(right, predicted)[0]]
    found = [None if np.isnan(value) else float(value) for value in found]
    return {"right": right.tolist(), "predicted": predicted.tolist(), "pearson": found[0],
            "spearman": found[1]}


def entities(right, predicted):
    precision, recall, f1, support = seq.precision_recall_fscore_support(right, predicted,
                                                                         zero_division=0)
    kinds = sorted({tag[2:] or "_" for tags in right + predicted for tag in tags if tag != "O"})
    return {"right": right, "predicted": predicted, "kinds": kinds,
            "precision": precision.tolist(), "recall": recall.tolist(), "f1": f1.tolist(),
            "support": support.tolist(),
            "micro": [seq.precision_score(right, predicted), seq.recall_score(right, predicted),
                      seq.f1_score(right, predicted)],
            "macro_f1": float(seq.f1_score(right, predicted, average="macro")) if kinds else 0.0}


def sentences(tags, p, lengths=(1, 8), count=12):
    return [rng.choice(tags, rng.integers(*lengths), p=p).tolist() for _ in range(count)]


def disturbed(tags, sentence, share):
    return [str(rng.choice(tags)) if rng.random() < share else tag for tag in sentence]


if __name__ == "__main__":
    cases = {"classes": [], "numbers": [], "entities": []}
    for n, n_classes in ((40, 2), (40, 4), (9, 7), (1, 3), (25, 3)):
        cases["classes"].append(classes(rng.integers(0, n_classes, n),
                                        rng.integers(0, n_classes, n), n_classes))
    skewed = rng.choice(4, 60, p=[0.7, 0.2, 0.1, 0.0])
    cases["classes"].append(classes(skewed, np.where(rng.random(60) < 0.6, skewed, 0), 4))
    for right, predicted in (([0] * 5, [0] * 5), ([0] * 5, [1] * 5), ([0, 1, 2, 1], [1] * 4),
                             ([2, 1, 0, 1], [2, 1, 0, 1])):
        cases["classes"].append(classes(np.array(right), np.array(predicted), 3))

    x = rng.normal(size=20)
    cases["numbers"] += [numbers(x, x + rng.normal(size=20)), numbers(x, -3 * x + 1),
                         numbers(rng.integers(0, 5, 30) / 1, rng.integers(0, 5, 30) / 1),
                         numbers(x, np.ones(20)), numbers(1e6 + x, 1e6 + rng.normal(size=20)),
                         numbers(np.array([1.0, 2.0]), np.array([5.0, 3.0]))]

    tags = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "I-ORG"]
    for share in (0.1, 0.3, 1.0):
        right = sentences(tags, [0.4, 0.15, 0.15, 0.1, 0.1, 0.1])
        cases["entities"].append(entities(right, [disturbed(tags, s, share) for s in right]))
    nothing = sentences(["O"], [1.0])
    cases["entities"] += [entities(nothing, [disturbed(tags, s, 0.5) for s in nothing]),
                          entities(right, [["O"] * len(s) for s in right]),
                          entities(nothing, nothing),
                          entities([["B-A-B", "I-A-B", "I-A", "O"]],
                                   [["I-A-B", "I-A-B", "B-A", "O"]])]
    for share in (0.2, 1.0):  # without types, and mixed with tags that have one
        right = sentences(["O", "B", "I"], [0.5, 0.25, 0.25])
        cases["entities"].append(entities(right, [disturbed(["O", "B", "I"], s, share)
                                                  for s in right]))
    cases["entities"].append(entities(right, [disturbed(tags, s, 0.5) for s in right]))
    text = json.dumps(cases, separators=(",", ":"))
    (Path(__file__).parent / "metrics_reference.json").write_text(text + "\n")
