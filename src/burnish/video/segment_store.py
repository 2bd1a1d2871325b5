"""Scratch: stretches of a film that are finished, kept beside the output until all of them are.

A stretch is two files: its packets, one after another, and an index, which is written last and at
one stroke. So a run that is killed leaves nothing that looks finished and is not.
"""

import base64
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from burnish.errors import OutputError
from burnish.files import make_folder

if TYPE_CHECKING:
    from av.packet import Packet

_INFO_NAME = "film.json"


@dataclass(frozen=True)
class StoredPacket:
    """A packet: its time stamp, in the film's time base; whether it stands by itself; its bytes."""

    pts: int
    is_keyframe: bool
    size: int


@dataclass(frozen=True)
class Segment:
    """A finished stretch of a film.

    Parameters
    ----------
    frame_count : how many, a packet each
    first_pts, last_pts : time stamps, in the film's time base
    last_duration : how long the last frame shows
    extradata : what the encoder wants at the head of the file
    packets : in the order they are decoded
    """

    frame_count: int
    first_pts: int
    last_pts: int
    last_duration: int
    extradata: bytes
    packets: tuple[StoredPacket, ...]


class SegmentStore:
    """The folder with a film's finished stretches; entered, it is this run's alone.

    Parameters
    ----------
    target : the output that it lies beside
    fingerprint : of all that the result depends on; what was made from anything else is removed

    Raises
    ------
    OutputError : the folder cannot be had, or another run works in it
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._info_file.close()

    @property
    def frame_count(self) -> int:
        """How many frames are finished."""
        return sum(stretch.frame_count for stretch in self.segments)

    @property
    def duration_ticks(self) -> int:
        """How long what is finished shows, in the film's time base."""
        if not self.segments:
            return 0
        last_segment = self.segments[-1]
        return last_segment.last_pts + last_segment.last_duration - self.segments[0].first_pts

    def new_segment(self) -> "SegmentWriter":
        """Begin the next stretch; it counts once it is finished."""
        return SegmentWriter(self, self._packet_path(len(self.segments)))

    def read_packets(self) -> Iterator[tuple[StoredPacket, bytes]]:
        """Give all packets, in the order they are decoded."""
        for number, segment in enumerate(self.segments):
            with self._packet_path(number).open("rb") as file:
                for packet in segment.packets:
                    yield packet, file.read(packet.size)

    def remove(self) -> None:
        """Remove the folder with all that is ours in it."""
        self._info_file.close()
        remove_store(self.folder)

    def _reset(self) -> None:
        for file in _store_files(self.folder):
            if file.name != _INFO_NAME:
                file.unlink()
        self._info_file.truncate(0)
        self._info_file.write(self._fingerprint.encode())
        self._info_file.flush()
        os.fsync(self._info_file.fileno())

    def _load_segments(self) -> list[Segment]:
        segments: list[Segment] = []
        while (index := self._packet_path(len(segments)).with_suffix(".json")).exists():
            segments.append(_read_segment(index))
        return segments

    def _packet_path(self, number: int) -> Path:
        return self.folder / f"{number:06}.packets"


class SegmentWriter:
    """Writes one stretch."""

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
        """Leave the stretch unfinished."""
        self._file.close()
        with suppress(OSError):
            self._path.unlink()

    @property
    def count(self) -> int:
        """How many packets there are by now."""
        return len(self._packets)

    def finish(
        self, *, first_pts: int, last_pts: int, last_duration: int, extradata: bytes
    ) -> None:
        """Make the stretch count; see `Segment`."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        packets = tuple(self._packets)
        segment = Segment(len(packets), first_pts, last_pts, last_duration, extradata, packets)
        fields = asdict(segment) | {
            "header": base64.b64encode(extradata).decode(),
            "packets": [[kept.pts, kept.is_keyframe, kept.size] for kept in packets],
        }
        temporary_path = self._path.with_suffix(".part")
        with temporary_path.open("w", encoding="ascii") as file:
            json.dump(fields, file)
            file.flush()
            os.fsync(file.fileno())
        temporary_path.replace(self._path.with_suffix(".json"))
        self._store.segments.append(segment)


def store_folder(target: Path) -> Path:
    """Return the folder where what is finished of a film lies until all of it is."""
    # A name of its own length: one made from the target's could be too long.
    name = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
    return target.parent / f".burnish-{name}.film"


def store_error(folder: Path, error: OSError) -> OutputError:
    """Return what to tell a person whose disk does not take what is finished."""
    return OutputError(
        str(folder),
        expected="a folder for what is finished of the film",
        got=(error.strerror or str(error)).lower(),
        remedy="check its permissions and the room on the disk, and run the same again",
    )


def remove_store(folder: Path) -> None:
    """Remove a folder of finished stretches, but for files in it that are not burnish's."""
    for file in _store_files(folder):
        with suppress(OSError):
            file.unlink()
    with suppress(OSError):
        folder.rmdir()


def _store_files(folder: Path) -> list[Path]:
    files = [file for kind in ("packets", "json", "part") for file in folder.glob(f"*.{kind}")]
    return sorted(files)


def _read_segment(index: Path) -> Segment:
    fields = json.loads(index.read_text(encoding="ascii"))
    packets = tuple(StoredPacket(*packet) for packet in fields.pop("packets"))
    header = base64.b64decode(fields.pop("header"))
    return Segment(**fields, extradata=header, packets=packets)


def _lock(file: BinaryIO, folder: Path) -> None:
    """Take the folder for this process; the system gives it back when the process ends."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        raise OutputError(
            str(folder),
            expected="a film that no other run works on",
            got="one that does",
            remedy="wait for it, or choose another -o",
        ) from error
