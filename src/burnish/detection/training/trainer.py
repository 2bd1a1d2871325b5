"""Train: examples in, a detector's weights out; taken up where it stopped."""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from burnish.detection.training.config import Settings
from burnish.detection.training.dataset import Examples
from burnish.detection.training.fuse import fuse
from burnish.detection.training.network import MaskNetwork
from burnish.errors import ModelError, UsageError
from burnish.files import make_folder, writing


@dataclass(frozen=True)
class Moment:
    """What a listener is told after every step: `done` runs from 0 to 1, losses are means."""

    step: int
    done: float
    seconds: float
    loss: float
    parts: dict[str, float]


class Training:
    """A detector that learns.

    Parameters
    ----------
    network : trained in place
    pretrained : whether its backbone knows pictures already: its first blocks then stay as they
        are, and its normalisers, whose statistics are known, become part of its convolutions
    folder : where the checkpoint lies; one of equal settings and data is taken up
    data : stands for what is trained on

    Raises
    ------
    UsageError : the folder holds a training with other settings or data
    """

    def __init__(
        self,
        settings: Settings,
        network: MaskNetwork,
        examples: Examples,
        folder: Path,
        *,
        pretrained: bool,
        data: str = "",
    ) -> None:
        make_folder(folder)
        self.settings, self.examples = settings, examples
        self.network = network.to(memory_format=torch.channels_last)
        self.pretrained, self.data = pretrained, data
        self.path = folder / "checkpoint.pt"
        self.step, self.seconds = 0, 0.0
        self.parts: dict[str, float] = {}
        if pretrained:
            _freeze(network, settings.frozen)
        self.average = {name: value.clone() for name, value in network.state_dict().items()}
        self.optimiser = torch.optim.AdamW(
            self._groups(), lr=settings.peak_rate, weight_decay=settings.weight_decay
        )
        if self.path.exists():
            self._resume()

    @property
    def done(self) -> float:
        """The share of the training that is behind us, 0 to 1."""
        if self.settings.steps is not None:
            return min(1.0, self.step / self.settings.steps)
        return min(1.0, self.seconds / (self.settings.budget or math.inf))

    def run(
        self, listen: Callable[[Moment], None] = lambda moment: None, *, save_every: float = 60.0
    ) -> None:
        """Train until steps or budget are used up; saves by time, and at the end."""
        saved = time.perf_counter()
        while (done := self.done) < 1:
            start = time.perf_counter()
            self._one_step(done)
            self.seconds += time.perf_counter() - start
            loss = sum(self.parts.values())
            listen(Moment(self.step, self.done, self.seconds, loss, dict(self.parts)))
            if time.perf_counter() - saved > save_every:
                self.save()
                saved = time.perf_counter()
        self.save()

    def averaged(self) -> MaskNetwork:
        """Return the network with the averaged weights: what ships."""
        network = copy.deepcopy(self.network).to(memory_format=torch.contiguous_format)
        network.load_state_dict(self.average)
        return network.eval()

    def save(self) -> None:
        """Write the checkpoint, in place of an older one."""
        content = BytesIO()
        torch.save(
            {
                "step": self.step,
                "seconds": self.seconds,
                "network": self.network.state_dict(),
                "average": self.average,
                "optimiser": self.optimiser.state_dict(),
                "parts": self.parts,
                "settings": self._identity(),
            },
            content,
        )
        with writing(self.path, overwrite=True) as file:
            file.write(content.getbuffer())

    def _identity(self) -> dict[str, Any]:
        return self.settings.to_json() | {"photos or weights": self.data}

    def _resume(self) -> None:
        try:
            kept = torch.load(self.path, weights_only=True)
            theirs = kept["settings"]
        except Exception as error:  # torch raises a dozen kinds for a file that is not its own
            raise ModelError(
                str(self.path),
                expected="a checkpoint of `burnish regions train`",
                got=f"{type(error).__name__}: {str(error)[:200]}",
                remedy="remove it to start over",
            ) from error
        ours = self._identity()
        if theirs != ours:
            differing = [name for name in ours if theirs.get(name) != ours[name]]
            raise UsageError(
                str(self.path.parent),
                expected="the training that began there",
                got=f"another one (it differs in {', '.join(differing)})",
                remedy="repeat the command that began it, or choose another --run-folder",
            )
        self.network.load_state_dict(kept["network"])
        self.average = kept["average"]
        self.optimiser.load_state_dict(kept["optimiser"])
        self.step, self.seconds, self.parts = kept["step"], kept["seconds"], kept["parts"]

    def _groups(self) -> list[dict[str, Any]]:
        """Sort what is learnt: the backbone slower, and no decay of what is no kernel."""
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, parameter in self.network.named_parameters():
            if parameter.requires_grad:
                slow = 0.25 if self.pretrained and name.startswith("backbone.body.") else 1.0
                decay = self.settings.weight_decay if parameter.ndim > 1 else 0.0
                groups.setdefault((slow, decay), []).append(parameter)
        return [
            {"params": parameters, "slow": slow, "weight_decay": decay}
            for (slow, decay), parameters in groups.items()
        ]

    def _one_step(self, done: float) -> None:
        settings = self.settings
        self.network.train()
        # The samplers of anchors and regions draw from torch's own generator.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed * 1_000_003 + self.step)
            losses = self.network(*self.examples.batch(self.step))
        total: Tensor = torch.stack(list(losses.values())).sum()
        if not math.isfinite(total.item()):
            raise ModelError(
                f"step {self.step}",
                expected="a finite loss",
                got=str(total.item()),
                remedy="train with a lower --peak-rate",
            )
        self.optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), settings.clip_norm)
        for group in self.optimiser.param_groups:
            group["lr"] = rate(settings, done) * group["slow"]
        self.optimiser.step()
        self.step += 1
        self._average_weights()
        share = max(0.02, 1 / self.step)
        for name, loss in losses.items():
            before = self.parts.get(name, loss.item())
            self.parts[name] = before + share * (loss.item() - before)

    def _average_weights(self) -> None:
        """Average exponentially, with a memory that grows: the start is soon forgotten."""
        memory = min(self.settings.averaging, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                if value.is_floating_point():
                    self.average[name].lerp_(value, 1 - memory)
                else:
                    self.average[name].copy_(value)


def rate(settings: Settings, done: float) -> float:
    """Return the learning rate where `done` of the training is over: up, then a cosine to zero.

    Examples
    --------
    >>> s = Settings(("cat",), peak_rate=1.0, warm_up=0.1)
    >>> [round(rate(s, done), 3) for done in (0, 0.05, 0.1, 0.55, 1)]
    [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    if done < settings.warm_up:
        return settings.peak_rate * (0.04 + 0.96 * done / settings.warm_up)
    fall = (done - settings.warm_up) / (1 - settings.warm_up)
    return settings.peak_rate * 0.5 * (1 + math.cos(math.pi * fall))


def _freeze(network: MaskNetwork, blocks: int) -> None:
    """Leave the backbone's beginning as it is, and all its normalisers."""
    body: Any = network.backbone.body
    fuse(body.eval())
    for part in (body.stem, *body.blocks[:blocks]):
        part.requires_grad_(False)
