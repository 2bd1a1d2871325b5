"""The arena of ONNX Runtime: memory of one tile is reused for the next, of any size and model."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

WriteModel = Callable[..., Path]

# Prints the bytes of fresh pages of three runs, and the growth of resident memory.
SCRIPT = """
import resource, sys
from pathlib import Path
import numpy as np
from burnish.runtime.model import Model

def fresh_bytes(model, pixels):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    model(pixels)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * resource.getpagesize()

def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

one, other = (Model.open(path, threads=1) for path in sys.argv[1:])
pixels = np.random.default_rng(0).random((1000, 1000, 3), dtype=np.float32)
one(pixels[:16, :16])
start = resident_bytes()
print(fresh_bytes(one, pixels), fresh_bytes(one, pixels), fresh_bytes(other, pixels[:700].copy()))
for rows in range(1000, 300, -70):
    for model in (one, other):
        model(pixels[:rows].copy())
print(resident_bytes() - start)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_reused_by_the_next_run(write_model: WriteModel) -> None:
    paths = [str(write_model(name, channels=48)) for name in ("blur", "another")]
    command = [sys.executable, "-c", SCRIPT, *paths]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    first, second, other, growth = map(int, process.stdout.split())
    tile_bytes = 4 * 48 * 1000 * 1000
    assert first > tile_bytes
    # NumPy allocates tile and output anew: 3 channels, a few times.
    assert second < tile_bytes / 2
    assert other < tile_bytes / 2
    assert growth < 2 * tile_bytes
