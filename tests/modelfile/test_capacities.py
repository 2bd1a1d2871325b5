"""Model files with networks of several qualities."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from pydantic import ValidationError

from burnish.errors import ModelError, OutputError, UsageError
from burnish.export.merge import write_quality
from burnish.modelfile.card import Card
from burnish.modelfile.onnx_file import named_weights
from burnish.modelfile.reader import parse_model, read_model
from burnish.runtime.model import Model

QUALITIES = ("preview", "standard", "best")
PIXELS = np.random.default_rng(0).random((50, 61, 3), dtype=np.float32)


def test_each_quality_has_the_weights_of_its_own_network(nested_model, nested_networks):
    """The export has compared the results of each with PyTorch's."""
    file = read_model(nested_model)
    for quality in QUALITIES:
        own = file.at_quality(quality)
        for part, nested in zip((own, own.start), nested_networks, strict=False):
            expected = nested.network(quality if quality in nested.qualities else "standard")
            weights = named_weights(part.graph)
            for name, parameter in expected.named_parameters():
                np.testing.assert_array_equal(weights[name], parameter.detach().numpy())
            assert part.card.halo == expected.halo
            assert part.card.macs_per_pixel == expected.macs_per_pixel


def test_shared_kernels_are_stored_once(nested_model):
    model = onnx.load(nested_model)
    names = {tensor.name for tensor in model.graph.initializer}
    assert "best.downsample.0.weight" in names
    assert not names & {"downsample.0.weight", "preview.downsample.0.weight"}
    assert {"tail.bias", "preview.tail.bias", "best.tail.bias", "preview.head.weight"} <= names


def test_a_runtime_computes_all_outputs_of_the_file_as_it_is(nested_model):
    file = read_model(nested_model)
    whole = onnxruntime.InferenceSession(nested_model)
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
def test_single_quality_is_written_as_a_plain_file(nested_model, tmp_path, quality):
    path = tmp_path / "single.onnx"
    write_quality(nested_model, path, quality)
    plain, nested = Model.open(path), Model.open(nested_model, quality=quality)
    assert plain.card == nested.card.model_copy(update={"capacities": ()})
    assert plain.file.start.card == nested.file.at_quality(quality).start.card
    for name in ("", "start."):
        assert f"{name}tail.bias" in {t.name for t in onnx.load(path).graph.initializer}
    for lambda_ in (0.002, 0.02, 0.2):
        np.testing.assert_array_equal(
            plain(PIXELS, lambda_=lambda_), nested(PIXELS, lambda_=lambda_)
        )
    with pytest.raises(OutputError, match="exists"):
        write_quality(nested_model, path, quality)


@pytest.mark.parametrize("quality", QUALITIES)
def test_tiles_are_exact(nested_model, quality):
    model = Model.open(nested_model, quality=quality)
    whole = model(PIXELS)
    memory = model.min_memory(*PIXELS.shape[:2])
    np.testing.assert_array_equal(model(PIXELS, memory=memory), whole)
    streamed = np.empty_like(PIXELS)

    def write(rectangle, tile_output):
        streamed[rectangle.slices] = tile_output

    model.process_tiles(lambda part: PIXELS[part.slices], write, PIXELS.shape[:2], memory=memory)
    np.testing.assert_array_equal(streamed, whole)


def test_qualities_differ_and_cost_more_in_order(nested_model):
    models = [Model.open(nested_model, quality=quality) for quality in QUALITIES]
    costs = [model.card.macs_per_pixel for model in models]
    assert costs == sorted(costs)
    assert len({*costs}) == 3
    outputs = [model(PIXELS) for model in models]
    assert not np.array_equal(outputs[0], outputs[1])
    np.testing.assert_array_equal(Model.open(nested_model)(PIXELS), outputs[1])
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
def test_cards_with_contradictory_capacities_are_rejected(nested_model, change):
    card = read_model(nested_model).card
    fields = card.model_dump() | {
        "capacities": [one.model_dump() for one in change(*card.capacities)]
    }
    with pytest.raises(ValidationError):
        Card(**fields)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ends: np.array([99, 1]), "lies outside the weight"),
        (lambda ends: np.array([0, 1]), "lies outside the weight"),
        (lambda ends: np.array([1]), "needs starts, ends and axes"),
    ],
)
def test_invalid_slices_are_rejected(nested_model, change, message):
    model = onnx.load(nested_model)
    name = "slice.ends.preview.downsample.0.weight"
    (tensor,) = (t for t in model.graph.initializer if t.name == name)
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), name))
    with pytest.raises(ModelError, match=message):
        parse_model(model.SerializeToString(), "nested.onnx")


def test_weight_is_cut_once_in_each_network(nested_model):
    """Otherwise a small file could take much memory."""
    model = onnx.load(nested_model)
    (node,) = (n for n in model.graph.node if "preview.downsample.0.weight" in n.output)
    again = onnx.NodeProto()
    again.CopyFrom(node)
    again.output[0], again.name = "again", "again"
    model.graph.node.insert(0, again)
    (conv,) = (n for n in model.graph.node if "preview.upsample.0.weight" in n.input)
    conv.input[1] = "again"
    with pytest.raises(ModelError, match="cuts the same weight again"):
        parse_model(model.SerializeToString(), "nested.onnx")


def test_standard_start_network_serves_qualities_without_their_own(nested_model):
    file = read_model(nested_model)
    assert file.at_quality("best").start.graph == file.start.graph
    assert file.at_quality("preview").start.graph != file.start.graph
