"""Background threads: order, exceptions, and how far ahead they work."""

import threading

import pytest

from burnish.prefetch import BackgroundWorker, parallel_map, prefetch


def test_prefetch_yields_all_items_in_order_from_another_thread():
    items = ((index, threading.get_ident()) for index in range(5))
    indices, threads = zip(*prefetch(items, depth=2), strict=True)
    assert indices == (0, 1, 2, 3, 4)
    assert set(threads) != {threading.get_ident()}


@pytest.mark.parametrize("depth", [1, 2])
def test_prefetch_computes_depth_items_ahead(depth):
    computed = []
    reached = threading.Event()

    def items():
        for index in range(10):
            computed.append(index)
            if index == depth:
                reached.set()
            yield index

    stream = prefetch(items(), depth)
    assert next(stream) == 0
    assert reached.wait(5)
    stream.close()
    assert computed == list(range(depth + 1))


def test_prefetch_raises_the_exception_where_the_item_would_be():
    def items():
        yield 1
        raise KeyError("second")

    stream = prefetch(items())
    assert next(stream) == 1
    with pytest.raises(KeyError, match="second"):
        next(stream)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_parallel_map_yields_results_in_order_when_the_first_call_is_the_last_to_end(workers):
    ended = threading.Event()

    def square(number):
        if number == 0 and workers > 1:
            assert ended.wait(5)
        if number == workers - 1:
            ended.set()
        return number**2

    assert list(parallel_map(square, range(5), workers)) == [0, 1, 4, 9, 16]


@pytest.mark.parametrize("workers", [1, 2])
def test_parallel_map_raises_the_exception_where_the_result_would_be(workers):
    results = parallel_map(lambda number: 1 // number, [1, 0, 1], workers)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_parallel_map_reads_few_items_ahead():
    read = []
    results = parallel_map(abs, (read.append(index) or index for index in range(9)), workers=2)
    assert next(results) == 0
    assert read == [0, 1, 2]
    results.close()


def test_background_worker_returns_results_in_order_and_never_exceeds_its_depth():
    with BackgroundWorker[int](depth=2) as worker:
        results = [worker.submit(lambda index=index: index) for index in range(4)]
        assert results == [[], [], [0], [1]]
        assert worker.drain() == [2, 3]


def test_background_worker_raises_the_exception_of_an_earlier_function():
    with BackgroundWorker[float](depth=1) as worker:
        worker.submit(lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            worker.drain()
