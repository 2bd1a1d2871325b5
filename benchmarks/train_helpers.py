"""Helpers of the benchmarks that train networks."""

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from burnish.networks.network import Network
from burnish.networks.registry import NETWORKS
from burnish.params import Value
from burnish.training.config import TrainConfig
from burnish.training.network_trainer import NetworkTrainer
from burnish.training.pair_computation import compute_pairs
from burnish.training.pairs import Pair, plan_pairs
from burnish.training.sampler import CropSampler


def pairs_of(
    operator: str,
    values: Mapping[str, Value],
    photos: Sequence[Path],
    max_size: int,
    short_sides: Sequence[int] = (),
) -> list[Pair]:
    """Return the pairs of an operator at its own parameter values, also at smaller sizes."""
    specs = plan_pairs(
        operator,
        dict(values),
        photos,
        short_sides=short_sides,
        max_size=max_size,
    )
    return compute_pairs(specs)


def exclude_photos(pairs: Sequence[Pair], excluded: Sequence[Pair]) -> list[Pair]:
    """Return the pairs whose photos are not among the excluded ones."""
    digests = {pair.digest for pair in excluded}
    return [pair for pair in pairs if pair.digest not in digests]


def make_config(operator: str, network: str, steps: int, **changes: Any) -> TrainConfig:
    """Return the config that suits a registered network, with some changes."""
    config = TrainConfig(operator, network, steps=steps)
    return dataclasses.replace(config, **(NETWORKS[network].train_defaults | changes))


def train(network: Network, config: TrainConfig, pairs: Sequence[Pair]) -> tuple[Network, float]:
    """Train a network without sliders; return it with averaged weights, and the seconds."""
    sampler = CropSampler(
        pairs,
        batch=config.batch,
        crop=config.crop,
        seed=config.seed,
        coords_block=network.coords_block,
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = NetworkTrainer(config, network, sampler, Path(folder))
        trainer.run()
    return trainer.ema_network(), trainer.seconds
