"""The optimisers of a network: Muon for the kernels if chosen, AdamW for everything else.

Muon computes like `torch.optim.Muon`, but in float32: on processors without bfloat16 arithmetic, a
step of the bundled networks then takes a ninth of the time. It also accepts convolution kernels.
"""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from burnish.networks.network import CONDITIONING, Network

# With Muon, and for the sliders, AdamW has this fraction of the learning rate.
ADAMW_LR_SCALE = 0.6
MOMENTUM = 0.95
# The polynomial of the Newton-Schulz iteration, and the number of iterations.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_NEWTON_SCHULZ_STEPS = 5
_EPS = 1e-7


def build_optimisers(
    name: Literal["muon", "adamw"], network: Network, weight_decay: float
) -> list[torch.optim.Optimizer]:
    """Return the optimisers of all weights, each with a factor "lr_scale" in its groups.

    They skip weights without a gradient.

    Parameters
    ----------
    name : "muon", or "adamw" for all weights
    network : its memory format must be channels last at each step
    weight_decay : see `torch.optim.AdamW`. With Muon, it applies to the kernels only
    """
    named = dict(network.named_parameters())
    sliders = [named.pop(key) for key in list(named) if CONDITIONING in key]
    optimisers: list[torch.optim.Optimizer] = []
    lr_scale = 1.0
    if name == "muon":
        kernels = [named.pop(key) for key in _kernel_names(network)]
        optimisers.append(Muon([{"params": kernels, "lr_scale": 1.0}], weight_decay=weight_decay))
        lr_scale, weight_decay = ADAMW_LR_SCALE, 0.0
    others = {"params": list(named.values()), "lr_scale": lr_scale}
    optimisers.append(torch.optim.AdamW([others], weight_decay=weight_decay))
    if sliders:
        group = {"params": sliders, "lr_scale": ADAMW_LR_SCALE}
        optimisers.append(torch.optim.AdamW([group], weight_decay=0.0))
    return optimisers


def _kernel_names(network: Network) -> list[str]:
    """Return the names of the kernels that process the image, not of those that modulate them."""
    return [
        f"{name}.weight"
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d)
        and CONDITIONING not in name
        and "thumbnail_encoder." not in name
    ]


class Muon(torch.optim.Optimizer):
    """Momentum orthogonalised by Newton-Schulz, with Nesterov momentum and decoupled weight decay.

    Directions with small gradients are trained as fast as those with large ones (Jordan et al.
    2024, https://kellerjordan.github.io/posts/muon/).

    Parameters
    ----------
    params : matrices, or convolution kernels in memory format channels last. A kernel is treated
        as the matrix from its window to its output channels
    weight_decay : each step multiplies the weights by 1 - lr * weight_decay
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update all weights that have a gradient."""
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is None:
                    continue
                # A view: a change of the matrix is a change of the kernel.
                matrix = _rows(param).view(len(param), -1)
                gradient = _rows(param.grad).reshape(matrix.shape)
                state: dict[str, Any] = self.state[param]
                if not state:  # the key of PyTorch's own Muon, whose checkpoints therefore fit
                    state["momentum_buffer"] = torch.zeros_like(matrix)
                momentum = state["momentum_buffer"].lerp_(gradient, 1 - MOMENTUM)
                update = newton_schulz(torch.lerp(gradient, momentum, MOMENTUM))
                rows, columns = matrix.shape
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(update, alpha=-group["lr"] * max(1, rows / columns) ** 0.5)


def _rows(tensor: Tensor) -> Tensor:
    """Return a kernel (out, in, h, w) as (out, h, w, in), and a matrix as it is."""
    return tensor.permute(0, 2, 3, 1) if tensor.ndim == 4 else tensor


def newton_schulz(matrix: Tensor) -> Tensor:
    """Return a matrix with the same singular vectors and singular values near one.

    Examples
    --------
    >>> values = torch.linalg.svdvals(newton_schulz(torch.diag(torch.tensor([1.0, 0.1, 0.01]))))
    >>> bool((values > 0.6).all() and (values < 1.3).all())
    True
    """
    a, b, c = _COEFFICIENTS
    wide = matrix if len(matrix) <= matrix.shape[1] else matrix.T
    x: Tensor = wide / wide.norm().clamp(min=_EPS)
    for _ in range(_NEWTON_SCHULZ_STEPS):
        gram = x @ x.T
        polynomial = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.addmm(x, polynomial, x, beta=a)
    return x if wide is matrix else x.T
