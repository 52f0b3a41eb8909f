"""What is asked of the process: every function works or says that it cannot, on any machine."""

import subprocess
import sys

from minibert.training import machine


def test_blas_threads_are_set_or_unknown():
    before = machine.blas_threads()
    if before is None:
        assert machine.set_blas_threads(1) is None
        return
    try:
        assert machine.set_blas_threads(1) == 1 == machine.blas_threads()
    finally:
        machine.set_blas_threads(before)
    assert machine.blas_threads() == before


def test_a_blas_without_the_functions_is_left_alone(monkeypatch):
    monkeypatch.setattr(machine, "BLAS_PREFIXES", ("no_such_blas_",))
    machine._blas_functions.cache_clear()
    try:
        assert machine.blas_threads() is None and machine.set_blas_threads(2) is None
    finally:
        machine._blas_functions.cache_clear()


def test_memory_and_cores():
    assert machine.core_count() >= 1
    peak = machine.peak_memory()
    assert peak is None or peak > 10_000_000


def test_kept_memory_saves_page_faults_and_nothing_happens_at_import():
    """In a process of its own: the allocator's settings cannot be taken back."""
    code = """
import sys
import numpy as np
from minibert.training import machine
try:
    import resource
except ImportError:
    sys.exit()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        arrays = [np.ones(1 << 19) for _ in range(4)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
plain = faults()
if machine.keep_freed_memory():
    faults()
    kept = faults()
    assert kept * 10 < plain, (kept, plain)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
