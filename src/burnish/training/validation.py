"""Validate a trained network on photos that it was not trained on."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from burnish.networks.network import Network
from burnish.params import Value
from burnish.progress import SILENT, Progress
from burnish.runtime.thumbnail import area_resize, normalised_coords
from burnish.training.evaluation import Report, evaluate
from burnish.training.pairs import Pair
from burnish.types import Pixels, Rectangle


@dataclass(frozen=True)
class ValidationResult:
    """The scores of a set of photos, and a description of the photos."""

    photos: str
    report: Report


def validate(
    network: Network,
    sliders: Sequence[str],
    validation_pairs: Sequence[Pair],
    source: str | Path,
    progress: Progress = SILENT,
) -> tuple[ValidationResult, ...]:
    """Score a network on the groups of `split_by_size`.

    Parameters
    ----------
    sliders : the names of the parameters that are inputs of the network
    source : the folder of the photos
    progress : advanced after every pair
    """
    apply = as_callable(network, sliders)
    return tuple(
        ValidationResult(
            f"{describe_photos(pairs, source)}{suffix}", evaluate(apply, pairs, progress)
        )
        for suffix, pairs in split_by_size(validation_pairs)
    )


def split_by_size(validation_pairs: Sequence[Pair]) -> list[tuple[str, list[Pair]]]:
    """Group pairs: photos at their largest size, then by size, then at random slider values.

    Parameters
    ----------
    validation_pairs : the first pair of each photo is the one at its largest size and at the
        operator's default values

    Returns
    -------
    For each group, a suffix of its description, and its pairs
    """
    first: dict[str, Pair] = {}
    for pair in validation_pairs:
        first.setdefault(pair.digest, pair)
    at_defaults = [pair for pair in validation_pairs if pair.values == first[pair.digest].values]
    off_default = [pair for pair in validation_pairs if pair.values != first[pair.digest].values]
    octaves: dict[int, list[Pair]] = {}
    for pair in at_defaults:
        octaves.setdefault(math.floor(math.log2(math.prod(pair.size))), []).append(pair)
    groups = [("", list(first.values()))]
    if len(octaves) > 1:
        groups += [("", octaves[octave]) for octave in sorted(octaves)]
    if off_default:
        groups.append((", sliders at random", off_default))
    return groups


@dataclass(frozen=True)
class TileContext:
    """The position of a crop in its image, the image's height and width, and its thumbnail."""

    tile: Rectangle
    image_size: tuple[int, int]
    thumbnail: Pixels


class ImageNetwork(Protocol):
    """A network as a function on arrays; see `as_callable`."""

    def __call__(
        self, rgb: Pixels, values: Mapping[str, Value], context: TileContext | None = None
    ) -> Pixels:
        """Apply the network.

        Parameters
        ----------
        rgb : (H, W, 3) float32 in [0, 1]
        values : parameter values by name
        context : needed if `rgb` is a crop
        """


def as_callable(network: Network, sliders: Sequence[str] = ()) -> ImageNetwork:
    """Return a network as a function on arrays of any size.

    An image is padded to a multiple of the network's blocks by repeating its last row and column,
    as the runtime does.

    Parameters
    ----------
    sliders : the names of the parameters that are inputs of the network, in order
    """

    def apply(
        rgb: Pixels, values: Mapping[str, Value], context: TileContext | None = None
    ) -> Pixels:
        height, width = rgb.shape[:2]
        multiple = network.size_multiple
        bottom, right = -height % multiple, -width % multiple
        padded = np.pad(rgb, ((0, bottom), (0, right), (0, 0)), mode="edge")
        inputs = [_to_nchw(padded)]
        if sliders:
            inputs.append(torch.tensor([values[name] for name in sliders]).view(1, -1, 1, 1))
        if network.thumbnail_size:
            if context is None:
                thumbnail = area_resize(rgb, network.thumbnail_size)
                context = TileContext(Rectangle(0, height, 0, width), (height, width), thumbnail)
            tile = context.tile
            tile = Rectangle(tile.top, tile.bottom + bottom, tile.left, tile.right + right)
            coords = normalised_coords(tile, context.image_size, multiple)
            inputs += [_to_nchw(context.thumbnail), torch.from_numpy(coords)[None]]
        with torch.inference_mode():
            output: Pixels = network(*inputs)[0].permute(1, 2, 0).numpy()
        return output[:height, :width]

    return apply


def describe_photos(photo_pairs: Sequence[Pair], source: str | Path) -> str:
    """Return the number, the folder and the sizes of photos, as text for a card."""
    pixels = [pair.size[0] * pair.size[1] / 1e6 for pair in photo_pairs]
    count = len({pair.digest for pair in photo_pairs})
    smallest, largest = f"{min(pixels):.2g}", f"{max(pixels):.2g}"
    size = smallest if smallest == largest else f"{smallest} to {largest}"
    return f"{count} from {Path(source).name!r}, {size} megapixels"


def _to_nchw(rgb: Pixels) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None]
