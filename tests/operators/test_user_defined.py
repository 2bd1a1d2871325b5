"""Operators of the user: python:, command: and pairs:."""

import sys

import numpy as np
import pytest
from PIL import Image

from burnish.errors import OperatorError, UsageError
from burnish.operators.user_defined import find_operator, find_runnable_operator

GREY = np.full((6, 8, 3), 0.25, np.float32)
PYTHON = f'"{sys.executable}"'


@pytest.fixture
def script(tmp_path, monkeypatch):
    path = tmp_path / "filters.py"
    path.write_text("def bright_er(rgb):\n    return rgb * 2\nlevel = 3\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return path


def test_python_file_runs_again_only_if_it_has_changed(script, capsys):
    script.write_text("print('run')\n" + script.read_text())
    for spec in (f"python:{script}:bright_er", "python:filters.py:bright_er"):
        find_operator(spec)
    assert capsys.readouterr().out == "run\n"
    script.write_text(script.read_text() + "# changed\n")
    find_operator(f"python:{script}:bright_er")
    assert capsys.readouterr().out == "run\n"


def write_program(folder, body):
    """Write a Python program with `source` and `target`; return the operator that runs it."""
    path = folder / "a program.py"  # a space in the path is common
    path.write_text("import sys\nsource, target = sys.argv[1:]\n" + body)
    return f'command:{PYTHON} "{path}" {{input}} {{output}}'


def test_find_operator_unknown_name_suggests_a_close_match():
    with pytest.raises(UsageError, match="did you mean l0-smoothing"):
        find_operator("l0-smoothign")
    with pytest.raises(UsageError, match="burnish operators list"):
        find_operator("zzz")


@pytest.mark.parametrize("module", ["filters", "filters.py", "{path}"])
def test_python_operator_runs_the_function(script, module):
    operator = find_operator(f"python:{module.format(path=script)}:bright_er")
    assert operator.name == "bright-er"
    np.testing.assert_allclose(operator.run(GREY), 0.5)


def test_python_operator_fingerprint_depends_on_its_code(script):
    before = find_operator(f"python:{script}:bright_er").fingerprint({})
    script.write_text(script.read_text().replace("* 2", "* 3"))
    assert find_operator(f"python:{script}:bright_er").fingerprint({}) != before


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("filters", "python:module:function"),
        (":bright_er", "python:module:function"),
        ("filters:missing", "filters has no function 'missing'"),
        ("filters:level", "filters has no function 'level'"),
        ("no_such_module:f", "ModuleNotFoundError"),
        ("no_such_file.py:f", "FileNotFoundError"),
    ],
)
def test_python_operator_with_a_wrong_address_raises(script, address, problem):
    with pytest.raises(UsageError, match=problem):
        find_operator(f"python:{address}")


def test_python_operator_supports_dataclasses_and_modules_beside_it(tmp_path):
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


def test_command_operator_passes_16_bit_images(tmp_path):
    body = (
        "import pyvips\n"
        "image = pyvips.Image.new_from_file(source)\n"
        "assert image.format == 'ushort'\n"
        "(image * 2).cast('ushort').write_to_file(target)\n"
    )
    operator = find_operator(write_program(tmp_path, body))
    np.testing.assert_allclose(operator.run(GREY), 0.5, atol=1e-4)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("print('no way', file=sys.stderr)\nsys.exit(7)", r"exit code 7 \(no way\)"),
        ("", r"\{output\}"),
        ("open(target, 'w').write('text')", r"\{output\}"),
        ("from PIL import Image\nImage.new('RGB', (3, 3)).save(target)", r"\(3, 3, 3\)"),
    ],
    ids=["exit code", "no output", "text as output", "another size"],
)
def test_command_operator_that_fails_raises(tmp_path, body, problem):
    with pytest.raises(OperatorError, match=problem):
        find_operator(write_program(tmp_path, body)).run(GREY)


def test_command_operator_without_its_program_raises():
    with pytest.raises(OperatorError, match="installed"):
        find_operator("command:no-such-program {input} {output}").run(GREY)


@pytest.mark.parametrize(
    "template", ["prog {input}", "prog {output}", "prog", "", "prog '{input} {output}"]
)
def test_command_operator_with_an_invalid_template_raises(template):
    with pytest.raises(UsageError, match="command"):
        find_operator(f"command:{template}")


def test_command_operator_fingerprint_depends_on_its_text_and_files(tmp_path):
    spec = write_program(tmp_path, "pass")
    before = find_operator(spec).fingerprint({})
    assert find_operator(spec).fingerprint({}) == before
    assert find_operator(spec + " -x").fingerprint({}) != before
    write_program(tmp_path, "pass  # changed")
    assert find_operator(spec).fingerprint({}) != before


def test_command_operator_uses_no_shell(tmp_path):
    file = tmp_path / "witness"
    with pytest.raises(OperatorError):
        find_operator(f"command:no-such-program {{input}} {{output}} ; touch {file}").run(GREY)
    assert not file.exists()


@pytest.fixture
def pairs_folder(tmp_path):
    for side in ("before", "after"):
        (tmp_path / side).mkdir()
        for name in ("a.png", "b.png"):
            Image.new("RGB", (8, 8)).save(tmp_path / side / name)
    return tmp_path


def test_pairs_operator_lists_its_photos_without_hidden_files(pairs_folder):
    (pairs_folder / "before" / ".unfinished.part").touch()
    operator = find_operator(f"pairs:{pairs_folder}")
    names = [(before.name, after.name) for before, after in operator.pairs]
    assert names == [("a.png", "a.png"), ("b.png", "b.png")]


def test_pairs_operator_cannot_be_run(pairs_folder):
    with pytest.raises(UsageError, match="burnish train"):
        find_runnable_operator(f"pairs:{pairs_folder}")
    with pytest.raises(UsageError, match="burnish train"):
        find_operator(f"pairs:{pairs_folder}").run(GREY)


def test_pairs_operator_with_a_missing_partner_raises(pairs_folder):
    (pairs_folder / "after" / "b.png").unlink()
    with pytest.raises(UsageError, match=r"1 photo has no partner .* before/b\.png"):
        find_operator(f"pairs:{pairs_folder}")
    (pairs_folder / "after" / "c.tif").touch()
    with pytest.raises(UsageError, match=r"2 photos have no partner .* after/c\.tif"):
        find_operator(f"pairs:{pairs_folder}")


def names_of_pairs(folder):
    return [
        (
            before.relative_to(folder / "before").as_posix(),
            after.relative_to(folder / "after").as_posix(),
        )
        for before, after in find_operator(f"pairs:{folder}").pairs
    ]


def test_partners_have_equal_names_or_equal_stems(pairs_folder):
    """Other files, such as those of Windows, are no photos."""
    (pairs_folder / "after" / "a.png").rename(pairs_folder / "after" / "a.JPG")
    for side, file in (("before", "b.tif"), ("after", "b.tif"), ("after", "Thumbs.db")):
        (pairs_folder / side / file).touch()
    for side, file in (("before", "c.1.jpg"), ("after", "c.1.webp")):
        (pairs_folder / side / "day").mkdir()
        (pairs_folder / side / "day" / file).touch()
    assert names_of_pairs(pairs_folder) == [
        ("a.png", "a.JPG"),
        ("b.png", "b.png"),
        ("b.tif", "b.tif"),
        ("day/c.1.jpg", "day/c.1.webp"),
    ]


def test_photo_with_two_possible_partners_raises(pairs_folder):
    (pairs_folder / "after" / "a.png").rename(pairs_folder / "after" / "a.jpg")
    (pairs_folder / "after" / "a.tif").touch()
    with pytest.raises(UsageError, match=r"before/a\.png, after/a\.jpg, after/a\.tif"):
        find_operator(f"pairs:{pairs_folder}")


def test_pairs_operator_without_its_folders_raises(tmp_path):
    with pytest.raises(UsageError, match="before/"):
        find_operator(f"pairs:{tmp_path}")
