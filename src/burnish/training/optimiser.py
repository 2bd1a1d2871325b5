"""The optimiser: Muon for the layers' matrices where asked for, AdamW for all else."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from burnish.networks.network import CONDITIONING_PREFIX, Network
from burnish.training.muon import Muon

OptimiserName = Literal["muon", "adamw"]

# Beside Muon, biases and what turns parameter values into gains have a rate of this share of its.
ADAMW_LR_SCALE = 0.6
# Until the first step says another.
INITIAL_LR = 1e-3


class Optimiser:
    """Changes a network's weights along their gradients.

    To Muon a convolution is the matrix from its window to its channels.

    Parameters
    ----------
    name : "muon", or "adamw" for all weights alike
    network : changed in place; its memory format is channels last
    weight_decay : see `torch.optim.AdamW`; biases have none beside Muon
    """

    def __init__(self, name: OptimiserName, network: Network, weight_decay: float) -> None:
        self.matrices: list[tuple[Tensor, Tensor]] = []
        self.optimisers: list[tuple[torch.optim.Optimizer, float]] = []
        named = list(network.named_parameters())
        others = [
            parameter for where, parameter in named if not where.startswith(CONDITIONING_PREFIX)
        ]
        sliders = [parameter for where, parameter in named if where.startswith(CONDITIONING_PREFIX)]
        if name == "muon":
            kernels = _kernels(network)
            # Views, not copies: with channels last, what changes a matrix changes the kernel.
            self.matrices = [
                (kernel, _channels_last(kernel.data).view(len(kernel), -1)) for kernel in kernels
            ]
            matrices = [matrix for _, matrix in self.matrices]
            self.optimisers.append((Muon(matrices, INITIAL_LR, weight_decay), 1.0))
            kernel_ids = set(map(id, kernels))
            others = [parameter for parameter in others if id(parameter) not in kernel_ids]
            self.optimisers.append((torch.optim.AdamW(others, weight_decay=0.0), ADAMW_LR_SCALE))
        else:
            self.optimisers.append((torch.optim.AdamW(others, weight_decay=weight_decay), 1.0))
        self.sliders = torch.optim.AdamW(sliders, weight_decay=0.0) if sliders else None

    def step(self, lr: float, *, sliders: bool = False) -> None:
        """Change the weights at a learning rate: those of the sliders, or all others."""
        if sliders:
            self._step([(self.sliders, ADAMW_LR_SCALE)] if self.sliders else [], lr)
            return
        for kernel, matrix in self.matrices:
            assert kernel.grad is not None
            matrix.grad = _channels_last(kernel.grad).reshape(matrix.shape)
        self._step(self.optimisers, lr)

    def _step(self, optimisers: list[tuple[torch.optim.Optimizer, float]], lr: float) -> None:
        for optimiser, lr_scale in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = lr_scale * lr
            optimiser.step()

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` takes."""
        return {"parts": [part.state_dict() for part in self._all()]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where another optimiser of the same network was."""
        for optimiser, saved in zip(self._all(), state["parts"], strict=True):
            optimiser.load_state_dict(saved)

    def _all(self) -> list[torch.optim.Optimizer]:
        return [part for part, _ in self.optimisers] + ([self.sliders] if self.sliders else [])


def _kernels(network: Network) -> list[Tensor]:
    """Return the kernels of the layers that work on the picture; gains and shifts have others."""
    return [
        module.weight
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and not name.startswith(("conditioning.", "thumbnail_encoder."))
    ]


def _channels_last(kernel: Tensor) -> Tensor:
    """(out, in, h, w) -> (out, h, w, in), as it lies in memory."""
    return kernel.permute(0, 2, 3, 1)
