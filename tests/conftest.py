"""One setting for all property tests: the same examples every time, nothing left in the folder."""

import gc
import os
import signal
import tempfile

# Before hypothesis and NumPy are imported: tests are small, and several may run at once.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY",
                      os.path.join(tempfile.gettempdir(), "minibert-hypothesis"))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# A job in the background begins with Ctrl-C ignored, and what is ignored stays ignored in training.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

settings.register_profile("minibert", max_examples=30, deadline=None, derandomize=True,
                          database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("minibert")


def pytest_collection_finish():
    """Objects of the collection stay: leaving them out of the search for garbage saves a tenth."""
    gc.freeze()


@pytest.fixture
def two_blas_threads():
    """A product may use two threads; afterwards as many as before."""
    from minibert.autograd.fused import threads

    before = threads.blas_threads()
    if before is None:
        pytest.skip("this BLAS cannot be asked")
    threads.set_blas_threads(2)
    yield
    threads.set_blas_threads(before)
