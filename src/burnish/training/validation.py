"""Validate a network on photos that it is not trained on, during a training and at its end."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from burnish.errors import ModelError
from burnish.metrics import mse, psnr
from burnish.modelfile.card import Card, GuideSource, Precision
from burnish.networks.network import Network
from burnish.operators.operator import Operator
from burnish.params import Value
from burnish.photo import Photo
from burnish.progress import SILENT, Progress
from burnish.runtime import engine_choice
from burnish.runtime.cascade import level_sizes, operator_output
from burnish.runtime.model import Model
from burnish.runtime.resize import area_resize
from burnish.runtime.thumbnail import normalised_coords
from burnish.training import StepInfo, TrainCallbacks
from burnish.training.evaluation import Report, evaluate
from burnish.training.guides import read_guide
from burnish.training.network_trainer import NetworkTrainer
from burnish.training.pairs import Pair
from burnish.training.sampler import to_nchw, to_params
from burnish.types import Pixels, Rectangle

if TYPE_CHECKING:
    from burnish.training.log import TrainingLog

# The number of photos of a preview, and the side of their crops in pixels.
PREVIEW_PHOTOS = 8
PREVIEW_SIDE = 384
# The number of lines that a log has besides those of validations.
LOG_LINES = 200


@dataclass(frozen=True)
class ValidationResult:
    """The scores of a set of photos, and how they were computed.

    `photos` describes the photos, and `guide` is the source of the first guide.
    """

    photos: str
    report: Report
    guide: GuideSource | None = None
    precision: Precision = "fp32"

    @property
    def label(self) -> str:
        """The photos, the guide and the precision, which tell the scores of a model apart."""
        label = f"{self.photos}, guide: {self.guide}" if self.guide else self.photos
        return label if self.precision == "fp32" else f"{label}, {self.precision}"


def validate(
    model: Model,
    operator: Operator,
    validation_pairs: Sequence[Pair],
    source: str | Path,
    progress: Progress = SILENT,
) -> tuple[ValidationResult, ...]:
    """Score a model on the groups of `split_by_size`, once for each guide that it can have.

    After float32, the other precisions of this machine are scored, on photos at their largest size.
    With the operator as guide, photos are left out that have a first level only: their result is
    the operator's own.

    Parameters
    ----------
    source : the folder of the photos
    progress : receives one task, and is advanced after every pair
    """
    models = {"fp32": model, **_other_precisions(model)}
    runs = [
        (precision, guide, suffix, pairs)
        for precision in models
        for guide, candidates in _pairs_by_guide(model.card, operator, validation_pairs)
        for index, (suffix, pairs) in enumerate(split_by_size(candidates))
        if pairs and (precision == "fp32" or index == 0 or suffix)
    ]
    progress.start("validating", sum(len(pairs) for *_, pairs in runs))
    return tuple(
        ValidationResult(
            describe_photos(pairs, source) + suffix,
            evaluate(partial(_apply, models[precision], operator, guide), pairs, progress),
            guide,
            precision,
        )
        for precision, guide, suffix, pairs in runs
    )


def _other_precisions(model: Model) -> dict[Precision, Model]:
    """Return the model in the other precisions of this machine.

    ONNX Runtime rounds more in int8 than OpenVINO, so that the score holds for both.
    """
    models: dict[Precision, Model] = {}
    for engine in engine_choice.installed_engines():
        for precision in engine_choice.runnable_precisions(model.card, engine):
            if precision != "fp32" and precision not in models:
                with suppress(ModelError):  # the engine cannot run the network
                    options = "cpu", None, engine, precision, model.quality
                    models[precision] = Model(model.file, *options)
    return models


def _pairs_by_guide(
    card: Card, operator: Operator, pairs: Sequence[Pair]
) -> Iterator[tuple[GuideSource | None, Sequence[Pair]]]:
    if card.guide is None:
        yield None, pairs
        return
    if not operator.pairs:
        # The network does not run on a photo that has a first level only.
        yield "operator", [pair for pair in pairs if len(level_sizes(pair.size, card.guide)) > 1]
    if card.guide.start is not None:
        yield "network", pairs


def _apply(
    model: Model,
    operator: Operator,
    guide: GuideSource | None,
    rgb: Pixels,
    values: Mapping[str, Value],
) -> Pixels:
    """Apply a model, and its operator to a smaller copy if that is the source of the guide."""
    sliders = {param.name: values[param.name] for param in model.card.sliders}
    if guide != "operator":
        return model(rgb, sliders)
    size = rgb.shape[:2]
    guide_pixels = operator_output(
        operator, values, lambda part: rgb[part.slices], size, model.first_level(*size)
    )
    return model(rgb, sliders, guide=guide_pixels)


def split_by_size(validation_pairs: Sequence[Pair]) -> list[tuple[str, list[Pair]]]:
    """Group pairs: photos at their largest size, then by size, then at random slider values.

    Parameters
    ----------
    validation_pairs : the first pair of each photo is the one at its largest size and at the
        operator's default values

    Returns
    -------
    For each group, a suffix of its description, and its pairs
    """
    first: dict[str, Pair] = {}
    octaves: dict[int, list[Pair]] = {}
    off_default = []
    for pair in validation_pairs:
        if pair.values != first.setdefault(pair.digest, pair).values:
            off_default.append(pair)
        else:
            octaves.setdefault(math.floor(math.log2(math.prod(pair.size))), []).append(pair)
    groups = [("", list(first.values()))]
    if len(octaves) > 1:
        groups = [(", each at its largest size", list(first.values()))]
        by_size = [octaves[octave] for octave in sorted(octaves)]
        groups += [("", pairs) for pairs in by_size if pairs != groups[0][1]]
    if off_default:
        groups.append((", sliders at random", off_default))
    return groups


@dataclass(frozen=True)
class TileContext:
    """The position of a crop in its image, the image's height and width, and its thumbnail."""

    tile: Rectangle
    image_size: tuple[int, int]
    thumbnail: Pixels


class ImageNetwork:
    """A network as a function on arrays of any size.

    An image is padded to a multiple of the network's blocks by repeating its last row and column,
    as the runtime does.

    Parameters
    ----------
    sliders : the names of the parameters that are inputs of the network, in order
    """

    def __init__(self, network: Network, sliders: Sequence[str] = ()) -> None:
        self.network, self.sliders = network, sliders

    def __call__(
        self,
        rgb: Pixels,
        values: Mapping[str, Value],
        context: TileContext | None = None,
        guide: Pixels | None = None,
    ) -> Pixels:
        """Apply the network.

        Parameters
        ----------
        rgb : (H, W, 3) float32 in [0, 1]
        values : parameter values by name
        context : needed if `rgb` is a crop
        guide : of a guided network, as large as `rgb`
        """
        network, (height, width) = self.network, rgb.shape[:2]
        multiple = network.size_multiple
        bottom, right = -height % multiple, -width % multiple
        images = [rgb] if guide is None else [rgb, guide]
        padding = ((0, bottom), (0, right), (0, 0))
        inputs = [to_nchw([np.pad(image, padding, mode="edge")]) for image in images]
        if self.sliders:
            inputs.append(to_params([float(str(values[name])) for name in self.sliders]))
        if network.thumbnail_size:
            if context is None:
                thumbnail = area_resize(rgb, (network.thumbnail_size,) * 2)
                context = TileContext(Rectangle(0, height, 0, width), (height, width), thumbnail)
            tile = context.tile
            tile = Rectangle(tile.top, tile.bottom + bottom, tile.left, tile.right + right)
            coords = normalised_coords(tile, context.image_size, multiple)
            inputs += [to_nchw([context.thumbnail]), torch.from_numpy(coords)[None]]
        device = next((weight.device for weight in network.parameters()), torch.device("cpu"))
        with torch.inference_mode():
            result = network(*(tensor.to(device) for tensor in inputs))[0]
        output: Pixels = result.permute(1, 2, 0).cpu().numpy()
        return output[:height, :width]


def describe_photos(photo_pairs: Sequence[Pair], source: str | Path) -> str:
    """Return the number, the folder and the sizes of photos, as text for a card."""
    megapixels = [math.prod(pair.size) / 1e6 for pair in photo_pairs]
    count = len({pair.digest for pair in photo_pairs})
    smallest, largest = f"{min(megapixels):.2g}", f"{max(megapixels):.2g}"
    size = smallest if smallest == largest else f"{smallest} to {largest}"
    return f"{count} from {Path(source).name!r}, {size} megapixels"


class Preview:
    """Validates a few crops at each doubling of 100 steps and each tenth of the training.

    Parameters
    ----------
    validation : pairs that are not trained on
    log : receives a line at each validation, and about `LOG_LINES` others
    """

    def __init__(
        self,
        trainer: NetworkTrainer,
        validation: Sequence[Pair],
        log: "TrainingLog",
        callbacks: TrainCallbacks,
    ) -> None:
        self.trainer = trainer
        self.pairs = split_by_size(validation)[0][1][:PREVIEW_PHOTOS]
        self.folder = log.run_dir / "pictures"
        self.log = log
        self.callbacks = callbacks
        self.milestones = _milestones(trainer.step, trainer.progress)
        self.line = int(LOG_LINES * trainer.progress)
        self.folder.mkdir(exist_ok=True)

    def __call__(self, info: StepInfo) -> None:
        """Pass a step on to the callbacks, and validate if it is time."""
        self.callbacks.on_step(info)
        milestones, line = _milestones(info.step, info.progress), int(LOG_LINES * info.progress)
        if milestones != self.milestones:
            self._validate(info)
        elif line != self.line:
            self.log.add(info)
        self.milestones, self.line = milestones, line

    def _validate(self, info: StepInfo) -> None:
        sliders = [param.name for param in self.trainer.config.slider_params]
        apply = ImageNetwork(self.trainer.ema_network(), sliders)
        path = self.folder / f"{info.step:06d}.png"
        psnrs: list[float] = []
        for pair in self.pairs:
            region = _centre(pair.size)
            context = TileContext(region, pair.size, pair.thumbnail)
            before, after = pair.read(*region.slices)
            guide = read_guide(pair, region) if self.trainer.network.guided else None
            output = np.clip(apply(before, pair.values, context, guide), 0, 1)
            if not psnrs:
                side_by_side = np.concatenate([before, after, output], axis=1)
                Photo(pixels=side_by_side).save(path, overwrite=True)
            psnrs.append(psnr(mse(output, after)))
        validation_psnr = float(np.mean(psnrs))
        self.log.add(info, validation_psnr)
        self.callbacks.on_validation(info.step, validation_psnr, path)


def _milestones(step: int, progress: float) -> tuple[int, int]:
    """Return the number of doublings, beginning at step 100, and of tenths of the training."""
    return (step // 100).bit_length(), int(10 * progress)


def _centre(size: tuple[int, int]) -> Rectangle:
    """Return the central crop of an image of this height and width."""
    height, width = (min(side, PREVIEW_SIDE) for side in size)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    return Rectangle(top, top + height, left, left + width)
