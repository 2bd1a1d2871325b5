"""The server: its address, its token, its lines, and its end."""

import json
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

APPLY = "/v1/apply/tv-l1?guide=network"
TOKEN = "0123456789abcdef0123456789abcdef"


class NoWorker:
    """Stands for a process that edits, where no photo is edited."""

    done = starts = 0

    def start(self):
        pass

    stop = memory = start


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    return path


def test_token_is_needed(start_service, photo, capfd):
    service = start_service(token=TOKEN, worker=NoWorker())
    try:
        for authorization in (None, "", "Bearer", "Bearer x", f"Basic {TOKEN}", TOKEN, "Bearer é"):
            headers = {"Authorization": authorization and authorization.encode("latin-1")}
            for method, path in (("GET", "/v1/health"), ("POST", APPLY), ("GET", "/openapi.json")):
                answer = service.send(method, path, photo, headers)
                assert answer.status == 401
                assert answer.headers["WWW-Authenticate"] == "Bearer"
        headers = {"Authorization": f"Bearer {TOKEN}", "Host": "photos.example"}
        answer = service.send("GET", "/openapi.json", headers=headers)
        assert answer.status == 200
        assert (
            "bearer" in json.loads(answer.body)["components"]["securitySchemes"]["token"].values()
        )
        headers["Origin"] = "https://evil.example"
        assert service.send("GET", "/v1/health", headers=headers).status == 403
    finally:
        service.close()
    assert TOKEN not in "".join(capfd.readouterr())


def test_lines_hold_no_text_of_strangers(start_service, capfd):
    service = start_service(worker=NoWorker())
    try:
        service.send("GET", "/secret-photo.jpg?secret=1")
        service.send("POST", "/v1/apply/secret?secret=1", b"")
        service.send("GET", "/v1/health?secret=1")
        service.send("SECRET" * 100, "/v1/health")
        with service.connect("GET / secret\r\n\r\n") as connection:
            connection.recv(100)
    finally:
        service.close()
    lines = capfd.readouterr().err.splitlines()
    assert "secret" not in "".join(lines).lower()
    words = [line.split()[2:-2] for line in lines if "server:" not in line]
    assert words == [
        ["GET", "(unknown", "path)", "404"],
        ["POST", "(unknown", "path)", "422"],
        ["GET", "/v1/health", "200"],
        ["(unknown", "method)", "/v1/health", "405"],
    ]


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        (TOKEN, 0o644, "other users may read the token; run: chmod 600"),
        (TOKEN, 0o640, "other users may read the token"),
        ("short", 0o600, "shorter than 20 characters"),
        (f"{TOKEN} {TOKEN}", 0o600, "not one word"),
        (f"{TOKEN}é", 0o600, "not one word"),
        ("", 0o600, "shorter"),
        (None, 0o600, "cannot be read: no such file"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX permissions")
def test_token_file_is_checked(text, mode, words, tmp_path, burnish):
    path = tmp_path / "token"
    if text is not None:
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
    code, out, err = burnish("serve", "--host", "0.0.0.0", "--port", 0, "--token-file", path)
    assert (code, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_other_machines_need_a_token(host, burnish):
    code, out, err = burnish("serve", "--host", host, "--port", 0)
    assert (code, out) == (2, "")
    assert err == (
        f"burnish: --host {host}: other machines could use the service; add --token-file, or leave "
        "it out\n"
    )


def test_port_in_use_is_one_line(burnish):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, out, err = burnish("serve", "--port", port)
    assert (code, out) == (2, "")
    assert err == (
        f"burnish: --host 127.0.0.1 --port {port}: it cannot be used: address already in use; "
        "choose another port, or --port 0 for any free one\n"
    )


def test_missing_extra_is_one_line(burnish, monkeypatch):
    monkeypatch.delitem(sys.modules, "burnish.serve.server", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, _, err = burnish("serve", "--port", 0)
    assert code == 3
    assert "uvicorn is not installed" in err
    assert "pip install '.[serve]'" in err
    assert len(err.splitlines()) == 1


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs POSIX signals")
def test_end_finishes_the_running_photo_and_refuses_waiting_ones(start_service, photo):
    service = start_service()
    try:
        assert service.send("POST", APPLY, photo).status == 200
        service.pause()
        running = service.send_later("POST", APPLY, photo)
        service.wait_for(lambda: service.health()["waiting"] == 1)
        waiting = service.send_later("POST", APPLY, photo)
        service.wait_for(lambda: service.health()["waiting"] == 2)
        service.server.should_exit = True
        service.resume()
        assert running().status == 200
        assert waiting().status == 503
        assert "is ending" in json.loads(waiting().body)["problem"]
    finally:
        service.close()
    assert service.worker.memory() is None


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_command_prints_its_address_and_ends_with_ctrl_c():
    # A second Ctrl-C at once: the process that edits is still loading its libraries.
    command = [sys.executable, "-m", "burnish", "serve", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        line = process.stdout.readline()
        assert line.startswith("burnish serves at http://127.0.0.1:")
        url = line.split()[3].rstrip(";")
        with urllib.request.urlopen(f"{url}/v1/health", timeout=20) as answer:
            health = json.load(answer)
        assert health["waiting"] == 0
        # As the terminal does: to all processes of the group.
        import os

        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert [line.split()[-1] for line in err.splitlines()] == ["s", "interrupted"], err
