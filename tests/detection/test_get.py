"""`burnish regions get`: the download, its checks, and the detector as the default."""

import threading
from functools import partial
from hashlib import sha256
from http.server import HTTPServer, SimpleHTTPRequestHandler

import numpy as np
import pytest

from burnish.detection import detector_file
from burnish.detection.detect import MaskRCNN
from burnish.errors import ModelError
from burnish.photo import Photo

pytest.importorskip("torchvision", reason="torchvision is not installed")

from burnish.detection.training import get


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder and prints nothing."""

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder that is served on this machine, and its address."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = HTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=folder))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("no_proxy", "*")
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def weights(server, monkeypatch):
    """A file of random weights on the server, whose address is that of the weights to get."""
    folder, address = server
    content = np.random.default_rng(0).bytes(5000)
    name = f"weights-{sha256(content).hexdigest()[:8]}.pth"
    (folder / name).write_bytes(content)
    monkeypatch.setattr(get, "URL", f"{address}/{name}")
    return folder / name


@pytest.fixture
def conversion(monkeypatch, detector_file, detector_card, tmp_path):
    """The contents of the files of weights that were converted, into a small detector."""
    from burnish.detection.training.export import rewrite_card

    converted = []

    def convert(path, target, *, overwrite):
        converted.append(path.read_bytes())
        return rewrite_card(detector_file, detector_card(name="full"), target, overwrite=overwrite)

    monkeypatch.setattr(get, "export_resnet50", convert)
    return converted


@pytest.fixture
def photo(tmp_path):
    """A photo of noise, in which a detector with random weights finds something or nothing."""
    pixels = np.random.default_rng(0).random((64, 64, 3)).astype(np.float32)
    return Photo(pixels).save(tmp_path / "a.png")


def test_get_downloads_weights_and_makes_the_detector_the_default(
    burnish, weights, conversion, photo
):
    code, out, err = burnish("regions", "list", photo, "--detector", "full")
    assert (code, out) == (3, "")
    assert "burnish regions get full" in err
    code, out, err = burnish("regions", "get", "full")
    folder = detector_file.downloaded_folder()
    assert code == 0, err
    assert f"downloading {get.URL}" in err
    assert out.startswith(f"{folder / 'full.onnx'}  ")
    assert conversion == [weights.read_bytes()]
    assert [path.name for path in folder.iterdir()] == ["full.onnx"]
    assert MaskRCNN.open().card.name == MaskRCNN.open("full").card.name == "full"
    code, _, err = burnish("regions", "list", photo)
    assert code == 0
    assert err.startswith("burnish: objects are found by the detector full\n")
    assert "the detector full" not in burnish("regions", "list", photo, "--detector", "light")[2]
    code, _, err = burnish("regions", "get", "full")
    assert (code, err.count("\n")) == (1, 1)


def test_edit_with_the_downloaded_detector_is_replayed(burnish, weights, conversion, photo):
    assert burnish("regions", "get", "full", "--weights", weights)[0] == 0
    blurred, again = photo.with_name("b.png"), photo.with_name("c.png")
    command = ["regions", "blur", photo, "--only", "disc", "--min-score", "0", "-o", blurred]
    code, _, err = burnish(*command)
    assert code == 0
    assert err.startswith("burnish: objects are found by the detector full\n")
    assert burnish("replay", blurred, photo, "-o", again)[0] == 0
    assert again.read_bytes() == blurred.read_bytes()
    (detector_file.downloaded_folder() / "full.onnx").unlink()
    code, _, err = burnish("replay", blurred, photo, "-o", again, "--overwrite")
    assert code == 3
    assert "burnish regions get full" in err


def test_get_takes_a_file_without_a_server(burnish, weights, conversion, monkeypatch):
    monkeypatch.setattr(get, "URL", get.URL.replace("http://", "http://127.0.0.1:9/"))
    code, _, err = burnish("regions", "get", "full")
    assert (code, err.count("\n")) == (3, 2)
    assert get.URL in err.splitlines()[1]
    assert "burnish regions get full --weights FILE" in err
    code, _, err = burnish("regions", "get", "full", "--weights", weights)
    assert (code, err) == (0, "")
    assert conversion == [weights.read_bytes()]


def test_get_refuses_a_damaged_download_and_other_weights(burnish, weights, conversion, tmp_path):
    weights.write_bytes(weights.read_bytes()[:-1])
    code, _, err = burnish("regions", "get", "full")
    assert code == 3
    assert "invalid hash" in err
    code, _, err = burnish("regions", "get", "full", "--weights", weights)
    assert (code, err.count("\n")) == (3, 1)
    assert "SHA-256" in err
    assert "burnish regions export" in err
    code, _, err = burnish("regions", "get", "full", "--weights", tmp_path / "none.pth")
    assert (code, err.count("\n")) == (3, 1)
    assert not conversion
    assert list(detector_file.downloaded_folder().iterdir()) == []


def test_get_of_another_name_fails(burnish):
    code, _, err = burnish("regions", "get", "best")
    assert (code, err.count("\n")) == (2, 1)
    assert "burnish regions get full" in err


def test_default_detector_is_the_bundled_one_until_then():
    assert detector_file.default_name() == detector_file.BUNDLED_DEFAULT
    with pytest.raises(ModelError, match="burnish regions get full"):
        MaskRCNN.open("full")
