"""The command line: its commands, and how a command ends with an error."""

import atexit
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Annotated, Any

import typer
from typer import Option
from typer.core import TyperGroup

import burnish
from burnish.errors import (
    INTERRUPTED,
    TERMINATED,
    BurnishError,
    UsageError,
    did_you_mean,
    missing_library,
    read_error,
)
from burnish.storage import original_names

# Command -> the module in burnish.cli whose `app` has it.
_MODULES = {
    "apply": "apply",
    "replay": "apply",
    "compare": "evaluation",
    "evaluate": "evaluation",
    "train": "train",
    "compress": "compress",
    "search": "search",
    "cache": "cache",
    "cube": "operators",
    "demo": "evaluation",
    "doctor": "evaluation",
    "models": "operators",
    "operators": "operators",
    "datasets": "datasets",
    "regions": "regions",
    "keywords": "keywords",
    "page": "page",
    "serve": "serve",
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

    def make_context(self, info_name: Any, args: list[str], *more: Any, **settings: Any) -> Any:
        """Parse the options before the command's name; errors are those of burnish."""
        # As a path, an empty text would mean the current folder.
        if "" in args:
            problem = "an argument is empty, as of a variable that is not set"
            raise UsageError("''", problem, "name a file or a value")
        with _burnish_errors():
            return super().make_context(info_name, args, *more, **settings)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the first argument names.

        Raises
        ------
        UsageError : it is the name or the use of an operator
        """
        if args and not args[0].startswith("-") and args[0] not in _MODULES:
            from burnish.operators.registry import OPERATORS, operators_for

            names = [args[0]] if args[0] in OPERATORS else operators_for(args[0])
            if names:
                remedy = f"write: burnish apply {' or '.join(names)} PHOTO"
                raise UsageError(args[0], "there is no such command", remedy)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Parse the rest of the command line and run the command; errors are those of burnish."""
        with _burnish_errors():
            return super().invoke(ctx)


# Exit code -> the event. Typer returns the first after Ctrl-C, and `burnish.cluster` the second.
_SIGNALS: dict[object, str] = {INTERRUPTED: "interrupted", TERMINATED: "terminated"}
# Click's own UsageError, which Typer does not export under this name.
_ClickUsageError: Any = typer.BadParameter.__base__


@contextmanager
def _burnish_errors() -> Iterator[None]:
    try:
        yield
    except _ClickUsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help
            raise
        raise _usage_error(error) from error


def _usage_error(error: Any) -> UsageError:
    """Return the error of burnish for one of Click: an option, argument or value is wrong."""
    command = error.ctx.command_path if error.ctx else "burnish"
    where = command.removeprefix("burnish ")
    see_help = f"see `{command} --help`"
    param = getattr(error, "param", None)
    if param is not None:
        is_argument = param.param_type_name == "argument"
        name = param.metavar.rstrip(".") if is_argument else max(param.opts, key=len)
        if not error.message:
            return UsageError(where, f"{name} is missing", see_help)
        if param.metavar == "NUMBER":
            got, remedy = _rejected_value(error), "choose a value in the range"
            return UsageError(name, expected=_number_range(param), got=got, remedy=remedy)
        return UsageError(name, _clause(error.message), see_help)
    if option := getattr(error, "option_name", None):
        if "such option" not in error.message:
            return UsageError(option, "a value is missing", see_help)
        remedy = did_you_mean(option, error.possibilities or (), see_help)
        return UsageError(where, f"there is no option {option}", remedy)
    problem, _, suggestion = error.format_message().partition(" Did you mean")
    remedy = f"did you mean{suggestion}" if suggestion else see_help
    return UsageError(where, _clause(problem), remedy)


def _clause(message: str) -> str:
    """Return a sentence as a clause."""
    return f"{message[:1].lower()}{message[1:]}".rstrip(".")


def _number_range(param: Any) -> str:
    """Return the numbers that an option takes, in words."""
    descriptor = getattr(param, "type_descriptor", None)
    limits = descriptor.parameter_info if descriptor else param.type
    low, high = getattr(limits, "min", None), getattr(limits, "max", None)
    kind = "a whole number" if "int" in f"{getattr(descriptor, 'annotation', '')}" else "a number"
    if low is None and high is None:
        return kind
    return f"{kind}, {low:g} or more" if high is None else f"{kind}, {low:g} to {high:g}"


def _rejected_value(error: Any) -> str:
    """Return the value in pydantic's error, which is the cause, or else the error's message."""
    errors: Any = getattr(error.__cause__, "errors", list)()
    return f"{errors[0]['input']}" if errors else _clause(error.message)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 a file failed, 2 wrong usage, 3 a model, device, library, "
    "cluster or storage is not available, 130 interrupted.",
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
    print(f"burnish: warning: {original_names(str(message))}", file=sys.stderr)


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
    except OSError as error:
        if error.filename is None:  # a bug, or a pipe that was closed
            raise
        print(f"burnish: {read_error(error.filename, error)}", file=sys.stderr)
        sys.exit(BurnishError.exit_code)
    except SystemExit as error:
        if error.code in _SIGNALS:
            print(f"burnish: {_SIGNALS[error.code]}", file=sys.stderr)
            # A further Ctrl-C would print where it meets the functions at exit.
            atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
        raise
