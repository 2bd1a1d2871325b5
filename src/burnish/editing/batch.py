"""A batch: while one photo is edited, the next is read and the one before is written."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from burnish.editing.edit import Edit
from burnish.editing.out_of_core import edit_out_of_core, needs_out_of_core
from burnish.editing.outcome import Outcome, Status
from burnish.editing.photo import edit_photo
from burnish.editing.plan import OutputOptions, PlannedFile
from burnish.editing.video_file import VideoProgress, edit_video
from burnish.errors import BurnishError
from burnish.files import check_absent, make_folder, remove_stale_partials
from burnish.photo import Photo
from burnish.video.formats import SAME_AS_SOURCE, EncodingOptions

T = TypeVar("T")


@dataclass(frozen=True)
class WriteOptions:
    """How results are written; see `Photo.save`, and `EncodingOptions` for films."""

    overwrite: bool = False
    quality: int | None = None
    depth: int | None = None
    encoding_options: EncodingOptions = SAME_AS_SOURCE

    @classmethod
    def from_output_options(cls, options: OutputOptions) -> "WriteOptions":
        """Take what a wish says of it."""
        return cls(options.overwrite, options.quality, options.depth, options.encoding_options)

    @property
    def save_options(self) -> dict[str, Any]:
        """What `Photo.save` is told."""
        return {"overwrite": self.overwrite, "quality": self.quality, "depth": self.depth}


class ProgressListener:
    """What a batch tells while it runs, and whom it asks whether to go on."""

    def on_file(self, file: PlannedFile) -> None:
        """Say that a photo's or film's turn has come."""

    def on_progress(self, fraction: float) -> None:
        """Say how much of the photo in hand is edited, from 0 to 1."""

    def on_frame(self, done: int, total: int) -> None:
        """Say how many frames of the film in hand are done, of how many, about; 0 is not known."""

    def should_stop(self) -> bool:
        """Tell whether to end after the photo, or the frame of a film, in hand."""
        return False


def run_batch(
    edit: Edit,
    files: Sequence[PlannedFile],
    options: WriteOptions = WriteOptions(),
    listener: ProgressListener | None = None,
) -> Iterator[Outcome]:
    """Do every step, and give its outcome as soon as it is known, in order.

    At most three photos are in memory: one each being read, edited and written; of a film, a few
    frames. A huge photo is in none, see `editing.streamed`; it is read, edited and written when
    its turn has come. What is wrong with a photo is its own, and the rest goes on. Where the
    watcher has it stopped, the photo in hand is finished and no other begun, and a film is left to
    be taken up; KeyboardInterrupt ends it within the photo in hand, which is then not written.

    Raises
    ------
    OutputError : a folder for results cannot be made
    """
    listener = listener or ProgressListener()
    batch = _Batch(edit, options, listener)
    for folder in dict.fromkeys(step.target.parent for step in files):
        remove_stale_partials(folder)
    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "write") as writer:
        reading = [reader.submit(batch.read, step) for step in files[:1]]
        writing: list[Future[Outcome]] = []
        try:
            for step, following in zip(files, [*files[1:], None], strict=True):
                photo = reading.pop()
                if listener.should_stop():
                    break
                if following is not None:
                    reading.append(reader.submit(batch.read, following))
                listener.on_file(step)
                if step.is_video:
                    yield from (future.result() for future in _collect_done(writing))
                    yield batch.edit_video(step)
                    continue
                work = batch.edit(step, photo)
                if writing:
                    yield writing.pop().result()
                writing.append(writer.submit(batch.write, step, work))
        except KeyboardInterrupt:
            yield from (future.result() for future in _collect_done(writing))
            yield batch.outcome(step, "interrupted")
        else:
            yield from (future.result() for future in _collect_done(writing))


def _collect_done(writing: list[Future[Outcome]]) -> list[Future[Outcome]]:
    """Take all out of a list."""
    finished = writing[:]
    writing.clear()
    return finished


@dataclass(frozen=True)
class _PhotoWork:
    """A photo on its way, or why it has none; and the seconds that it has taken so far.

    `size` is the photo's where it is read; `photo` is None where it is streamed.
    """

    photo: Photo | None = None
    size: tuple[int, int] | None = None
    reason: str | None = None
    skipped: bool = False
    changed: bool | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class _Batch:
    """The three stages; none of them raises what is a photo's own fault."""

    edit_: Edit
    options: WriteOptions
    listener: ProgressListener

    def read(self, step: PlannedFile) -> _PhotoWork:
        if step.skip:
            return _PhotoWork(reason="the output exists", skipped=True)
        if step.is_video:
            return _PhotoWork()

        def read() -> _PhotoWork:
            check_absent(step.target, overwrite=self.options.overwrite)
            if needs_out_of_core(self.edit_, step.source):
                return _PhotoWork()
            photo = Photo.open(step.source)
            return _PhotoWork(photo, photo.size)

        return self._timed(step, _PhotoWork(), read)

    def edit(self, step: PlannedFile, reading: Future[_PhotoWork]) -> _PhotoWork:
        work = reading.result()
        photo, share = work.photo, self.listener.on_progress
        if work.reason is not None:
            return work
        if photo is None:
            return self._timed(step, work, lambda: self._edit_out_of_core(step))

        def edit() -> _PhotoWork:
            result = edit_photo(self.edit_, photo, share, step.source)
            return _PhotoWork(result, photo.size, changed=result.pixels is not photo.pixels)

        return self._timed(step, work, edit)

    def write(self, step: PlannedFile, work: _PhotoWork) -> Outcome:
        photo = work.photo
        if work.reason is not None:
            return self.outcome(step, "skipped" if work.skipped else "failed", work)
        if photo is None:
            return self.outcome(step, "done", work)

        def write() -> _PhotoWork:
            make_folder(step.target.parent)
            photo.save(step.target, **self.options.save_options)
            return work

        done = self._timed(step, work, write)
        return self.outcome(step, "failed" if done.reason else "done", done)

    def edit_video(self, step: PlannedFile) -> Outcome:
        """Read, edit and write a film, which has threads of its own for that."""
        if step.skip:
            return self.outcome(step, "skipped", self.read(step))
        start = time.perf_counter()
        try:
            progress = edit_video(
                self.edit_,
                step.source,
                step.target,
                overwrite=self.options.overwrite,
                encoding_options=self.options.encoding_options,
                on_frame=self.listener.on_frame,
                should_stop=self.listener.should_stop,
            )
        except (BurnishError, MemoryError) as error:
            return self.outcome(step, "failed", _PhotoWork(reason=_reason(error, step)))
        status: Status = "done" if progress.finished else "interrupted"
        work = _PhotoWork(reason=None if progress.finished else _resume_hint(progress))
        return self.outcome(step, status, work).model_copy(
            update={
                "seconds": round(time.perf_counter() - start, 3),
                "megapixels": round(progress.megapixels, 6),
                "frames": progress.frames,
                "length": round(progress.seconds, 6),
            }
        )

    def outcome(
        self, step: PlannedFile, status: Status, work: _PhotoWork = _PhotoWork()
    ) -> Outcome:
        return Outcome(
            input=str(step.source),
            output=str(step.target) if status in ("done", "skipped", "planned") else None,
            status=status,
            reason=work.reason,
            changed=work.changed if status == "done" else None,
            seconds=round(work.seconds, 3) if work.size else None,
            megapixels=work.size[0] * work.size[1] / 1e6 if work.size else None,
            device=self.edit_.device,
            history=self.edit_.history,
        )

    def _edit_out_of_core(self, step: PlannedFile) -> _PhotoWork:
        how = self.options.save_options
        size = edit_out_of_core(
            self.edit_, step.source, step.target, progress=self.listener.on_progress, **how
        )
        return _PhotoWork(size=size)

    def _timed(
        self, step: PlannedFile, work: _PhotoWork, stage: Callable[[], _PhotoWork]
    ) -> _PhotoWork:
        start = time.perf_counter()
        try:
            done = stage()
        except (BurnishError, MemoryError) as error:
            return _PhotoWork(reason=_reason(error, step))
        return replace(done, seconds=work.seconds + time.perf_counter() - start)


def _reason(error: Exception, step: PlannedFile) -> str:
    # A photo that is too large says so without words.
    return str(error) or f"{step.source}: too large for the memory of this machine"


def _resume_hint(progress: VideoProgress) -> str:
    return f"{progress.frames} frames ({progress.seconds:.1f} s) are kept; the same command goes on there"


def dry_run(edit: Edit, files: Sequence[PlannedFile]) -> Iterator[Outcome]:
    """Give the outcomes of a dry run."""
    batch = _Batch(edit, WriteOptions(), ProgressListener())
    for step in files:
        work = batch.read(step) if step.skip else _PhotoWork()
        yield batch.outcome(step, "skipped" if step.skip else "planned", work)
