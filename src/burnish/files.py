"""Files put in place at one stroke: whole or not at all, and over another one only where asked."""

import errno
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from burnish.errors import OutputError

# How a file is called while it is written, and how long ago one was written to that nobody writes.
_PARTIAL_AFFIXES = ".burnish-", ".part"
_STALE_SECONDS = 3600


def check_absent(target: Path, *, overwrite: bool) -> None:
    """Refuse a target that is in the way, before the work rather than after it.

    A link that leads nowhere is in the way too. A folder, a device or a pipe is,
    whatever `overwrite` says.

    Raises
    ------
    OutputError : the target exists and `overwrite` is not set, or is no file
    """
    if not os.path.lexists(target):
        return
    if target.is_dir():
        raise OutputError(
            str(target), expected="a file", got="a folder", remedy="name a file in it"
        )
    if target.exists() and not target.is_file():
        raise OutputError(
            str(target), expected="a file", got="a device or pipe", remedy="name a file"
        )
    if not overwrite:
        raise _already_exists(target)


def check_not_input(target: Path, inputs: Iterable[Path]) -> None:
    """Refuse a target that is one of the files that are read, whatever it is called.

    Raises
    ------
    OutputError : it is
    """
    for file in inputs:
        if target.exists() and file.exists() and target.samefile(file):
            raise OutputError(
                str(target),
                expected="an output that is no input",
                got=f"{file} itself",
                remedy="choose another output",
            )


def digest(*files: Path) -> str:
    """Return the SHA-256 of the files' bytes, one after another, in hexadecimal."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, unless it is there.

    Raises
    ------
    OutputError : it cannot be made
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise OutputError(
            str(folder),
            expected="a folder that can be made",
            got=(getattr(error, "strerror", None) or str(error)).lower(),
            remedy="choose another place for the output",
        ) from error


def remove_stale_partials(folder: Path) -> None:
    """Remove what a killed run left half written in a folder, if nothing has touched it for long.

    What cannot be listed or removed stays.
    """
    with suppress(OSError):
        for partial in folder.glob(f"{_PARTIAL_AFFIXES[0]}*{_PARTIAL_AFFIXES[1]}"):
            if time.time() - partial.stat().st_mtime > _STALE_SECONDS:
                partial.unlink()


@contextmanager
def atomic_write(target: Path, *, overwrite: bool = False) -> Iterator[BinaryIO]:
    """Open a file that becomes `target` when the block ends, and nothing where it fails.

    It is written beside the target, flushed to the disk, and then takes the name. Where that is a
    link, the link goes and what it leads to stays.

    Raises
    ------
    OutputError : the target exists and `overwrite` is not set, also where it came up meanwhile;
        or it cannot be written

    Examples
    --------
    >>> with atomic_write(Path("notes.txt"), overwrite=True) as file:
    ...     _ = file.write(b"all of it")
    >>> Path("notes.txt").read_bytes()
    b'all of it'
    """
    with atomic_path(target, overwrite=overwrite) as partial, partial.open("r+b") as file:
        yield file


@contextmanager
def atomic_path(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give the path of an empty file to write, which becomes `target` when the block ends.

    For libraries that open files themselves; see `atomic_write` for the rest.
    """
    check_absent(target, overwrite=overwrite)
    if "\0" in str(target):
        # Python's own error for it is of another kind than those of the disk.
        raise write_error(target, OSError(errno.EINVAL, "a zero byte in the name"))
    partial = _partial_path(target.parent)
    try:
        partial.open("xb").close()
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        if overwrite:
            partial.replace(target)
        else:
            _rename_exclusive(partial, target)
    except OSError as error:
        raise write_error(target, error) from error
    finally:
        with suppress(OSError):
            partial.unlink()


@contextmanager
def temporary_file(folder: Path) -> Iterator[BinaryIO]:
    """Open a file for reading and writing that is gone when the block ends.

    What a killed run leaves of it, `remove_stale_partials` removes.

    Raises
    ------
    OutputError : it cannot be made

    Examples
    --------
    >>> with temporary_file(Path()) as file:
    ...     _ = file.write(b"for a while"), file.seek(0)
    ...     file.read(3)
    b'for'
    """
    path = _partial_path(folder)
    try:
        file = path.open("x+b")
    except OSError as error:
        raise write_error(path, error) from error
    try:
        with file:
            yield file
    finally:
        with suppress(OSError):
            path.unlink()


def check_disk_space(folder: Path, size: int, contents: str) -> None:
    """See that the disk has room for so many bytes.

    Parameters
    ----------
    folder : need not be there yet
    contents : what they are, in words

    Raises
    ------
    OutputError : it has less
    """
    existing = next(
        path for path in (folder.absolute(), *folder.absolute().parents) if path.exists()
    )
    free = shutil.disk_usage(existing).free
    if size > free:
        raise OutputError(
            str(existing),
            expected=f"room for {contents}, {size / 2**20:,.0f} MiB",
            got=f"{free / 2**20:,.0f} MiB free",
            remedy="make room, or choose another -o",
        )


def _partial_path(folder: Path) -> Path:
    """Return a new name, of its own length: one made from a target's could be too long."""
    return folder / f"{_PARTIAL_AFFIXES[0]}{secrets.token_hex(8)}{_PARTIAL_AFFIXES[1]}"


def _rename_exclusive(partial: Path, target: Path) -> None:
    """Give `partial` the name `target` unless that is taken; nobody can come in between."""
    try:
        target.hardlink_to(partial)
    except FileExistsError as error:
        raise _already_exists(target) from error
    except OSError:
        _rename_without_links(partial, target)


def _rename_without_links(partial: Path, target: Path) -> None:
    """Take the name first, then fill it: FAT and some network drives have no hard links."""
    try:
        target.open("xb").close()
    except FileExistsError as error:
        raise _already_exists(target) from error
    try:
        partial.replace(target)
    except BaseException:
        target.unlink()
        raise


def _already_exists(target: Path) -> OutputError:
    return OutputError(
        str(target),
        expected="a new file",
        got="one that exists",
        remedy="use --overwrite (overwrite=True), or another output",
    )


def write_error(target: Path, error: OSError) -> OutputError:
    """Return what to tell a person about a file that could not be written."""
    return OutputError(
        str(target),
        expected="a folder that can be written to",
        got=(error.strerror or str(error)).lower(),
        remedy="check the folder, its permissions and the room on the disk",
    )
