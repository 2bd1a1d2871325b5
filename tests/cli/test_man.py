"""The manual page and completion, as a shell and `man` take them."""

import os
import shutil
import subprocess
import sys

import pytest

from burnish.operators.registry import OPERATORS


def test_the_page_names_every_command_and_option(burnish):
    code, page, _ = burnish("man")
    assert code == 0
    for command in ("apply", "again", "cube", "operators show", "photos fivek"):
        assert f".SS burnish {command} " in page
    for operator in OPERATORS.values():
        for param in operator.params:
            assert f".B {param.option} ".replace("-", "\\-") in page


def test_man_takes_the_page(burnish, tmp_path):
    target = tmp_path / "man1" / "burnish.1"
    assert burnish("man", "-o", target)[0] == 0
    if not shutil.which("groff"):
        pytest.skip("groff is not installed")
    order = ["groff", "-man", "-Tutf8", "-ww", "-Z", target]
    done = subprocess.run(order, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert burnish("man", "-o", target)[0] == 1


@pytest.mark.parametrize(
    ("line", "offered"),
    [("burnish ap", "apply"), ("burnish apply l0", "l0-smoothing"), ("burnish cube lo", "look")],
)
def test_bash_completes(line, offered):
    environment = os.environ | {
        "_BURNISH_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - 1),
    }
    code = "import sys; sys.argv[0] = 'burnish'; from burnish.cli.app import main; main()"
    order = [sys.executable, "-c", code]
    done = subprocess.run(order, env=environment, capture_output=True, text=True)
    assert offered in done.stdout.split()


def test_completion_can_be_installed(burnish):
    assert "--install-completion" in burnish("--help")[1]
