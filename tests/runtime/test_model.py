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
from burnish.photo.rectangle import Rectangle
from burnish.runtime.model import Model

Make = Callable[..., Path]

MEBIBYTE = 2**20

openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is not installed")


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).random((height, width, 3), dtype=np.float32)


def mean_of_square(pixels: np.ndarray, halo: int) -> np.ndarray:
    """Independent of any runtime: shift and add, zeros outside."""
    height, width = pixels.shape[:2]
    padded = np.pad(pixels.astype(np.float64), ((halo, halo), (halo, halo), (0, 0)))
    side = 2 * halo + 1
    shifts = [padded[y : y + height, x : x + width] for y in range(side) for x in range(side)]
    return np.mean(shifts, axis=0)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 50), (33, 2), (37, 41)])
def test_result_is_the_blur(make: Make, height: int, width: int) -> None:
    model = Model.open(make(halo=2), threads=1)
    pixels = picture(height, width)
    before = pixels.copy()
    result = model(pixels)
    assert result.dtype == np.float32
    assert result.flags.c_contiguous
    np.testing.assert_allclose(result, mean_of_square(pixels, 2), atol=1e-6)
    np.testing.assert_array_equal(pixels, before)


def test_budget_makes_tiles_that_equal_the_whole(make: Make) -> None:
    model = Model.open(make(halo=3, channels=24), threads=1)
    pixels = picture(500, 333)
    fractions: list[float] = []
    tiled = model(pixels, memory=MEBIBYTE // 4, on_progress=fractions.append)
    np.testing.assert_array_equal(tiled, model(pixels))
    assert len(fractions) > 20
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


def test_false_halo_is_refused(make: Make) -> None:
    path = make("false", halo=3, channels=24, claim=2)
    with pytest.raises(
        ModelError, match=r"a halo of 2 px, as its card says, got a graph .* needs 3"
    ):
        Model.open(path, threads=1)


def test_smaller_halo_than_the_network_s_shows(make: Make) -> None:
    """Were it not refused: what the halo is there for."""
    pixels = picture(100, 120)
    file = read_model(make(halo=3, channels=24))
    honest = Model(file, threads=1)
    false = Model(replace(file, card=file.card.model_copy(update={"halo": 2})), threads=1)
    np.testing.assert_array_equal(false(pixels), honest(pixels))
    assert (false(pixels, memory=MEBIBYTE // 8) != honest(pixels)).any()


def test_smallest_memory_is_enough_and_a_byte_less_is_not(make: Make) -> None:
    model = Model.open(make(halo=3, channels=24), threads=1)
    pixels = picture(90, 111)
    smallest = model.min_memory(90, 111)
    done: list[float] = []
    tiled = model(pixels, memory=smallest, on_progress=done.append)
    assert len(done) > 1
    np.testing.assert_array_equal(tiled, model(pixels))
    with pytest.raises(UsageError, match="at least 1 MiB for blur"):
        model(pixels, memory=smallest - 1)
    assert model.min_memory(10**5, 10**5) == model.min_memory(9, 9)


def test_read_only_and_strided_pixels_are_taken(make: Make) -> None:
    model = Model.open(make(), threads=1)
    wide = picture(30, 60)
    part = wide[:, ::2]
    part.flags.writeable = False
    np.testing.assert_array_equal(model(part), model(part.copy()))


def test_attributes_and_cache(make: Make) -> None:
    path = make()
    model = Model.open(path, device="cpu", threads=1)
    assert (model.device, model.card.name, len(model.sha256)) == ("cpu", "blur", 64)
    again = Model.open(str(path), device="cpu", threads=1)
    assert again.card is model.card
    make(gain=0.25)
    assert Model.open(path).sha256 != model.sha256


def test_result_is_clipped(make: Make) -> None:
    result = Model.open(make(gain=5), threads=1)(np.full((9, 9, 3), 0.8, np.float32))
    assert result.max() == 1


def test_black_from_a_picture_is_an_error_and_black_from_black_is_not(make: Make) -> None:
    model = Model.open(make(gain=-1), threads=1)
    with pytest.raises(OutputError, match="all black"):
        model(picture(9, 9))
    assert not model(np.zeros((9, 9, 3), np.float32)).any()


def test_result_that_is_no_number_is_an_error(make: Make) -> None:
    with pytest.raises(OutputError, match="a finite result"):
        Model.open(make(gain=float("inf")), threads=1)(picture(9, 9))


@pytest.mark.parametrize(
    ("pixels", "got"),
    [
        (np.zeros((4, 4), np.float32), "shape"),
        (np.zeros((4, 4, 4), np.float32), "shape"),
        (np.zeros((1, 4, 4, 3), np.float32), "shape"),
        (np.zeros((0, 4, 3), np.float32), "shape"),
        (np.zeros((4, 4, 3), np.uint8), "uint8"),
        (np.zeros((4, 4, 3), np.float64), "float64"),
        (np.full((4, 4, 3), 1.5, np.float32), "values from 1.5"),
        (np.full((4, 4, 3), -0.5, np.float32), "values from -0.5"),
        (np.full((4, 4, 3), np.nan, np.float32), "values from nan"),
        ([[0.0]], "list"),
    ],
)
def test_wrong_pixels_are_wrong_usage(make: Make, pixels: np.ndarray, got: str) -> None:
    with pytest.raises(UsageError, match=f"got {got}"):
        Model.open(make(), threads=1)(pixels)


def test_over_parts_it_is_the_call_bit_for_bit(make: Make) -> None:
    model = Model.open(make(halo=3, channels=24), threads=1)
    pixels = picture(300, 233)
    result = np.full_like(pixels, np.nan)
    asked: list[Rectangle] = []

    def source(part: Rectangle) -> np.ndarray:
        asked.append(part)
        return pixels[part.slices]

    def into(part: Rectangle, values: np.ndarray) -> None:
        assert np.isnan(result[part.slices]).all()
        result[part.slices] = values

    smallest = model.min_memory(300, 233)
    model.process_tiles(source, into, (300, 233), memory=smallest)
    np.testing.assert_array_equal(result, model(pixels))
    assert max(part.area for part in asked) * model._bytes_per_pixel <= smallest


def test_over_a_thumbnail_comes_from_all_of_the_picture(slider_model: Path) -> None:
    model = Model.open(slider_model, threads=1)
    pixels = picture(150, 90)
    result = np.empty_like(pixels)

    def into(part: Rectangle, values: np.ndarray) -> None:
        result[part.slices] = values

    for params in ({}, {"lambda": 0.1}):
        model.process_tiles(lambda part: pixels[part.slices], into, (150, 90), params)
        np.testing.assert_array_equal(result, model(pixels, params))


def test_over_black_is_judged_by_the_whole(make: Make) -> None:
    model = Model.open(make(gain=-1), threads=1)
    pixels = np.zeros((200, 9, 3), np.float32)
    model.process_tiles(lambda part: pixels[part.slices], lambda *_: None, (200, 9))
    pixels[150:] = 0.1
    with pytest.raises(OutputError, match="all black"):
        model.process_tiles(lambda part: pixels[part.slices], lambda *_: None, (200, 9))


@pytest.mark.parametrize(
    ("part", "got"),
    [(np.zeros((9, 9, 3)), "float64"), (np.full((9, 9, 3), 2, np.float32), "values from 2 to 2")],
)
def test_over_wrong_parts_are_wrong_usage(make: Make, part: np.ndarray, got: str) -> None:
    with pytest.raises(UsageError, match=f"got {got}"):
        Model.open(make(), threads=1).process_tiles(lambda _: part, lambda *_: None, (9, 9))


def test_too_small_a_budget_says_what_would_do(make: Make) -> None:
    model = Model.open(make(halo=10, channels=96), threads=1)
    pixels = picture(70, 60)
    with pytest.raises(UsageError, match=r"at least 1 MiB for blur, got 0\.2 MiB"):
        model(pixels, memory=MEBIBYTE // 5)
    np.testing.assert_array_equal(model(pixels, memory=MEBIBYTE), model(pixels))


def test_interrupt_passes_through(make: Make) -> None:
    def stop(fraction: float) -> None:
        raise KeyboardInterrupt

    model = Model.open(make(), threads=1)
    with pytest.raises(KeyboardInterrupt):
        model(picture(64, 64), on_progress=stop)


def test_file_that_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "no.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(ModelError, match="an ONNX model"):
        Model.open(path)


def test_running_needs_no_torch_and_importing_no_runtime(make: Make) -> None:
    code = (
        "import sys; from burnish import Model; import numpy as np\n"
        "early = {'onnx', 'onnxruntime', 'torch'} & set(sys.modules)\n"
        f"Model.open({str(make())!r}, threads=1)(np.ones((4, 4, 3), np.float32))\n"
        "print(early, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["set()", "False"]


STARVED = """
import resource, sys
from pathlib import Path
import numpy as np
from burnish.runtime import onnx_runtime
from burnish.runtime.model import Model

onnx_runtime._ARENA_BYTES = 2**20  # Else it has all that it will want before it is short.
model = Model.open(sys.argv[1], threads=1, engine=sys.argv[3])
pixels = np.random.default_rng(0).random((900, 700, 3), dtype=np.float32)
model(pixels[:16, :16])  # Threads and libraries take their memory before it is short.
tops = []
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
room = int(sys.argv[2]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (used + room, resource.RLIM_INFINITY))
try:
    tiled = model(pixels, progress=tops.append)
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(len(tops), (tiled == model(pixels)).all(), tops == sorted(tops))
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits its own memory the way Linux does")
@pytest.mark.parametrize("engine", ["onnxruntime", pytest.param("openvino", marks=openvino)])
def test_out_of_memory_halves_the_tile(make: Make, engine: str) -> None:
    path = make(halo=3, channels=96)

    def starve(mebibytes: int) -> list[str]:
        command = [sys.executable, "-c", STARVED, str(path), str(mebibytes), engine]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return done.stdout.split()

    tiles, same, ordered = starve(150)
    assert int(tiles) > 1
    assert (same, ordered) == ("True", "True")
    assert starve(0)[:2] == ["ModelError", "blur:"]
