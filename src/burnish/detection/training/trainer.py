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

from burnish.detection.training.config import DetectorTrainConfig
from burnish.detection.training.dataset import DetectionDataset
from burnish.detection.training.fuse import fuse_batchnorm
from burnish.detection.training.network import MaskRCNNModule
from burnish.errors import ModelError, UsageError
from burnish.files import atomic_write, make_folder


@dataclass(frozen=True)
class StepInfo:
    """What a listener is told after every step: `progress` runs from 0 to 1, losses are means."""

    step: int
    progress: float
    seconds: float
    loss: float
    loss_terms: dict[str, float]


class DetectorTrainer:
    """A detector that learns.

    Parameters
    ----------
    network : trained in place
    pretrained : whether its backbone knows pictures already: its first blocks then stay as they
        are, and its normalisers, whose statistics are known, become part of its convolutions
    run_dir : where the checkpoint lies; one of equal settings and data is taken up
    data_hash : stands for what is trained on

    Raises
    ------
    UsageError : the folder holds a training with other settings or data
    """

    def __init__(
        self,
        config: DetectorTrainConfig,
        network: MaskRCNNModule,
        dataset: DetectionDataset,
        run_dir: Path,
        *,
        pretrained: bool,
        data_hash: str = "",
    ) -> None:
        make_folder(run_dir)
        self.config, self.dataset = config, dataset
        self.network = network.to(memory_format=torch.channels_last)
        self.pretrained, self.data_hash = pretrained, data_hash
        self.checkpoint_path = run_dir / "checkpoint.pt"
        self.step, self.seconds = 0, 0.0
        self.loss_terms: dict[str, float] = {}
        if pretrained:
            _freeze(network, config.frozen_blocks)
        self.ema_weights = {name: value.clone() for name, value in network.state_dict().items()}
        self.optimiser = torch.optim.AdamW(
            self._param_groups(), lr=config.max_lr, weight_decay=config.weight_decay
        )
        if self.checkpoint_path.exists():
            self._resume()

    @property
    def progress(self) -> float:
        """The share of the training that is behind us, 0 to 1."""
        if self.config.steps is not None:
            return min(1.0, self.step / self.config.steps)
        return min(1.0, self.seconds / (self.config.budget or math.inf))

    def run(
        self,
        callback: Callable[[StepInfo], None] = lambda moment: None,
        *,
        save_every: float = 60.0,
    ) -> None:
        """Train until steps or budget are used up; saves by time, and at the end."""
        last_save = time.perf_counter()
        while (progress := self.progress) < 1:
            start = time.perf_counter()
            self._train_step(progress)
            self.seconds += time.perf_counter() - start
            loss = sum(self.loss_terms.values())
            callback(StepInfo(self.step, self.progress, self.seconds, loss, dict(self.loss_terms)))
            if time.perf_counter() - last_save > save_every:
                self.save()
                last_save = time.perf_counter()
        self.save()

    def ema_network(self) -> MaskRCNNModule:
        """Return the network with the averaged weights: what ships."""
        network = copy.deepcopy(self.network).to(memory_format=torch.contiguous_format)
        network.load_state_dict(self.ema_weights)
        return network.eval()

    def save(self) -> None:
        """Write the checkpoint, in place of an older one."""
        content = BytesIO()
        torch.save(
            {
                "step": self.step,
                "seconds": self.seconds,
                "network": self.network.state_dict(),
                "average": self.ema_weights,
                "optimiser": self.optimiser.state_dict(),
                "parts": self.loss_terms,
                "settings": self._config_id(),
            },
            content,
        )
        with atomic_write(self.checkpoint_path, overwrite=True) as file:
            file.write(content.getbuffer())

    def _config_id(self) -> dict[str, Any]:
        return self.config.to_json() | {"photos or weights": self.data_hash}

    def _resume(self) -> None:
        try:
            checkpoint = torch.load(self.checkpoint_path, weights_only=True)
            saved_config = checkpoint["settings"]
        except Exception as error:  # torch raises a dozen kinds for a file that is not its own
            raise ModelError(
                str(self.checkpoint_path),
                expected="a checkpoint of `burnish regions train`",
                got=f"{type(error).__name__}: {str(error)[:200]}",
                remedy="remove it to start over",
            ) from error
        config = self._config_id()
        if saved_config != config:
            differing = [name for name in config if saved_config.get(name) != config[name]]
            raise UsageError(
                str(self.checkpoint_path.parent),
                expected="the training that began there",
                got=f"another one (it differs in {', '.join(differing)})",
                remedy="repeat the command that began it, or choose another --run-folder",
            )
        self.network.load_state_dict(checkpoint["network"])
        self.ema_weights = checkpoint["average"]
        self.optimiser.load_state_dict(checkpoint["optimiser"])
        self.step, self.seconds, self.loss_terms = (
            checkpoint["step"],
            checkpoint["seconds"],
            checkpoint["parts"],
        )

    def _param_groups(self) -> list[dict[str, Any]]:
        """Sort what is learnt: the backbone slower, and no decay of what is no kernel."""
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, parameter in self.network.named_parameters():
            if parameter.requires_grad:
                lr_scale = 0.25 if self.pretrained and name.startswith("backbone.body.") else 1.0
                decay = self.config.weight_decay if parameter.ndim > 1 else 0.0
                groups.setdefault((lr_scale, decay), []).append(parameter)
        return [
            {"params": parameters, "slow": slow, "weight_decay": decay}
            for (slow, decay), parameters in groups.items()
        ]

    def _train_step(self, progress: float) -> None:
        config = self.config
        self.network.train()
        # The samplers of anchors and regions draw from torch's own generator.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed * 1_000_003 + self.step)
            losses = self.network(*self.dataset.batch(self.step))
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
        nn.utils.clip_grad_norm_(self.network.parameters(), config.clip_norm)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(config, progress) * group["slow"]
        self.optimiser.step()
        self.step += 1
        self._update_ema()
        weight = max(0.02, 1 / self.step)
        for name, loss in losses.items():
            running_loss = self.loss_terms.get(name, loss.item())
            self.loss_terms[name] = running_loss + weight * (loss.item() - running_loss)

    def _update_ema(self) -> None:
        """Average exponentially, with a memory that grows: the start is soon forgotten."""
        decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                if value.is_floating_point():
                    self.ema_weights[name].lerp_(value, 1 - decay)
                else:
                    self.ema_weights[name].copy_(value)


def learning_rate(config: DetectorTrainConfig, progress: float) -> float:
    """Return the learning rate where `progress` of the training is over: up, then a cosine to zero.

    Examples
    --------
    >>> s = Settings(("cat",), peak_rate=1.0, warm_up=0.1)
    >>> [round(learning_rate(s, done), 3) for done in (0, 0.05, 0.1, 0.55, 1)]
    [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    if progress < config.warmup_fraction:
        return config.max_lr * (0.04 + 0.96 * progress / config.warmup_fraction)
    decay_progress = (progress - config.warmup_fraction) / (1 - config.warmup_fraction)
    return config.max_lr * 0.5 * (1 + math.cos(math.pi * decay_progress))


def _freeze(network: MaskRCNNModule, blocks: int) -> None:
    """Leave the backbone's beginning as it is, and all its normalisers."""
    body: Any = network.backbone.body
    fuse_batchnorm(body.eval())
    for part in (body.stem, *body.blocks[:blocks]):
        part.requires_grad_(False)
