"""The true solutions: functions of micro.py and of the engine with the exercises' signatures.

Backward functions run backward through micro's graph, or the engine's fused function: none of them
shares code with the complex step that the checks use.
"""

from __future__ import annotations

import numpy as np
from tests.exercises.checks import block as block_checks
from tests.exercises.checks import bpe, kv_cache, top_p, wordpiece
from tests.exercises.micro_copy import micro

import minibert as mb


def gradients(function, arrays, upstream):
    """Through micro's graph."""
    tensors = [micro.Tensor(array) for array in arrays]
    (function(*tensors) * upstream).sum().backward()
    return tuple([tensor.grad for tensor in tensors])


def mul_backward(grad, a, b):
    return gradients(lambda a, b: a * b, (a, b), grad)


def topological_order(root):
    """micro's walk, of which the order is read off: a node's backward_fn runs at its turn."""
    tensors, order = {}, []

    def tensor_of(node):
        def backward_fn(grad):
            order.append(node)
            return [grad] * len(node.inputs)
        inputs = tuple([tensors[source] for source in node.inputs])
        return micro.Tensor(0.0, inputs or (micro.Tensor(0.0),), backward_fn)

    stack = [root]
    while stack:  # builds the tensors, inputs first
        node = stack[-1]
        pending = [source for source in node.inputs if source not in tensors]
        if pending:
            stack += pending
        else:
            stack.pop()
            tensors.setdefault(node, tensor_of(node))
    with np.errstate(all="ignore"):
        tensors[root].backward()
    return order[::-1]


def softmax_backward(dP, P):
    return gradients(micro.softmax, (np.log(np.maximum(P, 1e-300)),), dP)[0]


def layer_norm_backward(dy, x, weight, eps):
    return gradients(lambda x, weight, bias: micro.layer_norm(x, weight, bias, eps),
                     (x, weight, np.zeros(weight.shape)), dy)


def attention(query, key, value, mask):
    return micro.attention(*map(micro.Tensor, (query, key, value)), mask).data


def attention_backward(dO, query, key, value, P):
    everything = np.ones((1, 1, 1, 1), bool)
    return gradients(lambda *heads: micro.attention(*heads, everything), (query, key, value), dO)


def mask_tokens(ids, vocab_size, rng):
    assert vocab_size <= len(micro.VOCABULARY)  # micro draws words from its own vocabulary
    micro_words, micro.VOCABULARY = micro.VOCABULARY, micro.VOCABULARY[:vocab_size]
    try:
        return micro.mask_tokens(ids, rng)
    finally:
        micro.VOCABULARY = micro_words


def cross_entropy(logits, labels):
    tensor = mb.Tensor(logits, requires_grad=True)
    loss = mb.functional.cross_entropy(tensor, labels)
    loss.backward()
    return float(loss.data), tensor.grad


def adamw_step(*arguments):
    return micro.adamw_step(*arguments)


SOLUTIONS = {
    "unbroadcast": micro.unbroadcast, "mul_backward": mul_backward,
    "topological_order": topological_order, "softmax_backward": softmax_backward,
    "layer_norm_backward": layer_norm_backward, "attention": attention,
    "attention_backward": attention_backward, "attention_mask": micro.attention_mask,
    "wordpiece": wordpiece.right, "count_pairs": bpe.right_counts, "merge_pair": bpe.right_merge,
    "mask_tokens": mask_tokens, "sentence_pairs": micro.sentence_pairs,
    "cross_entropy": cross_entropy, "adamw_step": adamw_step, "top_p": top_p.right,
    "block": block_checks.right, "cached_attention": kv_cache.right}
