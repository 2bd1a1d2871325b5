"""Anchors, matching, RoIAlign, NMS and losses against their definitions, by brute force."""

import copy

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("timm", reason="timm is not installed")

from burnish.detection.training.network import batched_nms, edge_loss, mask_iou  # noqa: E402


def iou(first, second):
    width = max(0.0, min(first[2], second[2]) - max(first[0], second[0]))
    height = max(0.0, min(first[3], second[3]) - max(first[1], second[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return width * height / (sum(areas) - width * height)


def random_boxes(random, count, side=64):
    low = random.random((count, 2)) * side * 0.7
    return np.concatenate([low, low + 2 + random.random((count, 2)) * side * 0.3], 1)


def test_anchors_equal_their_definition(detector_network):
    """They are sorted by level, row, column, aspect ratio and size."""
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
    """An anchor is positive with an IoU of 0.7 or the highest of an object, negative below 0.3."""
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
    """Both torchvision and ONNX Runtime are tested, with the attributes of the exported graph."""
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

    random = np.random.default_rng(0)
    for _ in range(20):
        boxes = torch.tensor(random_boxes(random, 60), dtype=torch.float32)
        scores, groups = torch.tensor(random.random(60)), torch.tensor(random.integers(0, 3, 60))
        indices = batched_nms(boxes, scores.float(), groups, 0.4, (64, 64))
        assert indices.tolist() == ops.batched_nms(boxes, scores.float(), groups, 0.4).tolist()
    empty = batched_nms(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0).long(), 0.5, (4, 4))
    assert empty.tolist() == []


def test_edge_loss_equals_its_definition():
    first, second = np.random.default_rng(0).random((2, 3, 9, 11))
    sobel_x = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]])
    total, count = 0.0, 0
    for index, row, column in np.ndindex(3, 7, 9):
        window = slice(row, row + 3), slice(column, column + 3)
        for kernel in (sobel_x, sobel_x.T):
            difference = ((first[index][window] - second[index][window]) * kernel).sum()
            total, count = total + difference**2, count + 1
    loss = edge_loss(torch.tensor(first), torch.tensor(second)).item()
    assert loss == pytest.approx(total / count, rel=1e-6)


def test_mask_iou_counts_the_object_outside_the_box():
    random = np.random.default_rng(1)
    true = np.zeros((56, 56), bool)
    true[10:50, 5:45] = random.random((40, 40)) < 0.8
    box = np.array([0, 0, 28, 28])  # holds a part of the object
    predicted = random.random((28, 28)) < 0.5
    pasted = np.zeros_like(true)
    pasted[:28, :28] = predicted
    expected = (pasted & true).sum() / (pasted | true).sum()
    iou = mask_iou(
        torch.tensor(predicted)[None].float(),
        torch.tensor(true[:28, :28])[None].float(),
        torch.tensor(box)[None].float(),
        torch.tensor([float(true.sum())]),
    )
    assert iou.item() == pytest.approx(expected, rel=1e-5)


def losses_of(network):
    image = torch.rand(3, 96, 96, generator=torch.Generator().manual_seed(0))
    masks = torch.zeros(1, 96, 96, dtype=torch.uint8)
    masks[0, 20:70, 30:80] = 1
    target = {"boxes": torch.tensor([[30.0, 20, 80, 70]]), "labels": torch.tensor([1])}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return network([image], [target | {"masks": masks}])


def test_options_add_their_losses(detector_network):
    network = copy.deepcopy(detector_network).train()
    heads = network.roi_heads
    assert set(losses_of(network)) == {"objectness", "proposal", "class", "box", "mask", "mask_iou"}
    heads.edge_loss_weight = 0.5
    assert losses_of(network)["edges"] > 0
    heads.edge_loss_weight, heads.mask_iou_head = 0.0, None
    assert set(losses_of(network)) == {"objectness", "proposal", "class", "box", "mask"}


def test_losses_are_finite_without_objects(detector_network):
    network = copy.deepcopy(detector_network).train()
    target = {
        "boxes": torch.zeros(0, 4),
        "labels": torch.zeros(0, dtype=torch.int64),
        "masks": torch.zeros(0, 64, 64, dtype=torch.uint8),
    }
    total = sum(network([torch.rand(3, 64, 64)], [target]).values())
    total.backward()
    assert torch.isfinite(total)
