"""Arrays and numbers among the operands of an op."""

import numpy as np
import pytest

from minibert.autograd.as_tensor import as_tensor, as_tensors
from minibert.autograd.tensor import Tensor


def test_as_tensors_gives_numbers_the_dtype_of_the_others():
    for number in (2, 2.5, np.float64(2.5), np.int64(2), True):
        x, y = as_tensors("op", Tensor(np.ones(2, np.float32)), number)
        assert y.dtype == np.float32 and y.shape == () and not y.requires_grad
    x, y = as_tensors("op", 2, 2.5)
    assert x.dtype == y.dtype == np.float64
    assert as_tensors("op", np.ones(2, np.float32), np.ones(2))[1].dtype == np.float64
    x, y = as_tensors("op", Tensor(np.ones(2, np.int64)), 0.5)
    assert y.dtype == np.float64


def test_tensors_are_taken_as_they_are_and_other_things_refused():
    x = Tensor(np.ones(2))
    assert as_tensor("op", x) is x and as_tensors("op", x, x) == (x, x)
    with pytest.raises(TypeError, match="op: expected tensors, arrays or numbers, got str"):
        as_tensors("op", x, "2")
