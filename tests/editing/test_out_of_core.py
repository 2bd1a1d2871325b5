"""Huge photos on the disk: file for file what the road through memory makes of them."""

import io
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image, PngImagePlugin

import burnish
from burnish.editing import out_of_core as streamed
from burnish.editing.batch import run_batch
from burnish.editing.edit import Edit, load_edit
from burnish.editing.history import read_photo_history
from burnish.editing.out_of_core import edit_out_of_core, needs_out_of_core, scratch_bytes
from burnish.editing.photo import apply_to_file, edit_photo
from burnish.editing.plan import OutputOptions, PlannedFile, plan
from burnish.editing.replay import replay
from burnish.errors import ModelError, OutputError, PhotoError
from burnish.files import remove_stale_partials
from burnish.photo import Photo, colour, header
from burnish.photo import disk_photo as spool
from burnish.photo import matrix_profile as matrix
from burnish.runtime.model import Model

P3 = pyvips.Operation.call("profile_load", "p3")


@pytest.fixture(autouse=True)
def all_are_huge(monkeypatch):
    """Every photo counts as huge, and comes in several strips."""
    monkeypatch.setattr(header, "STREAMING_THRESHOLD", 0)
    monkeypatch.setattr(spool, "_STRIP_BYTES", 50_000)
    monkeypatch.setattr(spool, "_SIDEWAYS_STRIP_BYTES", 90_000)


@pytest.fixture
def codes(picture):
    """Makes codes of a picture: `codes(uint16, bands=2)`."""

    def codes(dtype, bands=3, height=381, width=350):
        rgb = np.dstack([picture(1, height, width), picture(2, height, width)[..., :1]])
        planes = rgb[..., {1: [0], 2: [0, 3], 3: [0, 1, 2], 4: [0, 1, 2, 3]}[bands]]
        if dtype == np.uint8:
            return planes
        fine = planes / 255 + np.random.default_rng(0).random(planes.shape) / 300
        scaled = fine.clip(0, 1) * (1 if dtype == np.float32 else 65535)
        return scaled.astype(dtype)

    return codes


def tiles(name):
    """An edit by a network in the smallest tiles there are."""
    model = Model.open(name, threads=1)

    def over(source, into, size, progress=None):
        model.process_tiles(
            source, into, size, memory=model.min_memory(*size), on_progress=progress
        )

    made = load_edit(name, {}, threads=1).history
    return Edit(name, lambda pixels, progress=None: model(pixels), "cpu", made, (over,))


def exif(orientation):
    block = Image.Exif()
    block[0x0112], block[0x010F], block[0x013B] = orientation, "Acme", "Ansel"
    block.get_ifd(0x8769)[0x829A] = 0.004
    return block


def pil(codes, format, **options):
    with io.BytesIO() as file:
        Image.fromarray(codes.squeeze()).save(file, format, **options)
        return file.getvalue()


def tiff(codes, **options):
    bands = codes.shape[2]
    with io.BytesIO() as file:
        tifffile.imwrite(
            file,
            codes.squeeze(),
            photometric="minisblack" if bands < 3 else "rgb",
            planarconfig="contig" if bands > 1 else None,
            extrasamples=["unassalpha"] if bands in (2, 4) else None,
            metadata=None,
            **options,
        )
        return file.getvalue()


def text():
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "a title")
    return info


def vips(codes, codec, **options):
    return pyvips.Operation.call(
        f"{codec}save_buffer", pyvips.Image.new_from_array(codes), **options
    )


# Source's content, by how codes are made; and the ends of the targets' names.
U8, U16, F32 = np.uint8, np.uint16, np.float32
CASES = {
    "jpeg 4:2:0": (lambda c: pil(c(U8), "jpeg", subsampling=2, exif=exif(1)), ".jpg", ".tif"),
    "jpeg 4:4:4, bare": (lambda c: pil(c(U8), "jpeg", subsampling=0, dpi=(300, 300)), ".jpg"),
    "jpeg, progressive, P3": (
        lambda c: pil(c(U8), "jpeg", progressive=True, icc_profile=P3),
        ".jpg",
    ),
    "jpeg, grey": (lambda c: pil(c(U8, 1), "jpeg"), ".jpg", ".png"),
    "png": (lambda c: pil(c(U8), "png", pnginfo=text(), exif=exif(1)), ".png"),
    "png, grey": (lambda c: pil(c(U8, 1), "png"), ".png"),
    "png, grey with alpha": (lambda c: pil(c(U8, 2), "png"), ".png", ".tif"),
    "png, alpha": (lambda c: pil(c(U8, 4), "png"), ".png", ".webp"),
    "png, 16 bits": (lambda c: vips(c(U16), "png"), ".png", ".tif", ".jpg"),
    "png, 16 bits, interlaced, alpha": (lambda c: vips(c(U16, 4), "png", interlace=True), ".png"),
    "tiff": (lambda c: vips(c(U8), "tiff", compression="lzw"), ".tif"),
    "tiff, alpha, P3": (lambda c: tiff(c(U8, 4), iccprofile=P3), ".tif", ".png"),
    "tiff, 16 bits, P3": (lambda c: tiff(c(U16), iccprofile=P3), ".tif", ".png"),
    "tiff, 16 bits, tiled": (lambda c: tiff(c(U16), tile=(64, 64)), ".tif"),
    "tiff, 16 bits, grey, alpha": (lambda c: tiff(c(U16, 2)), ".tif"),
    "tiff, grey in P3": (lambda c: tiff(c(U8, 1), iccprofile=P3), ".tif"),
    "tiff, float": (lambda c: tiff(c(F32)), ".tif", ".png"),
    "tiff, float, grey": (lambda c: tiff(c(F32, 1)), ".tif"),
    "tiff, float, alpha, P3": (lambda c: tiff(c(F32, 4), iccprofile=P3), ".tif"),
    "tiff, one strip": (lambda c: tiff(c(U8), rowsperstrip=381), ".tif"),
    "bigtiff": (lambda c: tiff(c(U16), bigtiff=True, software="Acme"), ".tif", ".jpg"),
    "webp": (lambda c: pil(c(U8, 4), "webp", lossless=True), ".webp"),
    "avif": (lambda c: pil(c(U8), "avif"), ".png"),
}


def same(edit, source, suffix, tmp_path, **how):
    """See that both roads make the same file."""
    whole = edit_photo(edit, Photo.open(source)).save(tmp_path / f"memory{suffix}", **how)
    target = tmp_path / f"disk{suffix}"
    assert needs_out_of_core(edit, source)
    apply_to_file(edit, source, target, **how)
    assert target.read_bytes() == whole.read_bytes()
    assert sorted(tmp_path.glob(".burnish-*")) == []
    return target


@pytest.mark.parametrize(
    ("case", "suffix"), [(n, s) for n, (_, *ends) in CASES.items() for s in ends]
)
def test_a_file_equals_the_one_made_in_memory(case, suffix, codes, tmp_path):
    source = tmp_path / "photo"
    source.write_bytes(CASES[case][0](codes))
    assert Photo.size_of(same(tiles("l0-smoothing"), source, suffix, tmp_path)) == (350, 381)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_that_lie_otherwise(orientation, codes, tmp_path):
    source = tmp_path / "photo.jpg"
    source.write_bytes(pil(codes(np.uint8), "jpeg", exif=exif(orientation)))
    target = same(tiles("l0-smoothing"), source, ".tif", tmp_path)
    with Image.open(target) as image:
        assert image.size == ((350, 381) if orientation < 5 else (381, 350))
        assert (image.getexif().get(0x0112, 1), image.getexif()[0x010F]) == (1, "Acme")


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_network_with_a_thumbnail(orientation, codes, tmp_path):
    source = tmp_path / "photo.jpg"
    source.write_bytes(pil(codes(np.uint8), "jpeg", exif=exif(orientation), icc_profile=P3))
    same(tiles("pencil-drawing"), source, ".tif", tmp_path, depth=16)


def test_a_profile_of_tables(codes, tmp_path, monkeypatch):
    """Where a profile is none of curves and a matrix, libvips converts, pixel by pixel."""
    monkeypatch.setattr(matrix, "parse", lambda profile: None)
    for function in (colour._converter, colour.is_srgb):
        function.cache_clear()
    source = tmp_path / "photo.tif"
    source.write_bytes(tiff(codes(np.uint16), iccprofile=P3))
    same(tiles("l0-smoothing"), source, ".tif", tmp_path)
    for function in (colour._converter, colour.is_srgb):
        function.cache_clear()


def test_several_networks_in_turn_round_once(codes, tmp_path):
    source = tmp_path / "photo.tif"
    source.write_bytes(tiff(codes(np.uint8)))
    first = (
        load_edit("l0-smoothing", {}, threads=1).history + load_edit("pencil-drawing", {}).history
    )
    edit = replay(first, threads=1)
    assert len(edit.tiled_stages) == 2
    shares = []
    target = same(edit, source, ".tif", tmp_path)
    edit_out_of_core(edit, source, target, overwrite=True, progress=shares.append)
    assert shares == [0.5, 1]
    assert [made.operator for made in read_photo_history(target)] == [
        "l0-smoothing",
        "pencil-drawing",
    ]


@pytest.mark.parametrize("how", [{"depth": 16}, {"depth": 32}, {"depth": 8}, {}])
def test_depths(how, codes, tmp_path):
    source = tmp_path / "photo.png"
    source.write_bytes(vips(codes(np.uint16), "png"))
    same(tiles("l0-smoothing"), source, ".tif", tmp_path, **how)


def test_an_ordinary_photo_and_a_slow_operator_stay_in_memory(photos, monkeypatch):
    photo = photos / "1.png"
    assert needs_out_of_core(load_edit("l0-smoothing", {}), photo)
    assert not needs_out_of_core(load_edit("l0-smoothing", {}, slow=True), photo)
    monkeypatch.setattr(header, "STREAMING_THRESHOLD", 56 * 40)
    assert not needs_out_of_core(load_edit("l0-smoothing", {}), photo)
    monkeypatch.setattr(header, "STREAMING_THRESHOLD", 56 * 40 - 1)
    assert needs_out_of_core(load_edit("l0-smoothing", {}), photo)


def test_everything_that_edits_takes_the_road(photos, tmp_path, monkeypatch, burnish):
    def refuse(*_, **__):
        pytest.fail("read into memory")

    monkeypatch.setattr(Photo, "open", refuse)
    monkeypatch.chdir(tmp_path)
    code, out, _ = burnish("apply", "l0-smoothing", photos, "-o", "a/", "--format", "tiff")
    assert (code, len(out.splitlines())) == (0, 6)
    code, out, _ = burnish("again", "a/1.l0-smoothing.tif", photos / "2.png", "-o", "b/x.png")
    assert (code, out.split()[0]) == (0, "b/x.png")
    assert Path("b/x.png").is_file()


def test_the_python_function_takes_it(photos, monkeypatch):
    monkeypatch.setattr(Photo, "open", lambda *_: pytest.fail("read into memory"))
    assert burnish.apply(photos / "1.png", "l0-smoothing").is_file()


def test_a_batch_tells_of_huge_photos_as_of_others(photos, tmp_path):
    edit = load_edit("l0-smoothing", {})
    steps = plan([photos], edit.name, OutputOptions(tmp_path / "out")).files
    steps[2].source.write_bytes(b"no picture")
    outcomes = list(run_batch(edit, steps))
    assert [o.status for o in outcomes] == ["done", "done", "failed", *["done"] * 3]
    assert outcomes[0].megapixels == 56 * 40 / 1e6
    assert outcomes[0].seconds > 0
    assert "expected a picture" in outcomes[2].reason


def fail_with(data, match, kind, tmp_path, name="photo.tif", target="out.tif", edit="l0-smoothing"):
    source = tmp_path / name
    source.write_bytes(data)
    with pytest.raises(kind, match=match) as caught:
        edit_out_of_core(
            load_edit(edit, {}) if isinstance(edit, str) else edit, source, tmp_path / target
        )
    assert [path.name for path in tmp_path.iterdir()] == [name]
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "got"), [(1.5, "got 0 to 1.5"), (np.nan, "undefined"), (-1, "-1")]
)
def test_floats_outside_the_range_are_refused_in_the_same_words(value, got, codes, tmp_path):
    values = codes(np.float32) * 0
    values[300, 100, 1] = value
    data = tiff(values)
    said = fail_with(data, got, PhotoError, tmp_path)
    with pytest.raises(PhotoError) as caught:
        Photo.open(tmp_path / "photo.tif")
    assert said == str(caught.value)


@pytest.mark.parametrize("format", ["jpeg", "png", "tiff"])
def test_a_damaged_photo_is_refused_in_the_same_words(format, codes, tmp_path):
    data = vips(codes(np.uint8), format, **({"compression": "lzw"} if format == "tiff" else {}))
    if format == "tiff":
        middle = len(data) // 2
        data = data[:middle] + bytes(3000) + data[middle + 3000 :]
    else:
        data = data[: len(data) // 2]
    said = fail_with(data, "a broken or unsupported one", PhotoError, tmp_path)
    with pytest.raises(PhotoError) as caught:
        Photo.open(tmp_path / "photo.tif")
    assert said.partition("(")[0] == str(caught.value).partition("(")[0]


def test_what_a_format_cannot_hold_is_known_before_the_work(codes, tmp_path, monkeypatch):
    monkeypatch.setattr(streamed, "decode_to_disk", lambda *_: pytest.fail("begun"))
    fail_with(pil(codes(np.uint8, 4), "png"), "alpha", PhotoError, tmp_path, target="out.jpg")
    wide = vips(np.zeros((1, 65_501, 3), np.uint8), "tiff")
    fail_with(wide, "at most 65500 pixels a side", PhotoError, tmp_path, target="out.jpg")


def test_a_result_that_is_no_picture(codes, tmp_path):
    def black(source, into, size, progress=None):
        raise OutputError("x", expected="a picture", got="all black", remedy="none")

    edit = Edit("black", None, "cpu", (), (black,))
    fail_with(pil(codes(np.uint8), "png"), "all black", OutputError, tmp_path, edit=edit)


def test_a_disk_without_room(codes, tmp_path, monkeypatch):
    source = tmp_path / "photo.png"
    source.write_bytes(pil(codes(np.uint8, 4), "png"))
    edit = load_edit("l0-smoothing", {})
    pixels = 350 * 381
    assert scratch_bytes(edit, source) == pixels * 8
    assert scratch_bytes(edit, source, 16) == pixels * 12
    assert scratch_bytes(replay(edit.history * 3), source) == pixels * (8 + 24)
    assert scratch_bytes(load_edit("l0-smoothing", {}, slow=True), source) == 0
    free = source.stat().st_size + pixels * 8
    usage = type("Usage", (), {"free": free - 1})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(OutputError, match="and the work on it, 1 MiB, got 1 MiB free"):
        plan([source], edit.name, OutputOptions(), lambda photo: scratch_bytes(edit, photo))
    usage.free = free
    assert plan(
        [source], edit.name, OutputOptions(), lambda photo: scratch_bytes(edit, photo)
    ).files
    usage.free = pixels * 8 - 1
    with pytest.raises(OutputError, match="needs for a while"):
        edit_out_of_core(edit, source, tmp_path / "out.png")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_disk_that_fills_up_is_said(codes, tmp_path):
    from burnish.photo.raw_tiff import RawTiff, Rectangle

    with Path("/dev/full").open("r+b", buffering=0) as full:
        scratch = RawTiff(full, 381, 350, 3, np.dtype(np.uint8))
        with pytest.raises(OutputError, match="no space left on device"):
            scratch.write(Rectangle(0, 381, 0, 350), codes(np.uint8))


def test_out_of_memory_keeps_finished_rows(codes, tmp_path):
    """A session that has no memory for large tiles, from the middle of the picture on."""
    source = tmp_path / "photo.png"
    source.write_bytes(pil(codes(np.uint8, height=1000), "png"))
    edit = tiles("l0-smoothing")
    model = Model.open("l0-smoothing", threads=1)
    begin, given = model._session, []

    class Starving:
        def __init__(self, started):
            self.started, self.most = started, None

        def run(self, pixels, size, *others):
            if len(given) >= 2 and size[0] * size[1] > 400 * 400:
                raise MemoryError
            self.started.run(pixels, size, *others)

    model._session = lambda *given: Starving(begin(*given))

    def over(source, into, size, progress=None):
        def give(part, pixels):
            given.append(part)
            into(part, pixels)

        model.process_tiles(source, give, size, memory=700 * 350 * model._bytes_per_pixel)

    starving = Edit(edit.name, edit.run, "cpu", edit.history, (over,))
    same(edit, source, ".png", tmp_path)
    edit_out_of_core(starving, source, tmp_path / "starved.png")
    assert (tmp_path / "starved.png").read_bytes() == (tmp_path / "disk.png").read_bytes()
    covered = np.zeros((1000, 350), int)
    for part in given:
        covered[part.slices] += 1
    assert covered.min() == 1
    # What was finished when memory ran out was not done again.
    assert covered[: given[1].bottom].max() == 1
    assert max(p.bottom - p.top for p in given[2:]) < given[0].bottom


KILLED = """
import sys, time
from pathlib import Path
from burnish.editing.edit import Edit
from burnish.editing.out_of_core import stream

def over(source, into, size, progress=None):
    print("half done", flush=True)
    time.sleep(60)

stream(Edit("x", None, "cpu", (), (over,)), Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_killed_it_leaves_no_result_and_what_is_swept(codes, tmp_path):
    source, target = tmp_path / "photo.png", tmp_path / "out" / "photo.png"
    source.write_bytes(pil(codes(np.uint8), "png"))
    command = [sys.executable, "-c", KILLED, source, target]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "half done\n"
        process.send_signal(signal.SIGKILL)
    left = list(target.parent.iterdir())
    assert len(left) == 2
    assert not target.exists()
    remove_stale_partials(target.parent)
    assert len(list(target.parent.iterdir())) == 2
    for part in left:
        os.utime(part, (time.time() - 4000,) * 2)
    remove_stale_partials(target.parent)
    assert list(target.parent.iterdir()) == []


def test_interrupted_it_cleans_up(codes, tmp_path):
    source = tmp_path / "photo.png"
    source.write_bytes(pil(codes(np.uint8), "png"))

    def over(source, into, size, progress=None):
        raise KeyboardInterrupt

    [outcome] = run_batch(
        Edit("x", None, "cpu", (), (over,)), [PlannedFile(source, tmp_path / "x.png")]
    )
    assert outcome.status == "interrupted"
    assert list(tmp_path.iterdir()) == [source]


def test_no_more_memory_than_the_smallest_tile_needs_is_said(codes, tmp_path):
    def over(source, into, size, progress=None):
        model = Model.open("l0-smoothing", threads=1)

        def starve(part):
            raise MemoryError

        model.process_tiles(starve, into, size)

    edit = Edit("x", None, "cpu", (), (over,))
    fail_with(
        pil(codes(np.uint8), "png"), "MiB of free memory on cpu", ModelError, tmp_path, edit=edit
    )


def test_an_exif_block_goes_into_a_bigtiff_and_out_of_it(codes, tmp_path, monkeypatch):
    monkeypatch.setattr("burnish.photo.write._CLASSIC_TIFF", 0)
    source = tmp_path / "photo.jpg"
    source.write_bytes(pil(codes(np.uint8), "jpeg", exif=exif(1)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        target = same(tiles("l0-smoothing"), source, ".tif", tmp_path)
        assert target.read_bytes()[:4] == b"II+\0"
        back = same(tiles("l0-smoothing"), target, ".jpg", tmp_path)
    with Image.open(target) as big, Image.open(back) as image:
        for found in (big.getexif(), image.getexif()):
            assert (found[0x010F], found[0x013B]) == ("Acme", "Ansel")
            assert float(found.get_ifd(0x8769)[0x829A]) == 0.004


PEAK = """
import resource, sys
from pathlib import Path
from burnish.editing.edit import Edit
from burnish.editing.out_of_core import is_streamed, stream
from burnish.photo.rectangle import Rectangle

def over(source, into, size, progress=None):
    for top in range(0, size[0], 1000):
        for left in range(0, size[1], 1000):
            part = Rectangle(top, min(top + 1000, size[0]), left, min(left + 1000, size[1]))
            into(part, source(part))

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

edit, photo = Edit("same", None, "cpu", (), (over,)), Path(sys.argv[1])
assert is_streamed(edit, photo)
before = peak()
stream(edit, photo, Path(sys.argv[2]))
print(before, peak())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="counts memory the way Linux does")
def test_a_large_photo_takes_no_more_memory_than_its_parts(tmp_path):
    """60 megapixels, which are 720 MB as float32; no threshold is lowered here."""
    height, width = 6000, 10_000
    source, target = tmp_path / "large.tif", tmp_path / "out.tif"
    ramp = (pyvips.Image.xyz(width, height) * [255 / width, 255 / height]).bandjoin(90)
    ramp.cast("uchar").copy(interpretation="srgb").write_to_file(source, compression="deflate")
    command = [sys.executable, "-c", PEAK, source, target]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, peak = map(int, done.stdout.split())
    assert peak - before < 300
    one, other = (pyvips.Image.new_from_file(str(p), access="sequential") for p in (source, target))
    assert (one != other).max() == 0
