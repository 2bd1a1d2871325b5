"""Run an edit over photos and videos, with progress, one record per file and an exit code."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Option

from burnish.cli.options import RAY_ADDRESSES, Qualities, option, parse_qualities
from burnish.editing.options import DEFAULT_NAME
from burnish.errors import INTERRUPTED, BurnishError, UsageError, as_usage_error, join_or
from burnish.files import check_absent, check_place, is_folder
from burnish.modelfile.quality import PREVIEW, QUALITIES, STANDARD
from burnish.storage import as_path, is_remote
from burnish.video.formats import EncodingOptions

if TYPE_CHECKING:
    from burnish.cli.progress import ConsoleProgress
    from burnish.editing.batch import Outcome
    from burnish.editing.edit import Edit
    from burnish.editing.options import OutputOptions
    from burnish.editing.plan import Plan
    from burnish.editing.region_edit import MaskWriter

SaveMask = Annotated[
    str | None,
    Option(
        metavar="FILE or FOLDER",
        help="Also write the region as a grey image; in a folder, as PHOTO.EXT.mask.png.",
        rich_help_panel="Regions",
    ),
]

# File name that stands for standard input and standard output.
STREAM = Path("-")
# The file, if any, that the shell redirects to standard input.
_STANDARD_INPUT = Path("/dev/stdin")

_option = partial(option, panel="Output")


@dataclass(frozen=True)
class BatchOptions:
    """The options for the outputs and the messages of a run."""

    output: str | None = _option(
        None,
        "A file for one input, a folder (FOLDER/) for several, or - for standard output. "
        "[default: PHOTO.OPERATOR.EXT beside each input]",
        "-o",
        "--output",
        metavar="FILE or FOLDER",
    )
    name: str = _option(
        DEFAULT_NAME, "Template for the names of outputs in a folder.", metavar="TEMPLATE"
    )
    format: str | None = _option(
        None, "Output format, such as png, or mkv for videos. [default: same as the input]"
    )
    recursive: bool = _option(
        False, "Include subfolders; -o FOLDER keeps their tree.", "-r", "--recursive"
    )
    where: tuple[str, ...] = _option(
        (),
        "Edit only photos with a keyword, such as keyword:beach; may be repeated.",
        metavar="CONDITION",
    )
    overwrite: bool = _option(False, "Replace existing outputs.")
    skip_existing: bool = _option(False, "Skip inputs whose output exists.")
    dry_run: bool = _option(False, "Print the planned outputs, and write nothing.")
    qualities: Qualities = _option(  # noqa: RUF009
        Qualities(),
        "Quality of JPEG, WebP and AVIF, 1 to 100; or which network of a model file with several: "
        f"{join_or(QUALITIES)}. May be given once for each. [default: 95; {STANDARD} for photos "
        f"and {PREVIEW} for videos]",
        "--quality",
        metavar="NUMBER or NAME",
        type=list[str],
        parse=parse_qualities,
    )
    depth: int | None = _option(
        None, "Bits per channel of photos: 8, 16 or 32. [default: same as the input]"
    )
    codec: str | None = _option(
        None,
        "Video codec: h264, hevc, av1, vp9, ffv1 or prores. [default: same as the input]",
    )
    crf: int | None = _option(
        None,
        "Video quality; lower is better. [default: 18 for h264, 20 for hevc, 24 for av1 and vp9]",
    )
    ray: str | None = _option(
        None,
        f"Edit on a Ray cluster: {RAY_ADDRESSES}. --threads is the CPUs of a worker, of which as "
        "many start as fit. [default: edit on this machine]",
        metavar="ADDRESS",
    )
    json_output: bool = _option(False, "Print one JSON object per file on stdout.", "--json")
    quiet: bool = _option(False, "Print errors only.", "-q", "--quiet")


def mask_writer(
    save_mask: str | None, photos: list[Path], batch: BatchOptions
) -> "MaskWriter | None":
    """Return the writer of the masks of a run, if there is a value of --save-mask.

    Raises
    ------
    UsageError : a file is given for several photos, or in a format that burnish does not write
    OutputError : the file exists, or a name is too long
    """
    if save_mask is None:
        return None
    if batch.ray or any(map(is_remote, photos)) or is_remote(as_path(save_mask)):
        problem = "masks are written on this machine only"
        raise UsageError(f"--save-mask {save_mask}", problem, "leave out --ray, and name files")
    from burnish.editing.inputs import MASK_SUFFIX, find_inputs
    from burnish.editing.region_edit import MaskWriter
    from burnish.photo.formats import check_writable

    path = Path(save_mask)
    folder = is_folder(path) or not path.suffix or save_mask.endswith("/")
    if not folder:
        if len(photos) > 1 or any(map(is_folder, photos)):
            raise UsageError(
                f"--save-mask {path}",
                "the masks of several photos need a folder",
                "add / at the end to name a folder",
            )
        with as_usage_error():
            check_writable(path)
        if not batch.dry_run:
            check_absent(path, overwrite=batch.overwrite)
        check_place(path)
    elif STREAM not in photos:
        for source in find_inputs(photos, recursive=batch.recursive).files:
            check_place(path / f"{source.path.name}{MASK_SUFFIX}")
    return MaskWriter(path, folder=folder, overwrite=batch.overwrite)


def collect_paths(*values: object) -> tuple[Path, ...]:
    """Return all values that may be file names: paths and strings.

    Parameters
    ----------
    values : lists, mappings and dataclasses are searched; other types are ignored
    """
    paths: list[Path] = []
    for value in values:
        if isinstance(value, str | Path):
            paths.append(Path(value))
        elif isinstance(value, Mapping):
            paths += collect_paths(*value.values())
        elif isinstance(value, list | tuple):
            paths += collect_paths(*value)
        elif is_dataclass(value):
            paths += collect_paths(*vars(value).values())
    return tuple(paths)


def run(
    load: "Callable[[int | None], Edit]",
    photos: list[Path],
    batch: BatchOptions,
    threads: int | None = None,
    reserved: Sequence[Path] = (),
    *,
    has_network: bool = False,
) -> None:
    """Edit photos and folders, or standard input to standard output, and set the exit code.

    Parameters
    ----------
    load : returns the edit for a number of CPU threads. With --ray, it is called on other machines,
        too, so it is a partial of a function at the top level of a module
    threads : the value of --threads
    reserved : other files that the command reads or writes; no output may replace them
    has_network : whether --quality may name a network

    Raises
    ------
    BurnishError : the plan is not possible, see `burnish.editing.plan.plan`; nothing is written
    """
    from burnish.editing.options import OutputOptions
    from burnish.editing.photo import scratch_bytes
    from burnish.editing.plan import plan as plan_outputs

    quality, network = batch.qualities
    if network is not None and not has_network:
        problem = "this command runs no network with several qualities"
        raise UsageError(f"--quality {network}", problem, "give 1 to 100")
    if batch.ray:
        threads = threads or 1
    edit = load(threads)
    shared = vars(batch).keys() & OutputOptions.__dataclass_fields__.keys()
    options = OutputOptions(
        **{name: getattr(batch, name) for name in shared} | {"quality": quality},
        encoding=EncodingOptions(batch.codec, batch.crf),
        reserved=reserved,
    )
    if STREAM in photos or batch.output == str(STREAM):
        _run_stream(edit, photos, options, batch)
        return
    plan = plan_outputs(
        photos,
        edit.name,
        options,
        lambda photo: scratch_bytes(edit, photo, options.depth),
        allow_existing=batch.dry_run,
    )
    _run_plan(edit, plan, options, batch, partial(load, threads), threads)


def _run_plan(
    edit: "Edit",
    plan: "Plan",
    options: "OutputOptions",
    batch: BatchOptions,
    load: "Callable[[], Edit]",
    threads: int | None,
) -> None:
    """Edit the files of a plan, print their outcomes, and set the exit code."""
    from burnish.cli.progress import ConsoleProgress, graceful_interrupt
    from burnish.editing.batch import dry_run, run_batch

    counts = Counter[str]()
    megapixels = 0.0
    start = time.perf_counter()
    on_cluster = batch.ray is not None and not batch.dry_run
    with (
        graceful_interrupt() as is_interrupted,
        ConsoleProgress(
            None if on_cluster else len(plan.files), plain=False, hidden=batch.quiet
        ) as progress,
        ExitStack() as stack,
    ):
        for error in plan.unreadable:
            progress.message(f"burnish: {error}")
        if batch.dry_run:
            outcomes = dry_run(edit, plan.files, options)
        elif batch.ray is None:
            outcomes = run_batch(edit, plan.files, options, progress, is_interrupted)
        else:
            from burnish.cluster.connection import connect
            from burnish.editing.cluster_batch import run_on_cluster

            stack.enter_context(connect(batch.ray))
            outcomes = run_on_cluster(
                edit,
                load,
                plan.files,
                options,
                threads=threads or 1,
                progress=progress,
                should_stop=is_interrupted,
            )
        for outcome in outcomes:
            megapixels += outcome.megapixels or 0
            counts[outcome.status] += 1
            _print_outcome(outcome, batch, progress)
    speed = megapixels / (time.perf_counter() - start)
    noteworthy = plan.ignored or plan.earlier_outputs or plan.unreadable or plan.left_out
    if not batch.quiet and (len(plan.files) > 1 or noteworthy):
        print(_summary(counts, plan, speed), file=sys.stderr)
    if is_interrupted():
        raise typer.Exit(INTERRUPTED)
    if counts["failed"] or plan.unreadable:
        raise typer.Exit(BurnishError.exit_code)


def _run_stream(
    edit: "Edit", photos: list[Path], options: "OutputOptions", batch: BatchOptions
) -> None:
    """Edit one photo from a file or standard input to a file or standard output."""
    from burnish.cli.progress import ConsoleProgress
    from burnish.editing.photo import edit_photo, for_photo
    from burnish.editing.plan import check_stream, output_path
    from burnish.photo import Photo

    to_stream = options.output == str(STREAM)
    output = [as_path(options.output)] if options.output else []
    conflicts = {
        "standard input or output needs exactly one photo": len(photos) != 1,
        "-o is missing": not options.output,
        "--where does not work with standard input or output": bool(batch.where),
        "--dry-run does not work with standard input or output": batch.dry_run,
        "--json does not work with standard input or output": batch.json_output,
        "--ray does not work with standard input or output": bool(batch.ray),
        "it does not work with object storage": any(map(is_remote, [*photos, *output])),
    }
    for conflict, present in conflicts.items():
        if present:
            example = "for example: burnish apply OPERATOR - -o - < in.jpg > out.jpg"
            raise UsageError("-", conflict, example)
    if to_stream and sys.stdout.isatty():
        raise UsageError("-o -", "standard output is a terminal", "redirect it: > photo.jpg")
    [source] = photos
    target = None
    if to_stream:
        check_stream(source, options)
    else:
        reserved = [*options.reserved, *([_STANDARD_INPUT] if source == STREAM else [])]
        target = output_path(source, edit.name, replace(options, reserved=reserved))
    photo = Photo.open(sys.stdin.buffer.read() if source == STREAM else source)
    format = target.suffix if target else options.format
    edit = for_photo(edit, photo.metadata, format, options.depth, str(target or "-o"))
    with ConsoleProgress(plain=False, hidden=batch.quiet) as progress:
        progress.start(edit.name)
        edited = edit_photo(edit, photo, source=None if source == STREAM else source)
    if target is not None:
        edited.save(target, **options.for_photos)
        return
    data = edited.encode(options.format, quality=options.quality, depth=options.depth)
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _summary(counts: Counter[str], plan: "Plan", speed: float) -> str:
    """Return one line with the number of files by status; `speed` is in megapixels per second."""
    total = len(plan.files)
    videos = sum(file.is_video for file in plan.files)
    nouns = [*(["photos"] if videos < total else []), *(["videos"] if videos else [])]
    status, verb = ("planned", "to do") if counts["planned"] else ("done", "done")
    parts = [f"{counts[status]} of {total} {' and '.join(nouns)} {verb}"]
    parts += [f"{counts[status]} {status}" for status in ("skipped", "failed") if counts[status]]
    unfinished = total - sum(counts[status] for status in ("planned", "done", "skipped", "failed"))
    if unfinished:
        parts.append(f"{unfinished} unfinished")
    if plan.unreadable:
        parts.append(f"{len(plan.unreadable)} not readable")
    if plan.left_out:
        parts.append(f"{plan.left_out} left out by --where")
    if plan.earlier_outputs:
        parts.append(f"{plan.earlier_outputs} ignored as outputs of an earlier run")
    if plan.ignored:
        parts.append(f"{plan.ignored} other files ignored")
    if speed:
        parts.append(f"{speed:.2f} megapixels per second")
    return ", ".join(parts)


def _arithmetic(outcome: "Outcome") -> str:
    """Return the engines, precisions and qualities of the networks that were used."""
    used = [
        f"{record.engine} {record.precision}{f' {record.quality}' if record.quality else ''}"
        for record in outcome.history
        if record.engine
    ]
    return f" ({' and '.join(dict.fromkeys(used))})" if used else ""


def _print_outcome(outcome: "Outcome", batch: BatchOptions, progress: "ConsoleProgress") -> None:
    if outcome.status == "failed":
        progress.message(f"burnish: {outcome.reason}")
    elif outcome.status == "interrupted" and outcome.reason:
        progress.message(f"burnish: {outcome.input}: interrupted; {outcome.reason}")
    if batch.json_output:
        progress.echo(outcome.to_json())
    elif batch.quiet or outcome.output is None:
        return
    elif outcome.status == "done":
        frames = ""
        if outcome.frames is not None and outcome.seconds:
            speed = outcome.frames / outcome.seconds
            frames = f", {outcome.frames} frames, {speed:.1f} frames/s"
        used = dict.fromkeys(record.guide for record in outcome.history if record.guide)
        guide = f", guide: {' and '.join(used)}" if used else ""
        shares = dict.fromkeys(record.strength for record in outcome.history if record.strength < 1)
        strength = f", strength {' and '.join(f'{share:g}' for share in shares)}" if shares else ""
        time_text = f"{outcome.seconds:.2f} s on {outcome.device}{_arithmetic(outcome)}"
        progress.echo(f"{outcome.output}  {time_text}{frames}{guide}{strength}")
    elif outcome.status == "skipped":
        progress.echo(f"{outcome.output}  skipped: {outcome.reason}")
    else:
        progress.echo(f"{outcome.input} -> {outcome.output}")
