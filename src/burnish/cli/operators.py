"""`burnish operators`: which slow operators there are, and what can be turned on them."""

import dataclasses
import json
from typing import Annotated, Any

import typer

from burnish.cli.options import JsonOutput
from burnish.operators.operator import Operator
from burnish.operators.registry import OPERATORS
from burnish.operators.user_defined import find_runnable_operator
from burnish.params import AnyParam, ChoiceParam, ColourParam, FileParam, Param

KINDS: dict[type[AnyParam], str] = {
    Param: "number",
    ColourParam: "colour",
    FileParam: "file",
    ChoiceParam: "choice",
}

operators = typer.Typer(no_args_is_help=True, help="The slow operators: list, show NAME.")


@operators.command("list")
def list_operators(json_output: JsonOutput = False) -> None:
    """List the operators."""
    if json_output:
        typer.echo(json.dumps([_record(operator) for operator in OPERATORS.values()], indent=2))
        return
    for operator in OPERATORS.values():
        typer.echo(f"{operator.name:<26}{operator.summary}")


@operators.command("show")
def show_operator(
    name: Annotated[str, typer.Argument(help="An operator's name, or one of your own.")],
    json_output: JsonOutput = False,
) -> None:
    """Show an operator's paper and parameters."""
    operator = find_runnable_operator(name)
    if json_output:
        typer.echo(json.dumps(_record(operator), indent=2))
        return
    typer.echo(operator.title)
    if operator.summary:
        typer.echo(operator.summary)
    if operator.paper:
        paper = operator.paper
        typer.echo(f"{paper.authors}: {paper.title}. {paper.venue}. https://doi.org/{paper.doi}")
    for param in operator.params:
        otherwise = f", default {param.default_text}" if param.default_text else ""
        typer.echo(f"  {param.option:<16}{param.range}{otherwise}; {param.description}")


def _record(operator: Operator) -> dict[str, Any]:
    return {
        "name": operator.name,
        "title": operator.title,
        "about": operator.summary,
        "paper": dataclasses.asdict(operator.paper) if operator.paper else None,
        "params": [
            {"kind": KINDS[type(param)], **dataclasses.asdict(param)} for param in operator.params
        ],
    }
