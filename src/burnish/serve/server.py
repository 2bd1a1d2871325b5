"""The server: its address, and the HTTP that it accepts."""

import logging
import math
import socket
import sys
from collections.abc import Sequence
from ipaddress import ip_address

import uvicorn

from burnish.errors import UsageError, reason
from burnish.serve.app import create_app
from burnish.serve.child import Worker
from burnish.serve.guard import MAX_HEADER_BYTES
from burnish.serve.limits import Limits
from burnish.serve.query import QueryOption

# Time after which a connection without a request is closed, in seconds.
_KEEP_ALIVE_SECONDS = 5


def serve(
    host: str,
    port: int,
    options: Sequence[QueryOption],
    limits: Limits,
    *,
    token: str | None = None,
    threads: int | None = None,
) -> None:
    """Run the service until Ctrl-C.

    Parameters
    ----------
    host : an address or name of this machine
    port : 0 for any free one
    options, token : see `create_server`
    threads : number of CPU threads for a photo [default: one per core]

    Raises
    ------
    UsageError : other machines can reach the address and there is no token; or it cannot be used
    """
    where = f"--host {host} --port {port}"
    remedy = "choose another port, or --port 0 for any free one"
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        is_loopback = ip_address(f"{address[0]}").is_loopback
        if not is_loopback and token is None:
            problem = "other machines could use the service"
            raise UsageError(f"--host {host}", problem, "add --token-file, or leave it out")
        listener = socket.create_server(address[:2], family=family)
    except (OSError, UnicodeError) as error:
        # Python repeats the address in brackets.
        problem = f"it cannot be used: {reason(error).partition(' (')[0]}"
        raise UsageError(where, problem, remedy) from error
    with listener:
        port = listener.getsockname()[1]
        name = f"[{host}]" if ":" in host else host
        hosts = loopback_hosts(port, name) if is_loopback else None
        worker = Worker(limits, threads)
        server = create_server(worker, options, limits, hosts=hosts, token=token)
        print(f"burnish serves at http://{name}:{port}; Ctrl-C ends it", flush=True)
        try:
            server.run(sockets=[listener])
        finally:
            worker.stop()


def create_server(
    worker: Worker,
    options: Sequence[QueryOption],
    limits: Limits,
    *,
    hosts: frozenset[str] | None,
    token: str | None = None,
) -> uvicorn.Server:
    """Return the server, which starts and stops the worker.

    Parameters
    ----------
    options : options of a request, besides the sliders of its network
    hosts : the accepted values of the header Host; None for any
    token : the token that every request has to send; None if there is none
    """

    def is_ending() -> int:
        return server.should_exit + server.force_exit

    app = create_app(worker, options, limits, hosts=hosts, token=token, is_ending=is_ending)
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        limit_concurrency=limits.connections,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=math.ceil(limits.seconds + limits.transfer_seconds),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("burnish: server: %(message)s"))
    logger = logging.getLogger("uvicorn.error")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.WARNING)
    logger.addFilter(_is_wanted)
    server = uvicorn.Server(config)
    return server


def _is_wanted(record: logging.LogRecord) -> bool:
    """Return whether to print a line of the server."""
    # A second Ctrl-C cancels everything, and web sockets are refused without further words.
    text = f"{record.getMessage()} {record.exc_info}"
    return "CancelledError" not in text and "WebSocket" not in text


def loopback_hosts(port: int, name: str) -> frozenset[str]:
    """Return the values of the header Host that mean this machine, by `name` or another name.

    Examples
    --------
    >>> sorted(loopback_hosts(8000, "127.0.0.1"))
    ['127.0.0.1:8000', '[::1]:8000', 'localhost:8000']
    """
    names = {"127.0.0.1", "[::1]", "localhost", name.lower()}
    hosts = {f"{name}:{port}" for name in names}
    return frozenset({*hosts, *names} if port == 80 else hosts)
