"""Batches: random crops of random photos at random sizes, each a pure function of its step.

Nothing here has a state: the batch of a step follows from seed, step and process alone, so a
training that is resumed sees exactly what it would have seen.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from burnish.errors import UsageError
from burnish.training.pairs import Pair


class Batches:
    """Draws crops from pairs, with flips and quarter turns.

    A pair is drawn with a chance proportional to the square root of its pixels: large photos hold
    more to learn from, but small ones must not drown.

    Parameters
    ----------
    pairs : what to draw from
    batch : crops a batch
    crop : side of a crop in pixels; pairs smaller than this are left out
    seed, rank : of the training, and of this process among several

    Raises
    ------
    UsageError : every pair is smaller than a crop
    """

    def __init__(
        self, pairs: Sequence[Pair], *, batch: int, crop: int, seed: int, rank: int = 0
    ) -> None:
        self.pairs = [pair for pair in pairs if min(pair.size) >= crop]
        if not self.pairs:
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
        chances = np.sqrt([float(np.prod(pair.size)) for pair in self.pairs])
        self.chances = chances / chances.sum()

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Return before and after of one step, each (batch, 3, crop, crop) float32 in [0, 1]."""
        random = np.random.default_rng([self.seed, self.rank, step])
        chosen = random.choice(len(self.pairs), size=self.batch, p=self.chances)
        crops = np.stack([self._crop(self.pairs[index], random) for index in chosen])
        tensor = torch.from_numpy(crops).permute(1, 0, 4, 2, 3)  # after|before, N, 3, H, W
        before, after = tensor.contiguous()
        return before, after

    def _crop(self, pair: Pair, random: np.random.Generator) -> NDArray[np.float32]:
        height, width = pair.size
        top = int(random.integers(height - self.crop + 1))
        left = int(random.integers(width - self.crop + 1))
        crop = pair.read(slice(top, top + self.crop), slice(left, left + self.crop))
        crop = np.rot90(crop, k=int(random.integers(4)), axes=(1, 2))
        return crop[:, :, ::-1] if random.integers(2) else crop
