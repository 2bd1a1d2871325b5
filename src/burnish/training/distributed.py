"""One training in several processes, as torchrun starts them; a single one needs none of this."""

import os
from datetime import timedelta

import torch
import torch.distributed
from torch import Tensor, nn

# While the first process makes pairs, the others wait.
TIMEOUT = timedelta(days=7)


def init() -> tuple[int, int]:
    """Join the group that torchrun's environment describes; return this rank and how many."""
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size == 1:
        return 0, 1
    if not is_distributed():
        torch.distributed.init_process_group("gloo", timeout=TIMEOUT)
    return torch.distributed.get_rank(), world_size


def is_distributed() -> bool:
    """Whether there is more than one process."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def barrier() -> None:
    """Wait until every process has come to this point."""
    if is_distributed():
        torch.distributed.barrier()


def shutdown() -> None:
    """Leave the group, if there is one."""
    if is_distributed():
        torch.distributed.destroy_process_group()


def broadcast(value: float) -> float:
    """Return the first process's value: clocks differ, decisions must not."""
    if not is_distributed():
        return value
    tensor = torch.tensor([value], dtype=torch.float64)
    torch.distributed.broadcast(tensor, src=0)
    return float(tensor)


def average_gradients(network: nn.Module) -> None:
    """Replace every gradient by its mean over the processes, in one exchange."""
    _average([p.grad for p in network.parameters() if p.grad is not None])


def average_buffers(network: nn.Module) -> None:
    """Replace every running statistic by its mean over the processes."""
    _average([b for b in network.buffers() if b.is_floating_point()])


def _average(tensors: list[Tensor]) -> None:
    if not is_distributed() or not tensors:
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    torch.distributed.all_reduce(flat)
    flat /= torch.distributed.get_world_size()
    for tensor, mean in zip(tensors, torch.split(flat, [t.numel() for t in tensors]), strict=True):
        tensor.copy_(mean.view_as(tensor))
