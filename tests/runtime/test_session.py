"""Sessions: the cache, devices, and engines that fail or return another shape."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from burnish.errors import DeviceError, ModelError, UsageError
from burnish.modelfile.reader import read_model
from burnish.runtime.session import Infer, Session, get_session


def run(infer: Infer, block_sizes: tuple[int, int] = (1, 1)) -> np.ndarray:
    """Run a session of an engine on 4 x 8 white pixels."""
    out = np.full((4, 8, 3), np.nan, np.float32)
    session = Session("blur", "cpu", block_sizes, infer)
    white = session.pack(np.ones((4, 8, 3), np.float32), (4, 8))
    session.run({"image": white}, (4, 8), out)
    return out


def engine_returning(*shape: int) -> Infer:
    return lambda inputs, on_output: on_output(np.zeros(shape, np.float32))


def engine_raising(error: Exception) -> Infer:
    def infer(inputs, on_output) -> None:
        raise error

    return infer


@pytest.mark.parametrize("block", [1, 2, 4])
def test_output_of_the_right_shape_is_accepted(block: int) -> None:
    out = run(engine_returning(1, 3 * block**2, 4 // block, 8 // block), (1, block))
    assert not out.any()


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (1, 3, 5, 8), (1, 2, 4, 8), (1, 4, 4, 8), (0,)])
def test_output_of_another_shape_raises_model_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"blur: the model fails at 8 x 4 px: .* shape"):
        run(engine_returning(*shape))


def test_block_size_that_does_not_divide_the_tile_raises_model_error() -> None:
    with pytest.raises(ModelError, match="blur: the model fails at 8 x 4 px"):
        run(engine_returning(1, 3, 4, 8), (3, 1))


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("Unable to allocate 12 MiB"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("[cpu] Failed to allocate 12 bytes of memory"),
        RuntimeError("CUDA failure 2: out of memory"),
    ],
)
def test_engine_out_of_memory_raises_memory_error(error: Exception) -> None:
    with pytest.raises(MemoryError, match=r"blur: .+") as caught:
        run(engine_raising(error))
    assert caught.value.__cause__ is error


def test_other_engine_error_raises_model_error_on_one_line() -> None:
    with pytest.raises(ModelError, match=r"node 'Conv' \\x1b\[31m failed badly; ") as caught:
        run(engine_raising(RuntimeError("node 'Conv' \x1b[31m\nfailed badly")))
    assert str(caught.value).isprintable()


WriteModel = Callable[..., Path]
HAS_CUDA = "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def test_sessions_are_cached_by_model_device_and_threads(write_model: WriteModel) -> None:
    file, other = read_model(write_model()), read_model(write_model("other", gain=0.5))
    assert get_session(file, "cpu", 1) is get_session(file, "cpu", 1)
    assert get_session(file, "cpu", 1) is not get_session(file, "cpu", 2)
    assert get_session(file, "cpu", 1) is not get_session(other, "cpu", 1)


def test_device_cpu_runs_on_the_cpu(write_model: WriteModel) -> None:
    assert get_session(read_model(write_model()), "cpu").device == "cpu"


@pytest.mark.skipif(HAS_CUDA, reason="tests a machine without CUDA")
def test_missing_cuda_raises_device_error_and_auto_uses_the_cpu(write_model: WriteModel) -> None:
    file = read_model(write_model())
    for device in ("cuda", "cuda:1"):
        with pytest.raises(DeviceError, match="choose cpu") as caught:
            get_session(file, device)
        assert caught.value.where == f"device {device}"
        assert "\n" not in str(caught.value)
    assert get_session(file, "auto").device == "cpu"


@pytest.mark.parametrize("device", ["gpu", "", "cuda:", "cuda:x", "CPU", "cpu:0", "cuda:9999"])
def test_unknown_device_raises_usage_error(write_model: WriteModel, device: str) -> None:
    with pytest.raises(UsageError, match="device: "):
        get_session(read_model(write_model()), device)


@pytest.mark.parametrize("threads", [0, -1, 10_000])
def test_invalid_thread_count_raises_usage_error(write_model: WriteModel, threads: int) -> None:
    with pytest.raises(UsageError, match="1 to 1024"):
        get_session(read_model(write_model()), "cpu", threads)


def test_engine_error_is_one_line_and_nothing_is_printed(
    write_model: WriteModel, capfd: pytest.CaptureFixture[str]
) -> None:
    session = get_session(read_model(write_model()), "cpu", 1)
    inputs = {"image": np.zeros((1, 2, 4, 5), np.float32)}
    with pytest.raises(ModelError, match="5 x 4 px") as caught:
        session.run(inputs, (4, 5), np.empty((4, 5, 3), np.float32))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_model_that_onnx_runtime_rejects_raises_model_error(
    write_model: WriteModel, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_model()
    model = onnx.load(path)
    # The kernel has five input channels instead of three. Shape inference of onnx accepts that,
    # ONNX Runtime does not.
    model.graph.initializer[1].CopyFrom(
        onnx.numpy_helper.from_array(np.zeros((3, 5, 3, 3), np.float32), "mean")
    )
    onnx.save(model, path)
    pixels, out = np.zeros((8, 8, 3), np.float32), np.empty((8, 8, 3), np.float32)
    session = get_session(read_model(path), "cpu", 1)
    with pytest.raises(ModelError) as caught:
        session.run({"image": session.pack(pixels, (8, 8))}, (8, 8), out)
    assert caught.value.where == "blur"
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
