"""One network for all ten operators: how much worse than ten networks it is.

python benchmarks/joint.py --photos PHOTOS --held-out OTHERS --run-folder RUN --json RESULT

The paper's network for all operators is told which by an input. Here the operator enters as sliders
do: ten of them, of which one is 1. Network and sliders are learnt together, as there is no operator
that the network could be without them. It is judged on photos never trained on, beside the networks
that ship.
"""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import torch
from learning import pairs_of, settings_of, without
from measure import circumstances, write

from burnish.editing.edit import operator_params
from burnish.networks.registry import NETWORKS
from burnish.networks.unet import UNet
from burnish.operators.paper import PAPER_OPERATORS
from burnish.params import Param
from burnish.runtime.model import Model
from burnish.training.config import TrainConfig
from burnish.training.evaluation import evaluate
from burnish.training.optimiser import Optimiser
from burnish.training.pairs import Pair, find_photos
from burnish.training.sampler import Batch, CropSampler
from burnish.training.trainer import StepInfo, Trainer
from burnish.training.validation import as_callable

NAMES = list(PAPER_OPERATORS)
SWITCHES = [Param(name, "is the operator", default=0, low=0, high=1) for name in NAMES]


class Joint(UNet):
    """The student, with everything learnt at once."""

    def learn(self, *, sliders: bool) -> None:
        """Let gradients go to all."""
        for parameter in self.parameters():
            parameter.requires_grad_(True)


class Together(Optimiser):
    """The optimiser, with everything changed at once."""

    def step(self, rate: float, *, sliders: bool = False) -> None:
        """Change all weights at a learning rate."""
        super().step(rate)
        super().step(rate, sliders=True)


class Mixed(CropSampler):
    """Batches of all operators: none has all switches off."""

    def at(self, step: int, *, away: bool = False) -> list[Batch]:
        """Return one step's crops."""
        return super().batch_at(step, off_default=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--held-out", type=Path, required=True)
    parser.add_argument("--network", default="fast", help="a UNet of the table")
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--largest", type=int, default=1080)
    parser.add_argument("--run-folder", type=Path, required=True, help="for the checkpoint")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    judged = {name: made(name, options.held_out, (), options.largest) for name in NAMES}
    learnt = [
        pair
        for name in NAMES
        for pair in made(name, options.photos, TrainConfig.short_sides, options.largest)
    ]
    learnt = without(learnt, [pair for found in judged.values() for pair in found])
    settings = settings_of("all ten", options.network, options.steps, slider_share=0.0)
    torch.manual_seed(settings.seed)
    network = Joint(**NETWORKS[options.network].arguments, sliders=SWITCHES, global_context=True)
    batches = Mixed(
        learnt,
        batch=settings.batch,
        crop=settings.crop,
        seed=settings.seed,
        sliders=SWITCHES,
        coords_block=network.coords_block,
    )
    options.run_folder.mkdir(parents=True, exist_ok=True)
    training = Trainer(settings, network, batches, options.run_folder)
    together = Together(settings.optimiser, network, settings.weight_decay)
    together.load_state_dict(training.optimiser.state_dict())  # of a training that goes on
    training.optimiser = together
    training.run(tell)

    apply = as_callable(training.ema_network(), NAMES)
    results: dict[str, Any] = {"circumstances": circumstances(), "steps": options.steps}
    results |= {"network": options.network, "macs": network.macs_per_pixel}
    results |= {"seconds": round(training.seconds), "rows": {}}
    print(f"{'':28} untouched  joint  alone")
    for name, found in judged.items():
        report = evaluate(apply, found)
        row = {"untouched": report.identity.psnr, "joint": report.mean.psnr}
        row["alone"] = evaluate(shipped(name), found).mean.psnr
        results["rows"][name] = {label: round(psnr, 2) for label, psnr in row.items()}
        print(f"{name:28}" + "".join(f"{psnr:8.2f}" for psnr in row.values()), flush=True)
    write(options.json, results)


def made(name: str, folder: Path, sides: tuple[int, ...], largest: int) -> list[Pair]:
    """Return the pairs at which a network of an operator that ships is judged, switched on."""
    values = operator_params(Model.open(name).card, {})
    found = pairs_of(name, values, find_photos(folder), largest, sides)
    switched = {other: float(other == name) for other in NAMES}
    return [dataclasses.replace(pair, values=switched) for pair in found]


def shipped(name: str) -> Any:
    model = Model.open(name)
    return lambda rgb, _: model(rgb)


def tell(moment: StepInfo) -> None:
    if moment.step % 500 == 0:
        print(f"step {moment.step}, {moment.psnr:.2f} dB, {moment.seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
