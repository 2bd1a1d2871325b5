"""The edge loss and the IoU of masks against their definitions, by brute force."""

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("timm", reason="timm is not installed")

from burnish.detection.training.heads import edge_loss, mask_iou  # noqa: E402


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


def losses(network):
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
    assert set(losses(network)) == {"objectness", "proposal", "class", "box", "mask", "mask_iou"}
    heads.configure(heads.mask_iou_head, edge_loss_weight=0.5)
    assert losses(network)["edges"] > 0
    heads.configure(None)
    assert set(losses(network)) == {"objectness", "proposal", "class", "box", "mask"}


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
