"""Single tasks on a cluster."""

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import burnish
from burnish.cluster.connection import first_sentence, is_connected, load_ray
from burnish.errors import ClusterError, missing_library, warn
from burnish.storage import original_names

Job = TypeVar("Job")
Result = TypeVar("Result")

# How often a job is given to a worker that is then lost, before the job counts as failed.
MAX_ATTEMPTS = 3


def task_count() -> int:
    """Return how many tasks run at the same time: the CPUs of the cluster, or 1 without one."""
    return max(1, int(load_ray().cluster_resources().get("CPU", 1))) if is_connected() else 1


def run_tasks(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    initializer: Callable[[], None] | None = None,
) -> Iterator[Result]:
    """Yield `function(job)` for each job, in the order in which the cluster finishes them.

    Each task has one CPU. Ray repeats the tasks of a lost worker. At most two tasks for each CPU
    are submitted at a time.

    Parameters
    ----------
    function : a function at the top level of a module, or a partial of one
    initializer : called before each task

    Functions and jobs that name files need a disk that all machines share.

    Raises
    ------
    BurnishError : raised by the function
    ClusterError : a task was lost several times, or a machine lacks burnish or a library
    """
    ray = load_ray()
    task = ray.remote(num_cpus=1, max_retries=MAX_ATTEMPTS - 1)(_run_task)
    shared = ray.put((function, initializer, Path.cwd()))
    waiting = deque(jobs)
    running: list[Any] = []
    while waiting or running:
        limit = 2 * task_count()
        while waiting and len(running) < limit:
            running.append(task.remote(burnish.__version__, shared, waiting.popleft()))
        done, running = ray.wait(running, num_returns=1)
        for reference in done:
            try:
                result, messages = ray.get(reference)
            except ray.exceptions.RayError as error:
                raise job_error(error) from error
            warn_all(messages)
            yield result


def _run_task(version: str, shared: Any, job: Any) -> tuple[Any, list[str]]:
    check_version(version)
    function, initializer, folder = shared
    if folder.is_dir():
        os.chdir(folder)
    if initializer is not None:
        initializer()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        result = function(job)
    return result, [original_names(str(entry.message)) for entry in caught]


def job_error(error: Any) -> Exception:
    """Return the error of a job, or one about the cluster if Ray lost it."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, ModuleNotFoundError) and (cause.name or "").startswith("burnish"):
        problem = "burnish is not installed on a machine of the cluster"
        return ClusterError("--ray", problem, f"install burnish {burnish.__version__} on all")
    if isinstance(cause, ModuleNotFoundError):
        return missing_library(cause).with_context("a machine of the cluster")
    if isinstance(cause, Exception):
        return cause
    problem = f"a task was lost {MAX_ATTEMPTS} times: {first_sentence(error)}"
    return ClusterError("--ray", problem, "check the memory of the machines")


def check_version(version: str) -> None:
    """Check that a machine has the version of burnish that was asked for."""
    if version != burnish.__version__:
        problem = f"a machine has burnish {burnish.__version__}, and this one {version}"
        raise ClusterError("--ray", problem, "install the same version on all")


def warn_all(messages: Iterable[str]) -> None:
    """Repeat the warnings of another process in this one."""
    for message in messages:
        warn(message)
