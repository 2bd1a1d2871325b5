"""A run over several files: the next photo is read and the last one written during an edit."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from pydantic import BaseModel, ConfigDict

from burnish.editing.edit import Edit, OnProgress
from burnish.editing.history import EditRecord
from burnish.editing.options import DEFAULT_WRITE, WriteOptions
from burnish.editing.photo import edit_photo, needs_out_of_core
from burnish.editing.plan import PlannedFile
from burnish.errors import BurnishError
from burnish.files import check_absent, make_folder, remove_stale_partials
from burnish.photo import Photo
from burnish.prefetch import BackgroundWorker, prefetch
from burnish.progress import SILENT, Progress

Status = Literal["planned", "done", "skipped", "failed", "interrupted"]


class Outcome(BaseModel):
    """The outcome of one photo or video.

    Parameters
    ----------
    input, output : paths; output is null if no file was written
    status : "planned" in a dry run; "skipped" if the output exists and must be kept
    reason : why it was skipped or failed, or where an interrupted video will resume
    changed : false for a photo whose region was empty, such as one without the selected objects;
        null for videos, and for photos that were edited on disk
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


def outcome_schema() -> str:
    """Return the JSON schema of an outcome. `--json` prints one outcome per line."""
    return json.dumps(Outcome.model_json_schema(), indent=2) + "\n"


def run_batch(
    edit: Edit,
    files: Sequence[PlannedFile],
    write: WriteOptions = DEFAULT_WRITE,
    progress: Progress = SILENT,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Outcome]:
    """Edit all files, and yield their outcomes in order, as soon as they are known.

    At most three photos are in memory: one is read, one edited and one written. Of a video, a few
    frames are in memory; of a photo that is edited on disk, a few tiles. An error in one file does
    not affect the others. KeyboardInterrupt ends the run at once, and the photo that is being
    edited is not written.

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
    batch = _Batch(edit, write, progress, should_stop)
    for folder in dict.fromkeys(file.target.parent for file in files):
        remove_stale_partials(folder)
    with (
        closing(prefetch(map(batch.read, files))) as photos,
        BackgroundWorker[Outcome]() as writer,
    ):
        try:
            for file in files:
                if should_stop():
                    break
                work = next(photos)
                if file.is_video:
                    yield from writer.drain()
                    yield batch.edit_video(file)
                else:
                    progress.start(file.source.name, 1)
                    edited = batch.edit_photo(file, work)
                    yield from writer.submit(partial(batch.write, file, edited))
        except KeyboardInterrupt:
            yield from writer.drain()
            yield batch.outcome(file, "interrupted")
        else:
            yield from writer.drain()


def dry_run(edit: Edit, files: Sequence[PlannedFile]) -> Iterator[Outcome]:
    """Yield the outcomes of a run that writes nothing."""
    batch = _Batch(edit, WriteOptions(), SILENT, lambda: False)
    for file in files:
        if file.skip:
            yield batch.outcome(file, "skipped", batch.read(file))
        else:
            yield batch.outcome(file, "planned")


@dataclass(frozen=True)
class _PhotoWork:
    """A photo between two stages of a run.

    Parameters
    ----------
    photo : the photo; None if it is edited on disk, or has failed or is skipped
    size : width and height, in pixels, once it was read
    reason : why it has failed or is skipped
    seconds : the time spent on it so far
    """

    photo: Photo | None = None
    size: tuple[int, int] | None = None
    reason: str | None = None
    skipped: bool = False
    changed: bool | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class _Batch:
    """The three stages of a run. None of them raises errors of a single file."""

    edit: Edit
    options: WriteOptions
    progress: Progress
    should_stop: Callable[[], bool]

    def read(self, file: PlannedFile) -> _PhotoWork:
        if file.skip:
            return _PhotoWork(reason="the output exists", skipped=True)
        if file.is_video:
            return _PhotoWork()

        def read() -> _PhotoWork:
            check_absent(file.target, overwrite=self.options.overwrite)
            if needs_out_of_core(self.edit, file.source):
                return _PhotoWork()
            photo = Photo.open(file.source)
            return _PhotoWork(photo, photo.size)

        return self._timed(file, _PhotoWork(), read)

    def edit_photo(self, file: PlannedFile, work: _PhotoWork) -> _PhotoWork:
        photo = work.photo
        if work.reason is not None:
            return work

        def edit() -> _PhotoWork:
            on_progress = _fractions(self.progress)
            if photo is None:
                from burnish.editing.out_of_core import edit_out_of_core

                size = edit_out_of_core(
                    self.edit, file.source, file.target, self.options, on_progress
                )
                return _PhotoWork(size=size)
            edited = edit_photo(self.edit, photo, file.source, on_progress)
            return _PhotoWork(edited, photo.size, changed=edited.pixels is not photo.pixels)

        return self._timed(file, work, edit)

    def write(self, file: PlannedFile, work: _PhotoWork) -> Outcome:
        photo = work.photo
        if work.reason is not None:
            return self.outcome(file, "skipped" if work.skipped else "failed", work)
        if photo is None:
            return self.outcome(file, "done", work)

        def write() -> _PhotoWork:
            make_folder(file.target.parent)
            photo.save(file.target, **self.options.for_photos)
            return work

        written = self._timed(file, work, write)
        return self.outcome(file, "failed" if written.reason else "done", written)

    def edit_video(self, file: PlannedFile) -> Outcome:
        """Read, edit and write a video, which uses threads of its own."""
        if file.skip:
            return self.outcome(file, "skipped", self.read(file))
        from burnish.editing.video_file import edit_video

        start = time.perf_counter()
        try:
            done = edit_video(
                self.edit,
                file.source,
                file.target,
                self.options,
                progress=self.progress,
                should_stop=self.should_stop,
            )
        except (BurnishError, MemoryError) as error:
            return self.outcome(file, "failed", _PhotoWork(reason=_reason(error, file)))
        hint = f"{done.frames} frames ({done.seconds:.1f} s) are kept; the same command resumes"
        status: Status = "done" if done.finished else "interrupted"
        work = _PhotoWork(reason=None if done.finished else hint)
        return self.outcome(file, status, work).model_copy(
            update={
                "seconds": round(time.perf_counter() - start, 3),
                "megapixels": round(done.megapixels, 6),
                "frames": done.frames,
                "duration": round(done.seconds, 6),
            }
        )

    def outcome(
        self, file: PlannedFile, status: Status, work: _PhotoWork = _PhotoWork()
    ) -> Outcome:
        return Outcome(
            input=str(file.source),
            output=str(file.target) if status in ("done", "skipped", "planned") else None,
            status=status,
            reason=work.reason,
            changed=work.changed if status == "done" else None,
            seconds=round(work.seconds, 3) if work.size else None,
            megapixels=work.size[0] * work.size[1] / 1e6 if work.size else None,
            device=self.edit.device,
            history=self.edit.history,
        )

    def _timed(
        self, file: PlannedFile, work: _PhotoWork, stage: Callable[[], _PhotoWork]
    ) -> _PhotoWork:
        start = time.perf_counter()
        try:
            done = stage()
        except (BurnishError, MemoryError) as error:
            return _PhotoWork(reason=_reason(error, file))
        return replace(done, seconds=work.seconds + time.perf_counter() - start)


def _fractions(progress: Progress) -> OnProgress:
    """Return a callback for completed fractions of the current task, whose amount of work is 1."""
    last = 0.0

    def on_progress(fraction: float) -> None:
        nonlocal last
        progress.advance(fraction - last)
        last = fraction

    return on_progress


def _reason(error: Exception, file: PlannedFile) -> str:
    # A MemoryError has no message.
    return str(error) or f"{file.source}: too large for the memory of this machine"
