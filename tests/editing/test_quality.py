"""The quality of a network, from the command line to the record in the photo."""

import json

import numpy as np
import pytest
from PIL import Image

import burnish as package
from burnish.cli.options import Qualities, parse_qualities
from burnish.editing.edit import load_edit
from burnish.editing.history import read_history
from burnish.errors import UsageError
from burnish.runtime.model import Model


@pytest.fixture
def photo(tmp_path, draw_photo):
    return draw_photo(tmp_path / "photo.png")


@pytest.fixture
def draw_photo():
    def draw(path):
        pixels = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        return path

    return draw


def test_values_of_the_option():
    assert parse_qualities([]) == Qualities(None, None)
    assert parse_qualities(["preview", "80"]) == Qualities(80, "preview")
    for texts in (["0"], ["101"], ["good"], ["preview", "best"], ["80", "90"]):
        with pytest.raises(UsageError, match="quality: "):
            parse_qualities(texts)


def test_quality_is_applied_and_recorded(burnish, quality_model, photo, tmp_path):
    outputs = {}
    for quality in ("preview", "standard", "best"):
        output = tmp_path / f"{quality}.png"
        code, out, err = burnish(
            *("apply", quality_model, photo, "-o", output, "--guide", "network"),
            *("--quality", quality, "--json"),
        )
        assert (code, err) == (0, "")
        (record,) = json.loads(out)["history"]
        assert record["quality"] == quality
        (step,) = read_history(output)
        assert step.quality == quality
        outputs[quality] = np.asarray(Image.open(output))
        pixels = np.asarray(Image.open(photo), np.float32) / 255
        expected = Model.open(quality_model, quality=quality)(pixels)
        assert np.abs(outputs[quality] - 255 * expected).max() <= 0.51
    assert not np.array_equal(outputs["preview"], outputs["best"])

    again = tmp_path / "again.png"
    arguments = ("replay", tmp_path / "preview.png", photo, "--model", quality_model, "-o", again)
    assert burnish(*arguments)[0] == 0
    np.testing.assert_array_equal(np.asarray(Image.open(again)), outputs["preview"])
    assert burnish(*arguments, "--quality", "best", "--overwrite")[0] == 0
    np.testing.assert_array_equal(np.asarray(Image.open(again)), outputs["best"])
    assert read_history(again)[0].quality == "best"


def test_line_names_the_quality(burnish, quality_model, photo, tmp_path):
    options = ("--guide", "network", "--quality", "preview", "--quality", "80")
    code, out, _ = burnish("apply", quality_model, photo, "-o", tmp_path / "a.jpg", *options)
    assert code == 0
    assert "fp32 preview)" in out


def test_quality_in_python(quality_model):
    pixels = np.random.default_rng(0).random((40, 56, 3), dtype=np.float32)
    result = package.apply(pixels, quality_model, quality="preview", guide="network")
    np.testing.assert_array_equal(result, Model.open(quality_model, quality="preview")(pixels))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--quality", "best"), "model guided has no network of quality best, only standard"),
        (("--quality", "good"), "expected 1 to 100, or preview, standard or best, got 'good'"),
        (("--quality", "best", "--slow"), "an operator itself has no qualities"),
    ],
)
def test_errors_are_one_line(burnish, guided_model, photo, options, message):
    operator = "l0-smoothing" if "--slow" in options else guided_model
    code, _, err = burnish("apply", operator, photo, *options)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_edits_of_regions_have_no_qualities(burnish, photo):
    code, _, err = burnish("regions", "blur", photo, "--box", "0,0,9,9", "--quality", "preview")
    assert code == 2
    assert err.count("\n") == 1


def test_videos_have_the_smallest_network_unless_another_is_chosen(quality_model, guided_model):
    edit = load_edit(quality_model, {})
    assert edit.history[0].quality == "standard"
    for bits in (8, None):
        assert edit.for_output(bits, video=True).history[0].quality == "preview"
    assert edit.for_output(8, video=True).for_output(8, video=True).history[0].quality == "preview"
    assert edit.for_output(8).history[0].quality == "standard"
    for quality in ("standard", "best"):
        chosen = load_edit(quality_model, {}, quality=quality).for_output(8, video=True)
        assert chosen.history[0].quality == quality
    assert load_edit(guided_model, {}).for_output(8, video=True).history[0].quality is None
