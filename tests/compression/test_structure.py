"""Channels and layers are removed together with everything that depends on them."""

import copy

import pytest
import torch
from torch import nn

from burnish.compression.structure import (
    apply_edits,
    channel_groups,
    group_name,
    keep_channels,
    kernel_delta,
    layer_name,
    removable_layers,
    remove_layer,
)
from burnish.export.onnx_export import export
from burnish.export.weights import fold
from burnish.networks.can import CAN
from burnish.networks.unet import UNetBackbone

DEEP = {"widths": (4, 6, 8), "down": (0, 1, 2), "up": (0, 2)}
# Layers that a search may choose.
SEARCHED = {
    "widths": (4, 6, 8),
    "down": (1, 1, 2),
    "up": (1, 1),
    "kinds": ("separable", "dilated", "separable"),
    "activation": "relu",
}


@pytest.fixture(params=["plain", "sliders and thumbnail", "guided", "searched", "can"])
def network(request, random_network):
    if request.param == "can":
        torch.manual_seed(0)
        can = CAN(6, (1, 2, 1)).set_norm_mode("frozen").eval()
        for layer in can.layers:
            nn.init.normal_(layer.weight, std=0.3)
            nn.init.normal_(layer.bias, std=0.3)
        return fold(can)
    settings = {
        "plain": {"names": (), "global_context": False, **DEEP},
        "sliders and thumbnail": {"operator": "local-laplacian", "names": ("sigma", "alpha")},
        "guided": {"global_context": False, "guided": True, **DEEP},
        "searched": {"gain": False, **SEARCHED},
    }
    return random_network(**settings[request.param])[0]


def run(network, random_context):
    blocks = 3
    side = blocks * network.size_multiple
    generator = torch.Generator().manual_seed(3)
    image = torch.rand(1, 3, side, side, generator=generator)
    if network.guided:
        guide = torch.rand(1, 3, side, side, generator=generator)
        context = [guide, torch.full((1, network.num_sliders, 1, 1), 0.3)]
        context = context[: len(network.context_inputs)]
    else:
        context = random_context(network, blocks=(blocks, blocks))
    with torch.no_grad():
        return network(image, *context)


def zero_inputs(network, layer, channels):
    """Set the weights of a layer for some of its input channels to zero."""
    delta = kernel_delta(network, layer)
    with torch.no_grad():
        layer.weight[:, channels] = 0
        if delta is not None:
            bases = delta.basis.weight.view(*delta.kernel_shape, -1)
            bases[:, channels] = 0


def test_every_hidden_channel_is_in_one_group(network):
    groups = channel_groups(network)
    convs = network.conv_layers if isinstance(network, UNetBackbone) else [*network.layers]
    if isinstance(network, UNetBackbone):
        convs = [*convs, *network.upsample]
        last = network.tail
    else:
        last = network.to_rgb
    producers = [layer for group in groups for layer in group.producers]
    consumers = [layer for group in groups for layer in group.consumers]
    hidden = {id(layer) for layer in convs if layer is not last and layer.groups == 1}
    assert hidden <= {id(layer) for layer in producers}
    assert len({id(layer) for layer in producers}) == len(producers)
    assert len({id(layer) for layer in consumers}) == len(consumers)
    for group in groups:
        assert {layer.out_channels for layer in group.producers} == {group.width}
        assert {layer.in_channels for layer in group.consumers} == {group.width}
        assert {layer.groups for layer in group.depthwise} <= {group.width}
    depthwise = [id(layer) for group in groups for layer in group.depthwise]
    assert sorted(depthwise) == sorted(id(layer) for layer in convs if layer.groups > 1)


def test_pruned_network_equals_the_one_with_zeroed_channels(network, random_context):
    whole, changed = run(network, random_context), []
    for position in range(len(channel_groups(network))):
        pruned, zeroed = copy.deepcopy(network), copy.deepcopy(network)
        group = channel_groups(pruned)[position]
        kept = [channel for channel in range(group.width) if channel % 3 != 1]
        removed = [channel for channel in range(group.width) if channel % 3 == 1]
        for layer in channel_groups(zeroed)[position].consumers:
            zero_inputs(zeroed, layer, removed)
        keep_channels(pruned, group, kept)
        outputs = run(pruned, random_context), run(zeroed, random_context)
        torch.testing.assert_close(*outputs, rtol=1e-4, atol=1e-5)
        changed.append(not torch.allclose(outputs[0], whole, atol=1e-4))
    assert sum(changed) > 0.5 * len(changed)  # behind ReLU, some channels are zero everywhere


def test_costs_follow_from_the_layers(network):
    pruned = copy.deepcopy(network)
    for group in channel_groups(pruned):
        keep_channels(pruned, group, range(group.width - 1))
    assert pruned.macs_per_pixel < network.macs_per_pixel
    assert pruned.peak_activations_per_pixel <= network.peak_activations_per_pixel
    assert pruned.halo == network.halo


def test_removed_layer_is_left_out(network, random_context):
    for position in range(len(removable_layers(network))):
        shorter = copy.deepcopy(network)
        count = sum(isinstance(m, nn.Conv2d) for m in shorter.modules())
        remove_layer(shorter, removable_layers(shorter)[position])
        assert sum(isinstance(m, nn.Conv2d) for m in shorter.modules()) < count
        assert shorter.halo <= network.halo  # a 1x1 convolution has none
        assert shorter.macs_per_pixel < network.macs_per_pixel
        assert run(shorter, random_context).isfinite().all()


def test_edits_are_repeated_on_a_copy(network, random_context):
    groups = channel_groups(network)
    layer = removable_layers(network)[0]
    name = layer_name(network, layer)
    group = next(g for g in groups if layer not in (*g.producers, *g.consumers))
    edits = [{"keep": {group_name(network, group): [0, 2]}}, {"remove": name}]
    by_edits = apply_edits(copy.deepcopy(network), edits)
    by_hand = copy.deepcopy(network)
    keep_channels(by_hand, channel_groups(by_hand)[groups.index(group)], [0, 2])
    remove_layer(by_hand, by_hand.get_submodule(name))
    torch.testing.assert_close(run(by_edits, random_context), run(by_hand, random_context))


def test_random_weights_are_those_of_an_untrained_network(network, random_context):
    """It has the shape of the pruned one; a U-Net does not change an image, at any slider."""
    for group in channel_groups(network):
        keep_channels(network, group, range(group.width - 1))
    fresh = network.untrained(seed=1)
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    assert {name: value.shape for name, value in fresh.state_dict().items()} == shapes
    first = next(iter(shapes))
    assert not torch.equal(fresh.state_dict()[first], network.state_dict()[first])
    if isinstance(network, UNetBackbone):
        side = 3 * network.size_multiple
        image = torch.rand(1, 3, side, side)
        if network.guided:
            context = [image, torch.full((1, network.num_sliders, 1, 1), 0.3)]
            context = context[: len(network.context_inputs)]
        else:
            context = random_context(network, blocks=(3, 3))
        torch.testing.assert_close(fresh(image, *context), image)


class Plain(nn.Module):
    """The convolutions of a U-Net without changes of their kernels, as torch-pruning can follow."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, cells):
        return self.network.forward_features(cells, lambda layer, x: layer(x))


@pytest.mark.parametrize("shape", [DEEP, SEARCHED], ids=["plain", "searched"])
def test_groups_equal_those_of_torch_pruning(shape):
    tp = pytest.importorskip("torch_pruning", reason="torch-pruning is not installed")
    network = UNetBackbone(12, 24, 2, **shape).eval()
    graph = tp.DependencyGraph().build_dependency(Plain(network), torch.rand(1, 12, 16, 16))
    for group in channel_groups(network):
        dependencies = graph.get_pruning_group(
            group.producers[0], tp.prune_conv_out_channels, idxs=[0]
        )
        outputs, inputs = set(), set()
        for item in dependencies:
            if isinstance(item.dep.target.module, nn.Conv2d):
                is_output = item.dep.handler.__name__ == "prune_out_channels"
                (outputs if is_output else inputs).add(item.dep.target.module)
        assert outputs == {*group.producers, *group.depthwise}
        assert inputs == set(group.consumers)


def test_card_of_a_pruned_network_states_its_costs(random_network, make_card, tmp_path):
    """The export compares the card with the graph."""
    pruned = random_network(names=(), global_context=False, **DEEP)[0]
    remove_layer(pruned, removable_layers(pruned)[-1])
    for position, group in enumerate(channel_groups(pruned)):
        keep_channels(pruned, group, range(group.width - 1 - position % 2))
    assert export(pruned, make_card(pruned), tmp_path / "pruned.onnx").exists()
