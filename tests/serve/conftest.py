import http.client
import json
import os
import signal
import socket
import struct
import threading
import time
import zlib
from dataclasses import dataclass, replace

import numpy as np
import pytest

from burnish.cli.serve import query_options
from burnish.photo import Photo
from burnish.serve.child import Worker
from burnish.serve.limits import Limits
from burnish.serve.server import create_server, loopback_hosts

LIMITS = Limits(megabytes=1, megapixels=0.5, queue=2, seconds=60, transfer_seconds=1)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Service:
    """A service in a thread of this process; its worker is a process."""

    def __init__(self, limits=LIMITS, token=None, worker=None):
        self.limits = limits
        self.worker = worker or Worker(limits, threads=1)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        hosts = None if token else loopback_hosts(self.port, "127.0.0.1")
        options = list(query_options())
        self.server = create_server(self.worker, options, limits, hosts=hosts, token=token)
        self.thread = threading.Thread(target=self.server.run, args=([self._listener],))
        self.thread.start()
        self.wait_for(lambda: self.server.started)

    def close(self):
        self.server.should_exit = True
        self.thread.join(20)
        self._listener.close()
        assert not self.thread.is_alive()

    def send(self, method, path, body=None, headers=None, timeout=60):
        """Send a request; a header with the value None is left out."""
        sent = {"Host": f"127.0.0.1:{self.port}"}
        if body is not None:
            sent["Content-Length"] = str(len(body))
        sent |= headers or {}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in sent.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
        connection.close()
        return answer

    def connect(self, text):
        """Return a socket over which some bytes were sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.sendall(text.replace("HOST", f"127.0.0.1:{self.port}").encode("latin-1"))
        return connection

    def send_later(self, *arguments):
        """Send a request from a thread; returns a function that waits for the answer."""
        answers = []
        thread = threading.Thread(target=lambda: answers.append(self.send(*arguments)))
        thread.start()

        def answer():
            thread.join()
            return answers[0]

        return answer

    @staticmethod
    def wait_for(condition, seconds=20):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def health(self):
        return json.loads(self.send("GET", "/v1/health").body)

    def pause(self):
        """Stop the worker's process for a while."""
        os.kill(self.worker._process.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.worker._process.pid, signal.SIGCONT)

    def set_limits(self, **changes):
        """Change the limits of the worker, as it is seen from here."""
        self.worker._limits = replace(self.limits, **changes)


@pytest.fixture(scope="session")
def start_service():
    """The class `Service`; the test closes it."""
    return Service


@pytest.fixture(scope="module")
def service():
    """A service for all tests of a module, whose queue holds two requests."""
    service = Service()
    yield service
    service.close()


@pytest.fixture
def limits(service):
    """A function that changes limits of the worker during a test: `limits(seconds=1)`."""
    yield service.set_limits
    service.set_limits()


def png_header(width, height, rows=0):
    """Return a PNG that states a size, and has some black rows."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = zlib.compress(bytes((1 + 3 * width) * rows), 9)
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.fixture(scope="session")
def make_png():
    """The function `png_header`."""
    return png_header


@pytest.fixture
def photo(make_image):
    """A small photo as the content of a JPEG."""
    return Photo(make_image(0) / np.float32(255)).encode("jpeg")
