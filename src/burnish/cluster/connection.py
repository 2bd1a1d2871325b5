"""The connection to a Ray cluster."""

import importlib
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from tempfile import TemporaryDirectory
from threading import Event, current_thread
from typing import IO, Any, NoReturn, cast

from burnish.errors import TERMINATED, ClusterError, missing_library, reason

# Starts a cluster on this machine that ends with the command.
LOCAL = "local"
# Seconds in which the port of a cluster has to answer.
_ANSWER_SECONDS = 10.0
_OBJECT_STORE_BYTES = 100 * 2**20

_connected = False


def is_connected() -> bool:
    """Return whether this process works with a cluster, see `connect`."""
    return _connected


@contextmanager
def connect(address: str | None) -> Iterator[None]:
    """Connect to a Ray cluster while the block runs; without an address, do nothing.

    SIGTERM ends the block as Ctrl-C does, and the command with the exit code `TERMINATED`.

    Parameters
    ----------
    address : as in Ray: "auto" for the cluster that this machine is a node of, HOST:6379 from one
        of its nodes, ray://HOST:10001 from another machine, and "local" for a cluster on this
        machine that ends with the block

    Raises
    ------
    MissingLibraryError : Ray is not installed
    ClusterError : there is no cluster at the address
    """
    global _connected
    if address is None:
        yield
        return
    ray = load_ray()
    _check_answer(address)
    with ExitStack() as stack:
        settings: dict[str, Any] = {}
        if address == LOCAL:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            os.environ.setdefault("RAY_worker_niceness", "0")
            settings = {"include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES}
            settings["_temp_dir"] = stack.enter_context(ray_folder())
        for number in (signal.SIGINT, signal.SIGTERM):
            stack.callback(signal.signal, number, signal.getsignal(number))
        stack.callback(ray.shutdown)
        try:
            ray.init(address=address, log_to_driver=False, logging_level="error", **settings)
        except SystemExit:  # of the handler that Ray has until it is started
            sys.exit(TERMINATED)
        # Ray raises ConnectionError, ValueError, RuntimeError and others.
        except Exception as error:
            raise _no_cluster(address, error) from error
        # In place of the handler of Ray, which prints stacks and aborts.
        terminated = _interrupt_on_termination()
        # A further Ctrl-C does not interrupt the end of the connection.
        stack.callback(signal.signal, signal.SIGINT, signal.SIG_IGN)
        stack.enter_context(redirect_stdout(cast("IO[str]", _WithoutRay(sys.stdout))))
        _connected = True
        try:
            yield
        except KeyboardInterrupt:
            if terminated.is_set():
                sys.exit(TERMINATED)
            raise
        finally:
            _connected = False


def _interrupt_on_termination() -> Event:
    """Make SIGTERM raise KeyboardInterrupt, and return an event that is set then.

    It raises no SystemExit, which would count as an error of the operator that is running.
    """
    terminated = Event()

    def on_signal(number: int, frame: object) -> NoReturn:
        terminated.set()
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, on_signal)
    return terminated


def ray_folder() -> TemporaryDirectory[str]:
    """Return a folder for the logs and sockets of a cluster. The paths of sockets must be short."""
    place = "/tmp" if os.name == "posix" else None
    return TemporaryDirectory(prefix="burnish-ray-", dir=place, ignore_cleanup_errors=True)


class _WithoutRay:
    """A text stream without the lines about lost nodes that a thread of Ray prints on stdout."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, unless the thread is one of Ray."""
        if current_thread().name.startswith("ray_"):
            return len(text)
        return self._stream.write(text)


def _check_answer(address: str) -> None:
    """Check that a port answers: Ray itself tries for minutes.

    Raises
    ------
    ClusterError : there is no answer
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return  # a word, or an address that Ray reports
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, Exception(reason(error))) from error


def _no_cluster(address: str, error: Exception) -> ClusterError:
    problem = f"there is no Ray cluster: {first_sentence(error)}"
    remedy = "start one with `ray start --head`, check its token, or use --ray local"
    if address == LOCAL:
        remedy = "repeat the command when the machine is less busy"
    if isinstance(error, ImportError):  # of the client, which is an extra of Ray
        problem, remedy = first_sentence(error), "pip install '.[cluster]' in the clone of burnish"
    return ClusterError(f"--ray {address}", problem, remedy)


def load_ray() -> Any:
    """Return the library.

    Raises
    ------
    MissingLibraryError : it is not installed
    """
    # A warning about a future default of Ray.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        return importlib.import_module("ray")
    except ModuleNotFoundError as error:
        raise missing_library(error).with_context("--ray") from error


def first_sentence(error: Exception) -> str:
    """Return the first sentence of an error of Ray, whose messages are long."""
    lines = str(error).strip().splitlines()
    return lines[0].partition(". ")[0].rstrip(".") if lines else type(error).__name__
