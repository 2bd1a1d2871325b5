"""Commands that take the parameters of the operator among their arguments as options."""

from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import typer

from burnish.cli.options import SectionedCommand, expand, params_class
from burnish.errors import BurnishError, UsageError
from burnish.params import AnyParam, Value

_PANEL = "Parameters of the operator"
# Prefix of the options' names inside Click, so that none equals an argument of the command.
_PREFIX = "operator_param "
_OPTIONS = "burnish.operator_options"
_VALUES = "burnish.operator_params"


class OperatorCommand(SectionedCommand):
    """A command that takes the parameters of its operator as options.

    The arguments are parsed twice: first with the options of every operator, to find the name of
    the operator wherever it stands, and then with the options of that operator.
    """

    operator_arguments: tuple[str, ...] = ("operator",)

    def find_params(self, spec: str) -> Sequence[AnyParam]:
        """Return the parameters that belong to an argument in `operator_arguments`."""
        return find_params(spec)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the command's own options, and those of the operator."""
        return [*super().get_params(ctx), *ctx.meta.get(_OPTIONS, ())]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line.

        Raises
        ------
        UsageError : an option is a parameter of another operator
        """
        flags = {name for p in super().get_params(ctx) for name in (*p.opts, *p.secondary_opts)}
        flags -= set(ctx.help_option_names)
        has_operator_flags = any(
            a.startswith("--") and a.partition("=")[0] not in flags for a in args
        )
        if not has_operator_flags and not ctx.resilient_parsing:
            ctx.meta[_OPTIONS] = ()
            return super().parse_args(ctx, args)
        ctx.meta[_OPTIONS] = _all_options()
        values = self._first_pass(ctx, args)
        if specs := self._specs(values):
            try:
                params = {p.name: p for spec in specs for p in self.find_params(spec)}
            except BurnishError:
                pass  # the command itself reports an unknown operator
            else:
                ctx.meta[_OPTIONS] = _options(tuple(params.values()))
                if not ctx.resilient_parsing:
                    passed = [o for o in _all_options() if values.get(o.name) is not None]
                    _check_params(passed, params, specs)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command, which reads the operator's parameters with `operator_params`."""
        values = {o.name: ctx.params.pop(o.name) for o in ctx.meta[_OPTIONS]}
        ctx.meta[_VALUES] = {
            name.removeprefix(_PREFIX): f"{value}" if isinstance(value, Path) else value
            for name, value in values.items()
            if value is not None
        }
        return super().invoke(ctx)

    def _first_pass(self, ctx: Any, args: list[str]) -> dict[str, Any]:
        """Return the raw arguments and options by name, without errors."""
        settings = ctx.resilient_parsing, ctx.ignore_unknown_options
        ctx.resilient_parsing = ctx.ignore_unknown_options = True
        try:
            values, _, _ = self.make_parser(ctx).parse_args(list(args))
        finally:
            ctx.resilient_parsing, ctx.ignore_unknown_options = settings
        return dict(values)

    def _specs(self, values: dict[str, Any]) -> list[str]:
        specs: list[str] = []
        for value in map(values.get, self.operator_arguments):
            if isinstance(value, str):
                specs.append(value)
            elif isinstance(value, list | tuple):
                specs += value
        return specs


def operator_params(context: typer.Context) -> dict[str, Value]:
    """Return the operator's parameters on the command line, by name."""
    values: dict[str, Value] = context.meta[_VALUES]
    return values


def find_params(spec: str) -> Sequence[AnyParam]:
    """Return the parameters of an operator or of a model.

    A model's parameters have the ranges and defaults that its card states.

    Raises
    ------
    BurnishError : there is no such operator or model
    """
    from burnish.operators.registry import OPERATORS

    if spec in OPERATORS:
        return OPERATORS[spec].params
    if spec.partition(":")[0] in ("python", "command", "pairs"):
        return ()
    from burnish.modelfile.reader import read_model
    from burnish.runtime.model_registry import find_model

    card = read_model(find_model(spec)).card
    operator = OPERATORS.get(card.operator)
    params = {p.name: p for p in operator.params} if operator else {}
    return tuple((params | {p.name: p.as_param() for p in card.params}).values())


def _check_params(options: Sequence[Any], params: Collection[str], specs: Sequence[str]) -> None:
    from burnish.operators.registry import OPERATORS

    for option in options:
        name = option.name.removeprefix(_PREFIX)
        if name not in params:
            owners = [o.name for o in OPERATORS.values() if name in {p.name for p in o.params}]
            raise UsageError(
                option.opts[0],
                f"{' and '.join(specs)} has no such parameter",
                f"it is a parameter of {', '.join(owners)}",
            )


@cache
def _all_options() -> tuple[Any, ...]:
    """Return an option for each parameter of any operator, hidden from help and completion."""
    from burnish.operators.registry import OPERATORS

    params = {p.name: p for operator in OPERATORS.values() for p in operator.params}
    options = _options(tuple(params.values()))
    for option in options:
        option.hidden = True
    return options


def _options(params: tuple[AnyParam, ...]) -> tuple[Any, ...]:
    """Return Click options for parameters."""
    params_type = params_class("OperatorParams", params, _PANEL)

    @expand
    def command(values: params_type) -> None:  # type: ignore[valid-type]
        pass

    app = typer.Typer(add_completion=False)
    app.command()(command)
    options = tuple(typer.main.get_command(app).params)
    for option, param in zip(options, params, strict=True):
        option.name = f"{_PREFIX}{param.name}"
    return options
