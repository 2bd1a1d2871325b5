"""Batches of random crops, each a pure function of the training's step.

A resumed training therefore sees exactly the crops that it would have seen.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from burnish.errors import UsageError
from burnish.operators.operator import Symmetry
from burnish.params import Param
from burnish.runtime.thumbnail import normalised_coords
from burnish.training.guides import SmallCrop, read_guide, read_small_crop
from burnish.training.pairs import Pair
from burnish.training.transform import Transform
from burnish.types import Pixels, Rectangle

# The fraction of crops whose guide is the output of the network in training. The guide of half of
# the others is the start network's output, if there is one, and that of the rest the operator's.
_OWN_FRACTION = 1 / 3


@dataclass(frozen=True)
class Batch:
    """Crops before and after an operator, all at the same values of the sliders.

    Attributes
    ----------
    before, after : (N, 3, crop, crop) float32 in [0, 1]
    context : the network's inputs after the image, see `Network.context_inputs`
    small_crops : a crop of a smaller copy for each guide that is still to be computed
    """

    before: Tensor
    after: Tensor
    context: tuple[Tensor, ...] = ()
    small_crops: tuple[SmallCrop, ...] = ()

    def to(self, device: torch.device) -> Self:
        """Return the batch with its tensors on a device."""
        context = tuple(tensor.to(device) for tensor in self.context)
        return replace(
            self, before=self.before.to(device), after=self.after.to(device), context=context
        )


def complete_batches(batches: Iterable[Batch]) -> list[Batch]:
    """Return batches with only the crops whose guides are known, without those that have none."""
    complete = []
    for batch in batches:
        missing = {crop.index for crop in batch.small_crops}
        chosen = [index for index in range(len(batch.before)) if index not in missing]
        if not chosen:
            continue
        context = tuple(t[chosen] if len(t) == len(batch.before) else t for t in batch.context)
        before, after = batch.before[chosen], batch.after[chosen]
        complete.append(replace(batch, before=before, after=after, context=context, small_crops=()))
    return complete


class CropSampler:
    """Draws crops from pairs, randomly rotated and mirrored.

    Parameters
    ----------
    pairs : at least one must be as large as a crop
    extra : further pairs, such as synthetic images
    batch : the number of crops in a step
    crop : side of a crop, px. Smaller pairs are left out
    seed : seed of the training
    rank : number of this process among several
    sliders : parameters whose values are inputs of the network
    coords_block : side of the network's coordinate blocks, px. If it is not 0, batches contain
        the photos' thumbnails and the coordinates of the crops' blocks
    guided : batches contain guides
    start_outputs : folder of the start network's outputs, see `burnish.training.guides.start_file`
        [default: it has none]
    symmetries : of the operator, see `burnish.operators.operator.Operator`

    Raises
    ------
    UsageError : all of `pairs` are smaller than a crop
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        *,
        extra: Sequence[Pair] = (),
        batch: int,
        crop: int,
        seed: int,
        rank: int = 0,
        sliders: Sequence[Param] = (),
        coords_block: int = 0,
        guided: bool = False,
        start_outputs: Path | None = None,
        symmetries: Collection[Symmetry] = (),
    ) -> None:
        large = [pair for pair in pairs if min(pair.size) >= crop]
        if not large:
            side = max(min(pair.size) for pair in pairs)
            raise UsageError(
                "--crop",
                f"the photos are smaller than {crop} pixels (shorter side at most {side})",
                "give larger photos or a smaller --crop",
            )
        self.batch = batch
        self.crop = crop
        self.seed = seed
        self.rank = rank
        self.sliders = tuple(sliders)
        self.coords_block = coords_block
        self.guided = guided
        self.start_outputs = start_outputs
        self.symmetries = symmetries
        large += [pair for pair in extra if min(pair.size) >= crop]
        groups: dict[tuple[float, ...], list[Pair]] = {}
        for pair in large:
            groups.setdefault(self._values(pair), []).append(pair)
        defaults = tuple(param.default for param in self.sliders)
        # Key: whether a slider of the pairs differs from its default.
        self.groups = {
            False: [_Group(groups.pop(defaults, []))],
            True: [_Group(group) for group in groups.values()],
        }

    def batch_at(self, step: int, *, off_default: bool = False) -> Batch:
        """Return the crops of a step.

        Parameters
        ----------
        off_default : draw from the pairs at random slider values, not from those at the defaults
        """
        random = np.random.default_rng([self.seed, self.rank, step])
        groups = self.groups[off_default]
        totals = np.array([group.total for group in groups])
        group = groups[random.choice(len(groups), p=totals / totals.sum())]
        crops, small_crops = [], []
        for index, pair in enumerate(group.draw(self.batch, random)):
            arrays, small_crop = self._crop(pair, index, random)
            crops.append(arrays)
            small_crops += [small_crop] if small_crop else []
        return self._collate(self._values(group.pairs[0]), crops, small_crops)

    def _values(self, pair: Pair) -> tuple[float, ...]:
        return tuple(float(str(pair.values[param.name])) for param in self.sliders)

    def _crop(
        self, pair: Pair, index: int, random: np.random.Generator
    ) -> tuple[dict[str, NDArray[np.float32]], SmallCrop | None]:
        """Return a crop before and after, and if needed its guide, thumbnail and coordinates."""
        height, width = pair.size
        top = int(random.integers(height - self.crop + 1))
        left = int(random.integers(width - self.crop + 1))
        region = Rectangle(top, top + self.crop, left, left + self.crop)
        transform = Transform.random(random, self.symmetries)
        arrays = dict(zip(("before", "after"), pair.read(*region.slices), strict=True))
        small_crop = None
        if self.guided:
            arrays["guide"], small_crop = self._guide(pair, region, index, transform, random)
        if self.coords_block:
            arrays["thumbnail"] = pair.thumbnail
        arrays = {name: transform.of_image(image) for name, image in arrays.items()}
        if self.coords_block:
            coords = normalised_coords(region, pair.size, self.coords_block)
            arrays["coords"] = transform.of_coords(coords)
        return arrays, small_crop

    def _guide(
        self,
        pair: Pair,
        region: Rectangle,
        index: int,
        transform: Transform,
        random: np.random.Generator,
    ) -> tuple[Pixels, SmallCrop | None]:
        """Return the guide of a region, or a placeholder and the crop that yields the guide."""
        own, from_start = random.random() < _OWN_FRACTION, bool(random.integers(2))
        start_outputs = self.start_outputs if from_start else None
        if own and (crop := read_small_crop(pair, region, index, transform, start_outputs)):
            return np.zeros((*region.size, 3), np.float32), crop
        return read_guide(pair, region, start_outputs), None

    def _collate(
        self,
        values: tuple[float, ...],
        crops: Sequence[dict[str, NDArray[np.float32]]],
        small_crops: Sequence[SmallCrop],
    ) -> Batch:
        stacks = {name: [arrays[name] for arrays in crops] for name in crops[0]}
        images = {name: to_nchw(arrays) for name, arrays in stacks.items() if name != "coords"}
        context = [images["guide"]] if self.guided else []
        context += [to_params(values)] if values else []
        if self.coords_block:
            context += [images["thumbnail"], torch.from_numpy(np.stack(stacks["coords"]))]
        return Batch(images["before"], images["after"], tuple(context), tuple(small_crops))


class _Group:
    """Pairs at equal values of the sliders."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.pairs = pairs
        # Large photos have more content, but should not crowd out the small ones.
        self._weights = np.sqrt([float(np.prod(pair.size)) for pair in pairs])
        self.total = float(self._weights.sum())

    def draw(self, count: int, random: np.random.Generator) -> list[Pair]:
        """Return random pairs, in which a pair may occur more than once."""
        indices = random.choice(len(self.pairs), count, p=self._weights / self.total)
        return [self.pairs[index] for index in indices]


def to_params(values: Sequence[float]) -> Tensor:
    """Return the values of sliders as an input of a network."""
    return torch.tensor(values).view(1, -1, 1, 1)


def to_nchw(images: Sequence[Pixels]) -> Tensor:
    """Return images (H, W, 3) of equal size as a tensor (N, 3, H, W)."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
