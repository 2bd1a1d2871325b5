"""Options that several commands share, and `expand`, which makes options of a dataclass."""

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, field, fields, is_dataclass, make_dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand

from burnish.operators.registry import OPERATORS
from burnish.params import AnyParam, FileParam, Param
from burnish.runtime.engines import ENGINES
from burnish.runtime.model_registry import model_names

# `readable=False`: each file is opened later, so that one that cannot be read stops no other.
Photos = Annotated[
    list[Path],
    typer.Argument(
        help="Photos, videos, and folders of them; - for a photo on standard input.",
        readable=False,
    ),
]
Recursive = Annotated[bool, typer.Option("-r", "--recursive", help="Include subfolders.")]
JsonOutput = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")]
Device = Annotated[
    str, typer.Option(help="auto, cpu, cuda or cuda:N; an error if the named one is missing.")
]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads. [default: one per core]")]
Engine = Annotated[str, typer.Option(help=f"What runs the network: {' or '.join(ENGINES)}.")]


def complete_operator(incomplete: str) -> list[str]:
    """Return the names of networks and operators with a prefix, for shell completion."""
    return sorted(name for name in {*OPERATORS, *model_names()} if name.startswith(incomplete))


OperatorOrModel = Annotated[
    str,
    typer.Argument(
        help="Name of an operator, or a model file (.onnx).", autocompletion=complete_operator
    ),
]


def expand(command: Callable[..., None]) -> Callable[..., None]:
    """Replace each dataclass argument of a command by one option per field.

    The command receives an instance of the dataclass. If the argument has a default instance, its
    values are the options' defaults; otherwise the fields' own defaults are. Typer reads the
    options from the signature of the returned function.

    The metadata of a field describes its option:

    - ``help`` : help text (required)
    - ``flags`` : names [default: the field's name, ``--like-this``]
    - ``min``, ``max`` : range of a number, both ends included
    - ``metavar`` : placeholder for the value in the help
    - ``panel`` : section of the help
    - ``type`` : type that Typer parses [default: the field's own, with list for tuple; an option
      of a list may be repeated]
    - ``parse`` : function from what Typer parsed to the field's value; not called for None and
      for an empty list
    """
    signature = inspect.signature(command)
    groups: dict[str, Any] = {}
    parameters: list[inspect.Parameter] = []
    for name, parameter in signature.parameters.items():
        if is_dataclass(parameter.annotation):
            groups[name] = parameter.annotation
            parameters += _options(parameter)
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def wrapped(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{f.name: _parse(f, values.pop(f.name)) for f in fields(group)})
        command(**values)

    wrapped.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapped


def params_class(name: str, params: Sequence[AnyParam], panel: str | None = None) -> type[Any]:
    """Return a dataclass for `expand` with one field per parameter.

    A field has the parameter's argument name; its value is None unless the option is given.
    """
    columns = [(p.argument_name, _param_type(p), _param_field(p, panel)) for p in params]
    return make_dataclass(name, columns, frozen=True)


def param_help(param: AnyParam) -> str:
    """Return the help text of a parameter's option: effect, range and default."""
    default = f" [default: {param.default_text}]" if param.default_text else ""
    return f"{param.description[:1].upper()}{param.description[1:]}; {param.range}.{default}"


def _param_type(param: AnyParam) -> Any:
    if isinstance(param, Param):
        return float | None
    return Path | None if isinstance(param, FileParam) else str | None


def _param_field(param: AnyParam, panel: str | None) -> Any:
    metadata = {"flags": (param.option,), "help": param_help(param), "panel": panel}
    return field(default=None, metadata=metadata)


def _options(group: inspect.Parameter) -> list[inspect.Parameter]:
    """Return the options of a dataclass argument, as keyword parameters of the command."""
    hints = get_type_hints(group.annotation)
    options = []
    for f in fields(group.annotation):
        default = f.default if group.default is group.empty else getattr(group.default, f.name)
        kind = f.metadata.get("type", hints[f.name])
        if get_origin(kind) is tuple:
            kind = list[get_args(kind)[0]]  # type: ignore[misc]
        if get_origin(kind) is list:
            default, kind = list(default) or None, kind | None
        options.append(
            inspect.Parameter(
                f.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=group.empty if default is MISSING else default,
                annotation=Annotated[kind, _typer_option(f)],
            )
        )
    return options


def _typer_option(f: Field[Any]) -> Any:
    metadata = f.metadata
    return typer.Option(
        *metadata.get("flags", (f"--{f.name.replace('_', '-')}",)),
        help=metadata["help"],
        metavar=metadata.get("metavar"),
        min=metadata.get("min"),
        max=metadata.get("max"),
        rich_help_panel=metadata.get("panel"),
    )


def _parse(f: Field[Any], value: Any) -> Any:
    parse = f.metadata.get("parse")
    if value is None or value == []:
        return () if f.default == () else value
    if parse:
        return parse(value)
    return tuple(value) if isinstance(value, list) else value


class SectionedCommand(TyperCommand):
    """A command whose help lists the options of a panel in a section of their own."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, the options without a panel, and then each panel."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                kind = "Arguments" if param.param_type_name == "argument" else "Options"
                panel = getattr(param, "rich_help_panel", None) or kind
                sections.setdefault(panel, []).append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


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
