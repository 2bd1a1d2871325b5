"""Export: the file equals the network, and wrong cards and unsuitable networks are rejected."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from burnish.errors import ModelError, OutputError
from burnish.export.onnx_export import export
from burnish.modelfile.reader import read_model
from burnish.networks.network import Network
from burnish.runtime.model import Model


class TwoConvs(Network):
    """Two 3x3 convolutions, one after the other."""

    halo = 2
    macs_per_pixel = 216
    peak_activations_per_pixel = 7

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, x):
        return self.second(nn.functional.leaky_relu(self.first(x), 0.2))


@pytest.fixture
def network():
    return TwoConvs()


@pytest.fixture
def card(make_card):
    return make_card(TwoConvs())


def test_exported_file_equals_the_network_and_contains_its_card(network, card, tmp_path, capfd):
    path = export(network, card, tmp_path / "small.onnx")
    image = torch.rand(2, 3, 13, 7)
    session = onnxruntime.InferenceSession(path.read_bytes())
    output = session.run(["result"], {"image": image.numpy()})[0]
    np.testing.assert_allclose(output, network(image).detach().numpy(), atol=1e-6)
    assert read_model(path).card == card
    assert network.training, "export changed the network"
    assert capfd.readouterr() == ("", "")


def test_exported_bytes_are_reproducible_and_have_no_local_paths(card, tmp_path):
    first = export(TwoConvs(), card, tmp_path / "first.onnx").read_bytes()
    second = export(TwoConvs(), card, tmp_path / "second.onnx").read_bytes()
    assert first == second
    assert b".py" not in first
    assert len(first) < 10_000
    assert {entry.domain for entry in onnx.load_model_from_string(first).opset_import} == {""}


@pytest.mark.parametrize(
    ("field", "stated", "measured"),
    [
        ("halo", 3, 2),
        ("macs_per_pixel", 217, 216),
        ("peak_activations_per_pixel", 8, 7),
        ("parameter_count", 224, 223),
        ("size_multiple", 2, 1),
    ],
)
def test_export_with_a_number_too_large_on_the_card_raises(
    network, card, tmp_path, field, stated, measured
):
    with pytest.raises(ModelError, match=f"expected {measured}, got {stated}") as caught:
        export(network, card.model_copy(update={field: stated}), tmp_path / "small.onnx")
    assert caught.value.where.endswith(field)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("field", "stated"), [("halo", 1), ("peak_activations_per_pixel", 6)])
def test_export_with_a_number_too_small_on_the_card_raises(network, card, tmp_path, field, stated):
    with pytest.raises(ModelError):
        export(network, card.model_copy(update={field: stated}), tmp_path / "small.onnx")
    assert list(tmp_path.iterdir()) == []


def test_export_of_a_network_with_a_global_mean_raises(card, tmp_path):
    class MinusMean(TwoConvs):
        def forward(self, x):
            return super().forward(x) - x.mean(dim=(2, 3), keepdim=True)

    with pytest.raises(ModelError, match="ReduceMean"):
        export(MinusMean(), card, tmp_path / "small.onnx")
    assert list(tmp_path.iterdir()) == []


def test_export_of_a_network_with_a_fixed_size_raises(card, tmp_path):
    class FixedSize(TwoConvs):
        def forward(self, x):
            return super().forward(x)[:, :, : x.shape[2], :12]

    with pytest.raises(ModelError):
        export(FixedSize(), card, tmp_path / "small.onnx")
    assert list(tmp_path.iterdir()) == []


def test_export_keeps_an_existing_file_unless_overwrite_is_set(network, card, tmp_path):
    path = tmp_path / "small.onnx"
    path.write_bytes(b"existing")
    with pytest.raises(OutputError, match="exists"):
        export(network, card, path)
    assert path.read_bytes() == b"existing"
    export(network, card, path, overwrite=True)
    assert read_model(path).card == card
    assert list(tmp_path.iterdir()) == [path]


def test_export_to_another_extension_or_a_missing_folder_raises(network, card, tmp_path):
    for path in (tmp_path / "small.pt", tmp_path / "missing" / "small.onnx"):
        with pytest.raises(OutputError) as caught:
            export(network, card, path)
        assert str(path) in caught.value.where


def test_weights_of_zero_do_not_shorten_the_halo(network, card, tmp_path):
    """The card states the receptive field of the structure, whatever the weights are."""
    nn.init.zeros_(network.first.weight)
    assert read_model(export(network, card, tmp_path / "small.onnx")).card.halo == 2


def test_network_with_replicate_padding_exports(card, tmp_path):
    network = nn.Conv2d(3, 3, 3, padding=1, padding_mode="replicate")
    changes = {"halo": 1, "macs_per_pixel": 81, "parameter_count": 84}
    card = card.model_copy(update=changes | {"peak_activations_per_pixel": 7})
    assert read_model(export(network, card, tmp_path / "small.onnx")).card == card


def test_grey_network_is_grey_in_its_file(random_network, make_card, tmp_path):
    network, _ = random_network((), global_context=False, grey=True)
    path = export(network, make_card(network), tmp_path / "grey.onnx")
    image = np.random.default_rng(0).random((33, 40, 3), dtype=np.float32)
    output = Model.open(path)(image)
    assert np.ptp(output) > 0.1
    assert np.ptp(output, axis=2).max() < 1e-6
