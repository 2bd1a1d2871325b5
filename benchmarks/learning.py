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
from burnish.training.config import Settings
from burnish.training.pairs import Pair
from burnish.training.sampler import Batches
from burnish.training.trainer import Training


def pairs_of(
    operator: str,
    values: Mapping[str, Value],
    photos: Sequence[Path],
    largest: int,
    sides: Sequence[int] = (),
) -> list[Pair]:
    """Return photos before and after at an operator's values, also at smaller `sides`."""
    jobs = pairs.plan(
        operator,
        dict(values),
        photos,
        short_sides=sides,
        largest=largest,
        cache=pairs.cache_folder(),
    )
    return pairs.make(jobs)


def without(learnt: Sequence[Pair], judged: Sequence[Pair]) -> list[Pair]:
    """Leave out what shows a photo that is judged on."""
    known = {pair.digest for pair in judged}
    return [pair for pair in learnt if pair.digest not in known]


def settings_of(operator: str, network: str, steps: int, **changes: Any) -> Settings:
    """Return how a network of the table is trained, but for some changes."""
    settings = Settings(operator, network, steps=steps)
    return dataclasses.replace(settings, **(NETWORKS[network].settings | changes))


def learn(network: Network, settings: Settings, learnt: Sequence[Pair]) -> tuple[Network, float]:
    """Train a network without sliders; return what would ship, and the seconds it took."""
    batches = Batches(
        learnt,
        batch=settings.batch,
        crop=settings.crop,
        seed=settings.seed,
        block=network.survey_block,
    )
    with tempfile.TemporaryDirectory() as folder:
        training = Training(settings, network, batches, Path(folder))
        training.run()
    return training.averaged(), training.seconds
