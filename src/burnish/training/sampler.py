"""Batches: random crops of random photos at random sizes, each a pure function of its step.

Nothing here has a state: the batch of a step follows from seed, step and process alone, so a
training that is resumed sees exactly what it would have seen.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from burnish.errors import UsageError
from burnish.params import Param
from burnish.photo.rectangle import Rectangle
from burnish.runtime.coords import normalised_coords
from burnish.training.pairs import Pair
from burnish.types import Pixels


@dataclass(frozen=True)
class Batch:
    """Crops before and after, each (N, 3, crop, crop) float32 in [0, 1], and their context.

    ``context``: as a network takes it, values of sliders (1, sliders, 1, 1), the same for all
    crops, thumbnails (N, 3, S, S) and places (N, crop / block, crop / block, 2), or fewer of them.
    ``weight``: of the step's crops, these are so many.
    """

    before: Tensor
    after: Tensor
    context: tuple[Tensor, ...] = ()
    weight: float = 1.0


@dataclass(frozen=True)
class Crop:
    """Before and after of a part of a photo, and what is told of the whole: see `Batch`."""

    before: Pixels
    after: Pixels
    thumbnail: Pixels
    coords: Pixels

    def rotated(self, quarter_turns: int, *, mirrored: bool) -> Self:
        """Return it turned by so many quarters against the clock, then mirrored left to right."""
        arrays = (self.before, self.after, self.thumbnail, self.coords)
        before, after, thumbnail, coords = (np.rot90(picture, quarter_turns) for picture in arrays)
        for _ in range(quarter_turns):  # (across, down) of a place that turns along
            coords = np.stack([coords[..., 1], -coords[..., 0]], axis=2)
        if mirrored:
            arrays = (before, after, thumbnail, coords)
            before, after, thumbnail, coords = (picture[:, ::-1] for picture in arrays)
            coords = coords * np.array([-1, 1], np.float32)
        return type(self)(before, after, thumbnail, coords)


class CropSampler:
    """Draws crops from pairs, with flips and quarter turns.

    Parameters
    ----------
    pairs : what to draw from
    extra : what else to draw from
    batch : crops a batch
    crop : side of a crop in pixels; pairs smaller than this are left out
    seed, rank : of the training, and of this process among several
    sliders : parameters whose values crops bring along
    coords_block : the side of the blocks whose places in its photo each crop brings along, and with them
        its photo's thumbnail, px; 0 for neither

    Raises
    ------
    UsageError : every pair is smaller than a crop
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
    ) -> None:
        large = [pair for pair in pairs if min(pair.size) >= crop]
        if not large:
            raise UsageError(
                "--crop",
                expected=f"photos of {crop} pixels or more to each side",
                got=f"{max(min(pair.size) for pair in pairs)} at most",
                remedy="give larger photos or a smaller --crop",
            )
        self.batch = batch
        self.crop = crop
        self.seed = seed
        self.rank = rank
        self.sliders = tuple(sliders)
        self.coords_block = coords_block
        defaults = tuple(param.default for param in self.sliders)
        # Pairs at the values that hold unsaid, and at others.
        large += [pair for pair in extra if min(pair.size) >= crop]
        self.pools = {
            away: [pair for pair in large if (self._values(pair) != defaults) == away]
            for away in (False, True)
        }
        self.sampling_weights = {away: sampling_weights(pool) for away, pool in self.pools.items()}

    @property
    def pairs(self) -> list[Pair]:
        """All that crops are drawn from."""
        return self.pools[False] + self.pools[True]

    def batch_at(self, step: int, *, off_default: bool = False) -> list[Batch]:
        """Return one step's crops, those together that have equal values of the sliders.

        Parameters
        ----------
        off_default : crops at drawn values of the sliders, rather than at those that hold unsaid
        """
        random = np.random.default_rng([self.seed, self.rank, step])
        pairs = self.pools[off_default]
        chosen = random.choice(len(pairs), size=self.batch, p=self.sampling_weights[off_default])
        groups: dict[tuple[float, ...], list[Crop]] = {}
        for index in chosen:
            crop = self._crop(pairs[index], random)
            groups.setdefault(self._values(pairs[index]), []).append(crop)
        return [self._batch(values, crops) for values, crops in groups.items()]

    def _values(self, pair: Pair) -> tuple[float, ...]:
        return tuple(float(str(pair.values[param.name])) for param in self.sliders)

    def _batch(self, values: tuple[float, ...], crops: list[Crop]) -> Batch:
        context = [torch.tensor(values).view(1, -1, 1, 1)] if values else []
        if self.coords_block:
            context.append(_planes([crop.thumbnail for crop in crops]))
            context.append(torch.from_numpy(np.stack([crop.coords for crop in crops])))
        return Batch(
            before=_planes([crop.before for crop in crops]),
            after=_planes([crop.after for crop in crops]),
            context=tuple(context),
            weight=len(crops) / self.batch,
        )

    def _crop(self, pair: Pair, random: np.random.Generator) -> Crop:
        """Draw before and after of a place, and what is told of the whole, all turned alike."""
        height, width = pair.size
        top = int(random.integers(height - self.crop + 1))
        left = int(random.integers(width - self.crop + 1))
        region = Rectangle(top, top + self.crop, left, left + self.crop)
        before, after = pair.read(*region.slices)
        thumbnail = np.empty((0, 0, 3), np.float32)
        coords = np.empty((0, 0, 2), np.float32)
        if self.coords_block:
            thumbnail, coords = (
                pair.thumbnail,
                normalised_coords(region, pair.size, self.coords_block),
            )
        crop = Crop(before, after, thumbnail, coords)
        return crop.rotated(int(random.integers(4)), mirrored=bool(random.integers(2)))


class Prefetcher:
    """Draws a step's batch while the one before is learnt."""

    def __init__(self, sampler: CropSampler) -> None:
        self.sampler = sampler
        self.pool = ThreadPoolExecutor(1)
        self.pending: tuple[int, bool, Future[list[Batch]]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.pool.shutdown()

    def get(self, step: int, *, off_default: bool) -> list[Batch]:
        """Return `Batches.at` of the arguments, and begin with the next step's."""
        batch = None
        if self.pending is not None and self.pending[:2] == (step, off_default):
            batch = self.pending[2].result()
        future = self.pool.submit(self.sampler.batch_at, step + 1, off_default=off_default)
        self.pending = step + 1, off_default, future
        return batch or self.sampler.batch_at(step, off_default=off_default)


def sampling_weights(pairs: Sequence[Pair]) -> NDArray[np.float64]:
    """Return the chance of each pair: it grows with the root of its pixels.

    Large photos hold more to learn from, but small ones must not drown.
    """
    roots = np.sqrt([float(np.prod(pair.size)) for pair in pairs])
    weights: NDArray[np.float64] = roots / roots.sum()
    return weights


def _planes(pictures: Sequence[Pixels]) -> Tensor:
    """(H, W, 3) each -> (N, 3, H, W)."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()
