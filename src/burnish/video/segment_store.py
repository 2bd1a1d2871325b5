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

_ABOUT = "film.json"


@dataclass(frozen=True)
class Kept:
    """A packet: its time stamp, in the film's time base; whether it stands by itself; its bytes."""

    stamp: int
    key: bool
    size: int


@dataclass(frozen=True)
class Stretch:
    """A finished stretch of a film.

    Parameters
    ----------
    frames : how many, a packet each
    first, last : time stamps, in the film's time base
    length : how long the last frame shows
    header : what the encoder wants at the head of the file
    packets : in the order they are decoded
    """

    frames: int
    first: int
    last: int
    length: int
    header: bytes
    packets: tuple[Kept, ...]


class Scratch:
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
        self.folder = folder_of(target)
        self._fingerprint = fingerprint
        self.stretches: list[Stretch] = []

    def __enter__(self) -> Self:
        make_folder(self.folder)
        try:
            self._about = (self.folder / _ABOUT).open("a+b")
            try:
                _hold(self._about, self.folder)
                self._about.seek(0)
                if self._about.read() != self._fingerprint.encode():
                    self._begin()
                self.stretches = self._finished()
            except BaseException:
                self._about.close()
                raise
        except OSError as error:
            raise cannot_keep(self.folder, error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._about.close()

    @property
    def frames(self) -> int:
        """How many frames are finished."""
        return sum(stretch.frames for stretch in self.stretches)

    @property
    def ticks(self) -> int:
        """How long what is finished shows, in the film's time base."""
        if not self.stretches:
            return 0
        last = self.stretches[-1]
        return last.last + last.length - self.stretches[0].first

    def writer(self) -> "Writer":
        """Begin the next stretch; it counts once it is finished."""
        return Writer(self, self._path(len(self.stretches)))

    def contents(self) -> Iterator[tuple[Kept, bytes]]:
        """Give all packets, in the order they are decoded."""
        for number, stretch in enumerate(self.stretches):
            with self._path(number).open("rb") as file:
                for kept in stretch.packets:
                    yield kept, file.read(kept.size)

    def remove(self) -> None:
        """Remove the folder with all that is ours in it."""
        self._about.close()
        remove(self.folder)

    def _begin(self) -> None:
        for file in _ours(self.folder):
            if file.name != _ABOUT:
                file.unlink()
        self._about.truncate(0)
        self._about.write(self._fingerprint.encode())
        self._about.flush()
        os.fsync(self._about.fileno())

    def _finished(self) -> list[Stretch]:
        stretches: list[Stretch] = []
        while (index := self._path(len(stretches)).with_suffix(".json")).exists():
            stretches.append(_read(index))
        return stretches

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06}.packets"


class Writer:
    """Writes one stretch."""

    def __init__(self, scratch: Scratch, path: Path) -> None:
        self._scratch = scratch
        self._path = path
        self._file = path.open("wb")
        self._packets: list[Kept] = []

    def add(self, packet: "Packet[Any]") -> None:
        """Append a packet."""
        assert packet.pts is not None
        self._file.write(bytes(packet))
        self._packets.append(Kept(packet.pts, packet.is_keyframe, packet.size))

    def abandon(self) -> None:
        """Leave the stretch unfinished."""
        self._file.close()
        with suppress(OSError):
            self._path.unlink()

    @property
    def count(self) -> int:
        """How many packets there are by now."""
        return len(self._packets)

    def finish(self, *, first: int, last: int, length: int, header: bytes) -> None:
        """Make the stretch count; see `Stretch`."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        packets = tuple(self._packets)
        stretch = Stretch(len(packets), first, last, length, header, packets)
        fields = asdict(stretch) | {
            "header": base64.b64encode(header).decode(),
            "packets": [[kept.stamp, kept.key, kept.size] for kept in packets],
        }
        part = self._path.with_suffix(".part")
        with part.open("w", encoding="ascii") as file:
            json.dump(fields, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._path.with_suffix(".json"))
        self._scratch.stretches.append(stretch)


def folder_of(target: Path) -> Path:
    """Return the folder where what is finished of a film lies until all of it is."""
    # A name of its own length: one made from the target's could be too long.
    name = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
    return target.parent / f".burnish-{name}.film"


def cannot_keep(folder: Path, error: OSError) -> OutputError:
    """Return what to tell a person whose disk does not take what is finished."""
    return OutputError(
        str(folder),
        expected="a folder for what is finished of the film",
        got=(error.strerror or str(error)).lower(),
        remedy="check its permissions and the room on the disk, and run the same again",
    )


def remove(folder: Path) -> None:
    """Remove a folder of finished stretches, but for files in it that are not burnish's."""
    for file in _ours(folder):
        with suppress(OSError):
            file.unlink()
    with suppress(OSError):
        folder.rmdir()


def _ours(folder: Path) -> list[Path]:
    files = [file for kind in ("packets", "json", "part") for file in folder.glob(f"*.{kind}")]
    return sorted(files)


def _read(index: Path) -> Stretch:
    fields = json.loads(index.read_text(encoding="ascii"))
    packets = tuple(Kept(*packet) for packet in fields.pop("packets"))
    header = base64.b64decode(fields.pop("header"))
    return Stretch(**fields, header=header, packets=packets)


def _hold(file: BinaryIO, folder: Path) -> None:
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
