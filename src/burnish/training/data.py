"""The training and validation pairs of a training; no photo is in both."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from burnish.errors import UsageError
from burnish.files import make_folder
from burnish.metrics import MIN_SSIM_SIDE
from burnish.operators.user_defined import find_operator
from burnish.progress import SILENT, Progress
from burnish.training import distributed
from burnish.training.config import TrainConfig
from burnish.training.pairs import (
    Pair,
    PairSpec,
    cache_folder,
    completed,
    compute_pairs,
    find_photos,
    load_pairs,
    plan_pairs,
)
from burnish.training.synthetic import write_synthetic

# Without validation photos of its own, a training sets every tenth photo aside.
VALIDATION_INTERVAL = 10


@dataclass(frozen=True)
class TrainingData:
    """The pairs of a training."""

    train: list[Pair]
    synthetic: list[Pair]
    validation: list[Pair]

    @property
    def fingerprint(self) -> str:
        """Hash of all pairs, by which a resumed training notices that they have changed."""
        names = [pair.path.name for pair in (*self.train, *self.synthetic, *self.validation)]
        return sha256(" ".join(names).encode()).hexdigest()


def prepare_data(
    config: TrainConfig,
    photos: str | Path | None,
    validation: str | Path | None,
    progress: Progress = SILENT,
) -> TrainingData:
    """Compute all pairs of a training, or find them in the cache.

    Of several processes, the first one computes the pairs.

    Parameters
    ----------
    photos, validation : see `burnish.training.run.train_network`

    Raises
    ------
    UsageError : there are too few photos
    PhotoError : none of the photos can be read
    OperatorError : the operator fails
    """
    specs = _plan(config, find_photos(photos) if photos else [])
    validation_specs = _plan(config, find_photos(validation)) if validation else None
    names = str(photos or config.operator), str(validation)
    # Split once before the operator runs, which can take hours, to raise errors early.
    train_specs, _ = train_val_split(specs, validation_specs, *names)
    synthetic_specs = _plan_synthetic(config, len({spec.digest for spec in train_specs}))
    if distributed.is_main():
        planned = [*specs, *synthetic_specs, *(validation_specs or [])]
        progress.start("computing pairs", len(planned))
        compute_pairs(planned, progress=progress)
    distributed.barrier()
    validation_specs = None if validation_specs is None else completed(validation_specs)
    train_specs, val_specs = train_val_split(completed(specs), validation_specs, *names)
    return TrainingData(load_pairs(train_specs), load_pairs(synthetic_specs), load_pairs(val_specs))


def train_val_split(
    specs: Sequence[PairSpec],
    validation_specs: Sequence[PairSpec] | None,
    photos: str,
    validation: str,
) -> tuple[list[PairSpec], list[PairSpec]]:
    """Return the specs to train on and those to validate on.

    Photos are told apart by their content, since a copy under another name is the same photo.

    Parameters
    ----------
    specs, validation_specs : all specs. If `validation_specs` is None, every tenth photo of
        `specs` is set aside
    photos, validation : their sources, for error messages

    Raises
    ------
    UsageError : there are too few photos
    """
    large = [spec for spec in specs if _is_large_enough(spec)]
    if validation_specs is None:
        digests = sorted({spec.digest for spec in large})
        if len(digests) < 2:
            raise UsageError(
                photos,
                f"there are fewer than 2 different photos of at least {MIN_SSIM_SIDE} pixels",
                "give more photos, or other ones with --validation",
            )
        val_digests = set(digests[:: min(VALIDATION_INTERVAL, len(digests))])
        val_specs = [spec for spec in large if spec.digest in val_digests]
    else:
        val_specs = [spec for spec in validation_specs if _is_large_enough(spec)]
        val_digests = {spec.digest for spec in val_specs}
    train_specs = [spec for spec in specs if spec.digest not in val_digests]
    if not val_specs:
        raise UsageError(
            validation,
            f"all validation photos are smaller than {MIN_SSIM_SIDE} pixels",
            "give larger ones, or leave out --validation",
        )
    if not train_specs:
        raise UsageError(
            validation,
            "all training photos are validation photos too",
            "give other validation photos, or leave out --validation",
        )
    return train_specs, val_specs


def _is_large_enough(spec: PairSpec) -> bool:
    return min(spec.size) >= MIN_SSIM_SIDE


def _plan_synthetic(config: TrainConfig, photos: int) -> list[PairSpec]:
    """Plan the pairs of the synthetic images that accompany so many photos."""
    if find_operator(config.operator).pairs:
        return []
    folder = cache_folder()
    make_folder(folder)
    images = write_synthetic(int(config.synthetic_fraction * photos), folder)
    return _plan(replace(config, short_sides=()), images)


def _plan(config: TrainConfig, photos: list[Path]) -> list[PairSpec]:
    return plan_pairs(
        config.operator,
        config.params,
        photos,
        short_sides=config.short_sides,
        max_size=config.max_size,
        cache=cache_folder(),
        sliders=config.slider_params,
        slider_samples=config.slider_samples,
    )
