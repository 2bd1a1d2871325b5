"""List and remove the pairs and the features of photos that trainings have computed."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from burnish.errors import UsageError, did_you_mean
from burnish.files import cache_root, exists, is_folder
from burnish.training.pairs import cache_folder

# The files that trainings write there. Others are never listed or removed.
_PAIR = re.compile(r"[0-9a-f]{32}(-small)*\.npy|\.burnish-[0-9a-f]{16}\.part")
_IMAGE = re.compile(r"(synthetic|varied)-.*\.png|" + _PAIR.pattern)
_FEATURES = re.compile(r"[0-9a-f]{32}\.npz|\.burnish-[0-9a-f]{16}\.part")
# The name of the images that are not photos, which the operators share.
IMAGES = "images"
# The name of the features of photos from which keywords are learned.
KEYWORDS = "keywords"


@dataclass(frozen=True)
class CacheEntry:
    """The cached files of an operator, or those for keywords.

    Attributes
    ----------
    name : the operator's name, `IMAGES` or `KEYWORDS`
    files, size : the number of files, and their total size in bytes
    modified : the time of the newest file, in seconds since 1970
    """

    name: str
    files: int
    size: int
    modified: float


def cache_entries() -> list[CacheEntry]:
    """Return the cached files of each operator and those for keywords, the newest last."""
    entries = []
    for name in _names():
        # A training may remove a temporary file in the meantime.
        states = [path.stat() for path in _files(name) if exists(path)]
        if states:
            size, modified = sum(s.st_size for s in states), max(s.st_mtime for s in states)
            entries.append(CacheEntry(name, len(states), size, modified))
    return sorted(entries, key=lambda entry: entry.modified)


def clear_cache(name: str | None = None) -> list[CacheEntry]:
    """Remove the cached files of a name, or all of them; return the removed entries.

    Raises
    ------
    UsageError : nothing of this name is cached
    """
    entries = cache_entries()
    names = [entry.name for entry in entries]
    if name is not None and name not in names:
        remedy = did_you_mean(name, names, "see `burnish cache`")
        raise UsageError(name, "nothing of this name is cached", remedy)
    removed = [entry for entry in entries if name in (None, entry.name)]
    for entry in removed:
        for path in _files(entry.name):
            path.unlink(missing_ok=True)
        if entry.name == KEYWORDS:
            _remove_empty(cache_root() / KEYWORDS)
        elif entry.name != IMAGES:
            _remove_empty(cache_folder() / entry.name)
    return removed


def _remove_empty(folder: Path) -> None:
    """Remove a folder and those in it, except where they hold other files."""
    for path in sorted(folder.rglob("*"), reverse=True):
        with suppress(OSError):  # not a folder, or not empty
            path.rmdir()
    with suppress(OSError):
        folder.rmdir()


def _names() -> list[str]:
    root = cache_folder()
    folders = sorted(root.iterdir()) if is_folder(root) else []
    return [IMAGES, KEYWORDS, *(path.name for path in folders if is_folder(path))]


def _files(name: str) -> Iterator[Path]:
    if name == KEYWORDS:
        found, pattern = (cache_root() / KEYWORDS).glob("*/*/*"), _FEATURES
    elif name == IMAGES:
        found, pattern = cache_folder().glob("*"), _IMAGE
    else:
        found, pattern = (cache_folder() / name).glob("*"), _PAIR
    files = [path for path in found if pattern.fullmatch(path.name)]
    yield from (path for path in files if path.is_file())
