"""The engines that run graphs. Importing this module loads none of them, nor NumPy."""

import os
import re
from typing import TYPE_CHECKING

from burnish.errors import UsageError, join_or

if TYPE_CHECKING:
    from burnish.modelfile.card import Precision

# Engine -> the module with its `create_session` and its `precisions`.
ENGINES = {
    "onnxruntime": "burnish.runtime.onnx_runtime",
    "openvino": "burnish.runtime.openvino",
}
# The engine of networks that are not chosen by speed, such as detectors.
DEFAULT_ENGINE = "onnxruntime"
# From the most precise one to the least.
PRECISIONS: "tuple[Precision, ...]" = ("fp32", "bf16", "int8")
AUTO = "auto"

_DEVICE = re.compile(r"auto|cpu|cuda(:\d{1,3})?")
_MAX_THREADS = 1024


def check_options(
    device: str, threads: int | None, engine: str = AUTO, precision: str = AUTO
) -> None:
    """Check the options of a session; `Model.open` describes them.

    Raises
    ------
    UsageError : an option has an invalid value
    """
    if not _DEVICE.fullmatch(device):
        problem = f"{device!r} is not auto, cpu, cuda or cuda:N"
        raise UsageError("device", problem, "leave it out for auto")
    if threads is not None and not 1 <= threads <= _MAX_THREADS:
        problem = f"expected 1 to {_MAX_THREADS}, got {threads}"
        raise UsageError("threads", problem, "leave it out for all cores")
    choices = {"engine": (engine, ENGINES), "precision": (precision, PRECISIONS)}
    for option, (value, names) in choices.items():
        if value not in (AUTO, *names):
            problem = f"expected {join_or([AUTO, *names])}, got {value!r}"
            raise UsageError(option, problem, "leave it out for auto")


def usable_threads(threads: int | None = None) -> int:
    """Return a number of threads, but at most the number of cores that this process may use.

    Engines take many times as long if their threads wait for each other's cores.

    Parameters
    ----------
    threads : [default: one for each core]
    """
    if hasattr(os, "sched_getaffinity"):  # not on Windows and macOS
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return cores if threads is None else min(threads, cores)
