"""Photos are chosen by the keywords in their metadata."""

import subprocess

import pytest
from PIL import Image

from burnish.editing.inputs import find_inputs
from burnish.editing.options import OutputOptions
from burnish.editing.plan import plan
from burnish.editing.where import choose_inputs
from burnish.errors import UsageError
from burnish.photo.keywords import add_keywords


@pytest.fixture
def folder(tmp_path):
    """Photos called after their keywords, one without any, and a broken one."""
    for words in (["sea"], ["sea", "dog"], ["Été"], []):
        path = tmp_path / f"{'-'.join(words) or 'none'}.jpg"
        Image.new("RGB", (8, 8)).save(path)
        add_keywords(path, words)
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff no photo")
    return tmp_path


def chosen(folder, *conditions):
    inputs, left_out = choose_inputs(find_inputs([folder], recursive=False), conditions)
    assert len(inputs.files) + left_out + len(inputs.unreadable) == 5
    return [file.path.stem for file in inputs.files]


def test_photos_with_all_keywords_are_chosen(folder):
    assert chosen(folder, "keyword:sea") == ["sea-dog", "sea"]
    assert chosen(folder, "keyword:sea", "keyword: DOG ") == ["sea-dog"]
    assert chosen(folder, "keyword:e\u0301TE\u0301") == ["Été"]


def test_keywords_of_exiftool_are_found(folder):
    arguments = ["exiftool", "-q", "-overwrite_original", "-IPTC:Keywords=boat"]
    subprocess.run([*arguments, folder / "none.jpg"], check=True)
    assert chosen(folder, "keyword:boat") == ["none"]


def test_damaged_photo_is_reported(folder):
    result = plan([folder], "x", OutputOptions(where=["keyword:sea"]))
    assert [file.source.stem for file in result.files] == ["sea-dog", "sea"]
    assert [error.where for error in result.unreadable] == [str(folder / "broken.jpg")]
    assert result.left_out == 2


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        (["sea"], "this is not a condition; write --where keyword:beach"),
        (["keyword:"], "this is not a condition"),
        (["keyword:see"], "did you mean sea"),
        (["keyword:dog", "keyword:Été"], "none of the 5 files has all"),
    ],
)
def test_conditions_that_choose_nothing(folder, conditions, message):
    with pytest.raises(UsageError, match=message):
        choose_inputs(find_inputs([folder], recursive=False), conditions)


def test_command_edits_only_those(folder, burnish):
    arguments = ["regions", "adjust", folder, "--box", "0,0,4,4", "--exposure", "1"]
    code, _, error = burnish(*arguments, "--where", "keyword:dog", "-o", f"{folder}/out/")
    assert [path.name for path in (folder / "out").iterdir()] == ["sea-dog.adjust.jpg"], error
    assert "left out by --where" in error
    assert code == 1  # a photo could not be read
