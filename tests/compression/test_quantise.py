"""Training for 8-bit integers: PyTorch rounds like the graph, and training lowers the error."""

import copy

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from burnish.compression import quantise
from burnish.compression.fake_quantisation import FakeQuantisation, FeatureRanges, round_kernel
from burnish.compression.kernel_rounding import round_kernels, rounded
from burnish.compression.quantise import calibrate, write_ranges
from burnish.compression.structure import separable_layers, separate_layer
from burnish.export.onnx_export import export
from burnish.modelfile.card import Guide
from burnish.modelfile.reader import read_model
from burnish.networks.unet import UNet
from burnish.runtime.onnx_runtime import fold_constants
from burnish.runtime.quantisation import quantise_graph, rounded_tensors
from burnish.runtime.session import bind_constants
from burnish.training.config import TrainConfig
from burnish.training.sampler import Batch


def random_inputs(network, rows, columns):
    """Return an image for a network, and its other inputs, by name."""
    generator = np.random.default_rng(0)
    image, guide = generator.random((2, 1, 3, 8 * rows, 8 * columns), dtype=np.float32)
    inputs = {
        "guide": guide,
        "params": np.array([0.05, 3], np.float32).reshape(1, 2, 1, 1),
        "thumbnail": generator.random((1, 3, 64, 64), dtype=np.float32),
        "coords": 2 * generator.random((1, rows, columns, 2), dtype=np.float32) - 1,
    }
    return {"image": image} | {name: inputs[name] for name in network.context_inputs}


@pytest.mark.parametrize("part", [0, 1], ids=["guided", "start"])
def test_torch_rounds_like_the_graph(guided_model, guided_networks, part):
    file, network = read_model(guided_model), guided_networks[part]
    file = file.start if part else file
    inputs = random_inputs(network, 6, 5)
    tensors = [torch.from_numpy(value) for value in inputs.values()]
    bounds = {}

    def keep(index, features, slope):
        per_tensor = features.new_tensor([[features.min().clamp_max(0)], [features.max()]])
        bounds[index] = per_tensor

    with FakeQuantisation(network, on_features=keep) as quantisation, torch.no_grad():
        exact = network(*tensors).numpy()
    quantisation.close()
    ranges = FeatureRanges([bounds[index] for index in range(len(bounds))])
    with FakeQuantisation(network, ranges) as quantisation, torch.no_grad():
        rounded = network(*tensors).numpy()
    quantisation.close()

    context = {name: inputs[name] for name in ("params", "thumbnail") if name in inputs}
    graph = bind_constants(file.graph, context)
    names = rounded_tensors(fold_constants(graph))
    named = dict(zip(names, ranges.to_card(), strict=True))
    model = quantise_graph(graph, named, "onnxruntime")
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    expected = session.run(None, {n: v for n, v in inputs.items() if n not in context})[0]
    error, difference = np.abs(rounded - exact).mean(), np.abs(rounded - expected).mean()
    assert error > 1e-4
    # Sums in another order end in another step now and then, and so do the layers that follow.
    assert difference < 0.6 * error
    assert np.mean(np.abs(rounded - expected) < 1e-5) > 0.2


class Crops:
    """A sampler without files, whose operator is a network."""

    sliders = ()

    def __init__(self, network):
        self.network = network

    @torch.no_grad()
    def batch_at(self, step, *, off_default=False):
        before = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(step))
        guide = 0.7 * before + 0.01
        return Batch(before, self.network(before, guide), (guide,))


SEARCHED = {"kinds": ("separable", "dilated"), "activation": "relu"}


@pytest.mark.parametrize("layers", [{}, SEARCHED], ids=["plain", "searched"])
def test_separable_layers_round_like_their_graph(layers, make_card, tmp_path):
    """Those that layers are replaced by, and those of a network that a search found."""
    torch.manual_seed(1)
    network = UNet(widths=(8, 8), down=(0, 1), up=(1,), guided=True, **layers).eval()
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.normal_(layer.weight, std=0.15)
            torch.nn.init.normal_(layer.bias, std=0.1)
    for layer in () if layers else separable_layers(network):
        separate_layer(network, layer)
    crops = Crops(copy.deepcopy(network))
    ranges = calibrate(network, [crops.batch_at(step) for step in range(2)])
    card = make_card(network, guide=Guide(size=16, max_ratio=2))
    path = export(network, card, tmp_path / "separable.onnx")
    write_ranges(path, ranges.to_card())
    file, inputs = read_model(path), random_inputs(network, 6, 5)
    tensors = [torch.from_numpy(value) for value in inputs.values()]
    network.requires_grad_(False)
    exact = network(*tensors).numpy()
    with FakeQuantisation(network, ranges) as quantisation, torch.no_grad():
        rounded = network(*tensors).numpy()
    quantisation.close()
    model = quantise_graph(onnx.load_model_from_string(file.graph), file.card.ranges, "onnxruntime")
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    error, difference = (
        np.abs(rounded - other).mean() for other in (exact, session.run(None, inputs)[0])
    )
    assert difference < 0.6 * error


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = UNet(widths=(8, 8), down=(0, 1), up=(0,), guided=True).eval()
    torch.nn.init.normal_(network.tail.weight, std=0.1)
    return network


def test_training_lowers_the_error_of_int8(network, tmp_path, monkeypatch, one_thread):
    """From ranges that are far too wide."""
    crops = Crops(copy.deepcopy(network))
    fitting = calibrate(network, [crops.batch_at(step) for step in range(4)])
    wide = FeatureRanges([8 * fitting[index].detach() for index in range(len(fitting))])
    monkeypatch.setattr(quantise, "calibrate", lambda network, batches: copy.deepcopy(wide))
    monkeypatch.setattr(quantise, "MAX_LR", 5e-4)
    config = TrainConfig(operator="l0-smoothing", network="fast", steps=60, freeze_norm_at=0.0)
    untouched = copy.deepcopy(network.state_dict())
    trained, trained_ranges = quantise.train_int8(config, network, crops, tmp_path)
    after = FeatureRanges([torch.tensor(pairs).T for pairs in trained_ranges])
    errors = [int8_error(*arguments, crops) for arguments in ((network, wide), (trained, after))]
    assert errors[1] < 0.5 * errors[0]
    for name, value in network.state_dict().items():
        assert torch.equal(value, untouched[name])


@torch.no_grad()
def int8_error(network, ranges, crops):
    batch = crops.batch_at(1000)
    with FakeQuantisation(network, ranges) as quantisation:
        output = network(batch.before, *batch.context)
    quantisation.close()
    return (output - batch.after).square().mean()


def test_rounded_kernels_are_on_the_steps_of_the_graph(network):
    """Rounding to the nearest step keeps them, gains as the graph combines them."""
    crops = Crops(copy.deepcopy(network))
    before = copy.deepcopy(network)
    round_kernels(network, [crops.batch_at(step) for step in range(4)])
    for name, layer in network.named_modules():
        if isinstance(layer, torch.nn.Conv2d):
            kernel, original = (n.get_submodule(name).weight for n in (network, before))
            if name == "tail":
                kernel, original = (
                    torch.cat([k[:24], k[:12] + k[24:]]) for k in (kernel, original)
                )
            torch.testing.assert_close(round_kernel(kernel), kernel, atol=1e-6, rtol=1e-4)
            step = original.abs().amax((1, 2, 3), keepdim=True) / 127
            assert ((kernel - original).abs() < 8 * step).all()


def test_rounding_by_the_effect_beats_rounding_each_weight():
    """On inputs that are alike, errors cancel out."""
    random = torch.Generator().manual_seed(0)
    shared = torch.rand(400, 1, generator=random, dtype=torch.float64)
    inputs = shared + 0.05 * torch.rand(400, 24, generator=random, dtype=torch.float64)
    kernel = torch.randn(5, 24, generator=random, dtype=torch.float64)
    by_effect = rounded(kernel, inputs.T @ inputs / len(inputs))
    scale = kernel.abs().amax(1, keepdim=True) / 127
    nearest = (kernel / scale).round() * scale
    errors = [((k - kernel) @ inputs.T).square().mean() for k in (by_effect, nearest)]
    assert errors[0] < 0.2 * errors[1]
    torch.testing.assert_close((by_effect / scale).round() * scale, by_effect)
