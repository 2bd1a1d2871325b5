"""The application: its paths, and the queue of photos."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

import burnish
from burnish.errors import BurnishError
from burnish.modelfile.card import Card
from burnish.serve.api import describe_operators, find_card, media_type, openapi, read_cards
from burnish.serve.child import Result, Worker, ending
from burnish.serve.errors import ServiceError, status_of
from burnish.serve.guard import Guard, error_response
from burnish.serve.limits import Limits
from burnish.serve.query import Job, QueryOption, read_query

# Size of the parts in which a result is sent, in bytes.
_PART = 2**18
_RETRY_SECONDS = 5


class ApplyEndpoint:
    """Edits photos: `POST /v1/apply/NAME`.

    A request is counted from the first byte of its body to the last one of its result, so that
    the queue bounds the memory.

    Parameters
    ----------
    is_ending : returns whether the service ends: 0 if not, 1 if it finishes the photo that is being
        edited, 2 if it stops at once

    Attributes
    ----------
    waiting : number of requests, with the one whose photo is being edited
    """

    def __init__(
        self,
        worker: Worker,
        cards: Mapping[str, Card],
        options: Sequence[QueryOption],
        limits: Limits,
        is_ending: Callable[[], int],
    ) -> None:
        self._worker = worker
        self._cards = cards
        self._options = options
        self._limits = limits
        self._is_ending = is_ending
        self._turn = asyncio.Lock()
        self.waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        request = Request(scope, receive)
        try:
            job = self._read_job(request)
            length = self._read_length(request)
            if self.waiting >= self._limits.queue:
                raise _busy(self.waiting)
        except BurnishError as error:
            await _error_response(error)(scope, receive, send)
            return
        self.waiting += 1
        try:
            try:
                response: Response = _photo_response(
                    job.operator, await self._edit(request, job, length)
                )
            except BurnishError as error:
                response = _error_response(error)
            async with asyncio.timeout(self._limits.transfer_seconds):
                await response(scope, receive, send)
        except (ClientDisconnect, TimeoutError):
            pass  # the server closes the connection
        finally:
            self.waiting -= 1

    def _read_job(self, request: Request) -> Job:
        """Return the job that the path and the query describe.

        Raises
        ------
        UsageError : there is no such operator, or an option is wrong
        """
        card = find_card(self._cards, request.path_params["operator"])
        text = request.scope["query_string"].decode("latin-1")
        return read_query(card, self._options, parse_qsl(text, keep_blank_values=True))

    def _read_length(self, request: Request) -> int:
        """Return the size of the body that the headers state.

        Raises
        ------
        ServiceError : they state none, or one that is too large
        """
        length = request.headers.get("content-length", "")
        if not length.isdecimal() or "transfer-encoding" in request.headers:
            remedy = "send the file with its length, such as by curl --data-binary @FILE"
            status = HTTPStatus.LENGTH_REQUIRED
            raise ServiceError(status, "Content-Length", "there is no length", remedy)
        if int(length) > self._limits.bytes:
            raise ServiceError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "image",
                f"the file has {length} bytes, and the service takes {self._limits.bytes:,}",
                "edit it with `burnish apply`",
            )
        return int(length)

    async def _edit(self, request: Request, job: Job, length: int) -> Result:
        """Receive a photo, wait for its turn, and edit it."""
        data = await self._read_body(request, length)
        async with self._turn:
            if self._is_ending():
                raise ending()
            if await request.is_disconnected():
                raise ClientDisconnect
            return await asyncio.to_thread(self._call, job, data)

    async def _read_body(self, request: Request, length: int) -> bytes:
        data = bytearray()
        seconds = self._limits.transfer_seconds
        try:
            async with asyncio.timeout(seconds):
                async for part in request.stream():
                    data += part
        except TimeoutError as error:
            problem = f"{len(data)} of {length} bytes arrived in {seconds:g} s"
            status = HTTPStatus.REQUEST_TIMEOUT
            raise ServiceError(status, "image", problem, "send it again") from error
        return bytes(data)

    def _call(self, job: Job, data: bytes) -> Result:
        try:
            return self._worker.call(job, data, lambda: self._is_ending() > 1)
        finally:
            if not self._is_ending():
                self._worker.recycle()


def _busy(waiting: int) -> ServiceError:
    status = HTTPStatus.SERVICE_UNAVAILABLE
    problem = f"{waiting} requests wait already"
    return ServiceError(status, "service", problem, "send it again later")


def _error_response(error: BurnishError) -> Response:
    """Return the answer to a request that ends with an error."""
    headers = {
        HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": f"{_RETRY_SECONDS}"},
        HTTPStatus.REQUEST_TIMEOUT: {"Connection": "close"},
    }
    return error_response(error, headers.get(status_of(error)))


def _photo_response(operator: str, result: Result) -> Response:
    """Return the answer with an edited photo."""

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(result.content), _PART):
            yield result.content[start : start + _PART]

    response = StreamingResponse(parts(), media_type=media_type(result.format))
    response.headers["Content-Length"] = f"{len(result.content)}"
    name = f"photo.{operator}{result.extension}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Burnish-History"] = result.history
    for warning in result.warnings:
        text = " ".join(warning.encode("ascii", "backslashreplace").decode().split())
        response.headers.append("Burnish-Warning", text)
    return response


def create_app(
    worker: Worker,
    options: Sequence[QueryOption],
    limits: Limits,
    *,
    hosts: frozenset[str] | None,
    token: str | None,
    is_ending: Callable[[], int] = lambda: 0,
) -> Starlette:
    """Return the application.

    Parameters
    ----------
    options : options of a request, besides the sliders of its network
    hosts, token : see `burnish.serve.guard.Guard`
    is_ending : see `ApplyEndpoint`
    """
    cards = read_cards()
    description = openapi(cards, options, has_token=token is not None)
    apply = ApplyEndpoint(worker, cards, options, limits, is_ending)

    def operators(request: Request) -> Response:
        return JSONResponse(describe_operators(cards))

    def describe(request: Request) -> Response:
        return JSONResponse(description)

    def health(request: Request) -> Response:
        return JSONResponse(
            {
                "version": burnish.__version__,
                "waiting": apply.waiting,
                "queue": limits.queue,
                "done": worker.done,
                "process_starts": worker.starts,
                "process_memory": worker.memory(),
            }
        )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        worker.start()
        try:
            yield
        finally:
            worker.stop()

    guard = Middleware(Guard, hosts=hosts, token=token, paths=frozenset(description["paths"]))
    app = Starlette(
        routes=[
            Route("/v1/apply/{operator}", apply, methods=["POST"]),
            Route("/v1/operators", operators),
            Route("/v1/health", health),
            Route("/openapi.json", describe),
        ],
        middleware=[guard],
        exception_handlers={HTTPException: _http_error},
        lifespan=lifespan,
    )
    # A redirect would repeat the header Host.
    app.router.redirect_slashes = False
    return app


def _http_error(request: Request, error: Exception) -> Response:
    """Return the answer for a path or a method that the service does not have."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    problem = {404: "there is no such path", 405: "the path has another method"}
    remedy = "see /openapi.json"
    answer = ServiceError(status, "path", problem.get(status, status.phrase.lower()), remedy)
    return error_response(answer, dict(error.headers or {}))
