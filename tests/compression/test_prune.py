"""Pruning: importance, reconstruction, the table of latencies, and the choice of removals."""

import copy
import json

import numpy as np
import pytest
import torch
from torch import nn

from burnish.compression.importance import channel_importance, mean_squared_change
from burnish.compression.latency import LatencyTable, cpu_seconds, image_layers
from burnish.compression.prune import describe, prune
from burnish.compression.reconstruction import least_squares, patches, reconstruct
from burnish.compression.structure import apply_edits, channel_groups, keep_channels
from burnish.export.weights import fold
from burnish.networks.can import CAN
from burnish.networks.separable import decompose
from burnish.training.sampler import Batch


class StepTable(LatencyTable):
    """An engine that computes channels in blocks of 8, without a measurement."""

    def __init__(self):
        super().__init__("none")

    def _measure(self, narrow, wide, kernel, dilation, separable):
        return -(-narrow // 8) * -(-wide // 8) * (1 if separable else kernel**2)


@pytest.fixture
def network():
    torch.manual_seed(0)
    can = fold(CAN(16, (1, 2, 1)).set_norm_mode("frozen").eval())
    for layer in can.layers:
        nn.init.kaiming_normal_(layer.weight)
        nn.init.normal_(layer.bias, std=0.1)
    return can


@pytest.fixture
def batches():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(3, 2, 3, 24, 24, generator=generator)
    return [Batch(image, image) for image in images]


def test_importance_is_the_change_of_a_linear_network(batches):
    """Without a nonlinearity, the expansion is exact."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.Conv2d(6, 3, 1)]
    linear = nn.Sequential(*layers).requires_grad_(False)
    linear.__call__ = lambda image: linear.forward(image)
    group = type("Group", (), {"width": 6, "consumers": (layers[1],)})()
    many = batches * 16  # the projections are random
    (importance,) = channel_importance(linear, [group], many)
    changes = []
    for channel in range(6):
        without = copy.deepcopy(linear)
        without[1].weight[:, channel] = 0
        changes.append(mean_squared_change(without, linear, batches))
    np.testing.assert_allclose(importance.numpy(), changes, rtol=0.35)
    assert importance.argsort().tolist()[-1] == int(np.argmax(changes))


def test_least_squares_equals_that_of_numpy():
    generator = torch.Generator().manual_seed(0)
    layer = nn.Conv2d(4, 5, 3, padding=2, dilation=2)
    columns = patches(layer, torch.rand(2, 4, 12, 12, generator=generator))
    targets = torch.rand(len(columns), 5, generator=generator)
    kernel, bias = least_squares(columns, targets, layer, ridge=0)
    matrix = np.concatenate([columns.numpy(), np.ones((len(columns), 1))], axis=1)
    expected = np.linalg.lstsq(matrix, targets.double().numpy(), rcond=None)[0].T
    np.testing.assert_allclose(kernel.detach().flatten(1), expected[:, :-1], atol=1e-4)
    np.testing.assert_allclose(bias.detach(), expected[:, -1], atol=1e-4)


def test_ridge_keeps_the_kernel_where_inputs_say_nothing():
    layer = nn.Conv2d(2, 1, 1, bias=False)
    columns = torch.tensor([[1.0, 1.0], [2.0, 2.0]])  # the two channels are equal
    kernel, _ = least_squares(columns, columns @ torch.ones(2, 1), layer)
    old = layer.weight.detach().flatten()
    new = kernel.detach().flatten()
    assert float(new.sum()) == pytest.approx(2, abs=0.02)
    assert float(new[0] - new[1]) == pytest.approx(float(old[0] - old[1]), abs=1e-3)


def test_patches_are_those_of_the_convolution():
    layer = nn.Conv2d(3, 4, 3, stride=2, padding=1)
    x = torch.rand(2, 3, 10, 8)
    by_patches = patches(layer, x) @ layer.weight.flatten(1).T + layer.bias
    torch.testing.assert_close(by_patches, layer(x).flatten(2).transpose(1, 2).flatten(0, 1))


def test_reconstruction_restores_what_redundant_channels_computed(network, batches):
    """Two channels are equal, so that one of them can take the place of both."""
    first, second = network.layers[0], network.layers[1]
    with torch.no_grad():
        first.weight[3], first.bias[3] = first.weight[5], first.bias[5]
    pruned = copy.deepcopy(network)
    kept = [channel for channel in range(16) if channel != 3]
    keep_channels(pruned, channel_groups(pruned)[0], kept)
    before = mean_squared_change(pruned, network, batches)
    reconstruct(pruned, network, [(pruned.layers[1], second, range(16))], batches)
    after = mean_squared_change(pruned, network, batches)
    assert before > 1e-4
    assert after < 1e-2 * before


def test_removals_follow_the_steps_of_the_table(network, batches):
    table = StepTable()
    time = table.network(network)
    pruned, edits = prune(network, table, 0.6 * time, batches)
    assert table.network(pruned) <= 0.6 * time
    assert edits
    assert all(group.width % 8 == 0 for group in channel_groups(pruned))
    repeated = apply_edits(copy.deepcopy(network), edits)
    assert [m.weight.shape for m in repeated.layers] == [m.weight.shape for m in pruned.layers]
    everything, _ = prune(network, table, 0.0, batches)  # out of reach
    assert table.network(everything) < table.network(pruned)


def test_network_of_a_search_is_pruned(random_network, batches):
    layers = {"kinds": ("separable", "dilated"), "activation": "relu", "widths": (16, 16)}
    network, _ = random_network(names=(), global_context=False, **layers)
    table = StepTable()
    time = table.network(network)
    pruned, edits = prune(network, table, 0.5 * time, batches)
    assert table.network(pruned) <= 0.5 * time
    assert edits
    with torch.no_grad():
        assert pruned(batches[0].before).isfinite().all()


def test_unimportant_channels_go_first(network, batches):
    with torch.no_grad():
        network.layers[2].weight[:, ::2] *= 1e-4  # hardly reads every second channel
    time = StepTable().network(network)
    _, edits = prune(network, StepTable(), time - 1, batches)
    assert edits == [{"keep": {"layers.1": list(range(1, 16, 2))}}]


def test_layers_become_separable_where_that_changes_least(network, batches):
    """The kernel of one layer is separable already."""
    layer = network.layers[1]
    with torch.no_grad():
        filters, mixture = decompose(layer.weight)
        layer.weight.copy_(mixture * filters[:, 0])
    time = StepTable().network(network) - 1
    pruned, edits = prune(network, StepTable(), time, batches, separable=True)
    assert edits == [{"separate": "layers.1"}]
    assert mean_squared_change(pruned, network, batches) < 1e-8
    assert describe(edits, network, pruned) == "0 of 48 channels removed, 1 layer separable"
    _, edits = prune(network, StepTable(), time, batches)
    assert not any("separate" in edit for edit in edits)


def test_mixture_of_a_separable_layer_is_fitted(network, batches):
    """Least squares on what the filters give comes nearer than the singular vectors."""
    changed = copy.deepcopy(network)
    apply_edits(changed, [{"separate": "layers.1"}])
    before = mean_squared_change(changed, network, batches)
    layers = [(changed.layers[1], network.layers[1], range(16))]
    reconstruct(changed, network, layers, batches)
    assert mean_squared_change(changed, network, batches) < 0.9 * before


def test_table_measures_each_kind_of_layer_once(tmp_path):
    path = tmp_path / "latency.json"
    table = LatencyTable("onnxruntime", path)
    layer = nn.Conv2d(8, 16, 3, padding=2, dilation=2)
    time = table.milliseconds(layer, 8, 16)
    assert time > 0
    assert table.milliseconds(layer, 16, 8) == time
    table.save()
    assert list(json.loads(path.read_text())) == ["3x3 dilation 2, 8 and 16"]
    both = table.milliseconds(layer, 8, 16, separable=True)
    assert both != time
    depthwise = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8)
    table._times["1x1 dilation 1, 8 and 8"] = 0.0
    pair = table.milliseconds(nn.Conv2d(8, 8, 3, dilation=2), 8, 8, separable=True)
    assert table.milliseconds(depthwise, 8, 8) == pair
    assert LatencyTable("onnxruntime", path).milliseconds(layer, 8, 16) == time


def test_layers_of_the_table_have_the_networks_multiply_adds(network, random_network):
    unet, _ = random_network(names=(), global_context=False)
    for each in (network, unet):
        macs = sum(layer.weight.numel() * count for layer, count in image_layers(each))
        assert -(-macs // 1) == each.macs_per_pixel


def test_functions_are_timed_in_turns():
    calls = []
    times = cpu_seconds([lambda: calls.append("a"), lambda: calls.append("b")], rounds=3)
    assert calls == ["a", "b"] * 4
    assert min(times) >= 0
