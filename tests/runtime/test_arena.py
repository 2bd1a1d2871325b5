"""The memory of ONNX Runtime's sessions: one tile's serves the next, of any size and model."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Make = Callable[..., Path]

# Pages that come from the system, and those that stay, both counted in bytes.
FAULTS = """
import resource, sys
from pathlib import Path
import numpy as np
from burnish.runtime.model import Model

def fresh(model, pixels):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    model(pixels)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * resource.getpagesize()

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

one, other = (Model.open(path, threads=1) for path in sys.argv[1:])
pixels = np.random.default_rng(0).random((1000, 1000, 3), dtype=np.float32)
one(pixels[:16, :16])
start = resident()
print(fresh(one, pixels), fresh(one, pixels), fresh(other, pixels[:700].copy()))
for rows in range(1000, 300, -70):
    for model in (one, other):
        model(pixels[:rows].copy())
print(resident() - start)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and counts pages as Linux does")
def test_memory_serves_again(make: Make) -> None:
    paths = [str(make(name, channels=48)) for name in ("blur", "another")]
    command = [sys.executable, "-c", FAULTS, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, second, another, kept = map(int, done.stdout.split())
    work = 4 * 48 * 1000 * 1000
    assert first > work
    # What numpy takes for tile and result comes fresh each time: some 3 channels, a few times.
    assert second < work / 2
    assert another < work / 2
    assert kept < 2 * work
