"""Sources: what was given, photos, films and folders of them, as a list."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from burnish.errors import UsageError, warn
from burnish.photo.formats import READABLE_EXTENSIONS
from burnish.video.formats import can_edit_videos, has_video_extension


@dataclass(frozen=True)
class InputFile:
    """A photo or film, and its place in the folder that was given; "." where it was by itself."""

    path: Path
    subfolder: Path = Path()
    from_folder: bool = False

    @property
    def is_video(self) -> bool:
        """Whether it is a film, by its name."""
        return has_video_extension(self.path)


@dataclass(frozen=True)
class Inputs:
    """The photos and films, and how many files in folders are neither."""

    files: tuple[InputFile, ...]
    ignored: int = 0


def find_inputs(paths: Sequence[Path], *, recursive: bool, output: Path | None = None) -> Inputs:
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
    with_videos = can_edit_videos()
    inputs: list[InputFile] = []
    ignored = 0
    for path in paths:
        if not path.is_dir():
            inputs.append(InputFile(path))
            continue
        files = list(_files(path, recursive=recursive, output=output))
        photos = [
            file
            for file in files
            if has_photo_extension(file) or (with_videos and has_video_extension(file))
        ]
        ignored += len(files) - len(photos)
        if not with_videos and (video_count := sum(map(has_video_extension, files))):
            warn(
                f"{path}: {video_count} {'film' if video_count == 1 else 'films'} passed over; install burnish "
                "with its extra 'video' to edit films"
            )
        inputs += [
            InputFile(file, file.parent.relative_to(path), from_folder=True) for file in photos
        ]
    if not inputs:
        raise UsageError(
            ", ".join(map(str, paths)),
            expected="a folder with photos in it",
            got=f"none among {ignored} files",
            remedy="name another" if recursive else "add --recursive to take the folders below",
        )
    return Inputs(tuple(inputs), ignored)


def has_photo_extension(path: Path) -> bool:
    """Tell whether a file's name is a photo's; whether it is one, its content decides."""
    return path.suffix.lower() in READABLE_EXTENSIONS and not path.name.startswith(".")


def _files(folder: Path, *, recursive: bool, output: Path | None) -> Iterator[Path]:
    """Walk a folder in the order of names."""

    def raise_error(error: OSError) -> None:
        raise UsageError(
            str(error.filename),
            expected="a folder that can be listed",
            got=(error.strerror or str(error)).lower(),
            remedy="check its permissions, or leave it out",
        )

    for root, folders, files in os.walk(folder, onerror=raise_error):
        parent = Path(root)
        keep = [name for name in sorted(folders) if recursive and not _same(parent / name, output)]
        folders[:] = keep
        yield from (parent / name for name in sorted(files))


def _same(folder: Path, other: Path | None) -> bool:
    return other is not None and other.exists() and folder.samefile(other)
