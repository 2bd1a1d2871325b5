"""A long batch, killed twice and taken up again: all done once, and memory flat.

python benchmarks/soak.py --photos 2000 --damaged 0.05 --json benchmarks/results/soak.json

Makes a tree of folders of small photos of several kinds, damages some of them, and runs
`burnish apply l0-smoothing TREE -r -o OUT --skip-existing` until it ends by itself, killing it
(SIGKILL) when a third and when two thirds of the results are there. Then every result is compared
with what the network makes of its photo alone.
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
from measure import circumstances, write

from burnish.evaluation.doctor import SAMPLE
from burnish.photo import Photo
from burnish.runtime.model import Model
from burnish.training.pairs import resize

KINDS = ("jpg", "png", "tif", "webp")
MODEL = "l0-smoothing"
# Results that are looked at pixel by pixel.
JUDGED = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--damaged", type=float, default=0.05, help="share of them")
    parser.add_argument("--side", type=int, default=192, help="longer side of most, in pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tree, out = Path(folder, "photos"), Path(folder, "out")
        good, bad = make(tree, options)
        runs = []
        for share in (1 / 3, 2 / 3, None):
            until = None if share is None else round(share * len(good))
            runs.append(run(tree, out, until))
            print({k: v for k, v in runs[-1].items() if k != "resident"}, flush=True)
        results = {
            "circumstances": circumstances(),
            "photos": len(good) + len(bad),
            "damaged": len(bad),
            "runs": runs,
            **judge(tree, out, good, bad, runs),
        }
    print(json.dumps({name: results[name] for name in results if name not in ("runs",)}, indent=2))
    write(options.json, results)


def make(tree: Path, options: argparse.Namespace) -> tuple[list[Path], list[Path]]:
    """Write the photos; return the good and the damaged ones."""
    chance = random.Random(options.seed)
    sample = Photo.open(SAMPLE).pixels
    paths = []
    for number in range(options.photos):
        path = tree / f"{number // 100:02d}" / f"{number:05d}.{chance.choice(KINDS)}"
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = (round(options.side * chance.uniform(0.4, 1)) for _ in range(2))
        top, left = (chance.randrange(side - 200) for side in sample.shape[:2])
        photo = resize(
            np.ascontiguousarray(sample[top : top + 200, left : left + 200]), (height, width)
        )
        Photo(photo).save(path)
        paths.append(path)
    bad = set(chance.sample(paths, round(options.damaged * len(paths))))
    for path in sorted(bad):
        damage(path, chance)
    return [path for path in paths if path not in bad], sorted(bad)


def damage(path: Path, chance: random.Random) -> None:
    """Cut a file short, empty it, or fill it with something else."""
    content = path.read_bytes()
    path.write_bytes(
        chance.choice([content[: len(content) // 2], b"", b"<html>not found</html>", content[:20]])
    )


def run(tree: Path, out: Path, until: int | None) -> dict[str, Any]:
    """Run the batch, and kill it once so many results are there."""
    order = [sys.executable, "-m", "burnish", "apply", MODEL, str(tree), "-r", "-o", str(out)]
    started = time.perf_counter()
    process = subprocess.Popen(
        [*order, "--skip-existing", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    resident: list[float] = []

    def watch() -> None:
        while process.poll() is None:
            resident.append(resident_of(process.pid))
            if until is not None and sum(1 for _ in out.rglob("*.*")) >= until:
                process.send_signal(signal.SIGKILL)
            time.sleep(0.5)

    watcher = threading.Thread(target=watch)
    watcher.start()
    said, errors = process.communicate()
    watcher.join()
    return {
        "exit": process.returncode,
        "seconds": round(time.perf_counter() - started, 1),
        "outcomes": Counter(
            json.loads(line)["status"] for line in said.splitlines()[:-1] + whole(said)
        ),
        "lines_of_error": sum(line.startswith("burnish: ") for line in errors.splitlines()),
        "resident": [round(value) for value in resident if value],
    }


def whole(said: str) -> list[str]:
    """Return the last line, if the process was not killed within it."""
    last = said.splitlines()[-1:]
    return last if said.endswith("\n") else []


def resident_of(process: int) -> float:
    """Return a process's resident memory in MiB; 0 where it is gone."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def judge(
    tree: Path, out: Path, good: list[Path], bad: list[Path], runs: list[dict[str, Any]]
) -> dict[str, Any]:
    """Compare what is there with what should be."""
    expected = {
        out / path.relative_to(tree).with_name(f"{path.stem}.{MODEL}{path.suffix}"): path
        for path in good
    }
    found = {path for path in out.rglob("*") if path.is_file()}
    parts = {path for path in found if path.name.startswith(".burnish-")}
    model = Model.open(MODEL)
    wrong = 0
    for target in random.Random(1).sample(sorted(expected), min(JUDGED, len(expected))):
        photo = Photo.open(expected[target])
        alone = photo.with_pixels(model(photo.pixels))
        with tempfile.NamedTemporaryFile(suffix=target.suffix) as file:
            alone.save(file.name, overwrite=True)
            same = np.array_equal(Photo.open(file.name).pixels, Photo.open(target).pixels)
        wrong += not same
    # From the tenth part on, when libraries are loaded and buffers have their size.
    tail = [run["resident"][len(run["resident"]) // 10 :] for run in runs]
    return {
        "results": len(found - parts),
        "lost": len(expected.keys() - found),
        "made_of_damaged_photos": len(found - parts - expected.keys()),
        "half_written_files_left": len(parts),
        "results_compared": min(JUDGED, len(expected)),
        "results_that_differ": wrong,
        "done_in_all_runs": sum(run["outcomes"]["done"] for run in runs),
        "damaged_that_failed_in_the_last": runs[-1]["outcomes"]["failed"] == len(bad),
        "resident_mib": [
            {"first": values[0], "last": values[-1], "most": max(values)}
            for values in tail
            if values
        ],
    }


if __name__ == "__main__":
    main()
