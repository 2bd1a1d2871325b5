"""A session whose engine runs out of memory, fails, or returns another shape."""

import numpy as np
import pytest

from burnish.errors import ModelError
from burnish.runtime.session import Infer, Session


def run(infer: Infer, block_sizes: tuple[int, int] = (1, 1)) -> np.ndarray:
    """Run a session of an engine on 4 x 8 white pixels."""
    out = np.full((4, 8, 3), np.nan, np.float32)
    Session("blur", "cpu", block_sizes, infer).run(np.ones((4, 8, 3), np.float32), (4, 8), out)
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
