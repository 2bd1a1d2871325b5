"""Several operators in one edit, and the strength of an edit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image

import burnish
from burnish.editing.combined_edit import ChainedEdit, chain, load_edits, mix
from burnish.editing.edit import load_edit
from burnish.editing.history import read_history
from burnish.editing.operator_names import distribute_params, split_operators
from burnish.editing.photo import edit_out_of_core
from burnish.editing.replay import replay
from burnish.errors import UsageError
from burnish.photo import Photo
from burnish.regions.options import RegionOptions
from burnish.types import Rectangle

ADOBE_RGB = Path("/usr/share/color/icc/ghostscript/a98.icc")
NAMES = ["tv-l1", "local-laplacian"]


@pytest.fixture
def photo(photo_folder):
    return photo_folder / "1.png"


@pytest.fixture
def rgb(make_image):
    return make_image(1)


def test_operators_are_applied_in_order_without_rounding(photo, rgb):
    first, second = (load_edit(name, {}) for name in NAMES)
    pixels = Photo.open(photo).pixels
    expected = second.run(first.run(pixels))
    for operators in (NAMES, tuple(NAMES), "tv-l1,local-laplacian", "tv-l1, local-laplacian"):
        np.testing.assert_array_equal(load_edits(operators, {}).run(pixels), expected)
    np.testing.assert_array_equal(burnish.apply(rgb, NAMES), np.rint(expected * 255))
    output = burnish.apply(photo, NAMES)
    assert output.name == "1.tv-l1+local-laplacian.png"
    np.testing.assert_array_equal(Photo.open(output).pixels * 255, np.rint(expected * 255))


def test_list_of_one_operator_is_that_operator(rgb):
    np.testing.assert_array_equal(burnish.apply(rgb, ["tv-l1"]), burnish.apply(rgb, "tv-l1"))


def test_strength_mixes_the_result_and_the_photo(photo, rgb):
    whole = burnish.apply(rgb, "tv-l1").astype(float)
    for share in (0.25, 0.8):
        mixed = burnish.apply(rgb, "tv-l1", strength=share)
        assert np.abs(mixed - (rgb + share * (whole - rgb))).max() <= 1
    np.testing.assert_array_equal(burnish.apply(rgb, "tv-l1", strength=1), whole)
    np.testing.assert_array_equal(burnish.apply(rgb, "tv-l1", strength=0), rgb)
    unchanged = burnish.apply(photo, "tv-l1", strength=0)
    np.testing.assert_array_equal(Photo.open(unchanged).pixels, Photo.open(photo).pixels)


def test_strength_of_several_operators_mixes_the_last_result_and_the_photo(rgb):
    whole = burnish.apply(rgb, NAMES).astype(float)
    mixed = burnish.apply(rgb, NAMES, strength=0.5)
    assert np.abs(mixed - (rgb + whole) / 2).max() <= 1


@pytest.mark.parametrize("strength", [-0.1, 1.5, "half", float("nan")])
def test_strength_out_of_range_raises(rgb, strength):
    with pytest.raises(UsageError, match=r"^strength: expected 0 to 1"):
        burnish.apply(rgb, "tv-l1", strength=strength)


def test_strength_applies_to_region_edits(rgb):
    mask = np.zeros(rgb.shape[:2], bool)
    mask[8:30, 10:40] = True
    whole = burnish.apply(rgb, "fill", only=mask, colour="#ff0000").astype(float)
    mixed = burnish.apply(rgb, "fill", only=mask, colour="#ff0000", strength=0.5)
    assert np.abs(mixed - (rgb + whole) / 2).max() <= 1
    np.testing.assert_array_equal(mixed[~mask], rgb[~mask])


@pytest.mark.parametrize("edit", ["anonymise", "cut-out"])
def test_edit_that_must_be_whole_has_no_strength(rgb, edit):
    mask = np.ones(rgb.shape[:2], bool)
    with pytest.raises(UsageError, match=f"^strength: {edit} is not mixed"):
        burnish.apply(rgb, edit, only=mask, strength=0.5)


@pytest.mark.skipif(not ADOBE_RGB.exists(), reason="no Adobe RGB profile (package ghostscript)")
@pytest.mark.parametrize("on_disk", [False, True])
def test_values_of_a_photo_with_a_profile_are_mixed_as_they_are_stored(
    rgb, tmp_path, function_edit, on_disk
):
    path = tmp_path / "adobe.png"
    vivid = np.clip(rgb.astype(int) * 3 - 250, 0, 255).astype(np.uint8)
    Image.fromarray(vivid).save(path, icc_profile=ADOBE_RGB.read_bytes())

    def copy(read, write, size, on_progress):
        whole = Rectangle(0, size[0], 0, size[1])
        write(whole, 1 - read(whole)[:, ::-1] * np.float32(0.5))

    edit = function_edit(lambda pixels: 1 - pixels[:, ::-1] * np.float32(0.5), tiled_stages=[copy])
    codes = []
    for strength in (1, 0.4, 0):
        target = tmp_path / f"{strength}.png"
        mixed = mix(edit, strength)
        if on_disk:
            edit_out_of_core(mixed, path, target)
        else:
            mixed.edit_photo(Photo.open(path)).save(target)
        with Image.open(target) as image:
            codes.append(np.asarray(image, float))
    whole, some, none = codes
    np.testing.assert_array_equal(none, vivid)
    assert np.abs(some - (vivid + 0.4 * (whole - vivid))).max() <= 1


@pytest.mark.skipif(not ADOBE_RGB.exists(), reason="no Adobe RGB profile (package ghostscript)")
@pytest.mark.parametrize("depth", [8, 16])
def test_mixture_in_a_region_keeps_the_codes_outside(rgb, tmp_path, depth):
    path = tmp_path / "adobe.png"
    vivid = np.clip(rgb.astype(int) * 3 - 250, 0, 255) / 255
    Photo(vivid).save(path, depth=depth)
    opened = Photo.open(path)
    profiled = replace(opened.metadata, profile=ADOBE_RGB.read_bytes())
    Photo(opened.pixels, None, profiled).save(path, overwrite=True)
    mask = np.zeros(rgb.shape[:2], bool)
    mask[10:20, 10:30] = True
    output = burnish.apply(path, "tv-l1", only=mask, strength=0.5, output=tmp_path / "out.png")
    before, after = (pyvips.Image.new_from_file(str(file)).numpy() for file in (path, output))
    assert before.dtype == after.dtype == f"uint{depth}"
    np.testing.assert_array_equal(after[~mask], before[~mask])
    assert (after[mask] != before[mask]).any()


@pytest.mark.parametrize("strength", [0, 0.5, 1])
@pytest.mark.parametrize("count", [1, 2])
def test_photo_on_disk_is_edited_as_in_memory(photo, tmp_path, strength, count):
    edit = mix(load_edits(NAMES[:count], {}, guide="network"), strength)
    edit_out_of_core(edit, photo, tmp_path / "disk.png")
    in_memory = edit.run(Photo.open(photo).pixels)
    codes = Photo.open(tmp_path / "disk.png").pixels * 255
    np.testing.assert_array_equal(codes, np.rint(in_memory * 255))


def test_several_mixtures_are_not_edited_in_tiles():
    half = mix(load_edits("tv-l1", {}), 0.5)
    assert half.tiled_stages
    assert not ChainedEdit([half, half]).tiled_stages
    assert not mix(half, 0.5).tiled_stages


def test_frames_of_a_video_are_edited_in_order_and_mixed(make_image, function_edit):
    frame = make_image(2) / np.float32(255)
    invert = function_edit(lambda pixels: 1 - pixels)
    darken = function_edit(lambda pixels: pixels * np.float32(0.5))
    edit = mix(chain([invert, darken]), 0.25).for_output(8, video=True)
    edit_frame = edit.frame_edit(lambda: [frame])
    expected = 0.75 * frame + 0.125 * (1 - frame)
    np.testing.assert_allclose(edit_frame(frame, 0, 0.0), expected, atol=1e-6)


@pytest.mark.parametrize("strength", [0.4, 1])
@pytest.mark.parametrize("with_mask", [False, True])
def test_replay_repeats_operators_strength_and_region(photo, tmp_path, strength, with_mask):
    box = RegionOptions(box=(5, 4, 40, 30), feather=4) if with_mask else None
    output = burnish.apply(photo, NAMES, strength=strength, only=box, lambda_=0.4)
    history = read_history(output)
    assert [record.operator for record in history] == NAMES
    assert [record.continues for record in history] == [False, True]
    assert {record.strength for record in history} == {strength}
    again = replay(history)
    repeated = again.edit_photo(Photo.open(photo), photo)
    codes = Photo.open(output).pixels * 255
    np.testing.assert_array_equal(np.rint(repeated.pixels * 255), codes)
    assert again.history == history
    assert again.for_output(8, video=True).history[1].continues


def test_replay_keeps_separate_edits_apart(photo):
    first = burnish.apply(photo, "tv-l1", strength=0.5)
    second = burnish.apply(first, NAMES, strength=0.8)
    history = read_history(second)
    edit = replay(history)
    assert edit.history == history
    assert [record.continues for record in history] == [False, False, True]
    whole = replay(history, strength=1)
    assert {record.strength for record in whole.history} == {1}
    pixels = Photo.open(photo).pixels
    expected = load_edits(NAMES, {}).run(load_edit("tv-l1", {}).run(pixels))
    np.testing.assert_array_equal(whole.run(pixels), expected)


def test_split_operators_keeps_commands_and_files_whole(tmp_path):
    assert split_operators("command:convert {input} -blur 0,4 {output}") == [
        "command:convert {input} -blur 0,4 {output}"
    ]
    file = tmp_path / "a,b.onnx"
    file.touch()
    assert split_operators(str(file)) == [str(file)]
    assert split_operators(file) == [file]
    for empty in ("", "tv-l1,", [], ["tv-l1", ""]):
        with pytest.raises(UsageError, match=r"^operator: a name is missing"):
            split_operators(empty)


@pytest.mark.parametrize(
    ("operators", "values", "expected"),
    [
        (NAMES, {"lambda_": 0.4, "detail": 2}, [{"lambda": 0.4}, {"detail": 2}]),
        (["tv-l1", "tv-l1"], {"lambda": 0.4}, [{"lambda": 0.4}] * 2),
        (["tv-l1", "l0-smoothing"], {"tv-l1.lambda": 0.4}, [{"lambda": 0.4}, {}]),
        (["tv-l1", "l0-smoothing"], {"l0_smoothing_lambda": 0.1}, [{}, {"lambda": 0.1}]),
        # The network for nonlocal-dehazing was trained at one value of lambda.
        (["nonlocal-dehazing", "tv-l1"], {"lambda": 0.4}, [{}, {"lambda": 0.4}]),
        (NAMES, {"lambda": None}, [{}, {}]),
    ],
)
def test_each_operator_gets_its_parameters(operators, values, expected):
    assert distribute_params(operators, values) == expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lambda": 0.4}, "^lambda: tv-l1 and l0-smoothing have this .* tv-l1.lambda or l0-"),
        ({"omega": 1}, "^tv-l1 and l0-smoothing: there is no parameter omega"),
        ({"tv-l1.lambda": 40}, "^tv-l1.lambda: expected 0.1 to 2"),
    ],
)
def test_parameter_of_no_or_several_operators_raises(rgb, values, message):
    with pytest.raises(UsageError, match=message):
        burnish.apply(rgb, ["tv-l1", "l0-smoothing"], **values)


def test_guide_is_for_the_operators_that_have_one(rgb):
    edit = load_edits(["rudin-osher-fatemi-best", "tv-l1"], {}, guide="network")
    assert [record.guide for record in edit.history] == [None, "network"]
    with pytest.raises(UsageError, match="takes no guide"):
        load_edits(["rudin-osher-fatemi-best"] * 2, {}, guide="network")
