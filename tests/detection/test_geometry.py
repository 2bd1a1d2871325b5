"""Anchors, matching, RoIAlign and NMS against their definitions, by brute force."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("timm", reason="timm is not installed")


def iou(first, second):
    width = max(0.0, min(first[2], second[2]) - max(first[0], second[0]))
    height = max(0.0, min(first[3], second[3]) - max(first[1], second[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return width * height / (sum(areas) - width * height)


def random_boxes(random, count, side=64):
    low = random.random((count, 2)) * side * 0.7
    return np.concatenate([low, low + 2 + random.random((count, 2)) * side * 0.3], 1)


def test_anchors_equal_their_definition(detector_network):
    """For each level, row, column, aspect ratio and size, in this order."""
    image = torch.zeros(3, 64, 96)
    with torch.no_grad():
        _, proposals = detector_network.detect(image)
    expected = []
    sizes_by_level = ((16, 24), (40, 60), (90, 130), (180, 260))
    for sizes, stride in zip(sizes_by_level, (8, 16, 32, 64), strict=True):
        # The last level has every second row and column of the level before, from the first on.
        rows, columns = -(-64 // stride), -(-96 // stride)
        # torchvision computes strides from the sizes of the levels.
        stride_y, stride_x = 64 // rows, 96 // columns
        for row in range(rows):
            for column in range(columns):
                for ratio in (0.5, 1.0, 2.0):
                    for size in sizes:
                        width, height = size / np.sqrt(ratio), size * np.sqrt(ratio)
                        half = np.round(np.array([width, height], np.float32) / 2)
                        centre = np.array([column * stride_x, row * stride_y])
                        expected.append([*(centre - half), *(centre + half)])
    np.testing.assert_allclose(proposals.anchors.numpy(), np.array(expected), atol=1)


def test_proposals_match_the_object_of_highest_iou(detector_network):
    random = np.random.default_rng(0)
    proposals, objects = random_boxes(random, 80), random_boxes(random, 5)
    object_labels = [1, 2, 1, 2, 1]
    matches, labels = detector_network.roi_heads.assign_targets_to_proposals(
        [torch.tensor(proposals)], [torch.tensor(objects)], [torch.tensor(object_labels)]
    )
    positives = 0
    for index, box in enumerate(proposals):
        ious = [iou(box, other) for other in objects]
        best = int(np.argmax(ious))
        if ious[best] >= 0.5:
            positives += 1
            assert matches[0][index] == best
            assert labels[0][index] == object_labels[best]
        else:
            assert labels[0][index] == 0
    assert positives > 0


def test_anchors_match_by_iou(detector_network):
    """An IoU of 0.7 or the highest of an object is positive, below 0.3 is negative."""
    random = np.random.default_rng(1)
    anchors, objects = random_boxes(random, 300), random_boxes(random, 4)
    labels, _ = detector_network.rpn.assign_targets_to_anchors(
        [torch.tensor(anchors)], [{"boxes": torch.tensor(objects)}]
    )
    ious = np.array([[iou(anchor, box) for box in objects] for anchor in anchors])
    is_best = (ious == ious.max(0)).any(1)
    highest = ious.max(1)
    expected = np.where(is_best | (highest >= 0.7), 1, np.where(highest < 0.3, 0, -1))
    np.testing.assert_array_equal(labels[0].numpy(), expected)
    assert set(expected.tolist()) == {-1, 0, 1}


def bilinear(plane, y, x):
    height, width = plane.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0.0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    weight_y, weight_x = y - top, x - left
    upper = plane[top, left] * (1 - weight_x) + plane[top, right] * weight_x
    lower = plane[bottom, left] * (1 - weight_x) + plane[bottom, right] * weight_x
    return upper * (1 - weight_y) + lower * weight_y


def roi_align_by_brute_force(plane, box, side, scale, samples=2):
    left, top, right, bottom = (scale * value for value in box)
    width, height = max(right - left, 1.0), max(bottom - top, 1.0)
    output = np.zeros((side, side))
    for row, column, i, j in np.ndindex(side, side, samples, samples):
        y = top + (row + (i + 0.5) / samples) * height / side
        x = left + (column + (j + 0.5) / samples) * width / side
        output[row, column] += bilinear(plane, y, x) / samples**2
    return output


REGIONS = np.array(
    [[3.2, 5.1, 40.7, 33.3], [0, 0, 63, 47], [10, 10, 10.4, 10.2], [50, 30, 80, 70]], np.float32
)


def test_roi_align_equals_its_definition():
    """In torchvision, and in ONNX Runtime with the attributes of the exported graph."""
    from torchvision.ops import roi_align

    plane = np.random.default_rng(0).random((12, 16))
    expected = np.stack([roi_align_by_brute_force(plane, box, 7, 0.25) for box in REGIONS])
    pooled = roi_align(
        torch.tensor(plane)[None, None], [torch.tensor(REGIONS).double()], 7, 0.25, 2
    )
    np.testing.assert_allclose(pooled[:, 0].numpy(), expected, atol=1e-6)
    inputs = {
        "plane": plane[None, None].astype(np.float32),
        "regions": REGIONS,
        "images": np.zeros(4, np.int64),
    }
    node = helper.make_node(
        "RoiAlign",
        list(inputs),
        ["pooled"],
        coordinate_transformation_mode="output_half_pixel",
        output_height=7,
        output_width=7,
        sampling_ratio=2,
        spatial_scale=0.25,
    )
    types = [TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.INT64, TensorProto.FLOAT]
    values = [
        helper.make_tensor_value_info(name, kind, None)
        for name, kind in zip([*inputs, "pooled"], types, strict=True)
    ]
    graph = helper.make_graph([node], "roi", values[:3], values[3:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    np.testing.assert_allclose(session.run(None, inputs)[0][:, 0], expected, atol=1e-4)


def test_batched_nms_equals_torchvision():
    from torchvision import ops

    from burnish.detection.training.heads import batched_nms

    random = np.random.default_rng(0)
    for _ in range(20):
        boxes = torch.tensor(random_boxes(random, 60), dtype=torch.float32)
        scores, groups = torch.tensor(random.random(60)), torch.tensor(random.integers(0, 3, 60))
        indices = batched_nms(boxes, scores.float(), groups, 0.4, (64, 64))
        assert indices.tolist() == ops.batched_nms(boxes, scores.float(), groups, 0.4).tolist()
    empty = batched_nms(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0).long(), 0.5, (4, 4))
    assert empty.tolist() == []
