"""Stretches: the encoder's side of the pipe, which cuts a film into pieces that stand alone."""

from typing import TYPE_CHECKING

from burnish.errors import FilmError
from burnish.types import Pixels
from burnish.video.decode import Taken, put
from burnish.video.encode import Encoder, Encoding
from burnish.video.probe import Film
from burnish.video.segment_store import Scratch, Writer, cannot_keep

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

# What a kill costs at most, in seconds of film.
STRETCH = 5.0


class Stretches:
    """Frames in, finished stretches out; where one ends follows from time stamps alone."""

    def __init__(self, film: Film, encoding: Encoding, scratch: Scratch) -> None:
        self._film = film
        self._encoding = encoding
        self._scratch = scratch
        self._open: _Open | None = None

    def add(self, frame: Taken, pixels: Pixels) -> None:
        """Encode a frame with other pixels.

        Raises
        ------
        FilmError : the encoder fails
        OutputError : the disk does not take it
        """
        now = self._open
        if now and (frame.stamp - now.first) * self._film.time_base >= STRETCH:
            self.finish()
        try:
            if self._open is None:
                encoder = Encoder(self._film, self._encoding)
                self._open = _Open(frame.stamp, encoder, self._scratch.writer())
            self._open.add(frame, put(self._film, frame, pixels))
        except OSError as error:
            raise cannot_keep(self._scratch.folder, error) from error

    def finish(self) -> None:
        """Finish the stretch in hand, if there is one; the errors are those of `add`."""
        if self._open is None:
            return
        try:
            self._open.finish(self._film)
        except OSError as error:
            raise cannot_keep(self._scratch.folder, error) from error
        self._open = None

    def abandon(self) -> None:
        """Leave the stretch in hand: it is begun anew another time."""
        if self._open is not None:
            self._open.writer.abandon()


class _Open:
    """A stretch in hand."""

    def __init__(self, first: int, encoder: Encoder, writer: Writer) -> None:
        self.first = first
        self.writer = writer
        self._encoder = encoder
        self._frames = 0
        self._last: Taken | None = None

    def add(self, frame: Taken, new: "VideoFrame") -> None:
        for packet in self._encoder.encode(new):
            self.writer.add(packet)
        self._last = frame
        self._frames += 1

    def finish(self, film: Film) -> None:
        for packet in self._encoder.encode(None):
            self.writer.add(packet)
        last = self._last
        assert last is not None
        if self.writer.count != self._frames:
            raise FilmError(
                str(film.path),
                expected=f"a packet for each of {self._frames} frames",
                got=f"{self.writer.count}",
                remedy="choose another --codec, and report this",
            )
        self.writer.finish(
            first=self.first,
            last=last.stamp,
            length=last.length,
            header=self._encoder.header,
        )
