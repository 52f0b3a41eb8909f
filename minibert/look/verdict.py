"""Verdict: what the curves of a training say, in sentences that its own figures support.

The thresholds were measured on runs (tests/README.md lists them), not assumed:

- START: untrained models of the default sizes began up to 0.6 nats above ln V (their first logits
  have a standard deviation of about 1), those with first weights of 0.02 within 0.02, those with
  weights 5 and 10 times as wide 6 and 14 to 17 above. On 20 masked words one evaluation was 1.29
  above, but the first training batch 0.43: only both together count.
- RISE: where nothing was memorized the held-out loss rose by at most 0.01 above its best;
  where a text was memorized it rose by 0.14 to 4.
- A share of cut gradients has no threshold: healthy trainings had from 4 % to 100 %.
"""

from __future__ import annotations

from operator import itemgetter

import numpy as np

START, RISE = 1.0, 0.1
FEW = 0.2  # of the way from the start to counting words: less is hardly learned
END_SHARE = 0.1  # the last tenth of the steps is the end

FACT, GOOD, WARNING = "fact", "good", "warning"
Sentence = tuple[str, str]  # FACT, GOOD or WARNING, and its text


def verdict(history: dict) -> list[Sentence]:
    """(FACT, GOOD or WARNING, a sentence) pairs about a history (see history.read_history)."""
    chart, others = history["charts"][0], history["charts"][1:]
    dots, settings = chart["dots"], history["settings"]
    lr = f"learning rate (it was up to {settings.get('lr')})"
    first, end = _ends(chart)
    found = [_progress(history), *_start(history, chart)]
    if len(dots) > 1:
        diverged = end > first and dots[-1][1] > dots[0][1]
    else:
        diverged = end > first + START
    if diverged:
        found.append((WARNING, f"Diverged: the training loss began at {first:.2f} and ended at "
                               f"{end:.2f}. Try a lower {lr}."))
    elif len(dots) > 1:
        found += [*_against_counting(chart, lr), *_rise(chart)]
    oracle = history["oracle"] or {}
    gap, error, best = [oracle.get(name) for name in ("gap", "gap_standard_error", chart["key"])]
    if None not in (gap, error, best):
        found.append((FACT, f"{gap:.3f} +- {error:.3f} above the best possible ({best:.3f}) at the "
                            "end."))
    for other in others:  # figures with baselines, such as an accuracy
        if other["bins"] is None and other["dots"]:
            lines = ", ".join([f"{line['label']} {line['value']:.3f}" for line in other["lines"]])
            found.append((FACT, f"{other['title']} {other['dots'][-1][1]:.3f}; {lines}."))
    if history["clipped"] is not None:
        found.append((FACT, f"The gradient's norm was cut to {settings['clip']} in "
                            f"{history['clipped']:.0%} of the steps (4% to 100% in healthy runs)."))
    return found


def _progress(history: dict) -> Sentence:
    done, steps = history["steps_done"], history["settings"].get("steps")
    if history["finished"]:
        early = f" (stopped early: {steps:,} were planned)" if done < steps else ""
        return FACT, f"Finished after {done:,} steps{early}."
    begun = (f"Not finished: {done:,} of {steps:,} steps" if done < steps else
             f"All {done:,} steps are done, but summary.json is not about them")
    return FACT, f"{begun}. --resume goes on; the figures to compare with are computed at the end."


def _start(history: dict, chart: dict) -> list[Sentence]:
    """The untrained model beside ln V: the evaluation at step 0, and the first training batch."""
    lines = {line["key"]: line["value"] for line in chart["lines"]}
    if "uniform" not in lines or not chart["dots"] or chart["dots"][0][0] != 0:
        return []
    first, batch, uniform = chart["dots"][0][1], history["first_loss"], lines["uniform"]
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


def _against_counting(chart: dict, lr: str) -> list[Sentence]:
    """Name the evaluation from which on the held-out loss is below each of the counts; tell a
    training that is too slow from others that are no better than counting words."""
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
                way, gone = dots[0][1] - line["value"], dots[0][1] - dots[-1][1]
                if way > 0 and gone < FEW * way:
                    found.append((WARNING, f"It went {gone / way:.0%} of the way there: more "
                                           f"steps, or a higher {lr}."))
                break
    return found


def _rise(chart: dict) -> list[Sentence]:
    """A held-out loss that rises, while the training loss falls or with it."""
    dots, mean = chart["dots"], chart["bins"]["mean"]
    best_step, best = min(dots, key=itemgetter(1))
    if dots[-1][1] - best < RISE:
        return []
    at_best = mean[np.searchsorted(chart["bins"]["last"], best_step).clip(max=len(mean) - 1)]
    _, end = _ends(chart)
    rose = f"since step {best_step:,} the held-out loss rose from {best:.2f} to {dots[-1][1]:.2f}"
    kept = "best/ holds the model of the best evaluation."
    if end < at_best - RISE:
        return [(WARNING, f"Overfits: {rose} while the training loss fell to {end:.2f}. "
                          f"{kept}")]
    return [(WARNING, f"{rose[0].upper()}{rose[1:]}, the training loss did not fall. {kept}")]
