"""The pipeline of a compression: prune, distil, quantise, each step measured and perhaps undone."""

import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import burnish
from burnish.compression.distil import LR_FACTOR, DistillationTrainer
from burnish.compression.features import counterparts
from burnish.compression.importance import BATCHES
from burnish.compression.latency import LatencyTable
from burnish.compression.measure import Bench
from burnish.compression.prune import describe, prune
from burnish.compression.quantise import RangeList, calibrate, train_int8
from burnish.compression.request import RECORD, CompressionRequest
from burnish.compression.steps import (
    COMPARISON,
    MIN_GAIN,
    SPEED_TOLERANCE,
    CompressionResult,
    Step,
    slower,
    too_costly,
    unreached,
)
from burnish.compression.structure import Edit, channel_groups
from burnish.compression.workspace import Candidate, Workspace
from burnish.errors import PrecisionError
from burnish.export.onnx_export import write_card
from burnish.modelfile.card import Card
from burnish.modelfile.reader import read_card
from burnish.networks.network import Network
from burnish.networks.separable import SeparableConv2d
from burnish.training import TrainCallbacks
from burnish.training.config import TrainConfig
from burnish.training.data import TrainingData, prepare_data
from burnish.training.network_trainer import NetworkTrainer
from burnish.training.pipeline import make_sampler
from burnish.training.sampler import Batch, CropSampler, complete_batches
from burnish.training.start_network import write_start_outputs
from burnish.training.validation import describe_photos

# Without a target of speed, networks are pruned to these speeds, one after the other, until the
# loss is too large.
SPEEDS = (1.4, 2.0, 3.0)
# The share of the time that trains the network for 8-bit integers, at the end.
INT8_SHARE = 0.3
# How often a network is pruned, if the table predicts its speed badly, and the largest ratio of its
# speed to the goal.
ATTEMPTS = 3
MAX_EXCESS = 1.15


def run_compression(
    request: CompressionRequest, callbacks: TrainCallbacks | None = None
) -> CompressionResult:
    """Make a network faster as requested, and write it; see `burnish.compression.compress`.

    Raises
    ------
    UsageError : there are too few photos, or the folder holds another compression
    PhotoError : none of the photos can be read
    OperatorError : the operator fails
    """
    callbacks = callbacks or TrainCallbacks()
    config = request.config
    data = prepare_data(config, request.photos, request.validation, callbacks)
    callbacks.start("measuring the network")
    bench = Bench(request.model, data.validation, request.operator, config.params, request.engine)
    return Pipeline(request, data, Workspace(request, bench), callbacks).run()


class Pipeline:
    """Runs the steps of a compression.

    Attributes
    ----------
    steps : those that have run, in order
    """

    def __init__(
        self,
        request: CompressionRequest,
        data: TrainingData,
        workspace: Workspace,
        callbacks: TrainCallbacks,
    ) -> None:
        self.request, self.data = request, data
        self.workspace, self.callbacks = workspace, callbacks
        self.table = LatencyTable(request.engine, request.run_dir / "latency.json")
        self.sampler = self._sampler()
        self.original = workspace.original()
        self.steps = [Step("original", workspace.card.network, self.original.figures)]

    def run(self) -> CompressionResult:
        """Run the steps, and write the result if it reaches the target."""
        request = self.request
        gain = self._int8_gain() if request.int8 else 1.0
        best = self._compressed(gain)
        if self._problem(best) and gain > 1 and request.speed is not None:
            # 8-bit integers were to bring a part of the speed.
            self.steps = [self.steps[0], *map(_undone, self.steps[1:])]
            best = self._compressed(1.0)
        if request.compare_scratch and best.edits:
            best = self._from_scratch(best)
        problem = self._problem(best)
        if best is self.original or (problem and not request.nearest):
            return CompressionResult(None, self.steps, problem, best.precision)
        return CompressionResult(self._write(best), self.steps, problem, best.precision)

    def _problem(self, best: Candidate) -> str:
        request = self.request
        return unreached(self.original.figures, best.figures, request.speed, request.loss)

    def _compressed(self, gain: float) -> Candidate:
        """Return the network after all steps that are kept, or the nearest to the target.

        Parameters
        ----------
        gain : how many times as fast 8-bit integers make a network; 1 to do without them
        """
        share = 1 - INT8_SHARE if gain > 1 else 1.0
        speed = self.request.speed
        goals = SPEEDS if speed is None else (speed / gain,) if speed > gain * MIN_GAIN else ()
        best = nearest = self.original
        for goal in goals:
            nearest, allowed = self._faster(best, goal, share / len(goals))
            if not allowed:
                break
            best = nearest
        if speed is not None or (best is self.original and gain == 1):
            best = nearest
        return self._int8(best) if gain > 1 else best

    def _int8_gain(self) -> float:
        """Return how many times as fast the original network is in 8-bit integers, untrained.

        It is 1 if they do not make it faster.
        """
        batches = self._batches()
        try:
            untrained = self.workspace.int8(
                "int8-untrained",
                self.original,
                lambda: (
                    copy.deepcopy(self.original.network),
                    calibrate(self.original.network, batches).to_card(),
                ),
            )
        except PrecisionError as error:
            self.callbacks.message(f"8-bit integers are left out: {error.problem}")
            return 1.0
        problem = slower(self.original.figures, untrained.figures)
        reason = problem or COMPARISON
        self.steps.append(
            Step("int8 alone", "without training", untrained.figures, kept=False, reason=reason)
        )
        return 1.0 if problem else untrained.figures.speed

    def _int8(self, before: Candidate) -> Candidate:
        """Train a network for 8-bit integers; return it, or the one before if that is better.

        The original network is never better, so that the nearest result is returned.
        """

        def compute() -> tuple[Network, RangeList]:
            self.callbacks.message("Training for 8-bit integers begins.")
            return train_int8(
                self._config(INT8_SHARE),
                before.network,
                self.sampler,
                self._folder(name),
                self.data.fingerprint,
                self.callbacks,
            )

        name = f"int8 {_shape(before.network)}"
        after = self.workspace.int8(name, before, compute)
        problem = slow = slower(before.figures, after.figures)
        problem = problem or too_costly(self.original.figures, after.figures, self.request.loss)
        text = self._training_text(INT8_SHARE)
        self.steps.append(Step("int8", text, after.figures, not problem, problem))
        return before if slow or (problem and before is not self.original) else after

    def _faster(self, before: Candidate, speed: float, share: float) -> tuple[Candidate, bool]:
        """Prune a network to a speed, and distil what is left for a share of the time.

        Returns
        -------
        The faster network, and whether its loss is allowed; if not, both steps are undone
        """
        pruned = self._pruned(before, speed)
        problem = slower(before.figures, pruned.figures)
        text = describe(pruned.edits, self.original.network, pruned.network)
        self.steps.append(
            Step(f"prune to {speed:.3g}x", text, pruned.figures, not problem, problem)
        )
        if problem:
            return before, False
        name = f"distil-{speed:.3g}x"
        distilled = self.workspace.candidate(
            name, lambda: (self._train(name, pruned, share), pruned.edits)
        )
        problem, best = "", distilled
        if distilled.figures.psnr < pruned.figures.psnr:
            problem, best = "no closer to the operator than before", pruned
        text = self._training_text(share)
        self.steps.append(Step("distil", text, distilled.figures, not problem, problem))
        cost = too_costly(self.original.figures, best.figures, self.request.loss)
        if cost:
            self.steps[-2:] = [replace(s, kept=False, reason=cost) for s in self.steps[-2:]]
        return best, not cost

    def _pruned(self, before: Candidate, speed: float) -> Candidate:
        """Return a network that is pruned to a speed.

        It is pruned again if its speed turns out to be another one than the table predicts: further
        if it is too slow, and from the beginning if it is too fast. Of those that are fast enough,
        the slowest is returned, and else the fastest.
        """
        candidates: list[Candidate] = []
        begin, predicted = before, speed
        for attempt in range(ATTEMPTS):
            time = self.table.network(self.original.network) / predicted
            compute = partial(self._prune, begin, time)
            pruned = self.workspace.candidate(f"prune-{speed:.3g}x-{attempt}", compute)
            candidates.append(pruned)
            ratio = pruned.figures.speed / speed
            if 1 - SPEED_TOLERANCE <= ratio <= MAX_EXCESS or pruned.edits == begin.edits:
                break
            if ratio < 1:
                begin = pruned
            predicted /= ratio
        enough = [c for c in candidates if c.figures.speed >= speed * (1 - SPEED_TOLERANCE)]
        if enough:
            return min(enough, key=lambda candidate: candidate.figures.speed)
        return max(candidates, key=lambda candidate: candidate.figures.speed)

    def _prune(self, before: Candidate, time: float) -> tuple[Network, tuple[Edit, ...]]:
        network, edits = prune(
            before.network,
            self.table,
            time,
            self._batches(),
            self.callbacks,
            separable=self.request.separable,
        )
        self.table.save()
        return network, (*before.edits, *edits)

    def _batches(self) -> list[Batch]:
        """Return crops at the sliders' default values."""
        return complete_batches(map(self.sampler.batch_at, range(BATCHES)))

    def _train(self, name: str, student: Candidate, share: float) -> Network:
        """Distil the original network into a smaller one for a share of the time."""
        self.callbacks.message(f"Training {name} begins.")
        trainer = DistillationTrainer(
            self._config(share),
            copy.deepcopy(student.network).requires_grad_(True),
            copy.deepcopy(self.original.network).requires_grad_(False),
            self.sampler,
            self._folder(name),
            self.data.fingerprint,
            taught=self.request.taught,
            counterparts=counterparts(self.original.network, student.edits),
        )
        trainer.run(self.callbacks.on_step)
        return trainer.ema_network()

    def _from_scratch(self, best: Candidate) -> Candidate:
        """Train a network of the same shape from random weights; return the better of both.

        It is trained in float32 only. Pruning pays only if it is worse (Liu et al. 2019,
        https://doi.org/10.48550/arXiv.1810.05270).
        """
        name = f"scratch {_shape(best.network)}"
        config = self.request.config

        def compute() -> tuple[Network, tuple[Edit, ...]]:
            self.callbacks.message("Training a network of the same shape from scratch begins.")
            network = best.network.untrained(config.seed)
            folder = self._folder(name)
            trainer = NetworkTrainer(config, network, self.sampler, folder, self.data.fingerprint)
            trainer.run(self.callbacks.on_step)
            return trainer.ema_network(), best.edits

        scratch = self.workspace.candidate(name, compute)
        better = best.precision == "fp32" and scratch.figures.psnr > best.figures.psnr
        reason = "better than the pruned network" if better else COMPARISON
        text = f"the same shape, {self._training_text(1.0)}"
        self.steps.append(Step("from scratch", text, scratch.figures, better, reason))
        return scratch if better else best

    def _sampler(self) -> CropSampler:
        config, workspace = self.request.config, self.workspace
        start_outputs = None
        if workspace.start is not None:
            start_outputs = self.request.run_dir / "start-outputs"
            pairs = [*self.data.train, *self.data.extra]
            sliders = config.slider_params
            write_start_outputs(workspace.start, sliders, pairs, start_outputs, self.callbacks)
        return make_sampler(config, self.data, workspace.network, start_outputs)

    def _config(self, share: float) -> TrainConfig:
        """Return the configuration of a distillation for a share of the time."""
        config = self.request.config
        return replace(
            config,
            steps=config.steps and max(1, round(share * config.steps)),
            budget=config.budget and share * config.budget,
            max_lr=LR_FACTOR * config.max_lr,
        )

    def _folder(self, name: str) -> Path:
        folder = self.request.run_dir / name
        folder.mkdir(exist_ok=True)
        return folder

    def _training_text(self, share: float) -> str:
        config = self._config(share)
        return f"{config.steps} steps" if config.steps else f"{config.budget:.0f} s"

    def _write(self, best: Candidate) -> Path:
        """Write the result with its scores and the record of the compression on its card."""
        request = self.request
        draft = request.run_dir / "result.onnx"
        draft.write_bytes(best.file.read_bytes())
        changes = read_card(draft).model_dump() | {
            "training": {**request.file.card.training, RECORD: self._record(best)},
            "burnish_version": burnish.__version__,
        }
        write_card(draft, Card.build(**changes))
        request.write_validated(draft, self.data.validation, self.callbacks)
        return request.output

    def _record(self, best: Candidate) -> dict[str, Any]:
        """Return what was done, for the card."""
        request = self.request
        return {
            "model": f"{request.file.card.name} {request.file.sha256[:12]}",
            "target": request.target,
            "engine": request.engine,
            "precision": best.precision,
            "photos": describe_photos(self.workspace.bench.pairs, request.source),
            "channels": _widths(best.network),
            "steps": [step.record() for step in self.steps],
        }


def _undone(step: Step) -> Step:
    reason = step.reason or "the target was not reached with it"
    return replace(step, kept=False, reason=reason)


def _widths(network: Network) -> list[int]:
    return [group.width for group in channel_groups(network)]


def _shape(network: Network) -> str:
    """Return the numbers of channels, marked where the layer that reads them is separable."""
    return " ".join(
        f"{group.width}{'s' * sum(isinstance(c, SeparableConv2d) for c in group.consumers)}"
        for group in channel_groups(network)
    )
