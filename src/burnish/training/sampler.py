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
from burnish.runtime.coords import places
from burnish.training.pairs import Pair
from burnish.types import Pixels


@dataclass(frozen=True)
class Batch:
    """Crops before and after, each (N, 3, crop, crop) float32 in [0, 1], and their context.

    ``context``: as a network takes it, values of sliders (1, sliders, 1, 1), the same for all
    crops, thumbnails (N, 3, S, S) and places (N, crop / block, crop / block, 2), or fewer of them.
    ``share``: of the step's crops, these are so many.
    """

    before: Tensor
    after: Tensor
    context: tuple[Tensor, ...] = ()
    share: float = 1.0


@dataclass(frozen=True)
class Crop:
    """Before and after of a part of a photo, and what is told of the whole: see `Batch`."""

    before: Pixels
    after: Pixels
    thumbnail: Pixels
    places: Pixels

    def turned(self, quarters: int, *, mirrored: bool) -> Self:
        """Return it turned by so many quarters against the clock, then mirrored left to right."""
        pictures = (self.before, self.after, self.thumbnail, self.places)
        before, after, thumbnail, where = (np.rot90(picture, quarters) for picture in pictures)
        for _ in range(quarters):  # (across, down) of a place that turns along
            where = np.stack([where[..., 1], -where[..., 0]], axis=2)
        if mirrored:
            pictures = (before, after, thumbnail, where)
            before, after, thumbnail, where = (picture[:, ::-1] for picture in pictures)
            where = where * np.array([-1, 1], np.float32)
        return type(self)(before, after, thumbnail, where)


class Batches:
    """Draws crops from pairs, with flips and quarter turns.

    Parameters
    ----------
    pairs : what to draw from
    beside : what else to draw from
    batch : crops a batch
    crop : side of a crop in pixels; pairs smaller than this are left out
    seed, rank : of the training, and of this process among several
    sliders : parameters whose values crops bring along
    block : the side of the blocks whose places in its photo each crop brings along, and with them
        its photo's thumbnail, px; 0 for neither

    Raises
    ------
    UsageError : every pair is smaller than a crop
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        *,
        beside: Sequence[Pair] = (),
        batch: int,
        crop: int,
        seed: int,
        rank: int = 0,
        sliders: Sequence[Param] = (),
        block: int = 0,
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
        self.block = block
        unsaid = tuple(param.default for param in self.sliders)
        # Pairs at the values that hold unsaid, and at others.
        large += [pair for pair in beside if min(pair.size) >= crop]
        self.pools = {
            away: [pair for pair in large if (self._values(pair) != unsaid) == away]
            for away in (False, True)
        }
        self.chances = {away: chances(pool) for away, pool in self.pools.items()}

    @property
    def pairs(self) -> list[Pair]:
        """All that crops are drawn from."""
        return self.pools[False] + self.pools[True]

    def at(self, step: int, *, away: bool = False) -> list[Batch]:
        """Return one step's crops, those together that have equal values of the sliders.

        Parameters
        ----------
        away : crops at drawn values of the sliders, rather than at those that hold unsaid
        """
        random = np.random.default_rng([self.seed, self.rank, step])
        pairs = self.pools[away]
        chosen = random.choice(len(pairs), size=self.batch, p=self.chances[away])
        groups: dict[tuple[float, ...], list[Crop]] = {}
        for index in chosen:
            crop = self._crop(pairs[index], random)
            groups.setdefault(self._values(pairs[index]), []).append(crop)
        return [self._batch(values, crops) for values, crops in groups.items()]

    def _values(self, pair: Pair) -> tuple[float, ...]:
        return tuple(float(str(pair.values[param.name])) for param in self.sliders)

    def _batch(self, values: tuple[float, ...], crops: list[Crop]) -> Batch:
        context = [torch.tensor(values).view(1, -1, 1, 1)] if values else []
        if self.block:
            context.append(_planes([crop.thumbnail for crop in crops]))
            context.append(torch.from_numpy(np.stack([crop.places for crop in crops])))
        return Batch(
            before=_planes([crop.before for crop in crops]),
            after=_planes([crop.after for crop in crops]),
            context=tuple(context),
            share=len(crops) / self.batch,
        )

    def _crop(self, pair: Pair, random: np.random.Generator) -> Crop:
        """Draw before and after of a place, and what is told of the whole, all turned alike."""
        height, width = pair.size
        top = int(random.integers(height - self.crop + 1))
        left = int(random.integers(width - self.crop + 1))
        part = Rectangle(top, top + self.crop, left, left + self.crop)
        before, after = pair.read(*part.inside)
        thumbnail = np.empty((0, 0, 3), np.float32)
        where = np.empty((0, 0, 2), np.float32)
        if self.block:
            thumbnail, where = pair.thumbnail, places(part, pair.size, self.block)
        crop = Crop(before, after, thumbnail, where)
        return crop.turned(int(random.integers(4)), mirrored=bool(random.integers(2)))


class Ahead:
    """Draws a step's batch while the one before is learnt."""

    def __init__(self, batches: Batches) -> None:
        self.batches = batches
        self.pool = ThreadPoolExecutor(1)
        self.coming: tuple[int, bool, Future[list[Batch]]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.pool.shutdown()

    def take(self, step: int, *, away: bool) -> list[Batch]:
        """Return `Batches.at` of the arguments, and begin with the next step's."""
        batch = None
        if self.coming is not None and self.coming[:2] == (step, away):
            batch = self.coming[2].result()
        next_one = self.pool.submit(self.batches.at, step + 1, away=away)
        self.coming = step + 1, away, next_one
        return batch or self.batches.at(step, away=away)


def chances(pairs: Sequence[Pair]) -> NDArray[np.float64]:
    """Return the chance of each pair: it grows with the root of its pixels.

    Large photos hold more to learn from, but small ones must not drown.
    """
    roots = np.sqrt([float(np.prod(pair.size)) for pair in pairs])
    shares: NDArray[np.float64] = roots / roots.sum()
    return shares


def _planes(pictures: Sequence[Pixels]) -> Tensor:
    """(H, W, 3) each -> (N, 3, H, W)."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()
