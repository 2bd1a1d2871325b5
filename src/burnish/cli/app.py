"""The command line: which commands there are, and what an error ends with."""

import sys
import warnings
from typing import Annotated, Any, NoReturn

import typer

import burnish
from burnish.cli.apply import apply
from burnish.cli.compare import compare
from burnish.cli.cube import cube
from burnish.cli.datasets import photos
from burnish.cli.demo import demo
from burnish.cli.doctor import doctor
from burnish.cli.evaluate import evaluate
from burnish.cli.man import man
from burnish.cli.models import models
from burnish.cli.operators import operators
from burnish.cli.regions import regions
from burnish.cli.replay import again
from burnish.cli.train import train
from burnish.errors import INTERRUPTED, BurnishError, missing_library

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 a file failed, 2 wrong usage, 3 model or device not available, "
    "130 interrupted.",
)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"burnish {burnish.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Slow photo operators, learned by small networks that run fast on an ordinary CPU."""


for command in (apply, again, compare, train, evaluate, cube, demo, doctor, man):
    app.command()(command)
app.add_typer(models, name="models")
app.add_typer(operators, name="operators")
app.add_typer(photos, name="photos")
app.add_typer(regions, name="regions")


def _print_warning(message: Warning | str, *where: Any, **more: Any) -> None:
    """Say a warning in one line; where in the code it arose tells a user nothing."""
    print(f"burnish: warning: {message}", file=sys.stderr)


def _exit_with(error: BurnishError) -> NoReturn:
    print(f"burnish: {error}", file=sys.stderr)
    sys.exit(error.exit_code)


def main() -> None:
    """Run the command line; every error burnish raises on purpose is one line on stderr."""
    warnings.showwarning = _print_warning
    try:
        app()
    except BurnishError as error:
        _exit_with(error)
    except ModuleNotFoundError as error:
        _exit_with(missing_library(error))
    except SystemExit as end:
        if end.code == INTERRUPTED:  # Typer turned Ctrl-C into it
            print("burnish: interrupted", file=sys.stderr)
        raise
