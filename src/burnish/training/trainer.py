"""The training loop: warm-up, gradient clipping, averaged weights, checkpoints."""

import copy
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from burnish.errors import ModelError, UsageError
from burnish.prefetch import prefetch
from burnish.training import distributed
from burnish.training.callbacks import StepInfo
from burnish.training.checkpoint import Checkpoint
from burnish.training.schedule import EMA, learning_rate

Module = TypeVar("Module", bound=nn.Module)
Batch = TypeVar("Batch")


class TrainerConfig(Protocol):
    """The fields of a frozen config that `Trainer` reads."""

    @property
    def steps(self) -> int | None:
        """The number of steps; None if there is a budget."""

    @property
    def budget(self) -> float | None:
        """The length of the training in seconds; None if there is a number of steps."""

    @property
    def max_lr(self) -> float:
        """See `learning_rate`."""

    @property
    def warmup_fraction(self) -> float:
        """See `learning_rate`."""

    @property
    def clip_norm(self) -> float:
        """The largest norm of a gradient."""

    @property
    def ema_decay(self) -> float:
        """See `EMA`."""

    def to_json(self) -> dict[str, Any]:
        """Return the config as values that JSON can hold."""


class Trainer(ABC, Generic[Module, Batch]):
    """Trains a network until the steps or the time of its config are used up.

    Subclasses define `batches` and `losses`, and may override `begin_step`.

    Parameters
    ----------
    network : trained in place, in memory format channels last
    optimisers : each of their parameter groups has a factor "lr_scale" of the learning rate
    run_dir : folder of the checkpoint. A training that began there is resumed
    data : identifies the training data
    copied : see `EMA`

    Attributes
    ----------
    step : the number of finished steps
    phase : counts the phases of a training that has more than one; see `begin_step`
    seconds : the time spent on training

    Raises
    ------
    UsageError : the folder holds a training with another config or other data
    ModelError : the checkpoint cannot be read
    """

    def __init__(
        self,
        config: TrainerConfig,
        network: Module,
        optimisers: Sequence[torch.optim.Optimizer],
        run_dir: Path,
        *,
        data: str = "",
        copied: str | None = None,
    ) -> None:
        self.config = config
        self.network = network.to(memory_format=torch.channels_last)
        self.optimisers = optimisers
        self.data = data
        self.ema = EMA(network, config.ema_decay, copied)
        self.step = self.phase = 0
        self.seconds = 0.0
        self.loss_terms: dict[str, float] = {}
        self.checkpoint_path = run_dir / "checkpoint.pt"
        if self.checkpoint_path.exists():
            self._resume()

    @abstractmethod
    def batches(self, step: int, phase: int) -> Sequence[Batch]:
        """Return the batches of a step, whose gradients are added up.

        It runs in another thread, ahead of its step, so it may depend on its arguments only.
        """

    @abstractmethod
    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Run the network; return the terms of the loss, scalars that are added up."""

    def begin_step(self, progress: float) -> float:
        """Prepare the network for a step, and increase `phase` if a new phase begins.

        Returns
        -------
        The progress of the learning-rate cycle, 0 to 1: here that of the training.
        """
        self.network.train()
        return progress

    @property
    def progress(self) -> float:
        """The finished fraction of the training, 0 to 1."""
        if self.config.steps is not None:
            return min(1.0, self.step / self.config.steps)
        return min(1.0, self.seconds / (self.config.budget or math.inf))

    def run(
        self, callback: Callable[[StepInfo], None] = lambda info: None, *, save_every: float = 60.0
    ) -> None:
        """Train. Save a checkpoint from time to time and at the end.

        Parameters
        ----------
        callback : called after every step
        save_every : seconds between two checkpoints
        """
        last_save = time.perf_counter()
        with closing(self._batch_stream()) as stream:
            while (progress := distributed.broadcast(self.progress)) < 1:
                start = time.perf_counter()
                cycle_progress = self.begin_step(progress)
                self._train_step(next(stream), cycle_progress)
                self.seconds += time.perf_counter() - start
                loss = sum(self.loss_terms.values())
                terms = dict(self.loss_terms)
                callback(StepInfo(self.step, self.progress, self.seconds, loss, terms))
                if time.perf_counter() - last_save > save_every:
                    self.save()
                    last_save = time.perf_counter()
        self.save()

    def ema_network(self) -> Module:
        """Return a copy of the network with the averaged weights, in evaluation mode."""
        network = copy.deepcopy(self.network)
        network.load_state_dict(self.ema.state)
        return network.to(memory_format=torch.contiguous_format).eval()

    def save(self) -> None:
        """Write the checkpoint. Of several processes, only the first one writes."""
        if not distributed.is_main():
            return
        Checkpoint(
            step=self.step,
            phase=self.phase,
            seconds=self.seconds,
            network=self.network.state_dict(),
            ema=self.ema.state,
            ema_updates=self.ema.updates,
            optimisers=[optimiser.state_dict() for optimiser in self.optimisers],
            loss_terms=self.loss_terms,
            config=self.config.to_json(),
            data=self.data,
        ).save(self.checkpoint_path)

    def _resume(self) -> None:
        checkpoint = Checkpoint.load(self.checkpoint_path)
        run_dir = str(self.checkpoint_path.parent)
        saved = checkpoint.config | {"training data or number of processes": checkpoint.data}
        current = self.config.to_json() | {"training data or number of processes": self.data}
        if saved != current:
            different = [name for name in current if saved.get(name) != current[name]]
            raise UsageError(
                run_dir,
                f"the folder holds another training, with a different {', '.join(different)}",
                "repeat the command that began it, or choose another --run-dir",
            )
        try:
            self.network.load_state_dict(checkpoint.network)
            for optimiser, state in zip(self.optimisers, checkpoint.optimisers, strict=True):
                optimiser.load_state_dict(state)
        except (RuntimeError, KeyError, ValueError) as error:
            raise UsageError(
                run_dir,
                "the checkpoint does not fit this version's network or optimiser",
                "resume with the version that wrote it, or choose another --run-dir",
            ) from error
        self.ema.state, self.ema.updates = checkpoint.ema, checkpoint.ema_updates
        self.step, self.phase, self.seconds = checkpoint.step, checkpoint.phase, checkpoint.seconds
        self.loss_terms = checkpoint.loss_terms

    def _batch_stream(self) -> Generator[Sequence[Batch], None, None]:
        """Yield the batches of step after step, computed ahead within each phase."""
        while True:
            phase = self.phase
            batches = (self.batches(step, phase) for step in count(self.step))
            with closing(prefetch(batches)) as stream:
                for batch in stream:
                    yield batch
                    if self.phase != phase:
                        break

    def _train_step(self, batches: Sequence[Batch], cycle_progress: float) -> None:
        config = self.config
        losses = self._backward(batches)
        nn.utils.clip_grad_norm_(self.network.parameters(), config.clip_norm)
        lr = learning_rate(cycle_progress, config.max_lr, config.warmup_fraction)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = lr * group["lr_scale"]
            optimiser.step()
        self.step += 1
        self.ema.update(self.network)
        weight = max(0.01, 1 / self.step)
        for name, loss in losses.items():
            mean = self.loss_terms.setdefault(name, loss)
            self.loss_terms[name] = mean + weight * (loss - mean)

    def _backward(self, batches: Sequence[Batch]) -> dict[str, float]:
        """Add up the gradients of the batches; return the sum of each term of the loss."""
        self.network.zero_grad()
        sums: dict[str, float] = {}
        for batch in batches:
            losses = self.losses(batch)
            torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
            for name, loss in losses.items():
                sums[name] = sums.get(name, 0.0) + loss.item()
        distributed.average_gradients(self.network)
        distributed.average_buffers(self.network)  # they differ while normalisers are trained
        if not math.isfinite(sum(sums.values())):
            raise ModelError(
                f"step {self.step}", "the loss is not finite", "train with a lower --max-lr"
            )
        return sums
