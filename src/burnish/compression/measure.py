"""Speed, size and fidelity of a model file, measured on this machine and on held-out photos."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from burnish.compression.latency import cpu_seconds
from burnish.errors import UsageError
from burnish.metrics import mse, psnr
from burnish.modelfile.card import Card, Guide, Precision
from burnish.operators.operator import Operator
from burnish.params import Value
from burnish.runtime.cascade import level_sizes, operator_output
from burnish.runtime.model import Model
from burnish.runtime.resize import area_resize
from burnish.training.pairs import Pair, resize
from burnish.training.validation import split_by_size
from burnish.types import Pixels

# The image that networks are timed on: one megapixel, and the number of rounds.
TIMED_SIZE = (1000, 1000)
ROUNDS = 5


@dataclass(frozen=True)
class Figures:
    """Measurements of a model file.

    Attributes
    ----------
    milliseconds : CPU time of the network for a megapixel, on one thread; of a guided network, that
        of all levels but the first
    total_milliseconds : the same with what computes the first level, the operator or the start
        network; None for a network without a guide
    speed : the original network's time divided by this one's, both measured in turns
    megabytes : size of the file
    psnr : mean over the held-out photos against the operator, in dB
    original_psnr : the same against the original network; None for that network itself
    """

    milliseconds: float
    total_milliseconds: float | None
    speed: float
    megabytes: float
    macs_per_pixel: int
    parameter_count: int
    psnr: float
    original_psnr: float | None


class Bench:
    """Measures model files beside the original one.

    Parameters
    ----------
    original : a model file
    pairs : held-out photos, before and after the operator
    operator, values : the operator, and its parameters; values of sliders are those of the pairs
    engine : the engine that networks are timed and scored on

    Raises
    ------
    UsageError : the photos are so small that a guided network does not run on them
    """

    def __init__(
        self,
        original: Path,
        pairs: Sequence[Pair],
        operator: Operator,
        values: Mapping[str, Value],
        engine: str,
    ) -> None:
        self.engine = engine
        self.operator = operator
        self.values = values
        self.original = self.open(original)
        self.pairs = _scored_pairs(self.original.card, operator, pairs)
        self._guides: dict[Path, Pixels] = {}
        self._guide_milliseconds: float | None = None
        before = self.pairs[0].read()[0]
        self._image = np.ascontiguousarray(resize(before, TIMED_SIZE))

    def open(self, path: Path, precision: Precision = "fp32") -> Model:
        """Return a model on the engine, on one thread."""
        return Model.open(path, device="cpu", threads=1, engine=self.engine, precision=precision)

    def measure(
        self, path: Path, *, is_original: bool = False, precision: Precision = "fp32"
    ) -> Figures:
        """Measure a model file."""
        model = self.open(path, precision)
        own, original = self.seconds(model)
        scores = np.mean([self._score(model, pair) for pair in self.pairs], axis=0)
        megapixels = TIMED_SIZE[0] * TIMED_SIZE[1] / 1e6
        milliseconds = 1e3 * own / megapixels
        guide = self._guide_time()
        return Figures(
            milliseconds=milliseconds,
            total_milliseconds=None if guide is None else milliseconds + guide / megapixels,
            speed=1.0 if is_original else original / own,
            megabytes=path.stat().st_size / 1e6,
            macs_per_pixel=model.card.macs_per_pixel,
            parameter_count=model.card.parameter_count,
            psnr=float(scores[0]),
            original_psnr=None if is_original else float(scores[1]),
        )

    def seconds(self, model: Model) -> tuple[float, float]:
        """Return the CPU time of a model and of the original one for the timed image, in turns."""
        own, original = cpu_seconds([self._run(model), self._run(self.original)], ROUNDS)
        return own, original

    def _run(self, model: Model) -> Callable[[], Pixels]:
        """Return a function that runs a model on the timed image, without its first level."""
        guide = None
        if model.card.guide is not None:
            guide = area_resize(self._image, model.first_level(*TIMED_SIZE))
        return lambda: model(self._image, guide=guide)

    def _guide_time(self) -> float | None:
        """Return the CPU time of the first level of the timed image in ms, None without a guide."""
        card = self.original.card
        if card.guide is None:
            return None
        if self._guide_milliseconds is None:
            if self.operator.pairs:
                whole, rest = cpu_seconds(
                    [lambda: self.original(self._image), self._run(self.original)], 2
                )
                seconds = whole - rest
            else:
                self._operator_output(self._image, self.values)  # compiles and loads
                begin = sum(os.times()[:4])  # with the processes of operators that are commands
                self._operator_output(self._image, self.values)
                seconds = sum(os.times()[:4]) - begin
            self._guide_milliseconds = 1e3 * max(seconds, 0.0)
        return self._guide_milliseconds

    def _operator_output(self, image: Pixels, values: Mapping[str, Value]) -> Pixels:
        size = image.shape[:2]
        first_level = self.original.first_level(*size)
        return operator_output(
            self.operator, values, lambda part: image[part.slices], size, first_level
        )

    def _score(self, model: Model, pair: Pair) -> tuple[float, float]:
        """Return the PSNR of a photo against the operator and against the original network."""
        before, after = pair.read()
        values = {param.name: pair.values[param.name] for param in model.card.sliders}
        guide = None
        if model.card.guide is not None and not self.operator.pairs:
            if pair.path not in self._guides:
                self._guides[pair.path] = self._operator_output(before, pair.values)
            guide = self._guides[pair.path]
        own = model(before, values, guide=guide)
        reference = self.original(before, values, guide=guide)
        return psnr(mse(own, after)), psnr(mse(own, reference))


def _scored_pairs(card: Card, operator: Operator, pairs: Sequence[Pair]) -> list[Pair]:
    """Return each photo at its largest size, and at other values of the sliders, if it has any."""
    groups = dict(split_by_size(pairs))
    chosen = [*next(iter(groups.values())), *groups.get(", sliders at random", [])]
    if card.guide is None or operator.pairs:
        return chosen
    guide = card.guide
    large = [pair for pair in chosen if _runs_on(pair, guide)]
    if not large:
        side = max(min(pair.size) for pair in chosen)
        raise UsageError(
            "--photos",
            f"the largest held-out photo has a shorter side of {side} px, which is not above the "
            f"guide's {guide.size}",
            "give larger photos",
        )
    return large


def _runs_on(pair: Pair, guide: Guide) -> bool:
    return len(level_sizes(pair.size, guide)) > 1
