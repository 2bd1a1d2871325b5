"""Sessions, created on first use and cached."""

import hashlib
from collections import OrderedDict
from importlib import import_module
from threading import Lock

from burnish.errors import missing_library
from burnish.modelfile.reader import ModelFile
from burnish.runtime.conditioning import Context, bind_constants
from burnish.runtime.engines import DEFAULT_ENGINE, ENGINES, check_options
from burnish.runtime.session import Session

# A session holds little more than its weights, and eight allow switching between models.
_MAX_SESSIONS = 8

_sessions: OrderedDict[tuple[object, ...], Session] = OrderedDict()
_lock = Lock()


def get_session(
    file: ModelFile,
    device: str = "auto",
    threads: int | None = None,
    engine: str = DEFAULT_ENGINE,
    context: Context | None = None,
) -> Session:
    """Return the session of a model, creating it if it is not cached.

    Parameters
    ----------
    device : "auto" (CUDA if the engine has it and it works, else the CPU), "cpu", "cuda" or
        "cuda:N". A device other than "auto" is used, or an error is raised
    threads : number of CPU threads for one image [default: the engine's choice]
    engine : a name of `ENGINES`
    context : all of the graph's inputs beside `image` and `coords`

    Raises
    ------
    UsageError : `device`, `threads` or `engine` has an invalid value
    DeviceError : the device is not available
    MissingLibraryError : the engine is not installed
    ModelError : the engine rejects the model
    """
    check_options(device, threads, engine)
    tensors = context or {}
    fingerprint = hashlib.sha256(b"".join(value.tobytes() for value in tensors.values())).digest()
    key = (file.sha256, fingerprint, device, threads, engine)
    with _lock:
        if key not in _sessions:
            model = bind_constants(file.graph, tensors)
            try:  # Creating a session imports the engine's library.
                create_session = import_module(ENGINES[engine]).create_session
                _sessions[key] = create_session(model, file.card.name, device, threads)
            except ModuleNotFoundError as error:
                raise missing_library(error).with_context(f"engine {engine}") from error
            if len(_sessions) > _MAX_SESSIONS:
                _sessions.popitem(last=False)
        _sessions.move_to_end(key)
        return _sessions[key]
