"""Exercise 10: mask_tokens(ids, vocab_size, rng)."""

import numpy as np
from hypothesis import strategies as st
from tests.exercises.checker import Part
from tests.exercises.checks.statistics import Counts, wrong_figure
from tests.exercises.drawing import generators

PAD, CLS, SEP, MASK = range(4)
IGNORED = -100
V = 24


@st.composite
def batches(draw):
    """ids (B, T) of [CLS] words [SEP], some with padding."""
    B, T = draw(st.integers(1, 3)), draw(st.integers(3, 30))
    return {"ids": texts(draw(generators()), B, T), "vocab_size": V,
            "seed": draw(st.integers(0, 99))}


def texts(rng, B, T):
    ids = rng.integers(MASK + 1, V, (B, T))
    ids[:, 0] = CLS
    for row, last in zip(ids, rng.integers(2, T, B)):
        row[last], row[last + 1:] = SEP, PAD
    return ids


LARGE = {"ids": texts(np.random.default_rng(0), 2000, 40), "vocab_size": V, "seed": 1}


def arguments(inputs):
    return [inputs["ids"].copy(), V, np.random.default_rng(inputs["seed"])]


def figures(ids, shown, labels):
    words, chosen = ids > MASK, labels != IGNORED
    other = chosen & (shown != MASK) & (shown != ids)
    k = V - 1 - MASK  # ordinary words: one random word in k is the word itself
    return {"special tokens that have a label": (int((chosen & ~words).sum()),
                                                 int((~words).sum()), 0),
            "words that have a label": (int((chosen & words).sum()), int(words.sum()), 0.15),
            "labels that are the original token": (int((labels == ids)[chosen].sum()),
                                                   int(chosen.sum()), 1),
            "tokens without a label that are changed": (int((shown != ids)[~chosen].sum()),
                                                        int((~chosen).sum()), 0),
            "chosen words shown as [MASK]": (int((shown[chosen] == MASK).sum()),
                                             int(chosen.sum()), 0.8),
            "chosen words shown as another token": (int(other.sum()), int(chosen.sum()),
                                                    0.1 * (k - 1) / k),
            "other tokens that are special": (int((shown[other] <= MASK).sum()),
                                              int(other.sum()), 0),
            "other tokens in the upper half of the vocabulary":
                (int((shown[other] >= MASK + 1 + k // 2).sum()), int(other.sum()), 0.5)}


def form(function, inputs, output):
    shown, labels = output
    for name, array in (("shown", shown), ("labels", labels)):
        if not isinstance(array, np.ndarray) or array.shape != inputs["ids"].shape:
            return f"{name} is not an array of the shape of ids, {inputs['ids'].shape}"
        if array.dtype.kind != "i":
            return f"{name} has the dtype {array.dtype}: ids are whole numbers"
    return None


def shares(function, inputs, output):
    if form(function, inputs, output):
        return None
    found = figures(inputs["ids"], *output)
    if inputs is LARGE:
        return wrong_figure(found)
    return wrong_figure({name: figure for name, figure in found.items() if figure[2] in (0, 1)})


def symptoms(inputs, output):
    return Counts(figures(inputs["ids"], *output))


# ---- known mistakes ------------------------------------------------------------------------------


def masked(ids, rng, share=0.15, special=False, lowest=MASK + 1, cuts=(0.8, 0.9), labels=None):
    """The corruption with a mistake in it."""
    chosen = (rng.random(ids.shape) < share) & (special | (ids > MASK))
    u, words = rng.random(ids.shape), rng.integers(lowest, V, ids.shape)
    shown = np.where(u < cuts[0], MASK, np.where(u < cuts[1], words, ids))
    shown = np.where(chosen, shown, ids)
    return shown, np.where(chosen, ids if labels is None else labels(ids, shown), IGNORED)


def special_tokens_chosen(ids, vocab_size, rng):
    """Special tokens and padding are chosen as well: only ids above MASK are words."""
    return masked(ids, rng, special=True)


def always_masked(ids, vocab_size, rng):
    """Every chosen word becomes [MASK]: 10 % become a random word, 10 % stay as they are."""
    return masked(ids, rng, cuts=(1, 1))


def none_kept(ids, vocab_size, rng):
    """80 % [MASK], 20 % random words: half of these 20 % are kept as they are."""
    return masked(ids, rng, cuts=(0.8, 1))


def none_random(ids, vocab_size, rng):
    """80 % [MASK], 20 % kept: half of these 20 % become a random word."""
    return masked(ids, rng, cuts=(0.8, 0.8))


def share_of_the_rest(ids, vocab_size, rng):
    """The second draw takes 10 % of the rest that is not masked: draw once, u < 0.8, u < 0.9."""
    return masked(ids, rng, cuts=(0.8, 0.82))


def random_special_tokens(ids, vocab_size, rng):
    """A random word may be a special token: draw from MASK + 1 to vocab_size - 1."""
    return masked(ids, rng, lowest=0)


def half_of_the_words(ids, vocab_size, rng):
    """The random words come from one half of the vocabulary only: they are uniform over all words,
    rng.integers(MASK + 1, vocab_size)."""
    chosen_shown, labels = masked(ids, rng)
    other = (labels != IGNORED) & (chosen_shown != MASK) & (chosen_shown != ids)
    words = rng.integers(MASK + 1, MASK + 1 + (V - MASK - 1) // 2, ids.shape)
    return np.where(other, words, chosen_shown), labels


def labels_are_shown(ids, vocab_size, rng):
    """The labels are the tokens as shown: a label is the original token, also where [MASK] is
    shown."""
    return masked(ids, rng, labels=lambda ids, shown: shown)


def labels_everywhere(ids, vocab_size, rng):
    """Every word has a label: those that were not chosen get IGNORED, so that the loss leaves them
    out."""
    return masked(ids, rng)[0], ids.copy()


def only_masked_labelled(ids, vocab_size, rng):
    """Only the words shown as [MASK] have a label: the random and the kept ones are predicted as
    well."""
    shown, labels = masked(ids, rng)
    return shown, np.where(shown == MASK, labels, IGNORED)


def eighty_five_per_cent(ids, vocab_size, rng):
    """85 % of the words are chosen instead of 15 %: rng.random(...) < 0.15."""
    return masked(ids, rng, share=0.85)


PARTS = (
    Part("mask_tokens", batches(),
         (special_tokens_chosen, always_masked, none_kept, none_random, share_of_the_rest,
          random_special_tokens, half_of_the_words, labels_are_shown, labels_everywhere,
          only_masked_labelled, eighty_five_per_cent),
         laws=(form, shares), arguments=arguments, symptoms=symptoms, extra=(LARGE,),
         probes=(LARGE,)),)
