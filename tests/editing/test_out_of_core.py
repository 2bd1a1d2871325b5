"""Photos that are edited as codes, on disk and in memory: the output equals that of floats."""

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
from burnish.editing.batch import run_batch
from burnish.editing.edit import NetworkEdit, load_edit
from burnish.editing.history import read_history
from burnish.editing.options import DEFAULT_OPTIONS, OutputOptions, WriteOptions
from burnish.editing.photo import (
    apply_to_file,
    edit_out_of_core,
    edit_photo,
    for_photo,
    needs_out_of_core,
    scratch_bytes,
)
from burnish.editing.plan import PlannedFile, plan
from burnish.editing.replay import replay
from burnish.errors import BurnishError, ModelError, OutputError, PhotoError
from burnish.files import remove_stale_partials
from burnish.photo import Photo, colour, header, stored_photo
from burnish.photo.stored_photo import RawTiff
from burnish.runtime.model import Model
from burnish.types import Rectangle

P3 = pyvips.Operation.call("profile_load", "p3")


@pytest.fixture(autouse=True)
def low_thresholds(monkeypatch):
    """Every photo is edited on disk, and decoded in several strips."""
    monkeypatch.setattr(header, "STREAMING_THRESHOLD", 0)
    monkeypatch.setattr(stored_photo, "_STRIP_BYTES", 50_000)
    monkeypatch.setattr(stored_photo, "_SIDEWAYS_STRIP_BYTES", 90_000)


@pytest.fixture
def make_codes(make_image):
    """Makes an image's codes: `make_codes(np.uint16, bands=2)`."""

    def make_codes(dtype, bands=3, height=381, width=350):
        rgba = np.dstack([make_image(1, height, width), make_image(2, height, width)[..., :1]])
        planes = rgba[..., {1: [0], 2: [0, 3], 3: [0, 1, 2], 4: [0, 1, 2, 3]}[bands]]
        if dtype == np.uint8:
            return planes
        noisy = planes / 255 + np.random.default_rng(0).random(planes.shape) / 300
        scaled = noisy.clip(0, 1) * (1 if dtype == np.float32 else 65535)
        return scaled.astype(dtype)

    return make_codes


class SmallTiles(NetworkEdit):
    """Applies a network in the smallest possible tiles."""

    def __init__(self, name):
        super().__init__(Model.open(name, threads=1, precision="fp32"), {}, guide="network")

    def _process_tiles(self, read, write, size, on_progress=None):
        memory = self._model.min_memory(*size)
        self._model.process_tiles(read, write, size, memory=memory, on_progress=on_progress)


def exif_block(orientation):
    block = Image.Exif()
    block[0x0112], block[0x010F], block[0x013B] = orientation, "Acme", "Ansel"
    block.get_ifd(0x8769)[0x829A] = 0.004
    return block


def pil_bytes(codes, format, **options):
    with io.BytesIO() as file:
        Image.fromarray(codes.squeeze()).save(file, format, **options)
        return file.getvalue()


def tiff_bytes(codes, **options):
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


def png_texts():
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "a title")
    return info


def vips_bytes(codes, codec, **options):
    return pyvips.Operation.call(
        f"{codec}save_buffer", pyvips.Image.new_from_array(codes), **options
    )


# Name -> a function that returns the source file, given `make_codes`; and extensions of outputs.
U8, U16, F32 = np.uint8, np.uint16, np.float32
CASES = {
    "jpeg 4:2:0": (
        lambda c: pil_bytes(c(U8), "jpeg", subsampling=2, exif=exif_block(1)),
        ".jpg",
        ".tif",
    ),
    "jpeg 4:4:4, bare": (lambda c: pil_bytes(c(U8), "jpeg", subsampling=0, dpi=(300, 300)), ".jpg"),
    "jpeg, progressive, P3": (
        lambda c: pil_bytes(c(U8), "jpeg", progressive=True, icc_profile=P3),
        ".jpg",
    ),
    "jpeg, grey": (lambda c: pil_bytes(c(U8, 1), "jpeg"), ".jpg", ".png"),
    "png": (lambda c: pil_bytes(c(U8), "png", pnginfo=png_texts(), exif=exif_block(1)), ".png"),
    "png, grey": (lambda c: pil_bytes(c(U8, 1), "png"), ".png"),
    "png, grey with alpha": (lambda c: pil_bytes(c(U8, 2), "png"), ".png", ".tif"),
    "png, alpha": (lambda c: pil_bytes(c(U8, 4), "png"), ".png", ".webp"),
    "png, 16 bits": (lambda c: vips_bytes(c(U16), "png"), ".png", ".tif", ".jpg"),
    "png, 16 bits, interlaced, alpha": (
        lambda c: vips_bytes(c(U16, 4), "png", interlace=True),
        ".png",
    ),
    "tiff": (lambda c: vips_bytes(c(U8), "tiff", compression="lzw"), ".tif"),
    "tiff, alpha, P3": (lambda c: tiff_bytes(c(U8, 4), iccprofile=P3), ".tif", ".png"),
    "tiff, 16 bits, P3": (lambda c: tiff_bytes(c(U16), iccprofile=P3), ".tif", ".png"),
    "tiff, 16 bits, tiled": (lambda c: tiff_bytes(c(U16), tile=(64, 64)), ".tif"),
    "tiff, 16 bits, grey, alpha": (lambda c: tiff_bytes(c(U16, 2)), ".tif"),
    "tiff, grey in P3": (lambda c: tiff_bytes(c(U8, 1), iccprofile=P3), ".tif"),
    "tiff, float": (lambda c: tiff_bytes(c(F32)), ".tif", ".png"),
    "tiff, float, grey": (lambda c: tiff_bytes(c(F32, 1)), ".tif"),
    "tiff, float, alpha, P3": (lambda c: tiff_bytes(c(F32, 4), iccprofile=P3), ".tif"),
    "tiff, one strip": (lambda c: tiff_bytes(c(U8), rowsperstrip=381), ".tif"),
    "bigtiff": (lambda c: tiff_bytes(c(U16), bigtiff=True, software="Acme"), ".tif", ".jpg"),
    "webp": (lambda c: pil_bytes(c(U8, 4), "webp", lossless=True), ".webp"),
    "avif": (lambda c: pil_bytes(c(U8), "avif"), ".png"),
}


def check_same_file(edit, source, suffix, tmp_path, write=DEFAULT_OPTIONS):
    """Check that edits of codes on disk and in memory write the same file as one of floats."""
    photo = Photo.open(source)
    edit_in_memory = for_photo(edit, photo.metadata, suffix, write.depth)
    expected = edit_photo(edit_in_memory, photo).save(
        tmp_path / f"memory{suffix}", **write.for_photos
    )
    target = tmp_path / f"disk{suffix}"
    assert needs_out_of_core(edit, source)
    apply_to_file(edit, source, target, write)
    assert target.read_bytes() == expected.read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("burnish.editing.photo.needs_out_of_core", lambda edit, source: False)
        apply_to_file(edit, source, tmp_path / f"codes{suffix}", write)
    assert (tmp_path / f"codes{suffix}").read_bytes() == expected.read_bytes()
    assert sorted(tmp_path.glob(".burnish-*")) == []
    return target


@pytest.mark.parametrize(
    ("case", "suffix"), [(n, s) for n, (_, *ends) in CASES.items() for s in ends]
)
def test_edit_out_of_core_equals_the_edit_in_memory(case, suffix, make_codes, tmp_path):
    source = tmp_path / "photo"
    source.write_bytes(CASES[case][0](make_codes))
    assert Photo.size_of(check_same_file(SmallTiles("l0-smoothing"), source, suffix, tmp_path)) == (
        350,
        381,
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_edit_out_of_core_of_rotated_photo_equals_the_edit_in_memory(
    orientation, make_codes, tmp_path
):
    source = tmp_path / "photo.jpg"
    source.write_bytes(pil_bytes(make_codes(np.uint8), "jpeg", exif=exif_block(orientation)))
    target = check_same_file(SmallTiles("l0-smoothing"), source, ".tif", tmp_path)
    with Image.open(target) as image:
        assert image.size == ((350, 381) if orientation < 5 else (381, 350))
        assert (image.getexif().get(0x0112, 1), image.getexif()[0x010F]) == (1, "Acme")


@pytest.mark.parametrize("orientation", [1, 6])
def test_edit_out_of_core_with_thumbnail_equals_the_edit_in_memory(
    orientation, make_codes, tmp_path
):
    source = tmp_path / "photo.jpg"
    source.write_bytes(
        pil_bytes(make_codes(np.uint8), "jpeg", exif=exif_block(orientation), icc_profile=P3)
    )
    check_same_file(SmallTiles("pencil-drawing"), source, ".tif", tmp_path, WriteOptions(depth=16))


def test_edit_out_of_core_with_table_profile_equals_the_edit_in_memory(
    make_codes, tmp_path, monkeypatch
):
    """A profile without a matrix is converted by libvips."""
    monkeypatch.setattr(colour, "parse_matrix_profile", lambda profile: None)
    for function in (colour._converter, colour.is_srgb):
        function.cache_clear()
    source = tmp_path / "photo.tif"
    source.write_bytes(tiff_bytes(make_codes(np.uint16), iccprofile=P3))
    check_same_file(SmallTiles("l0-smoothing"), source, ".tif", tmp_path)
    for function in (colour._converter, colour.is_srgb):
        function.cache_clear()


def test_edit_out_of_core_of_two_networks_rounds_once(make_codes, tmp_path):
    source = tmp_path / "photo.tif"
    source.write_bytes(tiff_bytes(make_codes(np.uint8)))
    history = load_edit("l0-smoothing", {}).history + load_edit("pencil-drawing", {}).history
    edit = replay(history, threads=1)
    assert len(edit.tiled_stages) == 2
    fractions = []
    target = check_same_file(edit, source, ".tif", tmp_path)
    edit_out_of_core(edit, source, target, WriteOptions(overwrite=True), fractions.append)
    assert fractions == [0.5, 1]
    history = read_history(target)
    assert [record.operator for record in history] == ["l0-smoothing", "pencil-drawing"]


@pytest.mark.parametrize("depth", [8, 16, 32, None])
def test_edit_out_of_core_with_depth_equals_the_edit_in_memory(depth, make_codes, tmp_path):
    source = tmp_path / "photo.png"
    source.write_bytes(vips_bytes(make_codes(np.uint16), "png"))
    check_same_file(SmallTiles("l0-smoothing"), source, ".tif", tmp_path, WriteOptions(depth=depth))


def test_needs_out_of_core_depends_on_size_and_edit(photo_folder, monkeypatch):
    photo = photo_folder / "1.png"
    assert needs_out_of_core(load_edit("l0-smoothing", {}), photo)
    assert not needs_out_of_core(load_edit("l0-smoothing", {}, slow=True), photo)
    monkeypatch.setattr(header, "STREAMING_THRESHOLD", 56 * 40)
    assert not needs_out_of_core(load_edit("l0-smoothing", {}), photo)
    monkeypatch.setattr(header, "STREAMING_THRESHOLD", 56 * 40 - 1)
    assert needs_out_of_core(load_edit("l0-smoothing", {}), photo)


def test_apply_and_replay_edit_large_photos_on_disk(photo_folder, tmp_path, monkeypatch, burnish):
    monkeypatch.setattr(Photo, "open", lambda *_, **__: pytest.fail("read into memory"))
    monkeypatch.chdir(tmp_path)
    code, out, _ = burnish("apply", "l0-smoothing", photo_folder, "-o", "a/", "--format", "tiff")
    assert (code, len(out.splitlines())) == (0, 6)
    code, out, _ = burnish(
        "replay", "a/1.l0-smoothing.tif", photo_folder / "2.png", "-o", "b/x.png"
    )
    assert (code, out.split()[0]) == (0, "b/x.png")
    assert Path("b/x.png").is_file()


def test_python_apply_edits_large_photos_on_disk(photo_folder, monkeypatch):
    monkeypatch.setattr(Photo, "open", lambda *_: pytest.fail("read into memory"))
    assert burnish.apply(photo_folder / "1.png", "l0-smoothing").is_file()


def test_run_batch_reports_large_photos_like_others(photo_folder, tmp_path):
    edit = load_edit("l0-smoothing", {})
    files = plan([photo_folder], edit.name, OutputOptions(tmp_path / "out")).files
    files[2].source.write_bytes(b"text")
    outcomes = list(run_batch(edit, files))
    assert [o.status for o in outcomes] == ["done", "done", "failed", *["done"] * 3]
    assert outcomes[0].megapixels == 56 * 40 / 1e6
    assert outcomes[0].seconds > 0
    assert "not an image" in outcomes[2].reason


def edit_error(data, tmp_path, name="photo.tif", target="out.tif", edit=None):
    """Edit a photo on disk; check that nothing is left behind, and return the error."""
    source = tmp_path / name
    source.write_bytes(data)
    with pytest.raises(BurnishError) as caught:
        edit_out_of_core(edit or load_edit("l0-smoothing", {}), source, tmp_path / target)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    return caught.value


def open_error(path):
    with pytest.raises(PhotoError) as caught:
        Photo.open(path)
    return caught.value


@pytest.mark.parametrize("value", [1.5, np.nan, -1])
def test_edit_out_of_core_of_floats_out_of_range_gives_the_error_of_memory(
    value, make_codes, tmp_path
):
    values = make_codes(np.float32) * 0
    values[300, 100, 1] = value
    error = edit_error(tiff_bytes(values), tmp_path)
    assert str(error) == str(open_error(tmp_path / "photo.tif"))


@pytest.mark.parametrize("format", ["jpeg", "png", "tiff"])
def test_edit_out_of_core_of_damaged_photo_gives_the_error_of_memory(format, make_codes, tmp_path):
    options = {"compression": "lzw"} if format == "tiff" else {}
    data = vips_bytes(make_codes(np.uint8), format, **options)
    middle = len(data) // 2
    data = data[:middle] + (bytes(3000) + data[middle + 3000 :] if format == "tiff" else b"")
    error, expected = edit_error(data, tmp_path), open_error(tmp_path / "photo.tif")
    # The details in brackets are those of the library.
    assert error.problem.partition("(")[0] == expected.problem.partition("(")[0]


def test_edit_out_of_core_checks_the_format_before_decoding(make_codes, tmp_path, monkeypatch):
    monkeypatch.setattr("burnish.editing.photo.decode_to_disk", lambda *_: pytest.fail("decoded"))
    data = pil_bytes(make_codes(np.uint8, 4), "png")
    assert "transparency" in str(edit_error(data, tmp_path, target="out.jpg"))
    data = vips_bytes(np.zeros((1, 65_501, 3), np.uint8), "tiff")
    assert "65500" in str(edit_error(data, tmp_path, target="out.jpg"))


def test_edit_out_of_core_with_failing_stage_raises_its_error(make_codes, function_edit, tmp_path):
    def fail(read, write, size, on_progress=None):
        raise OutputError("stage", "fails", "fix it")

    data = pil_bytes(make_codes(np.uint8), "png")
    assert edit_error(data, tmp_path, edit=function_edit(tiled_stages=[fail])).where == "stage"


def test_scratch_bytes_are_part_of_the_disk_space_check(make_codes, tmp_path, monkeypatch):
    source = tmp_path / "photo.png"
    source.write_bytes(pil_bytes(make_codes(np.uint8, 4), "png"))
    edit = load_edit("l0-smoothing", {})
    pixels = 350 * 381
    assert scratch_bytes(edit, source) == pixels * 8
    assert scratch_bytes(edit, source, 16) == pixels * 12
    assert scratch_bytes(replay(edit.history * 3), source) == pixels * (8 + 24)
    assert scratch_bytes(load_edit("l0-smoothing", {}, slow=True), source) == 0
    free = source.stat().st_size + pixels * 8
    usage = type("Usage", (), {"free": free - 1})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(OutputError, match="and temporary files"):
        plan([source], edit.name, OutputOptions(), lambda photo: scratch_bytes(edit, photo))
    usage.free = free
    assert plan(
        [source], edit.name, OutputOptions(), lambda photo: scratch_bytes(edit, photo)
    ).files
    usage.free = pixels * 8 - 1
    with pytest.raises(OutputError, match="temporary files of"):
        edit_out_of_core(edit, source, tmp_path / "out.png")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_raw_tiff_on_full_disk_raises(make_codes):
    with Path("/dev/full").open("r+b", buffering=0) as full:
        scratch = RawTiff(full, 381, 350, 3, np.dtype(np.uint8))
        with pytest.raises(OutputError, match="no space left on device"):
            scratch.write(Rectangle(0, 381, 0, 350), make_codes(np.uint8))


def test_edit_out_of_core_after_memory_error_continues_with_smaller_tiles(
    make_codes, function_edit, tmp_path
):
    source = tmp_path / "photo.png"
    source.write_bytes(pil_bytes(make_codes(np.uint8, height=1000), "png"))
    network = SmallTiles("l0-smoothing")
    model = Model.open("l0-smoothing", threads=1)
    create_session, written = model._network.session, []

    class LimitedSession:
        """A session that runs out of memory for large tiles, after two tiles."""

        def __init__(self, session):
            self.session, self.max_pixels = session, None

        def pack(self, *arguments):
            return self.session.pack(*arguments)

        def run(self, inputs, size, *others):
            if len(written) >= 2 and size[0] * size[1] > 400 * 400:
                raise MemoryError
            self.session.run(inputs, size, *others)

    model._network.session = lambda *arguments: LimitedSession(create_session(*arguments))

    def process_tiles(read, write, size, on_progress=None):
        def record(rectangle, pixels):
            written.append(rectangle)
            write(rectangle, pixels)

        model.process_tiles(read, record, size, memory=700 * 350 * model._network.bytes_per_pixel)

    limited = function_edit(tiled_stages=[process_tiles])
    limited.history = network.history
    check_same_file(network, source, ".png", tmp_path)
    edit_out_of_core(limited, source, tmp_path / "limited.png")
    assert (tmp_path / "limited.png").read_bytes() == (tmp_path / "disk.png").read_bytes()
    counts = np.zeros((1000, 350), int)
    for rectangle in written:
        counts[rectangle.slices] += 1
    assert counts.min() == 1
    # Tiles that were finished before the memory error are not processed again.
    assert counts[: written[1].bottom].max() == 1
    assert max(r.bottom - r.top for r in written[2:]) < written[0].bottom


EDIT = """
import resource, sys, time
from pathlib import Path
from burnish.editing.edit import Edit
from burnish.editing.photo import edit_out_of_core, needs_out_of_core
from burnish.types import Rectangle

edit, source, target = Edit("same"), Path(sys.argv[1]), Path(sys.argv[2])
"""
WAIT = """
def wait(read, write, size, on_progress=None):
    print("half done", flush=True)
    time.sleep(60)

edit.tiled_stages = [wait]
edit_out_of_core(edit, source, target)
"""


def test_killed_edit_leaves_files_that_the_cleanup_removes_later(make_codes, tmp_path):
    source, target = tmp_path / "photo.png", tmp_path / "out" / "photo.png"
    source.write_bytes(pil_bytes(make_codes(np.uint8), "png"))
    command = [sys.executable, "-c", EDIT + WAIT, source, target]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "half done\n"
        process.send_signal(signal.SIGKILL)
    partials = list(target.parent.iterdir())
    assert len(partials) == 2
    assert not target.exists()
    remove_stale_partials(target.parent)
    assert len(list(target.parent.iterdir())) == 2
    for path in partials:
        os.utime(path, (time.time() - 4000,) * 2)
    remove_stale_partials(target.parent)
    assert list(target.parent.iterdir()) == []


def test_interrupted_edit_removes_its_files(make_codes, function_edit, tmp_path):
    source = tmp_path / "photo.png"
    source.write_bytes(pil_bytes(make_codes(np.uint8), "png"))

    def interrupt(read, write, size, on_progress=None):
        raise KeyboardInterrupt

    edit = function_edit(tiled_stages=[interrupt])
    [outcome] = run_batch(edit, [PlannedFile(source, tmp_path / "x.png")])
    assert outcome.status == "interrupted"
    assert list(tmp_path.iterdir()) == [source]


def test_edit_out_of_core_without_memory_for_the_smallest_tile_raises(
    make_codes, function_edit, tmp_path
):
    def process_tiles(read, write, size, on_progress=None):
        def fail(rectangle):
            raise MemoryError

        Model.open("l0-smoothing", threads=1).process_tiles(fail, write, size)

    data = pil_bytes(make_codes(np.uint8), "png")
    error = edit_error(data, tmp_path, edit=function_edit(tiled_stages=[process_tiles]))
    assert isinstance(error, ModelError)
    assert "MiB" in str(error)


def test_exif_is_kept_in_a_bigtiff_and_copied_from_it(make_codes, tmp_path, monkeypatch):
    monkeypatch.setattr("burnish.photo.write._CLASSIC_TIFF_BYTES", 0)
    source = tmp_path / "photo.jpg"
    source.write_bytes(pil_bytes(make_codes(np.uint8), "jpeg", exif=exif_block(1)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        target = check_same_file(SmallTiles("l0-smoothing"), source, ".tif", tmp_path)
        assert target.read_bytes()[:4] == b"II+\0"
        copy = check_same_file(SmallTiles("l0-smoothing"), target, ".jpg", tmp_path)
    with Image.open(target) as big, Image.open(copy) as image:
        for block in (big.getexif(), image.getexif()):
            assert (block[0x010F], block[0x013B]) == ("Acme", "Ansel")
            assert float(block.get_ifd(0x8769)[0x829A]) == 0.004


COPY = """
def copy(read, write, size, on_progress=None):
    for top in range(0, size[0], 1000):
        for left in range(0, size[1], 1000):
            part = Rectangle(top, min(top + 1000, size[0]), left, min(left + 1000, size[1]))
            write(part, read(part))

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

edit.tiled_stages = [copy]
assert needs_out_of_core(edit, source)
before = peak()
edit_out_of_core(edit, source, target)
print(before, peak())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
def test_edit_out_of_core_of_60_megapixels_uses_little_memory(tmp_path):
    """As float32, the photo has 720 MB. The child process uses the default thresholds."""
    height, width = 6000, 10_000
    source, target = tmp_path / "large.tif", tmp_path / "out.tif"
    ramp = (pyvips.Image.xyz(width, height) * [255 / width, 255 / height]).bandjoin(90)
    ramp.cast("uchar").copy(interpretation="srgb").write_to_file(source, compression="deflate")
    command = [sys.executable, "-c", EDIT + COPY, source, target]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    before, peak = map(int, process.stdout.split())
    assert peak - before < 300
    before, after = (
        pyvips.Image.new_from_file(str(p), access="sequential") for p in (source, target)
    )
    assert (before != after).max() == 0
