"""Photos in object storage, such as s3://bucket/photos/a.jpg; fsspec reads and writes them.

An object is copied to the local disk, edited there as any other file, and the result is uploaded
in one request, which object storage makes visible as a whole or not at all.
"""

import re
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Self

from burnish.errors import (
    BurnishError,
    OutputError,
    PhotoError,
    StorageError,
    UsageError,
    missing_library,
    reason,
)

# Scheme of an address -> the library of fsspec for it.
SCHEMES = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs"}
# Longest key of an object, in bytes. All three services have this limit.
MAX_KEY_BYTES = 1024
# From this number of outputs in a folder on, one listing replaces a request for each.
_MIN_LISTED = 4
_SCRATCH_PREFIX = "burnish-objects-"
# Copies that a killed process left are removed after this time, which no edit takes.
_STALE_SECONDS = 7 * 24 * 3600.0

if TYPE_CHECKING:
    _LocalPath = Path
else:
    _LocalPath = type(Path())


class RemotePath(_LocalPath):
    """The path of an object or of a folder of them. Its parts are those of the address.

    Only this module and `burnish.files` open it or ask whether it exists.

    Examples
    --------
    >>> path = RemotePath("s3://bucket/photos/a.jpg")
    >>> str(path), str(path.parent / "b.jpg"), path.stem
    ('s3://bucket/photos/a.jpg', 's3://bucket/photos/b.jpg', 'a')
    """

    def __str__(self) -> str:
        scheme, *parts = self.parts
        return f"{scheme}//{'/'.join(parts)}"

    def __fspath__(self) -> str:
        return str(self)

    def absolute(self) -> "RemotePath":
        """Return the path itself: it is never relative to a folder."""
        return self

    @property
    def scheme(self) -> str:
        """The part before the colon, such as "s3"."""
        return self.parts[0].removesuffix(":")

    @property
    def bucket(self) -> "RemotePath":
        """The bucket or container."""
        return RemotePath(*self.parts[:2])

    @property
    def key(self) -> str:
        """The bucket and the key, as fsspec writes them."""
        return "/".join(self.parts[1:])


def as_path(address: str | Path) -> Path:
    """Return a path, which is a `RemotePath` if it begins with a scheme of object storage.

    Raises
    ------
    UsageError : the address has no bucket

    Examples
    --------
    >>> as_path("s3://bucket/in/").key, as_path("file:///tmp/a.jpg"), as_path("a.jpg")
    ('bucket/in', PosixPath('/tmp/a.jpg'), PosixPath('a.jpg'))
    """
    path = Path(address)
    first = path.parts[0] if path.parts else ""
    if first == "file:":
        return Path("/", *path.parts[1:])
    if first.removesuffix(":") not in SCHEMES or not first.endswith(":"):
        return path
    if len(path.parts) < 2:
        raise UsageError(f"{first}//", "the bucket is missing", f"write {first}//bucket/folder")
    return RemotePath(*path.parts)


def is_remote(path: str | Path) -> bool:
    """Return whether a path lies in object storage."""
    return isinstance(path, RemotePath)


def is_folder(path: RemotePath) -> bool:
    """Return whether there are objects below a path, or it is a bucket.

    Raises
    ------
    BurnishError : the bucket does not exist, or the storage does not answer
    """
    return _kind(path) == "directory"


def is_object(path: RemotePath) -> bool:
    """Return whether there is an object of this name; the errors are those of `is_folder`."""
    return _kind(path) == "file"


def list_objects(folder: RemotePath, *, recursive: bool) -> list[RemotePath]:
    """Return the objects in a folder, in the order in which `os.walk` lists files.

    Raises
    ------
    BurnishError : the folder cannot be listed, or a key has empty parts, such as a//b.jpg
    """
    with _reported(folder, UsageError):
        files = _filesystem(folder.scheme)
        keys = files.find(folder.key, maxdepth=None if recursive else 1)
    # Some tools store an empty object "folder/" for a folder.
    names = [key.removeprefix(f"{folder.key}/") for key in keys if not key.endswith("/")]
    for name in names:
        if str(PurePosixPath(name)) != name or name.startswith("/"):
            problem = f"the object {name} has a name that is not a path"
            raise UsageError(str(folder), problem, "rename it, or choose a folder without it")
    return [folder / name for name in sorted(names, key=_walk_order)]


def _walk_order(name: str) -> list[tuple[bool, str]]:
    *folders, last = name.split("/")
    return [*((True, folder) for folder in folders), (False, last)]


def existing(paths: Iterable[RemotePath]) -> set[Path]:
    """Return those objects that exist. The errors are those of `is_folder`."""
    by_folder = defaultdict(list)
    for path in paths:
        by_folder[path.parent].append(path)
    found: set[Path] = set()
    for folder, group in by_folder.items():
        if len(group) < _MIN_LISTED:
            found.update(path for path in group if is_object(path))
        elif is_folder(RemotePath(folder)):
            found.update(list_objects(RemotePath(folder), recursive=False))
    return found.intersection(path for group in by_folder.values() for path in group)


def check_place(target: RemotePath) -> None:
    """Check that an object of this name can be created, as far as that shows without writing.

    Raises
    ------
    BurnishError : the bucket does not exist, the storage does not answer, or the name is too long
    """
    size = len(target.key.partition("/")[2].encode(errors="surrogateescape"))
    if not 0 < size <= MAX_KEY_BYTES:
        problem = f"the name has {size} bytes, and object storage allows 1 to {MAX_KEY_BYTES}"
        raise OutputError(str(target), problem, "choose another name with --name or -o")
    check_bucket(target.bucket)


@lru_cache
def check_bucket(bucket: RemotePath) -> None:
    """Check that a bucket exists and that the storage answers, once for each bucket.

    Raises
    ------
    UsageError : there is no such bucket
    StorageError : there are no credentials, or the storage does not answer
    """
    with _reported(bucket, UsageError):
        try:
            _filesystem(bucket.scheme).info(bucket.key)
        except PermissionError:
            # Credentials for a part of a bucket do not allow this; the objects may be allowed.
            return


def _kind(path: RemotePath) -> str | None:
    """Return "file", "directory", or None if there is nothing of this name."""
    check_bucket(path.bucket)
    files = _filesystem(path.scheme)
    with _reported(path, PhotoError), suppress(FileNotFoundError):
        try:
            return str(files.info(path.key)["type"])
        except PermissionError:
            # Credentials for the objects in a folder allow its listing and not this request.
            if all(name == path.key for name in files.ls(path.key, detail=False)):
                raise
            return "directory"
    return None


def put(local: Path, target: RemotePath, *, overwrite: bool) -> None:
    """Upload a file as one object: readers see all of it or nothing.

    Without `overwrite`, the storage itself refuses to replace an object (``If-None-Match: *``), so
    that of two writers at the same time only one succeeds.

    Raises
    ------
    OutputError : the object exists and `overwrite` is not set, or it cannot be written
    """
    with _reported(target, OutputError):
        mode = "overwrite" if overwrite else "create"
        _filesystem(target.scheme).put_file(str(local), target.key, mode=mode)


class Scratch:
    """Local copies of objects, in a temporary folder that is made when it is needed.

    Each copy lies at the path of its address below the folder, so that what selects by folder and
    name works on copies, too. `original_names` turns a message about a copy into one about the
    object.
    """

    def __init__(self) -> None:
        self._folder: Path | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def local(self, path: Path) -> Path:
        """Return the local file for an object, in a folder that exists; a local path as it is."""
        if not isinstance(path, RemotePath):
            return path
        if self._folder is None:
            _remove_stale_copies()
            self._folder = Path(tempfile.mkdtemp(prefix=_SCRATCH_PREFIX))
        file = self._folder.joinpath(path.scheme, *path.parts[1:])
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    def fetch(self, source: Path) -> Path:
        """Return a local copy of an object; a local path as it is.

        Raises
        ------
        PhotoError, StorageError : the object cannot be read
        """
        local = self.local(source)
        if isinstance(source, RemotePath):
            with _reported(source, PhotoError):
                _filesystem(source.scheme).get_file(source.key, str(local))
        return local


def _remove_stale_copies() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_SCRATCH_PREFIX}*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(folder)


def original_names(message: str) -> str:
    """Return a message with the addresses of objects in place of the paths of their copies."""
    prefix = re.escape(str(Path(tempfile.gettempdir()) / _SCRATCH_PREFIX))
    return re.sub(rf"{prefix}[^/]+/({'|'.join(SCHEMES)})/", r"\1://", message)


def _filesystem(scheme: str) -> Any:
    """Return fsspec's object for a kind of storage, which keeps no listings."""
    import fsspec

    return fsspec.filesystem(scheme, use_listings_cache=False)


@contextmanager
def _reported(path: RemotePath, missing: type[BurnishError]) -> Iterator[None]:
    """Raise the errors of fsspec and of the services' libraries as errors of burnish.

    Parameters
    ----------
    missing : the error for an object or folder that does not exist
    """
    where = str(path)
    try:
        yield
    except BurnishError:
        raise
    except ImportError as error:
        library = ModuleNotFoundError(name=SCHEMES[path.scheme])
        raise missing_library(library).with_context(where) from error
    except FileExistsError as error:
        problem = "the file exists already"
        raise OutputError(where, problem, "add --overwrite, or choose another output") from error
    except FileNotFoundError as error:
        if path == path.bucket or "bucket" in str(error).lower():
            problem = f"there is no bucket {path.bucket}"
            raise UsageError(where, problem, "check the address") from error
        raise missing(where, "there is no such object", "check the address") from error
    except PermissionError as error:
        problem = f"access is denied: {reason(error).rstrip('.')}"
        raise StorageError(where, problem, "check the credentials") from error
    # The libraries' own exceptions, such as those for missing credentials, have no common class.
    except Exception as error:
        problem = f"the storage reports: {reason(error) or type(error).__name__}"
        remedy = "check the credentials and the address of the service"
        raise StorageError(where, problem, remedy) from error
