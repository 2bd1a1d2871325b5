"""Run: one film, decoded, edited and encoded at the same time, and taken up where it stopped."""

import hashlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

import burnish
from burnish.editing.edit import Edit
from burnish.editing.history import noted
from burnish.errors import FilmError, warn
from burnish.files import check_free, make_folder, placing
from burnish.video.decode import samples, taken
from burnish.video.encode import Encoding, settle
from burnish.video.formats import AS_IT_WAS, Coding, Container, writable
from burnish.video.mux import join
from burnish.video.passthrough import check_beside
from burnish.video.prefetch import Behind, ahead
from burnish.video.probe import Film, look
from burnish.video.segment_store import Scratch
from burnish.video.segments import STRETCH, Stretches

# How much of a film's beginning and end tells it from others of its size and time.
_PEEK = 2**20

# By how much a film may be shorter than it says, s: some count the last frame otherwise.
_SHORT = 1.0

# How many frames are done, and about how many there are; 0 where that is not known.
Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class Done:
    """How far a film came.

    Parameters
    ----------
    finished : whether it is written; otherwise the same run goes on from where it stopped
    frames : how many are done
    seconds : of film that are done
    megapixels : of all its frames that are done
    """

    finished: bool
    frames: int
    seconds: float
    megapixels: float


def edit_film(
    edit: Edit,
    source: Path,
    target: Path,
    *,
    overwrite: bool = False,
    coding: Coding = AS_IT_WAS,
    tell: Tell | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Done:
    """Edit a film's pictures and write it with all else that is in it.

    Finished stretches lie in a hidden folder beside the target until the whole film is written.

    Parameters
    ----------
    tell : told after each frame
    stopped : asked before each frame whether to end; what is finished by then is kept

    Raises
    ------
    FilmError : the film cannot be read, something in it would be lost, or the encoder fails
    OutputError : the target exists or its folder cannot be had, or a result is not sane
    UsageError : a codec or quality number that cannot be
    MissingLibraryError : PyAV is not installed

    Warns
    -----
    UserWarning : something that cannot be kept, a film that ends before it says, or a region that
        is found in no frame
    """
    check_free(target, overwrite=overwrite)
    container = writable(target.suffix, str(target))
    film = look(source)
    encoding = settle(film, coding, container, str(target))
    check_beside(film, container, str(target))
    make_folder(target.parent)
    with Scratch(target, _fingerprint(edit, film, encoding)) as scratch:
        finished = _stretches(edit, film, encoding, scratch, tell, stopped)
        if finished:
            _write(edit, film, encoding, scratch, target, container, overwrite=overwrite)
            scratch.remove()
    return Done(
        finished,
        scratch.frames,
        float(scratch.ticks * film.time_base),
        scratch.frames * film.width * film.height / 1e6,
    )


def _stretches(
    edit: Edit,
    film: Film,
    encoding: Encoding,
    scratch: Scratch,
    tell: Tell | None,
    stopped: Callable[[], bool],
) -> bool:
    """Do the stretches that are not finished; tell whether all are by then."""
    start = scratch.frames
    # What is finished is gone through again where the rest depends on it.
    first = 0 if edit.remembers else start
    run = edit.on_film(lambda: samples(film))
    # In what was edited earlier, and is not looked at again, a region may have been found.
    shown = first > 0 or all(step.where is None for step in edit.made)
    stretches = Stretches(film, encoding, scratch)
    with ThreadPoolExecutor(1, "decode") as decoder, ThreadPoolExecutor(1, "encode") as encoder:
        behind = Behind(encoder)
        try:
            for number, (frame, pixels) in enumerate(ahead(taken(film, first), decoder), first):
                if stopped():
                    break
                edited = run(pixels, number, float(frame.stamp * film.time_base))
                shown = shown or not np.array_equal(edited, pixels)
                if number < start:
                    continue
                behind.hand(partial(stretches.add, frame, edited))
                if tell is not None:
                    tell(number + 1, max(film.frames, number + 1) if film.frames else 0)
            else:
                behind.hand(stretches.finish)
                behind.wait()
                if not shown:
                    said = "the region is found in none of its frames, which stay as they are"
                    warn(f"{film.path}: {said}")
                return True
            behind.wait()
        finally:
            decoder.shutdown(cancel_futures=True)
            encoder.shutdown(cancel_futures=True)
            stretches.abandon()
    return False


def _write(
    edit: Edit,
    film: Film,
    encoding: Encoding,
    scratch: Scratch,
    target: Path,
    container: Container,
    *,
    overwrite: bool,
) -> None:
    if not scratch.stretches:
        raise FilmError(
            str(film.path), expected="frames", got="none", remedy="check that the film plays"
        )
    seconds = float(scratch.ticks * film.time_base)
    if film.promised is not None and seconds < film.promised - _SHORT:
        warn(
            f"{film.path}: its pictures end after {seconds:.1f} s, of the {film.promised:.1f} s "
            "that it says it has; it may be cut off"
        )
    with placing(target, overwrite=overwrite) as part:
        join(film, encoding, scratch, part, container, partial(noted, done=edit.made))


def _fingerprint(edit: Edit, film: Film, encoding: Encoding) -> str:
    """Return a text that changes where the result could: film, edit, encoding and programs."""
    import av

    state = film.path.stat()
    with film.path.open("rb") as file:
        head = hashlib.sha256(file.read(_PEEK))
        file.seek(-min(state.st_size, _PEEK), os.SEEK_END)
        head.update(file.read(_PEEK))
    told = {
        "film": [state.st_size, state.st_mtime_ns, head.hexdigest()],
        "edit": [step.model_dump(mode="json") for step in edit.made],
        "identity": edit.identity(),
        "device": edit.device,
        "encoding": [encoding.codec.encoder, encoding.options, encoding.format],
        "stretch": STRETCH,
        "programs": [burnish.__version__, av.__version__, av.ffmpeg_version_info],
    }
    return json.dumps(told, sort_keys=True)
