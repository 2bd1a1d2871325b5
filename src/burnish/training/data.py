"""The training and validation pairs of a training; no photo is in both.

Synthetic images of flat areas, gradients and plain shapes accompany the photos. Photos contain
hardly any perfectly flat area or even gradient, and a network that was never trained on one may
leave stains there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from burnish.errors import UsageError
from burnish.files import make_folder
from burnish.metrics import MIN_SSIM_SIDE
from burnish.operators.user_defined import find_operator
from burnish.photo import Photo
from burnish.progress import SILENT, Progress
from burnish.training import distributed
from burnish.training.augment import write_varied
from burnish.training.config import TrainConfig
from burnish.training.pair_computation import compute_pairs
from burnish.training.pairs import (
    Pair,
    PairSpec,
    cache_folder,
    completed,
    find_photos,
    load_pairs,
    plan_pairs,
)
from burnish.types import BoolMask, Pixels

# Without validation photos of its own, a training sets every tenth photo aside.
VALIDATION_INTERVAL = 10

# Side of the synthetic images, px.
SIDE = 384
# Version of the synthetic images. Increase it when the image of an index changes.
_VERSION = 1
_NUM_SHAPES = 12
# The largest standard deviation of the noise: two 8-bit codes.
_MAX_NOISE = 2 / 255
# The colours of the first flat images, for which a small error is most visible.
_EXTREMES = ((0, 0, 0), (1, 1, 1), (0.5, 0.5, 0.5), (1, 0, 0), (0, 1, 0), (0, 0, 1))


@dataclass(frozen=True)
class TrainingData:
    """The pairs of a training: of its photos, of generated images, and of validation photos."""

    train: list[Pair]
    extra: list[Pair]
    validation: list[Pair]

    @property
    def fingerprint(self) -> str:
        """Hash of all pairs, by which a resumed training notices that they have changed."""
        names = [pair.path.name for pair in (*self.train, *self.extra, *self.validation)]
        return sha256(" ".join(names).encode()).hexdigest()


def prepare_data(
    config: TrainConfig, photos: Path | None, validation: Path | None, progress: Progress = SILENT
) -> TrainingData:
    """Compute all pairs of a training, or find them in the cache.

    Of several processes, the first one computes the pairs.

    Parameters
    ----------
    photos, validation : see `burnish.training.request.validate_request`

    Raises
    ------
    UsageError : there are too few photos
    PhotoError : none of the photos can be read
    OperatorError : the operator fails
    """
    specs = _plan(config, find_photos(photos) if photos else [])
    validation_specs = _plan_validation(config, validation) if validation else None
    source = str(validation or photos or config.operator)
    # Split once before the operator runs, which can take hours, to raise errors early.
    train_specs, _ = _split(specs, validation_specs, source)
    extra_specs = _plan_extra(
        config, list({spec.digest: spec.photo for spec in train_specs}.values())
    )
    if distributed.is_main():
        planned = [*specs, *extra_specs, *(validation_specs or [])]
        progress.start("computing pairs", len(planned))
        compute_pairs(planned, progress=progress)
    distributed.barrier()
    validation_specs = None if validation_specs is None else completed(validation_specs)
    train_specs, val_specs = _split(completed(specs), validation_specs, source)
    return TrainingData(load_pairs(train_specs), load_pairs(extra_specs), load_pairs(val_specs))


def _split(
    specs: Sequence[PairSpec], validation_specs: Sequence[PairSpec] | None, source: str
) -> tuple[list[PairSpec], list[PairSpec]]:
    """Return the specs to train on and those to validate on.

    Photos are identified by their content, since a copy under another name is the same photo.

    Parameters
    ----------
    validation_specs : if None, every tenth photo of `specs` is set aside
    source : folder of the validation photos, for error messages
    """
    candidates = specs if validation_specs is None else validation_specs
    val_specs = [spec for spec in candidates if min(spec.size) >= MIN_SSIM_SIDE]
    val_digests = {spec.digest for spec in val_specs}
    if validation_specs is None:
        if len(val_digests) < 2:
            raise UsageError(
                source,
                f"there are fewer than 2 different photos of at least {MIN_SSIM_SIDE} pixels",
                "give more photos, or other ones with --validation",
            )
        interval = min(VALIDATION_INTERVAL, len(val_digests))
        val_digests = set(sorted(val_digests)[::interval])
        val_specs = [spec for spec in val_specs if spec.digest in val_digests]
    train_specs = [spec for spec in specs if spec.digest not in val_digests]
    if not val_specs:
        raise UsageError(
            source,
            f"all validation photos are smaller than {MIN_SSIM_SIDE} pixels",
            "give larger ones, or leave out --validation",
        )
    if not train_specs:
        raise UsageError(
            source,
            "all training photos are validation photos too",
            "give other validation photos, or leave out --validation",
        )
    return train_specs, val_specs


def _plan(config: TrainConfig, photos: list[Path]) -> list[PairSpec]:
    return plan_pairs(
        config.operator,
        config.params,
        photos,
        short_sides=config.short_sides,
        max_size=config.max_size,
        sliders=config.slider_params,
        slider_samples=config.slider_samples,
        guided=config.guided,
        small_copies=config.small_copies,
    )


def _plan_validation(config: TrainConfig, folder: Path) -> list[PairSpec]:
    """Plan the pairs of validation photos, which are given as pairs if the others are."""
    if find_operator(config.operator).pairs:
        return _plan(replace(config, operator=f"pairs:{folder}"), [])
    return _plan(config, find_photos(folder))


def _plan_extra(config: TrainConfig, photos: Sequence[Path]) -> list[PairSpec]:
    """Plan the pairs of the synthetic images and the varied pictures that accompany photos."""
    if find_operator(config.operator).pairs:
        return []
    folder, count = cache_folder(), len(photos)
    if not distributed.is_main():
        distributed.barrier()  # the first process writes the images, and the others find them
    images = write_synthetic(int(config.synthetic_fraction * count), folder)
    images += write_varied(photos, int(config.varied_fraction * count), folder)
    if distributed.is_main():
        distributed.barrier()
    return _plan(replace(config, short_sides=()), images)


def write_synthetic(count: int, folder: Path) -> list[Path]:
    """Write the first synthetic images as 16-bit PNG files, unless they exist; return the files."""
    make_folder(folder)
    paths = [folder / f"synthetic-{_VERSION}-{index:03d}.png" for index in range(count)]
    for index, path in enumerate(paths):
        if not path.exists():
            Photo(pixels=synthetic_image(index)).save(path, depth=16, overwrite=True)
    return paths


def synthetic_image(index: int) -> Pixels:
    """Return a flat image, a gradient, shapes on a flat background, or shapes on a noisy gradient.

    Returns
    -------
    ndarray of shape (SIDE, SIDE, 3), float32, RGB in [0, 1], determined by `index`

    Examples
    --------
    >>> float(synthetic_image(0).max()), float(synthetic_image(4).min())  # black, white
    (0.0, 1.0)
    """
    random = np.random.default_rng([_VERSION, index])
    series, kind = divmod(index, 4)
    colour = random.random(3)
    if kind == 0 and series < len(_EXTREMES):
        colour = np.array(_EXTREMES[series], float)
    image = np.broadcast_to(colour, (SIDE, SIDE, 3)).copy()
    if kind in (1, 3):
        image += (random.random(3) - colour) * _gradient(random)
    if kind in (2, 3):
        for _ in range(_NUM_SHAPES):
            image[_shape_mask(random)] = random.random(3)
    if kind == 3:
        image += random.random() * _MAX_NOISE * random.standard_normal(image.shape)
    return image.clip(0, 1).astype(np.float32)


def _gradient(random: np.random.Generator) -> NDArray[np.float64]:
    """Return a linear gradient from 0 to 1 in a random direction, (SIDE, SIDE, 1)."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    angle = random.uniform(0, 2 * np.pi)
    distance = np.cos(angle) * rows + np.sin(angle) * columns
    gradient: NDArray[np.float64] = (distance - distance.min()) / np.ptp(distance)
    return gradient[..., None]


def _shape_mask(random: np.random.Generator) -> BoolMask:
    """Return the mask of a random disc or rectangle."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    top, left = random.integers(0, SIDE, 2)
    height, width = random.integers(4, SIDE // 2, 2)
    mask: BoolMask
    if random.integers(2):
        mask = (rows - top) ** 2 + (columns - left) ** 2 < (height / 2) ** 2
    else:
        mask = (rows >= top) & (rows < top + height) & (columns >= left) & (columns < left + width)
    return mask
