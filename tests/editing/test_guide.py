"""Networks that are guided by their operator or by their start network."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import burnish
from burnish.editing.edit import NetworkEdit, load_edit
from burnish.editing.guide import load_guide
from burnish.editing.history import read_history
from burnish.editing.region_edit import MaskedEdit
from burnish.editing.replay import replay
from burnish.errors import MissingLibraryError, UsageError
from burnish.modelfile.card import FixedParam
from burnish.operators.operator import Operator
from burnish.operators.registry import OPERATORS
from burnish.photo import Photo
from burnish.regions.options import RegionOptions
from burnish.regions.region import Region
from burnish.runtime import cascade
from burnish.runtime.model import Model
from burnish.runtime.resize import area_resize

# It measures the air-light of the photo, and is off where omega is 0.
OPERATOR = OPERATORS["dark-channel-guided"]
PARAMS = {"omega": 0.8}
# That of a photo of 70 x 90 px: half of it.
FIRST_LEVEL = (35, 45)


@pytest.fixture(scope="module")
def dehazing_model(random_network, export_guided) -> Path:
    """The model file of a guided network with the slider omega."""
    networks = (
        random_network(("omega",), operator=OPERATOR.name, **arguments)
        for arguments in ({"global_context": False, "guided": True}, {"seed": 1})
    )
    (guided, sliders), (start, _) = networks
    return export_guided(guided, start, sliders, OPERATOR.name)


@pytest.fixture
def model(dehazing_model) -> Model:
    return Model.open(dehazing_model, device="cpu", threads=1)


@pytest.fixture
def pixels(make_image) -> np.ndarray:
    return make_image(1, 70, 90) / np.float32(255)


@pytest.fixture
def missing_operators(monkeypatch):
    """No operator can be loaded."""

    def load_function(self):
        raise MissingLibraryError(self.name, "the library scipy is not installed", "install it")

    monkeypatch.setattr(Operator, "load_function", load_function)


@pytest.fixture
def measured_shapes(monkeypatch):
    """The shapes of the images that the operator measures."""
    shapes, measure = [], Operator.measure

    def record(self, rgb, **params):
        shapes.append(rgb.shape)
        return measure(self, rgb, **params)

    monkeypatch.setattr(Operator, "measure", record)
    return shapes


def streamed(edit, pixels: np.ndarray) -> np.ndarray:
    """Return the output of an edit's only stage."""
    output = np.full_like(pixels, np.nan)

    def write(rectangle, values):
        output[rectangle.slices] = values

    [stage] = edit.tiled_stages
    stage(lambda rectangle: pixels[rectangle.slices].copy(), write, pixels.shape[:2], None)
    return output


def test_operator_on_a_small_copy_guides_the_network(model, pixels):
    small = area_resize(pixels, FIRST_LEVEL)
    measured = OPERATOR.measure(pixels, **PARAMS)
    first = OPERATOR.run_small(small, 35 / 70, measured, **PARAMS)
    edit = NetworkEdit(model, PARAMS, "operator")
    np.testing.assert_array_equal(edit.run(pixels), model(pixels, PARAMS, guide=first))
    assert edit.guide == edit.history[0].guide == "operator"


def test_small_photo_is_the_operators_output(model, pixels):
    small = pixels[:16]
    expected = OPERATOR.run(small, **PARAMS)
    np.testing.assert_array_equal(NetworkEdit(model, PARAMS, "operator").run(small), expected)


def test_start_network_guides_the_network(model, pixels):
    edit = NetworkEdit(model, PARAMS, "network")
    np.testing.assert_array_equal(edit.run(pixels), model(pixels, PARAMS))
    assert edit.guide == edit.history[0].guide == "network"
    difference = np.abs(edit.run(pixels) - NetworkEdit(model, PARAMS).run(pixels))
    assert difference.max() > 0.01


@pytest.mark.parametrize("guide", ["operator", "network"])
def test_stage_equals_run_bit_for_bit(model, pixels, guide, monkeypatch, measured_shapes):
    monkeypatch.setattr(cascade, "MEASURED_PIXELS", 70 * 90 / 4)
    edit = NetworkEdit(model, PARAMS, guide)
    np.testing.assert_array_equal(streamed(edit, pixels), edit.run(pixels))
    assert measured_shapes == [(35, 45, 3)] * (2 if guide == "operator" else 0)


def test_default_guide_is_the_operator_unless_its_library_is_missing(model, missing_operators):
    assert NetworkEdit(model, {}).guide == "network"
    with pytest.raises(MissingLibraryError, match="scipy"):
        NetworkEdit(model, {}, "operator")


def test_default_guide_is_the_operator(model):
    assert NetworkEdit(model, {}).guide == "operator"


@pytest.mark.parametrize("problem", ["user-defined", "file"])
def test_guide_by_an_operator_that_cannot_be_run(model, problem):
    card, values = model.card, {"omega": 0.8}
    if problem == "user-defined":
        card = card.model_copy(update={"operator": "python:a.py:f"})
    else:
        file = FixedParam(name="airlight", effect="is a file", value="a.png", sha256="0" * 64)
        card = card.model_copy(update={"fixed_params": (file,)})
        assert load_guide(card, values, {"airlight": "b.png"}, "operator") is not None
    assert load_guide(card, values, {}, None) is None
    with pytest.raises(UsageError, match=r"^guide: "):
        load_guide(card, values, {}, "operator")
    alone = card.model_copy(update={"guide": card.guide.model_copy(update={"start": None})})
    with pytest.raises(UsageError, match=r"^guide: "):
        load_guide(alone, values, {}, None)


def test_guides_that_are_not_possible_are_rejected(model, slider_model):
    alone = model.card.model_copy(
        update={"guide": model.card.guide.model_copy(update={"start": None})}
    )
    with pytest.raises(UsageError, match="no start network"):
        load_guide(alone, {}, {}, "network")
    with pytest.raises(UsageError, match="expected operator or network, got both"):
        load_edit(slider_model, {}, guide="both")
    with pytest.raises(UsageError, match="takes no guide"):
        load_edit(slider_model, {}, guide="network")
    with pytest.raises(UsageError, match="takes no guide"):
        load_edit("l0-smoothing", {}, slow=True, guide="operator")
    with pytest.raises(UsageError, match="takes no guide"):
        burnish.apply(np.zeros((8, 8, 3), np.uint8), "splash", guide="operator")
    assert load_edit(slider_model, {}).history[0].guide is None


@pytest.mark.parametrize("guide", ["operator", "network"])
def test_off_is_exactly_off(model, pixels, dehazing_model, tmp_path, guide):
    edit = NetworkEdit(model, {"omega": 0}, guide)
    assert edit.run(pixels) is pixels
    np.testing.assert_array_equal(streamed(edit, pixels), pixels)
    assert edit.frame_edit(lambda: [pixels])(pixels, 0, 0.0) is pixels
    assert (NetworkEdit(model, {"omega": 0.01}, guide).run(pixels) != pixels).any()
    source, codes = tmp_path / "a.png", (pixels * 255).round().astype(np.uint8)
    Image.fromarray(codes).save(source)
    target = burnish.apply(source, dehazing_model, omega=0, guide=guide)
    np.testing.assert_array_equal(np.asarray(Image.open(target)), codes)


def test_region_is_guided_by_the_whole_photo(model, pixels):
    mask = np.zeros(pixels.shape[:2], np.float32)
    mask[40:, 50:] = 1
    edit = NetworkEdit(model, PARAMS, "operator")
    output = MaskedEdit(edit, Region(RegionOptions(feather=0), mask=mask)).run(pixels)
    np.testing.assert_array_equal(output[41:, 51:], edit.run(pixels)[41:, 51:])
    np.testing.assert_array_equal(output[:39], pixels[:39])


def test_videos_are_guided_by_the_network_unless_the_operator_is_chosen(model, dehazing_model):
    edit = NetworkEdit(model, PARAMS)
    assert (edit.guide, edit.for_output(8, video=True).guide) == ("operator", "network")
    assert edit.for_output(8, video=True).history[0].guide == "network"
    assert NetworkEdit(model, PARAMS, "operator").for_output(8, video=True).guide == "operator"
    masked = MaskedEdit(edit, Region(mask=np.ones((9, 9), np.float32)))
    assert masked.for_output(8, video=True).history[0].guide == "network"
    assert masked.for_output(8, video=True).history[0].region is not None
    file = edit.history[0].model_copy(update={"guide": None})
    chained = replay([file, file], models=[dehazing_model])
    history = chained.for_output(8, video=True).history
    assert [step.guide for step in history] == ["network", "network"]


def test_operator_measures_once_for_all_frames_of_a_video(model, make_image, measured_shapes):
    frames = [make_image(seed, 70, 90) / np.float32(255) for seed in range(3)]
    edit_frame = NetworkEdit(model, PARAMS, "operator").frame_edit(lambda: frames)
    assert measured_shapes == [(210, 90, 3)]
    measured = OPERATOR.measure(np.concatenate(frames), **PARAMS)
    del measured_shapes[:]
    for index, frame in enumerate(frames):
        small = area_resize(frame, FIRST_LEVEL)
        first = OPERATOR.run_small(small, 35 / 70, measured, **PARAMS)
        expected = model(frame, PARAMS, guide=first)
        np.testing.assert_array_equal(edit_frame(frame, index, index / 25), expected)
    assert measured_shapes == []


def test_start_network_has_one_thumbnail_for_all_frames(model, make_image):
    frames = [make_image(seed, 70, 90) / np.float32(255) for seed in range(3)]
    edit_frame = NetworkEdit(model, PARAMS, "network").frame_edit(lambda: frames)
    thumbnails = [area_resize(frame, (64, 64)).astype(np.float64) for frame in frames]
    mean = np.mean(thumbnails, axis=0).astype(np.float32)
    for index, frame in enumerate(frames):
        expected = model(frame, PARAMS, thumbnail=mean)
        np.testing.assert_array_equal(edit_frame(frame, index, index / 25), expected)


def test_fingerprint_depends_on_the_operator_that_guides(model):
    edits = [
        NetworkEdit(model, params, guide)
        for params in ({}, PARAMS)
        for guide in ("operator", "network")
    ]
    fingerprints = [edit.fingerprint() for edit in edits]
    assert fingerprints[0] != fingerprints[2]
    assert fingerprints[1] == fingerprints[3] == ""


def test_command_line_reports_and_records_the_guide(burnish, photo_folder, dehazing_model):
    photo = photo_folder / "1.png"
    apply = partial(burnish, "apply", dehazing_model, photo, "--overwrite")
    for arguments, guide in (([], "operator"), (["--guide", "network"], "network")):
        code, out, err = apply(*arguments)
        assert (code, out.strip().rpartition(", ")[2]) == (0, f"guide: {guide}")
        assert "warning" not in err
        code, out, _ = apply(*arguments, "--json")
        assert json.loads(out)["history"][0]["guide"] == guide
        assert read_history(photo_folder / "1.guided.png")[0].guide == guide
    code, out, err = apply("--guide", "both")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("burnish: --guide: expected operator or network")


def test_replay_repeats_the_guide_or_uses_another_one(burnish, photo_folder, dehazing_model):
    edited, target = photo_folder / "1.guided.png", photo_folder / "2.guided.png"
    burnish("apply", dehazing_model, photo_folder / "1.png", "--guide", "network")
    again = ["replay", edited, photo_folder / "2.png", "--model", dehazing_model, "--overwrite"]
    assert burnish(*again)[0] == 0
    assert read_history(target)[0].guide == "network"
    assert burnish(*again, "--guide", "operator")[0] == 0
    assert read_history(target)[0].guide == "operator"
    expected = NetworkEdit(Model.open(dehazing_model), {}, "operator")
    photo = Photo.open(photo_folder / "2.png")
    codes = (expected.run(photo.pixels) * 255).round()
    np.testing.assert_array_equal(np.asarray(Image.open(target)), codes)


def test_replay_of_unguided_edits_takes_no_guide(photo_folder):
    history = read_history(burnish.apply(photo_folder / "1.png", "rudin-osher-fatemi-best"))
    with pytest.raises(UsageError, match="no edit in the history takes a guide"):
        replay(history, guide="operator")


def test_compare_names_the_guide(burnish, photo_folder, dehazing_model):
    arguments = ["compare", dehazing_model, photo_folder / "1.png", "--guide", "network"]
    code, out, _ = burnish(*arguments, "--json")
    assert (code, json.loads(out)["guide"]) == (0, "network")
    code, out, _ = burnish(*arguments, "--overwrite")
    assert (code, out.splitlines()[1].endswith(", guide: network, onnxruntime fp32")) == (0, True)
