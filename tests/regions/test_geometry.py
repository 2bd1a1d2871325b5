"""Anchors, matching and RoIAlign against their definitions, by brute force."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("torchvision", reason="torchvision is not installed")


def overlap(one, other):
    """Intersection over union of two boxes."""
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
    return width * height / (sum(areas) - width * height)


def boxes(random, count, side=64):
    low = random.random((count, 2)) * side * 0.7
    return np.concatenate([low, low + 2 + random.random((count, 2)) * side * 0.3], 1)


def test_anchors_lie_where_their_definition_says(untrained):
    """Each size and ratio at each place of each level, in the order of rows, columns, shapes."""
    image = torch.zeros(3, 64, 96)
    with torch.no_grad():
        _, proposed = untrained.find(image)
    expected = []
    for sizes, stride in zip(
        ((16, 24), (40, 60), (90, 130), (180, 260)), (8, 16, 32, 64), strict=True
    ):
        # The last level takes every second place of the one before, the first included.
        rows, columns = -(-64 // stride), -(-96 // stride)
        # torchvision works out strides from sizes, so the last one's follows from its places.
        down, across = 64 // rows, 96 // columns
        for row in range(rows):
            for column in range(columns):
                for ratio in (0.5, 1.0, 2.0):
                    for size in sizes:
                        width, height = size / np.sqrt(ratio), size * np.sqrt(ratio)
                        half = np.round(np.array([width, height], np.float32) / 2)
                        middle = np.array([column * across, row * down])
                        expected.append([*(middle - half), *(middle + half)])
    np.testing.assert_allclose(proposed.anchors.numpy(), np.array(expected), atol=1)


def test_proposals_are_matched_by_overlap(untrained):
    random = np.random.default_rng(0)
    proposed, true = boxes(random, 80), boxes(random, 5)
    matches, labels = untrained.roi_heads.assign_targets_to_proposals(
        [torch.tensor(proposed)], [torch.tensor(true)], [torch.tensor([1, 2, 1, 2, 1])]
    )
    hits = 0
    for index, box in enumerate(proposed):
        overlaps = [overlap(box, each) for each in true]
        best = int(np.argmax(overlaps))
        if overlaps[best] >= 0.5:
            hits += 1
            assert matches[0][index] == best
            assert labels[0][index] == [1, 2, 1, 2, 1][best]
        else:
            assert labels[0][index] == 0
    assert hits > 0


def test_anchors_are_matched_by_overlap(untrained):
    """From 0.7 on an anchor is right, below 0.3 wrong; and the best for an object is right."""
    random = np.random.default_rng(1)
    anchors, true = boxes(random, 300), boxes(random, 4)
    labels, _ = untrained.rpn.assign_targets_to_anchors(
        [torch.tensor(anchors)], [{"boxes": torch.tensor(true)}]
    )
    table = np.array([[overlap(anchor, box) for box in true] for anchor in anchors])
    best = (table == table.max(0)).any(1)
    most = table.max(1)
    expected = np.where(best | (most >= 0.7), 1, np.where(most < 0.3, 0, -1))
    np.testing.assert_array_equal(labels[0].numpy(), expected)
    assert {-1, 0, 1} == set(expected.tolist())


def bilinear(plane, y, x):
    height, width = plane.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0.0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, across = y - top, x - left
    upper = plane[top, left] * (1 - across) + plane[top, right] * across
    lower = plane[bottom, left] * (1 - across) + plane[bottom, right] * across
    return upper * (1 - down) + lower * down


def brute_roi_align(plane, box, side, scale, samples=2):
    left, top, right, bottom = (scale * value for value in box)
    width, height = max(right - left, 1.0), max(bottom - top, 1.0)
    result = np.zeros((side, side))
    for row in range(side):
        for column in range(side):
            total = 0.0
            for i in range(samples):
                for j in range(samples):
                    y = top + (row + (i + 0.5) / samples) * height / side
                    x = left + (column + (j + 0.5) / samples) * width / side
                    total += bilinear(plane, y, x)
            result[row, column] = total / samples**2
    return result


REGIONS = np.array(
    [[3.2, 5.1, 40.7, 33.3], [0, 0, 63, 47], [10, 10, 10.4, 10.2], [50, 30, 80, 70]], np.float32
)


def test_roi_align_is_its_definition():
    """torchvision's, and ONNX Runtime's as it is exported."""
    from torchvision.ops import roi_align

    plane = np.random.default_rng(0).random((12, 16))
    expected = np.stack([brute_roi_align(plane, box, 7, 0.25) for box in REGIONS])
    theirs = roi_align(
        torch.tensor(plane)[None, None], [torch.tensor(REGIONS).double()], 7, 0.25, 2
    )
    np.testing.assert_allclose(theirs[:, 0].numpy(), expected, atol=1e-6)
    names = ["plane", "regions", "images"]
    node = helper.make_node(
        "RoiAlign",
        names,
        ["result"],
        coordinate_transformation_mode="output_half_pixel",
        output_height=7,
        output_width=7,
        sampling_ratio=2,
        spatial_scale=0.25,
    )
    kinds = [TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.INT64]
    ends = [
        helper.make_tensor_value_info(name, kind, None)
        for name, kind in zip([*names, "result"], [*kinds, TensorProto.FLOAT], strict=True)
    ]
    graph = helper.make_graph([node], "roi", ends[:3], ends[3:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    given = dict(
        zip(
            names,
            [plane[None, None].astype(np.float32), REGIONS, np.zeros(4, np.int64)],
            strict=True,
        )
    )
    np.testing.assert_allclose(session.run(None, given)[0][:, 0], expected, atol=1e-4)
    assert onnx.__version__


def test_suppression_is_torchvision_s():
    from torchvision.ops import batched_nms

    from burnish.detection.training.heads import batched_nms

    random = np.random.default_rng(0)
    for _ in range(20):
        given = torch.tensor(boxes(random, 60), dtype=torch.float32)
        scores, groups = torch.tensor(random.random(60)), torch.tensor(random.integers(0, 3, 60))
        ours = batched_nms(given, scores.float(), groups, 0.4, (64, 64))
        assert ours.tolist() == batched_nms(given, scores.float(), groups, 0.4).tolist()
    nothing = batched_nms(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0).long(), 0.5, (4, 4))
    assert nothing.tolist() == []
