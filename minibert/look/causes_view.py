"""The view of causes: parts removed, activations patched, four answers to which word mattered."""

from __future__ import annotations

import numpy as np

from minibert.errors import InputError
from minibert.finetuning.metrics import spearman
from minibert.look import causes
from minibert.look.data import add_array, add_view, table
from minibert.look.heads import rollout
from minibert.look.subject import Subject, top_outputs
from minibert.look.truth import held_out_inputs, words_that_matter
from minibert.toy_world.oracle import Oracle

SITES = {"resid_pre": "stream", "attn_out": "attention", "mlp_out": "MLP"}  # their names in words
STRONGEST = 16  # rows of the tables of parts and of patches
OUTPUTS = 5  # the likeliest ones after a patch
STEPS = 64  # points of integrated gradients; a quarter of them with --quick
INTRO = ("The change of the explained logit when a part of the model or a word is taken away. A "
         "head is cut out before W\u2092, a branch adds nothing. Four answers to the question "
         "which word mattered stand side by side; they need not agree.")


def add_causes(data: dict, subjects: list[Subject], oracle: Oracle | None, quick: bool) -> None:
    """Add for each model with a target: the changes (L, H + 2) by zeros and (L, H) by means,
    patching (sites, L, T) where there is a second text, the influence (T, T) and the answers (K,
    T). `quick`: zeros only, resid_pre only, fewer steps."""
    tables, parts = [], []
    for m, subject in enumerate(subjects):
        if subject.target is None:
            parts.append({"note": f"{subject.name} has no head: there is nothing to explain."})
            continue
        text = {"model": subject.model, "ids": subject.ids, **subject.inputs(),
                "target": subject.target.indices}  # as the functions of causes.py take it
        part = {"value": causes.target_value(**text), "notes": []}
        try:
            tables.append(add_removed(data, m, subject, text, part, oracle, quick))
        except InputError as reason:  # a model that reads one text at a time
            parts.append({"note": f"{subject.name}: no causes. {reason}."})
            continue
        if subject.against is not None:
            tables += add_patched(data, m, subject, text, part, list(SITES)[:1 if quick else 3])
        try:
            found = causes.influence(subject.model, subject.ids, **subject.inputs())
        except InputError as reason:
            part["notes"].append(f"No influence of words on words: {reason}.")
        else:
            add_array(data, m, "causes.influence", found, "token word")
            future = np.triu(np.ones(found.shape, bool), 1)
            part["future"] = f"{int((found[future] == 0).sum())} of {int(future.sum())}"
        steps = STEPS // 4 if quick else STEPS
        tables.append(add_answers(data, m, subject, text, part, oracle, steps))
        facts = [["the explained logit", signed(part["value"])]]
        if "against" in part:
            facts.append(["with the second text", signed(part["against"]["value"])])
        if "future" in part:
            facts.append(["influences of later words that are exactly 0.0", part["future"]])
        facts += [["note", note] for note in part["notes"]]
        tables.append(table(f"{subject.name}: further facts", ["fact", ""], facts))
        parts.append(part)
    add_view(data, "causes", "Causes", INTRO, tables, models=parts, sites=list(SITES.values()))


def interventions(subject: Subject, quick: bool) -> int:
    """The runs of the model that add_causes makes; a run with gradients counts as three."""
    L, T = len(subject.layers), len(subject.ids)
    H = subject.model.config.num_attention_heads
    if subject.target is None:
        return 0
    removed = L * (H + 2) if quick else L * (2 * H + 2)
    places = 0 if subject.against is None else L * T * (1 if quick else len(SITES))
    patched = places + min(places, STRONGEST)
    return removed + patched + T + 3 * (T + (STEPS // 4 if quick else STEPS))


def add_removed(data: dict, m: int, subject: Subject, text: dict, part: dict,
                oracle: Oracle | None, quick: bool) -> dict:
    """Heads and branches removed; the table of the strongest. The means are those over held-out
    texts where there is an oracle's world to take them from, else over this text."""
    zero, branches = causes.ablate(**text), causes.ablate_branches(**text)  # (L, H), (L, 2)
    add_array(data, m, "causes.zero", np.hstack([zero, branches]), "layer part")
    head = ["part", "zeros"]
    rows = [[f"layer {i} head {h}", signed(zero[i, h])] for i, h in np.ndindex(zero.shape)]
    rows += [[f"layer {i} {('attention', 'MLP')[b]}", signed(branches[i, b])]
             for i, b in np.ndindex(branches.shape)]
    if not quick:
        how, over = "mean", "this text"
        if oracle is not None:
            over = "held-out texts"
            inputs = held_out_inputs(subject)
            how = causes.mean_of_heads(subject.model, inputs.pop("input_ids"), **inputs)
        mean = causes.ablate(how=how, **text)
        add_array(data, m, "causes.mean", mean, "layer head")
        head.append(f"its mean over {over}")
        part["notes"].append(f"The mean of a head is that over {over}.")
        means = [*map(signed, mean.ravel()), *[""] * branches.size]
        rows = [[*row, cell] for row, cell in zip(rows, means)]
    rows = sorted(rows, key=lambda row: -abs(float(row[1])))[:STRONGEST]
    return table(f"{subject.name}: the change of the logit when a part is replaced (the "
                 f"{len(rows)} strongest)", head, rows)


def add_patched(data: dict, m: int, subject: Subject, text: dict, part: dict, sites: list[str]
                ) -> list[dict]:
    """The recovered share of the difference to the second text; the table of the strongest."""
    other = subject.against
    patched = causes.patch(other_ids=other.ids, sites=sites, **text)
    there = causes.target_value(**text | {"ids": other.ids})
    if abs(there - part["value"]) < 1e-6:
        part["notes"].append("Both texts give the same logit: no difference can be recovered.")
        return []
    part["against"] = {"value": there, "tokens": other.tokens}
    shares = (patched - part["value"]) / (there - part["value"])
    add_array(data, m, "causes.patch", shares, "site layer token")
    strongest = np.argsort(-np.abs(shares), axis=None, kind="stable")[:STRONGEST]
    rows, part["patched"] = [], {}
    for site, layer, t in np.transpose(np.unravel_index(strongest, shares.shape)).tolist():
        name = f"blocks.{layer}.hook_{sites[site]}"
        outputs = causes.run_with_edits(subject.model, subject.ids, subject.inputs(),
                                        [[(name, (t,), other.cache[name][0, t])]])
        then = ", ".join([f"{word} {p:.2f}"
                          for word, p, _ in top_outputs(subject, outputs, OUTPUTS)])
        part["patched"][f"{site}/{layer}/{t}"] = then
        rows.append([f"{SITES[sites[site]]} {layer}", f"{t} {subject.tokens[t]}",
                     signed(shares[site, layer, t]), then])
    return [table(f"{subject.name}: one activation patched (the strongest)",
                  ["from the second text", "at token", "share", "then likeliest"], rows)]


def add_answers(data: dict, m: int, subject: Subject, text: dict, part: dict,
                oracle: Oracle | None, steps: int) -> dict:
    """Add what each word adds to the target by four measures (attention says no sign)."""
    baseline = None if subject.causal else subject.tokenizer.mask_token_id
    instead = "the mean word" if baseline is None else "[MASK]"
    gradients = causes.integrated_gradients(steps=steps, baseline=baseline, **text)
    answers = {
        "rollout": rollout(subject.activations("pattern"))[subject.target.position],
        "gradients": gradients.tokens,
        "replacement": -causes.replace_words(baseline=baseline, **text)}
    part["notes"].append(f"Gradients are integrated over {steps} points from {instead} to the word "
                         f"(gap {gradients.gap:.1%}); replacement puts {instead} at one token.")
    if oracle is not None:
        try:
            answers["oracle"] = words_that_matter(oracle, subject)
        except InputError as reason:
            part["notes"].append(f"No true answer: {reason}.")
    numbers = np.stack(list(answers.values()))  # (K, T)
    add_array(data, m, "causes.answers", numbers, "answer token")
    part["answers"] = list(answers)
    part["correlations"] = rank_correlations(numbers[:, ~np.array(subject.special)])
    rows = [[token, *["" if np.isnan(x) else signed(x) for x in of_token]]
            for token, of_token in zip(subject.tokens, numbers.T)]
    rows += [[f"correlation with {name}", *row]
             for name, row in zip(answers, part["correlations"])]
    return table(f"{subject.name}: what each word adds, by {len(answers)} measures",
                 ["token", *answers], rows)


def rank_correlations(numbers: np.ndarray) -> list[list[str]]:
    """Spearman's correlation of the sizes of each two of K answers, (K, words): K rows of texts;
    an empty one where an answer has the same size for all words."""
    sizes = np.round(np.abs(numbers), 9)  # what is 0 but for rounding has one rank
    varied = [len(np.unique(row)) > 1 for row in sizes]
    return [[f"{spearman(a, b):.2f}" if varied[i] and varied[j] else ""
             for j, b in enumerate(sizes)] for i, a in enumerate(sizes)]


def signed(x: float) -> str:
    """A number with its sign and three digits."""
    return f"{round(float(x), 3) + 0.0:+.3f}"  # no -0.000
