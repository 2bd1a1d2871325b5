"""A run: an edit over photos and films, with progress, records and exit code."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from burnish.cli.batch_options import BatchOptions
from burnish.cli.interruption import Interruption
from burnish.errors import INTERRUPTED, BurnishError, UsageError

if TYPE_CHECKING:
    from burnish.editing.batch import How
    from burnish.editing.edit import Edit
    from burnish.editing.outcome import Outcome
    from burnish.editing.plan import Plan, Wish

# How the standard streams are named where a file would be.
STREAM = Path("-")
# Leads to the file that a shell has put there, if one.
_STANDARD_INPUT = Path("/dev/stdin")


def files_named(*given: object) -> tuple[Path, ...]:
    """Return all that may be a file's name among what a command was given.

    Parameters
    ----------
    given : paths and texts, also in lists, mappings and dataclasses; all else is left out
    """
    found: list[Path] = []
    for value in given:
        if isinstance(value, str | Path):
            found.append(Path(value))
        elif isinstance(value, Mapping):
            found += files_named(*value.values())
        elif isinstance(value, list | tuple):
            found += files_named(*value)
        elif is_dataclass(value):
            found += files_named(*vars(value).values())
    return tuple(found)


def run(edit: "Edit", photos: list[Path], batch: BatchOptions, beside: Sequence[Path] = ()) -> None:
    """Do an edit over photos and folders, or from and to the standard streams; end with its code.

    Parameters
    ----------
    beside : other files of the command, read or written: no result replaces one

    Raises
    ------
    BurnishError : nothing was begun: see `burnish.editing.plan.plan`
    """
    from burnish.editing.batch import How, planned
    from burnish.editing.out_of_core import room_of
    from burnish.editing.plan import plan

    wish = batch.wish(beside)
    if STREAM in photos or batch.output == str(STREAM):
        _through_streams(edit, photos, wish, batch)
        return
    how = How.of(wish)
    work = plan(photos, edit.name, wish, lambda photo: room_of(edit, photo, wish.depth))
    json_output, quiet = batch.json_output, batch.quiet
    counts = Counter[str]()
    pixels = 0.0
    if batch.dry_run:
        for outcome in planned(edit, work.steps):
            counts[outcome.status] += 1
            _say(outcome, json_output=json_output, quiet=quiet)
        interrupted = False
    else:
        counts, pixels, interrupted = _do(edit, work, how, json_output=json_output, quiet=quiet)
    if not quiet and (len(work.steps) > 1 or work.passed_over or work.results):
        print(_summary(counts, work, pixels), file=sys.stderr)
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    if counts["failed"]:
        raise typer.Exit(BurnishError.exit_code)


def _do(
    edit: "Edit", work: "Plan", how: "How", *, json_output: bool, quiet: bool
) -> tuple[Counter[str], float, bool]:
    """Run the batch; return how many photos came to what, megapixels a second, and Ctrl-C."""
    from burnish.cli.progress import EditingProgress
    from burnish.editing.batch import run as run_batch

    counts = Counter[str]()
    with (
        Interruption() as interruption,
        EditingProgress(work.steps, edit.device, interruption, hidden=quiet) as progress,
    ):
        for outcome in run_batch(edit, work.steps, how, progress):
            progress.end(outcome.megapixels or 0)
            counts[outcome.status] += 1
            _say(outcome, json_output=json_output, quiet=quiet)
    return counts, progress.pace, interruption.heard


def _through_streams(edit: "Edit", photos: list[Path], wish: "Wish", batch: BatchOptions) -> None:
    """Read one photo from a file or standard input, and write it to a file or standard output."""
    from burnish.editing.photo import edited
    from burnish.editing.plan import check_stream, target_of
    from burnish.photo import Photo

    to_stream = wish.output == str(STREAM)
    got = {
        f"{len(photos)} photos": len(photos) != 1,
        "no -o": not wish.output,
        "--dry-run": batch.dry_run,
        "--json": batch.json_output,
    }
    if any(got.values()):
        raise UsageError(
            "-",
            expected="one photo, -o, and neither --dry-run nor --json",
            got=next(what for what, so in got.items() if so),
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
        beside = [*wish.beside, *([_STANDARD_INPUT] if source == STREAM else [])]
        target = target_of(source, edit.name, replace(wish, beside=beside))
    photo = Photo.open(sys.stdin.buffer.read() if source == STREAM else source)
    result = edited(edit, photo, source=None if source == STREAM else source)
    if target is not None:
        result.save(target, quality=wish.quality, depth=wish.depth, overwrite=wish.overwrite)
        return
    data = result.encode(wish.format, quality=wish.quality, depth=wish.depth)
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _summary(counts: Counter[str], work: "Plan", pace: float) -> str:
    """Say how many are done, and how many are not and why."""
    photos = len(work.steps)
    films = sum(step.film for step in work.steps)
    what = " and ".join(
        name for name, so in (("photos", films < photos), ("films", films > 0)) if so
    )
    if counts["planned"]:
        parts = [f"{counts['planned']} of {photos} {what} to do"]
    else:
        parts = [f"{counts['done']} of {photos} {what} done"]
    parts += [f"{counts[status]} {status}" for status in ("skipped", "failed") if counts[status]]
    left = photos - sum(counts[status] for status in ("planned", "done", "skipped", "failed"))
    if left:
        parts.append(f"{left} not begun or not finished")
    if work.results:
        parts.append(f"{work.results} passed over as results of an earlier run")
    if work.passed_over:
        parts.append(f"{work.passed_over} other files passed over")
    if pace:
        parts.append(f"{pace:.2f} megapixels a second")
    return ", ".join(parts)


def _say(outcome: "Outcome", *, json_output: bool, quiet: bool) -> None:
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
