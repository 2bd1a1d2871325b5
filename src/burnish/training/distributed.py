"""Training in several processes, as torchrun starts them. All functions work without torchrun."""

import os
from datetime import timedelta

import torch
import torch.distributed
from torch import nn

from burnish.errors import DeviceError, UsageError

# The other processes wait while the first one computes pairs.
TIMEOUT = timedelta(days=7)


def init() -> tuple[int, int]:
    """Join the process group of torchrun's environment; return the rank and the world size."""
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size == 1:
        return 0, 1
    if not is_distributed():
        torch.distributed.init_process_group("gloo", timeout=TIMEOUT)
    return torch.distributed.get_rank(), world_size


def choose_device(name: str) -> torch.device:
    """Return the device on which this process trains. Processes of torchrun share the GPUs.

    Parameters
    ----------
    name : auto, cpu, cuda or cuda:N; auto is a GPU if there is one

    Raises
    ------
    UsageError : another name
    DeviceError : the device is not available
    """
    kind, _, number = name.partition(":")
    if name not in ("auto", "cpu", "cuda") and not (kind == "cuda" and number.isdecimal()):
        remedy = "choose one of them"
        raise UsageError("--device", expected="auto, cpu, cuda or cuda:N", got=name, remedy=remedy)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and not count):
        return torch.device("cpu")
    if int(number or 0) >= count:
        problem = f"PyTorch finds {count or 'no'} CUDA device{'' if count == 1 else 's'}"
        remedy = "choose cpu, or install the driver and PyTorch for CUDA: https://pytorch.org"
        raise DeviceError(f"--device {name}", problem, remedy)
    return torch.device("cuda", int(number or int(os.environ.get("LOCAL_RANK", "0")) % count))


def is_distributed() -> bool:
    """Return whether a process group exists."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def is_main() -> bool:
    """Return whether this is the first or the only process."""
    return not is_distributed() or torch.distributed.get_rank() == 0


def barrier() -> None:
    """Wait until every process has reached this call."""
    if is_distributed():
        torch.distributed.barrier()


def shutdown() -> None:
    """Leave the process group, if there is one."""
    if is_distributed():
        torch.distributed.destroy_process_group()


def broadcast(value: float) -> float:
    """Return the first process's value. Clocks differ, but decisions must not."""
    if not is_distributed():
        return value
    tensor = torch.tensor([value], dtype=torch.float64)
    torch.distributed.broadcast(tensor, src=0)
    return float(tensor)


def average(network: nn.Module) -> None:
    """Replace every gradient and floating-point buffer by its mean over the processes."""
    if not is_distributed():
        return
    tensors = [param.grad for param in network.parameters() if param.grad is not None]
    tensors += [buffer for buffer in network.buffers() if buffer.is_floating_point()]
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])  # for a single exchange
    torch.distributed.all_reduce(flat)
    flat /= torch.distributed.get_world_size()
    for tensor, mean in zip(tensors, torch.split(flat, [t.numel() for t in tensors]), strict=True):
        tensor.copy_(mean.view_as(tensor))
