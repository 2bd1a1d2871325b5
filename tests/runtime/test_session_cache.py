from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from burnish.errors import DeviceError, ModelError, UsageError
from burnish.modelfile.reader import read_model
from burnish.runtime.session_cache import get_session

Make = Callable[..., Path]
HAS_CUDA = "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def test_sessions_are_kept_by_model_device_and_threads(make: Make) -> None:
    file, other = read_model(make()), read_model(make("other", gain=0.5))
    assert get_session(file, "cpu", 1) is get_session(file, "cpu", 1)
    assert get_session(file, "cpu", 1) is not get_session(file, "cpu", 2)
    assert get_session(file, "cpu", 1) is not get_session(other, "cpu", 1)


def test_cpu_is_the_cpu(make: Make) -> None:
    assert get_session(read_model(make()), "cpu").device == "cpu"


@pytest.mark.skipif(HAS_CUDA, reason="tells what happens without CUDA")
def test_device_that_cannot_be_had_is_an_error_and_auto_takes_the_cpu(make: Make) -> None:
    file = read_model(make())
    for device in ("cuda", "cuda:1"):
        with pytest.raises(DeviceError, match=f"device {device}: .* choose cpu") as caught:
            get_session(file, device)
        assert "\n" not in str(caught.value)
    assert get_session(file, "auto").device == "cpu"


@pytest.mark.parametrize("device", ["gpu", "", "cuda:", "cuda:x", "CPU", "cpu:0", "cuda:9999"])
def test_unknown_device_is_wrong_usage(make: Make, device: str) -> None:
    with pytest.raises(UsageError, match="auto, cpu, cuda or cuda:N"):
        get_session(read_model(make()), device)


@pytest.mark.parametrize("threads", [0, -1, 10_000])
def test_unknown_thread_count_is_wrong_usage(make: Make, threads: int) -> None:
    with pytest.raises(UsageError, match="1 to 1024"):
        get_session(read_model(make()), "cpu", threads)


def test_runtime_error_is_one_line(make: Make, capfd: pytest.CaptureFixture[str]) -> None:
    ready = get_session(read_model(make()), "cpu", 1)
    with pytest.raises(ModelError, match="a result for 5 x 4 px") as caught:
        ready.run(np.zeros((4, 5, 2), np.float32), (4, 5), np.empty((4, 5, 3), np.float32))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_model_that_the_runtime_refuses_is_one_line(
    make: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    path = make()
    model = onnx.load(path)
    # Five channels where three come: shape inference lets it pass, ONNX Runtime does not.
    model.graph.initializer[1].CopyFrom(
        onnx.numpy_helper.from_array(np.zeros((3, 5, 3, 3), np.float32), "mean")
    )
    onnx.save(model, path)
    pixels, out = np.zeros((8, 8, 3), np.float32), np.empty((8, 8, 3), np.float32)
    with pytest.raises(ModelError, match="blur: expected") as caught:
        get_session(read_model(path), "cpu", 1).run(pixels, (8, 8), out)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
