"""Exercise 11: pairs for next-sentence prediction.

Read first: demos/05_pretraining_examples.py; STORIES in minibert/micro.py.

BERT's second objective: does sentence B follow sentence A? (Devlin et al. 2019, section 3.1, task
2.) Half of the pairs have A's own B, the other half a random B:

    [CLS] the hungry cat finds food . [SEP] it eats . [SEP]       label 0: B follows A
    [CLS] the hungry cat finds food . [SEP] it sleeps . [SEP]     label 1: it does not

Label 0 means "follows", as in BERT. A random B must not be the true one by accident: several
stories have the same second sentence ("it eats ."), so sentences are compared, not their numbers.
The random B is a second sentence of another story, not any sentence: else the model could see from
its form alone that something is wrong.

All random numbers come from `rng`: rng.integers(0, 2, n) draws n labels, rng.choice(a_list) draws
one element.

Check: python -m pytest demos/exercises/11_sentence_pairs.py
Then train with it: python demos/exercises/train.py 11
"""

import numpy as np


def sentence_pairs(stories: list[tuple[str, str]],
                   rng: np.random.Generator) -> tuple[list[str], np.ndarray]:
    """One text "[CLS] A [SEP] B [SEP]" for each story (A, B), in their order, and the labels (N,),
    whole numbers: 0 with A's own B; 1, with probability 1/2, with the second sentence of another
    story that is not equal to B. The stories have at least two different second sentences."""
    raise NotImplementedError


# ---- hints: scroll down --------------------------------------------------------------------------
#
#
#
#
#
#
#
#
#
#
#
#
#
#
#
#
#
#
#
#
# 1. Draw all labels first, each with probability 1/2.
# 2. For a story (a, b): [other for _, other in stories if other != b]
# 3. f"[CLS] {a} [SEP] {second} [SEP]"
# 4. rng.choice of strings returns a NumPy string, which an f-string writes as usual.
