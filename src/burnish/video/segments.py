"""Stretches: the encoder's side of the pipe, which cuts a film into pieces that stand alone."""

from typing import TYPE_CHECKING

from burnish.errors import VideoError
from burnish.types import Pixels
from burnish.video.decode import DecodedFrame, replace_pixels
from burnish.video.encode import Encoder, Encoding
from burnish.video.probe import Video
from burnish.video.segment_store import SegmentStore, SegmentWriter, store_error

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

# What a kill costs at most, in seconds of film.
SEGMENT_SECONDS = 5.0


class SegmentEncoder:
    """Frames in, finished stretches out; where one ends follows from time stamps alone."""

    def __init__(self, video: Video, encoding: Encoding, store: SegmentStore) -> None:
        self._video = video
        self._encoding = encoding
        self._store = store
        self._segment: _OpenSegment | None = None

    def add(self, frame: DecodedFrame, pixels: Pixels) -> None:
        """Encode a frame with other pixels.

        Raises
        ------
        VideoError : the encoder fails
        OutputError : the disk does not take it
        """
        segment = self._segment
        if segment and (frame.pts - segment.first_pts) * self._video.time_base >= SEGMENT_SECONDS:
            self.finish()
        try:
            if self._segment is None:
                encoder = Encoder(self._video, self._encoding)
                self._segment = _OpenSegment(frame.pts, encoder, self._store.new_segment())
            self._segment.add(frame, replace_pixels(self._video, frame, pixels))
        except OSError as error:
            raise store_error(self._store.folder, error) from error

    def finish(self) -> None:
        """Finish the stretch in hand, if there is one; the errors are those of `add`."""
        if self._segment is None:
            return
        try:
            self._segment.finish(self._video)
        except OSError as error:
            raise store_error(self._store.folder, error) from error
        self._segment = None

    def discard(self) -> None:
        """Leave the stretch in hand: it is begun anew another time."""
        if self._segment is not None:
            self._segment.writer.discard()


class _OpenSegment:
    """A stretch in hand."""

    def __init__(self, first_pts: int, encoder: Encoder, writer: SegmentWriter) -> None:
        self.first_pts = first_pts
        self.writer = writer
        self._encoder = encoder
        self._frames = 0
        self._last: DecodedFrame | None = None

    def add(self, frame: DecodedFrame, edited_frame: "VideoFrame") -> None:
        for packet in self._encoder.encode(edited_frame):
            self.writer.add(packet)
        self._last = frame
        self._frames += 1

    def finish(self, video: Video) -> None:
        for packet in self._encoder.encode(None):
            self.writer.add(packet)
        last = self._last
        assert last is not None
        if self.writer.count != self._frames:
            raise VideoError(
                str(video.path),
                expected=f"a packet for each of {self._frames} frames",
                got=f"{self.writer.count}",
                remedy="choose another --codec, and report this",
            )
        self.writer.finish(
            first_pts=self.first_pts,
            last_pts=last.pts,
            last_duration=last.duration,
            extradata=self._encoder.extradata,
        )
