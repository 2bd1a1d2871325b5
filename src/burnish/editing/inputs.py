"""Sources: what was given, photos, films and folders of them, as a list."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from burnish.errors import UsageError, warn
from burnish.photo.formats import READABLE_EXTENSIONS
from burnish.video.formats import can_edit_films, is_called_film


@dataclass(frozen=True)
class Source:
    """A photo or film, and its place in the folder that was given; "." where it was by itself."""

    path: Path
    place: Path = Path()
    found: bool = False

    @property
    def film(self) -> bool:
        """Whether it is a film, by its name."""
        return is_called_film(self.path)


@dataclass(frozen=True)
class Gathered:
    """The photos and films, and how many files in folders are neither."""

    sources: tuple[Source, ...]
    passed_over: int = 0


def gather(given: Sequence[Path], *, recursive: bool, output: Path | None = None) -> Gathered:
    """List what was given: files as they are, of folders what is called a photo or a film.

    In a folder the name's end decides, and hidden files are none. Films are passed over where the
    library for them is not installed, which nobody needs for photos. Links to folders are not
    followed, so that no tree is walked for ever.

    Parameters
    ----------
    recursive : also take the folders below
    output : a folder of results, which is not searched where it lies in one that is

    Raises
    ------
    UsageError : a folder cannot be listed, or there is no photo in those given

    Warns
    -----
    UserWarning : films are passed over
    """
    films = can_edit_films()
    sources: list[Source] = []
    passed_over = 0
    for path in given:
        if not path.is_dir():
            sources.append(Source(path))
            continue
        files = list(_files(path, recursive=recursive, output=output))
        photos = [
            file for file in files if is_called_photo(file) or (films and is_called_film(file))
        ]
        passed_over += len(files) - len(photos)
        if not films and (left := sum(map(is_called_film, files))):
            warn(
                f"{path}: {left} {'film' if left == 1 else 'films'} passed over; install burnish "
                "with its extra 'video' to edit films"
            )
        sources += [Source(file, file.parent.relative_to(path), found=True) for file in photos]
    if not sources:
        raise UsageError(
            ", ".join(map(str, given)),
            expected="a folder with photos in it",
            got=f"none among {passed_over} files",
            remedy="name another" if recursive else "add --recursive to take the folders below",
        )
    return Gathered(tuple(sources), passed_over)


def is_called_photo(path: Path) -> bool:
    """Tell whether a file's name is a photo's; whether it is one, its content decides."""
    return path.suffix.lower() in READABLE_EXTENSIONS and not path.name.startswith(".")


def _files(folder: Path, *, recursive: bool, output: Path | None) -> Iterator[Path]:
    """Walk a folder in the order of names."""

    def refuse(error: OSError) -> None:
        raise UsageError(
            str(error.filename),
            expected="a folder that can be listed",
            got=(error.strerror or str(error)).lower(),
            remedy="check its permissions, or leave it out",
        )

    for root, folders, files in os.walk(folder, onerror=refuse):
        here = Path(root)
        keep = [name for name in sorted(folders) if recursive and not _same(here / name, output)]
        folders[:] = keep
        yield from (here / name for name in sorted(files))


def _same(folder: Path, other: Path | None) -> bool:
    return other is not None and other.exists() and folder.samefile(other)
