"""Options that several commands share; those of operators are derived from their parameters."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from burnish.operators.table import OPERATORS
from burnish.params import AnyParam, FileParam, Param
from burnish.runtime.engines import ENGINES

JsonOutput = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")]
Device = Annotated[
    str, typer.Option(help="auto, cpu, cuda or cuda:N. One asked for by name is used or fails.")
]
Threads = Annotated[
    int | None, typer.Option(min=1, help="CPU threads; by default one a core.", show_default=False)
]
Engine = Annotated[str, typer.Option(help=f"{' or '.join(ENGINES)}: what runs the network.")]


def with_operator_params(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command` an option for every parameter of every operator.

    The command takes them as its argument `params`, by name; what was not said is None. Typer
    reads a command's options off its signature, so the options are added there.
    """
    described: dict[str, list[tuple[str, AnyParam]]] = {}
    for operator in OPERATORS.values():
        for param in operator.params:
            described.setdefault(param.name, []).append((operator.name, param))
    keywords = {uses[0][1].keyword: name for name, uses in described.items()}

    def wrapped(**given: Any) -> None:
        params = {name: given.pop(keyword) for keyword, name in keywords.items()}
        command(params=params, **given)

    signature = inspect.signature(command)
    own = [p for p in signature.parameters.values() if p.name != "params"]
    added = [_option(uses) for uses in described.values()]
    wrapped.__name__ = command.__name__
    wrapped.__doc__ = command.__doc__
    wrapped.__signature__ = signature.replace(parameters=own + added)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {p.name: p.annotation for p in own + added}
    return wrapped


def _option(uses: list[tuple[str, AnyParam]]) -> inspect.Parameter:
    param = uses[0][1]
    kind: Any = str
    if isinstance(param, Param):
        kind = float
    elif isinstance(param, FileParam):
        kind = Path
    annotation = Annotated[
        kind | None,
        typer.Option(
            param.option,
            help=_help(uses),
            show_default=False,
            rich_help_panel="Parameters of operators",
        ),
    ]
    return inspect.Parameter(
        param.keyword, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )


def _help(uses: list[tuple[str, AnyParam]]) -> str:
    """Describe a parameter in full where one operator has it; else say which ones do."""
    (operator, param), *others = uses
    if others:
        return f"Of {', '.join(name for name, _ in uses)}: see `burnish operators show NAME`."
    otherwise = f", default {param.otherwise}" if param.otherwise else ""
    return f"{operator}: {param.range}{otherwise}; {param.meaning}."
