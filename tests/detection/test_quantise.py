"""A detector in 8-bit integers: what is rounded, the outputs, the command and its errors."""

import shutil

import numpy as np
import onnx
import pytest

from burnish.detection import detector_file as files
from burnish.detection.detect import MaskRCNN
from burnish.detection.training import quantise as module
from burnish.photo import Photo


@pytest.fixture(scope="module")
def photo_folder(shapes_dir, tmp_path_factory):
    """Eight photos: four of the synthetic ones, and their mirror images."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(1, 5):
        shutil.copy(shapes_dir / f"{number}.png", folder)
        pixels = Photo.open(shapes_dir / f"{number}.png").pixels
        Photo(np.ascontiguousarray(pixels[:, ::-1])).save(folder / f"{number}-mirrored.png")
    return folder


@pytest.fixture(scope="module")
def int8_file(detector_file, photo_folder, tmp_path_factory):
    """The detector in 8-bit integers, which are twice as fast, whatever the machine does."""
    target = tmp_path_factory.mktemp("int8") / "int8.onnx"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "cpu_seconds", lambda functions, rounds: [0.2, 0.1])
        before, after = module.quantise(detector_file, photo_folder, target)
    assert (before.milliseconds, after.milliseconds) == (200, 100)
    assert after.megabytes < before.megabytes
    return target


@pytest.fixture
def compress(burnish, detector_file, int8_file, photo_folder, tmp_path, monkeypatch):
    """Run the command; its graph is that of `int8_file`."""
    monkeypatch.setattr(module, "quantise_backbone", lambda *rest: onnx.load(int8_file))

    def run(*options, detector=detector_file, photos=photo_folder):
        common = ["regions", "compress", detector, "--photos", photos]
        return burnish(*common, "-o", tmp_path / "out.onnx", *options)

    return run


def test_only_backbone_and_pyramid_are_rounded(int8_file, detector_file):
    """Node names of the exporter begin with the module that they belong to."""
    nodes = onnx.load(int8_file).graph.node
    rounded = {name for n in nodes if n.op_type == "DequantizeLinear" for name in n.output}
    convs = [node for node in nodes if node.op_type == "Conv"]
    for node in convs:
        assert (node.input[1] in rounded) == node.name.startswith("/backbone/"), node.name
    assert sum(node.input[1] in rounded for node in convs) > 50
    card = files.read(int8_file)[0]
    assert card.training["compression"]["precision"] == "int8"
    assert card.classes == files.read(detector_file)[0].classes


def test_objectness_is_close_to_that_in_float32(int8_file, detector_file, shapes_dir):
    pixels = Photo.open(shapes_dir / "1.png").pixels
    traces = [MaskRCNN.open(file).explain(pixels)[1] for file in (detector_file, int8_file)]
    np.testing.assert_array_equal(traces[0].anchors, traces[1].anchors)
    count = min(len(trace.objectness) for trace in traces)
    differences = np.abs(traces[0].objectness[:count] - traces[1].objectness[:count])
    assert 0 < differences.max() < 0.05


def test_accuracy_is_measured_before_and_after(compress, shapes_dir, monkeypatch, int8_file):
    monkeypatch.setattr(module, "cpu_seconds", lambda functions, rounds: [0.2, 0.1])
    data = ("--coco", shapes_dir / "instances.json", "--images", shapes_dir)
    code, out, err = compress(*data)
    assert code == 0, err
    assert "AP of masks" in out
    assert "2.00 times as fast" in out
    code, _, err = compress("--overwrite", detector=int8_file)
    assert (code, "compressed already" in err) == (2, True)


def test_nothing_is_written_if_it_is_not_faster(compress, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "cpu_seconds", lambda functions, rounds: [0.1, 0.1])
    code, _, err = compress()
    assert (code, len(err.strip().splitlines()[-1]) < 250) == (1, True)
    assert "integers take 100 ms a photo on this machine" in err
    assert not (tmp_path / "out.onnx").exists()


def test_too_few_photos_are_reported_in_one_line(compress, shapes_dir, tmp_path):
    code, _, err = compress(photos=shapes_dir)
    assert (code, len(err.splitlines())) == (2, 1)
    assert "4 photos are too few" in err
    code, _, err = compress("--coco", shapes_dir / "instances.json")
    assert (code, "--images" in err) == (2, True)
    (tmp_path / "out.onnx").write_bytes(b"mine")
    code, _, err = compress()
    assert (code, (tmp_path / "out.onnx").read_bytes()) == (1, b"mine")


def test_backbone_is_what_the_pooled_features_depend_on(detector_file):
    """Every node is either before or behind a feature map, found from the image forwards."""
    model = onnx.load_model_from_string(files.read(detector_file)[1])
    backbone = {node.name for node in module.backbone_nodes(model)}
    pooled = {node.input[0] for node in model.graph.node if node.op_type == "RoiAlign"}
    behind: set[str] = set()
    for node in model.graph.node:  # in order
        if not behind.isdisjoint(node.input) or not pooled.isdisjoint(node.input):
            behind.update(node.output)
            assert node.name not in backbone or pooled & set(node.output), node.name
