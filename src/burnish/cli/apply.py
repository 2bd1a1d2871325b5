"""`burnish apply`: a network, or the slow operator itself, over one photo or several."""

import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from burnish.cli.interruption import Interruption
from burnish.cli.options import (
    Device,
    Engine,
    JsonOutput,
    Overwrite,
    Threads,
    with_operator_params,
)
from burnish.errors import INTERRUPTED, BurnishError
from burnish.params import Value
from burnish.runtime.engines import DEFAULT_ENGINE

if TYPE_CHECKING:
    from burnish.editing.edit import Edit
    from burnish.editing.plan import Step


@with_operator_params
def apply(
    operator: Annotated[str, typer.Argument(help="An operator's name, or a model file (.onnx).")],
    # Whether it can be read is found out photo by photo, so that the others are done.
    photos: Annotated[list[Path], typer.Argument(help="One photo or several.", readable=False)],
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            help="A file for one photo, a folder for several (or FOLDER/); by default "
            "PHOTO.OPERATOR.EXT beside each photo.",
        ),
    ] = None,
    slow: Annotated[
        bool, typer.Option("--slow", help="Run the slow operator itself, also one of your own.")
    ] = False,
    overwrite: Overwrite = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Pass over photos whose result exists.")
    ] = False,
    quality: Annotated[
        int | None, typer.Option(min=1, max=100, help="Of JPEG, WebP and AVIF; by default 95.")
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(help="Bits a channel: 8, 16 or 32; by default the photo's."),
    ] = None,
    device: Device = "auto",
    threads: Threads = None,
    engine: Engine = DEFAULT_ENGINE,
    json_output: JsonOutput = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.")] = False,
    *,
    params: dict[str, Value],
) -> None:
    """Apply an operator to photos. Orientation, profile, EXIF, depth and alpha are kept."""
    from burnish.cli.editing_progress import EditingProgress
    from burnish.editing.edit import choose
    from burnish.editing.plan import plan

    edit = choose(operator, params, slow=slow, device=device, threads=threads, engine=engine)
    steps = plan(
        photos, edit.name, output, overwrite=overwrite, skip_existing=skip_existing, depth=depth
    )
    counts = Counter[str]()
    with (
        Interruption() as interruption,
        EditingProgress(len(steps), edit.device, hidden=quiet) as progress,
    ):

        def tile_done(share: float) -> None:
            interruption.check()
            progress.share(share)

        how = {"overwrite": overwrite, "quality": quality, "depth": depth}
        for step in steps:
            if interruption.heard:
                break
            progress.begin(step.source.name)
            record = _one(edit, step, progress=tile_done, **how)
            progress.end()
            counts[record["status"]] += 1
            _say(record, json_output=json_output, quiet=quiet)
    if len(steps) > 1 and not quiet:
        print(_summary(counts, len(steps)), file=sys.stderr)
    if interruption.heard:
        raise typer.Exit(INTERRUPTED)
    if counts["failed"]:
        raise typer.Exit(BurnishError.exit_code)


def _one(edit: "Edit", step: "Step", **how: Any) -> dict[str, Any]:
    """Do one photo; whatever is wrong with it is its own, and the rest goes on."""
    from burnish.editing.photo import apply_to_file

    record: dict[str, Any] = {"input": str(step.source), "output": str(step.target)}
    record |= {"operator": edit.name, "device": edit.device, "model": edit.model}
    if step.skip:
        return record | {"status": "skipped", "reason": "the output exists"}
    start = time.perf_counter()
    try:
        apply_to_file(edit, step.source, step.target, **how)
    except KeyboardInterrupt:
        return record | {"status": "interrupted", "output": None}
    except (BurnishError, MemoryError) as error:
        reason = str(error) or f"{step.source}: too large for the memory of this machine"
        return record | {"status": "failed", "reason": reason, "output": None}
    return record | {"status": "done", "seconds": round(time.perf_counter() - start, 3)}


def _summary(counts: Counter[str], photos: int) -> str:
    """Say how many are done, and how many are not and why."""
    others = [f"{counts[status]} {status}" for status in ("skipped", "failed") if counts[status]]
    left = photos - counts["done"] - counts["skipped"] - counts["failed"]
    if left:
        others.append(f"{left} not begun or not finished")
    return ", ".join([f"{counts['done']} of {photos} photos done", *others])


def _say(record: dict[str, Any], *, json_output: bool, quiet: bool) -> None:
    if record["status"] == "failed":
        print(f"burnish: {record['reason']}", file=sys.stderr)
    if json_output:
        typer.echo(json.dumps(record))
    elif record["status"] == "done" and not quiet:
        typer.echo(f"{record['output']}  {record['seconds']:.2f} s on {record['device']}")
    elif record["status"] == "skipped" and not quiet:
        typer.echo(f"{record['output']}  skipped: {record['reason']}")
