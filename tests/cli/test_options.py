"""`expand`: dataclasses as options of a command."""

from dataclasses import dataclass, field

import pytest
import typer
from typer.testing import CliRunner

from burnish.cli.options import BurnishCommand, expand, params_class
from burnish.params import ChoiceParam, ColourParam, Param


def parse_names(texts):
    return tuple(",".join(texts).split(","))


@dataclass(frozen=True)
class Selection:
    only: tuple[str, ...] = field(
        default=(), metadata={"help": "Classes.", "parse": parse_names, "panel": "Regions"}
    )
    numbers: tuple[int, ...] = field(default=(), metadata={"help": "N.", "flags": ("--number",)})
    score: float = field(default=0.5, metadata={"help": "Score.", "min": 0, "max": 1})
    invert: bool = field(default=False, metadata={"help": "Inverse."})


Params = params_class(
    "Params",
    (
        Param("lambda", "flattens more", default=0.02, low=0.002, high=0.2),
        ColourParam("colour", "is the filling", default_text="black"),
        ChoiceParam("method", "is the method", choices=("fill", "blur"), default="fill"),
    ),
)


@pytest.fixture
def run():
    """Run a command with two dataclass arguments; returns its arguments, or the printed text."""
    values = []
    app = typer.Typer(rich_markup_mode=None, add_completion=False)

    @app.command(cls=BurnishCommand)
    @expand
    def command(name: str, *, selection: Selection, params: Params, size: int = 3) -> None:
        values.append((name, selection, params, size))

    def run(*arguments):
        values.clear()
        result = CliRunner().invoke(app, arguments)
        return values[0] if values else result.output

    return run


def test_expand_without_options_gives_the_defaults(run):
    assert run("x") == ("x", Selection(), Params(None, None, None), 3)


def test_expand_passes_options_as_fields(run):
    options = ["--only", "a,b", "--only", "c", "--number", "4", "--score", "0.1", "--invert"]
    name, selection, params, size = run(*options, "x", "--lambda", "0.1", "--size", "7")
    assert (name, size) == ("x", 7)
    assert selection == Selection(("a", "b", "c"), (4,), 0.1, True)
    assert params == Params(0.1, None, None)


def test_expand_checks_the_range_of_a_field(run):
    assert "--score" in run("x", "--score", "2")


def test_help_shows_defaults_ranges_and_sections(run):
    text = " ".join(run("--help").split())
    assert "Score. [default: 0.5; 0 to 1]" in text
    assert "A larger value flattens more; 0.002 to 0.2. [default: 0.02]" in text
    assert "The filling; a colour as #rrggbb. [default: black]" in text
    assert "--only" in text.partition("Regions:")[2]
    assert "--number" not in text.partition("Regions:")[2]
