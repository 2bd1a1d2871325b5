"""`burnish datasets`: make training and test folders from public photo collections."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from burnish.cli.options import JsonOutput
from burnish.errors import BurnishError

if TYPE_CHECKING:
    from burnish.datasets.collection import Collection
    from burnish.datasets.plan import DatasetOptions

app = typer.Typer(rich_markup_mode=None)
datasets = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Make training and test folders from photo collections: fivek DIR, raise DIR.",
)
app.add_typer(datasets, name="datasets")

Folder = Annotated[Path, Argument(metavar="DIR", help="Folder of the collection.")]
Output = Annotated[Path, Option("-o", "--output", help="The folder to write into.")]
Sizes = Annotated[
    list[str] | None,
    Option(
        "--size",
        help="Shorter side in pixels, or random (320 to 1440); may be repeated. "
        "[default: 480, 1080, random]",
    ),
]
Splits = Annotated[list[str] | None, Option("--split", help="train or test. [default: both]")]
TestList = Annotated[
    Path | None,
    Option(help="File with the names of the test photos, one per line, or a .csv file of RAISE."),
]
Seed = Annotated[int, Option(min=0, help="Seed of the random sizes.")]
Limit = Annotated[int | None, Option(min=1, help="Maximum number of photos per split.")]


@datasets.command("fivek")
def fivek(
    folder: Folder,
    output: Output,
    size: Sizes = None,
    expert: Annotated[
        list[str] | None,
        Option(
            help="A to E: write pairs of photos, before and after this expert's edits; may be "
            "repeated. [default: photos without edits]"
        ),
    ] = None,
    split: Splits = None,
    test_list: TestList = None,
    seed: Seed = 0,
    limit: Limit = None,
    json_output: JsonOutput = False,
) -> None:
    """Develop the raw photos of MIT-Adobe FiveK. An interrupted run resumes."""
    from burnish.datasets.collection import find_fivek
    from burnish.datasets.plan import DatasetOptions

    experts = "".join(dict.fromkeys("".join(expert or ()).upper()))
    options = DatasetOptions(
        output,
        sizes=tuple(size or DatasetOptions.sizes),
        splits=tuple(split or DatasetOptions.splits),
        experts=experts,
        test_list=test_list,
        seed=seed,
        limit=limit,
    )
    _write(find_fivek(folder, experts), options, json_output=json_output)


@datasets.command("raise")
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
    """Develop the raw photos of RAISE. An interrupted run resumes."""
    from burnish.datasets.collection import find_raise
    from burnish.datasets.plan import DatasetOptions

    options = DatasetOptions(
        output,
        sizes=tuple(size or DatasetOptions.sizes),
        splits=tuple(split or DatasetOptions.splits),
        test_list=test_list,
        seed=seed,
        limit=limit,
    )
    _write(find_raise(folder), options, json_output=json_output)


def _write(collection: "Collection", options: "DatasetOptions", *, json_output: bool) -> None:
    """Plan the folders, write them with a progress bar, and print them."""
    from burnish.cli.progress import ConsoleProgress
    from burnish.datasets.plan import plan_dataset, prepare_output
    from burnish.datasets.write import write_photos

    plan = plan_dataset(collection, options)
    counts = ", ".join(f"{count} {split}" for split, count in plan.photos.items())
    missing = sum(len(job.targets) for job in plan.jobs)
    print(
        f"{collection.name}: {counts}; {missing} to write, {plan.existing} exist", file=sys.stderr
    )
    prepare_output(plan, options.output)
    failed = []
    with ConsoleProgress(plain=False) as progress:
        progress.start("developing", len(plan.jobs))
        for outcome in write_photos(plan.jobs):
            progress.advance()
            for warning in outcome.warnings:
                progress.message(f"burnish: warning: {warning}")
            if outcome.error:
                failed.append({"photo": str(outcome.job.photo), "reason": outcome.error})
                progress.message(f"burnish: {outcome.error}")
    if json_output:
        folders = {str(folder): count for folder, count in plan.folders.items()}
        record = {"photos": plan.photos, "folders": folders, "failed": failed}
        typer.echo(json.dumps(record, indent=2))
    else:
        for folder in plan.folders:
            typer.echo(str(folder))
    if failed:
        print(f"{len(failed)} of {len(plan.jobs)} photos failed", file=sys.stderr)
        raise typer.Exit(BurnishError.exit_code)
