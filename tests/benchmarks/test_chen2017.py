"""The published weights: parity with the authors' output, and files that are rejected."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from baselines.chen2017 import load

from burnish.errors import ModelError

PEERS = Path(os.environ.get("BURNISH_PEERS", "../shared/peers/chen2017"))


@pytest.mark.slow
@pytest.mark.skipif(not PEERS.is_dir(), reason=f"the authors' published weights are not at {PEERS}")
def test_network_equals_the_authors_output():
    from PIL import Image

    def read(name):
        return np.asarray(Image.open(PEERS / name).convert("RGB"), np.float32)

    network = load(PEERS / "l0_smoothing.npz")
    planes = torch.from_numpy(read("input_000010.png") / 255).permute(2, 0, 1)[None]
    with torch.inference_mode():
        output = network(planes)[0].permute(1, 2, 0).numpy()
    # Their code truncates to 8 bits.
    output = np.trunc(np.clip(output, 0, 1) * 255)
    error = np.mean((output - read("l0_smoothing_000010.png")) ** 2)
    assert 10 * np.log10(255**2 / error) > 75


def write_archive(path, **changes):
    """Write a small CAN of eight layers with the authors' variable names."""
    arrays = {"g_conv_last/weights": np.zeros((1, 1, 4, 3)), "g_conv_last/biases": np.zeros(3)}
    for scope in (1, 2, 3, 4, 5, 6, 7, 9):
        inputs = 3 if scope == 1 else 4
        arrays[f"g_conv{scope}/weights"] = np.zeros((3, 3, inputs, 4))
        arrays[f"g_conv{scope}/w0"] = np.array(1.0)
        arrays[f"g_conv{scope}/w1"] = np.array(0.0)
        arrays[f"g_conv{scope}/BatchNorm/beta"] = np.zeros(4)
    np.savez(path, **{k: v.astype(np.float32) for k, v in (arrays | changes).items()})
    return path


def test_channels_are_reversed_from_bgr_to_rgb(tmp_path):
    first = np.zeros((3, 3, 3, 4), np.float32)
    first[1, 1, 0, 0] = 1  # the authors' channel 0 is blue
    last = np.array([10.0, 20.0, 30.0])
    changes = {"g_conv1/weights": first, "g_conv_last/biases": last}
    network = load(write_archive(tmp_path / "can.npz", **changes))
    assert network.layers[0].weight[0, :, 1, 1].tolist() == [0, 0, 1]
    assert network.to_rgb.bias.tolist() == [30, 20, 10]


@pytest.mark.parametrize(
    "changes",
    [{"g_conv3/weights": np.zeros((5, 5, 4, 4))}, {"g_conv11/w0": np.zeros(())}],
    ids=["kernel of another size", "one layer too many"],
)
def test_archive_with_other_variables_raises(tmp_path, changes):
    with pytest.raises(ModelError, match="CAN"):
        load(write_archive(tmp_path / "can.npz", **changes))


def test_archive_with_pickled_objects_raises(tmp_path):
    path = tmp_path / "pickled.npz"
    np.savez(path, a=np.array([{"an": "object"}], dtype=object))
    with pytest.raises(ModelError, match="CAN"):
        load(path)


def test_truncated_archive_raises(tmp_path):
    path = tmp_path / "can.npz"
    np.savez(path, weights=np.zeros((3, 3, 3, 24), np.float32))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ModelError, match="BadZipFile"):
        load(path)
