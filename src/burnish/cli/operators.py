"""`burnish operators`, `burnish models` and `burnish cube`: operators, networks and LUTs."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from burnish.cli.operator_options import OperatorCommand, operator_params
from burnish.cli.options import (
    BurnishCommand,
    JsonOutput,
    Overwrite,
    Quality,
    complete_model,
    complete_operator,
    param_help,
)
from burnish.errors import UsageError, did_you_mean
from burnish.evaluation.operator_speed import read_speeds
from burnish.modelfile.quality import STANDARD
from burnish.operators.operator import Operator
from burnish.operators.registry import OPERATORS, operators_for
from burnish.operators.user_defined import find_runnable_operator
from burnish.params import AnyParam, ChoiceParam, ColourParam, FileParam, Param
from burnish.runtime.model_registry import model_names

if TYPE_CHECKING:
    from burnish.modelfile.card import Capacity, CardParam, Guide, Measurement

_KINDS: dict[type[AnyParam], str]
_KINDS = {Param: "number", ColourParam: "colour", FileParam: "file", ChoiceParam: "choice"}

app = typer.Typer(rich_markup_mode=None)
operators = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="List and describe the operators."
)
models = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="List and describe the bundled networks."
)
app.add_typer(operators, name="operators")
app.add_typer(models, name="models")


@operators.command("list", cls=BurnishCommand)
def list_operators(
    use: Annotated[
        str | None, Option("--for", metavar="USE", help="List operators for a use, such as haze.")
    ] = None,
    json_output: JsonOutput = False,
) -> None:
    """List the operators. Those without a network need --slow.

    After `burnish doctor --bench`, the list shows which are as fast as their networks.
    """
    names = list(OPERATORS) if use is None else operators_for(use)
    if not names:
        uses = sorted({word for operator in OPERATORS.values() for word in operator.keywords})
        problem = "no operator has this use"
        raise UsageError(f"--for {use}", problem, did_you_mean(f"{use}", uses, "leave it out"))
    if json_output:
        typer.echo(json.dumps([_record(OPERATORS[name]) for name in names], indent=2))
        return
    with_network, speeds = model_names(), read_speeds()
    for name in names:
        note = "" if name in with_network else " (--slow)"
        if name in speeds and speeds[name].as_fast:
            note = " (on this machine as fast with --slow)"
        typer.echo(f"{name:<26}{OPERATORS[name].summary}{note}")


@operators.command("show", cls=BurnishCommand)
def show_operator(
    name: Annotated[
        str,
        Argument(
            help="Name of an operator, or one of your own (python:FILE:FUNCTION).",
            autocompletion=complete_operator,
        ),
    ],
    json_output: JsonOutput = False,
) -> None:
    """Print an operator's paper and parameters."""
    operator = find_runnable_operator(name)
    if json_output:
        typer.echo(json.dumps(_record(operator), indent=2))
        return
    typer.echo(operator.title)
    if operator.summary:
        typer.echo(operator.summary)
    if operator.keywords:
        typer.echo(f"For: {', '.join(operator.keywords)}")
    if operator.paper:
        paper = operator.paper
        typer.echo(f"{paper.authors}: {paper.title}. {paper.venue}. https://doi.org/{paper.doi}")
    for param in operator.params:
        typer.echo(f"  {param.option:<16}{param_help(param)}")


@app.command(cls=OperatorCommand)
def cube(
    context: typer.Context,
    operator: Annotated[
        str,
        Argument(help="Name of an operator, or one of your own.", autocompletion=complete_operator),
    ],
    output: Annotated[Path, Option("-o", "--output", help="The file to write, FILE.cube.")],
    size: Annotated[int, Option(help="Number of values of each channel in the table.")] = 33,
    overwrite: Overwrite = False,
) -> None:
    """Write a .cube LUT of an operator, for other programs.

    The operator must change each pixel by its colour alone.

    `burnish cube OPERATOR --help` also lists the parameters of that operator.
    """
    from burnish.cli.batch import collect_paths
    from burnish.editing.cube import write_cube
    from burnish.files import check_not_input

    params = operator_params(context)
    check_not_input(output, collect_paths(params))
    table = write_cube(operator, output, params=params, size=size, overwrite=overwrite)
    typer.echo(
        f"{table.path}  {table.size} x {table.size} x {table.size} colours; between them, the "
        f"table differs from the operator by at most {255 * table.error:.2f} of 255"
    )


def _record(operator: Operator) -> dict[str, Any]:
    return {
        "name": operator.name,
        "title": operator.title,
        "about": operator.summary,
        "keywords": list(operator.keywords),
        "paper": dataclasses.asdict(operator.paper) if operator.paper else None,
        "params": [
            {"kind": _KINDS[type(param)], **dataclasses.asdict(param)} for param in operator.params
        ],
    }


@models.command("list", cls=BurnishCommand)
def list_models(json_output: JsonOutput = False) -> None:
    """List the bundled networks."""
    from burnish.modelfile.reader import read_model
    from burnish.runtime.model_registry import find_model

    cards = {name: read_model(find_model(name)).card for name in model_names()}
    if json_output:
        typer.echo(json.dumps({n: c.model_dump(mode="json") for n, c in cards.items()}, indent=2))
        return
    width = max(map(len, cards), default=0) + 2
    for name, card in cards.items():
        metrics = card.metrics[0]
        typer.echo(
            f"{name:<{width}}{card.title}; {card.network}, {metrics.psnr_mean:.1f} dB "
            f"(unedited photo: {metrics.identity_psnr_mean:.1f}), "
            f"{card.macs_per_pixel / 1000:.1f} k multiply-adds per pixel"
        )


@models.command("path", cls=BurnishCommand)
def show_model_path(
    name: Annotated[
        str, Argument(help="Name of a bundled network.", autocompletion=complete_model)
    ],
) -> None:
    """Print the path of a network's file."""
    from burnish.runtime.model_registry import find_model

    typer.echo(str(find_model(name)))


@models.command("show", cls=BurnishCommand)
def show_model(
    name: Annotated[
        str,
        Argument(
            help="Name of a bundled network, or a model file (.onnx).",
            autocompletion=complete_model,
        ),
    ],
    json_output: JsonOutput = False,
) -> None:
    """Print the card of a network."""
    from burnish.modelfile.reader import read_model
    from burnish.runtime.model_registry import find_model

    card = read_model(find_model(name)).card
    if json_output:
        typer.echo(card.model_dump_json(indent=2))
        return
    values = card.model_dump(mode="json") | {
        "capacities": [_capacity_line(capacity) for capacity in card.capacities],
        "params": [_param_line(param) for param in card.params],
        "guide": _guide_lines(card.guide),
        "metrics": [_measurement_line(measurement) for measurement in card.metrics],
    }
    for field, value in values.items():
        for line in _lines(value):
            typer.echo(f"{field:<28}{line}")
            field = ""


@models.command("measure", cls=BurnishCommand)
def measure_model(
    files: Annotated[list[Path], Argument(metavar="FILE...", help="Model files (.onnx).")],
    photos: Annotated[
        Path, Option(metavar="FOLDER", help="Folder of photos that it was not trained on.")
    ],
    operator: Annotated[
        str | None,
        Option(help="The operator to compare with. [default: the one that the model's card names]"),
    ] = None,
    max_size: Annotated[
        int, Option(min=11, help="Shrink photos to this longer side in pixels first.")
    ] = 10**6,
) -> None:
    """Score networks in each precision of this machine, and write the scores to their cards.

    By default, a network runs only in precisions in which its card has scores close to those of
    fp32. The operator edits the photos, too, which needs the extra 'operators'.
    """
    from burnish.cli.progress import ConsoleProgress
    from burnish.evaluation.card_scores import measure_card

    with ConsoleProgress() as progress:
        for file in files:
            card = measure_card(
                file, photos, operator=operator, max_size=max_size, progress=progress
            )
            for row in card.metrics:
                progress.echo(f"{file}  {_measurement_line(row)}")


@models.command("export", cls=BurnishCommand)
def export_model(
    name: Annotated[
        str,
        Argument(
            help="Name of a bundled network, or a model file (.onnx).",
            autocompletion=complete_model,
        ),
    ],
    output: Annotated[Path, Option("-o", "--output", help="The model file to write.")],
    quality: Quality = None,
    overwrite: Overwrite = False,
) -> None:
    """Write the network of one quality as a model file of its own, for other programs."""
    from burnish.export.merge import write_quality
    from burnish.runtime.model_registry import find_model

    card = write_quality(find_model(name), output, quality or STANDARD, overwrite=overwrite)
    typer.echo(
        f"{output}  {card.network}, {card.macs_per_pixel / 1000:.1f} k multiply-adds per pixel"
    )


def _capacity_line(capacity: "Capacity") -> str:
    scores = "".join(
        f", {row.psnr_mean:.2f} dB{f' (guide: {row.guide})' if row.guide else ''}"
        for row in capacity.metrics
        if row.precision == "fp32"
    )
    return (
        f"{capacity.quality}: {capacity.network}, {capacity.macs_per_pixel / 1000:.1f} k"
        f" multiply-adds per pixel, halo {capacity.halo} px{scores}"
    )


def _param_line(param: "CardParam") -> str:
    if not param.slider:
        return f"{param.name}: fixed at {param.value:g}"
    return f"{param.name}: slider; {param.as_param().range}, default {param.value:g}"


def _guide_lines(guide: "Guide | None") -> list[str]:
    if guide is None:
        return []
    start, size = guide.start, f"{guide.size} px"
    if guide.operator_size is not None:
        size += f", for large photos the operator's at up to {guide.operator_size} px"
    if start is None:
        return [f"the operator's output at {size}; no start network"]
    thumbnail = f", thumbnail of {start.thumbnail_size} px" if start.thumbnail_size else ""
    sources = "the operator" if start.full_size else "the operator or of the start network"
    place = ", in place of the cascade" if start.full_size else ""
    return [
        f"the output of {sources} at {size}",
        f"start network: {start.network}, {start.macs_per_pixel / 1000:.1f} k multiply-adds per"
        f" pixel, {start.parameter_count} parameters, halo {start.halo} px{thumbnail}{place}",
    ]


def _measurement_line(measurement: "Measurement") -> str:
    parts = [
        f"PSNR {measurement.psnr_mean:.2f} dB, worst {measurement.psnr_worst:.2f}",
        f"SSIM {measurement.ssim_mean:.3f}, worst {measurement.ssim_worst:.3f}",
    ]
    if measurement.cast_mean is not None:
        parts.append(f"cast {measurement.cast_mean:.1f}, worst {measurement.cast_worst:.1f}")
    if measurement.grain_mean is not None:
        parts.append(f"grain {measurement.grain_mean:.1f}")
    parts.append(f"unedited {measurement.identity_psnr_mean:.2f} dB")
    if measurement.guide:
        parts.append(f"guide: {measurement.guide}")
    if measurement.precision != "fp32":
        parts.append(measurement.precision)
    return "; ".join([*parts, measurement.photos])


def _lines(value: Any) -> list[str]:
    """Return the lines for a field of a card; a list gives one line per item."""
    if isinstance(value, list):
        return [line for item in value for line in _lines(item)] or ["none"]
    if isinstance(value, dict):
        parts = [f"{name} {_flat(item)}" for name, item in value.items() if item not in ("", None)]
        return [", ".join(parts)]
    return [_flat(value)]


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {_flat(item)}" for name, item in value.items()) + ")"
    return str(value)
