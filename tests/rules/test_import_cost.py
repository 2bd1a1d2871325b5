"""`import burnish` and `burnish --help` load little. How long that takes, benchmarks tell."""

import subprocess
import sys

import pytest

# Typer itself brings pydantic where it reads a command's options.
HEAVY = {"torch", "numpy", "scipy", "pyvips", "onnx", "onnxruntime", "skimage", "PIL", "av"}


# Ends what the code prints itself, which may name a library too.
MARK = "### loaded:"


def loaded_by(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after `code`."""
    code += "\nimport sys; print(f'\\n{MARK}', *{name.partition('.')[0] for name in sys.modules})"
    code = f"MARK = {MARK!r}\n{code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.partition(MARK)[2].split())


HELP = """
import sys
from burnish.cli.app import main
sys.argv = ["burnish", *{arguments}]
try:
    main()
except SystemExit as end:
    assert not end.code
"""


def test_import_is_cheap():
    assert not loaded_by("import burnish") & (HEAVY | {"pydantic", "typer", "rich"})


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["apply", "--help"],
        ["apply", "l0-smoothing", "--help"],
        ["train", "--help"],
        ["operators", "list"],
        ["regions", "list", "--help"],
        ["regions", "blur", "--help"],
    ],
    ids=" ".join,
)
def test_help_is_cheap(arguments):
    assert not loaded_by(HELP.format(arguments=arguments)) & HEAVY


def test_applying_needs_no_torch():
    code = """
import numpy, burnish
burnish.apply(numpy.full((8, 9, 3), 90, numpy.uint8), "l0-smoothing")
"""
    loaded = loaded_by(code)
    assert "onnxruntime" in loaded
    assert not loaded & {"torch", "scipy", "skimage", "av"}


def test_public_names_are_what_they_say():
    import burnish
    import burnish.cli.app
    import burnish.editing.photo

    assert callable(burnish.apply)
    for name in burnish.__all__:
        assert getattr(burnish, name) is not None
    assert set(dir(burnish)) == set(burnish.__all__)
    with pytest.raises(AttributeError, match="no attribute 'brunish'"):
        _ = burnish.brunish
