"""Guided networks as model files, with a start network: both equal torch's, and keep their names.

Export rejects numbers on the card that differ from those of the network that they belong to.
"""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from burnish.errors import ModelError
from burnish.export.onnx_export import export
from burnish.modelfile.graph_costs import graph_costs
from burnish.modelfile.onnx_file import named_weights
from burnish.modelfile.reader import read_model
from burnish.modelfile.receptive_field import receptive_field


@pytest.fixture(scope="module")
def files(guided_model):
    """The guided network and its start network, as they are read from one file."""
    file = read_model(guided_model)
    return file, file.start


def random_inputs(rows, columns):
    """Return the inputs of a file for an image of some blocks of 8 px, in their order."""
    generator = np.random.default_rng(0)
    image, guide = generator.random((2, 1, 3, 8 * rows, 8 * columns), dtype=np.float32)
    return {
        "image": image,
        "guide": guide,
        "params": np.array([0.05, 3], np.float32).reshape(1, 2, 1, 1),
        "thumbnail": generator.random((1, 3, 64, 64), dtype=np.float32),
        "coords": 2 * generator.random((1, rows, columns, 2), dtype=np.float32) - 1,
    }


def own_inputs(network, inputs):
    return {name: inputs[name] for name in ("image", *network.context_inputs)}


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 5), (12, 2)])
def test_outputs_of_the_file_equal_torch_s(guided_model, guided_networks, rows, columns):
    session = onnxruntime.InferenceSession(guided_model.read_bytes())
    names = ["image", "guide", "params", "thumbnail", "coords"]
    assert [value.name for value in session.get_inputs()] == names
    assert [value.name for value in session.get_outputs()] == ["result", "start"]
    inputs = random_inputs(rows, columns)
    outputs = session.run(["result", "start"], inputs)
    for network, output in zip(guided_networks, outputs, strict=False):
        tensors = [torch.from_numpy(value) for value in own_inputs(network, inputs).values()]
        with torch.no_grad():
            expected = network(*tensors).numpy()
        np.testing.assert_allclose(output, expected, atol=1e-5)
        assert np.abs(output - inputs["image"]).max() > 0.01
    other_guide = inputs | {"guide": inputs["image"]}
    np.testing.assert_array_equal(session.run(["start"], other_guide)[0], outputs[1])


def test_each_network_is_read_from_the_file(files, guided_model, guided_networks):
    inputs = random_inputs(4, 3)
    session = onnxruntime.InferenceSession(guided_model.read_bytes())
    outputs = session.run(["result", "start"], inputs)
    for file, network, expected in zip(files, guided_networks, outputs, strict=False):
        part = onnxruntime.InferenceSession(file.graph)
        np.testing.assert_array_equal(part.run(None, own_inputs(network, inputs))[0], expected)


def test_weights_have_the_names_of_each_network(files, guided_networks):
    for file, network in zip(files, guided_networks, strict=False):
        weights = named_weights(file.graph)
        for name, parameter in network.named_parameters():
            np.testing.assert_array_equal(weights[name], parameter.detach().numpy())


def test_stated_numbers_equal_those_of_each_graph(files, guided_networks):
    for file, network in zip(files, guided_networks, strict=False):
        model = onnx.load_model_from_string(file.graph)
        multiple = network.size_multiple
        costs = graph_costs(model, multiple, "guided.onnx")
        assert costs.macs_per_pixel == file.card.macs_per_pixel == network.macs_per_pixel
        peak = network.peak_activations_per_pixel
        assert costs.peak_activations_per_pixel == file.card.peak_activations_per_pixel == peak
        radius = receptive_field(model, multiple, network.halo, "guided.onnx")
        assert radius == file.card.halo == network.halo


def test_macs_equal_those_counted_by_torch(guided_networks):
    """Those of the sliders are the same for every size."""
    network, macs = guided_networks[0], []
    for rows in (4, 8):
        inputs = own_inputs(network, random_inputs(rows, 4))
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(*map(torch.from_numpy, inputs.values()))
        macs.append(counter.get_total_flops() / 2)
    assert network.macs_per_pixel == np.ceil((macs[1] - macs[0]) / (32 * 32))


@pytest.mark.parametrize("source", [0, 1])
def test_halo_equals_the_reach_of_the_gradient(guided_networks, source):
    """The gradient of one pixel after another in a block, with respect to image and guide."""
    network = guided_networks[0]
    blocks = 2 * (network.halo // 8 + 1) + 1
    middle, radius = blocks // 2 * 8, 0
    inputs = own_inputs(network, random_inputs(blocks, blocks))
    tensors = [torch.from_numpy(value) for value in inputs.values()]
    tensors[source].requires_grad_()
    output = network(*tensors)
    for row in range(middle, middle + 8):
        (gradient,) = torch.autograd.grad(
            output[0, :, row].sum(), tensors[source], retain_graph=True
        )
        rows = gradient.abs().sum(dim=(0, 1, 3)).nonzero()
        radius = max(radius, int((rows - row).abs().max()))
    assert radius == network.halo


@pytest.mark.slow
@pytest.mark.parametrize(("of_start", "field"), [(False, "halo"), (True, "macs_per_pixel")])
def test_wrong_number_of_either_network_is_rejected(
    files, guided_networks, tmp_path, of_start, field
):
    network, start, _ = guided_networks
    card = files[0].card
    part = card.guide.start if of_start else card
    changed = part.model_copy(update={field: getattr(part, field) + 1})
    if of_start:
        changed = card.model_copy(
            update={"guide": card.guide.model_copy(update={"start": changed})}
        )
    name = "guided-start" if of_start else "guided"
    with pytest.raises(ModelError, match=f"^card of {name}, {field}"):
        export(network, changed, tmp_path / "guided.onnx", start=start)
    assert list(tmp_path.iterdir()) == []


def test_start_network_and_its_card_come_together(files, guided_networks, make_card, tmp_path):
    network, start, sliders = guided_networks
    with pytest.raises(ModelError, match="start network is missing"):
        export(network, files[0].card, tmp_path / "guided.onnx")
    with pytest.raises(ModelError, match="has no start network"):
        export(start, make_card(start, sliders), tmp_path / "guided.onnx", start=start)


def test_guided_network_without_a_start_network_is_exported(guided_networks, files, tmp_path):
    network = guided_networks[0]
    guide = files[0].card.guide.model_copy(update={"start": None})
    card = files[0].card.model_copy(update={"guide": guide})
    file = read_model(export(network, card, tmp_path / "guided.onnx"))
    assert (file.card, file.start) == (card, None)
    inputs = own_inputs(network, random_inputs(2, 3))
    results = [
        onnxruntime.InferenceSession(part.graph).run(None, inputs)[0] for part in (file, files[0])
    ]
    np.testing.assert_array_equal(*results)
