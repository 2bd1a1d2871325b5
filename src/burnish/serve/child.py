"""The process that edits photos. It is stopped if it takes too long or too much memory.

A library that decodes a stranger's file may hang, crash or be exploited. So the process that talks
to clients never opens a photo. It sends jobs to the other one and reads bytes and JSON from it, but
no pickled objects.
"""

import json
import multiprocessing
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from burnish.errors import BurnishError
from burnish.serve.errors import ServiceError, as_json, status_of
from burnish.serve.limits import Limits

if TYPE_CHECKING:
    from burnish.serve.query import Job

# Longest time until a new process has imported its libraries, in seconds.
_START_SECONDS = 120
# Interval of the checks of memory and time while a photo is edited, in seconds.
_INTERVAL = 0.05
# A process that keeps more than this share of the allowed memory after a photo is replaced.
_KEPT_SHARE = 0.5


@dataclass(frozen=True)
class Result:
    """An edited photo.

    Parameters
    ----------
    format : name of the file format
    extension : of its files, with the dot
    history : records of the edit, as JSON
    warnings : the warnings of the edit
    content : the file
    """

    format: str
    extension: str
    history: str
    warnings: tuple[str, ...]
    content: bytes


def work(pipe: Connection, limits: Limits, threads: int | None) -> None:
    """Edit the photos that arrive, one by one, until the other end of the pipe is closed."""
    # Imported here, because the process that talks to clients needs none of it.
    import burnish.editing.photo
    import burnish.editing.region_edit  # noqa: F401

    pipe.send_bytes(b"ready")
    with suppress(EOFError, OSError):
        while True:
            job, data = pipe.recv()
            description, content = _answer(job, data, limits, threads)
            # ASCII only, since it becomes headers.
            pipe.send_bytes(json.dumps(description).encode())
            pipe.send_bytes(content)


def _answer(
    job: "Job", data: bytes, limits: Limits, threads: int | None
) -> tuple[dict[str, Any], bytes]:
    """Return the description of a result and the result, or an error and nothing."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            description, content = _edit(job, data, limits, threads)
    except Exception as error:
        refusal = _refusal(error, limits)
        return {"status": status_of(refusal), "error": as_json(refusal)}, b""
    messages = [str(warning.message) for warning in caught if warning.category is UserWarning]
    return {**description, "warnings": messages}, content


def _refusal(error: Exception, limits: Limits) -> BurnishError:
    """Return the error that a client is sent."""
    if isinstance(error, MemoryError) or isinstance(error.__cause__, MemoryError):
        return _too_much_memory(limits)
    if isinstance(error, BurnishError):
        return error
    traceback.print_exception(error)
    return ServiceError(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "service",
        f"the edit failed with {type(error).__name__}",
        "report it with the photo",
    )


def _edit(
    job: "Job", data: bytes, limits: Limits, threads: int | None
) -> tuple[dict[str, Any], bytes]:
    from burnish.editing.combined_edit import load_edits, mix
    from burnish.editing.photo import edit_photo, for_photo
    from burnish.editing.region_edit import MaskedEdit
    from burnish.photo import Photo
    from burnish.photo.formats import output_format
    from burnish.regions.region import open_region

    _check_size(data, limits)
    network = {name: value for name, value in job.edit.items() if name != "strength"}
    edit = load_edits([job.operator], job.params, device="cpu", threads=threads, **network)
    if job.region is not None:
        edit = MaskedEdit(edit, open_region(job.region, device="cpu", threads=threads))
    edit = mix(edit, job.edit.get("strength", 1))
    photo = Photo.open(data, max_pixels=limits.pixels)
    name = job.output.get("format")
    edit = for_photo(edit, photo.metadata, name, job.output.get("depth"))
    content = edit_photo(edit, photo).encode(**job.output)
    format = output_format(photo.metadata.format, name)
    history = [record.model_dump(mode="json") for record in edit.history]
    return {
        "format": format.name,
        "extension": format.extensions[0],
        "history": json.dumps(history, separators=(",", ":")),
    }, content


def _check_size(data: bytes, limits: Limits) -> None:
    """Check the format and the number of pixels of a photo by its header."""
    from burnish.photo import Photo
    from burnish.photo.formats import READABLE, sniff

    if data and sniff(data) is None:
        formats = ", ".join(READABLE)
        raise ServiceError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "image",
            "not an image that burnish reads",
            f"convert it to one of {formats} first",
        )
    width, height = Photo.size_of(data, max_pixels=sys.maxsize)
    if width * height > limits.pixels:
        raise ServiceError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "image",
            f"it has {width} x {height} pixels, and the service takes {limits.pixels:,}",
            "reduce it first, or edit it with `burnish apply`",
        )


def _too_much_memory(limits: Limits) -> ServiceError:
    return ServiceError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "image",
        f"the edit needs more than the {limits.memory:g} MiB that the service allows",
        "reduce the photo, or edit it with `burnish apply`",
    )


class Worker:
    """The process that edits, as seen by the one that talks to clients.

    Parameters
    ----------
    threads : number of CPU threads [default: one per core]

    Attributes
    ----------
    done : number of edited photos
    starts : number of processes that were started
    """

    def __init__(self, limits: Limits, threads: int | None = None) -> None:
        self._limits = limits
        self._threads = threads
        self._process: Any = None
        self._pipe: Connection
        self._is_ready = False
        self._jobs = 0
        self.done = 0
        self.starts = 0

    def start(self) -> None:
        """Start the process. It loads its libraries while this one goes on."""
        # Spawned and not forked, because a fork of a process with threads may hang.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        arguments = (theirs, self._limits, self._threads)
        self._process = context.Process(target=work, args=arguments, daemon=True)
        with _signals_blocked():
            self._process.start()
        theirs.close()
        self._is_ready = False
        self._jobs = 0
        self.starts += 1

    def stop(self) -> None:
        """Stop the process, even in the middle of a photo."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._process = None

    def memory(self) -> int | None:
        """Return the resident memory of the process in bytes; None if there is no process."""
        import psutil

        process = self._process
        if process is None:
            return None
        with suppress(psutil.Error):
            return int(psutil.Process(process.pid).memory_info().rss)
        return None

    def call(self, job: "Job", data: bytes, is_cancelled: Callable[[], bool]) -> Result:
        """Edit a photo.

        Parameters
        ----------
        is_cancelled : if it returns True, the process is stopped

        Raises
        ------
        ServiceError : the photo is refused, or takes too much time or memory
        """
        limits = self._limits
        try:
            if self._process is None or not self._process.is_alive():
                self._restart()
            if not self._is_ready:
                # The time for a photo begins when the libraries are loaded.
                self._receive(_START_SECONDS, is_cancelled)
                self._is_ready = True
            self._pipe.send((job, data))
            description = json.loads(self._receive(limits.seconds, is_cancelled))
            content = self._receive(limits.seconds, is_cancelled)
        except (EOFError, OSError) as error:
            self._restart()
            raise ServiceError(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "service",
                "the process that edits photos ended unexpectedly",
                "check the photo with `burnish apply`",
            ) from error
        self._jobs += 1
        if "error" in description:
            raise ServiceError(HTTPStatus(description["status"]), **description["error"])
        self.done += 1
        return Result(
            description["format"],
            description["extension"],
            description["history"],
            tuple(description["warnings"]),
            content,
        )

    def recycle(self) -> None:
        """Replace the process if it has edited many photos, or keeps much memory."""
        if not self._is_ready:
            return
        kept = self.memory() or 0
        if self._jobs >= self._limits.jobs or kept > _KEPT_SHARE * self._limits.memory * 2**20:
            self._restart()

    def _restart(self) -> None:
        self.stop()
        self.start()

    def _receive(self, seconds: float, is_cancelled: Callable[[], bool]) -> bytes:
        """Return the next message of the process, or stop it and raise a ServiceError."""
        deadline = time.monotonic() + seconds
        while not self._pipe.poll(_INTERVAL):
            if (self.memory() or 0) > self._limits.memory * 2**20:
                self._restart()
                raise _too_much_memory(self._limits)
            if is_cancelled():
                self.stop()
                raise ending()
            if time.monotonic() > deadline:
                self._restart()
                raise ServiceError(
                    HTTPStatus.GATEWAY_TIMEOUT,
                    "image",
                    f"the edit was not done in {seconds:g} s",
                    "reduce the photo, or edit it with `burnish apply`",
                )
        return self._pipe.recv_bytes()


def ending() -> ServiceError:
    """Return the error for a request that comes while the service ends."""
    return ServiceError(
        HTTPStatus.SERVICE_UNAVAILABLE, "service", "the service is ending", "start it again"
    )


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Block Ctrl-C and SIGTERM in processes that are started in the block, on systems that can.

    Both reach all processes of a terminal or of a system service, and the photo that is being
    edited is to be finished.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # It starts with the first process, and unblocks the signals.
    resource_tracker.ensure_running()
    blocked = {signal.SIGINT, signal.SIGTERM}
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
