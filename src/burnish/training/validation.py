"""Judge a trained network on photos it has not seen: at each size, and over its sliders."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from burnish.networks.network import Network
from burnish.params import Value
from burnish.photo.rectangle import Rectangle
from burnish.runtime.area_resize import area_resize
from burnish.runtime.coords import normalised_coords
from burnish.training.evaluation import Report, evaluate
from burnish.training.pairs import Pair


@dataclass(frozen=True)
class ValidationResult:
    """A report, and the photos that it is on, in words."""

    photos: str
    report: Report


def validate(
    network: Network,
    sliders: Sequence[str],
    validation_pairs: Sequence[Pair],
    source: str | Path,
    on_progress: Callable[[], None] = lambda: None,
) -> tuple[ValidationResult, ...]:
    """Report on photos at their own size first, then by size, then at random slider values.

    Parameters
    ----------
    sliders : the names of the parameters that the network takes
    validation_pairs : of each photo, the first pair is at the operator's fixed values
    source : where the photos come from
    on_progress : called after every picture
    """
    apply = as_callable(network, sliders)
    return tuple(
        ValidationResult(
            f"{describe_photos(pairs, source)}{remark}", evaluate(apply, pairs, on_progress)
        )
        for remark, pairs in split_by_size(validation_pairs)
    )


def split_by_size(validation_pairs: Sequence[Pair]) -> list[tuple[str, list[Pair]]]:
    """Divide pairs into what is reported apart, each with a remark."""
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
    """What part of a picture is seen, the picture's height and width, and its thumbnail."""

    tile: Rectangle
    image_size: tuple[int, int]
    thumbnail: NDArray[np.float32]


class ImageNetwork(Protocol):
    """See `as_callable`."""

    def __call__(
        self,
        rgb: NDArray[np.float32],
        values: Mapping[str, Value],
        context: TileContext | None = None,
    ) -> NDArray[np.float32]:
        """Apply a network."""


def as_callable(network: Network, sliders: Sequence[str] = ()) -> ImageNetwork:
    """Return `network` as a function from picture and parameter values to picture.

    Any size will do: a picture is continued by its last row and column, as tiles are. For a part
    of a picture it is told of the whole.
    """

    def apply(
        rgb: NDArray[np.float32], values: Mapping[str, Value], context: TileContext | None = None
    ) -> NDArray[np.float32]:
        height, width = rgb.shape[:2]
        multiple = network.size_multiple
        below, right = -height % multiple, -width % multiple
        padded = np.pad(rgb, ((0, below), (0, right), (0, 0)), mode="edge")
        inputs = [_planes(padded)]
        if sliders:
            inputs.append(torch.tensor([values[name] for name in sliders]).view(1, -1, 1, 1))
        if network.thumbnail_size:
            context = context or TileContext(
                Rectangle(0, height, 0, width),
                (height, width),
                area_resize(rgb, network.thumbnail_size),
            )
            tile = Rectangle(
                context.tile.top,
                context.tile.bottom + below,
                context.tile.left,
                context.tile.right + right,
            )
            inputs.append(_planes(context.thumbnail))
            inputs.append(
                torch.from_numpy(normalised_coords(tile, context.image_size, multiple))[None]
            )
        with torch.inference_mode():
            output: NDArray[np.float32] = network(*inputs)[0].permute(1, 2, 0).numpy()
        return output[:height, :width]

    return apply


def describe_photos(photo_pairs: Sequence[Pair], source: str | Path) -> str:
    """Say which photos these are: how many, from a folder of what name, how large."""
    pixels = [pair.size[0] * pair.size[1] / 1e6 for pair in photo_pairs]
    photos = len({pair.digest for pair in photo_pairs})
    least, most = f"{min(pixels):.2g}", f"{max(pixels):.2g}"
    size = least if least == most else f"{least} to {most}"
    return f"{photos} from {Path(source).name!r}, {size} megapixels"


def _planes(rgb: NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None]
