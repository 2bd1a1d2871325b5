"""How well an operator's output for a smaller copy, enlarged, agrees with that for the photo.

python benchmarks/guides.py tv-l1 --photos FOLDER --ratio 3 --power lambda=0 --power lambda=-1

It prints the PSNR of the enlarged output, and that after a Gaussian blur of 8 px of both. Each
--power is another row, in which parameters scale with these powers of the size of the copy
instead of their own. --no-measure measures the copy and not the photo.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from burnish.metrics import mse, psnr
from burnish.operators.operator import Operator
from burnish.operators.registry import OPERATORS
from burnish.photo import Photo
from burnish.runtime.resize import area_resize, bilinear_region
from burnish.training.pairs import find_photos, resize, scaled_size
from burnish.types import Pixels, Rectangle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("operator", choices=list(OPERATORS))
    parser.add_argument("--photos", type=Path, required=True, help="a folder of photos")
    parser.add_argument("--largest", type=int, default=1400, help="largest longer side in pixels")
    parser.add_argument("--ratio", type=float, nargs="+", default=[3.0])
    parser.add_argument("--power", action="append", default=[], metavar="NAME=POWER[,NAME=POWER]")
    parser.add_argument("--measure", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    photos = [load(path, options.largest) for path in find_photos(options.photos)]
    for ratio in options.ratio:
        for powers in options.power or [""]:
            operator = with_powers(OPERATORS[options.operator], powers)
            scores = [agreement(operator, photo, ratio, options.measure) for photo in photos]
            sharp, blurred = np.mean(scores, axis=0)
            print(f"ratio {ratio:g} {powers or 'own powers':30} {sharp:6.2f} {blurred:6.2f}")


def load(path: Path, largest: int) -> Pixels:
    pixels = Photo.open(path).pixels
    return resize(pixels, scaled_size(pixels.shape[:2], min(1, largest / max(pixels.shape))))


def with_powers(operator: Operator, powers: str) -> Operator:
    """Return the operator with other powers of the size for some of its parameters."""
    chosen = {
        name: float(power)
        for name, _, power in (p.partition("=") for p in powers.split(","))
        if name
    }
    params = [
        replace(param, size_power=chosen[param.name]) if param.name in chosen else param
        for param in operator.params
    ]
    return replace(operator, params=tuple(params))


def agreement(
    operator: Operator, photo: Pixels, ratio: float, measure: bool
) -> tuple[float, float]:
    """Return the PSNR of the enlarged output, and that of both blurred."""
    params = {"texture": 0} if operator.name == "pencil-drawing" else {}
    values = operator.resolve_params(params)
    size = photo.shape[:2]
    small = area_resize(photo, scaled_size(size, 1 / ratio))
    measured = operator.measure(photo, **values) if measure else None
    output = operator.run_small(small, len(small) / len(photo), measured, **values)
    enlarged = bilinear_region(output, Rectangle(0, size[0], 0, size[1]), size)
    target = operator.run(photo, **values)
    blurred = [gaussian_filter(image, (8, 8, 0)) for image in (enlarged, target)]
    return psnr(mse(enlarged, target)), psnr(mse(*blurred))


if __name__ == "__main__":
    main()
