"""Many requests to the service, a quarter of them hostile: its answers and its memory.

python benchmarks/service.py --requests 2000 --json benchmarks/results/service.json

Starts `burnish serve` and sends requests from several threads. The files that good requests get are
compared with those of `burnish apply`, byte for byte. Hostile requests have to get the status that
belongs to them.
"""

import argparse
import http.client
import json
import random
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import psutil
from measure import environment, write

from burnish.evaluation.doctor import SAMPLE
from burnish.photo import Photo
from burnish.training.pairs import resize

EDITS: tuple[tuple[str, dict[str, str]], ...] = (
    ("l0-smoothing", {"lambda": "0.05"}),
    ("tv-l1", {}),
    ("local-laplacian", {"detail": "0.5", "strength": "0.7"}),
    ("rudin-osher-fatemi-best", {"format": "png"}),
    ("multiscale-tone", {"box": "20,20,120,90", "feather": "10"}),
)
EXTENSIONS = ("jpg", "png", "tif", "webp")
HOSTILE_SHARE = 0.25
TRANSFER_SECONDS = 2
TIMEOUT = 300


@dataclass(frozen=True)
class Request:
    """A request to edit a photo. Hostile requests have a kind, and the statuses that belong to it.

    An answer of None means that the client goes away before it gets one.
    """

    path: str
    body: bytes
    expected: bytes | None = None
    kind: str = "good"
    statuses: tuple[int | None, ...] = (200,)
    headers: tuple[tuple[str, str], ...] = ()
    announced: int | None = None
    leaves: bool = False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--photos", type=int, default=4, help="photos for each of the edits")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--side", type=int, default=320, help="longest side in pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        good = good_requests(Path(folder), options.photos, options.side, rng)
    hostile = hostile_requests(good[0])
    requests = [
        rng.choice(hostile) if rng.random() < HOSTILE_SHARE else rng.choice(good)
        for _ in range(options.requests)
    ]
    results = {"environment": environment(), "requests": options.requests}
    results |= attack(requests, options.clients)
    print(json.dumps({k: v for k, v in results.items() if k != "environment"}, indent=2))
    write(options.json, results)


def good_requests(folder: Path, photos: int, side: int, rng: random.Random) -> list[Request]:
    """Return good requests, with the files that the command writes for them."""
    sample = Photo.open(SAMPLE).pixels
    requests = []
    for name, params in EDITS:
        folders = folder / name / "in", folder / name / "out"
        folders[0].mkdir(parents=True)
        for number in range(photos):
            top, left = (rng.randrange(side - 250) for side in sample.shape[:2])
            part = np.ascontiguousarray(sample[top : top + 250, left : left + 250])
            size = round(side * rng.uniform(0.4, 1)), round(side * rng.uniform(0.4, 1))
            extension = EXTENSIONS[number % len(EXTENSIONS)]
            Photo(resize(part, size)).save(folders[0] / f"{number}.{extension}")
        options = [f"--{option}={value}" for option, value in params.items()]
        command = [sys.executable, "-m", "burnish", "apply", name, str(folders[0]), *options]
        subprocess.run([*command, "-o", f"{folders[1]}/", "--quiet"], check=True)
        for path in folders[0].iterdir():
            [output] = folders[1].glob(f"{path.stem}.{name}.*")
            url = f"/v1/apply/{name}?{urlencode(params)}"
            requests.append(Request(url, path.read_bytes(), output.read_bytes()))
    return requests


def hostile_requests(good: Request) -> list[Request]:
    """Return one hostile request of each kind."""
    path, photo = good.path, good.body
    mutated = bytearray(photo)
    for position in range(200, len(mutated), 97):
        mutated[position] ^= 0x55
    bomb = png(100_000, 100_000, 1)
    headers: dict[str, tuple[str, str]] = {
        "other host": ("Host", "evil.example"),
        "other origin": ("Origin", "https://evil.example"),
        "other site": ("Sec-Fetch-Site", "cross-site"),
        "chunked": ("Transfer-Encoding", "chunked"),
        "long header": ("X-Long", "x" * 20_000),
    }
    statuses = {"other host": 421, "chunked": 411, "long header": 431}
    requests = [
        Request(path, photo, kind=kind, statuses=(statuses.get(kind, 403),), headers=(header,))
        for kind, header in headers.items()
    ]
    bodies: dict[str, tuple[bytes, tuple[int, ...]]] = {
        "bomb": (bomb, (413,)),
        "cut off": (photo[: len(photo) // 2], (422,)),
        "not an image": (b"<svg/>", (415,)),
        "empty": (b"", (422,)),
        "mutated": (bytes(mutated), (200, 422)),
        "small bomb": (png(2000, 2000, 2000), (413,)),
        "noise": (b"\xff\xd8\xff" + random.Random(0).randbytes(50_000), (422,)),
    }
    requests += [
        Request(path, body, kind=kind, statuses=statuses)
        for kind, (body, statuses) in bodies.items()
    ]
    paths = {
        "unknown operator": "/v1/apply/nothing",
        "path as operator": "/v1/apply/..%2f..%2fetc%2fpasswd",
        "out of range": f"{path}&strength=7",
        "not a number": f"{path}&strength=nan",
        "file": f"{path}&mask=/etc/passwd",
    }
    requests += [
        Request(url, photo, kind=kind, statuses=(404 if "path" in kind else 422,))
        for kind, url in paths.items()
    ]
    return [
        *requests,
        Request(path, b"x", kind="large", statuses=(413,), announced=10**10),
        Request(path, photo[:100], kind="slow body", statuses=(408,), announced=len(photo)),
        Request(
            path, photo[:100], kind="leaves early", statuses=(None,), leaves=True, announced=9999
        ),
        Request(path, photo, kind="leaves late", statuses=(None,), leaves=True),
    ]


def png(width: int, height: int, rows: int) -> bytes:
    """Return a PNG that states a size, and has some black rows."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes((1 + 3 * width) * rows), 9)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def attack(requests: Sequence[Request], clients: int) -> dict[str, Any]:
    """Start the service, send all requests and return what it answered and how much it took."""
    command = [sys.executable, "-m", "burnish", "serve", "--port", "0", "--megapixels", "2"]
    command += ["--transfer-seconds", str(TRANSFER_SECONDS)]
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdout is not None
        port = int(process.stdout.readline().partition(";")[0].rpartition(":")[2])
        memory: dict[str, list[float]] = {"server": [], "process": []}
        is_done = threading.Event()
        watch = threading.Thread(target=monitor, args=(process.pid, memory, is_done))
        watch.start()
        start = time.perf_counter()
        with ThreadPoolExecutor(clients) as executor:
            answers = list(executor.map(lambda request: send(port, request), requests))
        seconds = time.perf_counter() - start
        is_done.set()
        watch.join()
        health = get_json(port, "/v1/health")
        process.send_signal(signal.SIGINT)
        exit_code = process.wait(TIMEOUT)
        log.seek(0)
        lines = log.read().splitlines()
    wrong = Counter(
        f"{request.kind}: {status}"
        for request, (status, _) in zip(requests, answers, strict=True)
        if status not in request.statuses
    )
    good = [
        body == request.expected
        for request, (_, body) in zip(requests, answers, strict=True)
        if request.kind == "good"
    ]
    return {
        "good": len(good),
        "equal_to_the_command": sum(good),
        "hostile": Counter(request.kind for request in requests if request.kind != "good"),
        "wrong_answers": wrong,
        "seconds": round(seconds, 1),
        "exit": exit_code,
        "other_lines": [line for line in lines if not line[:4].isdigit()],
        "health": health,
        "resident_mib_by_tenth": {name: tenths(values) for name, values in memory.items()},
    }


def send(port: int, request: Request) -> tuple[int | None, bytes]:
    """Send a request; return the status and the body of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    headers = {"Host": f"127.0.0.1:{port}"} | dict(request.headers)
    if "Transfer-Encoding" not in headers:
        length = len(request.body) if request.announced is None else request.announced
        headers["Content-Length"] = str(length)
    connection.putrequest("POST", request.path, skip_host=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    with suppress(OSError):  # it is refused before all of the body is sent
        connection.send(request.body)
    if request.leaves:
        connection.close()
        return None, b""
    response = connection.getresponse()
    answer = response.status, response.read()
    connection.close()
    return answer


def get_json(port: int, path: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    connection.request("GET", path)
    answer = json.load(connection.getresponse())
    connection.close()
    return answer


def monitor(pid: int, memory: dict[str, list[float]], is_done: threading.Event) -> None:
    """Record the resident memory of the service and of the process that edits."""
    server = psutil.Process(pid)
    while not is_done.wait(0.2):
        memory["server"].append(server.memory_info().rss / 2**20)
        sizes = []
        for child in server.children():
            try:
                sizes.append(child.memory_info().rss / 2**20)
            except psutil.Error:
                continue
        memory["process"].append(max(sizes, default=0))


def tenths(values: Sequence[float]) -> list[int]:
    """Return the median of each tenth of the values."""
    bounds = [round(index * len(values) / 10) for index in range(11)]
    parts = [values[low:high] for low, high in pairwise(bounds)]
    return [round(statistics.median(part)) for part in parts if part]


if __name__ == "__main__":
    main()
