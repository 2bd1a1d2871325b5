"""`burnish man`: the manual page, made from the same table as the commands themselves."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from burnish.cli.options import Overwrite


def man(
    context: typer.Context,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="A file, such as ~/.local/share/man/man1/burnish.1."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Print the manual page: burnish man | man -l -. Or write it where `man burnish` finds it."""
    page = manual(context.find_root().command)
    if output is None:
        typer.echo(page, nl=False)
        return
    from burnish.files import atomic_write, make_folder

    make_folder(output.parent)
    with atomic_write(output, overwrite=overwrite) as file:
        file.write(page.encode())
    typer.echo(output)


def manual(root: Any) -> str:
    """Return the page in roff for a Click command that has commands of its own."""
    import burnish

    lines = [f'.TH BURNISH 1 "" "burnish {burnish.__version__}" "User commands"']
    lines += [".SH NAME", f"burnish \\- {_escape(root.help)}", ".SH SYNOPSIS"]
    lines += [".B burnish", "COMMAND [OPTIONS] [ARGUMENTS]", ".SH COMMANDS"]
    for name, command in _commands(root, ""):
        arguments = [param for param in command.params if param.param_type_name == "argument"]
        usage = " ".join(_metavar(argument) for argument in arguments)
        lines += [f".SS burnish {_escape(name)} {_escape(usage)}", _escape(command.help)]
        for param in command.params:
            if getattr(param, "help", None):
                lines += [".TP", f".B {_escape(_label(param))}", _escape(param.help)]
    lines += [".SH EXIT STATUS", _escape(root.epilog)]
    return "\n".join(lines) + "\n"


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Walk the tree of commands, leaves only."""
    children = getattr(command, "commands", None)
    if not children:
        yield name, command
        return
    for child_name, child in children.items():
        yield from _commands(child, f"{name} {child_name}".strip())


def _label(param: Any) -> str:
    if param.param_type_name == "argument":
        return _metavar(param)
    options = ", ".join(sorted(param.opts, key=len))
    return options if param.is_flag else f"{options} {param.name.upper()}"


def _metavar(argument: Any) -> str:
    return f"{argument.name.upper()}{'...' if argument.nargs == -1 else ''}"


def _escape(text: str) -> str:
    """Make plain text of one line safe for roff."""
    line = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{line}" if line.startswith((".", "'")) else line
