"""List and remove the pairs that trainings have computed."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from burnish.errors import UsageError, did_you_mean
from burnish.files import exists, is_folder
from burnish.training.pairs import cache_folder

# The files that trainings write there. Others are never listed or removed.
_PAIR = re.compile(r"[0-9a-f]{32}(-small)*\.npy|\.burnish-[0-9a-f]{16}\.part")
_IMAGE = re.compile(r"(synthetic|varied)-.*\.png|" + _PAIR.pattern)
# The name of the images that are not photos, which the operators share.
IMAGES = "images"


@dataclass(frozen=True)
class CachedPairs:
    """The cached files of an operator.

    Attributes
    ----------
    name : the operator's name, or `IMAGES`
    files, size : the number of files, and their total size in bytes
    modified : the time of the newest file, in seconds since 1970
    """

    name: str
    files: int
    size: int
    modified: float


def cached_pairs() -> list[CachedPairs]:
    """Return the cached pairs of each operator, the newest last."""
    entries = []
    for name in _names():
        # A training may remove a temporary file in the meantime.
        states = [path.stat() for path in _files(name) if exists(path)]
        if states:
            size, modified = sum(s.st_size for s in states), max(s.st_mtime for s in states)
            entries.append(CachedPairs(name, len(states), size, modified))
    return sorted(entries, key=lambda entry: entry.modified)


def clear_pairs(name: str | None = None) -> list[CachedPairs]:
    """Remove the cached pairs of an operator, or all of them; return what was removed.

    Raises
    ------
    UsageError : no pairs of this name are cached
    """
    entries = cached_pairs()
    names = [entry.name for entry in entries]
    if name is not None and name not in names:
        remedy = did_you_mean(name, names, "see `burnish cache`")
        raise UsageError(name, "no pairs of this operator are cached", remedy)
    removed = [entry for entry in entries if name in (None, entry.name)]
    for entry in removed:
        for path in _files(entry.name):
            path.unlink(missing_ok=True)
        if entry.name != IMAGES:
            with suppress(OSError):  # other files are in it
                (cache_folder() / entry.name).rmdir()
    return removed


def _names() -> list[str]:
    root = cache_folder()
    folders = sorted(root.iterdir()) if is_folder(root) else []
    return [IMAGES, *(path.name for path in folders if is_folder(path))]


def _files(name: str) -> Iterator[Path]:
    folder, pattern = cache_folder() / name, _PAIR
    if name == IMAGES:
        folder, pattern = cache_folder(), _IMAGE
    if is_folder(folder):
        files = [path for path in folder.iterdir() if pattern.fullmatch(path.name)]
        yield from (path for path in files if path.is_file())
