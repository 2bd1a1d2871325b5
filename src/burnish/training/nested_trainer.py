"""Training of networks that share their kernels: all at once, the smaller ones from the larger."""

from functools import partial

import torch.nn.functional as F
from torch import Tensor

from burnish.networks.nested import NestedNetwork
from burnish.training.network_trainer import NetworkTrainer
from burnish.training.sampler import Batch

# The share of the larger network's results in the loss of a smaller one.
LARGER_SHARE = 0.5


class NestedTrainer(NetworkTrainer):
    """Trains the networks of all qualities in each step.

    The largest network learns from the operator, and each other one also from the next larger one,
    whose results of the same step are its targets (Yu & Huang 2019,
    https://doi.org/10.1109/ICCV.2019.00189). Guides that are results of the network in training are
    each network's own.

    Parameters
    ----------
    config, sampler, run_dir, data, device : see `NetworkTrainer`
    network : a `NestedNetwork`
    """

    network: NestedNetwork

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the loss of each quality."""
        losses: dict[str, Tensor] = {}
        target: Tensor | None = None
        for quality in reversed(self.network.qualities):
            run = partial(self.network.run, quality)
            own = self.completed(batch, run)
            result = run(own.before, *own.context)
            loss = F.mse_loss(result, own.after)
            if target is not None:
                loss = (1 - LARGER_SHARE) * loss + LARGER_SHARE * F.mse_loss(result, target)
            losses[quality] = loss
            target = result.detach()
        return losses
