"""What benchmarks that train share: pairs of an operator, and a student that learns from them."""

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from burnish.networks.network import Network
from burnish.networks.registry import NETWORKS
from burnish.params import Value
from burnish.training import pairs
from burnish.training.config import TrainConfig
from burnish.training.pairs import Pair
from burnish.training.sampler import CropSampler
from burnish.training.trainer import Trainer


def pairs_of(
    operator: str,
    values: Mapping[str, Value],
    photos: Sequence[Path],
    largest: int,
    sides: Sequence[int] = (),
) -> list[Pair]:
    """Return photos before and after at an operator's values, also at smaller `sides`."""
    jobs = pairs.plan_pairs(
        operator,
        dict(values),
        photos,
        short_sides=sides,
        max_size=largest,
        cache=pairs.cache_folder(),
    )
    return pairs.compute_pairs(jobs)


def without(learnt: Sequence[Pair], judged: Sequence[Pair]) -> list[Pair]:
    """Leave out what shows a photo that is judged on."""
    known = {pair.digest for pair in judged}
    return [pair for pair in learnt if pair.digest not in known]


def settings_of(operator: str, network: str, steps: int, **changes: Any) -> TrainConfig:
    """Return how a network of the table is trained, but for some changes."""
    settings = TrainConfig(operator, network, steps=steps)
    return dataclasses.replace(settings, **(NETWORKS[network].train_defaults | changes))


def learn(network: Network, settings: TrainConfig, learnt: Sequence[Pair]) -> tuple[Network, float]:
    """Train a network without sliders; return what would ship, and the seconds it took."""
    batches = CropSampler(
        learnt,
        batch=settings.batch,
        crop=settings.crop,
        seed=settings.seed,
        coords_block=network.coords_block,
    )
    with tempfile.TemporaryDirectory() as folder:
        training = Trainer(settings, network, batches, Path(folder))
        training.run()
    return training.ema_network(), training.seconds
