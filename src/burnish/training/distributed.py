"""One training in several processes, as torchrun starts them; a single one needs none of this."""

import os
from datetime import timedelta

import torch
import torch.distributed
from torch import Tensor, nn

# While the first process makes pairs, the others wait.
PATIENCE = timedelta(days=7)


def join() -> tuple[int, int]:
    """Join the group that torchrun's environment describes; return this rank and how many."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return 0, 1
    if not together():
        torch.distributed.init_process_group("gloo", timeout=PATIENCE)
    return torch.distributed.get_rank(), count


def together() -> bool:
    """Whether there is more than one process."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def wait() -> None:
    """Wait until every process has come to this point."""
    if together():
        torch.distributed.barrier()


def leave() -> None:
    """Leave the group, if there is one."""
    if together():
        torch.distributed.destroy_process_group()


def agree(value: float) -> float:
    """Return the first process's value: clocks differ, decisions must not."""
    if not together():
        return value
    shared = torch.tensor([value], dtype=torch.float64)
    torch.distributed.broadcast(shared, src=0)
    return float(shared)


def average_gradients(network: nn.Module) -> None:
    """Replace every gradient by its mean over the processes, in one exchange."""
    _average([p.grad for p in network.parameters() if p.grad is not None])


def average_buffers(network: nn.Module) -> None:
    """Replace every running statistic by its mean over the processes."""
    _average([b for b in network.buffers() if b.is_floating_point()])


def _average(tensors: list[Tensor]) -> None:
    if not together() or not tensors:
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    torch.distributed.all_reduce(flat)
    flat /= torch.distributed.get_world_size()
    for tensor, mean in zip(tensors, torch.split(flat, [t.numel() for t in tensors]), strict=True):
        tensor.copy_(mean.view_as(tensor))
