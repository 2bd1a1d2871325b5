"""Write files atomically, and replace an existing file only on request."""

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

from burnish import storage
from burnish.errors import OutputError, reason, write_error
from burnish.storage import RemotePath

# Prefix and suffix of temporary files, and the age in seconds after which one counts as abandoned.
_PREFIX, _SUFFIX = ".burnish-", ".part"
_STALE_SECONDS = 3600
# Longest name and path, in bytes, where the system does not tell.
_DEFAULT_LIMITS = (255, 4096)


def is_folder(path: str | Path) -> bool:
    """Return whether a path is a folder; False if that cannot be found out.

    `Path.is_dir` raises an error for a name that is too long, and in a folder that may not be
    entered. So do `Path.is_file` and `Path.exists`.
    """
    if isinstance(path, RemotePath):
        return storage.is_folder(path)
    return os.path.isdir(path)  # noqa: PTH112


def is_file(path: str | Path) -> bool:
    """Return whether a path is a file; False if that cannot be found out."""
    if isinstance(path, RemotePath):
        return storage.is_object(path)
    return os.path.isfile(path)  # noqa: PTH113


def exists(path: str | Path) -> bool:
    """Return whether something is at a path; False if that cannot be found out."""
    if isinstance(path, RemotePath):
        return storage.is_object(path)
    return os.path.exists(path)  # noqa: PTH110


def existing(paths: Iterable[Path]) -> set[Path]:
    """Return those paths at which something is, even a dangling link."""
    paths = list(paths)
    remote = [path for path in paths if isinstance(path, RemotePath)]
    found = {path for path in paths if not storage.is_remote(path) and os.path.lexists(path)}
    return found | storage.existing(remote)


def check_absent(target: Path, *, overwrite: bool) -> None:
    """Check that `target` may be written, before any work is done for it.

    Raises
    ------
    OutputError : the target exists, even as a dangling link, and `overwrite` is not set; or it is
        a folder, a device or a pipe; or `check_place` fails
    """
    if not existing([target]):
        check_place(target)
        return
    if is_folder(target):
        raise OutputError(str(target), "the output is a folder", "name a file in it")
    if exists(target) and not is_file(target):
        raise OutputError(str(target), "the output is a device or a pipe", "name a file")
    if not overwrite:
        raise _already_exists(target)


def check_not_input(target: Path, inputs: Iterable[Path]) -> None:
    """Check that `target` is none of the input files, under whatever name.

    Raises
    ------
    OutputError : the target is an input
    """
    for file in inputs:
        if exists(target) and exists(file) and target.samefile(file):
            raise OutputError(
                str(target), f"the output is the input {file}", "choose another output"
            )


def check_place(target: Path) -> None:
    """Check that a file of this name can be created, before any work is done for it.

    Raises
    ------
    OutputError : the name is too long for the disk, or the folder is not writable
    """
    if isinstance(target, RemotePath):
        storage.check_place(target)
        return
    folder = _existing_folder(target.parent)
    name_limit, path_limit = _DEFAULT_LIMITS
    if hasattr(os, "pathconf"):
        name_limit = os.pathconf(folder, "PC_NAME_MAX")
        path_limit = os.pathconf(folder, "PC_PATH_MAX")
    too_long = [part for part in target.parts if len(os.fsencode(part)) > name_limit]
    if too_long or len(os.fsencode(target.absolute())) >= path_limit:
        size, limit = len(os.fsencode(target.absolute())), path_limit
        if too_long:
            size, limit = len(os.fsencode(too_long[0])), name_limit
        problem = f"the name has {size} bytes, and the disk allows {limit}"
        raise OutputError(str(target), problem, "choose a shorter name with --name or -o")
    if not os.access(folder, os.W_OK | os.X_OK):
        problem = f"no file can be created in {folder}: permission denied"
        raise OutputError(str(target), problem, "choose another place with -o")


def digest(*files: Path) -> str:
    """Return the SHA-256 of the concatenated files, in hexadecimal."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def cache_root() -> Path:
    """Return the folder of cached files: BURNISH_CACHE, or one in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("BURNISH_CACHE") or Path(base, "burnish"))


def make_folder(folder: Path) -> None:
    """Create a folder and its parents, unless they exist.

    Raises
    ------
    OutputError : the folder cannot be created
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise OutputError(
            str(folder),
            f"the folder cannot be created: {reason(error)}",
            "choose another place for the output",
        ) from error


def remove_stale_partials(folder: Path) -> None:
    """Remove temporary files that a killed run left in a folder over an hour ago.

    Files that cannot be listed or removed are ignored.
    """
    with suppress(OSError):
        for partial in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
            if time.time() - partial.stat().st_mtime > _STALE_SECONDS:
                partial.unlink()


@contextmanager
def atomic_write(target: Path, *, overwrite: bool = False) -> Iterator[BinaryIO]:
    """Open a file that becomes `target` when the block ends; if the block fails, nothing changes.

    The file is written beside the target, flushed to disk, and then renamed. It gets the mode of
    the target, and its owner where that is allowed. If the target is a link, the link is replaced
    and the file that it points to is kept.

    Raises
    ------
    OutputError : the target exists and `overwrite` is not set, even if it was created during the
        block; or it cannot be written

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
    """Yield the path of an empty file that becomes `target` when the block ends.

    This is `atomic_write` for libraries that open files themselves.
    """
    check_absent(target, overwrite=overwrite)
    if "\0" in str(target):
        # Python raises a ValueError for this name; report it like an error of the disk.
        raise write_error(target, OSError(errno.EINVAL, "a zero byte in the name"))
    partial = _partial_path(target.parent)
    try:
        partial.open("xb").close()
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        if overwrite:
            _copy_access(target, partial)
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
    """Open a file for reading and writing that is removed when the block ends.

    If the process is killed, `remove_stale_partials` removes the file later.

    Raises
    ------
    OutputError : the file cannot be created

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
    """Check that the disk of a folder has `size` bytes free.

    Parameters
    ----------
    folder : a folder that need not exist yet
    contents : description of the data, for the message

    Raises
    ------
    OutputError : less space is free
    """
    existing = _existing_folder(folder)
    free = shutil.disk_usage(existing).free
    if size > free:
        raise OutputError(
            str(existing),
            f"no space for {contents}: {size / 2**20:,.0f} MiB needed, {free / 2**20:,.0f} free",
            "free some space, or choose another -o",
        )


def _existing_folder(folder: Path) -> Path:
    """Return a folder, or the closest one above it that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if is_folder(path))


def _partial_path(folder: Path) -> Path:
    """Return a random name of fixed length; one derived from the target's could be too long."""
    return folder / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"


def _copy_access(target: Path, partial: Path) -> None:
    """Give a file the mode and, as far as allowed, the owner and group of an existing one."""
    if not is_file(target) or target.is_symlink():
        return
    state = target.stat()
    if hasattr(os, "chown"):
        for owner in ((-1, state.st_gid), (state.st_uid, -1)):
            with suppress(OSError):
                os.chown(partial, *owner)
    with suppress(OSError):
        partial.chmod(state.st_mode & 0o777)


def _rename_exclusive(partial: Path, target: Path) -> None:
    """Rename atomically, and fail if the target exists."""
    try:
        target.hardlink_to(partial)
    except FileExistsError as error:
        raise _already_exists(target) from error
    except OSError:
        _rename_without_links(partial, target)


def _rename_without_links(partial: Path, target: Path) -> None:
    """Reserve the name, then replace it: FAT and some network drives have no hard links."""
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
        "the file exists already",
        "add --overwrite, or choose another output",
    )
