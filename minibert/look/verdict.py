"""Verdict: what the curves of a training say, in sentences that its own figures support.

The thresholds were measured on runs (tests/README.md lists them), not assumed:

- START: untrained models of the default sizes began up to 0.6 nats above ln V (their first logits
  have a standard deviation of about 1), those with first weights of 0.02 within 0.02, those with
  weights 5 and 10 times as wide 6 and 14 to 17 above. On 20 masked words one evaluation was 1.29
  above, but the first training batch 0.43: only both together count.
- RISE: where nothing was learned by heart the held-out loss rose by at most 0.01 above its best;
  where a text was learned by heart it rose by 0.14 to 4.
- A share of cut gradients has no threshold: healthy trainings had from 4 % to 100 %.
"""

from __future__ import annotations

import numpy as np

START, RISE = 1.0, 0.1
FEW = 0.2  # of the way from the start to counting words: less is hardly learned
END_SHARE = 0.1  # the last tenth of the steps is the end

FACT, GOOD, WARNING = "fact", "good", "warning"


def verdict(history: dict) -> list[tuple[str, str]]:
    """(FACT, GOOD or WARNING, a sentence) pairs about a history (see history.read_history)."""
    chart = history["charts"][0]
    lines = {line["key"]: line["value"] for line in chart["lines"]}
    found = [_progress(history)]
    if chart["dots"] and chart["dots"][0][0] == 0:
        found += _start(history, chart["dots"][0][1], lines)
    if _diverged(chart):
        found += _divergence(chart, history["settings"])
    elif len(chart["dots"]) > 1:
        found += [*_against_counting(chart, history["settings"]), *_rise(chart)]
    found += [*_distance(chart, history["oracle"]), *_metrics(history), *_clipping(history)]
    return found


def _progress(history: dict) -> tuple[str, str]:
    done, steps = history["steps_done"], history["settings"].get("steps")
    if history["finished"]:
        early = f" (stopped early: {steps:,} were planned)" if done < steps else ""
        return FACT, f"Finished after {done:,} steps{early}."
    begun = (f"Not finished: {done:,} of {steps:,} steps" if done < steps else
             f"All {done:,} steps are done, but summary.json is not about them")
    return FACT, f"{begun}. --resume goes on; the figures to compare with are computed at the end."


def _start(history: dict, first: float, lines: dict) -> list[tuple[str, str]]:
    """The untrained model beside ln V: the evaluation at step 0, and the first training batch."""
    if "uniform" not in lines:
        return []
    batch, uniform = history["first_loss"], lines["uniform"]
    beside = (f"Starts at {first:.2f} on the held-out text, at {batch:.2f} on the first batch; "
              f"ln V is {uniform:.2f}")
    if "from" in history["about"]:
        return [(FACT, f"{beside}: this training goes on with a trained model.")]
    if min(first, batch) > uniform + START:
        return [(WARNING, f"{beside}: the untrained model prefers some words without a cause. The "
                          "first weights may be too wide.")]
    if max(first, batch) < uniform - START:
        return [(WARNING, f"{beside}: no untrained model does so. Does the model see the answer?")]
    return [(GOOD, f"{beside}: as an untrained model should.")]


def _ends(chart: dict) -> tuple[float, float]:
    """The mean training loss of the first bin, and that of the last tenth of the bins."""
    mean = chart["bins"]["mean"]
    return mean[0], mean[-max(1, int(END_SHARE * len(mean))):].mean()


def _diverged(chart: dict) -> bool:
    """Whether both losses end above their start or, without a second evaluation, the training loss
    far above."""
    first, end = _ends(chart)
    if len(chart["dots"]) > 1:
        return end > first and chart["dots"][-1][1] > chart["dots"][0][1]
    return end > first + START


def _divergence(chart: dict, settings: dict) -> list[tuple[str, str]]:
    first, end = _ends(chart)
    return [(WARNING, f"Diverged: the training loss began at {first:.2f} and ended at {end:.2f}. "
                      f"Try a lower learning rate (it was up to {settings.get('lr')}).")]


def _against_counting(chart: dict, settings: dict) -> list[tuple[str, str]]:
    """Name the evaluation from which on the held-out loss is below each of the counts."""
    found, dots = [], chart["dots"]
    for line in chart["lines"]:
        if line["key"] in ("uniform", "oracle"):
            continue
        since = None
        for step, loss in dots:
            since = None if loss >= line["value"] else step if since is None else since
        name = f"{line['label']} ({line['value']:.2f})"
        if since is not None:
            found.append((GOOD, f"Below {name} at every evaluation since step {since:,}."))
        elif min(loss for _, loss in dots) < line["value"]:
            found.append((WARNING, f"Was below {name}, but is at {dots[-1][1]:.2f} now."))
        else:
            found.append((WARNING, f"Not below {name}: ends at {dots[-1][1]:.2f}."))
            if line["key"] == "unigram":
                return found + _hardly_learned(dots, line["value"], settings)
    return found


def _hardly_learned(dots: list, unigram: float, settings: dict) -> list[tuple[str, str]]:
    """Tell a training that is too slow from others that are no better than counting words."""
    way = dots[0][1] - unigram
    if way > 0 and dots[0][1] - dots[-1][1] < FEW * way:
        return [(WARNING, f"It went {(dots[0][1] - dots[-1][1]) / way:.0%} of the way there: more "
                          f"steps, or a higher learning rate (it was up to {settings.get('lr')}).")]
    return []


def _rise(chart: dict) -> list[tuple[str, str]]:
    """A held-out loss that rises, while the training loss falls or with it."""
    dots, mean = chart["dots"], chart["bins"]["mean"]
    best_step, best = min(dots, key=_loss)
    if dots[-1][1] - best < RISE:
        return []
    at_best = mean[np.searchsorted(chart["bins"]["last"], best_step).clip(max=len(mean) - 1)]
    _, end = _ends(chart)
    rose = f"since step {best_step:,} the held-out loss rose from {best:.2f} to {dots[-1][1]:.2f}"
    kept = "best/ holds the model of the best evaluation."
    if end < at_best - RISE:
        return [(WARNING, f"Learns by heart: {rose} while the training loss fell to {end:.2f}. "
                          f"{kept}")]
    return [(WARNING, f"{rose[0].upper()}{rose[1:]}, the training loss did not fall. {kept}")]


def _loss(dot: list) -> float:
    return dot[1]


def _distance(chart: dict, oracle: dict | None) -> list[tuple[str, str]]:
    names = ("gap", "gap_standard_error", chart["key"])
    gap, error, best = [(oracle or {}).get(name) for name in names]
    if None in (gap, error, best):
        return []
    return [(FACT, f"{gap:.3f} +- {error:.3f} above the best possible ({best:.3f}) at the end.")]


def _metrics(history: dict) -> list[tuple[str, str]]:
    """The figures of the last evaluation that have baselines, such as an accuracy."""
    return [(FACT, f"{chart['title']} {chart['dots'][-1][1]:.3f}; "
             + ", ".join([f"{line['label']} {line['value']:.3f}" for line in chart["lines"]]) + ".")
            for chart in history["charts"] if chart["bins"] is None and chart["dots"]]


def _clipping(history: dict) -> list[tuple[str, str]]:
    if history["clipped"] is None:
        return []
    return [(FACT, f"The gradient's norm was cut to {history['settings']['clip']} in "
                   f"{history['clipped']:.0%} of the steps (4% to 100% in healthy runs).")]
