"""The exported detector against torch and torchvision, and files that are none."""

import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from burnish.detection import detector_file
from burnish.detection.card import CARD_KEY, parse_card
from burnish.detection.detect import MaskRCNN
from burnish.detection.resize import resize
from burnish.errors import BurnishError, DeviceError, ModelError, UsageError


@pytest.fixture(scope="module")
def detector(detector_file):
    return MaskRCNN.open(detector_file, device="cpu", threads=1)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).random((height, width, 3), dtype=np.float32)


@pytest.mark.parametrize("size", [(96, 96), (96, 143), (144, 96), (96, 101)], ids=str)
def test_as_torch(detector, untrained, size):
    """At the sizes that it looks at, where nothing is resized."""
    import copy

    import torch

    from burnish.detection.training.export import _round_weights_to_fp16
    from burnish.detection.training.fuse import fuse_batchnorm

    network = copy.deepcopy(untrained).eval()
    fuse_batchnorm(network)
    _round_weights_to_fp16(network)
    pixels = noise(*size)
    found, steps = detector.explain(pixels)
    with torch.no_grad():
        ours, proposed = network.find(torch.from_numpy(pixels.transpose(2, 0, 1).copy()))
    assert len(found) > 0
    np.testing.assert_allclose(found.boxes, ours.boxes, atol=0.01)
    np.testing.assert_allclose(found.scores, ours.scores, atol=1e-4)
    np.testing.assert_allclose(np.stack(found.masks), ours.masks, atol=1e-3)
    np.testing.assert_array_equal(steps.chosen, ours.chosen)
    np.testing.assert_allclose(steps.proposals, proposed.proposals, atol=0.01)
    np.testing.assert_allclose(steps.anchors, proposed.anchors, atol=1e-4)
    assert found.labels == tuple(("disc", "box")[label - 1] for label in ours.labels)


def test_boxes_are_in_the_photo_s_pixels(detector):
    """A photo twice as large gives twice as large boxes: what it looks at is the same."""
    large = noise(192, 240)
    small = resize(large, (120, 96))
    one, other = detector.predict(small), detector.predict(large)
    assert one.size == (120, 96)
    assert other.size == (240, 192)
    np.testing.assert_allclose(2 * one.boxes, other.boxes, atol=0.1)
    assert other.mask(0).shape == (192, 240)
    assert one.boxes[:, 2].max() <= 120.01


@pytest.mark.parametrize("size", [(1, 1), (7, 900), (500, 40)], ids=str)
def test_photos_of_any_shape(detector, size):
    found = detector.predict(noise(*size))
    assert found.size == size[::-1]
    assert (np.diff(found.scores) <= 0).all()


def test_nothing_found(untrained, detector_card, tmp_path):
    """A graph is right where nothing is found, though it was traced with something."""
    import copy

    import torch

    from burnish.detection.training.export import export

    network = copy.deepcopy(untrained)
    with torch.no_grad():
        # The background is always likelier, but for a red picture's sake at the traced size.
        network.roi_heads.box_predictor.cls_score.bias[0] += 20
    path = export(network, detector_card(), tmp_path / "blind.onnx")
    found = MaskRCNN.open(path).predict(noise(96, 96))
    assert len(found) == 0
    assert found.boxes.shape == (0, 4)


def test_the_same_as_torchvision_s_own(untrained):
    """Our stages one after the other are torchvision's detector, but for the masks' scores."""
    import copy

    import torch
    from torchvision.models.detection.image_list import ImageList
    from torchvision.models.detection.roi_heads import RoIHeads
    from torchvision.models.detection.rpn import RegionProposalNetwork

    network = copy.deepcopy(untrained)
    network.roi_heads.add(None)
    image = torch.rand(3, 128, 160, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        ours, proposed = network.find(image)
        batch = network._normal(image)[None]
        features = network.backbone(batch)
        proposals, _ = RegionProposalNetwork.forward(
            network.rpn, ImageList(batch, [(128, 160)]), features
        )
        theirs, _ = RoIHeads.forward(network.roi_heads, features, proposals, [(128, 160)])
    torch.testing.assert_close(proposed.proposals, proposals[0], atol=1e-3, rtol=0)
    assert len(ours.labels) > 0
    for name in ("boxes", "scores", "labels"):
        torch.testing.assert_close(getattr(ours, name), theirs[0][name], atol=1e-3, rtol=0)
    torch.testing.assert_close(ours.masks, theirs[0]["masks"][:, 0], atol=1e-3, rtol=0)
    sides = proposed.proposals[ours.chosen]
    assert sides.shape == ours.boxes.shape


def test_running_needs_no_torch(detector_file):
    code = f"""
import sys, numpy
from burnish.detection.detect import MaskRCNN
MaskRCNN.open({str(detector_file)!r}).predict(numpy.zeros((9, 8, 3), numpy.float32))
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "onnxruntime" in loaded
    assert not loaded & {"torch", "torchvision", "faster_coco_eval", "pycocotools", "scipy"}


def test_card_comes_back(detector, detector_card):
    assert detector.card == detector_card()
    assert detector.device == "cpu"


def test_scores_are_calibrated(detector_file, untrained, detector_card, tmp_path):
    from burnish.detection.card import Calibration
    from burnish.detection.training.export import rewrite_card

    card = detector_card(calibration=Calibration(slope=2.0, offset=-1.0))
    path = rewrite_card(detector_file, card, tmp_path / "other.onnx")
    pixels = noise(96, 96)
    raw, turned = (MaskRCNN.open(p).predict(pixels).scores for p in (detector_file, path))
    logits = 2 * np.log(raw / (1 - raw)) - 1
    np.testing.assert_allclose(turned, 1 / (1 + np.exp(-logits)), rtol=1e-4)


@pytest.mark.parametrize("shape", [(5, 5), (5, 5, 4), (0, 5, 3)], ids=str)
def test_pixels_of_another_shape(detector, shape):
    with pytest.raises(UsageError, match="expected H x W x 3"):
        detector.predict(np.zeros(shape, np.float32))


def test_devices(detector_file):
    with pytest.raises(UsageError, match="device"):
        MaskRCNN.open(detector_file, device="gpu")
    import onnxruntime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(DeviceError, match="without CUDA"):
            MaskRCNN.open(detector_file, device="cuda")


def refused(data, folder, words):
    path = folder / "strange.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        MaskRCNN.open(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def changed(path, change):
    model = onnx.load(path)
    change(model)
    return model.SerializeToString()


def test_files_that_are_no_detectors(tmp_path):
    refused(b"no model at all", tmp_path, "expected an ONNX model")
    refused(b"", tmp_path, "got another kind of model")
    with pytest.raises(ModelError, match="no such file"):
        MaskRCNN.open(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="expected the name of a model"):
        MaskRCNN.open("no-such-detector")
    from burnish.runtime import model_registry as shelf

    operator = shelf.find_model("l0-smoothing").read_bytes()
    refused(operator, tmp_path, "expected a detector, with one card in its metadata")


def test_a_detector_is_no_operator_s_network(detector_file):
    from burnish.modelfile.reader import read_model
    from burnish.runtime import model_registry as shelf

    with pytest.raises(BurnishError):
        read_model(detector_file)
    assert not {path.stem for path in detector_file.parent.glob("*.onnx")} & set(
        shelf.model_names()
    )


def strange_operator(model):
    model.graph.node[0].op_type = "Loop"


def strange_domain(model):
    model.graph.node[0].domain = "com.example"


def other_ends(model):
    model.graph.output[0].name = "bananas"


def no_class_for(model):
    card = parse_card(model.metadata_props[0].value, "x")
    model.metadata_props[0].value = card.model_copy(update={"classes": ()}).model_dump_json()


def weights_elsewhere(model):
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def card_with_control_characters(model):
    text = model.metadata_props[0].value
    model.metadata_props[0].value = text.replace('"disc"', '"\\u001b[2J"')


def two_cards(model):
    model.metadata_props.add(key=CARD_KEY, value=model.metadata_props[0].value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (strange_operator, "only operators that a detector needs, got 'Loop'"),
        (strange_domain, "only operators that a detector needs, got 'com.example"),
        (other_ends, "a graph from image to boxes, labels"),
        (no_class_for, "a valid detector's card, got classes"),
        (weights_elsewhere, "weights inside the file"),
        (card_with_control_characters, "a valid detector's card, got classes.0"),
        (two_cards, "several cards"),
    ],
)
def test_strangers_files_are_refused(detector_file, tmp_path, change, words):
    refused(changed(detector_file, change), tmp_path, words)


def test_answers_that_are_none_are_refused(detector_card, tmp_path):
    """A graph with the right ends that gives labels the card has no names for."""
    shapes = {"boxes": (1, 4), "labels": (1,), "scores": (1,), "masks": (1, 2, 2), "proposal_indices": (1,)}
    shapes |= {"anchors": (1, 4), "proposals": (1, 4), "objectness": (1,)}
    nodes, ends = [], []
    for name, shape in shapes.items():
        whole = name in ("labels", "proposal_indices")
        kind = TensorProto.INT64 if whole else TensorProto.FLOAT
        values = np.full(shape, 2 if whole else 0.5).ravel().tolist()
        tensor = helper.make_tensor(
            f"{name}.value", kind, shape, [int(v) for v in values] if whole else values
        )
        nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        ends.append(helper.make_tensor_value_info(name, kind, shape))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [3, "height", "width"])
    model = helper.make_model(
        helper.make_graph(nodes, "odd", [image], ends),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    model.metadata_props.add(key=CARD_KEY, value=detector_card().model_dump_json())
    path = tmp_path / "odd.onnx"
    onnx.save(model, path)
    assert detector_file.read(path).card == detector_card()
    with pytest.raises(ModelError, match="labels that its card has no names for"):
        MaskRCNN.open(path).predict(noise(20, 20))


def test_export_overwrites_nothing(untrained, detector_card, tmp_path):
    from burnish.detection.training.export import export
    from burnish.errors import OutputError

    target = tmp_path / "mine.onnx"
    target.write_bytes(b"mine")
    with pytest.raises(OutputError, match="overwrite"):
        export(untrained, detector_card(), target)
    assert target.read_bytes() == b"mine"
    with pytest.raises(OutputError, match=r"ends with \.onnx"):
        export(untrained, detector_card(), tmp_path / "mine.pth")
