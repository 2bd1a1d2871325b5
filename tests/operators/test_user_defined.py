import sys

import numpy as np
import pytest
from PIL import Image

from burnish.errors import OperatorError, UsageError
from burnish.operators.user_defined import Pairs, find_operator, find_runnable_operator

GREY = np.full((6, 8, 3), 0.25, np.float32)
PYTHON = f'"{sys.executable}"'


@pytest.fixture
def script(tmp_path, monkeypatch):
    path = tmp_path / "filters.py"
    path.write_text("def bright_er(rgb):\n    return rgb * 2\nlevel = 3\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return path


@pytest.mark.parametrize("where", ["filters", "filters.py", "{path}"])
def test_python_function(script, where):
    operator = find_operator(f"python:{where.format(path=script)}:bright_er")
    assert operator.name == "bright-er"
    np.testing.assert_allclose(operator.run(GREY), 0.5)


def test_python_function_is_identified_by_its_code(script):
    before = find_operator(f"python:{script}:bright_er").fingerprint({})
    script.write_text(script.read_text().replace("* 2", "* 3"))
    assert find_operator(f"python:{script}:bright_er").fingerprint({}) != before


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("filters", "expected python:module:function"),
        (":bright_er", "expected python:module:function"),
        ("filters:missing", "a function 'missing' in filters, got none of that name"),
        ("filters:level", "a function 'level' in filters"),
        ("no_such_module:f", "ModuleNotFoundError"),
        ("no_such_file.py:f", "FileNotFoundError"),
    ],
)
def test_python_address_that_leads_nowhere(script, address, complaint):
    with pytest.raises(UsageError, match=complaint):
        find_operator(f"python:{address}")


def program(tmp_path, body):
    path = tmp_path / "a program.py"  # a space in the path, as people have
    path.write_text("import sys\nsource, target = sys.argv[1:]\n" + body)
    return f'command:{PYTHON} "{path}" {{input}} {{output}}'


def test_command(tmp_path):
    body = (
        "import pyvips\n"
        "picture = pyvips.Image.new_from_file(source)\n"
        "assert picture.format == 'ushort'\n"
        "(picture * 2).cast('ushort').write_to_file(target)\n"
    )
    operator = find_operator(program(tmp_path, body))
    np.testing.assert_allclose(operator.run(GREY), 0.5, atol=1e-4)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("print('no way', file=sys.stderr)\nsys.exit(7)", r"exit code 7 \(no way\)"),
        ("", r"expected a picture in \{output\}, got no such file"),
        (
            "open(target, 'w').write('text')",
            r"expected a picture in \{output\}, got something else",
        ),
    ],
)
def test_command_that_fails(tmp_path, body, complaint):
    with pytest.raises(OperatorError, match=complaint):
        find_operator(program(tmp_path, body)).run(GREY)


def test_command_of_another_size_is_refused(tmp_path):
    body = "from PIL import Image\nImage.new('RGB', (3, 3)).save(target)"
    with pytest.raises(OperatorError, match=r"got float32 of shape \(3, 3, 3\)"):
        find_operator(program(tmp_path, body)).run(GREY)


def test_command_that_is_not_there():
    with pytest.raises(OperatorError, match="check that the program is installed"):
        find_operator("command:no-such-program {input} {output}").run(GREY)


@pytest.mark.parametrize("template", ["prog {input}", "prog {output}", "prog", ""])
def test_command_needs_both_files(template):
    with pytest.raises(UsageError, match=r"a command with \{input\} and \{output\}"):
        find_operator(f"command:{template}")


def test_command_is_identified_by_its_text_and_its_files(tmp_path):
    spec = program(tmp_path, "pass")
    before = find_operator(spec).fingerprint({})
    assert find_operator(spec).fingerprint({}) == before
    assert find_operator(spec + " -x").fingerprint({}) != before
    program(tmp_path, "pass  # changed")
    assert find_operator(spec).fingerprint({}) != before


def test_command_with_an_unclosed_quote():
    with pytest.raises(UsageError, match="expected a command with"):
        find_operator("command:prog '{input} {output}")


def test_python_file_loads_as_python_would_load_it(tmp_path):
    (tmp_path / "beside.py").write_text("LEVEL = 0.5\n")
    (tmp_path / "level.py").write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "import beside\n"
        "@dataclass\n"
        "class Level:\n"
        "    value: float\n"
        "def level(rgb):\n"
        "    return 0 * rgb + Level(beside.LEVEL).value\n"
    )
    operator = find_operator(f"python:{tmp_path / 'level.py'}:level")
    np.testing.assert_allclose(operator.run(GREY), 0.5)


def test_command_goes_through_no_shell(tmp_path):
    witness = tmp_path / "witness"
    with pytest.raises(OperatorError):
        find_operator(f"command:no-such-program {{input}} {{output}} ; touch {witness}").run(GREY)
    assert not witness.exists()


@pytest.fixture
def folder(tmp_path):
    for side in ("before", "after"):
        (tmp_path / side).mkdir()
        for name in ("a.png", "b.png"):
            Image.new("RGB", (8, 8)).save(tmp_path / side / name)
    return tmp_path


def test_pairs(folder):
    found = find_operator(f"pairs:{folder}")
    assert isinstance(found, Pairs)
    assert [(a.name, b.name) for a, b in found.pairs] == [("a.png", "a.png"), ("b.png", "b.png")]


def test_pairs_cannot_be_run(folder):
    with pytest.raises(UsageError, match="learn it first: burnish train"):
        find_runnable_operator(f"pairs:{folder}")


def test_pairs_without_a_partner(folder):
    (folder / "after" / "b.png").unlink()
    with pytest.raises(UsageError, match=r"got 1 without a partner, such as b\.png"):
        find_operator(f"pairs:{folder}")


def test_pairs_need_their_folders(tmp_path):
    with pytest.raises(UsageError, match="expected a folder with before/ and after/"):
        find_operator(f"pairs:{tmp_path}")


def test_unknown_operator_suggests_a_near_one():
    with pytest.raises(UsageError, match="did you mean l0-smoothing"):
        find_operator("l0-smoothign")
    with pytest.raises(UsageError, match="see `burnish operators list`"):
        find_operator("zzz")
