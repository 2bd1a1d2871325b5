"""--overwrite replaces earlier outputs only, and no other file that a command reads or writes."""

import os
from pathlib import Path

import pytest
from PIL import Image

from burnish.editing.cube import write_cube


@pytest.fixture
def files(photo_folder, tmp_path):
    """One file of each kind that a command reads, by name."""
    (tmp_path / "bright.py").write_text("def bright(rgb):\n    return rgb ** 0.5\n")
    Image.new("L", (56, 40), 255).save(tmp_path / "mask.png")
    Image.open(photo_folder / "2.png").save(tmp_path / "other.png")
    write_cube(f"python:{tmp_path / 'bright.py'}:bright", tmp_path / "lut.cube", size=3)
    paths = {path.stem: path for path in tmp_path.iterdir() if path.is_file()}
    return paths | {"photo": photo_folder / "1.png"}


@pytest.mark.parametrize(
    "line",
    [
        "apply --slow photographic-style {photo} --reference {other} -o {other}",
        "apply l0-smoothing {photo} --mask {mask} -o {mask}",
        "apply l0-smoothing {photo} --mask {mask} -o new.png --save-mask new.png",
        "regions background {photo} --mask {mask} --image {other} -o {other}",
        "regions blur {photo} --mask {mask} -o {mask}",
        "replay {edited} {photo} -o {edited}",
    ],
)
def test_output_that_is_another_file_of_the_command_is_rejected(
    burnish, files, tmp_path, monkeypatch, line
):
    monkeypatch.chdir(tmp_path)
    files["edited"] = tmp_path / "edited.png"
    assert burnish("apply", "l0-smoothing", files["photo"], "-o", files["edited"])[0] == 0
    before = {path: path.read_bytes() for path in files.values()}
    code, out, err = burnish(*line.format_map(files).split(), "--overwrite")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert line.format_map(files).split()[-1] in err
    assert {path: path.read_bytes() for path in files.values()} == before
    assert not (tmp_path / "new.png").exists()


def test_output_that_is_a_hard_link_to_the_mask_is_rejected(burnish, files, tmp_path):
    link = tmp_path / "link.png"
    os.link(files["mask"], link)
    arguments = ["l0-smoothing", files["photo"], "--mask", files["mask"], "-o", link]
    code, _, err = burnish("apply", *arguments, "--overwrite")
    assert (code, err.count("\n")) == (2, 1)
    assert str(link) in err


def test_cube_that_is_its_own_lut_is_rejected(burnish, files):
    lut = files["lut"]
    before = lut.read_bytes()
    code, _, err = burnish("cube", "lut", "--lut", lut, "-o", lut, "--overwrite")
    assert (code, err.count("\n")) == (1, 1)
    assert lut.read_bytes() == before


def test_image_and_coco_file_of_regions_list_must_differ(burnish, files, tmp_path):
    both = tmp_path / "both.png"
    code, _, err = burnish("regions", "list", files["photo"], "-o", both, "--coco", both)
    assert code == 2
    assert "--coco" in err
    assert not both.exists()


@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="standard input has no file name")
def test_output_that_is_redirected_to_standard_input_is_rejected(burnish, files):
    photo = files["photo"]
    before = photo.read_bytes()
    saved = os.dup(0)
    with photo.open("rb") as source:
        os.dup2(source.fileno(), 0)
    try:
        code, _, err = burnish("apply", "l0-smoothing", "-", "-o", photo, "--overwrite")
    finally:
        os.dup2(saved, 0)
        os.close(saved)
    assert (code, err.count("\n")) == (2, 1)
    assert str(photo) in err
    assert photo.read_bytes() == before


def test_photo_in_the_folder_is_not_mistaken_for_an_earlier_output(burnish, photo_folder):
    Image.open(photo_folder / "1.png").save(photo_folder / "1.tif")
    Image.open(photo_folder / "2.png").save(photo_folder / "1.jpg")
    before = (photo_folder / "1.jpg").read_bytes()
    arguments = ["apply", "l0-smoothing", photo_folder, "--format", "jpg", "--name", "{stem}{ext}"]
    for path in photo_folder.glob("*.png"):
        path.unlink()
    code, _, err = burnish(*arguments, "--overwrite")
    assert (code, err.count("\n")) == (2, 1)
    assert (photo_folder / "1.jpg").read_bytes() == before
    (photo_folder / "1.jpg").unlink()
    assert burnish(*arguments)[0] == 0
    code, _, err = burnish(*arguments, "--overwrite")
    assert code == 0
    assert "1 of 1 photos done, 1 ignored as outputs of an earlier run" in err


def test_page_that_is_its_photo_is_rejected(burnish, photo_folder):
    photo = photo_folder / "1.png"
    before = photo.read_bytes()
    code, _, err = burnish("regions", "explain", photo, "-o", photo, "--overwrite")
    assert (code, err.count("\n")) == (1, 1)
    assert photo.read_bytes() == before
