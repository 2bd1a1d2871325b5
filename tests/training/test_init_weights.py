"""Starting from a model: the network is the file's, whatever one of the two has beside."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

from burnish.errors import UsageError
from burnish.modelfile.card import COORDS, INPUT, PARAMS, THUMBNAIL
from burnish.modelfile.reader import read_model
from burnish.modelfile.weights import named_weights
from burnish.networks.registry import build
from burnish.runtime.model_registry import find_model
from burnish.training.init_weights import init_from
from burnish.training.pipeline import train_and_export
from burnish.training.request import validate_request
from burnish.training.train import TrainCallbacks


def given(file, share=None):
    """What the model takes; sliders at so much of their range, or at what its card says."""
    generator = np.random.default_rng(0)
    card = file.card
    taken = {INPUT: generator.random((1, 3, 3 * card.size_multiple, 4 * card.size_multiple))}
    if card.sliders:
        params = [one.as_param() for one in card.sliders]
        values = [one.default if share is None else one.at_fraction(share) for one in params]
        taken[PARAMS] = np.reshape(values, (1, -1, 1, 1))
    if card.thumbnail:
        taken[THUMBNAIL] = generator.random((1, 3, card.thumbnail, card.thumbnail))
        taken[COORDS] = generator.uniform(-1, 1, (1, 3, 4, 2))
    return {name: value.astype(np.float32) for name, value in taken.items()}


def by_onnx_runtime(file, taken):
    return onnxruntime.InferenceSession(file.graph).run(None, taken)[0]


def by_torch(network, taken):
    with torch.no_grad():
        return network.eval()(*map(torch.from_numpy, taken.values())).numpy()


def begun(name, sliders=None, thumbnail=None):
    file = read_model(find_model(name))
    params = tuple(one.as_param() for one in file.card.sliders) if sliders is None else sliders
    whole = bool(file.card.thumbnail_size) if thumbnail is None else thumbnail
    network = build("fast", params, whole)
    init_from(network, named_weights(file), name)
    return file, network


@pytest.mark.parametrize("name", ["tv-l1", "local-laplacian"])
@pytest.mark.parametrize("share", [None, 0.0, 0.7])
def test_the_network_is_the_model_s(name, share):
    file, network = begun(name)
    taken = given(file, share)
    np.testing.assert_allclose(by_torch(network, taken), by_onnx_runtime(file, taken), atol=1e-5)


def test_what_sliders_add_is_as_large_as_where_a_training_begins():
    """A file has whole numbers there, of up to 127: a step of an optimiser would not show."""
    file, network = begun("tv-l1")
    fresh = build("fast", tuple(one.as_param() for one in file.card.sliders))
    for name, value in fresh.named_parameters():
        if name.endswith("kernels.weight"):
            assert named_weights(file)[name].max() > 50
            assert network.get_parameter(name).std().item() == pytest.approx(
                value.std().item(), rel=0.1
            )


def test_sliders_that_only_the_model_has_are_left_out():
    file, network = begun("tv-l1", sliders=())
    taken = given(file)
    expected = by_onnx_runtime(file, taken)
    del taken[PARAMS]
    np.testing.assert_allclose(by_torch(network, taken), expected, atol=1e-5)


def test_a_thumbnail_that_only_the_network_takes_changes_nothing_yet():
    """At the sliders' defaults: they change the survey too, and begin anew."""
    file, network = begun("tv-l1", thumbnail=True)
    taken = given(file)
    expected = by_onnx_runtime(file, taken)
    generator = np.random.default_rng(1)
    taken[THUMBNAIL] = generator.random((1, 3, 64, 64), dtype=np.float32)
    taken[COORDS] = generator.random((1, 3, 4, 2), dtype=np.float32)
    np.testing.assert_allclose(by_torch(network, taken), expected, atol=1e-5)


def test_other_sliders_change_nothing_at_their_defaults():
    """Two sliders where the model has one: what it learnt for that one does not fit."""
    file, _ = begun("tv-l1")
    (param,) = (one.as_param() for one in file.card.sliders)
    _, network = begun("tv-l1", sliders=(param, replace(param, name="second")))
    taken = given(file)
    expected = by_onnx_runtime(file, taken)
    taken[PARAMS] = np.full((1, 2, 1, 1), param.default, np.float32)
    np.testing.assert_allclose(by_torch(network, taken), expected, atol=1e-5)


@pytest.mark.parametrize("network", ["can24", "best"])
def test_another_network_s_model_is_refused_before_anything_is_made(network, photos, tmp_path):
    said = r"--start-from.*tv-l1, which has no \S+ of the same shape"
    with pytest.raises(UsageError, match=said):
        validate_request(
            "tv-l1",
            photos=photos,
            network=network,
            init_from=find_model("tv-l1"),
            output=tmp_path / "new" / "a.onnx",
        )
    assert not (tmp_path / "new").exists()


def test_a_training_begins_there_and_the_card_says_so(photos, tmp_path):
    def trained(start, run):
        order = validate_request(
            "tv-l1",
            photos=photos,
            output=tmp_path / "own.onnx",
            run_dir=tmp_path / run,
            overwrite=True,
            steps=1,
            init_from=start,
            peak_rate=1e-6,
            batch=1,
            crop=32,
            short_sides=(),
        )
        return read_model(train_and_export(order, TrainCallbacks()).path).card

    card, fresh = trained(find_model("tv-l1"), "one"), trained(None, "two")
    assert (
        card.training["settings"]["start_from"]
        == f"tv-l1 {read_model(find_model('tv-l1')).sha256[:12]}"
    )
    assert fresh.training["settings"]["start_from"] == ""
    # One step at no rate to speak of: it is as good as the model it began from.
    assert card.metrics[0].psnr_mean > fresh.metrics[0].psnr_mean + 1
    with pytest.raises(UsageError, match="differs in start_from"):
        trained(None, "one")
