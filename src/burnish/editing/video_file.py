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
from burnish.editing.history import tags_with_history
from burnish.errors import VideoError, warn
from burnish.files import atomic_path, check_absent, make_folder
from burnish.video.decode import decode_frames, sample_frames
from burnish.video.encode import Encoding, choose_encoding
from burnish.video.formats import SAME_AS_SOURCE, Container, EncodingOptions, writable_container
from burnish.video.mux import mux
from burnish.video.passthrough import check_passthrough
from burnish.video.prefetch import BackgroundWriter, prefetch
from burnish.video.probe import Video, probe
from burnish.video.segment_store import SegmentStore
from burnish.video.segments import SEGMENT_SECONDS, SegmentEncoder

# How much of a film's beginning and end tells it from others of its size and time.
_FINGERPRINT_BYTES = 2**20

# By how much a film may be shorter than it says, s: some count the last frame otherwise.
_DURATION_TOLERANCE = 1.0

# How many frames are done, and about how many there are; 0 where that is not known.
FrameProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class VideoProgress:
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


def edit_video(
    edit: Edit,
    source: Path,
    target: Path,
    *,
    overwrite: bool = False,
    encoding_options: EncodingOptions = SAME_AS_SOURCE,
    on_frame: FrameProgress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> VideoProgress:
    """Edit a film's pictures and write it with all else that is in it.

    Finished stretches lie in a hidden folder beside the target until the whole film is written.

    Parameters
    ----------
    on_frame : told after each frame
    should_stop : asked before each frame whether to end; what is finished by then is kept

    Raises
    ------
    VideoError : the film cannot be read, something in it would be lost, or the encoder fails
    OutputError : the target exists or its folder cannot be had, or a result is not sane
    UsageError : a codec or quality number that cannot be
    MissingLibraryError : PyAV is not installed

    Warns
    -----
    UserWarning : something that cannot be kept, a film that ends before it says, or a region that
        is found in no frame
    """
    check_absent(target, overwrite=overwrite)
    container = writable_container(target.suffix, str(target))
    video = probe(source)
    encoding = choose_encoding(video, encoding_options, container, str(target))
    check_passthrough(video, container, str(target))
    make_folder(target.parent)
    with SegmentStore(target, _fingerprint(edit, video, encoding)) as store:
        finished = _encode_segments(edit, video, encoding, store, on_frame, should_stop)
        if finished:
            _write(edit, video, encoding, store, target, container, overwrite=overwrite)
            store.remove()
    return VideoProgress(
        finished,
        store.frame_count,
        float(store.duration_ticks * video.time_base),
        store.frame_count * video.width * video.height / 1e6,
    )


def _encode_segments(
    edit: Edit,
    video: Video,
    encoding: Encoding,
    store: SegmentStore,
    on_frame: FrameProgress | None,
    should_stop: Callable[[], bool],
) -> bool:
    """Do the stretches that are not finished; tell whether all are by then."""
    finished_frames = store.frame_count
    # What is finished is gone through again where the rest depends on it.
    first_frame = 0 if edit.stateful else finished_frames
    run = edit.frame_edit(lambda: sample_frames(video))
    # In what was edited earlier, and is not looked at again, a region may have been found.
    region_found = first_frame > 0 or all(step.region is None for step in edit.history)
    segment_encoder = SegmentEncoder(video, encoding, store)
    with ThreadPoolExecutor(1, "decode") as decoder, ThreadPoolExecutor(1, "encode") as encoder:
        writer = BackgroundWriter(encoder)
        try:
            for number, (frame, pixels) in enumerate(
                prefetch(decode_frames(video, first_frame), decoder), first_frame
            ):
                if should_stop():
                    break
                edited = run(pixels, number, float(frame.pts * video.time_base))
                region_found = region_found or not np.array_equal(edited, pixels)
                if number < finished_frames:
                    continue
                writer.submit(partial(segment_encoder.add, frame, edited))
                if on_frame is not None:
                    on_frame(
                        number + 1, max(video.frame_count, number + 1) if video.frame_count else 0
                    )
            else:
                writer.submit(segment_encoder.finish)
                writer.wait()
                if not region_found:
                    said = "the region is found in none of its frames, which stay as they are"
                    warn(f"{video.path}: {said}")
                return True
            writer.wait()
        finally:
            decoder.shutdown(cancel_futures=True)
            encoder.shutdown(cancel_futures=True)
            segment_encoder.discard()
    return False


def _write(
    edit: Edit,
    video: Video,
    encoding: Encoding,
    store: SegmentStore,
    target: Path,
    container: Container,
    *,
    overwrite: bool,
) -> None:
    if not store.segments:
        raise VideoError(
            str(video.path), expected="frames", got="none", remedy="check that the film plays"
        )
    seconds = float(store.duration_ticks * video.time_base)
    if (
        video.declared_duration is not None
        and seconds < video.declared_duration - _DURATION_TOLERANCE
    ):
        warn(
            f"{video.path}: its pictures end after {seconds:.1f} s, of the {video.declared_duration:.1f} s "
            "that it says it has; it may be cut off"
        )
    with atomic_path(target, overwrite=overwrite) as temporary_path:
        mux(
            video,
            encoding,
            store,
            temporary_path,
            container,
            partial(tags_with_history, records=edit.history),
        )


def _fingerprint(edit: Edit, video: Video, encoding: Encoding) -> str:
    """Return a text that changes where the result could: film, edit, encoding and programs."""
    import av

    state = video.path.stat()
    with video.path.open("rb") as file:
        content_digest = hashlib.sha256(file.read(_FINGERPRINT_BYTES))
        file.seek(-min(state.st_size, _FINGERPRINT_BYTES), os.SEEK_END)
        content_digest.update(file.read(_FINGERPRINT_BYTES))
    inputs = {
        "film": [state.st_size, state.st_mtime_ns, content_digest.hexdigest()],
        "edit": [step.model_dump(mode="json") for step in edit.history],
        "identity": edit.fingerprint(),
        "device": edit.device,
        "encoding": [encoding.codec.encoder, encoding.options, encoding.format],
        "stretch": SEGMENT_SECONDS,
        "programs": [burnish.__version__, av.__version__, av.ffmpeg_version_info],
    }
    return json.dumps(inputs, sort_keys=True)
