"""burnish in processes that are forked or spawned after its use, and in several threads."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from burnish.runtime.model import Model

# The photo's path, arrays and a model: libvips, numba (guide of TV-L1), ONNX Runtime, a detector.
PROGRAM = """
import os, sys
import numpy as np
import burnish

array = np.random.default_rng(0).integers(0, 256, (280, 300, 3), np.uint8)

def edit(name):
    path = burnish.apply(sys.argv[1], "tv-l1", output=f"{name}.png")
    outputs = [burnish.Photo.open(path).pixels, burnish.apply(array, "tv-l1", only="object")]
    return [*outputs, model(array.astype(np.float32) / 255, lambda_=0.5)]

if __name__ == "__main__":
    model = burnish.Model.open("tv-l1", engine=sys.argv[2])
    before = edit("parent")
    child = os.fork()
    if not child:
        after = edit("child")
        sys.exit(0 if all((a == b).all() for a, b in zip(before, after)) else 5)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

SPAWN = """
import multiprocessing, sys
import numpy as np
import burnish

def edit(value):
    return burnish.apply(np.full((40, 60, 3), value, np.uint8), "l0-smoothing")

if __name__ == "__main__":
    before = [edit(value) for value in (60, 200)]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        after = pool.map(edit, (60, 200))
    sys.exit(0 if all((a == b).all() for a, b in zip(before, after)) else 5)
"""


def run(program: str, folder: Path, *args: str) -> None:
    file = folder / "program.py"
    file.write_text(program)
    command = [sys.executable, "-W", "ignore", str(file), *args]
    done = subprocess.run(command, cwd=folder, timeout=120, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.skipif(sys.platform != "linux", reason="forks are supported on Linux")
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_process_forked_after_use_gives_equal_output_and_ends(engine, make_image, tmp_path):
    pytest.importorskip(engine)
    from PIL import Image

    Image.fromarray(make_image(3)).resize((420, 300)).save(tmp_path / "photo.png")
    run(PROGRAM, tmp_path, "photo.png", engine)


def test_spawned_process_gives_equal_output(tmp_path):
    run(SPAWN, tmp_path)


def test_threads_that_share_a_model_give_equal_output():
    model = Model.open("l0-smoothing")
    images = np.random.default_rng(1).random((4, 48, 64, 3), dtype=np.float32)
    values = np.geomspace(0.002, 0.2, 4)
    expected = [model(image, lambda_=value) for image, value in zip(images, values, strict=True)]
    with ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(lambda image, value: model(image, lambda_=value), images, values))
    np.testing.assert_array_equal(outputs, expected)
