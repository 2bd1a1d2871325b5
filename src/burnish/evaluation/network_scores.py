"""The errors and the time of a network on pairs, in this process or as tasks of a cluster."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from burnish.cluster.connection import is_connected
from burnish.cluster.tasks import run_tasks
from burnish.editing.edit import NetworkEdit
from burnish.metrics import Score
from burnish.params import Value
from burnish.progress import Progress
from burnish.runtime.model import Model
from burnish.training.evaluation import ImageFunction, Report, evaluate, score_pair, summarise
from burnish.training.pairs import Pair
from burnish.types import Pixels

# Side, in pixels, of the corner of a photo that is processed before timing, as a warm-up.
WARMUP_SIDE = 64


@dataclass(frozen=True)
class NetworkSource:
    """A network and its settings, from which a machine of a cluster opens it.

    Parameters
    ----------
    params : names and values of sliders that were given
    """

    model: str
    params: tuple[tuple[str, Value], ...]
    guide: str | None
    device: str
    engine: str
    precision: str


class Timer:
    """Measures the time of an image function, after a warm-up on a corner of a photo."""

    def __init__(self, run: ImageFunction, first: Pair) -> None:
        corner = first.read(slice(0, WARMUP_SIDE), slice(0, WARMUP_SIDE))[0]
        run(np.ascontiguousarray(corner), first.values)
        self._run = run
        self.seconds = 0.0
        self._pixels = 0

    def __call__(self, rgb: Pixels, values: Mapping[str, Value]) -> Pixels:
        """Run the function."""
        start = time.perf_counter()
        output = self._run(rgb, values)
        self.seconds += time.perf_counter() - start
        self._pixels += rgb.shape[0] * rgb.shape[1]
        return output

    @property
    def seconds_per_megapixel(self) -> float:
        """The mean time so far."""
        return self.seconds / self._pixels * 1e6


def score_network(
    source: NetworkSource, edit: NetworkEdit, pairs: Sequence[Pair], progress: Progress
) -> tuple[Report, float]:
    """Return the report of a network, and its seconds per megapixel.

    On a cluster the time is that of one CPU of its machines.

    Parameters
    ----------
    edit : the network, opened in this process
    """
    if not is_connected():
        timer = Timer(lambda rgb, _: edit.run(rgb), pairs[0])
        return evaluate(timer, pairs, progress), timer.seconds_per_megapixel
    scores: dict[int, tuple[Score, float]] = {}
    seconds = 0.0
    for index, pair_score, pair_seconds in run_tasks(
        partial(_score_task, source), list(enumerate(pairs))
    ):
        scores[index] = pair_score
        seconds += pair_seconds
        progress.advance()
    pixels = sum(height * width for height, width in (pair.size for pair in pairs))
    report = summarise(pairs, [scores[index] for index in range(len(pairs))])
    return report, seconds / pixels * 1e6


def _score_task(
    source: NetworkSource, numbered_pair: tuple[int, Pair]
) -> tuple[int, tuple[Score, float], float]:
    """Return the number of a pair, its score, and the seconds that the network took."""
    index, pair = numbered_pair
    edit = _opened(source)
    timer = Timer(lambda rgb, _: edit.run(rgb), pair)
    pair_score = score_pair(timer, pair)
    return index, pair_score, timer.seconds


@lru_cache(maxsize=1)
def _opened(source: NetworkSource) -> NetworkEdit:
    model = Model.open(
        source.model,
        device=source.device,
        threads=1,
        engine=source.engine,
        precision=source.precision,
    )
    return NetworkEdit(model, dict(source.params), source.guide)
