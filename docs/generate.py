"""Write the generated pages: docs/operators.md, docs/cli.md and docs/card.schema.json.

python docs/generate.py

A test compares what is committed with what this makes.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from burnish.cli.app import app
from burnish.modelfile.card import card_schema
from burnish.operators.table import OPERATORS

DOCS = Path(__file__).parent
NOTE = "<!-- Made by docs/generate.py from the tables in the code: edit those. -->\n"


def pages() -> dict[Path, str]:
    """Return every generated page's path and text."""
    return {
        DOCS / "operators.md": operators_page(),
        DOCS / "cli.md": cli_page(),
        DOCS / "card.schema.json": card_schema(),
    }


def operators_page() -> str:
    """Describe every operator of the table."""
    parts = [NOTE, "# Operators\n"]
    for operator in OPERATORS.values():
        parts.append(f"## {operator.title}\n\n`{operator.name}`: {operator.about}.\n")
        if operator.paper:
            paper = operator.paper
            parts.append(
                f"{paper.authors}: *{paper.title}*. {paper.venue}. "
                f"[doi:{paper.doi}](https://doi.org/{paper.doi})\n"
            )
        rows = ["| parameter | Python | what it takes | otherwise | scale | what it does |"]
        rows.append("|---|---|---|---|---|---|")
        rows += [
            f"| `{p.option}` | `{p.keyword}` | {p.range} | {p.otherwise} | "
            f"{getattr(p, 'scale', '')} | {p.meaning} |"
            for p in operator.params
        ]
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def cli_page() -> str:
    """Describe every command and its options."""
    root = typer.main.get_command(app)
    parts = [NOTE, "# Command line\n", f"{root.epilog}\n"]
    for name, command in commands(root, "burnish"):
        parts.append(f"## {name}\n\n{first_line(command.help)}\n")
        rows = [row(param) for param in command.params if param.name != "help"]
        parts.append("| | |\n|---|---|\n" + "\n".join(rows) + "\n" if rows else "")
    return "\n".join(part for part in parts if part)


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Walk the tree of commands, leaves only."""
    children = getattr(command, "commands", None)
    if not children:
        yield name, command
        return
    for child_name, child in children.items():
        yield from commands(child, f"{name} {child_name}")


def row(param: Any) -> str:
    """Describe one argument or option."""
    if param.param_type_name == "argument":
        label = f"`{param.name.upper()}`"
    else:
        label = ", ".join(f"`{option}`" for option in sorted(param.opts, key=len))
    default = param.default if isinstance(param.default, int | float | str | Path) else None
    shown = "" if default in (None, False, "") or param.required else f" Default: `{default}`."
    if not param.help:
        raise ValueError(f"{param.name} has no help")
    return f"| {label} | {first_line(param.help)}{shown} |"


def first_line(text: str) -> str:
    """Return a help text's first paragraph on one line, safe in a table."""
    return " ".join(text.partition("\n\n")[0].split()).replace("|", "\\|")


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
