"""A session on engines that are short of memory, stop, or give what was not asked for."""

import numpy as np
import pytest

from burnish.errors import ModelError
from burnish.runtime.session import Infer, Session


def run(infer: Infer, blocks: tuple[int, int] = (1, 1)) -> np.ndarray:
    out = np.full((4, 8, 3), np.nan, np.float32)
    Session("blur", "cpu", blocks, infer).run(np.ones((4, 8, 3), np.float32), (4, 8), out)
    return out


def giving(*shape: int) -> Infer:
    return lambda given, use: use(np.zeros(shape, np.float32))


def stopping(error: Exception) -> Infer:
    def infer(given, use) -> None:
        raise error

    return infer


@pytest.mark.parametrize("block", [1, 2, 4])
def test_a_result_of_the_source_s_size_is_taken(block: int) -> None:
    out = run(giving(1, 3 * block**2, 4 // block, 8 // block), (1, block))
    assert not out.any()


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (1, 3, 5, 8), (1, 2, 4, 8), (1, 4, 4, 8), (0,)])
def test_a_result_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="blur: expected a result for 8 x 4 px, got one of shape"):
        run(giving(*shape))


def test_a_graph_that_gathers_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ModelError, match="blur: expected a result for 8 x 4 px, got could not"):
        run(giving(1, 3, 4, 8), (3, 1))


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
def test_memory_that_is_out_is_a_memory_error(error: Exception) -> None:
    with pytest.raises(MemoryError, match=r"blur: .+") as caught:
        run(stopping(error))
    assert caught.value.__cause__ is error


def test_another_error_is_one_line_that_says_what_the_engine_says() -> None:
    with pytest.raises(ModelError, match=r"got node 'Conv' \\x1b\[31m failed badly; get") as caught:
        run(stopping(RuntimeError("node 'Conv' \x1b[31m\nfailed badly")))
    assert str(caught.value).isprintable()
