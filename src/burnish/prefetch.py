"""Work in a background thread: items computed ahead of their use, and writes behind it."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, Self, TypeVar

T = TypeVar("T")
Result = TypeVar("Result")


def prefetch(items: Iterable[T], depth: int = 1) -> Generator[T, None, None]:
    """Yield the items of an iterable while a thread computes the next ones.

    An exception of the iterable is raised where its item would have been yielded. Closing the
    generator waits for the item that is being computed, and drops it.

    Parameters
    ----------
    depth : the number of items that are computed ahead

    Examples
    --------
    >>> list(prefetch(iter("abc")))
    ['a', 'b', 'c']
    """
    iterator, end = iter(items), object()
    executor = ThreadPoolExecutor(1, "prefetch")
    pending: deque[Future[Any]] = deque()
    try:
        while True:
            while len(pending) <= depth:
                pending.append(executor.submit(next, iterator, end))
            item = pending.popleft().result()
            if item is end:
                return
            yield item
    finally:
        executor.shutdown(cancel_futures=True)


def parallel_map(
    function: Callable[[T], Result], items: Iterable[T], workers: int
) -> Generator[Result, None, None]:
    """Yield the results of a function for each item, in order, from several threads.

    An exception is raised where its result would have been yielded. Closing the generator waits
    for the calls that are running, and drops their results.

    Parameters
    ----------
    workers : the number of threads; with one, this thread calls the function

    Examples
    --------
    >>> list(parallel_map(len, ["a", "bb", "ccc"], workers=2))
    [1, 2, 3]
    """
    if workers == 1:
        yield from map(function, items)
        return
    executor = ThreadPoolExecutor(workers, "parallel")
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(executor.submit(function, item))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)


class BackgroundWorker(Generic[T]):
    """Runs functions one after another in a thread, with at most `depth` of them unfinished.

    Examples
    --------
    >>> with BackgroundWorker[int](depth=1) as worker:
    ...     print(worker.submit(lambda: 1), worker.submit(lambda: 2), worker.drain())
    [] [1] [2]
    """

    def __init__(self, depth: int = 1) -> None:
        self.depth = depth
        self._executor = ThreadPoolExecutor(1, "background")
        self._pending: deque[Future[T]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._executor.shutdown(cancel_futures=True)

    def submit(self, function: Callable[[], T]) -> list[T]:
        """Queue a function. If `depth` are unfinished, first wait for the oldest one.

        Returns
        -------
        The results of the functions that were waited for. Their exceptions are raised here.
        """
        results = self.drain(self.depth - 1)
        self._pending.append(self._executor.submit(function))
        return results

    def drain(self, depth: int = 0) -> list[T]:
        """Wait until at most `depth` functions are unfinished; return the results in order."""
        return [self._pending.popleft().result() for _ in range(len(self._pending) - depth)]
