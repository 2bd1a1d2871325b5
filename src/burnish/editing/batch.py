"""A batch: while one photo is edited, the next is read and the one before is written."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from burnish.editing.edit import Edit
from burnish.editing.out_of_core import is_streamed, stream
from burnish.editing.outcome import Outcome, Status
from burnish.editing.photo import edited
from burnish.editing.plan import Step, Wish
from burnish.editing.video_file import Done, edit_film
from burnish.errors import BurnishError
from burnish.files import check_free, make_folder, sweep
from burnish.photo import Photo
from burnish.video.formats import AS_IT_WAS, Coding

T = TypeVar("T")


@dataclass(frozen=True)
class How:
    """How results are written; see `Photo.save`, and `Coding` for films."""

    overwrite: bool = False
    quality: int | None = None
    depth: int | None = None
    coding: Coding = AS_IT_WAS

    @classmethod
    def of(cls, wish: Wish) -> "How":
        """Take what a wish says of it."""
        return cls(wish.overwrite, wish.quality, wish.depth, wish.coding)

    @property
    def of_photos(self) -> dict[str, Any]:
        """What `Photo.save` is told."""
        return {"overwrite": self.overwrite, "quality": self.quality, "depth": self.depth}


class Watcher:
    """What a batch tells while it runs, and whom it asks whether to go on."""

    def begin(self, step: Step) -> None:
        """Say that a photo's or film's turn has come."""

    def share(self, share: float) -> None:
        """Say how much of the photo in hand is edited, from 0 to 1."""

    def frame(self, done: int, of: int) -> None:
        """Say how many frames of the film in hand are done, of how many, about; 0 is not known."""

    def stopped(self) -> bool:
        """Tell whether to end after the photo, or the frame of a film, in hand."""
        return False


def run(
    edit: Edit, steps: Sequence[Step], how: How = How(), watcher: Watcher | None = None
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
    watcher = watcher or Watcher()
    batch = _Batch(edit, how, watcher)
    for folder in dict.fromkeys(step.target.parent for step in steps):
        sweep(folder)
    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "write") as writer:
        ahead = [reader.submit(batch.read, step) for step in steps[:1]]
        behind: list[Future[Outcome]] = []
        try:
            for step, following in zip(steps, [*steps[1:], None], strict=True):
                photo = ahead.pop()
                if watcher.stopped():
                    break
                if following is not None:
                    ahead.append(reader.submit(batch.read, following))
                watcher.begin(step)
                if step.film:
                    yield from (future.result() for future in _emptied(behind))
                    yield batch.film(step)
                    continue
                work = batch.edit(step, photo)
                if behind:
                    yield behind.pop().result()
                behind.append(writer.submit(batch.write, step, work))
        except KeyboardInterrupt:
            yield from (future.result() for future in _emptied(behind))
            yield batch.outcome(step, "interrupted")
        else:
            yield from (future.result() for future in _emptied(behind))


def _emptied(behind: list[Future[Outcome]]) -> list[Future[Outcome]]:
    """Take all out of a list."""
    taken = behind[:]
    behind.clear()
    return taken


@dataclass(frozen=True)
class _Work:
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
    how: How
    watcher: Watcher

    def read(self, step: Step) -> _Work:
        if step.skip:
            return _Work(reason="the output exists", skipped=True)
        if step.film:
            return _Work()

        def read() -> _Work:
            check_free(step.target, overwrite=self.how.overwrite)
            if is_streamed(self.edit_, step.source):
                return _Work()
            photo = Photo.open(step.source)
            return _Work(photo, photo.size)

        return self._timed(step, _Work(), read)

    def edit(self, step: Step, reading: Future[_Work]) -> _Work:
        work = reading.result()
        photo, share = work.photo, self.watcher.share
        if work.reason is not None:
            return work
        if photo is None:
            return self._timed(step, work, lambda: self._stream(step))

        def edit() -> _Work:
            result = edited(self.edit_, photo, share, step.source)
            return _Work(result, photo.size, changed=result.pixels is not photo.pixels)

        return self._timed(step, work, edit)

    def write(self, step: Step, work: _Work) -> Outcome:
        photo = work.photo
        if work.reason is not None:
            return self.outcome(step, "skipped" if work.skipped else "failed", work)
        if photo is None:
            return self.outcome(step, "done", work)

        def write() -> _Work:
            make_folder(step.target.parent)
            photo.save(step.target, **self.how.of_photos)
            return work

        done = self._timed(step, work, write)
        return self.outcome(step, "failed" if done.reason else "done", done)

    def film(self, step: Step) -> Outcome:
        """Read, edit and write a film, which has threads of its own for that."""
        if step.skip:
            return self.outcome(step, "skipped", self.read(step))
        start = time.perf_counter()
        try:
            done = edit_film(
                self.edit_,
                step.source,
                step.target,
                overwrite=self.how.overwrite,
                coding=self.how.coding,
                tell=self.watcher.frame,
                stopped=self.watcher.stopped,
            )
        except (BurnishError, MemoryError) as error:
            return self.outcome(step, "failed", _Work(reason=_reason(error, step)))
        status: Status = "done" if done.finished else "interrupted"
        work = _Work(reason=None if done.finished else _where_it_goes_on(done))
        return self.outcome(step, status, work).model_copy(
            update={
                "seconds": round(time.perf_counter() - start, 3),
                "megapixels": round(done.megapixels, 6),
                "frames": done.frames,
                "length": round(done.seconds, 6),
            }
        )

    def outcome(self, step: Step, status: Status, work: _Work = _Work()) -> Outcome:
        return Outcome(
            input=str(step.source),
            output=str(step.target) if status in ("done", "skipped", "planned") else None,
            status=status,
            reason=work.reason,
            changed=work.changed if status == "done" else None,
            seconds=round(work.seconds, 3) if work.size else None,
            megapixels=work.size[0] * work.size[1] / 1e6 if work.size else None,
            device=self.edit_.device,
            steps=self.edit_.made,
        )

    def _stream(self, step: Step) -> _Work:
        how = self.how.of_photos
        size = stream(self.edit_, step.source, step.target, progress=self.watcher.share, **how)
        return _Work(size=size)

    def _timed(self, step: Step, work: _Work, stage: Callable[[], _Work]) -> _Work:
        start = time.perf_counter()
        try:
            done = stage()
        except (BurnishError, MemoryError) as error:
            return _Work(reason=_reason(error, step))
        return replace(done, seconds=work.seconds + time.perf_counter() - start)


def _reason(error: Exception, step: Step) -> str:
    # A photo that is too large says so without words.
    return str(error) or f"{step.source}: too large for the memory of this machine"


def _where_it_goes_on(done: Done) -> str:
    return f"{done.frames} frames ({done.seconds:.1f} s) are kept; the same command goes on there"


def planned(edit: Edit, steps: Sequence[Step]) -> Iterator[Outcome]:
    """Give the outcomes of a dry run."""
    batch = _Batch(edit, How(), Watcher())
    for step in steps:
        work = batch.read(step) if step.skip else _Work()
        yield batch.outcome(step, "skipped" if step.skip else "planned", work)
