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
from burnish.runtime.area_resize import shrink
from burnish.runtime.coords import places
from burnish.training.evaluation import Report, evaluate
from burnish.training.pairs import Pair


@dataclass(frozen=True)
class Judgement:
    """A report, and the photos that it is on, in words."""

    photos: str
    report: Report


def judge(
    network: Network,
    sliders: Sequence[str],
    unseen: Sequence[Pair],
    source: str | Path,
    tick: Callable[[], None] = lambda: None,
) -> tuple[Judgement, ...]:
    """Report on photos at their own size first, then by size, then at random slider values.

    Parameters
    ----------
    sliders : the names of the parameters that the network takes
    unseen : of each photo, the first pair is at the operator's fixed values
    source : where the photos come from
    tick : called after every picture
    """
    apply = as_filter(network, sliders)
    return tuple(
        Judgement(f"{words(pairs, source)}{remark}", evaluate(apply, pairs, tick))
        for remark, pairs in groups(unseen)
    )


def groups(unseen: Sequence[Pair]) -> list[tuple[str, list[Pair]]]:
    """Divide pairs into what is reported apart, each with a remark."""
    first: dict[str, Pair] = {}
    for pair in unseen:
        first.setdefault(pair.digest, pair)
    plain = [pair for pair in unseen if pair.values == first[pair.digest].values]
    drawn = [pair for pair in unseen if pair.values != first[pair.digest].values]
    octaves: dict[int, list[Pair]] = {}
    for pair in plain:
        octaves.setdefault(math.floor(math.log2(math.prod(pair.size))), []).append(pair)
    found = [("", list(first.values()))]
    if len(octaves) > 1:
        found += [("", octaves[octave]) for octave in sorted(octaves)]
    if drawn:
        found.append((", sliders at random", drawn))
    return found


@dataclass(frozen=True)
class View:
    """What part of a picture is seen, the picture's height and width, and its thumbnail."""

    part: Rectangle
    size: tuple[int, int]
    thumbnail: NDArray[np.float32]


class Apply(Protocol):
    """See `as_filter`."""

    def __call__(
        self,
        rgb: NDArray[np.float32],
        values: Mapping[str, Value],
        view: View | None = None,
    ) -> NDArray[np.float32]:
        """Apply a network."""


def as_filter(network: Network, sliders: Sequence[str] = ()) -> Apply:
    """Return `network` as a function from picture and parameter values to picture.

    Any size will do: a picture is continued by its last row and column, as tiles are. For a part
    of a picture it is told of the whole.
    """

    def apply(
        rgb: NDArray[np.float32], values: Mapping[str, Value], view: View | None = None
    ) -> NDArray[np.float32]:
        height, width = rgb.shape[:2]
        multiple = network.multiple
        below, right = -height % multiple, -width % multiple
        padded = np.pad(rgb, ((0, below), (0, right), (0, 0)), mode="edge")
        given = [_planes(padded)]
        if sliders:
            given.append(torch.tensor([values[name] for name in sliders]).view(1, -1, 1, 1))
        if network.thumbnail:
            view = view or View(
                Rectangle(0, height, 0, width), (height, width), shrink(rgb, network.thumbnail)
            )
            part = Rectangle(
                view.part.top, view.part.bottom + below, view.part.left, view.part.right + right
            )
            given.append(_planes(view.thumbnail))
            given.append(torch.from_numpy(places(part, view.size, multiple))[None])
        with torch.inference_mode():
            result: NDArray[np.float32] = network(*given)[0].permute(1, 2, 0).numpy()
        return result[:height, :width]

    return apply


def words(found: Sequence[Pair], source: str | Path) -> str:
    """Say which photos these are: how many, from a folder of what name, how large."""
    pixels = [pair.size[0] * pair.size[1] / 1e6 for pair in found]
    photos = len({pair.digest for pair in found})
    least, most = f"{min(pixels):.2g}", f"{max(pixels):.2g}"
    size = least if least == most else f"{least} to {most}"
    return f"{photos} from {Path(source).name!r}, {size} megapixels"


def _planes(rgb: NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None]
