"""Write the generated pages: operators.md, results.md, cli.md and the two schemas in docs/.

python docs/generate.py

A test compares what is committed with what this makes.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer

from burnish.cli.app import app
from burnish.editing.outcome import outcome_schema
from burnish.modelfile.card import card_schema
from burnish.operators.registry import OPERATORS

DOCS = Path(__file__).parent
NOTE = "<!-- Made by docs/generate.py from the tables in the code: edit those. -->\n"

OPERATORS_INTRODUCTION = """\
The slow references: what a network is trained on and judged against. The first ten are those of
Chen, Xu and Koltun 2017 ([doi:10.1109/ICCV.2017.273](https://doi.org/10.1109/ICCV.2017.273)). They
run with `burnish apply --slow NAME PHOTO`, need `pip install '.[operators]'`, and can all be seen
in the [gallery](gallery/README.md). The first run of some compiles them, which takes up to half a
minute, once. Each file under `src/burnish/operators/` states its definition, its borders and every
difference from its paper.
"""

AGREEMENT = """\
The paper's authors published networks for nine operators. Each is an approximation of the program
that it learnt from, so agreement shows in 18 to 43 dB and not in 100. PSNR in dB between operator
and network, mean over {count} photos at a short side of {short_side} pixels:
"""

# What is far off, and why.
DISAGREEMENT = """\
- L0 smoothing: the authors' lambda was smaller than the default of their paper's program, 0.02.
- Non-local dehazing depends on the air-light, which no rule finds on photos without haze. The
  network had another one, nearer to a light grey; given it, the two agree.
- Dark channel dehazing follows the air-light likewise; the authors' patches seem to have been
  smaller than the paper's 15 pixels.
- Photographic style: the authors' reference photo is in copyright and not here; ours is another.
- Pencil drawing: the authors' texture is a scan, which their network reproduces only as its mean;
  ours is made from noise, and their dark rim at the borders is left out.
- Local Laplacian has no published network of its own.
"""


RESULTS_INTRODUCTION = """\
How close each network comes to its slow operator, on photos that none that ships was trained on:
{photos}. Parameters are the operator's defaults; pencil drawing, whose texture is noise, is without
it. PSNR in dB, mean and worst photo, and SSIM; multiply-adds a pixel;
and seconds a megapixel on {threads} thread of {machine}, median of five and half the distance
between the quartiles, ONNX Runtime {onnxruntime}. *Itself* is the time of what needs no engine. All
of it is by `benchmarks/fidelity.py`, an operator's times by one run.

`fast` are the networks that ship. The authors' networks were trained by the paper's authors, at the
parameters that [operators.md](operators.md) finds; where those are not ours (L0 smoothing, the two
dehazing operators, photographic style) their row says little about them. `can24` is the paper's
network, trained by burnish: of L0 smoothing for 65 minutes on two cores, and on five of the six
`large` photos too; of the others on photos that ours learnt from, for 12 to 55 minutes on one core
that most of them shared, those of ROF, TV-L1, relative total variation and tone in 1,600 steps on a
slower processor. `can32` is its larger one, of L0 smoothing learnt as `can24` beside it, of the
others on one core of the slower processor in 18 to 61 minutes: 1,100 steps of ROF, TV-L1, relative
total variation and tone, 1,498 of local Laplacian detail and 1,066 of photographic style, as their
`can24`, and some 500 to 800 of pencil drawing and the dehazers. They say what so short a training
is worth rather than what the network is: where the authors' network stands beside, at our
parameters, it is 6 to 10 dB closer than our `can24`; and `can32` of local Laplacian detail leaves
large photos farther off than untouched, that of photographic style small ones too. `guided` and
`grid` decide at low resolution and are carried to the full one by a guided filter or a bilateral
grid; they learnt in 1,000 or 2,000 steps. They and local Laplacian detail were timed with other
weights of the same shapes. The commands are in [recipes/](../recipes/README.md). All times were
taken in one sitting on a machine with AVX-512; a `can24` or `can32` whose row has no times is as
fast as that of L0 smoothing, which is built alike.
Bilateral guided upsampling (Chen, Adams, Wadhwa, Hasinoff 2016,
[doi:10.1145/2980179.2982423](https://doi.org/10.1145/2980179.2982423)) runs the slow operator on a
shrunk photo and carries the change to the full one: it learns nothing, and takes the time of the
operator on that and some seconds. On large photos it comes closer to local Laplacian detail,
photographic style and non-local dehazing than any network here.
"""

CROSS_INTRODUCTION = """\
Trained on one source of photos and tested on another, by `benchmarks/cross_set.py`: students
without sliders, {steps:,} steps each, PSNR in dB. The photos are those of
[recipes/](../recipes/README.md): `bsds-train` the 300 of BSDS500, `wallpapers` the 32 of `half`,
`wallpapers-test` the five that are held out. The many small photos teach more than the few large
ones, about large ones too.
"""

JOINT_INTRODUCTION = """\
The paper also has one network for all ten operators, told which by an input. Ours, by
`benchmarks/joint.py`, is a `{network}` network that is told by ten switches, as by sliders; it
learnt all at once, {steps:,} steps in {minutes} minutes on one core that it shared. Beside it the
networks that ship, each of which learnt one operator alone; on 30 photos that none of them was
trained on, of at most 1,080 pixels, PSNR in dB. It costs 1 to 8 dB: take the ten.
"""

SIZES_INTRODUCTION = """\
The same photos brought to each size that they have, by `benchmarks/sizes.py`, mean PSNR in dB of
the network, and of the untouched photo in brackets. Columns are of {counts} photos, from the left:
where a column has fewer it differs in what is pictured, too. No network has learnt from more than
3.5 megapixels.
"""

FLAT_INTRODUCTION = """\
On pictures of one colour, and on even slopes, where an eye forgives nothing,
`tests/contract/test_looks.py` holds every network to bounds, in steps of 8 bits. The smoothers:
patterns that repeat with the network's cells below 1, grain below 2, shifts of colour below 6. What
strengthens contrast strengthens errors with it: multi-scale tone 1.5, 2 and 8; local Laplacian
detail 2.5, 3 and 6; dark channel dehazing 1.5 and 4; pencil drawing 1.5 and 2; photographic style
2.5 and 2. One shows more than that: non-local dehazing, patterns of up to 6 and grain of up to 4.
There, run the operator itself where it matters: `burnish apply --slow`.
"""

# Number of commands from which on an option is listed once instead of with each command.
SHARED_USES = 4

CLI_INTRODUCTION = """\
`burnish apply OPERATOR --help` also lists the parameters of that operator, as
[operators.md](operators.md) does. Options and arguments may come in any order.
"""


def pages() -> dict[Path, str]:
    """Return every generated page's path and text."""
    return {
        DOCS / "operators.md": operators_page(),
        DOCS / "results.md": results_page(),
        DOCS / "cli.md": cli_page(),
        DOCS / "card.schema.json": card_schema(),
        DOCS / "apply.schema.json": outcome_schema(),
    }


def operators_page() -> str:
    """Describe every operator of the table."""
    parts = [NOTE, "# Operators\n", OPERATORS_INTRODUCTION, speed_table(), agreement_table()]
    for operator in OPERATORS.values():
        parts.append(f"## {operator.title}\n\n`{operator.name}`: {operator.summary}.\n")
        if operator.paper:
            paper = operator.paper
            parts.append(
                f"{paper.authors}: *{paper.title}*. {paper.venue}. "
                f"[doi:{paper.doi}](https://doi.org/{paper.doi})\n"
            )
        rows = ["| parameter | Python | what it takes | otherwise | scale | what it does |"]
        rows.append("|---|---|---|---|---|---|")
        rows += [
            f"| `{p.option}` | `{p.argument_name}` | {p.range} | {p.default_text} | "
            f"{getattr(p, 'scale', '')} | {p.description} |"
            for p in operator.params
        ]
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def speed_table() -> str:
    """Return seconds a megapixel, as `benchmarks/operators.py` measured them."""
    measured = results("operators")
    rows = measured["rows"]
    lines = ["## Speed\n"]
    processor = machine(measured["circumstances"])
    lines.append(
        f"Seconds a megapixel on {measured['threads']} threads of {processor}; `grows` is the "
        "exponent of the number of pixels, 1 being time in proportion to them. Indented, what "
        "a library offers under the same name or for the same purpose, and how far its picture is "
        "from the operator's (PSNR). This was another sitting than that of "
        "[results.md](results.md), on a machine that was not idle: within a table times compare, "
        "between the two they do not.\n"
    )
    lines.append("| operator | at 1 Mpx | at 8 Mpx | grows | distance |")
    lines.append("|---|---|---|---|---|")
    for label, row in rows.items():
        ours = label == row["operator"]
        name = f"`{label}`" if ours else f"&nbsp;&nbsp;{label}"
        distance = "" if ours else f"{row['distance']:.0f} dB"
        figures = " | ".join(f"{row[field]:.2f}" for field in ("small", "large", "grows"))
        lines.append(f"| {name} | {figures} | {distance} |")
    return "\n".join(lines) + "\n"


def agreement_table() -> str:
    """Return how near we are to the networks that the paper's authors published."""
    measured = results("agreement")
    lines = [
        "## Agreement with the published networks\n",
        AGREEMENT.format(count=len(measured["photos"]), **measured),
    ]
    lines.append(
        "| operator | untouched | at our defaults | worst photo | at the setting that fits |"
    )
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


def results_page() -> str:
    """Return how close every network comes to its operator, and what it costs."""
    measured = results("fidelity")
    folders = measured["photos"]
    *_, circumstances = measured["circumstances"].values()
    parts = [
        NOTE,
        "# Results\n",
        RESULTS_INTRODUCTION.format(
            photos="; ".join(folders.values()),
            threads=measured["threads"],
            machine=machine(circumstances),
            onnxruntime=circumstances["packages"]["onnxruntime"],
        ),
    ]
    heads = " | ".join(f"{folder}: PSNR | worst | SSIM" for folder in folders)
    for name in sorted(measured["operators"], key=list(OPERATORS).index):
        rows = measured["operators"][name]
        parts.append(f"## {OPERATORS[name].title}\n")
        lines = [f"| | {heads} | multiply-adds | ONNX Runtime | OpenVINO | itself |"]
        lines.append("|---" * (5 + 3 * len(folders)) + "|")
        lines += [result_line(label, row, list(folders)) for label, row in rows.items()]
        parts.append("\n".join(lines) + "\n")
    parts += [sizes_table(), cross_table(), joint_table()]
    parts.append("## Flat areas\n\n" + FLAT_INTRODUCTION)
    return "\n".join(parts)


def sizes_table() -> str:
    """Return how close networks come at several sizes of the same photos."""
    measured = results("sizes")
    rows = measured["operators"]
    columns = next(iter(rows.values()))
    sizes = [row["megapixels"] for row in columns]
    counts = ", ".join(str(row["photos"]) for row in columns)
    lines = ["## By size\n", SIZES_INTRODUCTION.format(counts=counts)]
    lines.append("| | " + " | ".join(f"{size:g} megapixels" for size in sizes) + " |")
    lines.append("|---" * (1 + len(sizes)) + "|")
    for name in sorted(rows, key=list(OPERATORS).index):
        cells = [f"{row['network']:.2f} ({row['untouched']:.2f})" for row in rows[name]]
        lines.append(f"| {OPERATORS[name].title} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def cross_table() -> str:
    """Return how close students come on photos of another source than theirs."""
    measured = results("cross_set")
    lines = ["## One source of photos for another\n"]
    lines.append(CROSS_INTRODUCTION.format(steps=measured["steps"]))
    tests = list(next(iter(measured["operators"].values()))["untouched"])
    lines.append("| operator | trained on | " + " | ".join(tests) + " |")
    lines.append("|---" * (2 + len(tests)) + "|")
    for name, rows in measured["operators"].items():
        for source, found in rows.items():
            cells = " | ".join(f"{found[test]:.2f}" for test in tests)
            lines.append(f"| {OPERATORS[name].title} | {source} | {cells} |")
    return "\n".join(lines) + "\n"


def joint_table() -> str:
    """Return how close one network for all operators comes to each."""
    measured = results("joint")
    measured["minutes"] = round(measured["seconds"] / 60)
    lines = ["## One network for all ten\n", JOINT_INTRODUCTION.format(**measured)]
    lines.append("| operator | untouched | one for all | one for it alone | costs |")
    lines.append("|---|---|---|---|---|")
    for name in sorted(measured["rows"], key=list(OPERATORS).index):
        row = measured["rows"][name]
        cells = " | ".join(f"{row[label]:.2f}" for label in ("untouched", "joint", "alone"))
        lines.append(f"| {OPERATORS[name].title} | {cells} | {row['alone'] - row['joint']:.2f} |")
    return "\n".join(lines) + "\n"


def result_line(label: str, row: Any, folders: list[str]) -> str:
    """Return a contestant's line: how close, how much work, how many seconds a megapixel."""
    cells = [label]
    for folder in folders:
        scores = row.get("fidelity", {}).get(folder)
        if scores:
            mean, worst = scores["mean"], scores["worst"]
            cells += [f"{mean['psnr']:.2f}", f"{worst['psnr']:.2f}", f"{mean['ssim']:.3f}"]
        else:
            cells += ["", "", ""]
    cells.append(f"{row['macs']:,}" if "macs" in row else "")
    for engine in ("onnxruntime", "openvino", "slow"):
        timing = row.get(engine)
        cells.append(f"{timing['wall']:.3f} ± {timing['wall_spread']:.3f}" if timing else "")
    return "| " + " | ".join(cells) + " |"


def results(name: str) -> Any:
    """Read what a benchmark committed."""
    return json.loads((DOCS.parent / "benchmarks" / "results" / f"{name}.json").read_text())


def machine(circumstances: Any) -> str:
    """Name the processor, without its number of cores."""
    return str(circumstances["processor"]).partition(" with ")[0]


def cli_page() -> str:
    """Describe every command; options that several commands share are listed once."""
    root = typer.main.get_command(app)
    leaves = list(commands(root, "burnish"))
    uses = Counter(row(param) for _, command in leaves for param in command.params)
    shared: dict[str, dict[str, str]] = {}
    for param in (param for _, command in leaves for param in command.params):
        if uses[row(param)] >= SHARED_USES and param.param_type_name == "option":
            shared.setdefault(section(param), {})[row(param)] = label(param)
    parts = [NOTE, "# Command line\n", f"{root.epilog}\n", CLI_INTRODUCTION]
    for title, rows in shared.items():
        parts.append(f"## {title}\n\n{table(rows)}")
    for name, command in leaves:
        parts.append(f"## {name}\n\n{one_line(command.help)}\n")
        own = [p for p in command.params if row(p) not in shared.get(section(p), {})]
        parts.append(table(map(row, own)) if own else "")
        present = {row(param) for param in command.params}
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


def section(param: Any) -> str:
    """Return the heading under which a shared option is listed."""
    panel = getattr(param, "rich_help_panel", None)
    return f"{panel.removesuffix('s')} options" if panel else "General options"


def label(param: Any) -> str:
    """Return the names of an argument or option."""
    if param.param_type_name == "argument":
        return f"`{param.name.upper()}`"
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
