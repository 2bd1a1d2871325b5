"""Short trainings, after which candidates are compared."""

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from burnish.metrics import mse, psnr
from burnish.operators.user_defined import find_operator
from burnish.runtime.resize import area_resize, bilinear_region
from burnish.search.space import Candidate
from burnish.training import TrainCallbacks
from burnish.training.config import TrainConfig
from burnish.training.data import TrainingData, prepare_data
from burnish.training.network_trainer import NetworkTrainer, build_network
from burnish.training.pairs import Pair, scaled_size
from burnish.training.pipeline import make_sampler
from burnish.training.validation import ImageNetwork
from burnish.types import Pixels, Rectangle

# Photos that a candidate is scored on.
PHOTOS = 8
# A guided candidate begins with the operator's output for a copy that is smaller by this factor.
# It is the same for each ratio of levels, so that what candidates are given is the same.
FIRST_LEVEL = 4.0


@dataclass(frozen=True)
class _Photo:
    """A held-out photo before and after the operator, and the operator's output for a copy.

    Attributes
    ----------
    copies : the photo before the operator, by the size of the photo divided by that of the copy
    """

    copies: dict[float, Pixels]
    after: Pixels
    first_level: Pixels


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
        # Candidates see no thumbnail, so that all are trained alike.
        config = replace(
            self.config, network=candidate.network, guided=guided, global_context=False
        )
        torch.manual_seed(config.seed)
        network = build_network(config)
        sampler = make_sampler(config, self.data, network)
        with TemporaryDirectory(prefix="burnish-") as folder:
            trainer = NetworkTrainer(config, network, sampler, Path(folder))
            trainer.run(save_every=float("inf"))
            apply = ImageNetwork(trainer.ema_network())
        return float(np.mean([self._score(apply, photo, candidate) for photo in self._photos]))

    def identity_psnr(self) -> float:
        """Return the mean PSNR of the unedited photos, in dB."""
        return float(np.mean([psnr(mse(photo.copies[1], photo.after)) for photo in self._photos]))

    def guide_psnr(self) -> float:
        """Return the mean PSNR of the operator's output for the first level, enlarged, in dB."""
        return float(
            np.mean(
                [
                    psnr(mse(_enlarged(photo.first_level, photo.after), photo.after))
                    for photo in self._photos
                ]
            )
        )

    def _photo(self, pair: Pair) -> _Photo:
        operator = find_operator(self.config.operator)
        before, after = pair.read()
        sizes = {ratio: scaled_size(pair.size, 1 / ratio) for ratio in (1, 2, FIRST_LEVEL)}
        copies = {ratio: area_resize(before, size) for ratio, size in sizes.items()}
        if operator.pairs:
            first_level = area_resize(after, sizes[FIRST_LEVEL])
        else:
            measured = operator.measure(before, **pair.values)
            first_level = operator.run_small(
                copies[FIRST_LEVEL], 1 / FIRST_LEVEL, measured, **pair.values
            )
        return _Photo(copies, after, first_level)

    @staticmethod
    def _score(apply: ImageNetwork, photo: _Photo, candidate: Candidate) -> float:
        """Return the PSNR of a photo, whose guide goes through all levels of the cascade."""
        if candidate.guide_ratio is None:
            output = apply(photo.copies[1], {})
        else:
            output, ratio = photo.first_level, FIRST_LEVEL
            while ratio > 1:
                ratio /= candidate.guide_ratio
                before = photo.copies[ratio]
                output = apply(before, {}, guide=_enlarged(output, before)).clip(0, 1)
        return psnr(mse(output.clip(0, 1), photo.after))


# The trials of a task's process, which has the data of one search in memory.
_trials: dict[str, Trials] = {}


def trial_psnr(
    config: TrainConfig, photos: Path | None, validation: Path | None, candidate: Candidate
) -> tuple[Candidate, float]:
    """Return a candidate and its PSNR, as a task of a cluster that shares the cache of pairs."""
    key = repr((config, photos, validation))
    if key not in _trials:
        _trials.clear()
        _trials[key] = Trials(config, prepare_data(config, photos, validation, TrainCallbacks()))
    return candidate, _trials[key].psnr(candidate)


def _enlarged(pixels: Pixels, image: Pixels) -> Pixels:
    """Return an image at the size of another one."""
    height, width = image.shape[:2]
    return bilinear_region(pixels, Rectangle(0, height, 0, width), (height, width))
