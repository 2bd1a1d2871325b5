import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from burnish.errors import ModelError, OutputError
from burnish.export.onnx_export import export
from burnish.modelfile.card import Card
from burnish.modelfile.reader import read_model
from burnish.runtime.model import Model


class Small(nn.Module):
    """One 3x3 convolution after the other."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.second(nn.functional.leaky_relu(self.first(x), 0.2))
        return result


class ByItsMean(Small):
    """Looks at the whole picture: cannot be tiled."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) - x.mean(dim=(2, 3), keepdim=True)


@pytest.fixture
def small(card: Card) -> Card:
    return changed(card, halo=2, macs_per_pixel=216, activations_per_pixel=7, parameters=223)


def changed(card: Card, **changes: Any) -> Card:
    return card.model_copy(update=changes)


def test_exported_file_runs_as_torch_does_and_carries_its_card(
    tmp_path: Path, small: Card, capfd: pytest.CaptureFixture[str]
) -> None:
    network = Small()
    path = export(network, small, tmp_path / "small.onnx")
    image = torch.rand(2, 3, 13, 7)
    session = onnxruntime.InferenceSession(path.read_bytes())
    result = session.run(["result"], {"image": image.numpy()})[0]
    np.testing.assert_allclose(result, network(image).detach().numpy(), atol=1e-6)
    assert read_model(path).card == small
    assert network.training, "the network is left as it was"
    assert capfd.readouterr() == ("", "")


def test_equal_networks_make_equal_bytes_without_the_maker_s_folders(
    tmp_path: Path, small: Card
) -> None:
    first = export(Small(), small, tmp_path / "first.onnx").read_bytes()
    second = export(Small(), small, tmp_path / "second.onnx").read_bytes()
    assert first == second
    assert b".py" not in first
    assert len(first) < 10_000
    assert {entry.domain for entry in onnx.load_model_from_string(first).opset_import} == {""}


@pytest.mark.parametrize(
    ("claim", "number", "measured"),
    [
        ("halo", 3, 2),
        ("macs_per_pixel", 217, 216),
        ("peak_activations_per_pixel", 8, 7),
        ("parameter_count", 224, 223),
        ("size_multiple", 2, 1),
    ],
)
def test_claim_that_is_not_tight_is_refused(
    tmp_path: Path, small: Card, claim: str, number: int, measured: int
) -> None:
    with pytest.raises(ModelError, match=f"{claim}: expected {measured}"):
        export(Small(), changed(small, **{claim: number}), tmp_path / "small.onnx")
    assert os.listdir(tmp_path) == []  # noqa: PTH208


@pytest.mark.parametrize(
    ("claim", "number", "needed"), [("halo", 1, 2), ("peak_activations_per_pixel", 6, 7)]
)
def test_claim_that_is_too_small_is_refused(
    tmp_path: Path, small: Card, claim: str, number: int, needed: int
) -> None:
    with pytest.raises(ModelError, match=f"expected .*{number} .*got a graph that needs {needed};"):
        export(Small(), changed(small, **{claim: number}), tmp_path / "small.onnx")
    assert list(tmp_path.iterdir()) == []


def test_network_that_looks_at_the_whole_picture_is_refused(tmp_path: Path, small: Card) -> None:
    with pytest.raises(ModelError, match="ReduceMean"):
        export(ByItsMean(), small, tmp_path / "small.onnx")
    assert list(tmp_path.iterdir()) == []


def test_network_whose_size_is_fixed_is_refused(tmp_path: Path, small: Card) -> None:
    class Fixed(Small):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x)[:, :, : x.shape[2], :12]

    with pytest.raises(ModelError, match="expected"):
        export(Fixed(), small, tmp_path / "small.onnx")
    assert list(tmp_path.iterdir()) == []


def test_existing_file_is_kept_unless_overwriting(tmp_path: Path, small: Card) -> None:
    path = tmp_path / "small.onnx"
    path.write_bytes(b"mine")
    with pytest.raises(OutputError, match="got one that exists"):
        export(Small(), small, path)
    assert path.read_bytes() == b"mine"
    export(Small(), small, path, overwrite=True)
    assert read_model(path).card == small
    assert list(tmp_path.iterdir()) == [path]


def test_wrong_ending_and_missing_folder(tmp_path: Path, small: Card) -> None:
    with pytest.raises(OutputError, match=r"ends with \.onnx"):
        export(Small(), small, tmp_path / "small.pt")
    with pytest.raises(OutputError, match="a folder that can be written to"):
        export(Small(), small, tmp_path / "none" / "small.onnx")


def test_weight_of_zero_does_not_shorten_the_halo(tmp_path: Path, small: Card) -> None:
    """A card says what the structure sees, whatever the last training made of it."""
    network = Small()
    nn.init.zeros_(network.first.weight)
    assert read_model(export(network, small, tmp_path / "small.onnx")).card.halo == 2


def test_padding_by_the_picture_s_own_border_exports(tmp_path: Path, small: Card) -> None:
    network = nn.Conv2d(3, 3, 3, padding=1, padding_mode="replicate")
    claims = changed(small, halo=1, macs_per_pixel=81, activations_per_pixel=7, parameters=84)
    assert read_model(export(network, claims, tmp_path / "small.onnx")).card == claims


def test_a_grey_network_is_grey_in_its_file_too(lively, card_of, tmp_path: Path) -> None:
    network, sliders = lively(grey=True)
    path = export(network, card_of(network, sliders, "pencil-drawing"), tmp_path / "grey.onnx")
    image = np.random.default_rng(0).random((33, 40, 3), dtype=np.float32)
    result = Model.open(path)(image)
    assert np.ptp(result) > 0.1
    assert np.ptp(result, axis=2).max() < 1e-6
