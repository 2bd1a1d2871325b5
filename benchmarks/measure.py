"""Helpers of all benchmarks: timing with its spread, and a description of the environment."""

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = (
    "burnish",
    "numpy",
    "scipy",
    "numba",
    "opencv-contrib-python-headless",
    "onnxruntime",
    "pyvips-binary",
)


@dataclass(frozen=True)
class Timing:
    """Median and spread (half the distance between the quartiles) in seconds, wall and CPU."""

    wall: float
    wall_spread: float
    cpu: float

    def __str__(self) -> str:
        """Return the wall time with its spread, and the CPU time."""
        return f"{self.wall:.3f} ± {self.wall_spread:.3f} ({self.cpu:.2f} CPU)"


def timed(run: Callable[[], Any], repeats: int) -> Timing:
    """Time `run` after one warm-up."""
    run()
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    quartiles = statistics.quantiles(walls, n=4) if repeats > 1 else [0, 0, 0]
    spread = (quartiles[2] - quartiles[0]) / 2
    return Timing(statistics.median(walls), spread, statistics.median(cpus))


def environment() -> dict[str, Any]:
    """Return the processor, the load, the versions of the packages, and the commit."""
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True).stdout.strip()
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "commit": commit,
    }


def write(path: Path | None, results: dict[str, Any]) -> None:
    """Write results as JSON, unless `path` is None."""
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(results, indent=2) + "\n")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
