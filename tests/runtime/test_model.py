import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from burnish.errors import ModelError, OutputError, UsageError
from burnish.modelfile.reader import read_model
from burnish.runtime.model import Model
from burnish.types import Rectangle

WriteModel = Callable[..., Path]

MEBIBYTE = 2**20

needs_openvino = pytest.mark.skipif(
    find_spec("openvino") is None, reason="openvino is not installed"
)


def random_image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).random((height, width, 3), dtype=np.float32)


def box_blur(pixels: np.ndarray, radius: int) -> np.ndarray:
    """Return the mean over a square, with zeros outside of the image."""
    height, width = pixels.shape[:2]
    padded = np.pad(pixels.astype(np.float64), ((radius, radius), (radius, radius), (0, 0)))
    side = 2 * radius + 1
    shifted = [padded[y : y + height, x : x + width] for y in range(side) for x in range(side)]
    return np.mean(shifted, axis=0)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 50), (33, 2), (37, 41)])
def test_call_returns_the_output_of_the_graph(
    write_model: WriteModel, height: int, width: int
) -> None:
    model = Model.open(write_model(halo=2), threads=1)
    pixels = random_image(height, width)
    before = pixels.copy()
    output = model(pixels)
    assert output.dtype == np.float32
    assert output.flags.c_contiguous
    np.testing.assert_allclose(output, box_blur(pixels, 2), atol=1e-6)
    np.testing.assert_array_equal(pixels, before)


def test_small_memory_gives_tiles_that_equal_the_whole(write_model: WriteModel) -> None:
    model = Model.open(write_model(halo=3, channels=24), threads=1)
    pixels = random_image(500, 333)
    fractions: list[float] = []
    tiled = model(pixels, memory=MEBIBYTE // 4, on_progress=fractions.append)
    np.testing.assert_array_equal(tiled, model(pixels))
    assert len(fractions) > 20
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


def test_understated_halo_is_rejected(write_model: WriteModel) -> None:
    path = write_model("false", halo=3, channels=24, stated_halo=2)
    with pytest.raises(ModelError, match="halo 2, its graph needs 3"):
        Model.open(path, threads=1)


def test_tiles_with_an_understated_halo_differ_from_the_whole(write_model: WriteModel) -> None:
    pixels = random_image(100, 120)
    file = read_model(write_model(halo=3, channels=24))
    valid = Model(file, threads=1)
    invalid_card = file.card.model_copy(update={"halo": 2})
    invalid = Model(replace(file, card=invalid_card), threads=1)
    np.testing.assert_array_equal(invalid(pixels), valid(pixels))
    assert (invalid(pixels, memory=MEBIBYTE // 8) != valid(pixels)).any()


def test_min_memory_suffices_and_one_byte_less_does_not(write_model: WriteModel) -> None:
    model = Model.open(write_model(halo=3, channels=24), threads=1)
    pixels = random_image(90, 111)
    memory = model.min_memory(90, 111)
    fractions: list[float] = []
    tiled = model(pixels, memory=memory, on_progress=fractions.append)
    assert len(fractions) > 1
    np.testing.assert_array_equal(tiled, model(pixels))
    with pytest.raises(UsageError, match="at least 1 MiB for blur"):
        model(pixels, memory=memory - 1)
    assert model.min_memory(10**5, 10**5) == model.min_memory(9, 9)


def test_read_only_and_strided_pixels_are_accepted(write_model: WriteModel) -> None:
    model = Model.open(write_model(), threads=1)
    strided = random_image(30, 60)[:, ::2]
    strided.flags.writeable = False
    np.testing.assert_array_equal(model(strided), model(strided.copy()))


def test_open_caches_a_file_until_it_changes(write_model: WriteModel) -> None:
    path = write_model()
    model = Model.open(path, device="cpu", threads=1)
    assert (model.device, model.card.name, len(model.sha256)) == ("cpu", "blur", 64)
    assert Model.open(str(path), device="cpu", threads=1).card is model.card
    write_model(gain=0.25)
    assert Model.open(path).sha256 != model.sha256


def test_output_is_clipped(write_model: WriteModel) -> None:
    output = Model.open(write_model(gain=5), threads=1)(np.full((9, 9, 3), 0.8, np.float32))
    assert output.max() == 1


def test_black_output_raises_output_error_unless_the_image_is_black(
    write_model: WriteModel,
) -> None:
    model = Model.open(write_model(gain=-1), threads=1)
    with pytest.raises(OutputError, match="all black"):
        model(random_image(9, 9))
    assert not model(np.zeros((9, 9, 3), np.float32)).any()


def test_infinite_output_raises_output_error(write_model: WriteModel) -> None:
    with pytest.raises(OutputError, match="NaN or infinite"):
        Model.open(write_model(gain=float("inf")), threads=1)(random_image(9, 9))


@pytest.mark.parametrize(
    ("pixels", "got"),
    [
        (np.zeros((4, 4), np.float32), "shape"),
        (np.zeros((4, 4, 4), np.float32), "shape"),
        (np.zeros((1, 4, 4, 1), np.float32), "shape"),
        (np.zeros((0, 4, 3), np.float32), "shape"),
        (np.zeros((4, 4, 3), np.uint8), "uint8"),
        (np.zeros((4, 4, 3), np.float64), "float64"),
        (np.full((4, 4, 3), 1.5, np.float32), "values from 1.5"),
        (np.full((4, 4, 3), -0.5, np.float32), "values from -0.5"),
        (np.full((4, 4, 3), np.nan, np.float32), "values from nan"),
        ([[0.0]], "list"),
    ],
)
def test_invalid_pixels_raise_usage_error(
    write_model: WriteModel, pixels: np.ndarray, got: str
) -> None:
    with pytest.raises(UsageError, match=f"got {got}"):
        Model.open(write_model(), threads=1)(pixels)


def test_process_tiles_equals_call_bit_for_bit(write_model: WriteModel) -> None:
    model = Model.open(write_model(halo=3, channels=24), threads=1)
    pixels = random_image(300, 233)
    output = np.full_like(pixels, np.nan)
    rectangles: list[Rectangle] = []

    def read(rectangle: Rectangle) -> np.ndarray:
        rectangles.append(rectangle)
        return pixels[rectangle.slices]

    def write(rectangle: Rectangle, values: np.ndarray) -> None:
        assert np.isnan(output[rectangle.slices]).all()
        output[rectangle.slices] = values

    memory = model.min_memory(300, 233)
    model.process_tiles(read, write, (300, 233), memory=memory)
    np.testing.assert_array_equal(output, model(pixels))
    largest = max(rectangle.area for rectangle in rectangles)
    assert largest * model._network.bytes_per_pixel <= memory


def test_process_tiles_computes_the_thumbnail_of_the_whole_image(slider_model: Path) -> None:
    model = Model.open(slider_model, threads=1)
    pixels = random_image(150, 90)
    output = np.empty_like(pixels)

    def write(rectangle: Rectangle, values: np.ndarray) -> None:
        output[rectangle.slices] = values

    for params in ({}, {"lambda": 0.1}):
        model.process_tiles(lambda rectangle: pixels[rectangle.slices], write, (150, 90), params)
        np.testing.assert_array_equal(output, model(pixels, params))


def test_process_tiles_checks_for_black_over_the_whole_image(write_model: WriteModel) -> None:
    model = Model.open(write_model(gain=-1), threads=1)
    pixels = np.zeros((200, 9, 3), np.float32)

    def process() -> None:
        model.process_tiles(lambda rectangle: pixels[rectangle.slices], lambda *_: None, (200, 9))

    process()
    pixels[150:] = 0.1
    with pytest.raises(OutputError, match="all black"):
        process()


@pytest.mark.parametrize(
    ("pixels", "got"),
    [(np.zeros((9, 9, 3)), "float64"), (np.full((9, 9, 3), 2, np.float32), "values from 2 to 2")],
)
def test_process_tiles_with_invalid_pixels_raises_usage_error(
    write_model: WriteModel, pixels: np.ndarray, got: str
) -> None:
    model = Model.open(write_model(), threads=1)
    with pytest.raises(UsageError, match=f"got {got}"):
        model.process_tiles(lambda _: pixels, lambda *_: None, (9, 9))


def test_too_little_memory_raises_usage_error_with_the_minimum(write_model: WriteModel) -> None:
    model = Model.open(write_model(halo=10, channels=96), threads=1)
    pixels = random_image(70, 60)
    with pytest.raises(UsageError, match=r"at least 1 MiB for blur, got 0\.2 MiB"):
        model(pixels, memory=MEBIBYTE // 5)
    np.testing.assert_array_equal(model(pixels, memory=MEBIBYTE), model(pixels))


def test_interrupt_in_on_progress_propagates(write_model: WriteModel) -> None:
    def interrupt(fraction: float) -> None:
        raise KeyboardInterrupt

    model = Model.open(write_model(), threads=1)
    with pytest.raises(KeyboardInterrupt):
        model(random_image(64, 64), on_progress=interrupt)


def test_open_of_a_file_that_is_no_model_raises_model_error(tmp_path: Path) -> None:
    path = tmp_path / "no.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(ModelError, match="not an ONNX model"):
        Model.open(path)


def test_import_loads_no_runtime_and_running_loads_no_torch(write_model: WriteModel) -> None:
    code = (
        "import sys; from burnish import Model; import numpy as np\n"
        "early = {'onnx', 'onnxruntime', 'torch'} & set(sys.modules)\n"
        f"Model.open({str(write_model())!r}, threads=1)(np.ones((4, 4, 3), np.float32))\n"
        "print(early, 'torch' in sys.modules)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert process.stdout.split() == ["set()", "False"]


# Limits the address space of the process before a run. Threads, libraries and the arena, reduced to
# 1 MiB, take their memory before that.
LIMITED_MEMORY = """
import resource, sys
from pathlib import Path
import numpy as np
from burnish.runtime import onnx_runtime
from burnish.runtime.model import Model

onnx_runtime._ARENA_BYTES = 2**20
model = Model.open(sys.argv[1], threads=1, engine=sys.argv[3])
pixels = np.random.default_rng(0).random((900, 700, 3), dtype=np.float32)
model(pixels[:16, :16])
fractions = []
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
available = int(sys.argv[2]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (used + available, resource.RLIM_INFINITY))
try:
    tiled = model(pixels, on_progress=fractions.append)
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(len(fractions), (tiled == model(pixels)).all(), fractions == sorted(fractions))
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits its memory as Linux does")
@pytest.mark.parametrize("engine", ["onnxruntime", pytest.param("openvino", marks=needs_openvino)])
def test_out_of_memory_halves_the_tiles(write_model: WriteModel, engine: str) -> None:
    path = write_model(halo=3, channels=96)

    def run_with(mebibytes: int) -> list[str]:
        command = [sys.executable, "-c", LIMITED_MEMORY, str(path), str(mebibytes), engine]
        process = subprocess.run(command, capture_output=True, text=True, check=True)
        assert process.stderr == ""
        return process.stdout.split()

    tiles, is_same, is_sorted = run_with(150)
    assert int(tiles) > 1
    assert (is_same, is_sorted) == ("True", "True")
    assert run_with(0)[:2] == ["ModelError", "blur:"]
