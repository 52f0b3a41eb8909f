"""What is asked of the process: every function works or says that it cannot, on any machine."""

import subprocess
import sys

from minibert.training import machine


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
