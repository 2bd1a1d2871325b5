"""Options that several commands share, and `expand`, which makes options of a dataclass."""

import functools
import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, field, fields, is_dataclass, make_dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

from typer import Argument, Option
from typer.core import TyperCommand

from burnish.editing.operator_names import SEPARATOR
from burnish.errors import UsageError, join_or
from burnish.modelfile.quality import QUALITIES, STANDARD
from burnish.params import STRENGTH, AnyParam, ColourParam, FileParam, Param
from burnish.runtime.engines import AUTO, ENGINES, PRECISIONS
from burnish.runtime.model_registry import model_names
from burnish.storage import as_path


def _as_paths(photos: Sequence[Path]) -> list[Path]:
    return [as_path(photo) for photo in photos]


# `readable=False`: each file is opened later, so that an unreadable one does not stop the others.
Photos = Annotated[
    list[Path],
    Argument(
        metavar="PHOTO...",
        help="Photos, videos, and folders of them, also in object storage (s3://, gs://, az://); "
        "- for a photo on standard input.",
        readable=False,
        callback=_as_paths,
    ),
]
JsonOutput = Annotated[bool, Option("--json", help="Print JSON on stdout.")]
Overwrite = Annotated[bool, Option("--overwrite", help="Replace an existing output.")]
# The addresses that --ray takes, for its help.
RAY_ADDRESSES = "auto, HOST:6379, ray://HOST:10001, or local for one on this machine"
Ray = Annotated[
    str | None,
    Option(
        metavar="ADDRESS",
        help=f"Compute on a Ray cluster: {RAY_ADDRESSES}. The photos, models and BURNISH_CACHE are "
        "on a disk that all its machines share. [default: compute on this machine]",
    ),
]
Device = Annotated[str, Option(help="auto, cpu, cuda or cuda:N; a named device must be available.")]
Threads = Annotated[
    int | None, Option(min=1, help="CPU threads, at most one per core. [default: one per core]")
]
Engine = Annotated[
    str,
    Option(
        metavar="NAME",
        help=f"Library that runs the network: {join_or([AUTO, *ENGINES])}; auto is the quicker one "
        "on this machine.",
    ),
]
Precision = Annotated[
    str,
    Option(
        metavar="NAME",
        help=f"Arithmetic of the network: {join_or([AUTO, *PRECISIONS])}; auto is the quickest one "
        "that keeps the quality of an output with 8 bits, and fp32 for others.",
    ),
]

Quality = Annotated[
    str | None,
    Option(
        metavar="NAME",
        help=f"Which network of a model file with several: {join_or(QUALITIES)}. "
        f"[default: {STANDARD}]",
    ),
]


class Qualities(NamedTuple):
    """The two values that --quality may have: of compressed files, and of a network."""

    file: int | None = None
    network: str | None = None


def parse_qualities(texts: Sequence[str]) -> Qualities:
    """Return the values of --quality, of which a number is that of files.

    Raises
    ------
    UsageError : a value is neither of both, or is given twice
    """
    values: dict[str, Any] = {}
    for text in texts:
        kind = "network" if text in QUALITIES else "file"
        if kind == "file" and not (text.isdecimal() and 1 <= int(text) <= 100):
            expected = f"1 to 100, or {join_or(QUALITIES)}"
            raise UsageError("quality", f"expected {expected}, got {text!r}", "leave it out")
        if kind in values:
            problem = f"{values[kind]} and {text} exclude each other"
            raise UsageError("quality", problem, "leave out one")
        values[kind] = text if kind == "network" else int(text)
    return Qualities(**values)


STRENGTH_HELP = "Share of the result in the mixture with the photo, 0 to 1. [default: 1]"
Strength = Annotated[
    float | None,
    Option(min=STRENGTH.low, max=STRENGTH.high, metavar="NUMBER", help=STRENGTH_HELP),
]

Guide = Annotated[
    str | None,
    Option(
        metavar="operator or network",
        help="Source of a guided network's first, small result. [default: the operator if its "
        "libraries are installed; for videos the network]",
    ),
]


def complete_operator(incomplete: str) -> list[str]:
    """Return the names of networks and operators with a prefix, for shell completion."""
    from burnish.operators.registry import OPERATORS

    return sorted(name for name in {*OPERATORS, *model_names()} if name.startswith(incomplete))


def complete_model(incomplete: str) -> list[str]:
    """Return the names of networks with a prefix, for shell completion."""
    return [name for name in model_names() if name.startswith(incomplete)]


def complete_operators(incomplete: str) -> list[str]:
    """Return completions of the last name in a list that is separated by commas."""
    before, comma, last = incomplete.rpartition(SEPARATOR)
    return [f"{before}{comma}{name}" for name in complete_operator(last)]


Operators = Annotated[
    str,
    Argument(
        metavar="OPERATOR",
        help="Name of an operator, or a model file (.onnx); several are separated by commas and "
        "applied in order.",
        autocompletion=complete_operators,
    ),
]
OperatorOrModel = Annotated[
    str,
    Argument(
        help="Name of an operator, or a model file (.onnx).", autocompletion=complete_operator
    ),
]


def option(default: Any, help: str, *flags: str, **metadata: Any) -> Any:
    """Return a dataclass field that `expand` makes an option of; MISSING makes it required."""
    if flags:
        metadata["flags"] = flags
    return field(default=default, metadata={"help": help, **metadata})


def expand(command: Callable[..., None]) -> Callable[..., None]:
    """Replace each dataclass argument of a command by one option per field.

    The command receives an instance of the dataclass. Typer reads the options from the signature
    of the returned function.

    The metadata of a field describes its option:

    - ``help`` : help text (required)
    - ``flags`` : names [default: the field's name, ``--like-this``]
    - ``min``, ``max`` : range of a number, both ends included
    - ``metavar`` : placeholder for the value in the help
    - ``panel`` : section of the help
    - ``hidden`` : whether the help leaves the option out
    - ``type`` : type that Typer parses [default: the field's own, with list for tuple; an option
      of a list may be repeated]
    - ``parse`` : function from what Typer parsed to the field's value; not called for None and
      for an empty list
    """
    signature = inspect.signature(command)
    groups: dict[str, Any] = {}
    parameters: list[inspect.Parameter] = []
    for name, parameter in signature.parameters.items():
        if is_dataclass(group := parameter.annotation):
            groups[name] = group
            parameters += _options(group)
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def wrapped(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(
                **{f.name: parse_field(f, values.pop(f.name)) for f in fields(group)}
            )
        command(**values)

    wrapped.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapped


def params_class(name: str, params: Sequence[AnyParam], panel: str | None = None) -> type[Any]:
    """Return a dataclass for `expand` with one field per parameter.

    A field has the parameter's argument name; its value is None unless the option is given.
    """
    columns: list[tuple[str, Any, Any]] = []
    for p in params:
        kind = float if isinstance(p, Param) else Path if isinstance(p, FileParam) else str
        metavar = {Param: "NUMBER", FileParam: "FILE", ColourParam: "COLOUR"}.get(type(p), "WORD")
        column = option(None, param_help(p), p.option, panel=panel, metavar=metavar)
        columns.append((p.argument_name, kind | None, column))
    return make_dataclass(name, columns, frozen=True)


def param_help(param: AnyParam, note: str | None = None) -> str:
    """Return the help text of a parameter's option: effect, range and a note in brackets.

    Parameters
    ----------
    note : [default: the parameter's default, if it has one]
    """
    effect = param.description.removeprefix("is ")
    if note is None and param.default_text:
        note = f"default: {param.default_text}"
    # The effect of some files states already that they are one.
    kind = "" if effect.startswith(f"the {param.range.removeprefix('a ')}") else f"; {param.range}"
    return f"{effect[:1].upper()}{effect[1:]}{kind}.{f' [{note}]' if note else ''}"


def _options(group: Any) -> list[inspect.Parameter]:
    """Return the options of a dataclass, as keyword parameters of a command."""
    hints = get_type_hints(group)
    options = []
    for f in fields(group):
        kind, default = f.metadata.get("type", hints[f.name]), f.default
        if get_origin(kind) is tuple:
            kind = list[get_args(kind)[0]]  # type: ignore[misc]
        if get_origin(kind) is list:
            kind, default = kind | None, None
        typer_option = Option(
            *f.metadata.get("flags", (f"--{f.name.replace('_', '-')}",)),
            rich_help_panel=f.metadata.get("panel"),
            **{
                k: f.metadata[k]
                for k in ("help", "hidden", "metavar", "min", "max")
                if k in f.metadata
            },
        )
        options.append(
            inspect.Parameter(
                f.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if default is MISSING else default,
                annotation=Annotated[kind, typer_option],
            )
        )
    return options


def parse_field(f: Field[Any], value: Any) -> Any:
    """Return the value of a dataclass field for a parsed option; see `expand`."""
    parse = f.metadata.get("parse")
    if value is None or value == []:
        return f.default if isinstance(f.default, tuple) else value
    if parse:
        return parse(value)
    return tuple(value) if isinstance(value, list) else value


class BurnishCommand(TyperCommand):
    """A command with our style of help and of errors.

    The help names arguments and values in capitals, and lists the options of a panel in a section
    of their own. An error about the value of an option names the option as it is typed.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        for param in self.params:
            param.metavar = param.metavar or _metavar(param)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the arguments for the line "Usage"."""
        arguments = [p for p in self.get_params(ctx) if p.param_type_name == "argument"]
        return [
            "[OPTIONS]",
            *(f"{p.metavar}" if p.required else f"[{p.metavar}]" for p in arguments),
        ]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, the options without a panel, and then each panel."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is None:
                continue
            name, text = record
            kind = "Options"
            if param.param_type_name == "argument":
                kind, name = "Arguments", f"{param.metavar}"
            panel = getattr(param, "rich_help_panel", None) or kind
            # Typer writes ranges as 1<=x<=100 and x>=1.
            text = re.sub(r"([\d.]+)<=x<=([\d.]+)(?=])", r"\1 to \2", text)
            text = re.sub(r"x>=([\d.]+)(?=])", r"at least \1", text)
            sections.setdefault(panel, []).append((name, text))
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def invoke(self, ctx: Any) -> Any:
        """Run the command.

        Raises
        ------
        UsageError : names the option if the command's error names its field or parameter
        """
        options = {
            name: max(param.opts, key=len)
            for param in self.get_params(ctx)
            if param.param_type_name == "option"
            for name in (param.name, max(param.opts, key=len).lstrip("-").replace("-", "_"))
        }
        try:
            return super().invoke(ctx)
        except UsageError as error:
            option = options.get(error.where.replace("-", "_"))
            if option is None:
                raise
            raise error.with_context(option) from error


def _metavar(param: Any) -> str | None:
    """Return the placeholder for an argument or for the value of an option, by its type."""
    if param.param_type_name == "argument":
        return str(param.name).upper()
    # Typer names the type in its own class; older versions have Click's.
    descriptor = getattr(param, "type_descriptor", None)
    kind = f"{descriptor.annotation if descriptor else param.type.name}".lower()
    for part, metavar in {"path": "FILE", "int": "NUMBER", "float": "NUMBER", "bool": None}.items():
        if part in kind:
            return metavar
    return "TEXT"
