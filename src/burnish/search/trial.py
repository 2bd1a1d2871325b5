"""Short trainings, after which candidates are compared."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from burnish.metrics import mse, psnr
from burnish.operators.user_defined import find_operator
from burnish.runtime.cascade import operator_output
from burnish.search.space import GUIDE_RATIOS, Candidate
from burnish.training.config import TrainConfig
from burnish.training.data import TrainingData
from burnish.training.guides import Enlargement
from burnish.training.network_trainer import NetworkTrainer
from burnish.training.pairs import Pair, scaled_size
from burnish.training.pipeline import make_sampler
from burnish.training.validation import ImageNetwork
from burnish.types import Pixels, Rectangle

# Photos that a candidate is scored on.
PHOTOS = 8


@dataclass(frozen=True)
class _Photo:
    """A held-out photo before and after the operator, and its guide for each ratio."""

    before: Pixels
    after: Pixels
    guides: dict[float, Pixels]


class Trials:
    """Trains candidates for a while, on the same crops, and scores them on the same photos.

    Parameters
    ----------
    config : of all trainings; its network and whether it is guided are those of the candidate. It
        is guided itself, so that `data` has guides
    data : the pairs. All candidates use them
    """

    def __init__(self, config: TrainConfig, data: TrainingData) -> None:
        self.config, self.data = config, data
        step = max(1, len(data.validation) // PHOTOS)
        self._photos = [self._photo(pair) for pair in data.validation[::step][:PHOTOS]]

    def psnr(self, candidate: Candidate) -> float:
        """Return the mean PSNR of a candidate on the held-out photos after its training, in dB."""
        guided = candidate.guide_ratio is not None
        config = replace(self.config, network=candidate.network, guided=guided)
        torch.manual_seed(config.seed)
        network = candidate.build()
        sampler = make_sampler(config, self.data, network)
        with TemporaryDirectory(prefix="burnish-") as folder:
            trainer = NetworkTrainer(config, network, sampler, Path(folder))
            trainer.run(save_every=float("inf"))
            apply = ImageNetwork(trainer.ema_network())
        return float(np.mean([self._score(apply, photo, candidate) for photo in self._photos]))

    def identity_psnr(self) -> float:
        """Return the mean PSNR of the unedited photos, in dB."""
        return float(np.mean([psnr(mse(photo.before, photo.after)) for photo in self._photos]))

    def guide_psnr(self, ratio: float) -> float:
        """Return the mean PSNR of the guides themselves, in dB."""
        photos = self._photos
        return float(np.mean([psnr(mse(photo.guides[ratio], photo.after)) for photo in photos]))

    def _photo(self, pair: Pair) -> _Photo:
        before, after = pair.read()
        ratios: Sequence[float] = [ratio for ratio in GUIDE_RATIOS if ratio]
        return _Photo(before, after, {ratio: self._guide(pair, ratio) for ratio in ratios})

    def _guide(self, pair: Pair, ratio: float) -> Pixels:
        """Return the operator's output for a smaller copy, enlarged."""
        operator = find_operator(self.config.operator)
        before, after = pair.read()
        size = pair.size
        small_size = scaled_size(size, 1 / ratio)
        if operator.pairs:
            from burnish.runtime.resize import area_resize

            small = area_resize(after, small_size)
        else:
            small = operator_output(
                operator, pair.values, lambda part: before[part.slices], size, small_size
            )
        whole = Rectangle(0, size[0], 0, size[1])
        all_of_small = Rectangle(0, small_size[0], 0, small_size[1])
        return Enlargement(whole, size, small_size)(small, all_of_small)

    @staticmethod
    def _score(apply: ImageNetwork, photo: _Photo, candidate: Candidate) -> float:
        guide = photo.guides[candidate.guide_ratio] if candidate.guide_ratio else None
        output = apply(photo.before, {}, guide=guide)
        return psnr(mse(output.clip(0, 1), photo.after))
