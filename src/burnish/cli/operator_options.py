"""Commands that take the parameters of the operator among their arguments as options."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import typer

from burnish.cli.options import BurnishCommand, expand, param_help, params_class
from burnish.editing.operator_names import find_params, operator_label, unknown_operator
from burnish.errors import BurnishError, UsageError
from burnish.params import AnyParam, Value

PANEL = "Parameters of the operator"
_FIXED_PANEL = "Parameters that are fixed in the network"
_SLOW_PANEL = "Parameters that need --slow"
# Prefix of the options' names inside Click, so that none equals an argument of the command.
_PREFIX = "operator_param "
_OPTIONS = "burnish.operator_options"
_VALUES = "burnish.operator_params"
_SPECS = "burnish.operator_specs"


@dataclass(frozen=True)
class ParamText:
    """The help text of a parameter, and the heading that it stands under."""

    panel: str
    text: str


class OperatorCommand(BurnishCommand):
    """A command that takes the parameters of its operator as options.

    The arguments are parsed twice: first with the options of every operator, to find the name of
    the operator wherever it stands, and then with the options of that operator. If a parameter has
    the name of an option of the command, its own option begins with the operator's name.
    """

    operator_arguments: tuple[str, ...] = ("operator",)

    def find_params(self, spec: str) -> Sequence[AnyParam]:
        """Return the parameters that belong to an argument in `operator_arguments`."""
        return find_params(spec)

    def param_texts(self, spec: str, *, slow: bool) -> dict[str, ParamText]:
        """Return the help of parameters that differs from that of the operator, by name.

        Parameters
        ----------
        slow : the command line has --slow
        """
        return {}

    def all_params(self, specs: Sequence[str]) -> dict[str, AnyParam]:
        """Return the parameters of all operators on the command line, by the options' names."""
        return {p.name: p for spec in specs for p in self.find_params(spec)}

    def all_texts(self, specs: Sequence[str], *, slow: bool) -> dict[str, ParamText | None]:
        """Return `param_texts` of all operators on the command line; None hides an option."""
        texts = [self.param_texts(spec, slow=slow) for spec in specs]
        return {name: text for group in texts for name, text in group.items()}

    def check_spec(self, spec: str) -> None:
        """Raise a UsageError for an argument that is neither an operator nor a model file."""
        try:
            find_params(spec)
        except BurnishError as error:
            raise unknown_operator(spec) or UsageError(
                error.where, error.problem, error.remedy
            ) from error

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
            a in ctx.help_option_names or (a.startswith("--") and a.partition("=")[0] not in flags)
            for a in args
        )
        if not has_operator_flags and not ctx.resilient_parsing:
            ctx.meta[_OPTIONS] = ()
            return super().parse_args(ctx, args)
        ctx.meta[_OPTIONS] = _all_options()
        values = self._first_pass(ctx, args)
        ctx.meta[_SPECS] = ()
        if specs := self.find_specs(values):
            if asks_help := bool(values.get("help")):
                for spec in specs:
                    self.check_spec(spec)
            try:
                params = self.all_params(specs)
            except BurnishError:
                pass  # the command itself reports an unknown operator
            else:
                ctx.meta[_SPECS] = tuple(specs)
                renamed = self._renamed(specs, flags)
                for old, param in renamed.items():
                    params.pop(old, None)
                    params[param.name] = param
                ctx.meta[_OPTIONS] = _options(tuple(params.values()))
                if asks_help:
                    slow = bool(values.get("slow"))
                    texts = self.all_texts(specs, slow=slow)
                    for old, param in renamed.items():
                        texts[param.name] = texts.pop(old, None) or _default_text(param)
                    ctx.meta[_OPTIONS] = _with_texts(ctx.meta[_OPTIONS], texts)
                if not ctx.resilient_parsing:
                    passed = [o for o in _all_options() if values.get(o.name) is not None]
                    _check_params(passed, params, specs)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command, which reads the operator's parameters with `operator_params`."""
        values = {o.name: ctx.params.pop(o.name) for o in ctx.meta[_OPTIONS]}
        specs = ctx.meta.get(_SPECS, ())
        label = f"{operator_label(specs[0])}." if len(specs) == 1 else ""
        ctx.meta[_VALUES] = {
            name.removeprefix(_PREFIX).removeprefix(label): f"{value}"
            if isinstance(value, Path)
            else value
            for name, value in values.items()
            if value is not None
        }
        return super().invoke(ctx)

    def _renamed(self, specs: Sequence[str], flags: Collection[str]) -> dict[str, AnyParam]:
        """Return the parameters whose options would be in `flags`, under another name, by name."""
        return {
            param.name: replace(param, name=f"{operator_label(spec)}.{param.name}")
            for spec in specs
            for param in self.find_params(spec)
            if param.option in flags
        }

    def _first_pass(self, ctx: Any, args: list[str]) -> dict[str, Any]:
        """Return the raw arguments and options by name, without errors.

        An option that names its operator, such as --tv-l1.lambda, is left out: it does not help to
        find the operators.
        """
        left_out = {i for i, arg in enumerate(args) if re.match(r"--[^=]*\.", arg)}
        left_out |= {i + 1 for i in left_out if "=" not in args[i]}
        args = [arg for i, arg in enumerate(args) if i not in left_out]
        settings = ctx.resilient_parsing, ctx.ignore_unknown_options
        ctx.resilient_parsing = ctx.ignore_unknown_options = True
        try:
            values, _, _ = self.make_parser(ctx).parse_args(args)
        finally:
            ctx.resilient_parsing, ctx.ignore_unknown_options = settings
        return dict(values)

    def find_specs(self, values: dict[str, Any]) -> list[str]:
        """Return the operators among the raw arguments."""
        specs: list[str] = []
        for value in map(values.get, self.operator_arguments):
            if isinstance(value, str):
                specs.append(value)
            elif isinstance(value, list | tuple):
                specs += value
        return specs


class NetworkCommand(OperatorCommand):
    """A command that runs a network. Its help shows the parameters that the network accepts."""

    def param_texts(self, spec: str, *, slow: bool) -> dict[str, ParamText]:
        """Return the ranges and defaults of the network, unless the operator itself is run."""
        return {} if slow else network_texts(spec, slow_panel=_SLOW_PANEL)


def network_texts(
    spec: str, recorded: Mapping[str, Value] | None = None, *, slow_panel: str = _FIXED_PANEL
) -> dict[str, ParamText]:
    """Return the help of the parameters that a network accepts or has fixed, by name.

    Parameters
    ----------
    spec : the name of an operator or of a network, or a model file
    recorded : values that replace the defaults, by name
    slow_panel : heading for parameters that need the operator itself
    """
    from burnish.modelfile.reader import read_card
    from burnish.operators import is_user_defined
    from burnish.operators.registry import OPERATORS
    from burnish.runtime.model_registry import find_model, model_names

    operator = OPERATORS.get(spec)
    if operator and spec not in model_names():
        return {p.name: ParamText(slow_panel, param_help(p)) for p in operator.params}
    if is_user_defined(spec):
        return {}
    card = read_card(find_model(spec))
    panel = slow_panel if operator else _FIXED_PANEL
    known = OPERATORS.get(card.operator)
    described = {p.name: p for p in known.params} if known else {}
    texts = {}
    for card_param in card.params:
        name, param = card_param.name, card_param.as_param()
        if name in described:
            param = replace(param, effect=described[name].effect)
        if card_param.slider:
            note = f"default: {value_text((recorded or {}).get(name, card_param.value))}"
            texts[name] = ParamText(PANEL, param_help(param, note))
        else:
            note = f"the network's value: {card_param.value:g}"
            texts[name] = ParamText(panel, param_help(param, note))
    for fixed in card.fixed_params:
        if fixed.name in described:
            value = fixed.value or described[fixed.name].default_text
            note = f"the network's value: {value}"
            texts[fixed.name] = ParamText(panel, param_help(described[fixed.name], note))
    return texts


def _default_text(param: AnyParam) -> ParamText:
    return ParamText(PANEL, param_help(param))


def recorded_text(param: AnyParam, value: Value) -> ParamText:
    """Return the help of a parameter with a recorded value as its default."""
    return ParamText(PANEL, param_help(param, f"default: {value_text(value)}"))


def value_text(value: Value) -> str:
    """Return a value as short text of printable characters; a stranger may have recorded it."""
    text = f"{value:g}" if isinstance(value, int | float) else str(value)
    return "".join(character for character in text if character.isprintable())[:80]


def _with_texts(options: Sequence[Any], texts: Mapping[str, ParamText | None]) -> tuple[Any, ...]:
    """Return the options with these help texts; those that the network accepts come first."""
    for option in options:
        name = option.name.removeprefix(_PREFIX)
        text = texts.get(name)
        option.hidden = name in texts and text is None
        if text is not None:
            option.rich_help_panel, option.help = text.panel, text.text
    return tuple(sorted(options, key=lambda option: option.rich_help_panel != PANEL))


def operator_params(context: typer.Context) -> dict[str, Value]:
    """Return the operator's parameters on the command line, by name."""
    values: dict[str, Value] = context.meta[_VALUES]
    return values


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
    params_type = params_class("OperatorParams", params, PANEL)

    @expand
    def command(values: params_type) -> None:  # type: ignore[valid-type]
        pass

    app = typer.Typer(add_completion=False)
    app.command()(command)
    options = tuple(typer.main.get_command(app).params)
    for option, param in zip(options, params, strict=True):
        option.name = f"{_PREFIX}{param.name}"
    return options
