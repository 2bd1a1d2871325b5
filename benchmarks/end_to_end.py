"""Megapixels per second from JPEG file to JPEG file, and the time of each stage.

python benchmarks/end_to_end.py --megapixels 1 12 --json RESULT

Each row is measured on all cores:

- codec: libvips alone decodes and encodes a photo, with the encoder settings of burnish
- identity: burnish reads and writes a photo (float pixels, profile, metadata) without an edit
- read, network, write: each stage of burnish alone
- apply: a whole folder of copies of the photo, as `burnish apply` edits it, so that stages overlap
"""

import argparse
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyvips
from measure import Timing, environment, timed, write
from speed import resize_to

from burnish.editing.batch import run_batch
from burnish.editing.edit import load_edit
from burnish.editing.options import OutputOptions, WriteOptions
from burnish.editing.plan import plan
from burnish.evaluation.doctor import SAMPLE
from burnish.photo import Photo
from burnish.photo.write import DEFAULT_QUALITY


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--photo", type=Path, default=SAMPLE, help="photo that is scaled to each size"
    )
    parser.add_argument("--megapixels", type=float, nargs="+", default=[1, 12])
    parser.add_argument("--count", type=int, default=8, help="photos in the folder")
    parser.add_argument("--model", default="l0-smoothing")
    parser.add_argument("--engine", default="onnxruntime")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results: dict[str, Any] = {"environment": environment(), "rows": []}
    print(f"{'Mpx':>6}  {'seconds per photo':30}  megapixels per second")
    for megapixels in options.megapixels:
        with tempfile.TemporaryDirectory() as folder:
            rows = measure(Path(folder), megapixels, options)
        for name, (timing, size) in rows.items():
            print(f"{size:6.2f}  {name:10} {timing!s:26}  {size / timing.wall:8.2f}", flush=True)
            results["rows"].append({"megapixels": size, "stage": name, **asdict(timing)})
    write(options.json, results)


def measure(
    folder: Path, megapixels: float, options: argparse.Namespace
) -> dict[str, tuple[Timing, float]]:
    """Return the time per photo of each stage, and the photo's size in megapixels."""
    first = folder / "0.jpg"
    Photo(resize_to(Photo.open(options.photo).pixels, megapixels)).save(first)
    sources = [first] + [
        Path(shutil.copy(first, folder / f"{n}.jpg")) for n in range(1, options.count)
    ]
    photo = Photo.open(first)
    edit = load_edit(options.model, {}, engine=options.engine)
    edited = photo.with_pixels(edit.run(photo.pixels))
    out = folder / "out"
    out.mkdir()

    def transcode() -> None:
        image = pyvips.Image.new_from_file(str(first), access="sequential")
        image.jpegsave(
            str(out / "codec.jpg"), Q=DEFAULT_QUALITY, subsample_mode="off", optimize_coding=True
        )

    def apply() -> None:
        files = plan(sources, edit.name, OutputOptions(out, overwrite=True)).files
        outcomes = run_batch(edit, files, WriteOptions(overwrite=True))
        assert all(outcome.status == "done" for outcome in outcomes)

    def time_per_photo(run: Callable[[], Any], count: int = 1) -> tuple[Timing, float]:
        timing = timed(run, options.repeats)
        per_photo = (value / count for value in (timing.wall, timing.wall_spread, timing.cpu))
        return Timing(*per_photo), photo.pixels.shape[0] * photo.pixels.shape[1] / 1e6

    return {
        "codec": time_per_photo(transcode),
        "identity": time_per_photo(
            lambda: Photo.open(first).save(out / "identity.jpg", overwrite=True)
        ),
        "read": time_per_photo(lambda: Photo.open(first)),
        "network": time_per_photo(lambda: edit.run(photo.pixels)),
        "write": time_per_photo(lambda: edited.save(out / "edited.jpg", overwrite=True)),
        "apply": time_per_photo(apply, len(sources)),
    }


if __name__ == "__main__":
    main()
