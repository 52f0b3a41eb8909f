"""Exercise 14: top_p(p, threshold)."""

import numpy as np
from hypothesis import strategies as st
from tests.exercises.checker import Part
from tests.exercises.drawing import generators

from minibert.generation import sampling


@st.composite
def distributions(draw):
    V = draw(st.integers(1, 8))
    p = np.exp(draw(generators()).normal(size=V) * draw(st.sampled_from([0.5, 1.5])))
    return {"p": p / p.sum(), "threshold": draw(st.sampled_from([0.05, 0.3, 0.5, 0.7, 0.9, 0.97]))}


def right(p, threshold):
    return sampling.probabilities(sampling.keep_top_p(np.log(p)[None], threshold))[0]


def adds_up_to_one(function, inputs, output):
    return None if abs(output.sum() - 1) < 1e-9 else (
        f"probabilities add up to 1; here {output.sum():.5f}")


def enough_is_kept(function, inputs, output):
    kept = inputs["p"][output > 0]
    if not kept.size:
        return "no token is left: the most probable one always stays"
    if kept.sum() < inputs["threshold"] - 1e-9:
        return (f"the kept tokens had the probability {kept.sum():.3f} together, less than the "
                f"threshold {inputs['threshold']}")
    if kept.sum() - kept.min() >= inputs["threshold"] + 1e-9:
        return "without the least probable of the kept tokens the threshold is reached already"
    return None


# ---- known mistakes ------------------------------------------------------------------------------


def kept(p, places):
    """p at the first `places` of the descending order, 0 elsewhere."""
    result = np.zeros_like(p)
    order = np.argsort(-p)[:places]
    result[order] = p[order]
    return result


def needed(p, threshold):
    cumulative = np.cumsum(np.sort(p)[::-1])
    return int((cumulative - np.sort(p)[::-1] < threshold).sum())


def crossing_token_lost(p, threshold):
    """The token that crosses the threshold is lost: keep a token when those before it have less
    than the threshold together."""
    result = kept(p, needed(p, threshold) - 1)
    return result / result.sum()


def crossing_token_lost_but_one(p, threshold):
    """The token that crosses the threshold is lost (except the very first): keep a token when those
    before it have less than the threshold together."""
    result = kept(p, max(needed(p, threshold) - 1, 1))
    return result / result.sum()


def not_renormalised(p, threshold):
    """The kept probabilities are not divided by their sum."""
    return kept(p, needed(p, threshold))


def least_probable(p, threshold):
    """The order is ascending, so that the least probable tokens are kept: np.argsort(-p)."""
    order = np.argsort(p)
    before = np.cumsum(p[order]) - p[order]
    result = np.zeros_like(p)
    result[order] = np.where(before < threshold, p[order], 0)
    return result / result.sum()


def each_alone(p, threshold):
    """Each probability by itself is compared with the threshold: it is their running sum."""
    result = np.where(p >= threshold, p, 0)
    return result / result.sum()


def one_too_many(p, threshold):
    """One token too many is kept."""
    result = kept(p, needed(p, threshold) + 1)
    return result / result.sum()


def left_sorted(p, threshold):
    """The result is in sorted order: each probability belongs at the place of its token."""
    result = np.sort(kept(p, needed(p, threshold)))[::-1]
    return result / result.sum()


def in_order_of_ids(p, threshold):
    """The running sum goes through the tokens in order of their ids: sort them first, the most
    probable in front."""
    result = np.where(np.cumsum(p) - p < threshold, p, 0)
    return result / result.sum()


def one_minus_p(p, threshold):
    """The threshold is taken from the wrong end: keep threshold, not 1 - threshold."""
    return right(p, 1 - threshold)


PARTS = (
    Part("top_p", distributions(),
         (crossing_token_lost, crossing_token_lost_but_one, not_renormalised, least_probable,
          each_alone, one_too_many, left_sorted, in_order_of_ids, one_minus_p),
         right, (adds_up_to_one, enough_is_kept), examples=60),)
