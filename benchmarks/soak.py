"""A long batch that is killed and continued twice: its outputs and its memory.

python benchmarks/soak.py --photos 2000 --damaged 0.05 --json benchmarks/results/soak.json

Writes small photos of several formats in subfolders and damages some of them. Then runs
`burnish apply l0-smoothing TREE -r -o OUT --skip-existing` three times. The first run is killed
(SIGKILL) after a third of the outputs, the second after two thirds. Some of the outputs are then
compared with the network's output for the photo alone.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from measure import environment, write

from burnish.evaluation.doctor import SAMPLE
from burnish.photo import Photo
from burnish.runtime.model import Model
from burnish.training.pairs import resize

EXTENSIONS = ("jpg", "png", "tif", "webp")
MODEL = "l0-smoothing"
# The number of outputs that are compared pixel by pixel.
COMPARED = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument(
        "--damaged", type=float, default=0.05, help="fraction of the photos that are damaged"
    )
    parser.add_argument("--side", type=int, default=192, help="longest side in pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tree, out = Path(folder, "photos"), Path(folder, "out")
        intact, damaged = write_photos(tree, options)
        runs = []
        for fraction in (1 / 3, 2 / 3, None):
            kill_after = None if fraction is None else round(fraction * len(intact))
            runs.append(run_batch(tree, out, kill_after))
            print({k: v for k, v in runs[-1].items() if k != "resident"}, flush=True)
        results = {
            "environment": environment(),
            "photos": len(intact) + len(damaged),
            "damaged": len(damaged),
            "runs": runs,
            **check_outputs(tree, out, intact, damaged, runs),
        }
    print(json.dumps({name: results[name] for name in results if name != "runs"}, indent=2))
    write(options.json, results)


def write_photos(tree: Path, options: argparse.Namespace) -> tuple[list[Path], list[Path]]:
    """Write the photos; return the intact and the damaged ones."""
    rng = random.Random(options.seed)
    sample = Photo.open(SAMPLE).pixels
    paths = []
    for number in range(options.photos):
        path = tree / f"{number // 100:02d}" / f"{number:05d}.{rng.choice(EXTENSIONS)}"
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = (round(options.side * rng.uniform(0.4, 1)) for _ in range(2))
        top, left = (rng.randrange(side - 200) for side in sample.shape[:2])
        photo = resize(
            np.ascontiguousarray(sample[top : top + 200, left : left + 200]), (height, width)
        )
        Photo(photo).save(path)
        paths.append(path)
    damaged = set(rng.sample(paths, round(options.damaged * len(paths))))
    for path in sorted(damaged):
        damage(path, rng)
    return [path for path in paths if path not in damaged], sorted(damaged)


def damage(path: Path, rng: random.Random) -> None:
    """Truncate a file, empty it, or replace its content."""
    content = path.read_bytes()
    path.write_bytes(
        rng.choice([content[: len(content) // 2], b"", b"<html>not found</html>", content[:20]])
    )


def run_batch(tree: Path, out: Path, kill_after: int | None) -> dict[str, Any]:
    """Run the batch, and kill it when there are `kill_after` outputs."""
    command = [sys.executable, "-m", "burnish", "apply", MODEL, str(tree), "-r", "-o", str(out)]
    start = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--skip-existing", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    resident: list[float] = []

    def monitor() -> None:
        while process.poll() is None:
            resident.append(resident_mib(process.pid))
            if kill_after is not None and sum(1 for _ in out.rglob("*.*")) >= kill_after:
                process.send_signal(signal.SIGKILL)
            time.sleep(0.5)

    thread = threading.Thread(target=monitor)
    thread.start()
    stdout, stderr = process.communicate()
    thread.join()
    return {
        "exit": process.returncode,
        "seconds": round(time.perf_counter() - start, 1),
        "outcomes": Counter(json.loads(line)["status"] for line in complete_lines(stdout)),
        "error_lines": sum(line.startswith("burnish: ") for line in stderr.splitlines()),
        "resident": [round(value) for value in resident if value],
    }


def complete_lines(text: str) -> list[str]:
    """Return the lines of an output. The last one is cut off if the process was killed."""
    lines = text.splitlines()
    return lines if text.endswith("\n") else lines[:-1]


def resident_mib(process: int) -> float:
    """Return a process's resident memory in MiB, or 0 if it has ended."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def check_outputs(
    tree: Path, out: Path, intact: list[Path], damaged: list[Path], runs: list[dict[str, Any]]
) -> dict[str, Any]:
    """Compare the outputs with the photos and with the network's own outputs."""
    expected = {
        out / path.relative_to(tree).with_name(f"{path.stem}.{MODEL}{path.suffix}"): path
        for path in intact
    }
    files = {path for path in out.rglob("*") if path.is_file()}
    partial = {path for path in files if path.name.startswith(".burnish-")}
    model = Model.open(MODEL)
    differing = 0
    for target in random.Random(1).sample(sorted(expected), min(COMPARED, len(expected))):
        photo = Photo.open(expected[target])
        edited = photo.with_pixels(model(photo.pixels))
        with tempfile.NamedTemporaryFile(suffix=target.suffix) as file:
            edited.save(file.name, overwrite=True)
            same = np.array_equal(Photo.open(file.name).pixels, Photo.open(target).pixels)
        differing += not same
    # The first tenth is left out, in which libraries are loaded and buffers allocated.
    resident = [run["resident"][len(run["resident"]) // 10 :] for run in runs]
    return {
        "outputs": len(files - partial),
        "missing_outputs": len(expected.keys() - files),
        "outputs_of_damaged_photos": len(files - partial - expected.keys()),
        "partial_files": len(partial),
        "compared_outputs": min(COMPARED, len(expected)),
        "differing_outputs": differing,
        "done_in_all_runs": sum(run["outcomes"]["done"] for run in runs),
        "all_damaged_failed_in_last_run": runs[-1]["outcomes"]["failed"] == len(damaged),
        "resident_mib": [
            {"first": values[0], "last": values[-1], "max": max(values)}
            for values in resident
            if values
        ],
    }


if __name__ == "__main__":
    main()
