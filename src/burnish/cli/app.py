"""The command line: its commands, and how a command ends with an error."""

import sys
import warnings
from importlib import import_module
from typing import Annotated, Any

import typer
from typer import Option
from typer.core import TyperGroup

import burnish
from burnish.errors import INTERRUPTED, BurnishError, missing_library

# Command -> the module in burnish.cli whose `app` has it.
_MODULES = {
    "apply": "apply",
    "replay": "apply",
    "compare": "evaluation",
    "evaluate": "evaluation",
    "train": "train",
    "cube": "operators",
    "demo": "evaluation",
    "doctor": "evaluation",
    "models": "operators",
    "operators": "operators",
    "datasets": "datasets",
    "regions": "regions",
}


class Commands(TyperGroup):
    """The top-level commands. Each is imported when it is used, so that a command starts fast."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands."""
        return list(_MODULES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, or None if there is none of that name."""
        # An error message suggests similar names from `self.commands`.
        for name in [cmd_name] if cmd_name in _MODULES else _MODULES:
            if name not in self.commands:
                module = import_module(f"burnish.cli.{_MODULES[name]}")
                self.commands[name] = typer.main.get_group(module.app).commands[name]
        return self.commands.get(cmd_name)


app = typer.Typer(
    cls=Commands,
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
        bool, Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Apply slow photo operators with small neural networks that run fast on an ordinary CPU."""


def _print_warning(message: Warning | str, *details: Any, **more: Any) -> None:
    """Print a warning in one line, without its place in the code."""
    print(f"burnish: warning: {message}", file=sys.stderr)


def main() -> None:
    """Run the command line. A BurnishError becomes one line on stderr and an exit code."""
    warnings.showwarning = _print_warning
    try:
        app()
    except (BurnishError, ModuleNotFoundError) as error:
        if isinstance(error, ModuleNotFoundError):
            error = missing_library(error)
        print(f"burnish: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except SystemExit as error:
        if error.code == INTERRUPTED:  # Typer turns Ctrl-C into this exit code
            print("burnish: interrupted", file=sys.stderr)
        raise
