"""The commands `burnish regions train`, `evaluate` and `explain`."""

import json
import shutil

import pytest

from burnish.detection import detector_file as files


@pytest.fixture
def evaluate(burnish, shapes_dir, detector_file):
    """A function that runs `regions evaluate` on the four synthetic photos."""

    def evaluate(*options, detector=detector_file):
        return burnish(
            *("regions", "evaluate", detector, "--coco", shapes_dir / "instances.json"),
            *("--images", shapes_dir, *options),
        )

    return evaluate


def test_evaluate_prints_the_twelve_metrics(evaluate):
    code, out, err = evaluate()
    assert code == 0, err
    assert "4 photos, 8 objects" in out
    assert [line[:12].strip() for line in out.splitlines()[2:14]] == [
        *("AP", "AP50", "AP75", "AP small", "AP medium", "AP large"),
        *("AR at 1", "AR at 10", "AR at 100", "AR small", "AR medium", "AR large"),
    ]


def test_evaluate_prints_json(evaluate):
    _, out, _ = evaluate("--json")
    (metrics,) = json.loads(out)
    assert len(metrics["mask"]) == 12


def test_evaluate_needs_a_folder_for_each_file(evaluate, shapes_dir):
    code, _, err = evaluate("--coco", shapes_dir / "instances.json")
    assert code == 2
    assert "--images" in err


def test_evaluate_of_another_file_exits_with_3(evaluate, tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"nothing")
    code, _, err = evaluate(detector=tmp_path / "a.onnx")
    assert code == 3
    assert len(err.strip().splitlines()) == 1


def test_explain_writes_a_page(burnish, shapes_dir, detector_file, tmp_path):
    page = tmp_path / "a.html"
    command = ("regions", "explain", shapes_dir / "1.png", "--detector", detector_file, "-o", page)
    assert burnish(*command)[:2] == (0, f"{page}\n")
    assert burnish(*command)[0] == 1
    assert burnish(*command, "--overwrite")[0] == 0


@pytest.fixture
def train(burnish, shapes_dir, tmp_path, monkeypatch):
    """A function that runs one step of `regions train` on the four synthetic photos."""
    pytest.importorskip("timm", reason="timm is not installed")
    monkeypatch.chdir(tmp_path)

    def train(*options):
        return burnish(
            *("regions", "train", "--coco", shapes_dir / "instances.json", "--images", shapes_dir),
            *("--steps", "1", "--image-size", "96", "--batch", "1", "--class", "disc"),
            *("--other-class", "thing", "-o", "d.onnx", *options),
        )

    return train


@pytest.mark.slow
def test_train_writes_a_detector_once(train, shapes_dir, tmp_path):
    # Photos with other bytes, because validation on training photos is rejected.
    other = tmp_path / "other"
    shutil.copytree(shapes_dir, other)
    for path in other.glob("*.png"):
        path.write_bytes(path.read_bytes() + b"\0")
    validation = ("--val-coco", other / "instances.json", "--val-images", other)
    code, out, err = train(*validation)
    assert code == 0, err
    assert out.startswith("d.onnx\n")
    card = files.read("d.onnx")[0]
    assert card.classes == ("disc", "thing")
    assert card.other_class == "thing"
    assert card.training["steps"] == 1
    (metrics,) = card.metrics
    assert (metrics.dataset, metrics.object_count) == ("other/instances.json", 8)
    assert train()[0] == 1


@pytest.mark.parametrize(
    ("options", "word"),
    [(("--budget", "1m"), "--budget"), (("--class", "cat"), "--class cat"), (("-o", "d"), ".onnx")],
)
def test_train_rejects_invalid_options(train, options, word):
    code, _, err = train(*options)
    assert code == 2
    assert word in err


def test_train_rejects_validation_on_training_photos(train, shapes_dir):
    code, _, err = train("--val-coco", shapes_dir / "instances.json", "--val-images", shapes_dir)
    assert code == 2
    assert "1.png" in err
