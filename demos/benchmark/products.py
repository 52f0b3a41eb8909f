"""A side of benchmark.py with the matrix products of a step alone: a lower bound of its time.

The products are taken from the trace of a forward pass.
"""

from __future__ import annotations

import numpy as np
from benchmark import build, share_of_loss
from cases import Case, make_batches, serve, workers_for

import minibert as mb
from minibert.training.data_parallel import Workers

Product = tuple[np.ndarray, np.ndarray, np.ndarray]  # a, b and where a @ b goes


def prepare(case: Case, weights: str, variant: str):
    """Returns the function that computes the products of a step, with the workers of a step."""
    model, batch, count = build(case).train(), make_batches(case)[0], workers_for(case)
    products = [products_of_a_share(model, case, batch, worker, count) for worker in range(count)]
    workers = Workers([], count)

    def step(batch: dict[str, np.ndarray]) -> None:
        def work(worker: int) -> None:
            for a, b, out in products[worker]:
                np.matmul(a, b, out=out)

        if count > 1:
            workers.run(work)
        else:
            work(0)

    return step


def products_of_a_share(model, case: Case, batch: dict[str, np.ndarray], worker: int,
                        count: int) -> list[Product]:
    """Returns the products of a worker's shard in order: forward, then backward."""
    with mb.trace() as seen:
        share_of_loss(model, case, batch, worker, count, np.random.default_rng(2))
    forward, backward = [], []
    for record in seen.records:
        if record.op.startswith("linear"):
            x, weight = filled(record.inputs[0]), filled(record.inputs[1])
            x = x.reshape(-1, x.shape[-1])
            y, grad = x @ weight.T, x @ weight.T
            forward.append((x, weight.T, y))
            backward = [(grad, weight, x.copy()), (grad.T, x, weight.copy()), *backward]
        elif record.op == "multi_head_attention":
            B, T, C = record.output
            query, key, value = [filled((B, case.heads, T, C // case.heads)) for _ in "qkv"]
            weights, output = query @ key.mT, query.copy()
            forward += [(query, key.mT, weights), (weights.copy(), value, output)]
            grad = weights.copy()
            backward = [(weights.mT, output, value.copy()), (output, value.mT, grad.copy()),
                        (grad, key, query.copy()), (grad.mT, query, key.copy()), *backward]
    return forward + backward


def filled(shape: tuple[int, ...]) -> np.ndarray:
    """Returns small numbers: their products are finite and not denormal."""
    return np.full(shape, 1e-2, np.float32)


if __name__ == "__main__":
    serve(prepare)
