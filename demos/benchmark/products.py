"""A side of benchmark.py with the matrix products of a step alone: a lower bound of its time.

The products are taken from the trace of a forward pass; those of attention over long texts, block
by block, from the blocks of flash_attention.py.
"""

from __future__ import annotations

import numpy as np
from benchmark import build, share_of_loss
from cases import Case, make_batches, serve, workers_for

import minibert as mb
from minibert.autograd.attention_masks import ScoreOptions
from minibert.autograd.fused.attention import FLASH_FROM
from minibert.autograd.fused.flash_attention import KEY_BLOCK, QUERY_BLOCK, Blocks
from minibert.autograd.fused.threads import parallel_for
from minibert.training.data_parallel import Workers

Product = tuple[np.ndarray, np.ndarray, np.ndarray]  # a, b and where a @ b goes
Stage = list[list[Product]]  # lists of products that may be computed at the same time


def prepare(case: Case, weights: str, variant: str):
    """Returns the function that computes the products of a step, with the workers of a step."""
    model, batch, count = build(case).train(), make_batches(case)[0], workers_for(case)
    stages = [products_of_a_share(model, case, batch, worker, count) for worker in range(count)]
    workers = Workers([], count)

    def step(batch: dict[str, np.ndarray]) -> None:
        def work(worker: int) -> None:
            for stage in stages[worker]:
                parallel_for(compute, stage)

        if count > 1:
            workers.run(work)
        else:
            work(0)

    return step


def compute(products: list[Product]) -> None:
    for a, b, out in products:
        np.matmul(a, b, out=out)


def products_of_a_share(model, case: Case, batch: dict[str, np.ndarray], worker: int,
                        count: int) -> list[Stage]:
    """Returns the products of a worker's shard in order: forward, then backward."""
    with mb.trace() as seen:
        share_of_loss(model, case, batch, worker, count, np.random.default_rng(2))
    forward, backward = [], []
    for record in seen.records:
        if record.op.startswith("linear"):
            x, weight = filled(record.inputs[0]), filled(record.inputs[1])
            x = x.reshape(-1, x.shape[-1])
            y, grad = x @ weight.T, x @ weight.T
            forward.append([[(x, weight.T, y)]])
            backward = [[[(grad, weight, x.copy()), (grad.T, x, weight.copy())]], *backward]
        elif record.op == "multi_head_attention":
            B, T, C = record.output
            if T * T < FLASH_FROM:
                ahead, back = attention_products((B, case.heads, T, C // case.heads))
            else:
                ahead, back = flash_attention_products(B * case.heads, T, C // case.heads,
                                                       case.kind == "gpt")
            forward.append(ahead)
            backward = [back, *backward]
    return forward + backward


def attention_products(shape: tuple[int, ...]) -> tuple[Stage, Stage]:
    """Returns the products of attention_forward and attention_backward, heads (B, H, T, D)."""
    query, key, value = [filled(shape) for _ in "qkv"]
    weights, output = query @ key.mT, query.copy()
    grad = weights.copy()
    return ([[(query, key.mT, weights), (weights.copy(), value, output)]],
            [[(weights.mT, output, value.copy()), (output, value.mT, grad.copy()),
              (grad, key, query.copy()), (grad.mT, query, key.copy())]])


def flash_attention_products(heads: int, T: int, D: int, is_causal: bool) -> tuple[Stage, Stage]:
    """Returns the products of flash_attention_forward and flash_attention_backward; in backward
    two of them have a column more."""
    forward, backward = [], []
    for _ in range(heads):
        query, key, value, grad, of_rows, of_columns = [filled((T, D)) for _ in range(6)]
        query_1, key_1, value_1, grad_1 = [filled((T, D + 1)) for _ in range(4)]
        scores, grad_scores = [filled((QUERY_BLOCK, KEY_BLOCK)) for _ in range(2)]
        blocks = Blocks(query, key, ScoreOptions(1.0, is_causal=is_causal))
        ahead, back = [], []
        for rows in blocks.rows():
            for columns, _ in blocks.columns((), rows):
                block = slice(rows.stop - rows.start), slice(columns.stop - columns.start)
                E, dS = scores[block], grad_scores[block]
                ahead += [(query[rows], key[columns].T, E), (E, value[columns], of_rows[rows])]
                back += [(query_1[rows], key_1[columns].T, E),
                         (grad_1[rows], value_1[columns].T, dS),
                         (dS, key[columns], of_rows[rows]),
                         (dS.T, query[rows], of_columns[columns]),
                         (E.T, grad[rows], of_columns[columns])]
        forward.append(ahead)
        backward.append(back)
    return forward, backward


def filled(shape: tuple[int, ...]) -> np.ndarray:
    """Returns small numbers: their products are finite and not denormal."""
    return np.full(shape, 1e-2, np.float32)


if __name__ == "__main__":
    serve(prepare)
