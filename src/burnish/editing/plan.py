"""The plan: every output is named and checked before the first pixel is read."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from burnish.editing.history import read_history
from burnish.editing.inputs import InputFile, find_inputs
from burnish.editing.naming import DEFAULT_NAME, check_template, format_name
from burnish.errors import (
    BurnishError,
    OutputError,
    PhotoError,
    UsageError,
    as_usage_error,
    missing_library,
)
from burnish.files import check_absent, check_disk_space
from burnish.photo.formats import check_depth, check_known_depth, check_writable, writable_format
from burnish.video import formats as films
from burnish.video.formats import (
    SAME_AS_SOURCE,
    EncodingOptions,
    can_edit_videos,
    check_encoding_options,
    has_video_extension,
)


@dataclass(frozen=True)
class PlannedFile:
    """One photo or film to read and where its result goes; `skip` where it is there already."""

    source: Path
    target: Path
    skip: bool = False

    @property
    def is_video(self) -> bool:
        """Whether it is a film, by its name."""
        return has_video_extension(self.source)


@dataclass(frozen=True)
class Plan:
    """What a run will do.

    Parameters
    ----------
    files : a photo each, in order
    ignored : files in folders that are no photos by their names
    earlier_outputs : photos that are results of an earlier run over the same folder
    """

    files: tuple[PlannedFile, ...]
    ignored: int = 0
    earlier_outputs: int = 0


@dataclass(frozen=True)
class OutputOptions:
    """Where results are to go, how they are named, and what may be replaced.

    Parameters
    ----------
    output : a file for one photo; a folder for several, or where it is one, ends like one
        ("smooth/") or has no suffix; None puts each result beside its photo
    name : a template, see `burnish.editing.naming`
    format : of the results, where it is not that of their photos and `output` is no file
    recursive : take the folders below those given, and keep the tree under `output`
    overwrite : replace existing results
    skip_existing : leave out photos whose results exist
    quality, depth : of photos; see `Photo.save`
    encoding_options : how films are encoded
    reserved : other files of the run, read or written: no result replaces one
    """

    output: str | Path | None = None
    name: str = DEFAULT_NAME
    format: str | None = None
    recursive: bool = False
    overwrite: bool = False
    skip_existing: bool = False
    quality: int | None = None
    depth: int | None = None
    encoding_options: EncodingOptions = SAME_AS_SOURCE
    reserved: Sequence[Path] = ()


def plan(
    paths: Sequence[Path],
    edit_name: str,
    options: OutputOptions = OutputOptions(),
    scratch_bytes: Callable[[Path], int] = lambda _: 0,
) -> Plan:
    """Plan a run over photos, films and folders of them.

    Parameters
    ----------
    edit_name : goes into the names: `photo.jpg` -> `photo.EDIT.jpg`
    scratch_bytes : bytes that editing a photo takes on the disk for a while, beside its result

    Raises
    ------
    UsageError : two results would meet in one file, a result would replace an input, no photo is
        found, or something in `options` cannot be: a format that is not written, or lacks the depth
    VideoError : the one film's own format is not written
    MissingLibraryError : a film, and no library for films
    OutputError : results exist and neither `overwrite` nor `skip_existing` is set, or the disk
        has too little room
    """
    check_template(options.name)
    check_known_depth(options.depth)
    if options.overwrite and options.skip_existing:
        raise UsageError(
            "--overwrite, --skip-existing", expected="one of the two", got="both", remedy="drop one"
        )
    several = len(paths) > 1 or any(path.is_dir() for path in paths)
    folder, file = _split_output(options.output, several=several)
    is_video = has_video_extension(paths[0]) if paths else False
    with as_usage_error():
        extensions = _extensions(options, file, is_video=is_video)
    inputs = find_inputs(paths, recursive=options.recursive, output=folder)
    _check_video_options(inputs.files, options)

    def target_path(source: InputFile) -> Path:
        name = format_name(options.name, source.path, edit_name, extensions[source.is_video])
        return file or (folder / source.subfolder if folder else source.path.parent) / name

    targets = [(source, target_path(source)) for source in inputs.files]
    remaining = _without_earlier_outputs(targets, overwrite=options.overwrite)
    _check_collisions(remaining)
    _check_reserved(remaining, options.reserved)
    _check_encoding(remaining, options.encoding_options)
    files = tuple(
        PlannedFile(source.path, target, skip=options.skip_existing and os.path.lexists(target))
        for source, target in remaining
    )
    if not options.overwrite:
        _check_absent(files)
    _check_disk_space(files, scratch_bytes)
    return Plan(files, inputs.ignored, earlier_outputs=len(targets) - len(remaining))


def output_path(source: Path, edit_name: str, options: OutputOptions) -> Path:
    """Return where the result of one photo or film goes; the errors are those of `plan`.

    Raises
    ------
    PhotoError : a folder rather than a photo
    """
    if source.is_dir():
        raise PhotoError(
            str(source), expected="a photo", got="a folder", remedy="name a photo in it"
        )
    planning_options = replace(options, overwrite=True, skip_existing=False)
    target = plan([source], edit_name, planning_options).files[0].target
    check_absent(target, overwrite=options.overwrite)
    return target


def check_stream(source: Path, options: OutputOptions) -> None:
    """See that a photo can go to a stream as it is wished; the errors are those of `plan`."""
    check_known_depth(options.depth)
    _check_video_options([InputFile(source)], options)
    with as_usage_error():
        _extensions(options, None, is_video=False)


Targets = Sequence[tuple[InputFile, Path]]


def _split_output(output: str | Path | None, *, several: bool) -> tuple[Path | None, Path | None]:
    """Tell what `output` is: a folder, or a file for the one photo."""
    if output is None:
        return None, None
    path = Path(output)
    means_folder = str(output).endswith(("/", os.sep)) or not path.suffix or path.is_dir()
    if several and (path.is_file() or not means_folder):
        raise UsageError(
            f"-o {output}",
            expected="a folder for several photos",
            got="a file" if path.is_file() else "the name of a file",
            remedy="end it in / to mean a folder",
        )
    return (path, None) if means_folder else (None, path)


def _extensions(
    options: OutputOptions, file: Path | None, *, is_video: bool
) -> dict[bool, str | None]:
    """Return the results' extensions where they are not their sources', and see that they can be.

    Parameters
    ----------
    file : for the one result, a film's where `is_video` is set

    Returns
    -------
    whether of films -> extension or None
    """
    if file is not None:
        _check_file(options, file, is_video=is_video)
        return {True: None, False: None}
    if options.format is None:
        return {True: None, False: None}
    if films.is_container(options.format):
        return {
            True: films.writable_container(options.format, "--format").extensions[0],
            False: None,
        }
    file_format = writable_format(options.format, "--format")
    check_depth(file_format, options.depth, "--format")
    return {True: None, False: file_format.extensions[0]}


def _check_file(options: OutputOptions, file: Path, *, is_video: bool) -> None:
    """See that the file that was named can be the result, and is of the format that was named."""
    if is_video:
        same = films.writable_container(file.suffix, str(file)) == (
            films.writable_container(options.format or file.suffix, "--format")
        )
    else:
        check_writable(file, options.depth)
        same = writable_format(options.format or file.suffix, "--format") == writable_format(
            file.suffix, str(file)
        )
    if not same:
        raise UsageError(
            f"--format {options.format}",
            expected=f"the format that -o {file} has",
            got="another",
            remedy="leave one of them out",
        )


def _check_video_options(sources: Sequence[InputFile], options: OutputOptions) -> None:
    """See that films can be edited at all, and that nothing is asked for that is of photos only."""
    if options.encoding_options != SAME_AS_SOURCE and not any(
        source.is_video for source in sources
    ):
        raise UsageError(
            "--codec, --crf",
            expected="a film to encode",
            got="only photos",
            remedy="leave them out",
        )
    kinds = {source.is_video for source in sources}
    if options.quality is not None and kinds == {True}:
        raise UsageError(
            f"--quality {options.quality}", expected="a photo", got="only films", remedy="use --crf"
        )
    if options.format is not None and films.is_container(options.format) not in kinds:
        raise UsageError(
            f"--format {options.format}",
            expected=f"a format of {'films' if True in kinds else 'photos'}",
            got=f"one of {'photos' if True in kinds else 'films'}",
            remedy="leave it out",
        )
    named = [source for source in sources if source.is_video and not source.from_folder]
    if named and not can_edit_videos():
        raise missing_library(ModuleNotFoundError(name="av")).with_context(str(named[0].path))
    if named and options.depth is not None:
        raise UsageError(
            f"--depth {options.depth}",
            expected="none for a film, which keeps its own",
            got=f"{named[0].path}",
            remedy="leave it out",
        )


def _check_encoding(targets: Targets, encoding_options: EncodingOptions) -> None:
    """See that what was named can be; films that were found fail one by one."""
    for source, target in targets:
        if source.is_video and not source.from_folder:
            check_encoding_options(
                encoding_options, films.writable_container(target.suffix, str(target)), str(target)
            )


def _without_earlier_outputs(targets: Targets, *, overwrite: bool) -> Targets:
    """Leave out photos that are results of others, as after an earlier run over the same folder.

    Where results may be replaced, one stays, and is refused, that was named by itself or does not
    say that burnish made it.
    """
    target_paths = {_normalised(target) for source, target in targets if source.path != target}
    return [
        (source, target)
        for source, target in targets
        if _normalised(source.path) not in target_paths
        or (overwrite and not (source.from_folder and _was_edited(source.path)))
    ]


def _was_edited(path: Path) -> bool:
    """Tell whether a photo or film says that burnish made it."""
    try:
        return bool(read_history(path))
    except BurnishError:
        return False


def _check_collisions(targets: Targets) -> None:
    """See that no two results meet, and that none replaces a photo."""
    inputs = {_file_identity(source.path): source.path for source, _ in targets}
    source_of: dict[str, Path] = {}
    for source, target in targets:
        # Folded, since some file systems take A.jpg and a.jpg for one.
        key = _normalised(target).casefold()
        if key in source_of:
            raise UsageError(
                str(source.path),
                expected="a result of its own for each photo",
                got=f"{target} for {source_of[key]} too",
                remedy="give each photo once, or run them apart with different -o",
            )
        if _file_identity(target) in inputs:
            raise UsageError(
                str(target),
                expected="an output that is no input",
                got=f"the photo {inputs[_file_identity(target)]} itself",
                remedy="choose another -o or --name",
            )
        source_of[key] = source.path


def _check_reserved(targets: Targets, reserved: Iterable[Path]) -> None:
    """See that no result replaces another file that the run reads or writes."""
    reserved_paths = {_file_identity(path): path for path in reserved}
    for _, target in targets:
        if _file_identity(target) in reserved_paths:
            raise UsageError(
                str(target),
                expected="an output that no other part of the command reads or writes",
                got=f"{reserved_paths[_file_identity(target)]}",
                remedy="choose another -o or --name",
            )


def _check_absent(files: Sequence[PlannedFile]) -> None:
    """See that no result is there already, unless it is to be skipped."""
    existing = [step.target for step in files if not step.skip and os.path.lexists(step.target)]
    if len(existing) == 1 == len(files):
        check_absent(existing[0], overwrite=False)
    if existing:
        raise OutputError(
            f"{existing[0]} and others" if len(existing) > 1 else f"{existing[0]}",
            expected=f"{len(files)} new files",
            got=f"{len(existing)} that exist",
            remedy="use --skip-existing to do the rest, --overwrite to replace, or another -o",
        )


def _check_disk_space(files: Iterable[PlannedFile], scratch_bytes: Callable[[Path], int]) -> None:
    """See that the disks have room, taking a result to be as large as its photo or film."""
    needed: dict[int, tuple[Path, int, int]] = {}
    for step in files:
        if step.skip or not step.source.is_file():
            continue
        folder = next(p for p in step.target.absolute().parents if p.exists())
        _, output_bytes, work_bytes = needed.get(folder.stat().st_dev, (folder, 0, 0))
        size = step.source.stat().st_size
        # What is needed for a while is so for one after another; a film's stretches lie there
        # beside what they are joined to.
        work_bytes = max(work_bytes, size if step.is_video else scratch_bytes(step.source))
        needed[folder.stat().st_dev] = folder, output_bytes + size, work_bytes
    for folder, output_bytes, work_bytes in needed.values():
        purpose = "results about as large as what is edited"
        check_disk_space(
            folder,
            output_bytes + work_bytes,
            purpose + (" and the work on it" if work_bytes else ""),
        )


def _normalised(path: Path) -> str:
    """Return a path in full; links are not followed."""
    return os.path.abspath(path)  # noqa: PTH100


def _file_identity(path: Path) -> tuple[int, int] | str:
    """Return what a path leads to: links and spellings of one file are one."""
    try:
        stat = path.stat()
    except (OSError, ValueError):  # not there, or no path at all: reading it will say so
        return _normalised(path)
    return stat.st_dev, stat.st_ino
