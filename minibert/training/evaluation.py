"""Evaluation: the means of an objective over its held-out batches."""

from __future__ import annotations

from minibert.autograd.fused.threads import parallel_for


def held_out_means(model, objective, workers: int = 1) -> dict[str, float]:
    """The figures of `objective.summary` for `model` over all held-out batches. The caller turns
    dropout and gradients off (`evaluating`, `no_grad`)."""
    counts, losses, metrics = [], [], []
    for batch in objective.held_out_batches():
        counts.append(objective.counts(batch))
        for loss_sums, metric_sums in batch_sums(model, objective, batch, workers):
            losses.append(loss_sums)
            metrics.append(metric_sums)
    return objective.summary(sum_by_name(losses), sum_by_name(counts), sum_by_name(metrics))


def batch_sums(model, objective, batch, workers: int) -> list[tuple[dict, dict]]:
    """(loss sums, metric sums) of each worker's shard of a batch, in the order of the rows."""
    found = {}

    def work(worker: int) -> None:
        shard = batch if workers == 1 else batch.shard(worker, workers)
        if len(shard.input_ids):  # else there are more workers than rows
            sums, metrics = objective.losses(model, shard, None)
            found[worker] = {name: total.item() for name, total in sums.items()}, metrics

    parallel_for(work, list(range(workers)))
    return [found[worker] for worker in sorted(found)]


def sum_by_name(dictionaries: list[dict]) -> dict:
    """One dictionary with the sum of the values of each name; lists are joined."""
    totals: dict = {}
    for dictionary in dictionaries:
        for name, value in dictionary.items():
            totals[name] = totals[name] + value if name in totals else value
    return totals
