"""Peak memory and time of `burnish apply` for several photo sizes, in memory and on disk.

python benchmarks/memory.py --megapixels 1 25 100 400 --json benchmarks/results/memory.json
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyvips
from measure import environment, write

from burnish.evaluation.doctor import SAMPLE

# A command line whose first argument is the number of pixels above which photos are edited on disk.
RUN = """
import sys
from burnish.photo import header
header.STREAMING_THRESHOLD = int(sys.argv.pop(1))
from burnish.cli.app import main
main()
"""
THRESHOLDS = {"memory": 10**18, "disk": 0}
MEBIBYTE = 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megapixels", type=float, nargs="+", default=[1, 25, 100, 400])
    parser.add_argument(
        "--most-in-memory",
        type=float,
        default=100,
        help="largest photo that is edited in memory, in megapixels",
    )
    parser.add_argument("--model", default="l0-smoothing")
    parser.add_argument("--format", default="tif", choices=["tif", "png", "jpg"])
    parser.add_argument("--bits", type=int, default=8, choices=[8, 16])
    parser.add_argument(
        "--folder", type=Path, help="folder for the files [default: a temporary one]"
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    results = {"environment": environment(), "model": options.model, "rows": []}
    print(f"{'Mpx':>6} {'storage':>7} {'peak, MiB':>9} {'seconds':>8} {'output, MiB':>11}  equal")
    for megapixels in options.megapixels:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            photo = write_photo(Path(folder), megapixels, options.format, options.bits)
            outputs: list[Path] = []
            for storage, threshold in THRESHOLDS.items():
                if storage == "memory" and megapixels > options.most_in_memory:
                    continue
                target = Path(folder) / f"{storage}.{options.format}"
                peak, seconds = apply(threshold, options.model, photo, target)
                outputs.append(target)
                same = has_equal_pixels(*outputs) if len(outputs) == 2 else None
                size = round(target.stat().st_size / MEBIBYTE, 1)
                print(f"{megapixels:6g} {storage:>7} {peak:9.0f} {seconds:8.1f} {size:11}  {same}")
                row = {"megapixels": megapixels, "storage": storage, "peak_mebibytes": round(peak)}
                row |= {"seconds": round(seconds, 1), "output_mebibytes": size, "equal": same}
                results["rows"].append(row | {"format": options.format, "bits": options.bits})
                write(options.json, results)


def write_photo(folder: Path, megapixels: float, format: str, bits: int) -> Path:
    """Write a square photo that repeats the sample photo with increasing brightness."""
    side = round((megapixels * 1e6) ** 0.5)
    sample = pyvips.Image.new_from_file(str(SAMPLE))
    columns, rows = -(-side // sample.width), -(-side // sample.height)
    photo = sample.replicate(columns, rows).crop(0, 0, side, side)
    ramp = pyvips.Image.xyz(side, side)
    brightness = 0.6 + 0.4 * (ramp[0] + ramp[1]) / (2 * side)
    scale = 65535 / 255 if bits == 16 else 1
    scaled = (photo * brightness * scale).rint().cast("ushort" if bits == 16 else "uchar")
    scaled = scaled.copy(interpretation="rgb16" if bits == 16 else "srgb")
    path = folder / f"photo.{format}"
    options = {"compression": "deflate"} if format == "tif" else {}
    scaled.write_to_file(str(path), **options)
    return path


def apply(threshold: int, model: str, photo: Path, target: Path) -> tuple[float, float]:
    """Run `burnish apply`; return its peak resident memory in MiB, and the seconds."""
    command = [sys.executable, "-c", RUN, str(threshold), "apply", model]
    start = time.perf_counter()
    process = subprocess.Popen([*command, photo, "-o", target, "--quiet"])
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"burnish ended with {process.returncode}")
    return usage.ru_maxrss / 1024, seconds


def has_equal_pixels(first: Path, second: Path) -> bool:
    """Return whether two images are equal when libvips reads them."""
    a, b = (pyvips.Image.new_from_file(str(p), access="sequential") for p in (first, second))
    return a.bands == b.bands and (a != b).max() == 0


if __name__ == "__main__":
    main()
