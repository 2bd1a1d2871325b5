"""The training loop: warm-up, gradient clipping, averaged weights, checkpoints."""

import copy
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn

from burnish.errors import ModelError, UsageError
from burnish.files import atomic_write
from burnish.prefetch import prefetch
from burnish.training import StepInfo, distributed

Module = TypeVar("Module", bound=nn.Module)
Batch = TypeVar("Batch")


class _Config(Protocol):
    """The fields of a frozen config that `Trainer` reads. Either `steps` or `budget` is None."""

    @property
    def steps(self) -> int | None: ...
    @property
    def budget(self) -> float | None: ...
    @property
    def max_lr(self) -> float: ...
    @property
    def warmup_fraction(self) -> float: ...
    @property
    def clip_norm(self) -> float: ...
    @property
    def ema_decay(self) -> float: ...
    def to_json(self) -> dict[str, Any]: ...


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
    device : where the network and its averaged weights are [default: the CPU]

    Attributes
    ----------
    step : the number of finished steps
    phase : index of the current phase, for a training that has more than one; see `begin_step`
    seconds : the time spent on training

    Raises
    ------
    UsageError : the folder holds a training with another config or other data
    ModelError : the checkpoint cannot be read
    """

    def __init__(
        self,
        config: _Config,
        network: Module,
        optimisers: Sequence[torch.optim.Optimizer],
        run_dir: Path,
        *,
        data: str = "",
        copied: str | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.config = config
        self.device = device or torch.device("cpu")
        self.network = network.to(self.device).to(memory_format=torch.channels_last)
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

        This method is called in another thread, ahead of its step, so that its result may depend
        on its arguments only.
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
        self.ema.state = {name: v.to(self.device) for name, v in checkpoint.ema.items()}
        self.ema.updates = checkpoint.ema_updates
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
        distributed.average(self.network)  # buffers differ while normalisers are trained
        if not math.isfinite(sum(sums.values())):
            raise ModelError(
                f"step {self.step}", "the loss is not finite", "train with a lower --max-lr"
            )
        return sums


def learning_rate(progress: float, max_lr: float, warmup_fraction: float) -> float:
    """Return the learning rate at a progress of 0 to 1: a linear warm-up, then a cosine to zero.

    Examples
    --------
    >>> [round(learning_rate(p, max_lr=1, warmup_fraction=0.1), 3) for p in (0, 0.05, 0.1, 0.55, 1)]
    [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    if progress < warmup_fraction:
        return max_lr * (0.04 + 0.96 * progress / warmup_fraction)
    decay_progress = (progress - warmup_fraction) / (1 - warmup_fraction)
    return max_lr * 0.5 * (1 + math.cos(math.pi * decay_progress))


class EMA:
    """Exponential moving average of a network's parameters and buffers.

    The decay begins low and grows to `decay`, so that the average soon forgets the first weights.

    Parameters
    ----------
    network : its current state is the first average
    decay : 0.999 averages about 1000 steps
    copied : part of the names of values that are copied rather than averaged, such as ".norm."

    Attributes
    ----------
    state : the averages, as a state dict of the network
    updates : the number of updates, which determines the decay
    """

    def __init__(self, network: nn.Module, decay: float, copied: str | None = None) -> None:
        self.state = {name: value.clone() for name, value in network.state_dict().items()}
        self.decay = decay
        self.copied = copied
        self.updates = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Add the network's current state to the average."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, value in network.state_dict().items():
            if value.is_floating_point() and (self.copied is None or self.copied not in name):
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training between two steps.

    Batches are not part of it, because they follow from the number of the step. `data` identifies
    the training data, since a config only names folders whose files may change.
    """

    step: int
    phase: int
    seconds: float
    network: dict[str, Tensor]
    ema: dict[str, Tensor]
    ema_updates: int
    optimisers: list[dict[str, Any]]
    loss_terms: dict[str, float]
    config: dict[str, Any]
    data: str

    def save(self, path: Path) -> None:
        """Write the checkpoint atomically: a killed process leaves the old or the new file."""
        # torch.save reports a full disk without naming the cause, hence the buffer.
        buffer = BytesIO()
        torch.save(vars(self), buffer)
        with atomic_write(path, overwrite=True) as file:
            file.write(buffer.getbuffer())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a checkpoint onto the CPU. Only tensors and plain values are read, never code.

        Raises
        ------
        ModelError : the file is not a checkpoint
        """
        try:
            return cls(**torch.load(path, map_location="cpu", weights_only=True))
        except Exception as error:  # torch raises a dozen kinds of errors for other files
            raise ModelError(
                str(path),
                f"not a checkpoint of a training ({type(error).__name__}: {str(error)[:200]})",
                "remove it to start over",
            ) from error
