"""`burnish regions`: what is said, and what it ends with."""

import json
import shutil

import pytest

pytest.importorskip("faster_coco_eval", reason="faster-coco-eval is not installed")


def test_evaluate(burnish, shapes, detector_file):
    code, out, err = burnish(
        *("regions", "evaluate", detector_file, "--coco", shapes / "instances.json"),
        *("--images", shapes),
    )
    assert code == 0, err
    assert "4 photos, 8 objects" in out
    assert [line[:12].strip() for line in out.splitlines()[2:14]] == [
        *("AP", "AP50", "AP75", "AP small", "AP medium", "AP large"),
        *("AR at 1", "AR at 10", "AR at 100", "AR small", "AR medium", "AR large"),
    ]
    code, out, err = burnish(
        *("regions", "evaluate", detector_file, "--coco", shapes / "instances.json"),
        *("--images", shapes, "--json"),
    )
    (record,) = json.loads(out)
    assert len(record["mask"]) == 12


def test_folders_and_files_go_in_pairs(burnish, shapes, detector_file):
    code, _, err = burnish(
        *("regions", "evaluate", detector_file, "--coco", shapes / "instances.json"),
        *("--coco", shapes / "instances.json", "--images", shapes),
    )
    assert code == 2
    assert "expected as many folders as files, got 2 and 1" in err


def test_no_detector(burnish, shapes, tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"nothing")
    code, _, err = burnish(
        *("regions", "evaluate", tmp_path / "a.onnx", "--coco", shapes / "instances.json"),
        *("--images", shapes),
    )
    assert code == 3
    assert len(err.strip().splitlines()) == 1


def test_explain(burnish, shapes, detector_file, tmp_path):
    page = tmp_path / "a.html"
    asked = ("regions", "explain", shapes / "1.png", "--detector", detector_file, "-o", page)
    assert burnish(*asked)[:2] == (0, f"{page}\n")
    assert burnish(*asked)[0] == 1
    assert burnish(*asked, "--overwrite")[0] == 0


@pytest.mark.slow
def test_train_writes_what_it_measured(burnish, shapes, tmp_path, monkeypatch):
    pytest.importorskip("torchvision", reason="torchvision is not installed")
    monkeypatch.chdir(tmp_path)
    held_out = tmp_path / "held-out"
    shutil.copytree(shapes, held_out)
    asked = (
        *("regions", "train", "--coco", shapes / "instances.json", "--images", shapes),
        *("--steps", "1", "--canvas", "96", "--batch", "1", "--class", "disc", "--rest", "thing"),
        *("-o", "d.onnx"),
    )
    code, _, err = burnish(
        *asked, "--held-out-coco", held_out / "instances.json", "--held-out-images", held_out
    )
    assert code == 2
    assert "expected photos that are not trained on, got 1.png" in err
    code, out, err = burnish(*asked)
    assert code == 0, err
    assert out == "d.onnx\n"
    from burnish.detection.detector_file import read

    card = read("d.onnx").card
    assert card.classes == ("disc", "thing")
    assert card.other_class == "thing"
    assert card.training["steps"] == 1
    assert card.metrics == ()
    assert burnish(*asked)[0] == 1  # it is there already
    for wrong, words in (
        (("--budget", "1m"), "got both"),
        (("--class", "cat"), "expected a category"),
    ):
        code, _, err = burnish(*asked, *wrong, "--overwrite")
        assert code == 2
        assert words in err
