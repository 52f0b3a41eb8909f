"""Lines of text that several commands print: tables, loss curves."""

from collections.abc import Sequence

from minibert.training.report import loss_curve


def curve_of(records: list[dict]) -> list[str]:
    """The loss curve of a run's log."""
    steps, evaluations = ([(record["step"], record["loss"]) for record in records
                           if record["kind"] == kind] for kind in ("step", "eval"))
    return loss_curve(steps, evaluations)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as columns: the first is aligned left, the others right."""
    widths = [max([len(row[i]) for row in rows]) for i in range(len(rows[0]))]
    return ["  ".join([row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in
                                                   zip(row[1:], widths[1:])]).rstrip()
            for row in rows]


def figure(value: object) -> str:
    """A figure as a cell: four decimals for a float, nothing for None."""
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def setting(value: object) -> str:
    """A setting as a cell."""
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
