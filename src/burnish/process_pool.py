"""Run a function on many inputs in parallel processes, of this machine or of a cluster."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from burnish.cluster.connection import is_connected
from burnish.cluster.tasks import run_tasks
from burnish.errors import OperatorError

T = TypeVar("T")
R = TypeVar("R")


def map_unordered(
    function: Callable[[T], R],
    items: Sequence[T],
    processes: int,
    initializer: Callable[[], None] | None = None,
) -> Iterator[R]:
    """Yield `function(item)` for each item, in the order in which they finish.

    While this process is connected to a cluster, the items are tasks of the cluster. With one item
    or one process, the calling process runs the function itself. If an exception is raised or the
    generator is closed, running calls are finished and the others are dropped.

    Parameters
    ----------
    function : a function at the top level of a module
    initializer : called once at the start of each process

    Raises
    ------
    OperatorError : a process was killed
    ClusterError : as in `burnish.cluster.tasks.run_tasks`

    Examples
    --------
    >>> list(map_unordered(abs, [-1, 2], processes=1))
    [1, 2]
    """
    if is_connected():
        yield from run_tasks(function, items, initializer)
        return
    if processes == 1 or len(items) < 2:
        yield from map(function, items)
        return
    # Spawned and not forked, because a fork of a process with threads (libvips, torch) may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=initializer) as executor:
        try:
            for future in as_completed([executor.submit(function, item) for item in items]):
                yield future.result()
        except BrokenProcessPool as error:
            raise OperatorError(
                "worker process",
                "it ended unexpectedly or was killed",
                "check for a lack of memory; a script needs `if __name__ == '__main__':`",
            ) from error
        finally:
            executor.shutdown(cancel_futures=True)
