"""Workers of a cluster that keep a function, such as one with a network in memory."""

import os
import time
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from threading import get_ident
from typing import Any, Generic, TypeVar

import burnish
from burnish.cluster.connection import first_sentence, load_ray
from burnish.cluster.tasks import MAX_ATTEMPTS, check_version, job_error, warn_all
from burnish.errors import ClusterError
from burnish.storage import original_names

Job = TypeVar("Job")
Result = TypeVar("Result")

# Seconds between two looks at the size of the cluster.
_RESIZE_SECONDS = 5.0
# Seconds without any worker after which the user is told.
_PATIENCE = 30.0
# Number of workers in a row that end before they have started, after which the run ends.
_MAX_FAILED_STARTS = 10


class _Worker:
    """A process on some machine that keeps a function, such as one with a network in memory."""

    def __init__(self) -> None:
        self._function: Callable[[Any], Any] | None = None
        # Messages of warnings, by the thread that runs a job.
        self._messages: dict[int, list[str]] = {}

    def start(self, version: str, threads: int, make_function: Callable[[], Any]) -> None:
        """Make the function."""
        check_version(version)
        os.environ["BURNISH_THREADS"] = str(threads)
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = self._collect
        self._function = make_function()

    def _collect(self, message: Warning | str, *details: Any, **more: Any) -> None:
        self._messages.setdefault(get_ident(), []).append(original_names(str(message)))

    def run(self, job: Any) -> tuple[Any, list[str]]:
        """Return the result of a job, and the warnings."""
        assert self._function is not None
        result = self._function(job)
        return result, self._messages.pop(get_ident(), [])


@dataclass
class _Handle(Generic[Job]):
    """A worker as the driver sees it.

    Attributes
    ----------
    starting : the reference to its start, until that is finished
    jobs : the jobs that it runs, by their reference
    is_alone : whether it runs a job that a lost worker had; it is given no other
    """

    actor: Any
    starting: Any
    jobs: dict[Any, Job] = field(default_factory=dict)
    is_alone: bool = False


class WorkerPool(Generic[Job, Result]):
    """Runs jobs on as many workers as the cluster has room for, while it grows and shrinks.

    A worker that is lost, with its machine or alone, is replaced. Each of its jobs is then run by
    a worker that has no other job, so that the one that ended the worker does not take others with
    it. After `MAX_ATTEMPTS` lost workers a job counts as failed.

    Parameters
    ----------
    make_function : called once by each worker; returns the function from a job to its result.
        The function may be called by `in_flight` threads at the same time
    threads : CPUs of a worker
    in_flight : number of jobs that a worker has at a time
    retry : returns the job to run in place of one that was lost
    give_up : returns the result of a job that failed, from the job and the reason
    on_message : shows a line about the cluster
    """

    def __init__(
        self,
        make_function: Callable[[], Callable[[Job], Result]],
        *,
        threads: int,
        in_flight: int,
        retry: Callable[[Job], Job],
        give_up: Callable[[Job, str], Result],
        on_message: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._ray = load_ray()
        self._threads = threads
        self._in_flight = in_flight
        self._retry, self._give_up, self._on_message = retry, give_up, on_message
        self._make_function = self._ray.put(make_function)
        self._class = self._ray.remote(_Worker).options(
            num_cpus=threads, max_concurrency=in_flight, max_restarts=0
        )
        self._workers: list[_Handle[Job]] = []
        self._lost: deque[Job] = deque()
        self._attempts: Counter[Job] = Counter()
        self._results: deque[Result] = deque()
        self._failed_starts = 0
        self._last_resize = self._last_ready = time.monotonic()

    @property
    def worker_count(self) -> int:
        """The number of workers that have started."""
        return sum(worker.starting is None for worker in self._workers)

    def run(
        self, jobs: Iterable[Job], should_stop: Callable[[], bool] = lambda: False
    ) -> Iterator[Result]:
        """Yield the results in the order in which they are known.

        Parameters
        ----------
        should_stop : when it returns True, running jobs are finished, and no others begin

        Raises
        ------
        BurnishError : a worker cannot start, for example without the model file
        ClusterError : no machine has room for a worker
        """
        iterator = iter(jobs)
        self._resize()
        try:
            while True:
                is_exhausted = should_stop() or not self._assign(iterator)
                if is_exhausted and not any(worker.jobs for worker in self._workers):
                    break
                self._wait()
                while self._results:
                    yield self._results.popleft()
        finally:
            for worker in self._workers:
                self._ray.kill(worker.actor)
            self._workers.clear()

    def _resize(self) -> None:
        """Start as many workers as fit on the machines."""
        self._last_resize = time.monotonic()
        sizes = [
            int(node["Resources"].get("CPU", 0)) for node in self._ray.nodes() if node["Alive"]
        ]
        room = sum(size // self._threads for size in sizes)
        if not room:
            largest = max(sizes, default=0)
            problem = f"a worker needs {self._threads} CPUs, and the largest machine has {largest}"
            raise ClusterError("--ray", problem, "lower --threads")
        for _ in range(room - len(self._workers)):
            actor = self._class.remote()
            starting = actor.start.remote(burnish.__version__, self._threads, self._make_function)
            self._workers.append(_Handle(actor, starting))

    def _assign(self, jobs: Iterator[Job]) -> bool:
        """Give jobs to workers with room; return False if there are none left."""
        ready = [worker for worker in self._workers if worker.starting is None]
        for worker in ready:
            if self._lost and not worker.jobs:
                self._submit(worker, self._lost.popleft(), is_alone=True)
        # One each in turn, so that the last jobs of a run are spread over the workers.
        for _ in range(self._in_flight):
            for worker in ready:
                if worker.is_alone or len(worker.jobs) >= self._in_flight or self._lost:
                    continue
                try:
                    self._submit(worker, next(jobs))
                except StopIteration:
                    return bool(self._lost)
        return True

    def _submit(self, worker: _Handle[Job], job: Job, *, is_alone: bool = False) -> None:
        worker.is_alone = is_alone
        worker.jobs[worker.actor.run.remote(job)] = job

    def _wait(self) -> None:
        """Wait for a job or a start to end, and handle what has ended."""
        owners = {reference: worker for worker in self._workers for reference in worker.jobs}
        owners |= {worker.starting: worker for worker in self._workers if worker.starting}
        done, _ = self._ray.wait(list(owners), num_returns=1, timeout=1.0)
        if done:  # all that have ended, so that many workers cost one call
            done, _ = self._ray.wait(list(owners), num_returns=len(owners), timeout=0)
        for reference in done:
            if owners[reference] in self._workers:  # not lost with the one before
                self._handle(owners[reference], reference)
        now = time.monotonic()
        if self.worker_count:
            self._last_ready = now
        elif now - self._last_ready > _PATIENCE:
            self._last_ready = now
            self._on_message("waiting for free CPUs in the cluster")
        if now - self._last_resize > _RESIZE_SECONDS:
            self._resize()

    def _handle(self, worker: _Handle[Job], reference: Any) -> None:
        try:
            value = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            # Jobs report their own errors in their results: this is one of the start, or a bug.
            raise job_error(error) from error
        except self._ray.exceptions.RayError as error:
            self._lose(worker, error)
            return
        if reference == worker.starting:
            worker.starting = None
            self._failed_starts = 0
            return
        worker.jobs.pop(reference)
        worker.is_alone = False
        result, messages = value
        warn_all(messages)
        self._results.append(result)

    def _lose(self, worker: _Handle[Job], error: Exception) -> None:
        """Replace a lost worker, and run its jobs again or give them up."""
        self._workers.remove(worker)
        self._ray.kill(worker.actor)  # it may be out of reach and not dead
        self._failed_starts += worker.starting is not None
        if self._failed_starts > _MAX_FAILED_STARTS:
            problem = f"no worker starts: {first_sentence(error)}"
            raise ClusterError("--ray", problem, "check the memory of the machines") from error
        for job in worker.jobs.values():
            again = self._retry(job)
            self._attempts[again] += 1
            if self._attempts[again] < MAX_ATTEMPTS:
                self._lost.append(again)
            else:
                problem = f"{MAX_ATTEMPTS} workers ended while they had it"
                self._results.append(self._give_up(job, problem))
        if worker.jobs:
            self._on_message(f"a worker was lost; {len(worker.jobs)} photos go to others")
        self._resize()
