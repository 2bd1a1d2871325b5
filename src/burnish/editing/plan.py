"""The plan of a run. Inputs are listed, and outputs named and checked, before the first edit."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from burnish.editing.inputs import InputFile, count_edits, find_inputs
from burnish.editing.options import DEFAULT_OPTIONS, OutputOptions, check_template
from burnish.errors import (
    BurnishError,
    OutputError,
    PhotoError,
    UsageError,
    as_usage_error,
    missing_library,
    warn,
)
from burnish.files import (
    check_absent,
    check_disk_space,
    check_place,
    existing,
    is_file,
    is_folder,
)
from burnish.photo.formats import (
    can_develop_raw,
    check_depth,
    check_known_depth,
    check_writable,
    has_raw_extension,
    replaced_format,
    result_format,
    writable_format,
)
from burnish.storage import as_path, is_remote
from burnish.video.formats import (
    SAME_AS_SOURCE,
    can_edit_videos,
    check_encoding_options,
    has_video_extension,
    is_container,
    writable_container,
)

Targets = Sequence[tuple[InputFile, Path]]


@dataclass(frozen=True)
class PlannedFile:
    """A photo or video and its output file.

    Parameters
    ----------
    skip : the output exists and is kept
    is_retry : an earlier attempt ended with its worker, and may have written the output
    """

    source: Path
    target: Path
    skip: bool = False
    is_retry: bool = False

    @property
    def is_video(self) -> bool:
        """True if it has the extension of a video."""
        return has_video_extension(self.source)


@dataclass(frozen=True)
class Plan:
    """The files of a run, and what it ignores in folders.

    Parameters
    ----------
    ignored : number of files that are neither photos nor videos
    earlier_outputs : number of files that are outputs of an earlier run
    unreadable : an error for each folder that cannot be listed, and for each photo whose keywords
        cannot be read
    left_out : number of files that do not meet the conditions
    """

    files: tuple[PlannedFile, ...]
    ignored: int = 0
    earlier_outputs: int = 0
    unreadable: tuple[BurnishError, ...] = ()
    left_out: int = 0


def plan(
    paths: Sequence[Path],
    edit_name: str,
    options: OutputOptions = DEFAULT_OPTIONS,
    scratch_bytes: Callable[[Path], int] = lambda _: 0,
    *,
    allow_existing: bool = False,
) -> Plan:
    """Plan a run over photos, videos and folders of them.

    Parameters
    ----------
    edit_name : part of output names: `photo.jpg` -> `photo.EDIT.jpg`
    scratch_bytes : returns the disk space that editing a photo needs temporarily, in bytes
    allow_existing : leave it to the caller to check that outputs do not exist

    Raises
    ------
    UsageError : there are no inputs, two outputs have the same path, an output would replace an
        input, or `options` cannot be met
    VideoError : the format of a named video is not written
    MissingLibraryError : a video or raw file is named, and its library is not installed
    OutputError : outputs exist and neither `overwrite` nor `skip_existing` is set, the name of an
        output is too long, or a folder is not writable or has too little disk space

    Warns
    -----
    UserWarning : results get another format than their photos, or `find_inputs` ignores files
    """
    check_template(options.name)
    check_known_depth(options.depth)
    if options.overwrite and options.skip_existing:
        raise UsageError("--overwrite, --skip-existing", "they contradict each other", "drop one")
    several = len(paths) > 1 or any(map(is_folder, paths))
    folder, file = _split_output(options.output, several=several)
    is_video = has_video_extension(paths[0]) if paths else False
    with as_usage_error():
        extensions = _extensions(options, file, is_video=is_video)
    inputs = find_inputs(paths, recursive=options.recursive, output=folder)
    left_out = 0
    if options.where:
        from burnish.editing.where import choose_inputs

        inputs, left_out = choose_inputs(inputs, options.where)
    _check_inputs(inputs.files, options)

    def target_path(source: InputFile) -> Path:
        extension = extensions[has_video_extension(source.path)] or _result_extension(source.path)
        name = options.name.format(stem=source.path.stem, operator=edit_name, ext=extension)
        return file or (folder / source.subfolder if folder else source.path.parent) / name

    targets = [(source, target_path(source)) for source in inputs.files]
    remaining = _without_earlier_outputs(targets, overwrite=options.overwrite)
    _check_collisions(remaining, options.reserved)
    for source, target in remaining:
        # Videos from folders fail one by one in the run.
        if has_video_extension(source.path) and not source.from_folder:
            container = writable_container(target.suffix, str(target))
            check_encoding_options(options.encoding, container, str(target))
    present: set[Path] = set()
    if not options.overwrite and (options.skip_existing or not allow_existing):
        present = existing(target for _, target in remaining)
    files = tuple(
        PlannedFile(source.path, target, skip=options.skip_existing and target in present)
        for source, target in remaining
    )
    if not allow_existing:
        _check_absent(files, present)
    for file_to_write in files:
        if not file_to_write.skip:
            check_place(file_to_write.target)
    _check_disk_space(files, scratch_bytes)
    if file is None and options.format is None:
        _warn_of_other_formats([file.source for file in files])
    earlier_outputs = inputs.results + len(targets) - len(remaining)
    return Plan(files, inputs.ignored, earlier_outputs, tuple(inputs.unreadable), left_out)


def output_path(source: Path, edit_name: str, options: OutputOptions) -> Path:
    """Return the output path for one photo or video.

    Raises
    ------
    PhotoError : `source` is a folder
    BurnishError : as in `plan`
    """
    if is_folder(source):
        raise PhotoError(str(source), "this is a folder, not a photo", "name a photo in it")
    options_for_plan = replace(options, overwrite=True, skip_existing=False)
    target = plan([source], edit_name, options_for_plan).files[0].target
    check_absent(target, overwrite=options.overwrite)
    return target


def check_stream(source: Path, options: OutputOptions) -> None:
    """Check that a photo can be written to standard output; the errors are those of `plan`."""
    check_known_depth(options.depth)
    _check_inputs([InputFile(source)], options)
    with as_usage_error():
        _extensions(options, None, is_video=False)


def _split_output(output: str | Path | None, *, several: bool) -> tuple[Path | None, Path | None]:
    """Return `output` as a folder or as the file for the only input."""
    if output is None:
        return None, None
    path = as_path(output)
    means_folder = str(output).endswith(("/", os.sep)) or not path.suffix or is_folder(path)
    if several and (is_file(path) or not means_folder):
        problem = "several inputs need an output folder, and this is a file name"
        raise UsageError(f"-o {output}", problem, "end it in / to mean a folder")
    return (path, None) if means_folder else (None, path)


def _extensions(
    options: OutputOptions, file: Path | None, *, is_video: bool
) -> dict[bool, str | None]:
    """Check the output formats, and return the extensions for photos (False) and videos (True).

    None stands for the extension of the input. `file` is the only output, `is_video` tells whether
    the only input is a video.
    """
    extensions: dict[bool, str | None] = {True: None, False: None}
    if file is not None:
        _check_file(options, file, is_video=is_video)
    elif options.format is None:
        pass
    elif is_container(options.format):
        extensions[True] = writable_container(options.format, "--format").extensions[0]
    else:
        file_format = writable_format(options.format, "--format")
        check_depth(file_format, options.depth, "--format")
        extensions[False] = file_format.extensions[0]
    return extensions


def _check_file(options: OutputOptions, file: Path, *, is_video: bool) -> None:
    """Check that the output file has a format that is written, and the one of --format."""
    name = options.format or file.suffix
    if is_video:
        is_same = writable_container(file.suffix, str(file)) == writable_container(name, "--format")
    else:
        check_writable(file, options.depth)
        is_same = writable_format(name, "--format") == writable_format(file.suffix, str(file))
    if not is_same:
        problem = f"-o {file} has another format"
        raise UsageError(f"--format {options.format}", problem, "leave one of them out")


def _result_extension(source: Path) -> str:
    replaced = replaced_format(source)
    return result_format(replaced).extensions[0] if replaced else source.suffix


def _warn_of_other_formats(sources: Iterable[Path]) -> None:
    """Name the formats of results whose photos are in a format that is only read."""
    replaced = dict.fromkeys(filter(None, map(replaced_format, sources)))
    for format in replaced:
        kind = format.name if format.name == "raw" else format.name.upper()
        result = result_format(format).name.upper()
        warn(f"results of {kind} photos are {result} files; --format chooses another format")


def _check_inputs(sources: Sequence[InputFile], options: OutputOptions) -> None:
    """Check that the inputs can be edited, and that all options apply to their kinds."""
    named_raw = [s.path for s in sources if not s.from_folder and has_raw_extension(s.path)]
    if named_raw and not can_develop_raw():
        raise missing_library(ModuleNotFoundError(name="rawpy")).with_context(str(named_raw[0]))
    videos = [source for source in sources if has_video_extension(source.path)]
    has_videos, has_photos = bool(videos), len(videos) < len(sources)
    if options.encoding != SAME_AS_SOURCE and not has_videos:
        raise UsageError("--codec, --crf", "they apply to videos, and there are none", "drop them")
    if options.quality is not None and not has_photos:
        problem = "it applies to photos, and there are none"
        raise UsageError(f"--quality {options.quality}", problem, "use --crf")
    if options.format is not None:
        format_applies = has_videos if is_container(options.format) else has_photos
        if not format_applies:
            problem = f"this is not a format of {'videos' if has_videos else 'photos'}"
            raise UsageError(f"--format {options.format}", problem, "leave it out")
    named_video = next((str(source.path) for source in videos if not source.from_folder), None)
    if named_video and not can_edit_videos():
        raise missing_library(ModuleNotFoundError(name="av")).with_context(named_video)
    if named_video and options.depth is not None:
        problem = f"videos such as {named_video} keep their bit depth"
        raise UsageError(f"--depth {options.depth}", problem, "leave it out")


def _without_earlier_outputs(targets: Targets, *, overwrite: bool) -> Targets:
    """Drop inputs that are outputs of other inputs, as after an earlier run in the same folder.

    With `overwrite`, an input that was named, or has no history of edits, is not dropped. It is
    rejected later, so that no original is replaced.
    """
    target_paths = {_absolute(target) for source, target in targets if source.path != target}
    return [
        (source, target)
        for source, target in targets
        if _absolute(source.path) not in target_paths
        or (overwrite and not (source.from_folder and count_edits(source.path)))
    ]


def _check_collisions(targets: Targets, reserved: Iterable[Path]) -> None:
    """Check that all outputs differ, and that none is an input or a reserved file."""
    inputs = {_file_identity(source.path): source.path for source, _ in targets}
    reserved_files = {_file_identity(path): path for path in reserved}
    source_of: dict[str, Path] = {}
    for source, target in targets:
        # Some file systems treat A.jpg and a.jpg as the same file, and object storage never does.
        key = _absolute(target)
        key = key if is_remote(target) else key.casefold()
        identity = _file_identity(target)
        if key in source_of:
            problem = f"its output {target} is also that of {source_of[key]}"
            remedy = "give each photo once, or use separate runs with different -o"
            raise UsageError(str(source.path), problem, remedy)
        if identity in inputs or identity in reserved_files:
            problem = f"this output is also used by the command, as {reserved_files.get(identity)}"
            if identity in inputs:
                problem = f"this output is the input {inputs[identity]}"
            raise UsageError(str(target), problem, "choose another -o or --name")
        source_of[key] = source.path


def _absolute(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100  (resolve() would follow links)


def _file_identity(path: Path) -> tuple[int, int] | str:
    """Return a key that is equal for all links and spellings of one file."""
    try:
        stat = path.stat()
    except (OSError, ValueError):  # it does not exist, or is not a path: reading it will fail
        return _absolute(path)
    return stat.st_dev, stat.st_ino


def _check_absent(files: Sequence[PlannedFile], present: set[Path]) -> None:
    """Check that no output is present, apart from those to skip."""
    in_the_way = [file.target for file in files if not file.skip and file.target in present]
    if len(in_the_way) == 1 == len(files):
        check_absent(in_the_way[0], overwrite=False)
    if in_the_way:
        where = f"{in_the_way[0]} and others" if len(in_the_way) > 1 else f"{in_the_way[0]}"
        problem = f"{len(in_the_way)} of {len(files)} outputs exist"
        remedy = "use --skip-existing to do the rest, --overwrite to replace them, or another -o"
        raise OutputError(where, problem, remedy)


def _check_disk_space(files: Iterable[PlannedFile], scratch_bytes: Callable[[Path], int]) -> None:
    """Check the free disk space, and assume that an output is as large as its input.

    Object storage has no limit, and its photos are copied one by one, when they are edited.
    """
    needed: dict[int, tuple[Path, int, int]] = {}
    for file in files:
        is_local = not is_remote(file.source) and not is_remote(file.target)
        if file.skip or not is_local or not is_file(file.source):
            continue
        folder = next(p for p in file.target.absolute().parents if is_folder(p))
        _, output_bytes, work_bytes = needed.get(folder.stat().st_dev, (folder, 0, 0))
        size = file.source.stat().st_size
        # Temporary space is freed after each file. A video's segments lie next to its output.
        work_bytes = max(work_bytes, size if file.is_video else scratch_bytes(file.source))
        needed[folder.stat().st_dev] = folder, output_bytes + size, work_bytes
    for folder, output_bytes, work_bytes in needed.values():
        contents = "outputs about as large as the inputs"
        contents += " and temporary files" if work_bytes else ""
        check_disk_space(folder, output_bytes + work_bytes, contents)
