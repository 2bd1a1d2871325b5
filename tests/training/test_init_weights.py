"""A network that starts from a model equals that model, whatever modules only one of them has."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

from burnish.errors import UsageError
from burnish.modelfile.card import COORDS, INPUT, PARAMS, THUMBNAIL
from burnish.modelfile.onnx_file import named_weights
from burnish.modelfile.reader import read_model
from burnish.networks.registry import build
from burnish.runtime.model_registry import find_model
from burnish.training.network_trainer import init_from
from burnish.training.pipeline import train_and_export
from burnish.training.request import validate_request


def random_inputs(file, fraction=None):
    """Inputs of the model, its sliders at a fraction of their ranges [default: the defaults]."""
    generator = np.random.default_rng(0)
    card = file.card
    inputs = {INPUT: generator.random((1, 3, 3 * card.size_multiple, 4 * card.size_multiple))}
    if card.sliders:
        params = [slider.as_param() for slider in card.sliders]
        values = [p.default if fraction is None else p.at_fraction(fraction) for p in params]
        inputs[PARAMS] = np.reshape(values, (1, -1, 1, 1))
    if card.thumbnail_size:
        inputs[THUMBNAIL] = generator.random((1, 3, card.thumbnail_size, card.thumbnail_size))
        inputs[COORDS] = generator.uniform(-1, 1, (1, 3, 4, 2))
    return {name: value.astype(np.float32) for name, value in inputs.items()}


def run_onnx(file, inputs):
    return onnxruntime.InferenceSession(file.graph).run(None, inputs)[0]


def run_torch(network, inputs):
    with torch.no_grad():
        return network.eval()(*map(torch.from_numpy, inputs.values())).numpy()


def model_and_network(name, sliders=None, global_context=None):
    """A start network's file, and a network initialised from it [default: with the same inputs]."""
    file = read_model(find_model(name)).start
    if sliders is None:
        sliders = tuple(slider.as_param() for slider in file.card.sliders)
    if global_context is None:
        global_context = bool(file.card.thumbnail_size)
    network = build("fast", sliders, global_context)
    init_from(network, named_weights(file.graph), name)
    return file, network


@pytest.mark.parametrize("name", ["l0-smoothing", "local-laplacian"])
@pytest.mark.parametrize("fraction", [None, 0.0, 0.7])
def test_initialised_network_equals_the_model(name, fraction):
    file, network = model_and_network(name)
    inputs = random_inputs(file, fraction)
    np.testing.assert_allclose(run_torch(network, inputs), run_onnx(file, inputs), atol=1e-5)


def test_initialised_kernel_deltas_have_the_scale_of_new_ones():
    """The file holds integers up to 127, which a step of the optimiser would hardly change."""
    file, network = model_and_network("l0-smoothing")
    new = build("fast", tuple(slider.as_param() for slider in file.card.sliders))
    names = [name for name, _ in new.named_parameters() if name.endswith("basis.weight")]
    assert names
    for name in names:
        assert named_weights(file.graph)[name].max() > 50
        std = new.get_parameter(name).std().item()
        assert network.get_parameter(name).std().item() == pytest.approx(std, rel=0.1)


def test_sliders_that_only_the_model_has_are_left_out():
    file, network = model_and_network("l0-smoothing", sliders=())
    inputs = random_inputs(file)
    expected = run_onnx(file, inputs)
    del inputs[PARAMS]
    np.testing.assert_allclose(run_torch(network, inputs), expected, atol=1e-5)


def test_global_context_that_only_the_network_has_changes_nothing_at_the_defaults():
    file, network = model_and_network("l0-smoothing", global_context=True)
    inputs = random_inputs(file)
    expected = run_onnx(file, inputs)
    generator = np.random.default_rng(1)
    inputs[THUMBNAIL] = generator.random((1, 3, 64, 64), dtype=np.float32)
    inputs[COORDS] = generator.random((1, 3, 4, 2), dtype=np.float32)
    np.testing.assert_allclose(run_torch(network, inputs), expected, atol=1e-5)


def test_other_sliders_than_the_models_change_nothing_at_their_defaults():
    file, _ = model_and_network("l0-smoothing")
    (param,) = (slider.as_param() for slider in file.card.sliders)
    _, network = model_and_network("l0-smoothing", sliders=(param, replace(param, name="second")))
    inputs = random_inputs(file)
    expected = run_onnx(file, inputs)
    inputs[PARAMS] = np.full((1, 2, 1, 1), param.default, np.float32)
    np.testing.assert_allclose(run_torch(network, inputs), expected, atol=1e-5)


@pytest.mark.parametrize("network", ["can24", "best"])
def test_request_with_a_model_of_another_network_raises_and_creates_nothing(
    network, photo_folder, tmp_path
):
    with pytest.raises(UsageError, match="l0-smoothing") as caught:
        validate_request(
            "l0-smoothing",
            photos=photo_folder,
            network=network,
            init_from=find_model("l0-smoothing"),
            output=tmp_path / "new" / "a.onnx",
        )
    assert caught.value.where == "--init-from"
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_training_from_a_model_begins_as_good_and_is_noted_on_the_card(photo_folder, tmp_path):
    def train(init_from, run):
        request = validate_request(
            "rudin-osher-fatemi",
            photos=photo_folder,
            network="best",
            guided=False,
            output=tmp_path / "own.onnx",
            run_dir=tmp_path / run,
            overwrite=True,
            steps=1,
            init_from=init_from,
            max_lr=1e-6,
            batch=1,
            crop=32,
            short_sides=(),
        )
        return read_model(train_and_export(request).path).card

    path = find_model("rudin-osher-fatemi-best")
    card, random_card = train(path, "one"), train(None, "two")
    config = card.training["settings"]
    assert config["init_from"] == f"rudin-osher-fatemi-best {read_model(path).sha256[:12]}"
    assert random_card.training["settings"]["init_from"] == ""
    assert card.metrics[0].psnr_mean > random_card.metrics[0].psnr_mean + 1
    with pytest.raises(UsageError, match="init_from"):
        train(None, "one")
