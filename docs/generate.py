"""Write the generated pages: operators.md, results.md, cli.md and the two schemas in docs/.

python docs/generate.py

A test compares the committed pages with the output of this script.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer
from results_page import NOTE, machine, results, results_page

from burnish.cli.app import app
from burnish.editing.batch import outcome_schema
from burnish.modelfile.card import Card
from burnish.operators.registry import OPERATORS

DOCS = Path(__file__).parent

OPERATORS_INTRODUCTION = """\
These are the reference operators: networks are trained on their output and compared with it. The
first ten are those of Chen, Xu and Koltun 2017
([doi:10.1109/ICCV.2017.273](https://doi.org/10.1109/ICCV.2017.273)). `burnish apply --slow NAME
PHOTO` runs an operator; it needs `pip install '.[operators]'`. The [gallery](gallery/README.md)
shows all of them. Some operators are compiled on their first run, which takes up to half a minute
once. Each file under `src/burnish/operators/` states the definition, the treatment of borders and
every difference from the paper.
"""

AGREEMENT = """\
The paper's authors published networks for nine operators. Each network approximates the program
that it was trained on, so the agreement is 18 to 43 dB and not 100 dB. The table shows the PSNR in
dB between operator and network, averaged over {count} photos with a shorter side of {short_side}
pixels:
"""

# Explains the low values of the table.
DISAGREEMENT = """\
- L0 smoothing: the authors' lambda was smaller than the default of their paper's program, 0.02.
- Non-local dehazing depends on the airlight, which cannot be estimated reliably on photos without
  haze. The network was trained with another airlight, closer to light grey. With that airlight the
  two agree.
- Dark channel dehazing depends on the airlight, too. The authors' patches seem to be smaller than
  the paper's 15 pixels.
- Photographic style: the authors' reference photo is under copyright, so ours is another one.
- Pencil drawing: the authors' texture is a scan, and their network reproduces only its mean. Our
  texture is made from noise. The authors' output has a dark rim at the borders, and ours does not.
- Local Laplacian has no published network of its own.
"""


# An option that this many commands share is listed once, and not with each command.
SHARED_USES = 4

CLI_INTRODUCTION = """\
`burnish apply OPERATOR --help` also lists the parameters that the network of that operator accepts,
and with `--slow` those of the operator itself, as [operators.md](operators.md) does. Options and
arguments may come in any order.
"""


def pages() -> dict[Path, str]:
    """Return every generated page's path and text."""
    return {
        DOCS / "operators.md": operators_page(),
        DOCS / "results.md": results_page(),
        DOCS / "cli.md": cli_page(),
        DOCS / "card.schema.json": json.dumps(Card.model_json_schema(), indent=2) + "\n",
        DOCS / "apply.schema.json": outcome_schema(),
    }


def operators_page() -> str:
    """Describe every operator."""
    parts = [NOTE, "# Operators\n", OPERATORS_INTRODUCTION, speed_table(), agreement_table()]
    for operator in OPERATORS.values():
        parts.append(f"## {operator.title}\n\n`{operator.name}`: {operator.summary}.\n")
        if operator.paper:
            paper = operator.paper
            parts.append(
                f"{paper.authors}: *{paper.title}*. {paper.venue}. "
                f"[doi:{paper.doi}](https://doi.org/{paper.doi})\n"
            )
        rows = ["| parameter | Python | range | default | scale | effect |"]
        rows.append("|---|---|---|---|---|---|")
        rows += [
            f"| `{p.option}` | `{p.argument_name}` | {p.range} | {p.default_text} | "
            f"{getattr(p, 'scale', '')} | {p.description} |"
            for p in operator.params
        ]
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def speed_table() -> str:
    """Return the operators' seconds per megapixel, as `benchmarks/operators.py` measured them."""
    measured = results("operators")
    rows = measured["rows"]
    lines = ["## Speed\n"]
    processor = machine(measured["environment"])
    lines.append(
        f"Seconds per megapixel on {measured['threads']} threads of {processor}. The exponent "
        "relates the time to the number of pixels; 1 means that they are proportional. Indented "
        "rows are functions of libraries with the same name or purpose; their `distance` is the "
        "PSNR of their output against the operator's. The machine was not idle, and the session "
        "was not that of [results.md](results.md), so times of the two pages do not compare.\n"
    )
    lines.append("| operator | at 1 Mpx | at 8 Mpx | exponent | distance |")
    lines.append("|---|---|---|---|---|")
    for label, row in rows.items():
        ours = label == row["operator"]
        name = f"`{label}`" if ours else f"&nbsp;&nbsp;{label}"
        distance = "" if ours else f"{row['distance']:.0f} dB"
        figures = " | ".join(f"{row[field]:.2f}" for field in ("small", "large", "grows"))
        lines.append(f"| {name} | {figures} | {distance} |")
    return "\n".join(lines) + "\n"


def agreement_table() -> str:
    """Return the PSNR of the operators against the networks that the paper's authors published."""
    measured = results("agreement")
    lines = [
        "## Agreement with the published networks\n",
        AGREEMENT.format(count=len(measured["photos"]), **measured),
    ]
    lines.append("| operator | unedited photo | our defaults | worst photo | best parameters |")
    lines.append("|---|---|---|---|---|")
    for name, row in measured["rows"].items():
        mean = {label: sum(values) / len(values) for label, values in row.items()}
        fits = [
            f"{value:.1f} ({label})"
            for label, value in mean.items()
            if label not in ("untouched", "default")
        ]
        lines.append(
            f"| `{name}` | {mean['untouched']:.1f} | {mean['default']:.1f} | "
            f"{min(row['default']):.1f} | {', '.join(fits)} |"
        )
    return "\n".join(lines) + "\n\n" + DISAGREEMENT


def cli_page() -> str:
    """Describe every command; options that several commands share are listed once."""
    root = typer.main.get_command(app)
    leaves = list(commands(root, "burnish"))
    uses = Counter(row(param) for _, command in leaves for param in visible_params(command))
    shared: dict[str, dict[str, str]] = {}
    for param in (param for _, command in leaves for param in visible_params(command)):
        if uses[row(param)] >= SHARED_USES and param.param_type_name == "option":
            shared.setdefault(section(param), {})[row(param)] = label(param)
    parts = [NOTE, "# Command line\n", f"{root.epilog}\n", CLI_INTRODUCTION]
    for title, rows in shared.items():
        parts.append(f"## {title}\n\n{table(rows)}")
    for name, command in leaves:
        parts.append(f"## {name}\n\n{one_line(command.help)}\n")
        own_params = [
            p for p in visible_params(command) if row(p) not in shared.get(section(p), {})
        ]
        parts.append(table(map(row, own_params)) if own_params else "")
        present = {row(param) for param in visible_params(command)}
        also = []
        for title, rows in shared.items():
            names = [name for text, name in rows.items() if text in present]
            also += [f"the {title.lower()}"] if len(names) > 8 else names
        parts.append(f"Also: {', '.join(also)}.\n" if also else "")
    return "\n".join(part for part in parts if part)


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Walk the tree of commands, leaves only."""
    if not hasattr(command, "list_commands"):
        yield name, command
        return
    for child in command.list_commands(None):
        yield from commands(command.get_command(None, child), f"{name} {child}")


def visible_params(command: Any) -> list[Any]:
    """Return the arguments and options that the help of a command shows."""
    return [param for param in command.params if not getattr(param, "hidden", False)]


def section(param: Any) -> str:
    """Return the heading under which a shared option is listed."""
    panel = getattr(param, "rich_help_panel", None)
    return f"{panel.removesuffix('s')} options" if panel else "General options"


def label(param: Any) -> str:
    """Return the names of an argument or option."""
    if param.param_type_name == "argument":
        return f"`{param.metavar}`"
    options = [*param.opts, *param.secondary_opts]
    return ", ".join(f"`{option}`" for option in sorted(options, key=len))


def row(param: Any) -> str:
    """Describe one argument or option."""
    default = param.default if isinstance(param.default, int | float | str | Path) else None
    shown = "" if default in (None, False, "") or param.required else f" [default: {default}]"
    if not param.help:
        raise ValueError(f"{param.name} has no help")
    return f"| {label(param)} | {one_line(param.help)}{shown} |"


def table(rows: Iterable[str]) -> str:
    """Return a table of two columns without a header."""
    return "\n".join(["| | |", "|---|---|", *rows]) + "\n"


def one_line(text: str) -> str:
    """Return a help text on one line, safe in a table."""
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
