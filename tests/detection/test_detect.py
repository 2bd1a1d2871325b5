"""The exported detector against torch and torchvision, and invalid files and outputs."""

import copy
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from burnish.detection import detector_file as files
from burnish.detection.detect import MaskRCNN, resize
from burnish.detection.detector_file import Calibration, DetectorCard
from burnish.errors import BurnishError, DeviceError, ModelError, OutputError, UsageError
from burnish.modelfile.onnx_file import embed_card
from burnish.modelfile.reader import read_model
from burnish.runtime import model_registry


@pytest.fixture(scope="module")
def detector(detector_file):
    return MaskRCNN.open(detector_file, device="cpu", threads=1)


def noise(height, width):
    return np.random.default_rng(0).random((height, width, 3), dtype=np.float32)


@pytest.mark.parametrize("size", [(96, 96), (96, 143), (144, 96), (96, 101)], ids=str)
def test_exported_detector_equals_torch(detector, detector_network, size):
    """The sizes are ones that the detector does not resize."""
    import torch

    from burnish.detection.training.export import _round_weights_to_fp16
    from burnish.detection.training.network import fuse_batchnorm

    network = copy.deepcopy(detector_network).eval()
    fuse_batchnorm(network)
    _round_weights_to_fp16(network)
    pixels = noise(*size)
    instances, trace = detector.explain(pixels)
    with torch.no_grad():
        expected, proposals = network.detect(torch.from_numpy(pixels.transpose(2, 0, 1).copy()))
    assert len(instances) > 0
    np.testing.assert_allclose(instances.boxes, expected.boxes, atol=0.01)
    np.testing.assert_allclose(instances.scores, expected.scores, atol=1e-4)
    np.testing.assert_allclose(np.stack(instances.masks), expected.masks, atol=1e-3)
    np.testing.assert_array_equal(trace.proposal_indices, expected.proposal_indices)
    np.testing.assert_allclose(trace.proposals, proposals.proposals, atol=0.01)
    np.testing.assert_allclose(trace.anchors, proposals.anchors, atol=1e-4)
    assert instances.labels == tuple(("disc", "box")[label - 1] for label in expected.labels)


def test_boxes_scale_with_the_photo(detector):
    large = noise(192, 240)
    small_instances = detector.predict(resize(large, (120, 96)))
    large_instances = detector.predict(large)
    assert small_instances.size == (120, 96)
    assert large_instances.size == (240, 192)
    np.testing.assert_allclose(2 * small_instances.boxes, large_instances.boxes, atol=0.1)
    assert large_instances.mask(0).shape == (192, 240)
    assert small_instances.boxes[:, 2].max() <= 120.01


@pytest.mark.parametrize("size", [(1, 1), (7, 900), (500, 40)], ids=str)
def test_photos_of_any_shape_are_accepted(detector, size):
    instances = detector.predict(noise(*size))
    assert instances.size == size[::-1]
    assert (np.diff(instances.scores) <= 0).all()


def test_no_detections_give_empty_instances(detector_network, detector_card, tmp_path):
    """The tracing exporter must not assume that there are detections."""
    import torch

    from burnish.detection.training.export import export

    network = copy.deepcopy(detector_network)
    with torch.no_grad():
        # The background becomes the likeliest class everywhere.
        network.roi_heads.box_predictor.cls_score.bias[0] += 20
    path = export(network, detector_card(), tmp_path / "empty.onnx")
    instances = MaskRCNN.open(path).predict(noise(96, 96))
    assert len(instances) == 0
    assert instances.boxes.shape == (0, 4)


def test_stages_equal_torchvision(detector_network):
    import torch
    from torchvision.models.detection.image_list import ImageList
    from torchvision.models.detection.roi_heads import RoIHeads
    from torchvision.models.detection.rpn import RegionProposalNetwork

    network = copy.deepcopy(detector_network)
    network.roi_heads.mask_iou_head = None  # torchvision has no IoU head
    image = torch.rand(3, 128, 160, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        detections, proposals = network.detect(image)
        batch = network._normalise(image)[None]
        features = network.backbone(batch)
        expected_proposals, _ = RegionProposalNetwork.forward(
            network.rpn, ImageList(batch, [(128, 160)]), features
        )
        expected, _ = RoIHeads.forward(
            network.roi_heads, features, expected_proposals, [(128, 160)]
        )
    torch.testing.assert_close(proposals.proposals, expected_proposals[0], atol=1e-3, rtol=0)
    assert len(detections.labels) > 0
    for name in ("boxes", "scores", "labels"):
        torch.testing.assert_close(getattr(detections, name), expected[0][name], atol=1e-3, rtol=0)
    torch.testing.assert_close(detections.masks, expected[0]["masks"][:, 0], atol=1e-3, rtol=0)
    sources = proposals.proposals[detections.proposal_indices]
    assert sources.shape == detections.boxes.shape


def test_predict_imports_no_torch(detector_file):
    code = f"""
import sys, numpy
from burnish.detection.detect import MaskRCNN
MaskRCNN.open({str(detector_file)!r}).predict(numpy.zeros((9, 8, 3), numpy.float32))
print(*sys.modules)
"""
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    modules = {name.partition(".")[0] for name in output.split()}
    assert "onnxruntime" in modules
    assert not modules & {"torch", "torchvision", "timm", "faster_coco_eval", "scipy"}


def test_open_reads_the_card(detector, detector_card):
    assert detector.card == detector_card()
    assert detector.device == "cpu"


def test_scores_are_calibrated(detector_file, detector_card, tmp_path):
    from burnish.detection.training.export import rewrite_card

    card = detector_card(calibration=Calibration(slope=2.0, offset=-1.0))
    path = rewrite_card(detector_file, card, tmp_path / "other.onnx")
    raw, calibrated = (
        MaskRCNN.open(file).predict(noise(96, 96)).scores for file in (detector_file, path)
    )
    logits = 2 * np.log(raw / (1 - raw)) - 1
    np.testing.assert_allclose(calibrated, 1 / (1 + np.exp(-logits)), rtol=1e-4)


@pytest.mark.parametrize("shape", [(5, 5), (5, 5, 4), (0, 5, 3)], ids=str)
def test_pixels_of_another_shape_raise(detector, shape):
    with pytest.raises(UsageError, match="H x W x 3"):
        detector.predict(np.zeros(shape, np.float32))


def test_unknown_or_missing_devices_raise(detector_file):
    with pytest.raises(UsageError, match="device"):
        MaskRCNN.open(detector_file, device="gpu")
    import onnxruntime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(DeviceError, match="CUDA"):
            MaskRCNN.open(detector_file, device="cuda")


def error_of(data, folder):
    """Return the error message for a detector file with these bytes."""
    path = folder / "other.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        MaskRCNN.open(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_files_without_a_detector_raise_model_error(tmp_path):
    assert "ONNX" in error_of(b"not a model", tmp_path)
    assert "burnish.detector" in error_of(b"", tmp_path)
    network = model_registry.find_model("l0-smoothing").read_bytes()
    assert "burnish.detector" in error_of(network, tmp_path)
    with pytest.raises(ModelError, match="no such file"):
        MaskRCNN.open(tmp_path / "none.onnx")
    with pytest.raises(UsageError, match="no-such-detector"):
        MaskRCNN.open("no-such-detector")


def test_detectors_are_not_models(detector_file):
    with pytest.raises(BurnishError):
        read_model(detector_file)
    assert not set(model_registry.model_names()) & {
        path.stem for path in files.BUNDLED.glob("*.onnx")
    }


def use_loop_operator(model):
    model.graph.node[0].op_type = "Loop"


def use_other_domain(model):
    model.graph.node[0].domain = "com.example"


def rename_output(model):
    model.graph.output[0].name = "bananas"


def remove_classes(model):
    card = DetectorCard.parse(model.metadata_props[0].value, "x")
    model.metadata_props[0].value = card.model_copy(update={"classes": ()}).model_dump_json()


def store_weights_elsewhere(model):
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def put_escape_code_in_card(model):
    text = model.metadata_props[0].value
    model.metadata_props[0].value = text.replace('"disc"', '"\\u001b[2J"')


def add_second_card(model):
    model.metadata_props.add(key=DetectorCard.metadata_key, value=model.metadata_props[0].value)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (use_loop_operator, "Loop"),
        (use_other_domain, "com.example"),
        (rename_output, "bananas"),
        (remove_classes, "classes"),
        (store_weights_elsewhere, "another file"),
        (put_escape_code_in_card, "classes.0"),
        (add_second_card, "2 entries"),
    ],
)
def test_invalid_detectors_raise_model_error(detector_file, tmp_path, change, word):
    model = onnx.load(detector_file)
    change(model)
    assert word in error_of(model.SerializeToString(), tmp_path)


def test_labels_without_a_class_raise(detector_card, tmp_path):
    """A valid graph whose constant outputs have a label for which the card has no name."""
    shapes = {"boxes": (1, 4), "labels": (1,), "scores": (1,), "masks": (1, 2, 2)}
    shapes |= {"proposal_indices": (1,), "anchors": (1, 4), "proposals": (1, 4), "objectness": (1,)}
    nodes, outputs = [], []
    for name, shape in shapes.items():
        is_integer = name in ("labels", "proposal_indices")
        kind = TensorProto.INT64 if is_integer else TensorProto.FLOAT
        values = np.full(shape, 2 if is_integer else 0.5).ravel().tolist()
        tensor = helper.make_tensor(f"{name}.value", kind, shape, values)
        nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        outputs.append(helper.make_tensor_value_info(name, kind, shape))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [3, "height", "width"])
    model = helper.make_model(
        helper.make_graph(nodes, "constant", [image], outputs),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    path = tmp_path / "constant.onnx"
    path.write_bytes(embed_card(model, detector_card()))
    assert files.read(path)[0] == detector_card()
    with pytest.raises(ModelError, match="labels"):
        MaskRCNN.open(path).predict(noise(20, 20))


def test_export_keeps_existing_files(detector_network, detector_card, tmp_path):
    from burnish.detection.training.export import export

    target = tmp_path / "mine.onnx"
    target.write_bytes(b"mine")
    with pytest.raises(OutputError, match="overwrite"):
        export(detector_network, detector_card(), target)
    assert target.read_bytes() == b"mine"
    with pytest.raises(OutputError, match=r"\.onnx"):
        export(detector_network, detector_card(), tmp_path / "mine.pth")
