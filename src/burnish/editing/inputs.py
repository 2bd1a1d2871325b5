"""Search for input files: photos, videos, and folders of them."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from burnish.errors import UsageError, read_error, warn
from burnish.photo.formats import READABLE_EXTENSIONS
from burnish.video.formats import can_edit_videos, has_video_extension


@dataclass(frozen=True)
class InputFile:
    """A photo or video.

    Parameters
    ----------
    path : its path
    subfolder : its folder, relative to the folder that was searched
    from_folder : whether it was found in a folder, rather than named
    """

    path: Path
    subfolder: Path = Path()
    from_folder: bool = False

    @property
    def is_video(self) -> bool:
        """True if it has the extension of a video."""
        return has_video_extension(self.path)


@dataclass(frozen=True)
class Inputs:
    """The photos and videos, and the number of other files in the folders."""

    files: tuple[InputFile, ...]
    ignored: int = 0


def find_inputs(paths: Sequence[Path], *, recursive: bool, output: Path | None = None) -> Inputs:
    """List the named files, and the photos and videos in the named folders.

    In folders, the extension decides and hidden files are ignored. Videos are ignored if PyAV is
    not installed. Links to folders are not followed, so that the search ends.

    Parameters
    ----------
    recursive : search subfolders
    output : the output folder, which is not searched

    Raises
    ------
    UsageError : a folder cannot be listed, or there are no inputs

    Warns
    -----
    UserWarning : videos are ignored
    """
    with_videos = can_edit_videos()
    inputs: list[InputFile] = []
    ignored = 0
    for path in paths:
        if not path.is_dir():
            inputs.append(InputFile(path))
            continue
        files = list(_files(path, recursive=recursive, output=output))
        found = [
            file
            for file in files
            if has_photo_extension(file) or (with_videos and has_video_extension(file))
        ]
        ignored += len(files) - len(found)
        if not with_videos and (count := sum(map(has_video_extension, files))):
            warn(
                f"{path}: {count} {'video' if count == 1 else 'videos'} ignored; install burnish "
                "with its extra 'video' to edit videos"
            )
        inputs += [InputFile(file, file.parent.relative_to(path), True) for file in found]
    if not inputs:
        raise UsageError(
            ", ".join(map(str, paths)),
            f"no photos among {ignored} files",
            "name another folder" if recursive else "add --recursive to search subfolders",
        )
    return Inputs(tuple(inputs), ignored)


def has_photo_extension(path: Path) -> bool:
    """Return whether a visible file has the extension of a photo."""
    return path.suffix.lower() in READABLE_EXTENSIONS and not path.name.startswith(".")


def _files(folder: Path, *, recursive: bool, output: Path | None) -> Iterator[Path]:
    """Walk a folder in the order of names."""

    def raise_error(error: OSError) -> None:
        raise read_error(error.filename, error, UsageError)

    for root, folders, files in os.walk(folder, onerror=raise_error):
        parent = Path(root)
        # os.walk visits the folders that are left in the list.
        folders[:] = [
            name for name in sorted(folders) if recursive and not _same(parent / name, output)
        ]
        yield from (parent / name for name in sorted(files))


def _same(folder: Path, other: Path | None) -> bool:
    return other is not None and other.exists() and folder.samefile(other)
