"""Start networks: which models fit a training, and their outputs for smaller copies."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from burnish.errors import UsageError
from burnish.export.onnx_export import check_outputs, write_card
from burnish.modelfile.card import PARAMS
from burnish.modelfile.reader import read_model
from burnish.networks.network import Network
from burnish.operators.registry import OPERATORS
from burnish.params import Param
from burnish.runtime.model_registry import find_model
from burnish.training.config import TrainConfig
from burnish.training.guides import start_file
from burnish.training.pairs import FULL_SCALE
from burnish.training.start_network import load_network, read_start_model, write_start_outputs

VALUES = {"lambda": 0.02, "kappa": 2.0}


def make_config(**changes):
    fields = {"operator": "l0-smoothing", "network": "fast", "params": VALUES, "steps": 1}
    return TrainConfig(**fields | {"sliders": {"lambda": (0.002, 0.2)}, "guided": True} | changes)


def test_start_network_of_a_guided_model_fits_a_training_over_its_range_or_a_part_of_it():
    path = find_model("l0-smoothing")
    for low, high in ((0.002, 0.2), (0.01, 0.1)):
        file = read_start_model(path, make_config(sliders={"lambda": (low, high)}))
        assert file == read_model(path).start


def test_start_network_that_is_not_trained_may_be_another_network():
    config = make_config(network="best", start_fraction=0.0)
    assert read_start_model(find_model("l0-smoothing"), config).card.network == "fast"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"operator": "tv-l1", "params": {"lambda": 0.5}}, "operator is l0-smoothing"),
        ({"sliders": {}}, "sliders are lambda"),
        ({"sliders": {"lambda": (0.002, 0.2), "kappa": (1.05, 8.0)}}, "sliders are lambda"),
        ({"params": VALUES | {"kappa": 4.0}}, "trained for kappa 2"),
        ({"sliders": {"lambda": (0.001, 0.2)}}, "trained for lambda 0.002 to 0.2"),
        ({"network": "best"}, "network is fast"),
    ],
)
def test_model_that_does_not_fit_the_training_raises(changes, problem):
    with pytest.raises(UsageError, match=problem) as caught:
        read_start_model(find_model("l0-smoothing"), make_config(**changes))
    assert caught.value.where == "--start"


BOTH_SLIDERS = {"lambda": (0.002, 0.2), "kappa": (1.05, 8.0)}


def test_model_of_a_network_that_is_no_unet_raises(slider_model, tmp_path):
    path = tmp_path / "can24.onnx"
    path.write_bytes(slider_model.read_bytes())
    write_card(path, read_model(path).card.model_copy(update={"network": "can24"}))
    with pytest.raises(UsageError, match="network is can24"):
        read_start_model(path, make_config(sliders=BOTH_SLIDERS))


def test_weights_of_another_shape_raise(slider_model):
    """The card states the network `fast`, but the file's is smaller."""
    with pytest.raises(UsageError, match="has no weight") as caught:
        read_start_model(slider_model, make_config(sliders=BOTH_SLIDERS))
    assert caught.value.where == "--start"


def test_loaded_network_equals_the_model():
    file = read_model(find_model("l0-smoothing")).start
    network = load_network(file, grey=False)
    image = np.random.default_rng(0).random((1, 3, 32, 48), dtype=np.float32)
    params = np.full((1, 1, 1, 1), 0.05, np.float32)
    session = onnxruntime.InferenceSession(file.graph)
    (expected,) = session.run(None, {"image": image, PARAMS: params})
    with torch.no_grad():
        output = network(torch.from_numpy(image), torch.from_numpy(params))
    np.testing.assert_allclose(output, expected, atol=1e-5)


class Multiply(Network):
    """Multiplies an image by a tenth of its slider, and counts its calls."""

    num_sliders = 1
    calls = 0

    def forward(self, image, params):
        self.calls += 1
        return image * params / 10


def test_start_outputs_are_the_networks_at_the_values_for_the_copies(
    write_pair, recording_progress, tmp_path
):
    """The slider is in px, so that its value becomes smaller, but not below 3."""
    random = np.random.default_rng(0)
    pair = write_pair("a", *random.random((2, 48, 60, 3)), {"sigma": 8.0})
    for level, size in enumerate([(24, 30), (12, 15)], start=1):
        codes = random.integers(0, FULL_SCALE + 1, (2, *size, 3), np.uint16)
        np.save(pair.path.with_name(f"{pair.path.stem}{'-small' * level}.npy"), codes)
    sigma = Param("sigma", "", default=4, low=3, high=20, unit="px")
    network, progress = Multiply(), recording_progress()
    for _ in range(2):
        write_start_outputs(network, [sigma], [pair], tmp_path / "start", progress)
    assert network.calls == 2
    assert progress.tasks == 2 * [("running the start network", 1)]
    assert progress.done == [0, 1]
    for small, value in ((pair.smaller, 4.0), (pair.smaller.smaller, 3.0)):
        codes = np.load(start_file(tmp_path / "start", small))
        np.testing.assert_allclose(codes / FULL_SCALE, small.read()[0] * value / 10, atol=1e-5)


@pytest.mark.parametrize("name", ["l0-smoothing", "pencil-drawing", "tv-l1-can24.onnx"])
def test_loaded_network_computes_the_same_as_its_file(name):
    """Among them are a guided network without a gain for its guide, a grey one and a CAN."""
    root = Path(__file__).parents[2]
    is_bundled = not name.endswith(".onnx")
    file = read_model(find_model(name) if is_bundled else root / "benchmarks" / "models" / name)
    for part in filter(None, (file, file.start)):
        check_outputs(load_network(part, grey=OPERATORS[file.card.operator].grey), part)
        assert part.card.parameter_count > 0
