"""Fast sums and maxima over the rows and columns of a matrix.

A ufunc's reduction costs some 50 ns for every row; BLAS and argmax avoid it (times before and after
below: 1024 rows of 256 floats, one thread).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

# Elements of a block that stays in the cache (the third level's at least) over all passes of a
# formula. Smaller blocks mean more calls, and at each a worker may wait for the other: a step of
# demos/benchmark's MINI with two workers took 178 ms with 2^16, 172 with 2^18.
BLOCK = 1 << 18


def as_rows(array: np.ndarray) -> np.ndarray:
    """(..., C) -> (N, C), also where C or N is 0."""
    return array.reshape(math.prod(array.shape[:-1]), array.shape[-1])


def row_blocks(rows: np.ndarray) -> Iterator[slice]:
    """Slices of the rows (N, C), each about BLOCK elements."""
    step = max(1, BLOCK // max(1, rows.shape[1]))
    return (slice(start, start + step) for start in range(0, len(rows), step))


def row_sum(rows: np.ndarray) -> np.ndarray:
    """(N, C) -> (N, 1): a product with a column of ones, 64 -> 18 us."""
    return rows @ np.ones((rows.shape[1], 1), rows.dtype)


def row_dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(..., C) (..., C) -> (..., 1), the sum of a * b along the last axis, without making a * b:
    101 -> 34 us."""
    return np.matmul(a[..., None, :], b[..., :, None])[..., 0]


def column_sum(rows: np.ndarray) -> np.ndarray:
    """(N, C) -> (C,): 40 -> 16 us."""
    return np.ones(len(rows), rows.dtype) @ rows


def row_max(rows: np.ndarray) -> np.ndarray:
    """(N, C) -> (N, 1), of complex numbers the largest real part: argmax is faster along rows than
    max, 85 -> 45 us."""
    real = rows.real
    return real[np.arange(len(real)), real.argmax(1)][:, None]
