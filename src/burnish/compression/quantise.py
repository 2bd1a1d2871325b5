"""Training of a network for 8-bit integers: rounded kernels, ranges of its features, and biases.

Kernels are rounded by `burnish.compression.kernel_rounding`. Then the network is trained while its
features are rounded (Jacob et al. 2018, https://doi.org/10.1109/CVPR.2018.00286), on the operator's
pairs and on the results of the network in float32. Its file remains one in float32, with the ranges
on the card.
"""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from burnish.compression.distil import DistillationTrainer
from burnish.compression.fake_quantisation import FakeQuantisation, FeatureRanges, round_features
from burnish.compression.kernel_rounding import round_kernels
from burnish.compression.request import CompressionRequest
from burnish.compression.structure import channel_groups, keep_channels
from burnish.export.onnx_export import check_outputs, export, write_card
from burnish.export.weights import round_weights_to_fp16
from burnish.files import make_folder
from burnish.modelfile.card import Card, Range, Ranges
from burnish.modelfile.reader import ModelFile, read_model
from burnish.networks.network import Network
from burnish.networks.unet import UNetBackbone
from burnish.runtime.onnx_runtime import fold_constants
from burnish.runtime.quantisation import rounded_tensors
from burnish.runtime.session import bind_constants, context_tensors
from burnish.training import TrainCallbacks
from burnish.training.config import TrainConfig
from burnish.training.data import TrainingData, prepare_data
from burnish.training.network_fields import network_fields
from burnish.training.pipeline import make_sampler
from burnish.training.sampler import Batch, CropSampler, complete_batches
from burnish.training.start_network import load_network, write_start_outputs

# Batches that the first ranges are computed on, and the values of a tensor that are kept of each.
_BATCHES = 24
_SAMPLES = 4096
# One batch in this many has values of the sliders that are not the defaults.
_SLIDER_INTERVAL = 3
# One step in this many is in float32.
_EXACT_INTERVAL = 4
# Biases of a trained network need small changes.
MAX_LR = 3e-5
# The groups of channels of the first layer that have ranges of their own.
HEAD_GROUPS = 2
# A bound is chosen among these fractions of the lowest and of the highest value.
_FRACTIONS = (1.0, 0.85, 0.7, 0.55, 0.4, 0.3, 0.2)

# The ranges of a network, in the order of `burnish.runtime.quantisation.rounded_tensors`.
RangeList = list[tuple[Range, ...]]


def quantise(request: CompressionRequest, callbacks: TrainCallbacks | None = None) -> Card:
    """Train the networks of a model file for 8-bit integers, and write them with their ranges.

    The start network is trained too if it runs on photos at their own size. Otherwise it keeps
    float32, since it is small copies that it runs on.

    Returns
    -------
    The card, with scores in all precisions of this machine

    Raises
    ------
    UsageError : there are too few photos
    PhotoError : none of the photos can be read
    OperatorError : the operator fails
    """
    callbacks = callbacks or TrainCallbacks()
    file, run_dir, config = request.file, request.run_dir, request.config
    make_folder(run_dir)
    data = prepare_data(config, request.photos, request.validation, callbacks)
    network = load_network(file, grey=config.grey, option=str(request.model))
    check_outputs(network, file)
    start, start_outputs, start_ranges = None, None, None
    if file.start is not None and file.card.guide is not None and file.card.guide.start is not None:
        start = load_network(file.start, grey=config.grey)
        start_outputs = run_dir / "start-outputs"
        pairs = [*data.train, *data.extra]
        write_start_outputs(start, config.slider_params, pairs, start_outputs, callbacks)
        if file.card.guide.start.full_size:
            callbacks.message("The start network is trained first.")
            start_config = replace(
                config, guided=False, global_context=bool(start.thumbnail_size), start=""
            )
            start, start_ranges = _train(start_config, start, data, run_dir / "start", callbacks)
    network, ranges = _train(config, network, data, run_dir, callbacks, start_outputs)
    with TemporaryDirectory(prefix="burnish-") as folder:
        draft = Path(folder, request.output.name)
        card = file.card.model_copy(update={"metrics": (), **network_fields(network)})
        export(network, card, draft, start=start)
        write_ranges(draft, ranges, start_ranges)
        return request.write_validated(draft, data.validation, callbacks)


def _train(
    config: TrainConfig,
    network: Network,
    data: TrainingData,
    run_dir: Path,
    callbacks: TrainCallbacks,
    start_outputs: Path | None = None,
) -> tuple[Network, RangeList]:
    """Train a network on the photos; see `train_int8`."""
    make_folder(run_dir)
    sampler = make_sampler(config, data, network, start_outputs)
    return train_int8(config, network, sampler, run_dir, data.fingerprint, callbacks)


def write_ranges(path: Path, ranges: RangeList, start_ranges: RangeList | None = None) -> None:
    """Write the ranges of a network, and perhaps those of its start network, to a model file."""
    file = read_model(path)
    changes: dict[str, Any] = {"ranges": _named(file, ranges)}
    guide = file.card.guide
    if start_ranges is not None and file.start is not None and guide and guide.start:
        start = guide.start.model_copy(update={"ranges": _named(file.start, start_ranges)})
        changes["guide"] = guide.model_copy(update={"start": start})
    write_card(path, file.card.model_copy(update=changes))


def _named(file: ModelFile, ranges: RangeList) -> Ranges:
    """Return the ranges of a network by the names of the graph's tensors."""
    side = file.card.thumbnail_size
    context = context_tensors(file.card, {}, np.full((side, side, 3), 0.5, np.float32))
    names = rounded_tensors(fold_constants(bind_constants(file.graph, context)))
    return dict(zip(names, ranges, strict=True))


class QuantisationTrainer(DistillationTrainer):
    """Trains a network that rounds its kernels and features, with the ranges of the latter.

    Parameters
    ----------
    network : gets a module `ranges`
    ranges : the first ranges
    config, teacher, sampler, run_dir, data, device : see `DistillationTrainer`
    """

    def __init__(
        self,
        config: TrainConfig,
        network: Network,
        ranges: FeatureRanges,
        teacher: Network,
        sampler: CropSampler,
        run_dir: Path,
        data: str = "",
        device: torch.device | None = None,
    ) -> None:
        network.ranges = ranges
        super().__init__(config, network, teacher, sampler, run_dir, data, device)
        self.quantisation = FakeQuantisation(network, ranges)

    def batches(self, step: int, phase: int) -> Sequence[Batch]:
        """Return crops at the sliders' default values, or now and then at other values."""
        return [_batch(self.sampler, step)]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the mean squared errors against the operator and against the teacher."""
        if self.step % _EXACT_INTERVAL == 0:  # The file is used in float32, too.
            return super().losses(batch)
        with self.quantisation:
            return super().losses(batch)

    def begin_step(self, progress: float) -> float:
        """Train the ranges and the biases of the image's layers; see `Trainer`.

        The kernels stay as `round_kernels` left them. Steps that are small enough for their
        rounding change less than the noise of the gradients.
        """
        self.network.train().set_norm_mode("frozen").requires_grad_(False)
        self.network.get_submodule("ranges").requires_grad_(True)
        for group in channel_groups(self.network):
            for layer in (*group.producers, *group.consumers):
                if layer.bias is not None:
                    layer.bias.requires_grad_(True)
        return progress


def train_int8(
    config: TrainConfig,
    network: Network,
    sampler: CropSampler,
    run_dir: Path,
    data: str = "",
    callbacks: TrainCallbacks | None = None,
) -> tuple[Network, RangeList]:
    """Train a network for 8-bit integers.

    Parameters
    ----------
    network : in float32; it is not changed
    config : its optimiser and its learning rate are replaced
    sampler, run_dir, data : see `QuantisationTrainer`

    Returns
    -------
    The trained network as it is exported, and the ranges of its features
    """
    callbacks = callbacks or TrainCallbacks()
    config = replace(config, optimiser="adamw", max_lr=MAX_LR)
    teacher = copy.deepcopy(network).requires_grad_(False)
    student = copy.deepcopy(network).requires_grad_(True)
    batches = complete_batches(_batch(sampler, step) for step in range(_BATCHES))
    sort_channels(student, batches)
    round_kernels(student, batches)
    ranges = calibrate(student, batches)
    trainer = QuantisationTrainer(config, student, ranges, teacher, sampler, run_dir, data)
    trainer.run(callbacks.on_step)
    trainer.quantisation.close()
    trained = trainer.ema_network()
    trained_ranges = cast(FeatureRanges, trained.ranges)
    del trained.ranges
    stored = round_weights_to_fp16(trained)
    if isinstance(stored, UNetBackbone) and isinstance(trained, UNetBackbone):
        # Its gains nearly cancel, and their sum has to stay within half a step.
        stored.tail.load_state_dict(trained.tail.state_dict())
    return stored, trained_ranges.to_card()


@torch.no_grad()
def sort_channels(network: Network, batches: Iterable[Batch]) -> None:
    """Sort the channels of the first layer by their range, in place.

    Some are far wider than the others. Sorted, each half of them gets a range of its own.
    """
    groups = channel_groups(network)
    first = network.head if isinstance(network, UNetBackbone) else groups[0].producers[0]
    group = next(group for group in groups if first in group.producers)
    widths: list[Tensor] = []

    def observe(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        widths.append(output.abs().amax((0, 2, 3)))

    hook = first.register_forward_hook(observe)
    for batch in batches:
        network(batch.before, *batch.context)
    hook.remove()
    keep_channels(network, group, torch.stack(widths).amax(0).argsort().tolist())


@torch.no_grad()
def calibrate(network: Network, batches: Iterable[Batch]) -> FeatureRanges:
    """Return the ranges of a network's features with the least errors of rounding on batches."""
    samples: dict[int, list[Tensor]] = {}
    slopes: dict[int, float] = {}
    random = torch.Generator().manual_seed(0)

    def keep(index: int, features: Tensor, slope: float) -> None:
        slopes[index] = slope
        values = features.transpose(0, 1).flatten(1)
        chosen = torch.randint(values.shape[1], (_SAMPLES,), generator=random)
        samples.setdefault(index, []).append(values[:, chosen])

    quantisation = FakeQuantisation(network, on_features=keep)
    with quantisation:
        for batch in batches:
            network(batch.before, *batch.context)
    quantisation.close()
    tensors = [torch.cat(samples[index], dim=1) for index in range(len(samples))]
    last = tensors.pop()
    ranges = []
    for index, values in enumerate(tensors):
        groups = HEAD_GROUPS if index == 0 and len(values) % HEAD_GROUPS == 0 else 1
        ranges.append(_best_range(values.reshape(groups, -1), slopes[index]))
    return FeatureRanges([*ranges, _best_range(last)])


def _best_range(values: Tensor, slope: float = 1.0) -> Tensor:
    """Return the bounds of each row, (2, rows), whose steps have the least squared error.

    Parameters
    ----------
    slope : of the LeakyReLU behind which errors count
    """
    rows = values.shape[1]
    if rows > 16 * _SAMPLES:
        values = values[:, :: rows // (16 * _SAMPLES)]
    x = values.T[:, :, None]  # as an image of one column
    extremes = torch.stack([values.amin(1).clamp_max(0), values.amax(1).clamp_min(0)])
    best, least = extremes.clone(), torch.full((len(values),), torch.inf)
    for low in _FRACTIONS:
        for high in _FRACTIONS:
            bounds = (extremes * torch.tensor([[low], [high]])).clone()
            bounds[0] = bounds[0].clamp_max(-1e-6)
            bounds[1] = bounds[1].clamp_min(1e-6)
            change = F.leaky_relu(round_features(x, bounds), slope) - F.leaky_relu(x, slope)
            errors = change.square().mean((0, 2))
            is_better = errors < least
            least = torch.where(is_better, errors, least)
            best = torch.where(is_better, bounds, best)
    return best


def _batch(sampler: CropSampler, step: int) -> Batch:
    off_default = bool(sampler.sliders) and step % _SLIDER_INTERVAL == 2
    return sampler.batch_at(step, off_default=off_default)
