"""Demo 31: a knowledge graph as vectors: TransE, where a relation is a step from head to tail.

    python demos/31_entities_and_relations.py

word2vec's arithmetic, king - man + woman, came out by accident; TransE (Bordes et al. 2013) trains
for it: h + r is close to t for each triple (head, relation, tail). The graph holds the facts of the
toy world: who does what, what an action takes, what stands near what, what is how. Some triples are
held out, and each is asked from both ends: (boat, near, ?), (?, near, bank).

Most questions have several right answers. The filtered rank leaves the other ones out, so the best
possible is 1 on every question; without the filter n right answers share the ranks 1 to n in an
order that nothing determines, which bounds the expected score. Held out are only facts whose head
and tail keep another fact of the same relation; what an action takes stays in training.
"""

import argparse
from collections import Counter

import numpy as np

import minibert as mb
from minibert.ancestors.knowledge_graph import (KnowledgeGraph, TransE, TransEObjective, Triple,
                                                link_prediction)
from minibert.toy_world.grammar import CHARACTERS, TOPICS

METRICS = ("hits@1", "hits@10", "mean_reciprocal_rank")
MARGIN = 4.0


def toy_graph() -> list[Triple]:
    """Returns the facts of the toy world."""
    facts = []
    for one in CHARACTERS:
        facts += [(one.noun, "is", one.quality), (one.noun, "does", one.habit)]
        facts += [(one.habit, "takes", thing) for thing in one.habit_objects]
        facts += [(one.noun, "does", verb) for topic in TOPICS.values()
                  for verb, _, _ in topic.actions]
    for topic in TOPICS.values():
        places = (topic.home, *topic.places)
        for verb, _, things in topic.actions:
            facts += [(verb, "takes", thing) for thing in things]
            facts += [(thing, "near", place) for thing in things for place in places]
        facts += [(place, "is", quality) for place in places for quality in topic.qualities]
    return list(dict.fromkeys(facts))


def split(facts: list[Triple], count: int, rng: np.random.Generator
          ) -> tuple[list[Triple], list[Triple]]:
    """Returns (training, held out): up to `count` facts whose head and tail both keep another fact
    of the same relation."""
    heads, tails = (Counter(fact[:2] for fact in facts), Counter(fact[1:] for fact in facts))
    held_out = []
    for fact in [facts[i] for i in rng.permutation(len(facts))]:
        if len(held_out) < count and fact[1] != "takes" and heads[fact[:2]] > 1 < tails[fact[1:]]:
            held_out.append(fact)
            heads[fact[:2]] -= 1
            tails[fact[1:]] -= 1
    return [fact for fact in facts if fact not in held_out], held_out


def best_without_filter(known: np.ndarray, triples: np.ndarray) -> dict[str, float]:
    """Returns the expected scores where the n right answers to a question come first, in a random
    order: 1/n, min(1, 10/n), and (1 + 1/2 + ... + 1/n) / n."""
    h, r, t = triples.T
    n = np.concatenate([known[r, :, t].sum(axis=1), known[r, h].sum(axis=1)])
    harmonic = np.array([np.mean(1 / np.arange(1, k + 1)) for k in n])
    return dict(zip(METRICS, (np.mean(1 / n), np.minimum(1, 10 / n).mean(), harmonic.mean())))


def trained(graph: KnowledgeGraph, train: list[Triple], held_out: list[Triple], steps: int
            ) -> TransE:
    """Returns a TransE after `steps` updates."""
    model = TransE(graph, hidden_size=32, rng=1)
    mb.Trainer(model, TransEObjective(graph, train, held_out, 256, MARGIN, seed=1),
               mb.TrainingSettings(steps=steps, lr=1e-2, warmup=0, schedule="linear",
                                   weight_decay=0.0, eval_every=0, seed=1)).run()
    return model


def nearest(graph: KnowledgeGraph, vectors: np.ndarray, words: tuple[str, str, str]) -> list[str]:
    """Returns the other entities by their distance from a - b + c."""
    a, b, c = [graph.entities.index(word) for word in words]
    distances = np.abs(vectors - (vectors[a] - vectors[b] + vectors[c])).sum(axis=1)
    return [graph.entities[i] for i in np.argsort(distances) if i not in (a, b, c)]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--held-out", type=int, nargs="+", default=[80, 140])
    arguments = parser.parse_args(argv)
    facts = toy_graph()
    graph = KnowledgeGraph(facts)
    known = graph.table(graph.ids(facts))  # (R, E, E)
    print(f"{len(facts)} facts about {len(graph.entities)} entities: "
          f"{', '.join(' '.join(facts[i]) for i in (0, 1, 2, -40, -1))}\n")
    found = {}
    for count in arguments.held_out:
        train, held_out = split(facts, count, np.random.default_rng(0))
        asked, A = graph.ids(held_out), graph.table(graph.ids(train)).astype(float)
        model = trained(graph, train, held_out, arguments.steps)
        frequency = A.sum(axis=1, keepdims=True) + A.sum(axis=2, keepdims=True)
        paths = A @ A.transpose(0, 2, 1) @ A  # h - t' - h' - t within one relation
        rows = {"frequency": frequency, "paths": paths, "TransE": -model.distance_table()}
        print(f"{len(held_out)} held out" + " " * 26 + "hits@1  hits@10  mean reciprocal rank")
        for name, scores in rows.items():
            found[count, name] = link_prediction(-scores, asked, known)
            show(name, found[count, name])
        show("best possible", dict.fromkeys(METRICS, 1.0))
        raw = link_prediction(-rows["TransE"], asked, np.zeros_like(known))
        show("TransE without the filter", raw)
        show("best possible without it", best_without_filter(known, asked))
        print()

    vectors = model.entities(np.arange(len(graph.entities))).data
    people = [one.noun for one in CHARACTERS]
    things = [thing for topic in TOPICS.values() for _, _, some in topic.actions for thing in some]
    to_a_person = np.mean([nearest(graph, vectors, (person, a, b))[0] in people
                           for person in people for a in things for b in things if a != b])
    who = nearest(graph, vectors, ("captain", "boat", "piano"))
    print("Arithmetic, the nearest first:\n  captain - boat + piano, somebody who does something "
          f"to a piano, as all six do:\n    {', '.join(who[:7])}\n  of all such, character - thing "
          f"+ other thing, {to_a_person:.1%} give a character first")
    print("  tea - captain + painter, what the painter alone takes, mint or grass:\n    "
          + ", ".join(nearest(graph, vectors, ("tea", "captain", "painter"))[:7]))
    takes = [(verb, thing) for verb, relation, thing in facts if relation == "takes"]
    right = np.mean([(nearest(graph, vectors, (a, b, d))[0], d) in takes for a, b in takes
                     for c, d in takes if a != c and (a, d) not in takes and b != d])
    print(f"  rows - boat + piano: {nearest(graph, vectors, ('rows', 'boat', 'piano'))[0]}; of all "
          f"such, action - thing + other thing, {right:.1%} give an action\n  that takes the other "
          "thing")

    for count in arguments.held_out:
        rank = {name: found[count, name]["mean_reciprocal_rank"] for name in rows}
        assert rank["TransE"] > max(rank["frequency"], rank["paths"]), rank
    assert to_a_person > 0.5, to_a_person
    assert right > 0.8, right
    fitted = link_prediction(model.distance_table(), graph.ids(train), known)
    print(f"\nWhere TransE reaches 1, the training triples are enough for every answer. Of the "
          f"last training\ntriples {fitted['hits@1']:.1%} have rank 1, also what one character "
          "alone does: one step is learned.\nThe sum of two steps was never trained.")
    print("The sentence of the story: a vector can hold facts, and a relation is a direction among "
          "them.")
    print("Claim: h + r finds held-out facts better than counting answers and paths do,\n"
          "and character - thing + other thing is most often a character.")


def show(name: str, metrics: dict[str, float]) -> None:
    """Print a row."""
    print(f"   {name:30}" + "".join(f"{metrics[key]:9.3f}" for key in METRICS))


if __name__ == "__main__":
    main()
