"""The time that the process that edits is allowed, on a clock of the test."""

import json
from http import HTTPStatus
from types import SimpleNamespace

import pytest

from burnish.serve import child
from burnish.serve.child import Worker
from burnish.serve.errors import ServiceError
from burnish.serve.limits import Limits
from burnish.serve.query import Job


class SlowProcess:
    """Stands for a process and its pipe: it starts and answers after some seconds."""

    pid = -1

    def __init__(self, start, edit):
        self.now = 0.0
        self._edit = edit
        self._done = start
        self._messages = [b"ready"]

    def monotonic(self):
        return self.now

    def is_alive(self):
        return True

    def send(self, job):
        description = {"format": "png", "extension": ".png", "history": "[]", "warnings": []}
        self._messages = [json.dumps(description).encode(), b"file"]
        self._done = self.now + self._edit

    def poll(self, seconds):
        self.now += seconds
        return self.now >= self._done

    def recv_bytes(self):
        return self._messages.pop(0)


@pytest.fixture
def worker(monkeypatch):
    """A function that returns a worker whose process starts and edits within some seconds."""

    def worker(start, edit):
        process = SlowProcess(start, edit)
        monkeypatch.setattr(child, "time", SimpleNamespace(monotonic=process.monotonic))
        worker = Worker(Limits(seconds=10))
        worker._process = worker._pipe = process
        monkeypatch.setattr(worker, "memory", lambda: 0)
        monkeypatch.setattr(worker, "start", lambda: None)
        monkeypatch.setattr(worker, "stop", lambda: None)
        return worker

    return worker


def test_start_does_not_count_as_time_for_a_photo(worker):
    result = worker(start=60, edit=9).call(Job("tv-l1"), b"", lambda: False)
    assert result.content == b"file"


@pytest.mark.parametrize("times", [{"start": 0, "edit": 11}, {"start": 130, "edit": 0}])
def test_both_times_are_limited(times, worker):
    with pytest.raises(ServiceError) as error:
        worker(**times).call(Job("tv-l1"), b"", lambda: False)
    assert error.value.status == HTTPStatus.GATEWAY_TIMEOUT


def test_end_of_the_service_stops_a_photo(worker):
    with pytest.raises(ServiceError, match="is ending"):
        worker(start=0, edit=9).call(Job("tv-l1"), b"", lambda: True)
