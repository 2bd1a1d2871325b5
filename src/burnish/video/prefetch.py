"""Pipe: stages in threads of their own, with few things on their way between them."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

T = TypeVar("T")

# One in hand and one waiting: more would only be memory, as the slowest stage sets the pace.
_QUEUE_SIZE = 2


def prefetch(items: Iterator[T], worker: Executor) -> Iterator[T]:
    """Give items that a worker makes, while it makes the next.

    Parameters
    ----------
    items : what is made, None among them ending it
    worker : with one thread

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(1) as worker:
    ...     list(prefetch(iter("abc"), worker))
    ['a', 'b', 'c']
    """
    making = deque(worker.submit(next, items, None) for _ in range(_QUEUE_SIZE))
    while (item := making.popleft().result()) is not None:
        making.append(worker.submit(next, items, None))
        yield item


class BackgroundWriter:
    """Hands items to a worker, and waits where too many are on their way.

    Parameters
    ----------
    worker : with one thread
    """

    def __init__(self, worker: Executor) -> None:
        self._worker = worker
        self._pending: deque[Future[object]] = deque()

    def submit(self, work: Callable[[], object]) -> None:
        """Have a piece of work done, after those before it; raises what one of those raised."""
        if len(self._pending) == _QUEUE_SIZE:
            self._pending.popleft().result()
        self._pending.append(self._worker.submit(work))

    def wait(self) -> None:
        """Wait for all of it; raises what one of them raised."""
        while self._pending:
            self._pending.popleft().result()
