"""The learning rate over a training, and the exponential moving average of the weights."""

import math

import torch
from torch import Tensor, nn


def learning_rate(progress: float, max_lr: float, warmup_fraction: float) -> float:
    """Return the learning rate: a linear warm-up, then a cosine to zero.

    Parameters
    ----------
    progress : the finished fraction of the training, 0 to 1
    max_lr : the rate at the end of the warm-up
    warmup_fraction : the fraction of the training that is warm-up

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
    updates : the number of updates since the first or the last `restart`
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
            if self._is_averaged(name, value):
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)

    def _is_averaged(self, name: str, value: Tensor) -> bool:
        return value.is_floating_point() and (self.copied is None or self.copied not in name)
