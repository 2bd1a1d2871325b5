"""`burnish photos` as a person meets it."""

import json
import sys

import pytest
from PIL import Image

from burnish.operators.user_defined import find_operator


def test_fivek_becomes_folders_to_train_and_test_on(burnish, fivek, tmp_path):
    out = tmp_path / "out"
    code, said, err = burnish("photos", "fivek", fivek, "-o", out, "--size", "24", "--size", "480")
    assert code == 0
    assert err == "fivek: 3 to train, 3 to test; 12 to make, 0 there\n"
    assert said.splitlines() == [
        f"{out / size / split}" for split in ("train", "test") for size in ("24p", "480p")
    ]
    with Image.open(out / "24p" / "test" / "a0002-dgw_005.png") as image:
        assert image.size == (36, 24)
    _, _, again = burnish("photos", "fivek", fivek, "-o", out, "--size", "24", "--size", "480")
    assert again == "fivek: 3 to train, 3 to test; 0 to make, 12 there\n"


def test_experts_become_pairs(burnish, fivek, tmp_path):
    code, said, _ = burnish(
        "photos", "fivek", fivek, "-o", tmp_path, "--expert", "c", "--expert", "A",
        "--size", "24", "--split", "train", "--limit", "2", "--json",
    )  # fmt: skip
    assert code == 0
    folders = [str(tmp_path / "24p" / f"train-expert-{letter}") for letter in "ca"]
    assert json.loads(said) == {
        "photos": {"train": 2},
        "folders": dict.fromkeys(folders, 2),
        "failed": [],
    }
    for folder in folders:
        assert len(find_operator(f"pairs:{folder}").pairs) == 2


def test_raise_becomes_folders(burnish, raise_photos, tmp_path):
    code, _, err = burnish("photos", "raise", raise_photos, "-o", tmp_path, "--size", "random")
    assert (code, err) == (0, "raise: 2 to train, 2 to test; 4 to make, 0 there\n")
    test = sorted(path.name for path in (tmp_path / "random" / "test").iterdir())
    assert test == ["r00000000t.png", "r1882b6e6t.png"]


def test_a_damaged_photo_is_one_line_and_the_rest_is_done(burnish, fivek, tmp_path):
    broken = next(fivek.rglob("a0701*.dng"))
    broken.write_bytes(b"no raw file" * 50)
    code, said, err = burnish("photos", "fivek", fivek, "-o", tmp_path, "--size", "24", "--json")
    assert code == 1
    assert err.splitlines() == [
        "fivek: 3 to train, 3 to test; 6 to make, 0 there",
        f"burnish: {broken}: expected a camera's raw file that LibRaw can develop, "
        "got unsupported file format or not raw file; download it again",
        "1 of 6 photos failed",
    ]
    assert json.loads(said)["failed"][0]["photo"] == str(broken)
    assert len(list(tmp_path.rglob("*.png"))) == 5


def test_without_rawpy_one_line_names_the_extra(burnish, fivek, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rawpy", None)  # as if it were not installed
    code, said, err = burnish("photos", "fivek", fivek, "-o", tmp_path / "out")
    assert (code, said) == (3, "")
    assert "expected the library rawpy" in err.splitlines()[-1]
    assert "pip install '.[raw]'" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["fivek", "gone", "-o", "out"], "gone: expected the folder that the collection lies in"),
        (["fivek", ".", "-o", "out"], "expected MIT-Adobe FiveK"),
        (["raise", ".", "-o", "out"], "expected RAISE"),
    ],
)
def test_a_wrong_folder_is_one_line(burnish, tmp_path, monkeypatch, arguments, complaint):
    monkeypatch.chdir(tmp_path)
    code, said, err = burnish("photos", *arguments)
    assert (code, said) == (2, "")
    assert err.count("\n") == 1
    assert complaint in err
    assert not (tmp_path / "out").exists()
