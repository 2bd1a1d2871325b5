"""Edge agreement and mask scoring against their definitions, by brute force."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("torchvision", reason="torchvision is not installed")


def test_edge_agreement_is_its_definition():
    from burnish.detection.training.edge_loss import edge_loss

    random = np.random.default_rng(0)
    one, other = random.random((2, 3, 9, 11))
    across = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]])
    total, count = 0.0, 0
    for index in range(3):
        for kernel in (across, across.T):
            for row in range(7):
                for column in range(9):
                    part = slice(row, row + 3), slice(column, column + 3)
                    ours = (one[index][part] * kernel).sum()
                    theirs = (other[index][part] * kernel).sum()
                    total, count = total + (ours - theirs) ** 2, count + 1
    measured = edge_loss(torch.tensor(one), torch.tensor(other)).item()
    assert measured == pytest.approx(total / count, rel=1e-6)


def test_mask_overlap_counts_what_lies_outside_the_box():
    from burnish.detection.training.mask_iou import mask_iou

    random = np.random.default_rng(1)
    whole = np.zeros((56, 56), bool)
    whole[10:50, 5:45] = random.random((40, 40)) < 0.8
    box = np.array([0, 0, 28, 28])  # of the object, a part
    predicted = random.random((28, 28)) < 0.5
    inside = np.zeros_like(whole)
    inside[:28, :28] = predicted
    expected = (inside & whole).sum() / (inside | whole).sum()
    measured = mask_iou(
        torch.tensor(predicted)[None].float(),
        torch.tensor(whole[:28, :28])[None].float(),
        torch.tensor(box)[None].float(),
        torch.tensor([float(whole.sum())]),
    )
    assert measured.item() == pytest.approx(expected, rel=1e-5)


def losses(network, edges):
    network.roi_heads.edges = edges
    image = torch.rand(3, 96, 96, generator=torch.Generator().manual_seed(0))
    masks = torch.zeros(1, 96, 96, dtype=torch.uint8)
    masks[0, 20:70, 30:80] = 1
    target = {"boxes": torch.tensor([[30.0, 20, 80, 70]]), "labels": torch.tensor([1])}
    torch.manual_seed(0)
    network.train()
    try:
        with torch.random.fork_rng():
            return network([image], [target | {"masks": masks}])
    finally:
        network.eval()
        network.roi_heads.edges = 0.0


def test_switches_add_their_losses(untrained):
    import copy

    network = copy.deepcopy(untrained)
    assert set(losses(network, 0.0)) == {
        *("objectness", "proposal", "class", "box", "mask", "quality")
    }
    assert losses(network, 0.5)["edges"] > 0
    network.roi_heads.add(None)
    assert "quality" not in losses(network, 0.0)


def test_a_picture_without_objects_has_finite_losses(untrained):
    import copy

    network = copy.deepcopy(untrained).train()
    target = {
        "boxes": torch.zeros(0, 4),
        "labels": torch.zeros(0, dtype=torch.int64),
        "masks": torch.zeros(0, 64, 64, dtype=torch.uint8),
    }
    total = sum(network([torch.rand(3, 64, 64)], [target]).values())
    total.backward()
    assert torch.isfinite(total)
