"""A run over several files. During an edit, the next photo is read and the last one is written."""

import errno
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from burnish.editing.edit import Edit
from burnish.editing.history import EditRecord
from burnish.editing.options import DEFAULT_OPTIONS, WriteOptions
from burnish.editing.photo import (
    edit_for_target,
    edit_out_of_core,
    needs_out_of_core,
    open_for_edit,
)
from burnish.editing.plan import PlannedFile
from burnish.errors import BurnishError, read_error, reason
from burnish.files import check_absent, exists, make_folder, remove_stale_partials
from burnish.photo import Photo
from burnish.photo.stored_photo import StoredPhoto
from burnish.prefetch import BackgroundWorker, prefetch
from burnish.progress import SILENT, Progress
from burnish.storage import RemotePath, Scratch, is_remote, original_names, put
from burnish.types import OnProgress

Status = Literal["planned", "done", "skipped", "failed", "interrupted"]


class Outcome(BaseModel):
    """The outcome of one photo or video.

    Parameters
    ----------
    input, output : paths; output is null if no file was written
    status : "planned" in a dry run; "skipped" if the output exists and must be kept
    reason : why it was skipped or failed, where an interrupted video will resume, or that the
        output of a lost worker was found
    changed : false for a photo whose region was empty, such as one without the selected objects,
        or whose edit was switched off by its parameters; null for videos, and for photos that were
        edited on disk
    seconds : time spent on reading, editing and writing, without waiting
    megapixels : size of the photo, or of all finished frames of a video
    frames : number of finished frames of a video
    duration : duration of the finished part of a video, in seconds
    device : the device that was used
    history : the operators that were applied
    """

    model_config = ConfigDict(frozen=True)

    input: str
    output: str | None
    status: Status
    reason: str | None = None
    changed: bool | None = None
    seconds: float | None = None
    megapixels: float | None = None
    frames: int | None = None
    duration: float | None = None
    device: str
    history: tuple[EditRecord, ...]

    def to_json(self) -> str:
        """Return the outcome as one line of JSON.

        Bytes in file names that are not UTF-8 become escaped surrogates, as in Python.
        """
        dump = partial(json.dumps, self.model_dump(), default=str, separators=(",", ":"))
        line = dump(ensure_ascii=False)
        return line if line.isprintable() else dump()


def outcome_schema() -> str:
    """Return the JSON schema of an outcome. `--json` prints one outcome per line."""
    return json.dumps(Outcome.model_json_schema(), indent=2) + "\n"


def run_batch(
    edit: Edit,
    files: Sequence[PlannedFile],
    write: WriteOptions = DEFAULT_OPTIONS,
    progress: Progress = SILENT,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Outcome]:
    """Edit all files, and yield their outcomes in order, as soon as they are known.

    At most three photos are in memory: one is read, one edited and one written. An error in one
    file does not affect the others. KeyboardInterrupt ends the run at once, and the photo that is
    being edited is not written.

    Parameters
    ----------
    progress : receives a task per photo, whose amount of work is 1, and a task per video, whose
        amount of work is its number of frames
    should_stop : called before each file and each frame. When it returns True, the run ends after
        the current photo, or after the current frame of a video, which can be resumed

    Raises
    ------
    OutputError : an output folder cannot be created
    """
    batch = Batch(edit, write, progress, should_stop)
    for folder in dict.fromkeys(file.target.parent for file in files):
        if not is_remote(folder):
            remove_stale_partials(folder)
    with (
        closing(prefetch(map(batch.read, files))) as reader,
        BackgroundWorker[Outcome]() as writer,
    ):
        try:
            for file in files:
                if should_stop():
                    break
                work = next(reader)
                if file.is_video:
                    yield from writer.drain()
                    yield batch.edit_video(file)
                else:
                    progress.start(file.source.name, 1)
                    batch.edit_photo(work)
                    yield from writer.submit(partial(batch.write, work))
        except KeyboardInterrupt:
            yield from writer.drain()
            yield _outcome(edit, file, "interrupted")
        else:
            yield from writer.drain()


def dry_run(
    edit: Edit, files: Sequence[PlannedFile], write: WriteOptions = DEFAULT_OPTIONS
) -> Iterator[Outcome]:
    """Yield the outcomes of a run that reads and writes nothing.

    A file fails if its input does not exist or may not be read, or if its output exists.
    """
    for file in files:
        if file.skip:
            yield skipped(edit, file)
            continue
        try:
            _check_readable(file.source)
            check_absent(file.target, overwrite=write.overwrite)
        except BurnishError as error:
            yield _outcome(edit, file, "failed", reason=str(error))
        else:
            yield _outcome(edit, file, "planned")


def _check_readable(path: Path) -> None:
    try:
        if is_remote(path):
            if not exists(path):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            return
        path.stat()
        if not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except (OSError, ValueError) as error:
        raise read_error(path, error) from error


def _outcome(edit: Edit, file: PlannedFile, status: Status, **fields: Any) -> Outcome:
    output = str(file.target) if status in ("done", "skipped", "planned") else None
    edit = edit.for_output(None, video=file.is_video)
    return Outcome(
        input=str(file.source),
        output=output,
        status=status,
        device=edit.device,
        history=edit.history,
        **fields,
    )


def skipped(edit: Edit, file: PlannedFile) -> Outcome:
    """Return the outcome of a file whose output exists."""
    return _outcome(edit, file, "skipped", reason="the output exists")


def failed(edit: Edit, file: PlannedFile, problem: str) -> Outcome:
    """Return the outcome of a file that failed for a reason outside of it."""
    return _outcome(edit, file, "failed", reason=f"{file.source}: {problem}")


# Reason of an outcome without times and size.
_EARLIER_ATTEMPT = "the output was written just before its worker was lost"
# Errors of one file, which do not end the run for the others.
_FILE_ERRORS = (BurnishError, MemoryError, OSError)


def _failure(file: PlannedFile, error: Exception) -> str:
    if isinstance(error, MemoryError):
        return f"{file.source}: too large for the memory of this machine"
    if isinstance(error, OSError):
        return f"{file.source}: the system reports: {reason(error)}"
    return original_names(str(error))


@dataclass
class _PhotoWork:
    """The state of a photo between the stages of a run.

    Parameters
    ----------
    edit : the edit; once the photo is read, in the precision for its depth
    scratch : local copies, if the photo or its output lies in object storage
    source, target : the local files that are read and written
    photo : the photo, unless it is edited on disk
    is_written : an earlier attempt has written the output. Later stages then do nothing
    size : width and height, in pixels; None until the photo is edited
    failure : why a stage failed; None if none failed. Later stages then do nothing
    seconds : the time that the finished stages took
    """

    file: PlannedFile
    edit: Edit
    scratch: Scratch
    source: Path
    target: Path
    photo: Photo | StoredPhoto | None = None
    is_written: bool = False
    size: tuple[int, int] | None = None
    changed: bool | None = None
    failure: str | None = None
    seconds: float = 0.0

    @contextmanager
    def stage(self) -> Iterator[None]:
        """Measure the time of a stage, and record an error of this photo instead of raising it."""
        start = time.perf_counter()
        try:
            yield
        except _FILE_ERRORS as error:
            self.failure = _failure(self.file, error)
            self.photo = None
        self.seconds += time.perf_counter() - start


@dataclass(frozen=True)
class Batch:
    """The stages of a run. None of them raises errors of a single file."""

    edit: Edit
    options: WriteOptions
    progress: Progress = SILENT
    should_stop: Callable[[], bool] = lambda: False

    def _has_output(self, file: PlannedFile) -> bool:
        """Return whether an earlier attempt has written the output: the plan found none."""
        return file.is_retry and not self.options.overwrite and exists(file.target)

    def read(self, file: PlannedFile) -> _PhotoWork:
        """Read a photo, unless it is edited on disk."""
        work = _PhotoWork(file, self.edit, Scratch(), file.source, file.target)
        if file.skip or file.is_video:
            return work
        with work.stage():
            if self._has_output(file):
                work.is_written = True
                return work
            if not is_remote(file.target):  # object storage itself refuses to replace an object
                check_absent(file.target, overwrite=self.options.overwrite)
            work.source = work.scratch.fetch(file.source)
            work.target = work.scratch.local(file.target)
            if not needs_out_of_core(self.edit, work.source):
                work.photo = open_for_edit(self.edit, work.source)
        return work

    def edit_photo(self, work: _PhotoWork) -> None:
        """Edit a photo that was read; one that is edited on disk is also written."""
        photo, target = work.photo, work.target
        if work.file.skip or work.failure or work.is_written:
            return
        on_progress = _fractions(self.progress)
        with work.stage():
            if photo is None:
                work.size, work.edit = edit_out_of_core(
                    self.edit, work.source, target, self.options, on_progress
                )
            else:
                work.photo, work.edit, work.changed = edit_for_target(
                    self.edit, photo, work.source, target, self.options, on_progress
                )
                work.size = photo.size

    def write(self, work: _PhotoWork) -> Outcome:
        """Write an edited photo, and return its outcome."""
        file = work.file
        if file.skip:
            return skipped(self.edit, file)
        with work.scratch:
            if work.photo is not None:
                with work.stage():
                    make_folder(work.target.parent)
                    work.photo.save(work.target, **self.options.for_photos)
            if not work.failure and not work.is_written and isinstance(file.target, RemotePath):
                with work.stage():
                    put(work.target, file.target, overwrite=self.options.overwrite)
        # The lost worker may have been slow, and not dead.
        if work.is_written or (work.failure and self._has_output(file)):
            return _outcome(self.edit, file, "done", reason=_EARLIER_ATTEMPT)
        if work.failure or work.size is None:
            return _outcome(work.edit, file, "failed", reason=work.failure)
        width, height = work.size
        return _outcome(
            work.edit,
            file,
            "done",
            changed=work.changed,
            seconds=round(work.seconds, 3),
            megapixels=width * height / 1e6,
        )

    def edit_video(self, file: PlannedFile) -> Outcome:
        """Read, edit and write a video, which uses threads of its own."""
        if file.skip:
            return skipped(self.edit, file)
        if self._has_output(file):
            return _outcome(self.edit, file, "done", reason=_EARLIER_ATTEMPT)
        from burnish.editing.video_file import edit_video

        start = time.perf_counter()
        try:
            with Scratch() as scratch:
                target = scratch.local(file.target)
                video = edit_video(
                    self.edit,
                    scratch.fetch(file.source),
                    target,
                    self.options,
                    progress=self.progress,
                    should_stop=self.should_stop,
                )
                if video.finished and isinstance(file.target, RemotePath):
                    put(target, file.target, overwrite=self.options.overwrite)
        except _FILE_ERRORS as error:
            return _outcome(self.edit, file, "failed", reason=_failure(file, error))
        hint = f"{video.frames} frames ({video.seconds:.1f} s) are kept; the same command resumes"
        if not video.frames or is_remote(file.target):
            hint = "no frames are kept yet; the same command starts again"
        return _outcome(
            video.edit,
            file,
            "done" if video.finished else "interrupted",
            reason=None if video.finished else hint,
            seconds=round(time.perf_counter() - start, 3),
            megapixels=round(video.megapixels, 6),
            frames=video.frames,
            duration=round(video.seconds, 6),
        )


def _fractions(progress: Progress) -> OnProgress:
    """Return a callback for completed fractions of the current task, whose amount of work is 1."""
    last = 0.0

    def on_progress(fraction: float) -> None:
        nonlocal last
        progress.advance(fraction - last)
        last = fraction

    return on_progress
