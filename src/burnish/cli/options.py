"""Options that several commands share; those of operators are derived from their parameters."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from burnish.operators.registry import OPERATORS
from burnish.params import AnyParam, FileParam, Param
from burnish.runtime.engines import ENGINES
from burnish.runtime.model_registry import model_names

# Whether a photo can be read is found out one by one, so that the others are done.
Photos = Annotated[
    list[Path],
    typer.Argument(
        help="Photos, films, and folders of them; - is a photo on standard input.", readable=False
    ),
]
Recursive = Annotated[
    bool, typer.Option("-r", "--recursive", help="Take folders below as well; -o keeps the tree.")
]
JsonOutput = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")]
Device = Annotated[
    str, typer.Option(help="auto, cpu, cuda or cuda:N. One asked for by name is used or fails.")
]
Threads = Annotated[
    int | None, typer.Option(min=1, help="CPU threads; by default one a core.", show_default=False)
]
Engine = Annotated[str, typer.Option(help=f"{' or '.join(ENGINES)}: what runs the network.")]


def complete_operator(incomplete: str) -> list[str]:
    """Offer the names of networks and operators to a shell that completes a command."""
    return sorted(name for name in {*OPERATORS, *model_names()} if name.startswith(incomplete))


def with_operator_params(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command` an option for every parameter of every operator.

    The command takes them as its argument `params`, by name; what was not said is None. Typer
    reads a command's options off its signature, so the options are added there.
    """
    uses_of: dict[str, list[tuple[str, AnyParam]]] = {}
    for operator in OPERATORS.values():
        for param in operator.params:
            uses_of.setdefault(param.name, []).append((operator.name, param))
    keywords = {uses[0][1].argument_name: name for name, uses in uses_of.items()}

    def wrapped(**given: Any) -> None:
        params = {name: given.pop(keyword) for keyword, name in keywords.items()}
        command(params=params, **given)

    copy_signature(wrapped, command, "params", [_option(uses) for uses in uses_of.values()])
    return wrapped


def copy_signature(
    wrapped: Callable[..., None],
    command: Callable[..., None],
    instead_of: str,
    added: list[inspect.Parameter],
) -> None:
    """Give `wrapped` the name, help and options of `command`, with others in the place of one."""
    signature = inspect.signature(command)
    named: list[inspect.Parameter] = []
    for own in signature.parameters.values():
        own = own.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        named += added if own.name == instead_of else [own]
    wrapped.__name__ = command.__name__
    wrapped.__doc__ = command.__doc__
    wrapped.__signature__ = signature.replace(parameters=named)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {p.name: p.annotation for p in named}


def _option(uses: list[tuple[str, AnyParam]]) -> inspect.Parameter:
    return param_option(uses[0][1], _help(uses), "Parameters of operators")


def param_option(param: AnyParam, help: str, panel: str | None = None) -> inspect.Parameter:
    """Return a command's option for a parameter; what was not said is None."""
    kind: Any = str
    if isinstance(param, Param):
        kind = float
    elif isinstance(param, FileParam):
        kind = Path
    annotation = Annotated[
        kind | None,
        typer.Option(
            param.option,
            help=help,
            show_default=False,
            rich_help_panel=panel,
        ),
    ]
    return inspect.Parameter(
        param.argument_name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )


def _help(uses: list[tuple[str, AnyParam]]) -> str:
    """Describe a parameter in full where one operator has it; else say which ones do."""
    (operator, param), *others = uses
    if others:
        return f"Of {', '.join(name for name, _ in uses)}: see `burnish operators show NAME`."
    return f"{operator}: {param_help(param)}"


def param_help(param: AnyParam) -> str:
    """Say what a parameter takes, what holds otherwise and what it does."""
    default = f", default {param.default_text}" if param.default_text else ""
    return f"{param.range}{default}; {param.description}."
