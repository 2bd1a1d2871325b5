"""Megapixels a second from file to file, JPEG in and JPEG out, and where the time goes.

python benchmarks/end_to_end.py --megapixels 1 12 --json RESULT

A folder of equal photos goes through, on all cores:

- floor: libvips decodes and encodes them, with the settings that burnish writes with, nothing else
- unchanged: burnish reads and writes them (float pixels, profile, metadata), without an edit
- read, network, write: each of burnish's stages by itself
- apply: all of it, as `burnish apply` does a folder: the stages overlap
"""

import argparse
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyvips
from measure import Timing, circumstances, timed, write
from speed import scaled

from burnish.editing.batch import run_batch
from burnish.editing.edit import load_edit
from burnish.editing.options import OutputOptions, WriteOptions
from burnish.editing.plan import plan
from burnish.evaluation.doctor import SAMPLE
from burnish.photo import Photo
from burnish.photo.write import DEFAULT_QUALITY


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photo", type=Path, default=SAMPLE, help="scaled to the size")
    parser.add_argument("--megapixels", type=float, nargs="+", default=[1, 12])
    parser.add_argument("--count", type=int, default=8, help="photos in the folder")
    parser.add_argument("--model", default="l0-smoothing")
    parser.add_argument("--engine", default="onnxruntime")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results: dict[str, Any] = {"circumstances": circumstances(), "rows": []}
    print(f"{'Mpx':>6}  {'seconds a photo':30}  megapixels a second")
    for megapixels in options.megapixels:
        with tempfile.TemporaryDirectory() as folder:
            rows = measure(Path(folder), megapixels, options)
        for name, (timing, size) in rows.items():
            print(f"{size:6.2f}  {name:10} {timing!s:26}  {size / timing.wall:8.2f}", flush=True)
            results["rows"].append({"megapixels": size, "what": name, **asdict(timing)})
    write(options.json, results)


def measure(
    folder: Path, megapixels: float, options: argparse.Namespace
) -> dict[str, tuple[Timing, float]]:
    """Return seconds a photo of everything, and the photo's size."""
    first = folder / "0.jpg"
    Photo(scaled(Photo.open(options.photo).pixels, megapixels)).save(first)
    sources = [first] + [
        Path(shutil.copy(first, folder / f"{n}.jpg")) for n in range(1, options.count)
    ]
    photo = Photo.open(first)
    edit = load_edit(options.model, {}, engine=options.engine)
    edited = photo.with_pixels(edit.run(photo.pixels))
    out = folder / "out"
    out.mkdir()

    def floor() -> None:
        image = pyvips.Image.new_from_file(str(first), access="sequential")
        image.jpegsave(
            str(out / "floor.jpg"), Q=DEFAULT_QUALITY, subsample_mode="off", optimize_coding=True
        )

    def apply() -> None:
        steps = plan(sources, edit.name, OutputOptions(out, overwrite=True)).files
        assert all(
            done.status == "done" for done in run_batch(edit, steps, WriteOptions(overwrite=True))
        )

    def one(run: Callable[[], Any], count: int = 1) -> tuple[Timing, float]:
        timing = timed(run, options.repeats)
        shared = (value / count for value in (timing.wall, timing.wall_spread, timing.cpu))
        return Timing(*shared), photo.pixels.shape[0] * photo.pixels.shape[1] / 1e6

    return {
        "floor": one(floor),
        "unchanged": one(
            lambda: Photo.open(first).save(out / "same.jpg", overwrite=True),
        ),
        "read": one(lambda: Photo.open(first)),
        "network": one(lambda: edit.run(photo.pixels)),
        "write": one(lambda: edited.save(out / "edited.jpg", overwrite=True)),
        "apply": one(apply, len(sources)),
    }


if __name__ == "__main__":
    main()
