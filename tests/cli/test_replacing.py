"""With --overwrite results replace results: nothing that a command reads, or else writes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from burnish.editing.cube import write_cube

HINT = "expected an output that no other part of the command reads or writes"


@pytest.fixture
def files(photos, tmp_path):
    """One of each kind of file that a command reads, and their bytes."""
    (tmp_path / "bright.py").write_text("def bright(rgb):\n    return rgb ** 0.5\n")
    Image.new("L", (56, 40), 255).save(tmp_path / "mask.png")
    Image.open(photos / "2.png").save(tmp_path / "other.png")
    write_cube(f"python:{tmp_path / 'bright.py'}:bright", tmp_path / "film.cube", size=3)
    found = {path.stem: path for path in tmp_path.iterdir() if path.is_file()}
    return found | {"photo": photos / "1.png"}


@pytest.mark.parametrize(
    "order",
    [
        "apply --slow photographic-style {photo} --reference {other} -o {other}",
        "apply l0-smoothing {photo} --mask {mask} -o {mask}",
        "apply l0-smoothing {photo} --mask {mask} -o new.png --save-mask new.png",
        "regions background {photo} --mask {mask} --image {other} -o {other}",
        "regions blur {photo} --mask {mask} -o {mask}",
        "again {made} {photo} -o {made}",
    ],
)
def test_no_result_replaces_another_file_of_the_command(
    burnish, files, tmp_path, monkeypatch, order
):
    monkeypatch.chdir(tmp_path)
    files["made"] = tmp_path / "made.png"
    assert burnish("apply", "l0-smoothing", files["photo"], "-o", files["made"])[0] == 0
    before = {path: path.read_bytes() for path in files.values()}
    code, out, err = burnish(*order.format_map(files).split(), "--overwrite")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert HINT in err
    assert {path: path.read_bytes() for path in files.values()} == before
    assert not (tmp_path / "new.png").exists()


def test_a_link_to_another_file_is_that_file(burnish, files, tmp_path):
    link = tmp_path / "link.png"
    os.link(files["mask"], link)
    order = ["l0-smoothing", files["photo"], "--mask", files["mask"], "-o", link]
    code, _, err = burnish("apply", *order, "--overwrite")
    assert code == 2
    assert HINT in err


def test_a_table_is_not_replaced_by_one_of_itself(burnish, files):
    table = files["film"]
    before = table.read_bytes()
    code, _, err = burnish("cube", "look", "--lut", table, "-o", table, "--overwrite")
    assert code == 1
    assert "expected an output that is no input" in err
    assert table.read_bytes() == before


def test_a_picture_and_its_objects_are_two_files(burnish, files, tmp_path):
    both = tmp_path / "both.png"
    code, _, err = burnish("regions", "list", files["photo"], "-o", both, "--coco", both)
    assert code == 2
    assert "expected another file than --coco" in err
    assert not both.exists()


@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="standard input has no name")
def test_the_file_behind_standard_input_is_an_input(files):
    photo = files["photo"]
    before = photo.read_bytes()
    order = [sys.executable, "-m", "burnish", "apply", "l0-smoothing", "-", "-o", photo]
    with photo.open("rb") as source:
        done = subprocess.run(
            [*order, "--overwrite"], stdin=source, capture_output=True, text=True, check=False
        )
    assert done.returncode == 2
    assert HINT in done.stderr
    assert photo.read_bytes() == before


def test_a_photo_in_the_folder_is_not_taken_for_a_result(burnish, photos):
    Image.open(photos / "1.png").save(photos / "1.tif")
    Image.open(photos / "2.png").save(photos / "1.jpg")
    before = (photos / "1.jpg").read_bytes()
    order = ["apply", "l0-smoothing", photos, "--format", "jpg", "--name", "{stem}{ext}"]
    for path in photos.glob("*.png"):
        path.unlink()
    code, _, err = burnish(*order, "--overwrite")
    assert (code, err.count("\n")) == (2, 1)
    assert "expected an output that is no input" in err
    assert (photos / "1.jpg").read_bytes() == before
    (photos / "1.jpg").unlink()
    assert burnish(*order)[0] == 0
    code, _, err = burnish(*order, "--overwrite")
    assert code == 0
    assert "1 of 1 photos done, 1 passed over as results of an earlier run" in err


def test_a_page_does_not_replace_its_photo(burnish, photos):
    photo = photos / "1.png"
    before = photo.read_bytes()
    code, _, err = burnish("regions", "explain", photo, "-o", photo, "--overwrite")
    assert (code, err.count("\n")) == (1, 1)
    assert "expected an output that is no input" in err
    assert photo.read_bytes() == before
