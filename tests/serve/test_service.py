"""The service as its clients see it: the same files as the command, and plain refusals."""

import json
import os
import re
import signal
import time
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest
from openapi_spec_validator import validate

from burnish.photo import Photo
from burnish.runtime.model_registry import model_names

# Measurements choose the engine and the precision, if nobody does.
NETWORK = {"guide": "network", "engine": "onnxruntime", "precision": "fp32"}
APPLY = f"/v1/apply/tv-l1?{urlencode(NETWORK)}"
NEEDS_SIGSTOP = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs POSIX signals")


@pytest.mark.parametrize(
    ("name", "query", "options"),
    [
        ("a.jpg", "lambda=0.4", ["--lambda=0.4"]),
        ("a.png", "strength=0.5&depth=16", ["--strength=0.5", "--depth=16"]),
        (
            "a.jpg",
            "format=webp&quality=80&box=5,5,30,30&feather=4&invert=true",
            ["--format=webp", "--quality=80", "--box=5,5,30,30", "--feather=4", "--invert"],
        ),
        ("a.jpg", "quality=80&quality=preview", ["--quality=80", "--quality=preview"]),
    ],
)
def test_result_is_the_commands_file(name, query, options, service, make_image, tmp_path, burnish):
    source = Photo(make_image(1) / np.float32(255)).save(tmp_path / name)
    command = ["apply", "tv-l1", source, *(f"--{k}={v}" for k, v in NETWORK.items()), *options]
    code, _, err = burnish(*command, "-o", f"{tmp_path}/out/")
    assert (code, err) == (0, "")
    [expected] = (tmp_path / "out").iterdir()
    answer = service.send("POST", f"{APPLY}&{query}", source.read_bytes())
    assert answer.status == 200
    assert answer.body == expected.read_bytes()
    format = {".jpg": "jpeg", ".png": "png", ".webp": "webp"}[expected.suffix]
    assert answer.headers["Content-Type"] == f"image/{format}"
    file_name = f"photo.tv-l1{expected.suffix}"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{file_name}"'
    [record] = json.loads(answer.headers["Burnish-History"])
    assert record["operator"] == "tv-l1"
    assert record["params"]["lambda"] == (0.4 if "lambda=0.4" in query else 0.3)
    assert record["quality"] == ("preview" if "quality=preview" in query else "standard")
    assert answer.headers["Cache-Control"] == "no-store"


def test_warnings_are_headers(service, make_image):
    photo = Photo(make_image(0) / np.float32(255)).encode("png", depth=16)
    answer = service.send("POST", f"{APPLY}&format=webp", photo + b"\0\nX-Injected: 1\n\0")
    assert answer.status == 200
    assert "X-Injected" not in answer.headers
    assert "behind the image" in answer.headers["Burnish-Warning"]


def test_operators_and_description_follow_the_cards(service):
    operators = json.loads(service.send("GET", "/v1/operators").body)
    assert [operator["name"] for operator in operators] == model_names()
    assert all("standard" in operator["qualities"] for operator in operators)
    description = json.loads(service.send("GET", "/openapi.json").body)
    validate(description)
    for operator in operators:
        post = description["paths"][f"/v1/apply/{operator['name']}"]["post"]
        schemas = {p["name"]: p["schema"] for p in post["parameters"]}
        assert len(schemas) == len(post["parameters"])
        for slider in operator["sliders"]:
            schema = schemas[slider["name"]]
            assert (schema["minimum"], schema["maximum"]) == (slider["low"], slider["high"])
            assert schema["default"] == slider["default"]
        # No option names a file, a device or code.
        assert schemas.keys() - {slider["name"] for slider in operator["sliders"]} == {
            *("strength", "guide", "engine", "precision", "format", "quality", "depth"),
            *("only", "exclude"),
            *("min-score", "min-area", "max-area", "number", "click", "box", "invert", "refine"),
            *("threshold", "margin", "grow", "shrink", "feather"),
        }


@pytest.mark.parametrize(
    "host", ["evil.example:PORT", "127.0.0.1.nip.io", "127.0.0.1", "127.0.0.1:1", "", "localhost."]
)
def test_other_hosts_are_refused(host, service, photo):
    # A web site can make its own name point to this machine.
    host = host.replace("PORT", str(service.port))
    for method, path in (("GET", "/v1/health"), ("POST", APPLY)):
        assert service.send(method, path, photo, {"Host": host}).status == 421


def test_names_of_this_machine_are_accepted(service):
    for name in ("localhost", "LocalHost", "[::1]"):
        headers = {"Host": f"{name}:{service.port}"}
        assert service.send("GET", "/v1/health", headers=headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://user@127.0.0.1:PORT"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_pages_of_other_sites_are_refused(headers, service, photo):
    headers = {name: value.replace("PORT", str(service.port)) for name, value in headers.items()}
    for method, path in (("GET", "/v1/health"), ("POST", APPLY), ("OPTIONS", APPLY)):
        answer = service.send(method, path, photo, headers)
        assert answer.status == 403
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_own_pages_are_accepted(service):
    headers = {"Origin": f"http://127.0.0.1:{service.port}", "Sec-Fetch-Site": "same-origin"}
    assert service.send("GET", "/v1/health", headers=headers).status == 200


def test_length_is_needed_and_limited(service, photo):
    assert service.send("POST", APPLY, b"", {"Content-Length": None}).status == 411
    chunked = {"Content-Length": None, "Transfer-Encoding": "chunked"}
    body = b"4\r\nabcd\r\n0\r\n\r\n"
    assert service.send("POST", APPLY, body, chunked).status == 411
    both = {"Content-Length": "5", "Transfer-Encoding": "chunked"}
    assert service.send("POST", APPLY, body, both).status in (400, 411)
    start = time.monotonic()
    for path, status in ((APPLY, 413), ("/v1/apply/nope", 422), ("/nothing", 404)):
        answer = service.send("POST", path, b"", {"Content-Length": str(10**10)})
        assert answer.status == status
        assert answer.headers["Connection"] == "close"
    assert time.monotonic() - start < 1
    for length in ("-1", "1e3", "+5", "1_0", "5, 6", "9" * 5000):
        assert service.send("POST", APPLY, b"", {"Content-Length": length}).status == 400


def test_file_that_is_a_little_too_large_gets_an_answer(service):
    # The client sends all of it before it reads.
    answer = service.send("POST", APPLY, bytes(3_000_000))
    assert answer.status == 413
    assert json.loads(answer.body)["where"] == "image"


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        ("bomb", 413, "100000 x 100000 pixels"),
        ("large", 413, "1000 x 1000 pixels"),
        ("cut off", 422, "broken"),
        ("svg", 415, "not an image"),
        ("half", 422, "broken"),
        ("empty", 422, "empty"),
    ],
)  # fmt: skip
def test_bad_photos_are_refused(data, status, words, service, photo, make_png):
    data = {
        "bomb": make_png(100_000, 100_000, 2),
        "large": make_png(1000, 1000, 1000),
        "cut off": make_png(700, 700, 100),
        "svg": b"<svg/>" * 10,
        "half": photo[: len(photo) // 2],
        "empty": b"",
    }[data]
    answer = service.send("POST", APPLY, data)
    assert answer.status == status
    error = json.loads(answer.body)
    assert error.keys() == {"where", "problem", "remedy"}
    assert words in error["problem"]
    assert error["remedy"]


def test_bad_photos_do_not_stop_the_process(service, photo):
    starts = service.health()["process_starts"]
    assert service.send("POST", APPLY, b"\x89PNG\r\n\x1a\n" + bytes(50)).status == 422
    assert service.send("POST", APPLY, photo).status == 200
    assert service.health()["process_starts"] == starts


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("nope", 422, "there is no such operator"),
        ("tv-l2", 422, "there is no such operator"),
        ("bilateral", 422, "has no network"),
        ("..%2f..%2fetc%2fpasswd", 404, "no such path"),
        ("MODEL", 404, "no such path"),
        ("tv-l1.onnx", 422, "no such operator"),
        ("..\\tv-l1", 422, "no such operator"),
        ("python:os:getcwd", 422, "no such operator"),
        ("command:id", 422, "no such operator"),
        ("tv-l1,l0-smoothing", 422, "no such operator"),
        ("tv-l1%00", 422, "no such operator"),
        ("%ff%fe", 422, "no such operator"),
        ("", 404, "no such path"),
    ],
)
def test_operators_are_names_only(path, status, words, service, photo):
    from burnish.runtime.model_registry import find_model

    path = path.replace("MODEL", str(find_model("tv-l1")).replace("/", "%2F"))
    answer = service.send("POST", f"/v1/apply/{path}", photo)
    assert answer.status == status
    assert words in json.loads(answer.body)["problem"]


@pytest.mark.parametrize(
    ("query", "where", "words"),
    [
        ("lambda=9", "lambda", "expected 0.1 to 2, got '9'"),
        ("lambda=nan", "lambda", "got 'nan'"),
        ("lambda=inf", "lambda", "got 'inf'"),
        ("lambda=", "lambda", "got ''"),
        ("lambda=1&lambda=1", "lambda", "more than once"),
        ("lamda=1", "tv-l1", "no parameter lamda"),
        ("%6cambda=1%00", "lambda", "got"),
        ("strength=2", "strength", "expected 0 to 1"),
        ("quality=101", "quality", "expected 1 to 100, or preview, standard or best, got '101'"),
        ("quality=9.5", "quality", "got '9.5'"),
        ("quality=", "quality", "got ''"),
        ("quality=80&quality=90", "quality", "80 and 90 exclude each other"),
        ("quality=best", "quality", "model tv-l1 has no network of quality best"),
        ("depth=12", "depth", "8, 16 or 32"),
        ("format=bmp", "format", "bmp"),
        ("format=jpeg&depth=16", "format", "8 bits"),
        ("guide=magic", "guide", "magic"),
        ("precision=fp8", "precision", "fp8"),
        ("engine=/tmp/engine.so", "engine", "onnxruntime"),
        ("feather=-1", "feather", "expected 0 to 1000"),
        ("box=1,2,3", "box", "L,T,R,B"),
        ("box=9,9,1,1", "box", "not a rectangle"),
        ("only=unicorn", "unicorn", "does not know"),
        ("only=cat&exclude=dog", "only, --exclude", "exclude each other"),
        ("invert=maybe", "invert", "true or false"),
        ("click=nan,1", "click", "X,Y"),
        ("mask=/etc/passwd", "tv-l1", "no parameter mask"),
        ("objects=/etc/passwd", "tv-l1", "no parameter objects"),
        ("detector=/etc/passwd", "tv-l1", "no parameter detector"),
        ("save-mask=/tmp/mask.png", "tv-l1", "no parameter save-mask"),
        ("output=/tmp/a.png", "tv-l1", "no parameter output"),
        ("slow=true", "tv-l1", "no parameter slow"),
    ],
)
def test_options_are_checked(query, where, words, service, photo):
    answer = service.send("POST", f"/v1/apply/tv-l1?{query}", photo)
    error = json.loads(answer.body)
    assert (answer.status, error["where"]) == (422, where), error
    assert words in error["problem"]


def test_unknown_paths_and_methods(service, photo):
    assert service.send("GET", "/").status == 404
    assert service.send("GET", "/v1/health/").status == 404
    answer = service.send("GET", APPLY)
    assert answer.status == 405
    assert answer.headers["Allow"] == "POST"
    # No URL is fetched: a path that is one is unknown, and so is an option.
    assert service.send("POST", "http://evil.example/v1/apply/tv-l1", photo).status == 404
    assert service.send("POST", f"{APPLY}&url=http://evil.example/", photo).status == 422


def test_slow_body_is_given_up(service):
    with service.connect(
        f"POST {APPLY} HTTP/1.1\r\nHost: HOST\r\nContent-Length: 9\r\n\r\nabc"
    ) as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")
    service.wait_for(lambda: service.health()["waiting"] == 0)


def test_client_that_goes_away_frees_its_place(service):
    connection = service.connect(
        f"POST {APPLY} HTTP/1.1\r\nHost: HOST\r\nContent-Length: 9\r\n\r\n"
    )
    service.wait_for(lambda: service.health()["waiting"] == 1)
    connection.close()
    start = time.monotonic()
    service.wait_for(lambda: service.health()["waiting"] == 0)
    assert time.monotonic() - start < service.limits.transfer_seconds


@pytest.mark.parametrize("size", [20_000, 1_000_000])
def test_headers_that_are_too_long_are_refused(size, service):
    for text in (
        f"GET /v1/health HTTP/1.1\r\nHost: HOST\r\nX: {'x' * size}\r\n\r\n",
        f"GET /v1/apply/tv-l1?{'lambda=1&' * (size // 9)} HTTP/1.1\r\nHost: HOST\r\n\r\n",
    ):
        with service.connect(text) as connection:
            assert connection.recv(100)[:13] in (b"HTTP/1.1 400 ", b"HTTP/1.1 431 ")


def test_broken_headers_are_refused(service):
    for text in (
        "GET /v1/health HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\n",
        "GET /v1/health HTTP/1.1\r\n\r\n",
        "\0\1\2\r\n\r\n",
    ):
        with service.connect(text) as connection:
            assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


def test_pipelined_requests_are_answered_in_order(service):
    request = "GET {} HTTP/1.1\r\nHost: HOST\r\n{}\r\n"
    texts = [request.format("/v1/health", ""), request.format("/nothing", "Connection: close\r\n")]
    with service.connect("".join(texts)) as connection:
        answer = connection.makefile("rb").read()
    assert answer.index(b"HTTP/1.1 200") < answer.index(b"HTTP/1.1 404")


@NEEDS_SIGSTOP
def test_queue_is_bounded(service, photo):
    assert service.send("POST", APPLY, photo).status == 200
    service.pause()
    answers = [service.send_later("POST", APPLY, photo) for _ in range(2)]
    service.wait_for(lambda: service.health()["waiting"] == 2)
    answer = service.send("POST", APPLY, photo)
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    service.resume()
    assert [answer().status for answer in answers] == [200, 200]
    assert service.health()["waiting"] == 0


@NEEDS_SIGSTOP
def test_photo_of_a_client_that_went_away_is_not_edited(service, photo):
    assert service.send("POST", APPLY, photo).status == 200
    done = service.health()["done"]
    service.pause()
    first = service.send_later("POST", APPLY, photo)
    service.wait_for(lambda: service.health()["waiting"] == 1)
    connection = service.connect(
        f"POST {APPLY} HTTP/1.1\r\nHost: HOST\r\nContent-Length: {len(photo)}\r\n\r\n"
    )
    connection.sendall(photo)
    service.wait_for(lambda: service.health()["waiting"] == 2)
    connection.close()
    service.resume()
    assert first().status == 200
    service.wait_for(lambda: service.health()["waiting"] == 0)
    assert service.health()["done"] == done + 1


@NEEDS_SIGSTOP
@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"seconds": 0.1}, 504, "was not done in 0.1 s"),
        ({"memory": 1}, 413, "more than the 1 MiB"),
        (None, 500, "ended unexpectedly"),
    ],
    ids=["time", "memory", "crash"],
)
def test_process_that_hangs_grows_or_crashes_is_replaced(
    changes, status, words, service, photo, limits
):
    assert service.send("POST", APPLY, photo).status == 200
    before = service.health()
    assert before["process_memory"] > 2**20
    service.pause()
    limits(**changes or {})
    answer = service.send_later("POST", APPLY, photo)
    service.wait_for(lambda: changes or service.health()["waiting"] == 1)
    if changes is None:
        os.kill(service.worker._process.pid, signal.SIGKILL)
    assert answer().status == status
    assert words in json.loads(answer().body)["problem"]
    limits()
    assert service.send("POST", APPLY, photo).status == 200
    after = service.health()
    assert after["process_starts"] == before["process_starts"] + 1
    assert after["done"] == before["done"] + 1


def test_process_is_replaced_after_many_photos(service, photo, limits):
    starts = service.health()["process_starts"]
    limits(jobs=1)
    assert service.send("POST", APPLY, photo).status == 200
    limits()
    assert service.health()["process_starts"] == starts + 1
    assert service.send("POST", APPLY, photo).status == 200


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_signals_to_all_processes_do_not_stop_a_photo(service):
    # Ctrl-C reaches all processes of a terminal, and SIGTERM all of a system service.
    text = Path(f"/proc/{service.worker._process.pid}/status").read_text()
    blocked = int(re.search(r"^SigBlk:\s*(\w+)", text, re.MULTILINE)[1], 16)
    for number in (signal.SIGINT, signal.SIGTERM):
        assert blocked >> (number - 1) & 1


def test_expectation_of_a_refusal_saves_the_upload(service):
    text = f"POST {APPLY} HTTP/1.1\r\nHost: HOST\r\nExpect: 100-continue\r\nContent-Length: 9999999"
    with service.connect(f"{text}\r\n\r\n") as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")
