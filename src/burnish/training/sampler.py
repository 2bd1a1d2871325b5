"""Batches of random crops, each a pure function of the training's step.

A resumed training therefore sees exactly the crops that it would have seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from burnish.errors import UsageError
from burnish.params import Param
from burnish.runtime.thumbnail import normalised_coords
from burnish.training.pairs import Pair
from burnish.types import Pixels, Rectangle


@dataclass(frozen=True)
class Batch:
    """Crops before and after an operator, all at the same values of the sliders.

    Attributes
    ----------
    before, after : (N, 3, crop, crop) float32 in [0, 1]
    context : the network's inputs after the image, see `Network.context_inputs`
    weight : the fraction of the step's crops that are in this batch
    """

    before: Tensor
    after: Tensor
    context: tuple[Tensor, ...] = ()
    weight: float = 1.0


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
        defaults = tuple(param.default for param in self.sliders)
        large += [pair for pair in extra if min(pair.size) >= crop]
        # Key: whether a slider of the pair differs from its default.
        self.pools = {
            off_default: [pair for pair in large if (self._values(pair) != defaults) == off_default]
            for off_default in (False, True)
        }
        self.sampling_weights = {key: _sampling_weights(pool) for key, pool in self.pools.items()}

    def batch_at(self, step: int, *, off_default: bool = False) -> list[Batch]:
        """Return the crops of a step, one batch for each combination of slider values.

        Parameters
        ----------
        off_default : draw from the pairs at random slider values, not from those at the defaults
        """
        random = np.random.default_rng([self.seed, self.rank, step])
        pairs = self.pools[off_default]
        indices = random.choice(len(pairs), size=self.batch, p=self.sampling_weights[off_default])
        groups: dict[tuple[float, ...], list[list[Pixels]]] = {}
        for index in indices:
            crop = self._crop(pairs[index], random)
            groups.setdefault(self._values(pairs[index]), []).append(crop)
        return [self._collate(values, crops) for values, crops in groups.items()]

    def _values(self, pair: Pair) -> tuple[float, ...]:
        return tuple(float(str(pair.values[param.name])) for param in self.sliders)

    def _crop(self, pair: Pair, random: np.random.Generator) -> list[Pixels]:
        """Return a crop before and after, and if needed the thumbnail and the coordinates."""
        height, width = pair.size
        top = int(random.integers(height - self.crop + 1))
        left = int(random.integers(width - self.crop + 1))
        region = Rectangle(top, top + self.crop, left, left + self.crop)
        arrays = [*pair.read(*region.slices)]
        quarter_turns, mirrored = int(random.integers(4)), bool(random.integers(2))
        if self.coords_block:
            coords = normalised_coords(region, pair.size, self.coords_block)
            for _ in range(quarter_turns):  # the (x, y) values rotate too
                coords = np.stack([coords[..., 1], -coords[..., 0]], axis=2)
            if mirrored:
                coords = coords * np.array([-1, 1], np.float32)
            arrays += [pair.thumbnail, coords]
        rotated = [np.rot90(array, quarter_turns) for array in arrays]
        return [array[:, ::-1] for array in rotated] if mirrored else rotated

    def _collate(self, values: tuple[float, ...], crops: list[list[Pixels]]) -> Batch:
        before, after, *thumbnail_and_coords = map(np.stack, zip(*crops, strict=True))
        context = [torch.tensor(values).view(1, -1, 1, 1)] if values else []
        if thumbnail_and_coords:
            thumbnail, coords = thumbnail_and_coords
            context += [_to_nchw(thumbnail), torch.from_numpy(coords)]
        return Batch(
            before=_to_nchw(before),
            after=_to_nchw(after),
            context=tuple(context),
            weight=len(crops) / self.batch,
        )


def _sampling_weights(pairs: Sequence[Pair]) -> NDArray[np.float64]:
    # Large photos have more content, but should not crowd out the small ones.
    roots = np.sqrt([float(np.prod(pair.size)) for pair in pairs])
    weights: NDArray[np.float64] = roots / roots.sum()
    return weights


def _to_nchw(images: Pixels) -> Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
