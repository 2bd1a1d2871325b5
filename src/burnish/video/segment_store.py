"""Finished segments of a video, kept in a folder next to the output until the video is complete.

A segment consists of two files: its packets, and an index, which is written last and atomically. A
run that is killed therefore leaves no incomplete segment with an index.
"""

import base64
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from burnish.errors import OutputError, reason
from burnish.files import atomic_write, make_folder

if TYPE_CHECKING:
    from av.packet import Packet

_INFO_NAME = "video.json"


@dataclass(frozen=True)
class StoredPacket:
    """The properties of an encoded packet; `pts` is in the video's time base, `size` in bytes."""

    pts: int
    is_keyframe: bool
    size: int


@dataclass(frozen=True)
class Segment:
    """A finished segment of a video.

    Parameters
    ----------
    last_duration : duration of the last frame, in the video's time base
    extradata : the encoder's data for the file header
    packets : one per frame, in decoding order
    """

    last_duration: int
    extradata: bytes
    packets: tuple[StoredPacket, ...]


class SegmentStore:
    """The folder of a video's finished segments, next to the output file.

    While the context is open, no other run can use the folder. If it ends without a finished
    segment, the folder is removed.

    Parameters
    ----------
    fingerprint : a text that changes whenever the output might. Segments with another fingerprint
        are removed

    Raises
    ------
    OutputError : the folder cannot be used, or another run uses it
    """

    def __init__(self, target: Path, fingerprint: str) -> None:
        self.folder = store_folder(target)
        self._fingerprint = fingerprint
        self.segments: list[Segment] = []

    def __enter__(self) -> Self:
        make_folder(self.folder)
        try:
            self._info_file = (self.folder / _INFO_NAME).open("a+b")
            try:
                _lock(self._info_file, self.folder)
                self._info_file.seek(0)
                if self._info_file.read() != self._fingerprint.encode():
                    self._reset()
                self.segments = self._load_segments()
            except BaseException:
                self._info_file.close()
                raise
        except OSError as error:
            raise store_error(self.folder, error) from error
        return self

    def __exit__(self, *error: object) -> None:
        self._info_file.close()
        if not self.segments:
            self.remove()

    @property
    def frame_count(self) -> int:
        """The number of finished frames."""
        return sum(len(segment.packets) for segment in self.segments)

    @property
    def duration_ticks(self) -> int:
        """The duration of the finished segments, in the video's time base."""
        if not self.segments:
            return 0
        first, last = self.segments[0], self.segments[-1]
        end = max(packet.pts for packet in last.packets) + last.last_duration
        return end - min(packet.pts for packet in first.packets)

    def new_segment(self) -> "SegmentWriter":
        """Return a writer for the next segment, which counts once it is finished."""
        return SegmentWriter(self, self._packet_path(len(self.segments)))

    def read_packets(self) -> Iterator[tuple[StoredPacket, bytes]]:
        """Yield all packets and their data, in decoding order."""
        for index, segment in enumerate(self.segments):
            with self._packet_path(index).open("rb") as file:
                for packet in segment.packets:
                    yield packet, file.read(packet.size)

    def remove(self) -> None:
        """Remove the folder, apart from files in it that are not burnish's."""
        self._info_file.close()
        for file in self._files():
            with suppress(OSError):
                file.unlink()
        with suppress(OSError):
            self.folder.rmdir()

    def _reset(self) -> None:
        for file in self._files():
            if file.name != _INFO_NAME:
                file.unlink()
        self._info_file.truncate(0)
        self._info_file.write(self._fingerprint.encode())
        self._info_file.flush()
        os.fsync(self._info_file.fileno())

    def _load_segments(self) -> list[Segment]:
        segments: list[Segment] = []
        while (index := self._packet_path(len(segments)).with_suffix(".json")).exists():
            fields = json.loads(index.read_text(encoding="ascii"))
            packets = tuple(StoredPacket(*packet) for packet in fields["packets"])
            extradata = base64.b64decode(fields["extradata"])
            segments.append(Segment(fields["last_duration"], extradata, packets))
        return segments

    def _packet_path(self, index: int) -> Path:
        return self.folder / f"{index:06}.packets"

    def _files(self) -> list[Path]:
        suffixes = ("packets", "json", "part")
        return sorted(file for suffix in suffixes for file in self.folder.glob(f"*.{suffix}"))


class SegmentWriter:
    """Writes one segment."""

    def __init__(self, store: SegmentStore, path: Path) -> None:
        self._store = store
        self._path = path
        self._file = path.open("wb")
        self._packets: list[StoredPacket] = []

    def add(self, packet: "Packet[Any]") -> None:
        """Append a packet."""
        assert packet.pts is not None
        self._file.write(bytes(packet))
        self._packets.append(StoredPacket(packet.pts, packet.is_keyframe, packet.size))

    def discard(self) -> None:
        """Remove the unfinished segment."""
        self._file.close()
        with suppress(OSError):
            self._path.unlink()

    @property
    def count(self) -> int:
        """The number of packets so far."""
        return len(self._packets)

    def finish(self, last_duration: int, extradata: bytes) -> None:
        """Write the index, and add the segment to the store; see `Segment` for the parameters."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        packets = tuple(self._packets)
        fields = {
            "last_duration": last_duration,
            "extradata": base64.b64encode(extradata).decode(),
            "packets": [[packet.pts, packet.is_keyframe, packet.size] for packet in packets],
        }
        with atomic_write(self._path.with_suffix(".json"), overwrite=True) as file:
            file.write(json.dumps(fields).encode())
        self._store.segments.append(Segment(last_duration, extradata, packets))


def store_folder(target: Path) -> Path:
    """Return the folder for the finished segments of an output file."""
    # A hash has a fixed length. A name that contains the target's name could be too long.
    name = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
    return target.parent / f".burnish-{name}.video"


def store_error(folder: Path, error: OSError) -> OutputError:
    """Return the error to raise if the disk does not accept a segment."""
    return OutputError(
        str(folder),
        f"finished segments of the video cannot be kept: {reason(error)}",
        "check its permissions and the free disk space, and run the same command again",
    )


def _lock(file: BinaryIO, folder: Path) -> None:
    """Lock the folder for this process. The operating system unlocks it when the process ends."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        problem = "another run is working on this video"
        raise OutputError(str(folder), problem, "wait for it, or choose another -o") from error
