"""`burnish datasets`: make training and test folders from public photo collections."""

import json
import sys
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from burnish.cli.options import BurnishCommand, JsonOutput, expand, option
from burnish.errors import BurnishError

if TYPE_CHECKING:
    from burnish.datasets.collection import Collection

app = typer.Typer(rich_markup_mode=None)
datasets = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Make training and test folders from photo collections.",
)
app.add_typer(datasets, name="datasets")

Folder = Annotated[Path, Argument(metavar="FOLDER", help="Folder of the collection.")]


@dataclass(frozen=True)
class FolderOptions:
    """The fields of `DatasetOptions` that both collections have."""

    output: Path = option(MISSING, "The folder to write into.", "-o", "--output", metavar="FOLDER")
    sizes: tuple[str, ...] = option(
        ("480", "1080", "random"),
        "Shorter side in pixels, or random (320 to 1440); may be repeated. "
        "[default: 480, 1080, random]",
        "--size",
    )
    splits: tuple[str, ...] = option(("train", "test"), "train or test. [default: both]", "--split")
    test_list: Path | None = option(
        None, "File with the names of the test photos, one per line, or a .csv file of RAISE."
    )
    seed: int = option(0, "Seed of the random sizes.", min=0)
    limit: int | None = option(None, "Maximum number of photos per split.", min=1)


@datasets.command("fivek", cls=BurnishCommand)
@expand
def fivek(
    folder: Folder,
    expert: Annotated[
        list[str] | None,
        Option(
            help="A to E: write pairs of photos, before and after this expert's edits; may be "
            "repeated. [default: photos without edits]"
        ),
    ] = None,
    json_output: JsonOutput = False,
    *,
    options: FolderOptions,
) -> None:
    """Develop the raw photos of MIT-Adobe FiveK. An interrupted run resumes."""
    from burnish.datasets.collection import find_fivek

    experts = "".join(dict.fromkeys("".join(expert or ()).upper()))
    _write(find_fivek(folder, experts), options, experts, json_output=json_output)


@datasets.command("raise", cls=BurnishCommand)
@expand
def raise2015(folder: Folder, json_output: JsonOutput = False, *, options: FolderOptions) -> None:
    """Develop the raw photos of RAISE. An interrupted run resumes."""
    from burnish.datasets.collection import find_raise

    _write(find_raise(folder), options, json_output=json_output)


def _write(
    collection: "Collection", options: FolderOptions, experts: str = "", *, json_output: bool
) -> None:
    """Plan the folders, write them with a progress bar, and print them."""
    from burnish.cli.progress import ConsoleProgress
    from burnish.datasets.plan import DatasetOptions, plan_dataset, prepare_output
    from burnish.datasets.write import write_photos

    plan = plan_dataset(collection, DatasetOptions(**vars(options), experts=experts))
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
