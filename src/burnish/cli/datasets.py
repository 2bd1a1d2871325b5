"""`burnish photos`: public photo collections, made into folders to train and test on."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from burnish.cli.options import JsonOutput
from burnish.errors import BurnishError

if TYPE_CHECKING:
    from burnish.datasets.collection import Collection
    from burnish.datasets.plan import DatasetOptions

photos = typer.Typer(
    no_args_is_help=True,
    help="Folders to train and test on, from public photo collections: fivek DIR, raise DIR.",
)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder the collection lies in.")]
Output = Annotated[Path, typer.Option("-o", "--output", help="The folder to write into.")]
Sizes = Annotated[
    list[str] | None,
    typer.Option(
        "--size",
        help="Short side in pixels, or random (320 to 1440); may be given several times. "
        "By default 480, 1080 and random.",
    ),
]
Splits = Annotated[
    list[str] | None,
    typer.Option("--split", help="train or test; by default both."),
]
TestList = Annotated[
    Path | None,
    typer.Option(help="A file that names the photos to test on, one a line, or a .csv of RAISE's."),
]
Seed = Annotated[int, typer.Option(min=0, help="The random sizes follow from it.")]
Limit = Annotated[int | None, typer.Option(min=1, help="At most so many photos of each split.")]


@photos.command("fivek")
def fivek(
    folder: Folder,
    output: Output,
    size: Sizes = None,
    expert: Annotated[
        list[str] | None,
        typer.Option(
            help="A to E: write pairs, the photo before and after this expert, instead of photos "
            "alone; may be given several times."
        ),
    ] = None,
    split: Splits = None,
    test_list: TestList = None,
    seed: Seed = 0,
    limit: Limit = None,
    json_output: JsonOutput = False,
) -> None:
    """Develop MIT-Adobe FiveK's photos; goes on where an interrupted run stopped."""
    from burnish.datasets.fivek import find
    from burnish.datasets.plan import DatasetOptions

    experts = "".join(dict.fromkeys("".join(expert or ()).upper()))
    order = DatasetOptions(
        output,
        sizes=tuple(size or DatasetOptions.sizes),
        splits=tuple(split or DatasetOptions.splits),
        experts=experts,
        test_list=test_list,
        seed=seed,
        limit=limit,
    )
    _write(find(folder, experts), order, json_output=json_output)


@photos.command("raise")
def raise2015(
    folder: Folder,
    output: Output,
    size: Sizes = None,
    split: Splits = None,
    test_list: TestList = None,
    seed: Seed = 0,
    limit: Limit = None,
    json_output: JsonOutput = False,
) -> None:
    """Develop RAISE's photos; goes on where an interrupted run stopped."""
    from burnish.datasets.plan import DatasetOptions
    from burnish.datasets.raise2015 import find

    order = DatasetOptions(
        output,
        sizes=tuple(size or DatasetOptions.sizes),
        splits=tuple(split or DatasetOptions.splits),
        test_list=test_list,
        seed=seed,
        limit=limit,
    )
    _write(find(folder), order, json_output=json_output)


def _write(collection: "Collection", order: "DatasetOptions", *, json_output: bool) -> None:
    """Plan, say so, do it with a bar, and say what there is now."""
    from rich.console import Console
    from rich.progress import track

    from burnish.datasets.folders import write_photos
    from burnish.datasets.plan import plan_dataset, prepare_output

    found = plan_dataset(collection, order)
    counts = ", ".join(f"{count} to {split}" for split, count in found.photos.items())
    missing = sum(len(job.targets) for job in found.jobs)
    print(
        f"{collection.name}: {counts}; {missing} to make, {found.existing} there", file=sys.stderr
    )
    prepare_output(found, order.output)
    console = Console(file=sys.stderr)
    outcomes = track(
        write_photos(found.jobs),
        "developing",
        total=len(found.jobs),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    failed = []
    for outcome in outcomes:
        for warning in outcome.warnings:
            print(f"burnish: warning: {warning}", file=sys.stderr)
        if outcome.error:
            failed.append({"photo": str(outcome.job.photo), "reason": outcome.error})
            print(f"burnish: {outcome.error}", file=sys.stderr)
    if json_output:
        folders = {str(folder): count for folder, count in found.folders.items()}
        record = {"photos": found.photos, "folders": folders, "failed": failed}
        typer.echo(json.dumps(record, indent=2))
    else:
        for folder in found.folders:
            typer.echo(str(folder))
    if failed:
        print(f"{len(failed)} of {len(found.jobs)} photos failed", file=sys.stderr)
        raise typer.Exit(BurnishError.exit_code)
