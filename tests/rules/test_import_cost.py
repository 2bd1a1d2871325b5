"""Commands load few modules. `benchmarks/start_up.py` measures the time that loading takes."""

import subprocess
import sys

import pytest

from burnish.evaluation.doctor import SAMPLE

# Typer imports pydantic for the options of a command.
HEAVY = {"torch", "numpy", "scipy", "pyvips", "onnx", "onnxruntime", "skimage", "PIL", "av"}
# Largest number of burnish modules for one photo without a profile or EXIF, by the network's guide.
MAX_MODULES = {"network": 76, "operator": 77}

# Separates the names of modules from other output.
MARK = "### loaded:"


def modules_loaded_by(code: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after running `code`."""
    code = f"{code}\nimport sys; print('\\n{MARK}', *sys.modules)"
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return set(process.stdout.partition(MARK)[2].split())


def libraries_loaded_by(code: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after running `code`."""
    return {name.partition(".")[0] for name in modules_loaded_by(code)}


COMMAND = """
import sys
from burnish.cli.app import main
sys.argv = ["burnish", *{arguments}]
try:
    main()
except SystemExit as end:
    assert not end.code
"""


def test_import_loads_no_large_library():
    assert not libraries_loaded_by("import burnish") & (HEAVY | {"pydantic", "typer", "rich"})


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
def test_help_loads_no_large_library(arguments):
    assert not libraries_loaded_by(COMMAND.format(arguments=arguments)) & HEAVY


@pytest.mark.parametrize("guide", MAX_MODULES)
def test_apply_to_photo_loads_about_seventy_modules(guide, tmp_path):
    arguments = ["apply", "l0-smoothing", str(SAMPLE), "-o", str(tmp_path / "out.jpg")]
    modules = modules_loaded_by(COMMAND.format(arguments=[*arguments, "--guide", guide]))
    loaded = {name for name in modules if name.partition(".")[0] == "burnish"}
    assert len(loaded) <= MAX_MODULES[guide], sorted(loaded)


@pytest.mark.parametrize("guide", MAX_MODULES)
def test_apply_loads_onnxruntime_but_not_torch(guide):
    code = f"""
import numpy, burnish
burnish.apply(numpy.full((8, 9, 3), 90, numpy.uint8), "l0-smoothing", guide="{guide}")
"""
    loaded = libraries_loaded_by(code)
    assert "onnxruntime" in loaded
    assert not loaded & {"torch", "skimage", "av"}
    assert ("scipy" in loaded) == (guide == "operator")


def test_public_names_exist():
    import burnish
    import burnish.cli.app
    import burnish.editing.photo

    assert callable(burnish.apply)
    for name in burnish.__all__:
        assert getattr(burnish, name) is not None
    assert set(dir(burnish)) == set(burnish.__all__)
    with pytest.raises(AttributeError, match="no attribute 'brunish'"):
        _ = burnish.brunish
