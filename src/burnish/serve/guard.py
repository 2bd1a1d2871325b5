"""Refuse requests that other web sites, or strangers, make the browser or the network send."""

import secrets
import stat
import sys
import time
from collections.abc import Collection
from http import HTTPStatus
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from burnish.errors import BurnishError, UsageError, read_error
from burnish.serve.errors import ServiceError, as_json, status_of

# Shortest token; 128 random bits in hexadecimal have 32 characters, and in base64 22.
_MIN_TOKEN_LENGTH = 20
# Largest size of the headers and of the query. The server's own limit holds only for headers that
# arrive in parts.
MAX_HEADER_BYTES = 2**14
# Larger bodies are not read after they were refused; the connection is closed instead.
_MAX_IGNORED_BYTES = 2**30
_NEW_TOKEN = "write a new one: (umask 077; openssl rand -hex 32 > FILE)"

_METHODS = ("GET", "HEAD", "OPTIONS", "POST")
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def error_response(error: BurnishError, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return the answer to a request that ends with an error."""
    return JSONResponse(as_json(error), status_of(error), headers)


class Guard:
    """Checks the headers of each request before anything else, and prints a line about it.

    The name in the header Host must be one of this machine, because a web site can make its own
    name point to it (DNS rebinding). With a token, any name may be used.

    Parameters
    ----------
    hosts : the accepted values of Host, with the port; None for any
    token : None if there is none
    paths : the paths that may be printed; others are a stranger's text, as are unknown methods
    """

    def __init__(
        self, app: ASGIApp, hosts: Collection[str] | None, token: str | None, paths: Collection[str]
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._token = token
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.monotonic()

        async def send_checked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                if _is_endless(Headers(scope=scope)):
                    headers["Connection"] = "close"
                method = scope["method"] if scope["method"] in _METHODS else "(unknown method)"
                path = scope["path"] if scope["path"] in self._paths else "(unknown path)"
                _print_line(f"{method} {path} {message['status']}", start)
            await send(message)

        try:
            self._check(scope["query_string"], Headers(scope=scope))
        except ServiceError as error:
            headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
            await error_response(error, headers)(scope, receive, send_checked)
        else:
            await self._app(scope, receive, send_checked)

    def _check(self, query: bytes, headers: Headers) -> None:
        size = sum(len(name) + len(value) for name, value in [(b"", query), *headers.raw])
        if size > MAX_HEADER_BYTES:
            problem = f"the headers have more than {MAX_HEADER_BYTES} bytes"
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise ServiceError(status, "headers", problem, "send fewer")
        host = headers.get("host", "").lower()
        if self._hosts is not None and host not in self._hosts:
            remedy = f"use http://{min(self._hosts)}"
            status = HTTPStatus.MISDIRECTED_REQUEST
            raise ServiceError(status, "Host", "this is not a name of the service", remedy)
        origin = headers.get("origin", f"http://{host}").lower()
        is_own = origin in (f"http://{host}", f"https://{host}")
        if not is_own or headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            problem = "a web page of another site sent the request"
            remedy = "send it from a program, such as curl"
            raise ServiceError(HTTPStatus.FORBIDDEN, "Origin", problem, remedy)
        if self._token is not None and not self._has_token(headers.get("authorization", "")):
            problem = "the token of the service is missing or wrong"
            remedy = "send the header Authorization: Bearer TOKEN"
            raise ServiceError(HTTPStatus.UNAUTHORIZED, "Authorization", problem, remedy)

    def _has_token(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        # The time of the comparison must not depend on the number of equal characters.
        same = secrets.compare_digest(token.strip().encode(), str(self._token).encode())
        return same and scheme.lower() == "bearer"


def _is_endless(headers: Headers) -> bool:
    """Return whether a body that is refused would be long to read.

    The server reads and forgets a body that is refused. Otherwise, a client that sends its file
    before it reads the answer would see a broken connection.
    """
    length = headers.get("content-length", "0")
    return "transfer-encoding" in headers or int(length) > _MAX_IGNORED_BYTES


def _print_line(text: str, start: float) -> None:
    seconds = time.monotonic() - start
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text} {seconds:.2f} s", file=sys.stderr)


def read_token(path: Path) -> str:
    """Return the token in a file.

    Raises
    ------
    UsageError : the file cannot be read, other users may read it, or its content is no token
    """
    where = f"--token-file {path}"
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise read_error(where, error, UsageError) from error
    if sys.platform != "win32" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(where, "other users may read the token", f"run: chmod 600 {path}")
    if len(text) < _MIN_TOKEN_LENGTH:
        problem = f"the token is shorter than {_MIN_TOKEN_LENGTH} characters"
        raise UsageError(where, problem, _NEW_TOKEN)
    if not text.isascii() or not text.isprintable() or " " in text:
        raise UsageError(where, "the token is not one word of ASCII characters", _NEW_TOKEN)
    return text
