"""The plan of a run: every output is named and checked before the first file is read."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from burnish.editing.history import read_history
from burnish.editing.inputs import InputFile, find_inputs
from burnish.editing.options import DEFAULT_OUTPUT, OutputOptions, check_template, format_name
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
from burnish.video.formats import (
    SAME_AS_SOURCE,
    EncodingOptions,
    can_edit_videos,
    check_encoding_options,
    has_video_extension,
    is_container,
    writable_container,
)


@dataclass(frozen=True)
class PlannedFile:
    """A photo or video and its output file. `skip` is set if the output exists and is kept."""

    source: Path
    target: Path
    skip: bool = False

    @property
    def is_video(self) -> bool:
        """True if it has the extension of a video."""
        return has_video_extension(self.source)


@dataclass(frozen=True)
class Plan:
    """The files of a run.

    Parameters
    ----------
    files : the inputs and outputs, in order
    ignored : number of files in folders that are neither photos nor videos
    earlier_outputs : number of files in folders that are outputs of an earlier run
    """

    files: tuple[PlannedFile, ...]
    ignored: int = 0
    earlier_outputs: int = 0


def plan(
    paths: Sequence[Path],
    edit_name: str,
    options: OutputOptions = DEFAULT_OUTPUT,
    scratch_bytes: Callable[[Path], int] = lambda _: 0,
) -> Plan:
    """Plan a run over photos, videos and folders of them.

    Parameters
    ----------
    edit_name : part of output names: `photo.jpg` -> `photo.EDIT.jpg`
    scratch_bytes : returns the disk space that editing a photo needs temporarily, in bytes

    Raises
    ------
    UsageError : two outputs have the same path, an output would replace an input, there are no
        inputs, or `options` cannot be met, such as a format that is not written
    VideoError : the format of the only video is not written
    MissingLibraryError : a video is named, and PyAV is not installed
    OutputError : outputs exist and neither `overwrite` nor `skip_existing` is set, or there is
        too little disk space
    """
    overwrite = options.write.overwrite
    check_template(options.name)
    check_known_depth(options.write.depth)
    if overwrite and options.skip_existing:
        raise UsageError("--overwrite, --skip-existing", "they contradict each other", "drop one")
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
    remaining = _without_earlier_outputs(targets, overwrite=overwrite)
    _check_collisions(remaining)
    _check_reserved(remaining, options.reserved)
    _check_encoding(remaining, options.write.encoding)
    files = tuple(
        PlannedFile(source.path, target, skip=options.skip_existing and os.path.lexists(target))
        for source, target in remaining
    )
    if not overwrite:
        _check_absent(files)
    _check_disk_space(files, scratch_bytes)
    return Plan(files, inputs.ignored, earlier_outputs=len(targets) - len(remaining))


def output_path(source: Path, edit_name: str, options: OutputOptions) -> Path:
    """Return the output path for one photo or video.

    Raises
    ------
    PhotoError : `source` is a folder
    BurnishError : as in `plan`
    """
    if source.is_dir():
        raise PhotoError(str(source), "this is a folder, not a photo", "name a photo in it")
    planning_options = replace(
        options, write=replace(options.write, overwrite=True), skip_existing=False
    )
    target = plan([source], edit_name, planning_options).files[0].target
    check_absent(target, overwrite=options.write.overwrite)
    return target


def check_stream(source: Path, options: OutputOptions) -> None:
    """Check that a photo can be written to standard output; the errors are those of `plan`."""
    check_known_depth(options.write.depth)
    _check_video_options([InputFile(source)], options)
    with as_usage_error():
        _extensions(options, None, is_video=False)


Targets = Sequence[tuple[InputFile, Path]]


def _split_output(output: str | Path | None, *, several: bool) -> tuple[Path | None, Path | None]:
    """Return `output` as a folder or as the file for the only input."""
    if output is None:
        return None, None
    path = Path(output)
    means_folder = str(output).endswith(("/", os.sep)) or not path.suffix or path.is_dir()
    if several and (path.is_file() or not means_folder):
        raise UsageError(
            f"-o {output}",
            "several inputs need an output folder, and this is a file name",
            "end it in / to mean a folder",
        )
    return (path, None) if means_folder else (None, path)


def _extensions(
    options: OutputOptions, file: Path | None, *, is_video: bool
) -> dict[bool, str | None]:
    """Check the output formats, and return their extensions.

    Parameters
    ----------
    file : the only output
    is_video : whether the only input is a video

    Returns
    -------
    The extensions for photos (False) and for videos (True); None means that of the input
    """
    depth = options.write.depth
    if file is not None:
        _check_file(options, file, is_video=is_video)
        return {True: None, False: None}
    if options.format is None:
        return {True: None, False: None}
    if is_container(options.format):
        return {True: writable_container(options.format, "--format").extensions[0], False: None}
    file_format = writable_format(options.format, "--format")
    check_depth(file_format, depth, "--format")
    return {True: None, False: file_format.extensions[0]}


def _check_file(options: OutputOptions, file: Path, *, is_video: bool) -> None:
    """Check that the output file has a format that is written, and the one of --format."""
    name = options.format or file.suffix
    if is_video:
        same = writable_container(file.suffix, str(file)) == writable_container(name, "--format")
    else:
        check_writable(file, options.write.depth)
        same = writable_format(name, "--format") == writable_format(file.suffix, str(file))
    if not same:
        raise UsageError(
            f"--format {options.format}", f"-o {file} has another format", "leave one of them out"
        )


def _check_video_options(sources: Sequence[InputFile], options: OutputOptions) -> None:
    """Check that videos can be edited, and that all options apply to the kinds of inputs."""
    write = options.write
    kinds = {source.is_video for source in sources}
    if write.encoding != SAME_AS_SOURCE and True not in kinds:
        raise UsageError("--codec, --crf", "they apply to videos, and there are none", "drop them")
    if write.quality is not None and kinds == {True}:
        raise UsageError(
            f"--quality {write.quality}", "it applies to photos, and there are none", "use --crf"
        )
    if options.format is not None and is_container(options.format) not in kinds:
        inputs = "videos" if True in kinds else "photos"
        raise UsageError(
            f"--format {options.format}", f"this is not a format of {inputs}", "leave it out"
        )
    named_videos = [source for source in sources if source.is_video and not source.from_folder]
    if named_videos and not can_edit_videos():
        error = missing_library(ModuleNotFoundError(name="av"))
        raise error.with_context(str(named_videos[0].path))
    if named_videos and write.depth is not None:
        raise UsageError(
            f"--depth {write.depth}",
            f"it does not apply to videos ({named_videos[0].path}), which keep their bit depth",
            "leave it out",
        )


def _check_encoding(targets: Targets, encoding: EncodingOptions) -> None:
    """Check the encoding of named videos. Videos from folders fail one by one in the run."""
    for source, target in targets:
        if source.is_video and not source.from_folder:
            container = writable_container(target.suffix, str(target))
            check_encoding_options(encoding, container, str(target))


def _without_earlier_outputs(targets: Targets, *, overwrite: bool) -> Targets:
    """Drop inputs that are outputs of other inputs, as after an earlier run in the same folder.

    With `overwrite`, an input that was named, or has no history of edits, is not dropped. It is
    rejected later, so that no original is replaced.
    """
    target_paths = {_normalised(target) for source, target in targets if source.path != target}
    return [
        (source, target)
        for source, target in targets
        if _normalised(source.path) not in target_paths
        or (overwrite and not (source.from_folder and _was_edited(source.path)))
    ]


def _was_edited(path: Path) -> bool:
    """Return whether a photo or video has a history of edits."""
    try:
        return bool(read_history(path))
    except BurnishError:
        return False


def _check_collisions(targets: Targets) -> None:
    """Check that all outputs differ, and that none of them is an input."""
    inputs = {_file_identity(source.path): source.path for source, _ in targets}
    source_of: dict[str, Path] = {}
    for source, target in targets:
        # Some file systems treat A.jpg and a.jpg as the same file.
        key = _normalised(target).casefold()
        if key in source_of:
            raise UsageError(
                str(source.path),
                f"its output {target} is also that of {source_of[key]}",
                "give each photo once, or use separate runs with different -o",
            )
        if _file_identity(target) in inputs:
            raise UsageError(
                str(target),
                f"this output is the input {inputs[_file_identity(target)]}",
                "choose another -o or --name",
            )
        source_of[key] = source.path


def _check_reserved(targets: Targets, reserved: Iterable[Path]) -> None:
    """Check that no output replaces another file that the run reads or writes."""
    reserved_paths = {_file_identity(path): path for path in reserved}
    for _, target in targets:
        if _file_identity(target) in reserved_paths:
            raise UsageError(
                str(target),
                f"the command also uses {reserved_paths[_file_identity(target)]}, the same file",
                "choose another -o or --name",
            )


def _check_absent(files: Sequence[PlannedFile]) -> None:
    """Check that no output exists, apart from those to skip."""
    existing = [file.target for file in files if not file.skip and os.path.lexists(file.target)]
    if len(existing) == 1 == len(files):
        check_absent(existing[0], overwrite=False)
    if existing:
        raise OutputError(
            f"{existing[0]} and others" if len(existing) > 1 else f"{existing[0]}",
            f"{len(existing)} of {len(files)} outputs exist",
            "use --skip-existing to do the rest, --overwrite to replace them, or another -o",
        )


def _check_disk_space(files: Iterable[PlannedFile], scratch_bytes: Callable[[Path], int]) -> None:
    """Check the free disk space, and assume that an output is as large as its input."""
    needed: dict[int, tuple[Path, int, int]] = {}
    for file in files:
        if file.skip or not file.source.is_file():
            continue
        folder = next(p for p in file.target.absolute().parents if p.exists())
        _, output_bytes, work_bytes = needed.get(folder.stat().st_dev, (folder, 0, 0))
        size = file.source.stat().st_size
        # Temporary space is freed after each file. A video's segments lie next to its output.
        work_bytes = max(work_bytes, size if file.is_video else scratch_bytes(file.source))
        needed[folder.stat().st_dev] = folder, output_bytes + size, work_bytes
    for folder, output_bytes, work_bytes in needed.values():
        purpose = "outputs about as large as the inputs"
        check_disk_space(
            folder,
            output_bytes + work_bytes,
            purpose + (" and temporary files" if work_bytes else ""),
        )


def _normalised(path: Path) -> str:
    """Return the absolute path. Links are not followed."""
    return os.path.abspath(path)  # noqa: PTH100


def _file_identity(path: Path) -> tuple[int, int] | str:
    """Return a key that is equal for all links and spellings of one file."""
    try:
        stat = path.stat()
    except (OSError, ValueError):  # it does not exist, or is not a path: reading it will fail
        return _normalised(path)
    return stat.st_dev, stat.st_ino
