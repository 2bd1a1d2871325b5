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
from burnish.networks.network import Network, NormMode
from burnish.training import distributed as processes
from burnish.training.checkpoint import Checkpoint
from burnish.training.config import TrainConfig
from burnish.training.optimiser import Optimiser
from burnish.training.sampler import Batch, CropSampler, Prefetcher


@dataclass(frozen=True)
class StepInfo:
    """What a listener is told after every step. `progress` runs from 0 to 1."""

    step: int
    progress: float
    seconds: float
    loss: float

    @property
    def psnr(self) -> float:
        """The running loss as PSNR in dB."""
        return psnr(self.loss)


class Trainer:
    """A network on its way from the identity to the operator.

    Parameters
    ----------
    config : how to train
    network : trained in place
    sampler : what to train on
    run_dir : where the checkpoint lies; where there is one of equal settings, it is taken up
    data : stands for what is trained on; see `Checkpoint`

    Raises
    ------
    UsageError : the folder holds a training with other settings or data
    """

    def __init__(
        self,
        config: TrainConfig,
        network: Network,
        sampler: CropSampler,
        run_dir: Path,
        data: str = "",
    ) -> None:
        self.config = config
        self.data = data
        self.network = network.to(memory_format=torch.channels_last)
        self.sampler = sampler
        self.path = run_dir / "checkpoint.pt"
        self.step = 0
        self.seconds = 0.0
        self.loss = math.nan
        # The step at which the network was left as it is and its sliders' turn came.
        self.slider_phase_start: int | None = None
        self.ema = {name: value.clone() for name, value in network.state_dict().items()}
        self.optimiser = Optimiser(config.optimiser, self.network, config.weight_decay)
        if self.path.exists():
            self._resume()

    @property
    def progress(self) -> float:
        """The share of the training that is behind us, 0 to 1."""
        if self.config.steps is not None:
            return min(1.0, self.step / self.config.steps)
        return min(1.0, self.seconds / (self.config.budget or math.inf))

    def _phase(self, progress: float) -> tuple[bool, float]:
        """Tell whether it is the sliders' turn, and the share of that turn that is over."""
        fraction = self.config.slider_fraction if self.network.num_sliders else 0.0
        start = 1 - fraction
        return (
            (True, (progress - start) / fraction)
            if progress >= start
            else (False, progress / start)
        )

    def run(
        self,
        callback: Callable[[StepInfo], None] = lambda moment: None,
        *,
        save_every: float = 60.0,
        main: bool = True,
    ) -> None:
        """Train until steps or budget are used up; saves by time, and at the end.

        Parameters
        ----------
        callback : called after every step
        save_every : seconds between two checkpoints
        main : whether this process is the one that saves
        """
        last_save = time.perf_counter()
        with Prefetcher(self.sampler) as prefetcher:
            while (progress := processes.broadcast(self.progress)) < 1:
                start = time.perf_counter()
                slider_phase, _ = self._phase(progress)
                self._one_step(prefetcher.get(self.step, off_default=slider_phase), progress)
                self.seconds += time.perf_counter() - start
                callback(StepInfo(self.step, self.progress, self.seconds, self.loss))
                if main and time.perf_counter() - last_save > save_every:
                    self.save()
                    last_save = time.perf_counter()
        if main:
            self.save()

    def ema_network(self) -> Network:
        """Return the network with the averaged weights and frozen statistics: what ships."""
        network = copy.deepcopy(self.network)
        network.load_state_dict(self.ema)
        network.to(memory_format=torch.contiguous_format)
        return network.set_norm_mode("frozen").eval()

    def save(self) -> None:
        """Write the checkpoint."""
        Checkpoint(
            step=self.step,
            seconds=self.seconds,
            network=self.network.state_dict(),
            ema=self.ema,
            optimiser=self.optimiser.state_dict(),
            config=self.config.to_json(),
            data=self.data,
            slider_phase_start=self.slider_phase_start,
        ).save(self.path)

    def _resume(self) -> None:
        checkpoint = Checkpoint.load(self.path)
        saved = checkpoint.config | {"photos, operator or processes": checkpoint.data}
        current = self.config.to_json() | {"photos, operator or processes": self.data}
        if saved != current:
            differing = [name for name in current if saved.get(name) != current[name]]
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
        self.ema = checkpoint.ema
        self.step, self.seconds = checkpoint.step, checkpoint.seconds
        self.slider_phase_start = checkpoint.slider_phase_start

    def _one_step(self, batches: Sequence[Batch], progress: float) -> None:
        config = self.config
        norm_mode: NormMode = "batch" if progress < config.freeze_norm_at else "frozen"
        self.network.set_norm_mode(norm_mode).train()
        slider_phase, phase_progress = self._phase(progress)
        if slider_phase and self.slider_phase_start is None:
            # From here on the network is what ships, and only what sliders change is learnt: at
            # the values that hold unsaid it is as good as one without sliders.
            self.network.load_state_dict(self.ema)
            self.slider_phase_start = self.step
        self.network.set_trainable(sliders=slider_phase)
        loss = self._backward(batches)
        nn.utils.clip_grad_norm_(self.network.parameters(), config.clip_norm)
        self.optimiser.step(learning_rate(config, phase_progress), sliders=slider_phase)
        self.step += 1
        self._update_ema()
        self._update_running_loss(loss)

    def _backward(self, batches: Sequence[Batch]) -> float:
        """Add up the gradients of a step's crops, and return the loss."""
        self.network.zero_grad()
        total = 0.0
        for batch in batches:
            before = batch.before.to(memory_format=torch.channels_last)
            loss = batch.weight * F.mse_loss(self.network(before, *batch.context), batch.after)
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

    def _update_ema(self) -> None:
        """Average exponentially, with a memory that grows: the start is soon forgotten."""
        steps = self.step - (self.slider_phase_start or 0)
        decay = min(self.config.ema_decay, (1 + steps) / (10 + steps))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                # Statistics are averages already, and constants once they are frozen.
                if ".norm." in name:
                    self.ema[name].copy_(value)
                else:
                    self.ema[name].lerp_(value, 1 - decay)

    def _update_running_loss(self, loss: float) -> None:
        """Keep a running mean of the loss: single batches jump about."""
        weight = max(0.01, 1 / self.step)
        self.loss = loss if math.isnan(self.loss) else self.loss + weight * (loss - self.loss)


def learning_rate(config: TrainConfig, progress: float) -> float:
    """Return the learning rate where `progress` of the training is over: up, then a cosine to zero.

    Examples
    --------
    >>> s = Settings("l0-smoothing", "can24", steps=1, peak_rate=1.0, warm_up=0.1)
    >>> [round(learning_rate(s, done), 3) for done in (0, 0.05, 0.1, 0.55, 1)]
    [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    if progress < config.warmup_fraction:
        return config.max_lr * (0.04 + 0.96 * progress / config.warmup_fraction)
    decay_progress = (progress - config.warmup_fraction) / (1 - config.warmup_fraction)
    return config.max_lr * 0.5 * (1 + math.cos(math.pi * decay_progress))
