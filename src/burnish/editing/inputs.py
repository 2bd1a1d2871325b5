"""The inputs of a run: named files, and the photos and videos in named folders."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from burnish.editing.history import read_history
from burnish.errors import BurnishError, UsageError, read_error, warn
from burnish.files import is_folder
from burnish.photo.formats import (
    READABLE_EXTENSIONS,
    can_develop_raw,
    has_raw_extension,
    replaced_format,
)
from burnish.storage import RemotePath, Scratch, list_objects
from burnish.video.formats import can_edit_videos, has_video_extension

# End of the names that `--save-mask FOLDER` gives to masks, behind the photo's name.
MASK_SUFFIX = ".mask.png"


@dataclass(frozen=True)
class InputFile:
    """A photo or video.

    Parameters
    ----------
    subfolder : its folder, relative to the folder that was searched
    from_folder : whether it was found in a folder; False if it was named itself
    """

    path: Path
    subfolder: Path = Path()
    from_folder: bool = False


@dataclass
class Inputs:
    """The inputs of a run.

    Parameters
    ----------
    ignored : number of other files in the folders
    results : number of files in the folders that burnish wrote beside their originals
    unreadable : an error for each folder that cannot be listed
    """

    files: list[InputFile] = field(default_factory=list)
    ignored: int = 0
    results: int = 0
    unreadable: list[BurnishError] = field(default_factory=list)


def find_inputs(paths: Sequence[Path], *, recursive: bool, output: Path | None = None) -> Inputs:
    """List the named files, and the photos and videos in the named folders.

    In folders, the extension decides, and hidden files and the results of earlier runs are
    ignored. A raw file or a HEIC photo is ignored if a photo of the same name in another format,
    such as the camera's JPEG, lies beside it. Links to folders are not followed, so that the
    search ends.

    Parameters
    ----------
    output : the output folder, which is not searched

    Raises
    ------
    UsageError : there are no inputs

    Warns
    -----
    UserWarning : videos, raw files or HEIC photos are ignored
    """
    inputs = Inputs()
    for path in paths:
        if not is_folder(path):
            inputs.files.append(InputFile(path))
            continue
        files = list(_walk(path, inputs.unreadable, recursive=recursive, output=output))
        media = _without_duplicates(path, _readable(path, files))
        inputs.ignored += len(files) - len(media)
        originals = list(_without_results(media, files))
        inputs.results += len(media) - len(originals)
        inputs.files += [InputFile(file, file.parent.relative_to(path), True) for file in originals]
    if not inputs.files:
        raise _nothing_found(paths, inputs, recursive=recursive)
    return inputs


def _nothing_found(paths: Sequence[Path], inputs: Inputs, *, recursive: bool) -> BurnishError:
    if inputs.unreadable:
        return inputs.unreadable[0]
    names = ", ".join(map(str, paths))
    search = not recursive and any(map(_has_subfolders, paths))
    remedy = "add --recursive to search subfolders" if search else "name another folder"
    count = inputs.ignored
    problem = f"none of the {count} files is a photo" if count else "there are no photos"
    return UsageError(names, problem, remedy)


def _has_subfolders(folder: Path) -> bool:
    if isinstance(folder, RemotePath):
        return any(path.parent != folder for path in list_objects(folder, recursive=True))
    return any(map(is_folder, folder.iterdir()))


def _walk(
    folder: Path, unreadable: list[BurnishError], *, recursive: bool, output: Path | None
) -> Iterator[Path]:
    """Yield the files of a folder in the order of names."""
    if isinstance(folder, RemotePath):
        for file in list_objects(folder, recursive=recursive):
            if output not in file.parents or output == folder:
                yield file
        return

    def add_error(error: OSError) -> None:
        unreadable.append(read_error(error.filename, error, UsageError))

    def is_output(path: str) -> bool:
        try:
            return output is not None and os.path.samefile(path, output)  # noqa: PTH121
        except (OSError, ValueError):  # the output does not exist
            return False

    for root, folders, files in os.walk(folder, onerror=add_error):
        # os.walk visits the folders that are left in the list.
        folders[:] = [n for n in sorted(folders) if recursive and not is_output(f"{root}/{n}")]
        yield from (Path(root, name) for name in sorted(files))


def _readable(folder: Path, files: Iterable[Path]) -> list[Path]:
    """Return the visible photos and videos that the installed libraries read."""
    kinds = (
        (has_video_extension, can_edit_videos(), "video", "video"),
        (has_raw_extension, can_develop_raw(), "raw photo", "raw"),
    )
    media = []
    missing = dict.fromkeys((extra for *_, extra in kinds), 0)
    for file in files:
        if file.name.startswith("."):
            continue
        for has_extension, is_installed, _, extra in kinds:
            if has_extension(file):
                media += [file] if is_installed else []
                missing[extra] += not is_installed
        if file.suffix.lower() in READABLE_EXTENSIONS:
            media.append(file)
    for _, _, noun, extra in kinds:
        if count := missing[extra]:
            remedy = f"install burnish with its extra '{extra}' to edit {noun}s"
            warn(f"{folder}: {count} {noun}{'s' if count > 1 else ''} ignored; {remedy}")
    return media


def _without_duplicates(folder: Path, media: Sequence[Path]) -> list[Path]:
    """Drop photos in a format that is only read, if the same photo lies beside it in another."""
    written = {file.with_suffix("") for file in media if not replaced_format(file)}
    kept = [
        file for file in media if not replaced_format(file) or file.with_suffix("") not in written
    ]
    if count := len(media) - len(kept):
        files = "1 raw, HEIC or GIF file" if count == 1 else f"{count} raw, HEIC or GIF files"
        problem = "a photo of the same name in another format"
        warn(f"{folder}: {files} ignored beside {problem}; name them to edit them")
    return kept


def _without_results(media: Iterable[Path], files: Sequence[Path]) -> Iterator[Path]:
    """Drop the masks and results that burnish wrote beside their originals.

    A result begins with the name of its original, and its history of edits is longer.

    Parameters
    ----------
    files : all files of the folder; an original may be one that is not edited
    """
    names = set(files)
    by_stem = {file.with_suffix(""): file for file in files}
    for file in media:
        stem = file.stem
        starts = [stem[:at] for at in range(1, len(stem)) if not stem[at].isalnum()]
        stems = (file.with_name(start) for start in starts if start.strip("."))
        originals = [by_stem[start] for start in stems if start in by_stem]
        photo = file.name.removesuffix(MASK_SUFFIX)
        is_mask = photo not in ("", file.name) and file.with_name(photo) in names
        if not is_mask and not any(_is_result(file, original) for original in originals):
            yield file


def _is_result(file: Path, original: Path) -> bool:
    return count_edits(file) > count_edits(original)


def count_edits(path: Path) -> int:
    """Return the number of edits in the history of a photo or video; 0 if it cannot be read."""
    try:
        with Scratch() as scratch:
            return len(read_history(scratch.fetch(path)))
    except BurnishError:
        return 0
