"""`burnish page`: its server, its site, and one line if the libraries cannot be loaded."""

import sys
import threading
from urllib.request import Request, urlopen

import pytest

from burnish.page import libraries
from burnish.page.server import create_server


def test_without_npm_one_line_tells_it(burnish, monkeypatch):
    monkeypatch.setattr(libraries, "PAGE", libraries.PAGE / "nowhere")
    monkeypatch.setattr(libraries.shutil, "which", lambda name: None)
    code, _, error = burnish("page", "--no-browser")
    assert code == 3
    assert error.splitlines(keepends=True)[1] == (
        "burnish: the page: its two libraries are loaded by npm, which is not installed; "
        "install Node.js, which brings npm\n"
    )


def test_libraries_that_npm_cannot_load_are_reported(monkeypatch, tmp_path):
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error code EINTEGRITY' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setattr(libraries.shutil, "which", lambda name: str(npm))
    with pytest.raises(libraries.MissingLibraryError, match="EINTEGRITY"):
        libraries.fetch_libraries(tmp_path / "libraries")
    assert not (tmp_path / "libraries").exists()


def test_export_replaces_no_folder(burnish, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    code, _, error = burnish("page", "--export", tmp_path)
    assert code == 1
    assert "it exists already" in error
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_export_without_brotli_writes_nothing(burnish, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "brotli", None)
    code, _, error = burnish("page", "--export", tmp_path / "site")
    assert code == 3
    assert "brotli" in error
    assert not (tmp_path / "site").exists()


def test_server_sends_the_headers_and_lists_no_folder(tmp_path):
    (tmp_path / "app-0").mkdir()
    (tmp_path / "app-0" / "page.css").write_text("body {}")
    with create_server(tmp_path) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        with urlopen(f"{address}/app-0/page.css") as response:
            assert response.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
            assert response.headers["Content-Type"].startswith("text/css")
            assert "immutable" in response.headers["Cache-Control"]
        with pytest.raises(OSError, match="404"):
            urlopen(f"{address}/app-0/")
        with pytest.raises(OSError, match="501"):
            urlopen(Request(f"{address}/", data=b"a photo"))
        server.shutdown()
    with pytest.raises(libraries.MissingLibraryError.__base__, match="the port cannot be used"):
        create_server(tmp_path, 1 << 20)


def test_lock_names_no_host_and_pins_every_package():
    lock = (libraries.PAGE / "package-lock.json").read_text()
    assert "http" not in lock
    assert lock.count('"integrity": "sha512-') == lock.count('"node_modules/')
