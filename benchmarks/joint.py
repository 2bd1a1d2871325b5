"""One guided network for all ten operators, compared with ten networks.

python benchmarks/joint.py --photos PHOTOS --validation OTHERS --run-dir RUN --json RESULT

The paper's network for all operators has the operator as an input. Here the operators are ten
sliders, of which one is 1. The first and the last layer have a kernel for each operator, and all
other layers a gain and a shift for each channel; the rest is shared. All weights are trained
together. Every network, the joint one and the bundled ones, is scored with the same guide: the
operator's output for a smaller copy of the photo.
"""

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from measure import environment, write
from torch import Tensor, nn
from train_helpers import make_config

from burnish.editing.card_params import operator_params
from burnish.metrics import psnr
from burnish.modelfile.card import GUIDE, INPUT, PARAMS
from burnish.modelfile.reader import read_model
from burnish.networks.registry import NETWORKS
from burnish.networks.unet import UNet
from burnish.operators.paper import PAPER_OPERATORS
from burnish.params import Param, Value
from burnish.runtime.model_registry import find_model
from burnish.training import StepInfo
from burnish.training.data import prepare_data
from burnish.training.guides import read_guide
from burnish.training.network_trainer import NetworkTrainer
from burnish.training.pairs import Pair
from burnish.training.sampler import Batch, CropSampler
from burnish.training.validation import ImageNetwork
from burnish.types import Pixels, Rectangle

NAMES = list(PAPER_OPERATORS)
# Scale of the kernels of each operator. AdamW moves each weight by the learning rate of a gain,
# which is much for a kernel.
KERNEL_SCALE = 0.05
SWITCHES = [Param(name, "is the operator", default=0, low=0, high=1) for name in NAMES]


class OperatorConditioning(nn.Module):
    """Gains and shifts of some layers, and kernels of those with one for each operator.

    It takes the place of `burnish.networks.conditioning.ParamConditioning`.

    Parameters
    ----------
    layers : all layers
    own : those that have a kernel for each operator
    """

    def __init__(self, layers: Sequence[nn.Conv2d], own: Sequence[nn.Conv2d]) -> None:
        super().__init__()
        count = len(NAMES)
        self.gains = nn.ParameterList(torch.zeros(count, layer.out_channels) for layer in layers)
        self.shifts = nn.ParameterList(torch.zeros(count, layer.out_channels) for layer in layers)
        self.kernels = nn.ParameterList(torch.zeros(count, layer.weight.numel()) for layer in own)
        self.kernel_shapes = {layers.index(layer): layer.weight.shape for layer in own}

    def forward(self, switches: Tensor) -> list[tuple[Tensor, Tensor, Tensor | None]]:
        weights = switches.view(1, -1)
        kernels: dict[int, Tensor] = {
            index: KERNEL_SCALE * (weights @ kernel).view(shape)
            for (index, shape), kernel in zip(self.kernel_shapes.items(), self.kernels, strict=True)
        }
        return [
            (
                (weights @ gain).view(1, -1, 1, 1),
                (weights @ shift).view(1, -1, 1, 1),
                kernels.get(index),
            )
            for index, (gain, shift) in enumerate(zip(self.gains, self.shifts, strict=True))
        ]


class JointUNet(UNet):
    """A guided UNet for all operators, whose weights are all trained at once."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments, guided=True)
        self.num_sliders = len(SWITCHES)
        self.conditioning = OperatorConditioning(  # type: ignore[assignment]
            self.conv_layers, [self.head, self.tail]
        )

    def set_trainable(self, *, sliders: bool) -> None:
        """Make all weights trainable."""
        self.requires_grad_(True)


class JointSampler(CropSampler):
    """A sampler of all operators. No pair has all sliders at their defaults."""

    def batch_at(self, step: int, *, off_default: bool = False) -> Batch:
        """Return the crops of a step."""
        return super().batch_at(step, off_default=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--validation", type=Path, required=True)
    parser.add_argument("--network", default="fast", help="a registered UNet")
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--max-size", type=int, default=480)
    parser.add_argument("--run-dir", type=Path, required=True, help="for the checkpoint")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    config = make_config("all ten", options.network, options.steps, slider_fraction=0.0)
    pairs, validation = [], {}
    for name in NAMES:
        values = operator_params(read_model(find_model(name)).card, {})
        plan = dataclasses.replace(
            config,
            operator=name,
            params=values,
            guided=True,
            short_sides=(256,),
            max_size=options.max_size,
            synthetic_fraction=0.0,
        )
        data = prepare_data(plan, options.photos, options.validation)
        pairs += [switched(name, pair) for pair in data.train]
        # Smaller copies are pairs of their own; only whole photos are scored.
        largest = max(max(pair.size) for pair in data.validation)
        validation[name] = [pair for pair in data.validation if max(pair.size) == largest]
        print(f"{name}: {len(data.train)} pairs, {len(validation[name])} to validate", flush=True)

    torch.manual_seed(config.seed)
    network = JointUNet(**NETWORKS[options.network].arguments)
    sampler = JointSampler(
        pairs,
        batch=config.batch,
        crop=config.crop,
        seed=config.seed,
        sliders=SWITCHES,
        guided=True,
    )
    options.run_dir.mkdir(parents=True, exist_ok=True)
    trainer = NetworkTrainer(config, network, sampler, options.run_dir)
    trainer.run(print_step)

    joint = ImageNetwork(trainer.ema_network(), NAMES)
    results: dict[str, Any] = {"environment": environment(), "steps": options.steps}
    results |= {"network": options.network, "macs": network.macs_per_pixel}
    results |= {"seconds": round(trainer.seconds), "rows": {}}
    print(f"{'':28} untouched  guide  joint  alone")
    for name, group in validation.items():
        row = score(group, joint, switches(name), bundled_network(name))
        results["rows"][name] = {label: round(value, 2) for label, value in row.items()}
        print(f"{name:28}" + "".join(f"{value:8.2f}" for value in row.values()), flush=True)
    write(options.json, results)


def switched(name: str, pair: Pair) -> Pair:
    """Return a pair of an operator with its switch at 1."""
    return dataclasses.replace(pair, values=switches(name))


def switches(name: str) -> dict[str, Value]:
    """Return the values of all switches for an operator."""
    return {other: float(other == name) for other in NAMES}


def bundled_network(name: str) -> Callable[[Pixels, Pixels], Pixels]:
    """Return the bundled network of an operator, its sliders at their defaults."""
    model = read_model(find_model(name))
    defaults = [float(param.value) for param in model.card.sliders]
    session = onnxruntime.InferenceSession(model.graph)
    multiple = model.card.size_multiple

    def run(rgb: Pixels, guide: Pixels) -> Pixels:
        height, width = rgb.shape[:2]
        padding = ((0, -height % multiple), (0, -width % multiple), (0, 0))
        inputs = {
            input_name: np.pad(image, padding, mode="edge").transpose(2, 0, 1)[None]
            for input_name, image in ((INPUT, rgb), (GUIDE, guide))
        }
        if defaults:
            inputs[PARAMS] = np.array(defaults, np.float32).reshape(1, -1, 1, 1)
        output: Pixels = session.run(None, inputs)[0][0].transpose(1, 2, 0)[:height, :width]
        return output

    return run


def score(
    pairs: Sequence[Pair],
    joint: ImageNetwork,
    values: dict[str, Value],
    alone: Callable[[Pixels, Pixels], Pixels],
) -> dict[str, float]:
    """Return the mean PSNR of the photo, its guide and both networks."""
    scores: dict[str, list[float]] = {"untouched": [], "guide": [], "joint": [], "alone": []}
    for pair in pairs:
        whole = Rectangle(0, pair.size[0], 0, pair.size[1])
        before, after = pair.read(*whole.slices)
        guide = read_guide(pair, whole)
        outputs = {"untouched": before, "guide": guide}
        outputs["joint"] = joint(before, values, guide=guide)
        outputs["alone"] = alone(before, guide)
        for label, output in outputs.items():
            error = np.square(np.clip(output, 0, 1) - after).mean(dtype=np.float64)
            scores[label].append(psnr(float(error)))
    return {label: float(np.mean(group)) for label, group in scores.items()}


def print_step(info: StepInfo) -> None:
    if info.step % 500 == 0:
        print(f"step {info.step}, {psnr(info.loss):.2f} dB, {info.seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
