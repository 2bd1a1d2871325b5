"""A run: an edit over photos and films, with progress, records and exit code."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from burnish.cli.batch_options import BatchOptions
from burnish.cli.interruption import GracefulInterrupt
from burnish.errors import INTERRUPTED, BurnishError, UsageError

if TYPE_CHECKING:
    from burnish.editing.batch import WriteOptions
    from burnish.editing.edit import Edit
    from burnish.editing.outcome import Outcome
    from burnish.editing.plan import OutputOptions, Plan

# How the standard streams are named where a file would be.
STREAM = Path("-")
# Leads to the file that a shell has put there, if one.
_STANDARD_INPUT = Path("/dev/stdin")


def collect_paths(*values: object) -> tuple[Path, ...]:
    """Return all that may be a file's name among what a command was given.

    Parameters
    ----------
    values : paths and texts, also in lists, mappings and dataclasses; all else is left out
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
    edit: "Edit", photos: list[Path], batch: BatchOptions, reserved: Sequence[Path] = ()
) -> None:
    """Do an edit over photos and folders, or from and to the standard streams; end with its code.

    Parameters
    ----------
    reserved : other files of the command, read or written: no result replaces one

    Raises
    ------
    BurnishError : nothing was begun: see `burnish.editing.plan.plan`
    """
    from burnish.editing.batch import WriteOptions, dry_run
    from burnish.editing.out_of_core import scratch_bytes
    from burnish.editing.plan import plan

    wish = batch.output_options(reserved)
    if STREAM in photos or batch.output == str(STREAM):
        _run_stream(edit, photos, wish, batch)
        return
    how = WriteOptions.from_output_options(wish)
    work = plan(photos, edit.name, wish, lambda photo: scratch_bytes(edit, photo, wish.depth))
    json_output, quiet = batch.json_output, batch.quiet
    counts = Counter[str]()
    pixels = 0.0
    if batch.dry_run:
        for outcome in dry_run(edit, work.files):
            counts[outcome.status] += 1
            _print_outcome(outcome, json_output=json_output, quiet=quiet)
        interrupted = False
    else:
        counts, pixels, interrupted = _run_plan(
            edit, work, how, json_output=json_output, quiet=quiet
        )
    if not quiet and (len(work.files) > 1 or work.ignored or work.earlier_outputs):
        print(_summary(counts, work, pixels), file=sys.stderr)
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    if counts["failed"]:
        raise typer.Exit(BurnishError.exit_code)


def _run_plan(
    edit: "Edit", plan: "Plan", how: "WriteOptions", *, json_output: bool, quiet: bool
) -> tuple[Counter[str], float, bool]:
    """Run the batch; return how many photos came to what, megapixels a second, and Ctrl-C."""
    from burnish.cli.progress import EditingProgress
    from burnish.editing.batch import run_batch as run_batch

    counts = Counter[str]()
    with (
        GracefulInterrupt() as interruption,
        EditingProgress(plan.files, edit.device, interruption, hidden=quiet) as progress,
    ):
        for outcome in run_batch(edit, plan.files, how, progress):
            progress.end(outcome.megapixels or 0)
            counts[outcome.status] += 1
            _print_outcome(outcome, json_output=json_output, quiet=quiet)
    return counts, progress.pace, interruption.interrupted


def _run_stream(
    edit: "Edit", photos: list[Path], wish: "OutputOptions", batch: BatchOptions
) -> None:
    """Read one photo from a file or standard input, and write it to a file or standard output."""
    from burnish.editing.photo import edit_photo
    from burnish.editing.plan import check_stream, output_path
    from burnish.photo import Photo

    to_stream = wish.output == str(STREAM)
    conflicts = {
        f"{len(photos)} photos": len(photos) != 1,
        "no -o": not wish.output,
        "--dry-run": batch.dry_run,
        "--json": batch.json_output,
    }
    if any(conflicts.values()):
        raise UsageError(
            "-",
            expected="one photo, -o, and neither --dry-run nor --json",
            got=next(what for what, so in conflicts.items() if so),
            remedy="such as: burnish apply OPERATOR - -o - < in.jpg > out.jpg",
        )
    if to_stream and sys.stdout.isatty():
        raise UsageError(
            "-o -", expected="a file or a pipe", got="a terminal", remedy="send it on: > photo.jpg"
        )
    [source] = photos
    target = None
    if to_stream:
        check_stream(source, wish)
    else:
        reserved = [*wish.reserved, *([_STANDARD_INPUT] if source == STREAM else [])]
        target = output_path(source, edit.name, replace(wish, reserved=reserved))
    photo = Photo.open(sys.stdin.buffer.read() if source == STREAM else source)
    result = edit_photo(edit, photo, source=None if source == STREAM else source)
    if target is not None:
        result.save(target, quality=wish.quality, depth=wish.depth, overwrite=wish.overwrite)
        return
    data = result.encode(wish.format, quality=wish.quality, depth=wish.depth)
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _summary(counts: Counter[str], plan: "Plan", megapixels_per_second: float) -> str:
    """Say how many are done, and how many are not and why."""
    photos = len(plan.files)
    films = sum(step.is_video for step in plan.files)
    noun = " and ".join(
        name for name, so in (("photos", films < photos), ("films", films > 0)) if so
    )
    if counts["planned"]:
        parts = [f"{counts['planned']} of {photos} {noun} to do"]
    else:
        parts = [f"{counts['done']} of {photos} {noun} done"]
    parts += [f"{counts[status]} {status}" for status in ("skipped", "failed") if counts[status]]
    unfinished = photos - sum(counts[status] for status in ("planned", "done", "skipped", "failed"))
    if unfinished:
        parts.append(f"{unfinished} not begun or not finished")
    if plan.earlier_outputs:
        parts.append(f"{plan.earlier_outputs} passed over as results of an earlier run")
    if plan.ignored:
        parts.append(f"{plan.ignored} other files passed over")
    if megapixels_per_second:
        parts.append(f"{megapixels_per_second:.2f} megapixels a second")
    return ", ".join(parts)


def _print_outcome(outcome: "Outcome", *, json_output: bool, quiet: bool) -> None:
    if outcome.status == "failed":
        print(f"burnish: {outcome.reason}", file=sys.stderr)
    elif outcome.status == "interrupted" and outcome.reason:
        print(f"burnish: {outcome.input}: interrupted; {outcome.reason}", file=sys.stderr)
    if json_output:
        typer.echo(outcome.model_dump_json())
    elif quiet or outcome.output is None:
        return
    elif outcome.status == "done":
        frames = f", {outcome.frames} frames" if outcome.frames is not None else ""
        typer.echo(f"{outcome.output}  {outcome.seconds:.2f} s on {outcome.device}{frames}")
    elif outcome.status == "skipped":
        typer.echo(f"{outcome.output}  skipped: {outcome.reason}")
    else:
        typer.echo(f"{outcome.input} -> {outcome.output}")
