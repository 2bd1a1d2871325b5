"""Sessions, started when they are asked for and kept for reuse."""

import hashlib
import re
from collections import OrderedDict
from importlib import import_module
from threading import Lock

from burnish.errors import UsageError, missing_library
from burnish.modelfile.reader import ModelFile
from burnish.runtime.conditioning import Context, bind_constants
from burnish.runtime.engines import DEFAULT_ENGINE, ENGINES
from burnish.runtime.session import Session

# A session holds the weights and little more; eight are enough to go back and forth between models.
_MAX_SESSIONS = 8

_DEVICE = re.compile(r"auto|cpu|cuda(:\d{1,3})?")


_sessions: OrderedDict[tuple[object, ...], Session] = OrderedDict()
_lock = Lock()


def get_session(
    file: ModelFile,
    device: str = "auto",
    threads: int | None = None,
    engine: str = DEFAULT_ENGINE,
    context: Context | None = None,
) -> Session:
    """Return a session, the same one for the same model, context, engine, device and threads.

    Parameters
    ----------
    device : "auto" (CUDA where the engine has it and it works, else the CPU), "cpu", "cuda" or
        "cuda:N". A device asked for by name is that device or an error
    threads : how many CPU threads work on one picture; None leaves it to the engine
    engine : a name of `ENGINES`
    context : what the graph takes beside the image, all of it

    Raises
    ------
    UsageError : `device`, `threads` or `engine` is nothing of the above
    DeviceError : the device cannot be had
    MissingLibraryError : the engine is not installed
    ModelError : the engine does not take the model
    """
    check_options(device, threads, engine)
    tensors = context or {}
    fingerprint = hashlib.sha256(b"".join(value.tobytes() for value in tensors.values())).digest()
    key = (file.sha256, fingerprint, device, threads, engine)
    with _lock:
        if key not in _sessions:
            create = import_module(ENGINES[engine]).create_session
            model = bind_constants(file.graph, tensors)
            try:  # engines import their libraries as they start
                _sessions[key] = create(model, file.card.name, device, threads)
            except ModuleNotFoundError as error:
                raise missing_library(error).with_context(f"engine {engine}") from error
            if len(_sessions) > _MAX_SESSIONS:
                _sessions.popitem(last=False)
        _sessions.move_to_end(key)
        return _sessions[key]


def check_options(device: str, threads: int | None, engine: str) -> None:
    """See that there can be such a session; see `get_session` for what is raised."""
    if not _DEVICE.fullmatch(device):
        raise UsageError(
            "device",
            expected="auto, cpu, cuda or cuda:N",
            got=repr(device),
            remedy="leave it out for auto",
        )
    if threads is not None and not 1 <= threads <= 1024:
        raise UsageError(
            "threads",
            expected="1 to 1024",
            got=f"{threads}",
            remedy="leave it out for all cores",
        )
    if engine not in ENGINES:
        raise UsageError(
            "engine",
            expected=" or ".join(ENGINES),
            got=repr(engine),
            remedy=f"leave it out for {DEFAULT_ENGINE}",
        )
