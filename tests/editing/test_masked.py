"""Edits within regions: what is outside stays bit for bit, in every kind of file."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import burnish
from burnish.detection.instances import Instances
from burnish.editing.edit import load_edit
from burnish.editing.history import read_photo_history
from burnish.editing.masked import MaskedEdit, MaskWriter
from burnish.editing.photo import edit_photo
from burnish.editing.region_edit import RegionEditor
from burnish.editing.replay import replay
from burnish.errors import ModelError, OutputError, PhotoError, UsageError
from burnish.photo import Photo
from burnish.regions.registry import EDITS
from burnish.regions.maskfile import MaskFile
from burnish.regions.options import RegionOptions
from burnish.regions.region import Region

# What each is asked for, so that it changes something.
ASKED = {"adjust": {"exposure": 1}}
SHOWN = [name for name, edit in EDITS.items() if edit.function]


def soft(height=40, width=56):
    """A disc with a soft rim: some pixels wholly in, some wholly out."""
    y, x = np.mgrid[:height, :width]
    return (1.5 - np.hypot(x - width / 2, y - height / 2) / 10).clip(0, 1).astype(np.float32)


@pytest.fixture
def mask():
    return soft()


class Found:
    """A detector that finds a person in the left half of every picture."""

    name, sha256, classes, device = "halves", "0" * 64, ("person",), "cpu"

    def __init__(self, nothing=False):
        self.nothing = nothing

    def find(self, pixels, source=None):
        height, width = pixels.shape[:2]
        box = np.array([[0, 0, width // 2, height]], np.float32)
        one = (np.ones((height, width // 2), np.float32),)
        found = Instances((width, height), box, ("person",), np.ones(1, np.float32), one)
        return found.select([] if self.nothing else [0])


def person(edges=None, nothing=False):
    return Region(Selection(only=("person",)), edges or Edges(feather=0), Found(nothing))


KINDS = ["8 bits", "16 bits", "alpha", "grey", "float", "beyond sRGB"]


@pytest.fixture(params=KINDS)
def file(request, picture, tmp_path):
    """A file of each kind."""
    return write(request.param, picture, tmp_path)


def write(kind, picture, folder):
    pixels = picture(3) / np.float32(255)
    photo = Photo(pixels)
    origin, name = photo.metadata, "photo.png"
    if kind == "16 bits":
        origin = replace(origin, depth=16)
        photo = Photo(np.random.default_rng(0).random(pixels.shape))
    elif kind == "alpha":
        photo = replace(photo, alpha=soft()[::-1])
    elif kind == "grey":
        origin = replace(origin, grey=True)
        photo = Photo(np.repeat(pixels[..., :1], 3, axis=2))
    elif kind == "float":
        origin, name = replace(origin, depth=32), "photo.tif"
    elif kind == "beyond sRGB":
        Image.fromarray(picture(3)).save(folder / name, icc_profile=wide_profile())
        return folder / name
    return replace(photo, metadata=origin).save(folder / name)


def wide_profile():
    """The profile of a space with primaries of its own, as matrix and gamma: ProPhoto-like."""
    import struct

    def fixed(value):
        return struct.pack(">i", round(value * 65536))

    def xyz(*values):
        return b"XYZ \0\0\0\0" + b"".join(map(fixed, values))

    gamma = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(1.8 * 256)) + b"\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"wide\0" + b"\0" * 79
    text += b"\0" * (-len(text) % 4)
    tags = {
        b"desc": text,
        b"cprt": b"text\0\0\0\0none",
        b"wtpt": xyz(0.9642, 1, 0.8249),
        b"rXYZ": xyz(0.79767, 0.28804, 0),
        b"gXYZ": xyz(0.13519, 0.71188, 0),
        b"bXYZ": xyz(0.03134, 0.00009, 0.82491),
        b"rTRC": gamma,
        b"gTRC": gamma,
        b"bTRC": gamma,
    }
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data
    header = struct.pack(
        ">I4sI4s4s4s", start + len(body), b"none", 0x02200000, b"mntr", b"RGB ", b"XYZ "
    )
    header += b"\0" * 12 + b"acsp" + b"\0" * 28 + fixed(0.9642) + fixed(1) + fixed(0.8249)
    return header.ljust(128, b"\0") + table + body


def codes(path):
    """A file's own values as stored."""
    import pyvips

    return pyvips.Image.new_from_file(str(path)).numpy()


@pytest.mark.parametrize("invert", [False, True])
def test_within_a_region_it_is_the_whole_edit_and_outside_the_photo(file, mask, invert):
    region = Region(mask=mask, invert=invert)
    whole = burnish.apply(file, "l0-smoothing", output=file.with_stem("whole"))
    result = burnish.apply(file, "l0-smoothing", only=region, output=file.with_stem("part"))
    inside, outside = (mask == 1, mask == 0) if not invert else (mask == 0, mask == 1)
    np.testing.assert_array_equal(codes(result)[inside], codes(whole)[inside])
    np.testing.assert_array_equal(codes(result)[outside], codes(file)[outside])
    assert (codes(result) != codes(file)).any()
    assert codes(result).dtype == codes(file).dtype


@pytest.mark.parametrize("name", SHOWN)
def test_edits_of_regions_leave_the_rest_bit_for_bit(file, mask, name):
    edit = EDITS[name]
    shown = 1 - mask if edit.applies_outside else mask
    result = burnish.apply(file, name, only=mask, **ASKED.get(name, {}))
    assert result == file.with_stem(f"photo.{name}")
    before, after = codes(file), codes(result)
    np.testing.assert_array_equal(after[shown == 0], before[shown == 0])
    # Grey photos have no colours to lose.
    if not (name == "splash" and before.ndim == 2):
        assert (after != before).any()
    if before.ndim == 3 and before.shape[2] == 4:
        np.testing.assert_array_equal(after[..., 3], before[..., 3])


@pytest.mark.parametrize("name", SHOWN)
def test_in_the_core_it_is_what_the_edit_makes(picture, mask, name):
    pixels = picture(4) / np.float32(255)
    edit, values = EDITS[name], EDITS[name].resolve_params(ASKED.get(name, {}))
    shown = 1 - mask if edit.applies_outside else mask
    made = edit.prepare(values)(pixels, mask)
    result = burnish.apply(pixels, name, only=mask, **ASKED.get(name, {}))
    np.testing.assert_array_equal(result[shown == 1], made[shown == 1])
    share = shown[..., None].astype(float)
    np.testing.assert_allclose(result, pixels * (1 - share) + made * share, atol=1e-6)


def test_what_was_filled_holds_nothing_of_the_photo_beyond_srgb(picture, mask, tmp_path):
    """Colours that sRGB cannot hold travel apart; they must not shine through."""
    file = write("beyond sRGB", picture, tmp_path)
    photo = Photo.open(file)
    assert np.abs(photo.metadata.out_of_gamut).max() > 0.02
    result = Photo.open(burnish.apply(file, "fill", only=mask, colour="#336699"))
    core = codes(file.with_stem("photo.fill"))[mask == 1]
    assert (core == core[0]).all()
    np.testing.assert_allclose(
        result.pixels[mask == 1] * 255, np.broadcast_to([51, 102, 153], core.shape), atol=4
    )


def test_a_colour_makes_a_grey_photo_a_coloured_one(picture, mask, tmp_path):
    file = write("grey", picture, tmp_path)
    result = burnish.apply(file, "fill", only=mask, colour="#ff0000", output=tmp_path / "x.png")
    after = codes(result)
    assert after.shape[2] == 3
    np.testing.assert_array_equal(
        after[mask == 1], np.broadcast_to([255, 0, 0], after[mask == 1].shape)
    )
    np.testing.assert_array_equal(after[mask == 0], codes(file)[mask == 0][:, None].repeat(3, 1))


def test_cut_out(file, mask):
    result = burnish.apply(file, "cut-out", only=mask)
    before, after = Photo.open(file), Photo.open(result)
    old = 1 if before.alpha is None else before.alpha
    np.testing.assert_allclose(after.alpha, mask * old, atol=0.51 / 255)
    inside = mask > 0
    colours = codes(file).reshape(40, 56, -1), codes(result).reshape(40, 56, -1)
    count = min(3, colours[1].shape[2] - 1)
    np.testing.assert_array_equal(colours[1][inside][:, :count], colours[0][inside][:, :count])
    assert not colours[1][~inside].any()


def test_a_cut_out_needs_a_format_with_transparency(photos, tmp_path, mask):
    Image.open(photos / "1.png").convert("RGB").save(tmp_path / "a.jpg")
    with pytest.raises(PhotoError, match=r"as jpeg has none.*name the output \.png"):
        burnish.apply(tmp_path / "a.jpg", "cut-out", only=mask)
    assert not (tmp_path / "a.cut-out.jpg").exists()


def test_a_cut_out_of_an_array_is_refused(picture, mask):
    with pytest.raises(UsageError, match="room for transparency"):
        burnish.apply(picture(1), "cut-out", only=mask)


@pytest.fixture
def documented(photos):
    """A photo with EXIF, XMP and a title."""
    photo = Photo.open(photos / "1.png")
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    origin = replace(
        photo.metadata,
        exif=exif.tobytes(),
        xmp=b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22'
        b'-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:a="urn:a" a:b="who"/></rdf:RDF>'
        b"</x:xmpmeta>",
        texts=((b"tEXt", b"Author\0who"),),
    )
    return replace(photo, metadata=origin).save(photos / "documented.png")


def test_metadata_is_kept(documented, mask):
    origin = Photo.open(burnish.apply(documented, "blur", only=mask)).metadata
    assert b"Maker" in origin.exif
    assert b"who" in origin.xmp
    assert origin.texts == ((b"tEXt", b"Author\0who"),)


def test_anonymising_leaves_metadata_out_unless_asked(documented):
    for keep in (False, True):
        edit = RegionEditor(EDITS["anonymise"], {}, person(), strip_metadata=False if keep else None)
        photo = edit_photo(edit, Photo.open(documented), source=documented)
        data = photo.encode()
        assert (b"Maker" in data) == (b"who" in data) == keep
        assert not photo.pixels[:, :28].any()


def test_what_is_found_where_nothing_is(documented):
    photo = Photo.open(documented)
    for edit in (
        MaskedEdit(load_edit("l0-smoothing", {}), person(nothing=True)),
        RegionEditor(EDITS["blur"], {}, person(nothing=True)),
    ):
        with pytest.warns(UserWarning, match=r"documented\.png: no person is found, so the photo"):
            result = edit_photo(edit, photo, source=documented)
        np.testing.assert_array_equal(result.pixels, photo.pixels)
    for name in ("cut-out", "background", "splash"):
        edit = RegionEditor(EDITS[name], {}, person(nothing=True))
        with pytest.raises(PhotoError, match="expected a region to keep, got none"):
            edit_photo(edit, photo, source=documented)


def test_masks_are_kept(photos, tmp_path):
    edit = MaskedEdit(load_edit("l0-smoothing", {}), person(), MaskWriter(tmp_path, folder=True))
    for name in ("0.png", "1.png"):
        edit_photo(edit, Photo.open(photos / name), source=photos / name)
    mask = MaskFile(tmp_path / "1.png.mask.png").read((56, 40))
    np.testing.assert_array_equal(mask[:, :28], 1)
    np.testing.assert_array_equal(mask[:, 28:], 0)
    with pytest.raises(OutputError, match=r"one for another photo called 1\.png too"):
        edit_photo(edit, Photo.open(photos / "1.png"), source=tmp_path / "1.png")
    anew = MaskedEdit(load_edit("l0-smoothing", {}), person(), MaskWriter(tmp_path, folder=True))
    with pytest.raises(OutputError, match="exists"):
        edit_photo(anew, Photo.open(photos / "1.png"), source=photos / "1.png")


def test_python_takes_a_mask_a_region_or_names(picture, mask):
    array = picture(2)
    whole = burnish.apply(array, "l0-smoothing")
    for only in (mask > 0, Region(mask=mask > 0)):
        result = burnish.apply(array, "l0-smoothing", only=only)
        np.testing.assert_array_equal(result, np.where((mask > 0)[..., None], whole, array))
    image = burnish.apply(Image.fromarray(array), "splash", only=mask)
    np.testing.assert_array_equal(np.asarray(image), burnish.apply(array, "splash", only=mask))
    for only in ([], [3], 3.5):
        with pytest.raises((UsageError, TypeError)):
            burnish.apply(array, "splash", only=only)
    with pytest.raises(UsageError, match="expected a region, which splash needs"):
        burnish.apply(array, "splash")
    with pytest.raises(UsageError, match=r"of shape \(40, 56\)"):
        burnish.apply(array, "splash", only=np.ones((3, 3)))


def test_slow_operators_too(picture, mask):
    array = picture(2)
    whole = burnish.apply(array, "l0-smoothing", slow=True, lambda_=0.1)
    part = burnish.apply(array, "l0-smoothing", slow=True, lambda_=0.1, only=mask > 0)
    np.testing.assert_array_equal(part, np.where((mask > 0)[..., None], whole, array))


def test_a_photo_says_where_and_it_is_done_again(photos, tmp_path):
    region = Region(
        Selection(only=("person",), min_score=0.3, box=(0, 0, 40, 40)),
        Edges(grow=2, feather=3),
        Found(),
        invert=True,
    )
    edit = MaskedEdit(load_edit("l0-smoothing", {"lambda": 0.1}), region)
    first = edit_photo(edit, Photo.open(photos / "1.png")).save(tmp_path / "first.png")
    [step] = read_photo_history(first)
    assert (step.region.classes, step.region.grow, step.region.invert) == (("person",), 2, True)
    repeated = replay([step], finder=Found())
    photo = Photo.open(photos / "2.png")
    np.testing.assert_array_equal(
        edit_photo(repeated, photo).pixels, edit_photo(edit, photo).pixels
    )
    assert repeated.history == edit.history
    with pytest.raises(ModelError, match="expected a detector that comes with burnish"):
        replay([step])


def test_edits_of_regions_are_done_again_and_mixed_with_others(photos, tmp_path, mask):
    Image.fromarray((mask * 255).astype(np.uint8)).save(tmp_path / "m.png")
    region = Region(mask=MaskFile(tmp_path / "m.png"))
    photo = Photo.open(photos / "1.png")
    splash = RegionEditor(EDITS["splash"], {}, region)
    fill = RegionEditor(EDITS["fill"], {"colour": "#112233"}, region)
    once = edit_photo(fill, edit_photo(load_edit("l0-smoothing", {}), edit_photo(splash, photo)))
    steps = read_photo_history(once.save(tmp_path / "x.png"))
    assert [step.operator for step in steps] == ["splash", "l0-smoothing", "fill"]
    assert steps[0].region.mask == "m.png"
    assert str(tmp_path) not in steps[0].model_dump_json()
    repeated = replay(steps, mask=tmp_path / "m.png")
    np.testing.assert_array_equal(edit_photo(repeated, photo).pixels, once.pixels)
    with pytest.raises(UsageError, match=r"--mask: expected m\.png, which the edit was given"):
        replay(steps)


def test_a_cut_out_among_other_edits_is_done_again(photos, tmp_path, mask):
    Image.fromarray((mask * 255).astype(np.uint8)).save(tmp_path / "m.png")
    region = Region(mask=MaskFile(tmp_path / "m.png"))
    photo = Photo.open(photos / "1.png")
    once = edit_photo(
        load_edit("l0-smoothing", {}), edit_photo(RegionEditor(EDITS["cut-out"], {}, region), photo)
    )
    steps = read_photo_history(once.save(tmp_path / "x.png"))
    twice = edit_photo(replay(steps, mask=tmp_path / "m.png"), photo)
    np.testing.assert_array_equal(twice.alpha, once.alpha)


def test_a_mask_and_a_finder_go_to_the_steps_that_had_one(photos, tmp_path, mask):
    Image.fromarray((mask * 255).astype(np.uint8)).save(tmp_path / "m.png")
    photo = Photo.open(photos / "1.png")
    masked = RegionEditor(EDITS["splash"], {}, Region(mask=MaskFile(tmp_path / "m.png")))
    found = RegionEditor(
        EDITS["fill"], {"colour": "#112233"}, Region(Selection(), object_source=Found())
    )
    once = edit_photo(found, edit_photo(masked, photo))
    steps = read_photo_history(once.save(tmp_path / "x.png"))
    twice = edit_photo(replay(steps, mask=tmp_path / "m.png", finder=Found()), photo)
    np.testing.assert_array_equal(twice.pixels, once.pixels)


def test_a_mask_or_a_finder_that_no_step_had_is_refused(photos, tmp_path):
    step = load_edit("l0-smoothing", {}).history
    with pytest.raises(UsageError, match="--mask: expected an edit that was made with a mask"):
        replay(step, mask=tmp_path / "m.png")
    with pytest.raises(UsageError, match="expected an edit that was made with a detector"):
        replay(step, finder=Found())
