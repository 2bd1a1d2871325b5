"""`burnish compare` and `burnish evaluate`."""

import json

import numpy as np
from PIL import Image

MODEL = "l0-smoothing"


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_evaluate_prints_a_table_and_json(photo_folder, burnish):
    code, text, _ = burnish("evaluate", MODEL, "--photos", photo_folder)
    assert code == 0
    assert all(name in text for name in ("unedited", MODEL, "operator"))
    (table,) = json.loads(burnish("evaluate", MODEL, "--photos", photo_folder, "--json")[1])
    assert [row["name"] for row in table["scores"]][1:] == [MODEL, "operator"]
    report = table["scores"][1]["report"]
    assert text.splitlines()[3].endswith(report["worst_photo"])
    assert f"{report['mean']['cast']:6.1f}{report['worst']['cast']:6.1f}" in text


def test_evaluate_with_sliders_prints_a_table_for_each_setting(photo_folder, burnish):
    code, text, _ = burnish("evaluate", MODEL, "--photos", photo_folder, "--sliders")
    assert code == 0
    headings = [line for line in text.splitlines() if "megapixels on average" in line]
    assert [line.rpartition("average")[2] for line in headings] == [
        "",
        *(f", lambda {value}" for value in ("0.002", "0.00928318", "0.0430887", "0.2")),
    ]


def test_evaluate_on_a_folder_without_photos_fails(tmp_path, burnish):
    code, _, err = burnish("evaluate", MODEL, "--photos", tmp_path)
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith(f"burnish: {tmp_path}")


def test_compare_writes_three_images_side_by_side(burnish, photo_folder, tmp_path):
    target = tmp_path / "sheet.png"
    code, out, _ = burnish(
        *("compare", "l0-smoothing", photo_folder / "1.png", "--guide", "network"),
        *("-o", target, "--json"),
    )
    assert code == 0
    record = json.loads(out)
    assert 10 < record["identity_psnr"] < 60
    assert 10 < record["psnr"] < 60
    assert record["slow_seconds"] > 0
    sheet = read(target)
    assert sheet.shape[1] == 3 * 56 + 2 * 8
    np.testing.assert_array_equal(sheet[:40, :56], read(photo_folder / "1.png"))
    assert burnish("compare", "l0-smoothing", photo_folder / "1.png", "-o", target)[0] == 1


def test_compare_with_a_folder_is_one_line(burnish, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = burnish("compare", "l0-smoothing", ".")
    assert (code, out, err.count("\n")) == (2, "", 1)
