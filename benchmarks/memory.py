"""Peak memory and seconds of `burnish apply`, by the photo's size, in memory and on the disk.

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
from measure import circumstances, write

from burnish.evaluation.doctor import SAMPLE

# The command line with the number of pixels that a photo may have in memory given first.
RUN = (
    "import sys; from burnish.photo import header; header.STREAMING_THRESHOLD = int(float(sys.argv.pop(1))); "
    "from burnish.cli.app import main; main()"
)
ROADS = {"memory": "inf", "disk": "0"}
MEBIBYTE = 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megapixels", type=float, nargs="+", default=[1, 25, 100, 400])
    parser.add_argument("--most-in-memory", type=float, default=100, help="megapixels")
    parser.add_argument("--model", default="l0-smoothing")
    parser.add_argument("--format", default="tif", choices=["tif", "png", "jpg"])
    parser.add_argument("--bits", type=int, default=8, choices=[8, 16])
    parser.add_argument("--folder", type=Path, help="to work in; a temporary one by default")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    results = {"circumstances": circumstances(), "model": options.model, "rows": []}
    print(f"{'Mpx':>6} {'road':>7} {'peak, MiB':>9} {'seconds':>8} {'result, MiB':>11}  equal")
    for megapixels in options.megapixels:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            photo = make(Path(folder), megapixels, options.format, options.bits)
            there: list[Path] = []
            for road, limit in ROADS.items():
                if road == "memory" and megapixels > options.most_in_memory:
                    continue
                target = Path(folder) / f"{road}.{options.format}"
                peak, seconds = run(limit, options.model, photo, target)
                there.append(target)
                same = equal(*there) if len(there) == 2 else None
                size = round(target.stat().st_size / MEBIBYTE, 1)
                print(f"{megapixels:6g} {road:>7} {peak:9.0f} {seconds:8.1f} {size:11}  {same}")
                row = {"megapixels": megapixels, "road": road, "peak_mebibytes": round(peak)}
                row |= {"seconds": round(seconds, 1), "result_mebibytes": size, "equal": same}
                results["rows"].append(row | {"format": options.format, "bits": options.bits})
                write(options.json, results)


def make(folder: Path, megapixels: float, format: str, bits: int) -> Path:
    """Write a square photo of so many megapixels: one photo again and again, in changing light."""
    side = round((megapixels * 1e6) ** 0.5)
    sample = pyvips.Image.new_from_file(str(SAMPLE))
    across, down = -(-side // sample.width), -(-side // sample.height)
    photo = sample.replicate(across, down).crop(0, 0, side, side)
    ramp = pyvips.Image.xyz(side, side)
    light = 0.6 + 0.4 * (ramp[0] + ramp[1]) / (2 * side)
    full = 65535 / 255 if bits == 16 else 1
    lit = (photo * light * full).rint().cast("ushort" if bits == 16 else "uchar")
    lit = lit.copy(interpretation="rgb16" if bits == 16 else "srgb")
    path = folder / f"photo.{format}"
    lit.write_to_file(str(path), **({"compression": "deflate"} if format == "tif" else {}))
    return path


def run(limit: str, model: str, photo: Path, target: Path) -> tuple[float, float]:
    """Return the peak of resident memory in MiB, all that the process touched, and seconds."""
    command = [sys.executable, "-c", RUN, limit.replace("inf", "1e18"), "apply", model]
    start = time.perf_counter()
    process = subprocess.Popen([*command, photo, "-o", target, "--quiet"])
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"burnish ended with {process.returncode}")
    return usage.ru_maxrss / 1024, seconds


def equal(first: Path, second: Path) -> bool:
    """Compare two pictures, pixel by pixel, as another program reads them."""
    one, other = (pyvips.Image.new_from_file(str(p), access="sequential") for p in (first, second))
    return one.bands == other.bands and (one != other).max() == 0


if __name__ == "__main__":
    main()
