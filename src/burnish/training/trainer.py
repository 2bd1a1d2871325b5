"""The loop: batches -> weights, by squared error, one cycle of the learning rate."""

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from burnish.errors import ModelError, UsageError
from burnish.metrics import psnr
from burnish.networks.network import Network, Statistics
from burnish.training import distributed as processes
from burnish.training.checkpoint import Checkpoint
from burnish.training.config import Settings
from burnish.training.optimiser import Optimiser
from burnish.training.sampler import Ahead, Batch, Batches


@dataclass(frozen=True)
class Moment:
    """What a listener is told after every step. `done` runs from 0 to 1."""

    step: int
    done: float
    seconds: float
    loss: float

    @property
    def psnr(self) -> float:
        """The running loss as PSNR in dB."""
        return psnr(self.loss)


class Training:
    """A network on its way from the identity to the operator.

    Parameters
    ----------
    settings : how to train
    network : trained in place
    batches : what to train on
    folder : where the checkpoint lies; where there is one of equal settings, it is taken up
    data : stands for what is trained on; see `Checkpoint`

    Raises
    ------
    UsageError : the folder holds a training with other settings or data
    """

    def __init__(
        self, settings: Settings, network: Network, batches: Batches, folder: Path, data: str = ""
    ) -> None:
        self.settings = settings
        self.data = data
        self.network = network.to(memory_format=torch.channels_last)
        self.batches = batches
        self.path = folder / "checkpoint.pt"
        self.step = 0
        self.seconds = 0.0
        self.loss = math.nan
        # The step at which the network was left as it is and its sliders' turn came.
        self.turned: int | None = None
        self.average = {name: value.clone() for name, value in network.state_dict().items()}
        self.optimiser = Optimiser(settings.optimiser, self.network, settings.weight_decay)
        if self.path.exists():
            self._resume()

    @property
    def done(self) -> float:
        """The share of the training that is behind us, 0 to 1."""
        if self.settings.steps is not None:
            return min(1.0, self.step / self.settings.steps)
        return min(1.0, self.seconds / (self.settings.budget or math.inf))

    def _phase(self, done: float) -> tuple[bool, float]:
        """Tell whether it is the sliders' turn, and the share of that turn that is over."""
        share = self.settings.slider_share if self.network.sliders else 0.0
        start = 1 - share
        return (True, (done - start) / share) if done >= start else (False, done / start)

    def run(
        self,
        listen: Callable[[Moment], None] = lambda moment: None,
        *,
        save_every: float = 60.0,
        main: bool = True,
    ) -> None:
        """Train until steps or budget are used up; saves by time, and at the end.

        Parameters
        ----------
        listen : called after every step
        save_every : seconds between two checkpoints
        main : whether this process is the one that saves
        """
        saved = time.perf_counter()
        with Ahead(self.batches) as ahead:
            while (done := processes.agree(self.done)) < 1:
                start = time.perf_counter()
                sliding, _ = self._phase(done)
                self._one_step(ahead.take(self.step, away=sliding), done)
                self.seconds += time.perf_counter() - start
                listen(Moment(self.step, self.done, self.seconds, self.loss))
                if main and time.perf_counter() - saved > save_every:
                    self.save()
                    saved = time.perf_counter()
        if main:
            self.save()

    def averaged(self) -> Network:
        """Return the network with the averaged weights and frozen statistics: what ships."""
        network = copy.deepcopy(self.network)
        network.load_state_dict(self.average)
        network.to(memory_format=torch.contiguous_format)
        return network.use_statistics("frozen").eval()

    def save(self) -> None:
        """Write the checkpoint."""
        Checkpoint(
            step=self.step,
            seconds=self.seconds,
            network=self.network.state_dict(),
            average=self.average,
            optimiser=self.optimiser.state_dict(),
            settings=self.settings.to_json(),
            data=self.data,
            turned=self.turned,
        ).save(self.path)

    def _resume(self) -> None:
        checkpoint = Checkpoint.load(self.path)
        theirs = checkpoint.settings | {"photos, operator or processes": checkpoint.data}
        ours = self.settings.to_json() | {"photos, operator or processes": self.data}
        if theirs != ours:
            differing = [name for name in ours if theirs.get(name) != ours[name]]
            raise UsageError(
                str(self.path.parent),
                expected="the training that began there",
                got=f"another one (it differs in {', '.join(differing)})",
                remedy="repeat the command that began it, or choose another --run-folder",
            )
        try:
            self.network.load_state_dict(checkpoint.network)
            self.optimiser.load_state_dict(checkpoint.optimiser)
        except (RuntimeError, KeyError, ValueError) as error:
            raise UsageError(
                str(self.path.parent),
                expected="a training by this version of burnish",
                got="one of a network or optimiser with other numbers",
                remedy="go on with the version that began it, or choose another --run-folder",
            ) from error
        self.average = checkpoint.average
        self.step, self.seconds = checkpoint.step, checkpoint.seconds
        self.turned = checkpoint.turned

    def _one_step(self, batches: Sequence[Batch], done: float) -> None:
        settings = self.settings
        statistics: Statistics = "batch" if done < settings.freeze_at else "frozen"
        self.network.use_statistics(statistics).train()
        sliding, share = self._phase(done)
        if sliding and self.turned is None:
            # From here on the network is what ships, and only what sliders change is learnt: at
            # the values that hold unsaid it is as good as one without sliders.
            self.network.load_state_dict(self.average)
            self.turned = self.step
        self.network.learn(sliders=sliding)
        loss = self._backward(batches)
        nn.utils.clip_grad_norm_(self.network.parameters(), settings.clip_norm)
        self.optimiser.step(rate(settings, share), sliders=sliding)
        self.step += 1
        self._average_weights()
        self._follow(loss)

    def _backward(self, batches: Sequence[Batch]) -> float:
        """Add up the gradients of a step's crops, and return the loss."""
        self.network.zero_grad()
        total = 0.0
        for batch in batches:
            before = batch.before.to(memory_format=torch.channels_last)
            loss = batch.share * F.mse_loss(self.network(before, *batch.context), batch.after)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        processes.average_gradients(self.network)
        processes.average_buffers(self.network)  # alike already where nothing is counted
        if not math.isfinite(total):
            raise ModelError(
                f"step {self.step}",
                expected="a finite loss",
                got=str(total),
                remedy="train with a lower --peak-rate",
            )
        return total

    def _average_weights(self) -> None:
        """Average exponentially, with a memory that grows: the start is soon forgotten."""
        steps = self.step - (self.turned or 0)
        memory = min(self.settings.averaging, (1 + steps) / (10 + steps))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                # Statistics are averages already, and constants once they are frozen.
                if ".normal." in name:
                    self.average[name].copy_(value)
                else:
                    self.average[name].lerp_(value, 1 - memory)

    def _follow(self, loss: float) -> None:
        """Keep a running mean of the loss: single batches jump about."""
        share = max(0.01, 1 / self.step)
        self.loss = loss if math.isnan(self.loss) else self.loss + share * (loss - self.loss)


def rate(settings: Settings, done: float) -> float:
    """Return the learning rate where `done` of the training is over: up, then a cosine to zero.

    Examples
    --------
    >>> s = Settings("l0-smoothing", "can24", steps=1, peak_rate=1.0, warm_up=0.1)
    >>> [round(rate(s, done), 3) for done in (0, 0.05, 0.1, 0.55, 1)]
    [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    if done < settings.warm_up:
        return settings.peak_rate * (0.04 + 0.96 * done / settings.warm_up)
    fall = (done - settings.warm_up) / (1 - settings.warm_up)
    return settings.peak_rate * 0.5 * (1 + math.cos(math.pi * fall))
