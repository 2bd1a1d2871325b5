"""A run over several files on the machines of a cluster, with the stages of a run on one."""

import os
import platform
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Lock

from burnish.cluster.workers import WorkerPool
from burnish.editing.batch import Batch, Outcome, failed, skipped
from burnish.editing.edit import Edit
from burnish.editing.options import WriteOptions
from burnish.editing.plan import PlannedFile
from burnish.errors import BurnishError, ClusterError
from burnish.files import exists, is_folder, temporary_file
from burnish.progress import SILENT, Progress
from burnish.storage import RemotePath, check_bucket, is_remote

# Photos that a worker has at a time: one is read, one edited and one written.
IN_FLIGHT = 3


@dataclass
class _FileRunner:
    """Runs the stages of a file, called by several threads of which one edits at a time."""

    batch: Batch
    lock: Lock = field(default_factory=Lock)

    def __call__(self, file: PlannedFile) -> Outcome:
        if file.is_video:
            with self.lock:
                return self.batch.edit_video(file)
        work = self.batch.read(file)
        with self.lock:
            self.batch.edit_photo(work)
        return self.batch.write(work)


@dataclass(frozen=True)
class _RunnerFactory:
    """Makes the function of a worker.

    Parameters
    ----------
    folder : the current folder of the command, which relative paths begin at
    probes : files that a machine sees if it shares the disk of the outputs
    buckets : those of the inputs and outputs, which a machine has to reach
    """

    load: Callable[[], Edit]
    write: WriteOptions
    folder: Path
    probes: Sequence[Path]
    buckets: Collection[RemotePath]

    def __call__(self) -> _FileRunner:
        if is_folder(self.folder):
            os.chdir(self.folder)
        for probe in self.probes:
            if not exists(probe):
                problem = f"the machine {platform.node()} does not see this folder"
                remedy = "use a disk that all machines share, or object storage"
                raise ClusterError(str(probe.parent), problem, remedy)
        for bucket in self.buckets:
            try:
                check_bucket(bucket)
            except BurnishError as error:
                place = f"{bucket} on the machine {platform.node()}"
                remedy = "set the environment of the storage on every machine before `ray start`"
                raise ClusterError(place, error.problem, remedy) from error
        return _FileRunner(Batch(self.load(), self.write))


def run_on_cluster(
    edit: Edit,
    load: Callable[[], Edit],
    files: Sequence[PlannedFile],
    write: WriteOptions,
    *,
    threads: int,
    progress: Progress = SILENT,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Outcome]:
    """Edit all files on the connected cluster; yield the outcomes as they become known.

    Parameters
    ----------
    edit : the edit, for the outcomes of files that fail with their workers
    load : returns the edit on a worker, with the number of threads that a worker has
    threads : CPUs of a worker
    should_stop : called often. When it returns True, the run ends after the current files

    Raises
    ------
    BurnishError : as in `WorkerPool.run`; or a machine does not share the disk
    """
    yield from (skipped(edit, file) for file in files if file.skip)
    to_edit = [file for file in files if not file.skip]
    with ExitStack() as stack:
        probes = [
            Path(stack.enter_context(temporary_file(folder)).name).absolute()
            for folder in _local_folders(to_edit)
        ]
        pool = WorkerPool[PlannedFile, Outcome](
            _RunnerFactory(load, write, Path.cwd(), probes, _buckets(to_edit)),
            threads=threads,
            in_flight=IN_FLIGHT,
            retry=partial(replace, is_retry=True),
            give_up=partial(failed, edit),
            on_message=lambda text: progress.message(f"burnish: {text}"),
        )
        progress.start("photos and videos", len(to_edit))
        for outcome in pool.run(to_edit, should_stop):
            progress.advance()
            progress.note(f"workers: {pool.worker_count}")
            yield outcome


def _buckets(files: Sequence[PlannedFile]) -> set[RemotePath]:
    """Return the buckets of inputs and outputs in object storage."""
    paths = {path for file in files for path in (file.source, file.target)}
    return {path.bucket for path in paths if isinstance(path, RemotePath)}


def _local_folders(files: Sequence[PlannedFile]) -> set[Path]:
    """Return an existing folder for each local path that files are written to or relative to."""
    folders = set()
    for file in files:
        if not is_remote(file.target):
            parents = file.target.absolute().parents
            folders.add(next(folder for folder in parents if is_folder(folder)))
        if not is_remote(file.source) and not file.source.is_absolute():
            folders.add(Path.cwd())
    return folders
