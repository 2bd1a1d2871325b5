"""Features of a pruned network are compared with those of the channels that it kept."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from burnish.compression.distil import FEATURE_SHARE, DistillationTrainer
from burnish.compression.features import (
    affinity_error,
    counterparts,
    feature_error,
    recorded_inputs,
)
from burnish.compression.structure import (
    apply_edits,
    channel_groups,
    group_name,
)
from burnish.networks.unet import UNet
from burnish.training.config import TrainConfig
from burnish.training.sampler import Batch


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = UNet(widths=(4, 6, 8), down=(0, 1, 2), up=(0, 2)).eval()
    nn.init.normal_(network.tail.weight, std=0.1)
    return network.requires_grad_(False)


def edits_of(network):
    """Two removals of channels of the same group, with a removal of a layer between them."""
    group = channel_groups(network)[3]
    name = group_name(network, group)
    return [
        {"keep": {name: [0, 2, 3, 5, 6, 7]}},
        {"remove": "up.1.0"},
        {"keep": {name: [1, 2, 4]}},
    ]


def test_kept_channels_follow_from_all_edits(network):
    """The input of a pruned layer is that of the original one, channel by channel.

    The original network's other channels are set to zero, which is what pruning means.
    """
    edits = [edit for edit in edits_of(network) if "keep" in edit]
    pruned = apply_edits(copy.deepcopy(network), edits)
    pairs = counterparts(network, edits)
    assert {pair.kept for pair in pairs if pair.original == pairs[3].original} == {(2, 3, 6)}
    zeroed = copy.deepcopy(network)
    for pair in pairs:
        layer = zeroed.get_submodule(pair.original)
        others = [c for c in range(layer.in_channels) if c not in pair.kept]
        layer.weight[:, others] = 0
    image = torch.rand(1, 3, 32, 32)
    features = []
    for tested, names in (
        (pruned, [pair.layer for pair in pairs]),
        (zeroed, [pair.original for pair in pairs]),
    ):
        with recorded_inputs(tested, names) as found:
            tested(image)
        features.append(found)
    for pair, own, original in zip(pairs, *features, strict=True):
        torch.testing.assert_close(own, original[:, list(pair.kept)], rtol=1e-4, atol=1e-5)
        assert feature_error(own, original[:, list(pair.kept)]) < 1e-8


def test_layers_after_a_removed_one_keep_their_counterparts(network):
    edits = edits_of(network)
    pruned = apply_edits(copy.deepcopy(network), edits)
    pairs = counterparts(network, edits)
    assert "up.1.0" not in [pair.original for pair in pairs]
    assert [pair.original for pair in pairs if pair.layer == "up.1.0"] == ["up.1.1"]
    for pair in pairs:
        assert pruned.get_submodule(pair.layer).in_channels == len(pair.kept)


def test_affinities_are_cosines_of_all_pairs_of_cells():
    random = np.random.default_rng(0)
    maps = [random.normal(size=(1, channels, 4, 4)).astype(np.float32) for channels in (3, 5)]
    cosines = []
    for features in maps:
        cells = features[0].reshape(len(features[0]), -1).T
        cosines.append(
            [[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in cells] for a in cells]
        )
    expected = np.mean((np.array(cosines[0]) - np.array(cosines[1])) ** 2)
    error = affinity_error(*map(torch.from_numpy, maps))
    np.testing.assert_allclose(float(error), expected, rtol=1e-4)
    # Cells are averaged first where there are many.
    large = torch.from_numpy(maps[0]).repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    assert float(affinity_error(large, large * 2)) < 1e-12


def test_errors_of_features_are_terms_of_the_loss(network, tmp_path):
    edits = edits_of(network)
    student = apply_edits(copy.deepcopy(network), edits).requires_grad_(True)
    config = TrainConfig(operator="tv-l1", network="fast", steps=1)
    trainer = DistillationTrainer(
        config,
        student,
        network,
        sampler=None,
        run_dir=tmp_path,
        taught=("result", "features", "affinities"),
        counterparts=counterparts(network, edits),
    )
    images = torch.rand(2, 3, 32, 32)
    losses = trainer.losses(Batch(images, torch.rand(2, 3, 32, 32), (), ()))
    size = (losses["mse"] + losses["teacher"]).item()
    for name in ("features", "affinities"):
        assert losses[name].item() == pytest.approx(FEATURE_SHARE * size, rel=1e-4)
        gradients = torch.autograd.grad(losses[name], student.head.weight, retain_graph=True)
        assert gradients[0].abs().sum() > 0
    trainer.taught = ()
    assert list(trainer.losses(Batch(images, images, (), ()))) == ["mse"]
