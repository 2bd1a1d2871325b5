"""Edits within regions: pixels outside stay unchanged, in every kind of file."""

import re
import struct
from dataclasses import replace

import numpy as np
import pytest
import pyvips
from PIL import Image

import burnish
from burnish.detection.instances import Instances
from burnish.editing.edit import load_edit
from burnish.editing.history import read_history
from burnish.editing.photo import edit_photo
from burnish.editing.region_edit import MaskedEdit, MaskWriter, RegionEditor
from burnish.editing.replay import replay
from burnish.errors import ModelError, OutputError, PhotoError, UsageError
from burnish.photo import Photo
from burnish.regions.masks import MaskFile
from burnish.regions.options import RegionOptions
from burnish.regions.region import Region
from burnish.regions.registry import EDITS

# Parameters of edits that change nothing at their defaults.
PARAMS = {"adjust": {"exposure": 1}}
BLENDED_EDITS = [name for name, edit in EDITS.items() if edit.function]


def soft_disc(height=40, width=56):
    """Return a disc with a soft edge, in which some pixels are 0, some 1 and some between."""
    y, x = np.mgrid[:height, :width]
    return (1.5 - np.hypot(x - width / 2, y - height / 2) / 10).clip(0, 1).astype(np.float32)


@pytest.fixture
def mask():
    """A soft mask for landscape photos."""
    return soft_disc()


@pytest.fixture
def mask_path(mask, tmp_path):
    """The same mask as a file named m.png."""
    Image.fromarray((mask * 255).astype(np.uint8)).save(tmp_path / "m.png")
    return tmp_path / "m.png"


class LeftHalfSource:
    """A detector that finds a person in the left half of every image, or nothing."""

    name, sha256, classes, device = "halves", "0" * 64, ("person",), "cpu"

    def __init__(self, finds=True):
        self.finds = finds

    def find(self, pixels, source=None):
        height, width = pixels.shape[:2]
        box = np.array([[0, 0, width // 2, height]], np.float32)
        masks = (np.ones((height, width // 2), np.float32),)
        person = Instances((width, height), box, ("person",), np.ones(1, np.float32), masks)
        return person.select([0] if self.finds else [])


def person_region(finds=True, **options):
    options = {"only": ("person",), "feather": 0, **options}
    return Region(RegionOptions(**options), LeftHalfSource(finds))


def edit_in_region(name, region):
    if name in EDITS:
        return RegionEditor(EDITS[name], {}, region)
    return MaskedEdit(load_edit(name, {}), region)


@pytest.fixture(params=["8 bits", "16 bits", "alpha", "grey", "float", "beyond sRGB"])
def file(request, make_image, tmp_path):
    """A file of each kind."""
    return write_file(request.param, make_image, tmp_path)


def write_file(kind, picture, folder):
    pixels = picture(3) / np.float32(255)
    photo = Photo(pixels)
    metadata, name = photo.metadata, "photo.png"
    if kind == "16 bits":
        metadata = replace(metadata, depth=16)
        photo = Photo(np.random.default_rng(0).random(pixels.shape))
    elif kind == "alpha":
        photo = replace(photo, alpha=soft_disc()[::-1])
    elif kind == "grey":
        metadata = replace(metadata, grey=True)
        photo = Photo(np.repeat(pixels[..., :1], 3, axis=2))
    elif kind == "float":
        metadata, name = replace(metadata, depth=32), "photo.tif"
    elif kind == "beyond sRGB":
        Image.fromarray(picture(3)).save(folder / name, icc_profile=wide_profile())
        return folder / name
    return replace(photo, metadata=metadata).save(folder / name)


def wide_profile():
    """Return an ICC profile of a space like ProPhoto: a matrix and a gamma."""

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


def read_codes(path):
    """Return the stored values of a file."""
    return pyvips.Image.new_from_file(str(path)).numpy()


@pytest.mark.parametrize("invert", [False, True])
def test_masked_edit_equals_the_whole_edit_inside_and_the_photo_outside(file, mask, invert):
    region = Region(RegionOptions(invert=invert), mask=mask)
    whole = burnish.apply(file, "l0-smoothing", output=file.with_stem("whole"))
    masked = burnish.apply(file, "l0-smoothing", only=region, output=file.with_stem("masked"))
    inside, outside = (mask == 1, mask == 0) if not invert else (mask == 0, mask == 1)
    before, after = read_codes(file), read_codes(masked)
    np.testing.assert_array_equal(after[inside], read_codes(whole)[inside])
    np.testing.assert_array_equal(after[outside], before[outside])
    assert (after != before).any()
    assert after.dtype == before.dtype


@pytest.mark.parametrize("name", BLENDED_EDITS)
def test_region_edit_leaves_all_other_pixels_unchanged(file, mask, name):
    edit_mask = 1 - mask if EDITS[name].applies_outside else mask
    output = burnish.apply(file, name, only=mask, **PARAMS.get(name, {}))
    assert output == file.with_stem(f"photo.{name}")
    before, after = read_codes(file), read_codes(output)
    np.testing.assert_array_equal(after[edit_mask == 0], before[edit_mask == 0])
    # A grey photo has no colours to lose.
    if not (name == "splash" and before.ndim == 2):
        assert (after != before).any()
    if before.ndim == 3 and before.shape[2] == 4:
        np.testing.assert_array_equal(after[..., 3], before[..., 3])


@pytest.mark.parametrize("name", BLENDED_EDITS)
def test_region_edit_of_an_array_blends_the_output_of_its_function(make_image, mask, name):
    pixels = make_image(4) / np.float32(255)
    edit, params = EDITS[name], PARAMS.get(name, {})
    edit_mask = 1 - mask if edit.applies_outside else mask
    edited = edit.prepare(edit.resolve_params(params))(pixels, mask)
    output = burnish.apply(pixels, name, only=mask, **params)
    np.testing.assert_array_equal(output[edit_mask == 1], edited[edit_mask == 1])
    weight = edit_mask[..., None].astype(float)
    np.testing.assert_allclose(output, pixels * (1 - weight) + edited * weight, atol=1e-6)


def test_fill_drops_colours_outside_srgb(make_image, mask, tmp_path):
    """Colours outside sRGB are stored apart from the pixels, and must not show through."""
    file = write_file("beyond sRGB", make_image, tmp_path)
    assert np.abs(Photo.open(file).metadata.out_of_gamut).max() > 0.02
    output = burnish.apply(file, "fill", only=mask, colour="#336699")
    core = read_codes(output)[mask == 1]
    assert (core == core[0]).all()
    colours = Photo.open(output).pixels[mask == 1] * 255
    np.testing.assert_allclose(colours, np.broadcast_to([51, 102, 153], core.shape), atol=4)


def test_fill_with_a_colour_writes_a_grey_photo_in_colour(make_image, mask, tmp_path):
    file = write_file("grey", make_image, tmp_path)
    output = burnish.apply(file, "fill", only=mask, colour="#ff0000", output=tmp_path / "x.png")
    before, after = read_codes(file), read_codes(output)
    assert after.shape[2] == 3
    red = np.broadcast_to([255, 0, 0], after[mask == 1].shape)
    np.testing.assert_array_equal(after[mask == 1], red)
    np.testing.assert_array_equal(after[mask == 0], before[mask == 0][:, None].repeat(3, 1))


def test_cut_out_keeps_colours_inside_and_none_outside(file, mask):
    output = burnish.apply(file, "cut-out", only=mask)
    before, after = Photo.open(file), Photo.open(output)
    alpha = 1 if before.alpha is None else before.alpha
    np.testing.assert_allclose(after.alpha, mask * alpha, atol=0.51 / 255)
    inside = mask > 0
    old, new = read_codes(file).reshape(40, 56, -1), read_codes(output).reshape(40, 56, -1)
    channels = min(3, new.shape[2] - 1)
    np.testing.assert_array_equal(new[inside][:, :channels], old[inside][:, :channels])
    assert not new[~inside].any()


def test_cut_out_to_a_format_without_transparency_raises_photo_error(photo_folder, tmp_path, mask):
    Image.open(photo_folder / "1.png").convert("RGB").save(tmp_path / "a.jpg")
    with pytest.raises(PhotoError, match=r"jpeg.*png"):
        burnish.apply(tmp_path / "a.jpg", "cut-out", only=mask)
    assert not (tmp_path / "a.cut-out.jpg").exists()


def test_cut_out_of_an_array_raises_usage_error(make_image, mask):
    with pytest.raises(UsageError, match="transparency"):
        burnish.apply(make_image(1), "cut-out", only=mask)


@pytest.fixture
def photo_with_metadata(photo_folder):
    """A photo with EXIF, XMP and a text chunk."""
    photo = Photo.open(photo_folder / "1.png")
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    metadata = replace(
        photo.metadata,
        exif=exif.tobytes().removeprefix(b"Exif\0\0"),
        xmp=b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22'
        b'-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:a="urn:a" a:b="who"/></rdf:RDF>'
        b"</x:xmpmeta>",
        native=((b"tEXt", b"Author\0who"),),
    )
    return replace(photo, metadata=metadata).save(photo_folder / "documented.png")


def test_region_edit_keeps_metadata(photo_with_metadata, mask):
    metadata = Photo.open(burnish.apply(photo_with_metadata, "blur", only=mask)).metadata
    assert b"Maker" in metadata.exif
    assert b"who" in metadata.xmp
    assert metadata.native == ((b"tEXt", b"Author\0who"),)


@pytest.mark.parametrize("strip_metadata", [None, False])
def test_anonymise_strips_metadata_by_default(photo_with_metadata, strip_metadata):
    edit = RegionEditor(EDITS["anonymise"], {}, person_region(), strip_metadata=strip_metadata)
    photo = edit_photo(edit, Photo.open(photo_with_metadata), source=photo_with_metadata)
    data = photo.encode()
    assert (b"Maker" in data) == (b"who" in data) == (strip_metadata is False)
    assert not photo.pixels[:, :28].any()


@pytest.mark.parametrize(
    ("name", "options", "is_edited"),
    [
        ("l0-smoothing", {}, False),
        ("blur", {}, False),
        ("l0-smoothing", {"only": (), "exclude": ("person",)}, True),
        ("fill", {"only": (), "exclude": ("person",)}, True),
        ("fill", {"invert": True}, True),
        ("splash", {"only": (), "exclude": ("person",)}, False),
        ("cut-out", {"only": (), "exclude": ("person",)}, False),
    ],
)
def test_nothing_found_gives_one_warning_that_states_the_result(
    photo_folder, recwarn, name, options, is_edited
):
    path = photo_folder / "1.png"
    photo = Photo.open(path)
    edit = edit_in_region(name, person_region(finds=False, **options))
    changed = edit_photo(edit, photo, source=path).pixels != photo.pixels
    assert changed.any() == is_edited
    result = "the whole photo is edited" if is_edited else "the photo is not edited"
    assert [str(w.message) for w in recwarn.list] == [f"{path}: no person found; {result}"]
    recwarn.clear()
    if name != "cut-out":
        edit.run(photo.pixels)
        assert [str(w.message) for w in recwarn.list] == [f"photo: no person found; {result}"]


@pytest.mark.parametrize("options", [{}, {"only": (), "exclude": ("person",)}])
def test_region_with_a_person_gives_no_warning(photo_folder, options, recwarn):
    path = photo_folder / "1.png"
    for name in ("l0-smoothing", "fill", "splash", "cut-out"):
        edit_photo(edit_in_region(name, person_region(**options)), Photo.open(path), source=path)
    assert recwarn.list == []


def test_warning_names_the_objects_with_too_low_a_score(photo_folder, three_objects, fixed_source):
    path = photo_folder / "1.png"
    three_objects = replace(three_objects, size=(56, 40))
    for only, text in (("cat",), "no cat"), ((), "no object"):
        region = Region(RegionOptions(only=only, min_score=0.95), fixed_source(three_objects))
        listed = "cat 0.89, cat 0.40" if only else "cat 0.89, dog 0.80, cat 0.40"
        expected = f"{text} found with a score of at least 0.95, only {listed} (add --min-score"
        with pytest.warns(UserWarning, match=re.escape(expected)):
            edit_photo(edit_in_region("blur", region), Photo.open(path), source=path)


def test_empty_mask_gives_a_warning(photo_folder):
    photo, empty = Photo.open(photo_folder / "1.png"), np.zeros((40, 56))
    with pytest.warns(UserWarning, match="the region is empty; the photo is not edited"):
        edit_photo(edit_in_region("blur", Region(mask=empty)), photo)
    inverted = Region(RegionOptions(invert=True), mask=empty)
    with pytest.warns(UserWarning, match="the region is empty; the whole photo is edited"):
        edit_photo(edit_in_region("blur", inverted), photo)


@pytest.mark.parametrize("name", ["cut-out", "background", "splash"])
def test_empty_region_raises_photo_error_for_edits_outside_of_it(photo_folder, name):
    edit = RegionEditor(EDITS[name], {}, person_region(finds=False))
    with pytest.raises(PhotoError, match="no person found, so nothing of the photo") as raised:
        edit_photo(edit, Photo.open(photo_folder / "1.png"), source=photo_folder / "1.png")
    assert raised.value.where == str(photo_folder / "1.png")


def test_mask_writer_writes_one_file_per_photo(photo_folder, tmp_path):
    edit = MaskedEdit(
        load_edit("l0-smoothing", {}), person_region(), MaskWriter(tmp_path, folder=True)
    )
    for name in ("0.png", "1.png"):
        edit_photo(edit, Photo.open(photo_folder / name), source=photo_folder / name)
    mask = MaskFile(tmp_path / "1.png.mask.png").read((56, 40))
    np.testing.assert_array_equal(mask[:, :28], 1)
    np.testing.assert_array_equal(mask[:, 28:], 0)
    with pytest.raises(OutputError, match=r"another photo named 1\.png"):
        edit_photo(edit, Photo.open(photo_folder / "1.png"), source=tmp_path / "1.png")
    second_run = MaskedEdit(
        load_edit("l0-smoothing", {}), person_region(), MaskWriter(tmp_path, folder=True)
    )
    with pytest.raises(OutputError, match=r"1\.png\.mask\.png"):
        edit_photo(second_run, Photo.open(photo_folder / "1.png"), source=photo_folder / "1.png")


def test_apply_accepts_a_mask_options_or_a_region(make_image, mask, mask_path):
    array, binary = make_image(2), mask > 0
    whole = burnish.apply(array, "l0-smoothing")
    expected = np.where(binary[..., None], whole, array)
    Image.fromarray((binary * 255).astype(np.uint8)).save(mask_path)
    for only in (binary, Region(mask=binary), RegionOptions(mask=mask_path)):
        output = burnish.apply(array, "l0-smoothing", only=only)
        np.testing.assert_array_equal(output, expected)
    image = burnish.apply(Image.fromarray(array), "splash", only=mask)
    np.testing.assert_array_equal(np.asarray(image), burnish.apply(array, "splash", only=mask))


@pytest.mark.parametrize("only", [[], [3], 3.5, np.ones((3, 3)), None])
def test_apply_with_an_invalid_region_raises_usage_error(make_image, only):
    with pytest.raises((UsageError, TypeError)):
        burnish.apply(make_image(2), "splash", only=only)


def test_apply_runs_reference_operators_in_a_region(make_image, mask):
    array = make_image(2)
    whole = burnish.apply(array, "l0-smoothing", slow=True, lambda_=0.1)
    masked = burnish.apply(array, "l0-smoothing", slow=True, lambda_=0.1, only=mask > 0)
    np.testing.assert_array_equal(masked, np.where((mask > 0)[..., None], whole, array))


def test_replay_of_a_masked_edit_equals_the_edit(photo_folder, tmp_path):
    options = RegionOptions(
        only=("person",), min_score=0.3, box=(0, 0, 40, 40), grow=2, feather=3, invert=True
    )
    edit = MaskedEdit(load_edit("l0-smoothing", {"lambda": 0.1}), Region(options, LeftHalfSource()))
    first = edit_photo(edit, Photo.open(photo_folder / "1.png")).save(tmp_path / "first.png")
    [record] = read_history(first)
    assert (record.region.only, record.region.grow, record.region.invert) == (("person",), 2, True)
    replayed = replay([record], object_source=LeftHalfSource())
    photo = Photo.open(photo_folder / "2.png")
    expected = edit_photo(edit, photo).pixels
    np.testing.assert_array_equal(edit_photo(replayed, photo).pixels, expected)
    assert replayed.history == edit.history
    with pytest.raises(ModelError, match="halves"):
        replay([record])


def test_replay_of_region_edits_and_operators_equals_the_edits(photo_folder, tmp_path, mask_path):
    region = Region(mask=MaskFile(mask_path))
    photo = Photo.open(photo_folder / "1.png")
    edited = photo
    for edit in (
        RegionEditor(EDITS["splash"], {}, region),
        load_edit("l0-smoothing", {}),
        RegionEditor(EDITS["fill"], {"colour": "#112233"}, region),
    ):
        edited = edit_photo(edit, edited)
    history = read_history(edited.save(tmp_path / "x.png"))
    assert [record.operator for record in history] == ["splash", "l0-smoothing", "fill"]
    assert str(history[0].region.mask) == "m.png"
    assert str(tmp_path) not in history[0].model_dump_json()
    replayed = edit_photo(replay(history, mask=mask_path), photo)
    np.testing.assert_array_equal(replayed.pixels, edited.pixels)
    with pytest.raises(UsageError, match=r"m\.png") as raised:
        replay(history)
    assert "--mask" in raised.value.where


def test_replay_of_a_cut_out_and_an_operator_keeps_transparency(photo_folder, tmp_path, mask_path):
    photo = Photo.open(photo_folder / "1.png")
    cut_out = RegionEditor(EDITS["cut-out"], {}, Region(mask=MaskFile(mask_path)))
    edited = edit_photo(load_edit("l0-smoothing", {}), edit_photo(cut_out, photo))
    history = read_history(edited.save(tmp_path / "x.png"))
    replayed = edit_photo(replay(history, mask=mask_path), photo)
    np.testing.assert_array_equal(replayed.alpha, edited.alpha)


def test_replay_passes_a_mask_and_a_detector_to_the_edits_that_had_one(
    photo_folder, tmp_path, mask_path
):
    photo = Photo.open(photo_folder / "1.png")
    splash = RegionEditor(EDITS["splash"], {}, Region(mask=MaskFile(mask_path)))
    region = Region(object_source=LeftHalfSource())
    fill = RegionEditor(EDITS["fill"], {"colour": "#112233"}, region)
    edited = edit_photo(fill, edit_photo(splash, photo))
    history = read_history(edited.save(tmp_path / "x.png"))
    replayed = replay(history, mask=mask_path, object_source=LeftHalfSource())
    np.testing.assert_array_equal(edit_photo(replayed, photo).pixels, edited.pixels)


def test_replay_with_a_mask_or_detector_that_no_edit_had_raises_usage_error(tmp_path):
    history = load_edit("l0-smoothing", {}).history
    with pytest.raises(UsageError, match="--mask"):
        replay(history, mask=tmp_path / "m.png")
    with pytest.raises(UsageError, match="--detector"):
        replay(history, object_source=LeftHalfSource())
