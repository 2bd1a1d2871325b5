"""The command `burnish datasets`."""

import json
import sys

import pytest
from PIL import Image

from burnish.operators.user_defined import find_operator


def test_datasets_fivek_writes_train_and_test_folders(burnish, fivek_folder, tmp_path):
    out = tmp_path / "out"
    code, stdout, stderr = burnish(
        "datasets", "fivek", fivek_folder, "-o", out, "--size", "24", "--size", "480"
    )
    assert code == 0
    assert stderr == "fivek: 3 train, 3 test; 12 to write, 0 exist\n"
    assert stdout.splitlines() == [
        f"{out / size / split}" for split in ("train", "test") for size in ("24p", "480p")
    ]
    with Image.open(out / "24p" / "test" / "a0002-dgw_005.png") as image:
        assert image.size == (36, 24)
    _, _, stderr = burnish(
        "datasets", "fivek", fivek_folder, "-o", out, "--size", "24", "--size", "480"
    )
    assert stderr == "fivek: 3 train, 3 test; 0 to write, 12 exist\n"


def test_datasets_fivek_with_experts_writes_pairs(burnish, fivek_folder, tmp_path):
    code, stdout, _ = burnish(
        "datasets", "fivek", fivek_folder, "-o", tmp_path, "--expert", "c", "--expert", "A",
        "--size", "24", "--split", "train", "--limit", "2", "--json",
    )  # fmt: skip
    assert code == 0
    folders = [str(tmp_path / "24p" / f"train-expert-{letter}") for letter in "ca"]
    assert json.loads(stdout) == {
        "photos": {"train": 2},
        "folders": dict.fromkeys(folders, 2),
        "failed": [],
    }
    for folder in folders:
        assert len(find_operator(f"pairs:{folder}").pairs) == 2


def test_datasets_raise_writes_folders(burnish, raise_folder, tmp_path):
    code, _, stderr = burnish("datasets", "raise", raise_folder, "-o", tmp_path, "--size", "random")
    assert (code, stderr) == (0, "raise: 2 train, 2 test; 4 to write, 0 exist\n")
    test = sorted(path.name for path in (tmp_path / "random" / "test").iterdir())
    assert test == ["r00000000t.png", "r1882b6e6t.png"]


def test_datasets_with_damaged_photo_reports_it_and_writes_the_others(
    burnish, fivek_folder, tmp_path
):
    damaged = next(fivek_folder.rglob("a0701*.dng"))
    damaged.write_bytes(b"no raw file" * 50)
    code, stdout, stderr = burnish(
        "datasets", "fivek", fivek_folder, "-o", tmp_path, "--size", "24", "--json"
    )
    assert code == 1
    assert stderr.splitlines() == [
        "fivek: 3 train, 3 test; 6 to write, 0 exist",
        f"burnish: {damaged}: LibRaw cannot develop the file: unsupported file format or not raw "
        "file; get the original again, or develop it with another program",
        "1 of 6 photos failed",
    ]
    assert json.loads(stdout)["failed"][0]["photo"] == str(damaged)
    assert len(list(tmp_path.rglob("*.png"))) == 5


def test_datasets_without_rawpy_names_the_extra(burnish, fivek_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rawpy", None)  # as if it were not installed
    code, stdout, stderr = burnish("datasets", "fivek", fivek_folder, "-o", tmp_path / "out")
    assert (code, stdout) == (3, "")
    assert "the library rawpy is not installed" in stderr.splitlines()[-1]
    assert "pip install '.[raw]'" in stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["fivek", "gone", "-o", "out"], "gone: there is no such folder"),
        (["fivek", ".", "-o", "out"], "MIT-Adobe FiveK"),
        (["raise", ".", "-o", "out"], "RAISE"),
    ],
)
def test_datasets_of_wrong_folder_fails_in_one_line(
    burnish, tmp_path, monkeypatch, arguments, problem
):
    monkeypatch.chdir(tmp_path)
    code, stdout, stderr = burnish("datasets", *arguments)
    assert (code, stdout) == (2, "")
    assert stderr.count("\n") == 1
    assert problem in stderr
    assert not (tmp_path / "out").exists()
