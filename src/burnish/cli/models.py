"""`burnish models`: the bundled networks and their cards."""

import json
from typing import Annotated, Any

import typer

from burnish.cli.options import JsonOutput

app = typer.Typer(rich_markup_mode=None)
models = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="The bundled networks: list, show NAME."
)
app.add_typer(models, name="models")


@models.command("list")
def list_models(json_output: JsonOutput = False) -> None:
    """List the models that ship with burnish."""
    from burnish.modelfile.reader import read_model
    from burnish.runtime.model_registry import find_model, model_names

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


@models.command("show")
def show_model(
    name: Annotated[str, typer.Argument(help="Name of a bundled model, or an .onnx file.")],
    json_output: JsonOutput = False,
) -> None:
    """Print a model's card."""
    from burnish.modelfile.reader import read_model
    from burnish.runtime.model_registry import find_model

    card = read_model(find_model(name)).card
    if json_output:
        typer.echo(card.model_dump_json(indent=2))
        return
    for field, value in card.model_dump(mode="json").items():
        for line in _lines(value):
            typer.echo(f"{field:<22}{line}")
            field = ""


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
