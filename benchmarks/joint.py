"""One network for all ten operators, compared with ten networks.

python benchmarks/joint.py --photos PHOTOS --validation OTHERS --run-dir RUN --json RESULT

The paper's network for all operators has the operator as an input. Here the operators are ten
sliders, of which one is 1. All weights are trained together, since without the sliders the network
would have no operator. It is validated on photos that it was not trained on.
"""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import torch
from measure import environment, write
from train_helpers import exclude_photos, make_config, pairs_of

from burnish.editing.edit import operator_params
from burnish.metrics import psnr
from burnish.networks.registry import NETWORKS
from burnish.networks.unet import UNet
from burnish.operators.paper import PAPER_OPERATORS
from burnish.params import Param, Value
from burnish.runtime.model import Model
from burnish.training import StepInfo
from burnish.training.config import TrainConfig
from burnish.training.evaluation import evaluate
from burnish.training.network_trainer import NetworkTrainer
from burnish.training.pairs import Pair, find_photos
from burnish.training.sampler import Batch, CropSampler
from burnish.training.validation import ImageNetwork

NAMES = list(PAPER_OPERATORS)
SWITCHES = [Param(name, "is the operator", default=0, low=0, high=1) for name in NAMES]


class JointUNet(UNet):
    """A UNet whose weights are all trained at once."""

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
    parser.add_argument("--max-size", type=int, default=1080)
    parser.add_argument("--run-dir", type=Path, required=True, help="for the checkpoint")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    validation = {
        name: switched_pairs(name, options.validation, (), options.max_size) for name in NAMES
    }
    pairs = [
        pair
        for name in NAMES
        for pair in switched_pairs(name, options.photos, TrainConfig.short_sides, options.max_size)
    ]
    pairs = exclude_photos(pairs, [pair for group in validation.values() for pair in group])
    config = make_config("all ten", options.network, options.steps, slider_fraction=0.0)
    torch.manual_seed(config.seed)
    arguments = NETWORKS[options.network].arguments
    network = JointUNet(**arguments, sliders=SWITCHES, global_context=True)
    sampler = JointSampler(
        pairs,
        batch=config.batch,
        crop=config.crop,
        seed=config.seed,
        sliders=SWITCHES,
        coords_block=network.coords_block,
    )
    options.run_dir.mkdir(parents=True, exist_ok=True)
    trainer = NetworkTrainer(config, network, sampler, options.run_dir)
    trainer.run(print_step)

    apply = ImageNetwork(trainer.ema_network(), NAMES)
    results: dict[str, Any] = {"environment": environment(), "steps": options.steps}
    results |= {"network": options.network, "macs": network.macs_per_pixel}
    results |= {"seconds": round(trainer.seconds), "rows": {}}
    print(f"{'':28} untouched  joint  alone")
    for name, pairs in validation.items():
        report = evaluate(apply, pairs)
        row = {"untouched": report.identity_psnr, "joint": report.mean.psnr}
        row["alone"] = evaluate(bundled_model(name), pairs).mean.psnr
        results["rows"][name] = {label: round(psnr, 2) for label, psnr in row.items()}
        print(f"{name:28}" + "".join(f"{psnr:8.2f}" for psnr in row.values()), flush=True)
    write(options.json, results)


def switched_pairs(name: str, folder: Path, sides: tuple[int, ...], max_size: int) -> list[Pair]:
    """Return the pairs of an operator at its bundled model's values, with its switch at 1."""
    values = operator_params(Model.open(name).card, {})
    pairs = pairs_of(name, values, find_photos(folder), max_size, sides)
    switches: dict[str, Value] = {other: float(other == name) for other in NAMES}
    return [dataclasses.replace(pair, values=switches) for pair in pairs]


def bundled_model(name: str) -> Any:
    model = Model.open(name)
    return lambda rgb, _: model(rgb)


def print_step(info: StepInfo) -> None:
    if info.step % 500 == 0:
        print(f"step {info.step}, {psnr(info.loss):.2f} dB, {info.seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
