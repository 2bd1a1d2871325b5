"""Edits of a video file: it is decoded, edited and encoded concurrently, and can be resumed."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import burnish
from burnish.editing.edit import Edit
from burnish.editing.history import tags_with_history
from burnish.editing.options import DEFAULT_OPTIONS, WriteOptions
from burnish.errors import BurnishError, VideoError, warn
from burnish.files import atomic_path, check_absent, make_folder
from burnish.prefetch import BackgroundWorker, parallel_map, prefetch
from burnish.progress import SILENT, Progress
from burnish.types import Pixels
from burnish.video import encode
from burnish.video.cut_off import is_cut_off
from burnish.video.decode import DecodedFrame, decode_frames, sample_frames
from burnish.video.encode import Encoding, SegmentEncoder, choose_encoding
from burnish.video.formats import writable_container
from burnish.video.mux import check_passthrough, mux
from burnish.video.probe import Video, probe
from burnish.video.segment_store import SegmentStore

# Bytes at the start and at the end of a video that are part of its fingerprint.
_FINGERPRINT_BYTES = 2**20
# Seconds by which a video may be shorter than declared. Writers count the last frame differently.
_DURATION_TOLERANCE = 1.0
# Frames that wait between decoding and editing, and between editing and encoding.
_QUEUE_SIZE = 2
# Number of a frame, the frame as it was decoded, and its edited pixels.
_EditedFrame = tuple[int, DecodedFrame, Pixels]


@dataclass(frozen=True)
class VideoProgress:
    """The number, duration and size of the finished frames of a video, and its edit.

    If `finished` is False, the output is not written, and the same command resumes the run.
    """

    finished: bool
    frames: int
    seconds: float
    megapixels: float
    edit: Edit


def edit_video(
    edit: Edit,
    source: Path,
    target: Path,
    write: WriteOptions = DEFAULT_OPTIONS,
    *,
    progress: Progress = SILENT,
    should_stop: Callable[[], bool] = lambda: False,
) -> VideoProgress:
    """Edit the frames of a video, and write them with all its other streams.

    Finished segments are kept in a hidden folder next to the target until the video is complete.

    Parameters
    ----------
    progress : receives a task whose amount of work is the number of frames
    should_stop : called before each frame. When it returns True, finished segments are kept, and
        the same command resumes

    Raises
    ------
    VideoError : the video cannot be read, part of it would be lost, the encoder fails, or an edit
        outside of a region found none
    OutputError : the target exists, its folder cannot be created, or an output is all black
    UsageError : a codec or quality number that is not possible
    MissingLibraryError : PyAV is not installed

    Warns
    -----
    UserWarning : a stream is dropped, the video ends early, or a region is empty in all frames
    """
    check_absent(target, overwrite=write.overwrite)
    container = writable_container(target.suffix, str(target))
    video = probe(source)
    encoding = choose_encoding(video, write.encoding, container, str(target))
    edit = edit.for_output(encoding.bits, video=True)
    check_passthrough(video, container, str(target))
    make_folder(target.parent)
    with (
        SegmentStore(target, _fingerprint(edit, video, encoding)) as store,
        _naming_folder(store),
    ):
        cut: list[bool] = []
        finished = _encode_segments(
            edit, video, encoding, store, progress, should_stop, lambda: cut.append(True)
        )
        if finished:
            try:
                edit.end_video(source)
            except VideoError:  # further runs would fail in the same way
                store.remove()
                raise
            _check_duration(video, store, is_cut=bool(cut) or is_cut_off(source))
            with_history = partial(tags_with_history, records=edit.history)
            with atomic_path(target, overwrite=write.overwrite) as path:
                mux(video, encoding, store, path, container, with_history)
            store.remove()
    return VideoProgress(
        finished,
        store.frame_count,
        float(store.duration_ticks * video.time_base),
        store.frame_count * video.width * video.height / 1e6,
        edit,
    )


@contextmanager
def _naming_folder(store: SegmentStore) -> Iterator[None]:
    """Add to an error where the finished segments are kept."""
    try:
        yield
    except BurnishError as error:
        if not store.segments or not store.folder.exists():
            raise
        kept = f"{store.frame_count} finished frames are kept in {store.folder}"
        raise type(error)(error.where, error.problem, f"{error.remedy}; {kept}") from error


def _encode_segments(
    edit: Edit,
    video: Video,
    encoding: Encoding,
    store: SegmentStore,
    progress: Progress,
    should_stop: Callable[[], bool],
    on_cut: Callable[[], None],
) -> bool:
    """Encode the segments that are not finished; return whether all are finished then."""
    progress.start(video.path.name, video.frame_count or None)
    finished_frames = store.frame_count
    progress.advance(finished_frames)
    # A stateful edit must see the finished frames again.
    first_frame = 0 if edit.stateful else finished_frames
    edit, workers = (edit, 1) if edit.stateful else edit.for_frames()
    edit_frame = edit.frame_edit(lambda: sample_frames(video))

    def edit_numbered(numbered: tuple[int, tuple[DecodedFrame, Pixels]]) -> _EditedFrame:
        index, (frame, pixels) = numbered
        return index, frame, edit_frame(pixels, index, float(frame.pts * video.time_base))

    segments = SegmentEncoder(video, encoding, store)
    start = time.perf_counter()
    try:
        with (
            closing(prefetch(decode_frames(video, first_frame, on_cut), _QUEUE_SIZE)) as frames,
            closing(
                parallel_map(edit_numbered, enumerate(frames, first_frame), workers)
            ) as edited_frames,
            BackgroundWorker[None](_QUEUE_SIZE) as encoder,
        ):
            for index, frame, edited in edited_frames:
                if should_stop():
                    encoder.drain()
                    return False
                if index < finished_frames:
                    continue
                encoder.submit(partial(segments.add, frame, edited))
                progress.advance()
                speed = (index + 1 - finished_frames) / (time.perf_counter() - start)
                progress.note(f"{speed:.1f} frames/s")
            encoder.submit(segments.finish)
            encoder.drain()
    finally:
        segments.discard()
    return True


def _check_duration(video: Video, store: SegmentStore, *, is_cut: bool) -> None:
    """Check that the video has frames, and warn if it ends early."""
    if not store.segments:
        raise VideoError(str(video.path), "the video has no frames", "check that it plays")
    seconds = float(store.duration_ticks * video.time_base)
    declared = video.declared_duration
    problem = f"its frames end after {seconds:.1f} s"
    if declared is not None:
        problem += f" of the declared {declared:.1f} s"
    if is_cut or (declared is not None and seconds < declared - _DURATION_TOLERANCE):
        warn(f"{video.path}: {problem}; the file may be cut off")


def _fingerprint(edit: Edit, video: Video, encoding: Encoding) -> str:
    """Return a text that changes whenever the output might."""
    import av

    state = video.path.stat()
    with video.path.open("rb") as file:
        content_digest = hashlib.sha256(file.read(_FINGERPRINT_BYTES))
        file.seek(-min(state.st_size, _FINGERPRINT_BYTES), os.SEEK_END)
        content_digest.update(file.read(_FINGERPRINT_BYTES))
    fields = {
        "video": [state.st_size, state.st_mtime_ns, content_digest.hexdigest()],
        "history": [record.model_dump(mode="json") for record in edit.history],
        "edit": edit.fingerprint(),
        "device": edit.device,
        "encoding": [encoding.codec.encoder, encoding.options, encoding.format],
        "segment_seconds": encode.SEGMENT_SECONDS,
        "versions": [burnish.__version__, av.__version__, av.ffmpeg_version_info],
    }
    return json.dumps(fields, sort_keys=True)
