"""`burnish search`: search for a network for an operator."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from burnish.cli.operator_options import OperatorCommand, operator_params
from burnish.cli.options import Ray, expand, option
from burnish.cli.train import TrainingProgress
from burnish.cluster.connection import connect
from burnish.runtime.engines import DEFAULT_ENGINE, ENGINES

if TYPE_CHECKING:
    from burnish.search.run import SearchResult

app = typer.Typer(rich_markup_mode=None)


@dataclass(frozen=True)
class SearchOptions:
    """The arguments of `burnish.search.request.validate_request`."""

    photos: Path | None = option(
        None, "Folder of training photos (not for pairs:).", metavar="FOLDER"
    )
    validation: Path | None = option(
        None, "Folder of validation photos. [default: one in ten photos]", metavar="FOLDER"
    )
    output: Path | None = option(None, "The model file. [default: OPERATOR.onnx]", "-o", "--output")
    budget: str = option(
        "2h",
        "Time for timing and training networks, such as 1h30m. Computing the pairs and validating "
        "come on top.",
    )
    engine: str = option(DEFAULT_ENGINE, f"Library to be fast on: {' or '.join(ENGINES)}.")
    latency: str | None = option(
        None,
        "Most CPU time on one thread for a megapixel of a photo of 12, such as 40ms/MP.",
        metavar="TIME",
    )
    speed: str | None = option(
        None, "How many times as fast as the network fast, such as 2x.", metavar="FACTOR"
    )
    energy: bool = option(
        False, "Also search for networks that move few bytes, on which their energy depends most."
    )
    sampler: str = option("nsga2", "Proposes networks: nsga2, tpe, random, morphnet or amc.")
    predictor: str = option(
        "boosting", "Screens proposals: macs, layers, boosting, mlp, gcn, rgat or capsgnn."
    )
    table: Path | None = option(
        None, "Measurements of other operators that the predictor also learns from.", metavar="FILE"
    )
    trial_steps: int = option(300, "Steps of the short training of each network.", min=1)
    finalists: int = option(1, "Number of networks that are trained to the end.", min=1)
    compare: bool = option(
        True, "Also train the network fast to the end, for as long.", "--compare/--no-compare"
    )
    run_dir: Path | None = option(
        None,
        "Folder for trials and trainings, from which an interrupted search resumes. "
        "[default: runs/NAME]",
        metavar="FOLDER",
    )
    seed: int = option(0, "Seed of all random choices.", min=0)
    licence: str = option("unstated", "Licence of the model, for its card.")
    overwrite: bool = option(False, "Replace an existing output.")


@app.command(cls=OperatorCommand)
@expand
def search(
    context: typer.Context,
    operator: Annotated[
        str,
        typer.Argument(
            help="Name of an operator, python:module:function, 'command:prog {input} {output}' or "
            "pairs:FOLDER (with before/ and after/)."
        ),
    ],
    options: SearchOptions,
    ray: Ray = None,
    json_output: bool = typer.Option(False, "--json", help="Print JSON on stdout."),
) -> None:
    """Search for a small network for an operator, and train it.

    Half of the budget goes to short trainings of many networks, which a predictor chooses, and half
    to the final training of the best. An interrupted search resumes.
    """
    from burnish.search.request import validate_request
    from burnish.search.run import run_search

    request = validate_request(operator, params=operator_params(context), **vars(options))
    with connect(ray), TrainingProgress() as progress:
        result = run_search(request, progress)
    if json_output:
        typer.echo(json.dumps(_record(result), indent=2))
    else:
        print_result(result)


def _record(result: "SearchResult") -> dict[str, object]:
    from burnish.search.front import front

    finalists = [*result.finalists, *([result.compared] if result.compared else [])]
    return {
        "path": str(result.path),
        "target_milliseconds": result.target,
        "trials": len(result.trials),
        "front": [
            {
                "network": trial.candidate.network,
                "guide_ratio": trial.candidate.guide_ratio,
                "milliseconds": round(trial.milliseconds, 2),
                "trial_psnr": round(trial.psnr, 2),
                "bytes_moved_per_pixel": trial.bytes_moved,
            }
            for trial in front(result.trials)
        ],
        "trained": [
            {
                "network": finalist.trial.candidate.network,
                "milliseconds": round(finalist.trial.milliseconds, 2),
                "psnr": finalist.psnr,
                "path": str(finalist.path),
            }
            for finalist in finalists
        ],
    }


def print_result(result: "SearchResult") -> None:
    """Print the front and the trained networks on stdout."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from burnish.search.front import front

    trained = {f.trial.candidate: f for f in result.finalists}
    if result.compared:
        trained[result.compared.trial.candidate] = result.compared
    shown = front(result.trials)
    shown += [f.trial for f in trained.values() if f.trial not in shown]
    table = Table(box=box.SIMPLE)
    table.add_column("network")
    has_energy = result.reference.bytes_moved is not None
    columns = ["guide", "ms/Mpx", "speed", "dB, short", "dB, trained"]
    for column in [*columns, *(["bytes/px"] if has_energy else [])]:
        table.add_column(column, justify="right")
    for trial in sorted(shown, key=lambda trial: trial.milliseconds):
        candidate = trial.candidate
        is_reference = candidate == result.reference.candidate
        finalist = trained.get(candidate)
        table.add_row(
            f"{candidate.network} (fast)" if is_reference else candidate.network,
            f"1:{candidate.guide_ratio:g}" if candidate.guide_ratio else "none",
            f"{trial.milliseconds:.1f}",
            f"{result.reference.milliseconds / trial.milliseconds:.2f}x",
            f"{trial.psnr:.2f}",
            f"{finalist.psnr:.2f}" if finalist else "",
            *([] if trial.bytes_moved is None else [f"{trial.bytes_moved:.0f}"]),
        )
    console = Console()
    (console if console.is_terminal else Console(width=120)).print(table)
    typer.echo(f"{result.path}")
