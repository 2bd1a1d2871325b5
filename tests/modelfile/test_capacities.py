"""Model files with networks of several qualities."""

import numpy as np
import onnx
import onnxruntime
import pytest
from pydantic import ValidationError

from burnish.errors import OutputError, UsageError
from burnish.export.merge import write_quality
from burnish.modelfile.card import Card
from burnish.modelfile.onnx_file import named_weights
from burnish.modelfile.reader import read_model
from burnish.runtime.model import Model

QUALITIES = ("preview", "standard", "best")
PIXELS = np.random.default_rng(0).random((50, 61, 3), dtype=np.float32)


def test_each_quality_has_the_weights_of_its_own_network(quality_model, quality_networks):
    """The export has compared the results of each with PyTorch's."""
    file = read_model(quality_model)
    networks, start, _ = quality_networks
    for quality, output in zip(QUALITIES, ("preview", "result", "best"), strict=True):
        own = file.at_quality(quality)
        for part, expected in ((own, networks[output]), (own.start, start)):
            weights = named_weights(part.graph)
            for name, parameter in expected.named_parameters():
                np.testing.assert_array_equal(weights[name], parameter.detach().numpy())
            assert part.card.halo == expected.halo
            assert part.card.macs_per_pixel == expected.macs_per_pixel


def test_a_runtime_computes_all_outputs_of_the_file_as_it_is(quality_model):
    file = read_model(quality_model)
    whole = onnxruntime.InferenceSession(quality_model)
    random = np.random.default_rng(0)
    shapes = {"params": (1, 2, 1, 1), "thumbnail": (1, 3, 64, 64), "coords": (1, 3, 3, 2)}
    inputs = {
        value.name: random.random(shapes.get(value.name, (1, 3, 12, 12)), dtype=np.float32)
        for value in whole.get_inputs()
    }
    for quality, output in zip(QUALITIES, ("preview", "result", "best"), strict=True):
        graph = file.at_quality(quality).graph
        session = onnxruntime.InferenceSession(graph)
        own = {value.name: inputs[value.name] for value in session.get_inputs()}
        (expected,) = session.run(["result"], own)
        (result,) = whole.run([output], inputs)
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("quality", QUALITIES)
def test_single_quality_is_written_as_a_plain_file(quality_model, tmp_path, quality):
    path = tmp_path / "single.onnx"
    write_quality(quality_model, path, quality)
    plain, own = Model.open(path), Model.open(quality_model, quality=quality)
    assert plain.card == own.card.model_copy(update={"capacities": ()})
    assert plain.file.start.card == own.file.at_quality(quality).start.card
    for name in ("", "start."):
        assert f"{name}tail.bias" in {t.name for t in onnx.load(path).graph.initializer}
    for lambda_ in (0.002, 0.02, 0.2):
        np.testing.assert_array_equal(plain(PIXELS, lambda_=lambda_), own(PIXELS, lambda_=lambda_))
    with pytest.raises(OutputError, match="exists"):
        write_quality(quality_model, path, quality)


@pytest.mark.parametrize("quality", QUALITIES)
def test_tiles_are_exact(quality_model, quality):
    model = Model.open(quality_model, quality=quality)
    whole = model(PIXELS)
    memory = model.min_memory(*PIXELS.shape[:2])
    np.testing.assert_array_equal(model(PIXELS, memory=memory), whole)
    streamed = np.empty_like(PIXELS)

    def write(rectangle, tile_output):
        streamed[rectangle.slices] = tile_output

    model.process_tiles(lambda part: PIXELS[part.slices], write, PIXELS.shape[:2], memory=memory)
    np.testing.assert_array_equal(streamed, whole)


def test_qualities_differ_and_cost_more_in_order(quality_model):
    models = [Model.open(quality_model, quality=quality) for quality in QUALITIES]
    costs = [model.card.macs_per_pixel for model in models]
    assert costs == sorted(costs)
    assert len({*costs}) == 3
    outputs = [model(PIXELS) for model in models]
    assert not np.array_equal(outputs[0], outputs[1])
    np.testing.assert_array_equal(Model.open(quality_model)(PIXELS), outputs[1])
    assert len({model.sha256 for model in models}) == 1


def test_missing_quality_is_an_error(guided_model):
    assert Model.open(guided_model, quality="standard").quality == "standard"
    with pytest.raises(UsageError, match="guided has no network of quality preview, only standard"):
        Model.open(guided_model, quality="preview")
    with pytest.raises(UsageError, match="expected preview, standard or best, got 'good'"):
        Model.open(guided_model, quality="good")


@pytest.mark.parametrize(
    "change",
    [
        lambda preview, best: (best, preview),
        lambda preview, best: (preview, preview),
        lambda preview, best: (preview.model_copy(update={"thumbnail_size": 64}), best),
    ],
)
def test_cards_with_contradictory_capacities_are_rejected(quality_model, change):
    card = read_model(quality_model).card
    fields = card.model_dump() | {
        "capacities": [one.model_dump() for one in change(*card.capacities)]
    }
    with pytest.raises(ValidationError):
        Card(**fields)


def test_a_start_network_of_full_size_begins_the_cascade_of_other_qualities(quality_model):
    file = read_model(quality_model)
    for quality in QUALITIES:
        assert file.at_quality(quality).start.graph == file.start.graph
    starts = [file.card.at_quality(quality).guide.start.full_size for quality in QUALITIES]
    assert starts == [False, True, False]


def test_added_networks_leave_those_of_the_file_as_they_are(quality_model):
    before, after = read_model(quality_model.with_name("standard.onnx")), read_model(quality_model)
    for old, new in ((before, after), (before.start, after.start)):
        assert named_weights(old.graph).keys() == named_weights(new.graph).keys()
        assert old.graph == new.graph
