"""`apply --only` and `burnish regions` from end to end, with mask files and files of objects."""

import json

import numpy as np
import pytest
from PIL import Image

from burnish.detection.instances import Instances
from burnish.detection.objects_file import to_coco
from burnish.regions.edits.table import EDITS
from burnish.regions.maskfile import MaskFile


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture
def mask(tmp_path):
    """A mask file for a lying photo, and which pixels it has."""
    y, x = np.mgrid[:40, :56]
    inside = (x - 20) ** 2 + (y - 20) ** 2 < 144
    Image.fromarray((inside * 255).astype(np.uint8)).save(tmp_path / "mask.png")
    return tmp_path / "mask.png", inside


@pytest.fixture
def objects(photos, tmp_path):
    """A file in which every photo has a person at the left and two dogs; some lie upright."""
    found = {}
    for path in sorted(photos.iterdir()):
        with Image.open(path) as image:
            size = image.size
        boxes = np.array([[2, 2, 20, 30], [22, 4, 34, 20], [24, 8, 30, 14]], np.float32)
        masks = tuple(np.ones((int(b - t), int(r - a)), np.float32) for a, t, r, b in boxes)
        labels, scores = ("person", "dog", "dog"), np.array([0.9, 0.8, 0.6], np.float32)
        found[path.name] = Instances(size, boxes, labels, scores, masks)
    path = tmp_path / "objects.json"
    path.write_text(json.dumps(to_coco(found)))
    return path


def test_apply_within_a_mask(burnish, photos, mask, tmp_path):
    path, inside = mask
    photo = photos / "1.png"
    assert burnish("apply", "l0-smoothing", photo, "-o", tmp_path / "whole.png")[0] == 0
    code, _, err = burnish("apply", "l0-smoothing", photo, "--mask", path, "-o", tmp_path / "x.png")
    assert (code, err) == (0, "")
    whole, result = read(tmp_path / "whole.png"), read(tmp_path / "x.png")
    np.testing.assert_array_equal(result, np.where(inside[..., None], whole, read(photo)))


def test_only_and_except_are_each_other_s_rest(burnish, photos, objects, tmp_path):
    photo = photos / "1.png"
    order = ["apply", "l0-smoothing", photo, "--objects", objects, "--feather", 0]
    burnish("apply", "l0-smoothing", photo, "-o", tmp_path / "whole.png")
    for option in ("--only", "--except"):
        kept = tmp_path / f"mask{option}.png"
        result = tmp_path / f"{option}.png"
        assert burnish(*order, option, "person", "-o", result, "--save-mask", kept)[0] == 0
    person = np.zeros((40, 56), bool)
    person[2:30, 2:20] = True
    np.testing.assert_array_equal(read(tmp_path / "mask--only.png"), person * 255)
    np.testing.assert_array_equal(read(tmp_path / "mask--except.png"), ~person * 255)
    whole, before = read(tmp_path / "whole.png"), read(photo)
    only = np.where(person[..., None], whole, before)
    np.testing.assert_array_equal(read(tmp_path / "--only.png"), only)
    excepted = np.where(person[..., None], before, whole)
    np.testing.assert_array_equal(read(tmp_path / "--except.png"), excepted)


def test_a_folder_with_objects_and_masks_kept(burnish, photos, objects, tmp_path):
    code, out, err = burnish(
        *("regions", "fill", photos, "--objects", objects, "--only", "dog,person"),
        *(
            "--colour",
            "#ff0000",
            "-o",
            tmp_path / "out",
            "--save-mask",
            tmp_path / "masks",
            "--json",
        ),
    )
    assert code == 0, err
    assert len(out.splitlines()) == 6
    record = json.loads(out.splitlines()[0])
    assert record["status"] == "done"
    assert record["steps"][0]["operator"] == "fill"
    assert record["steps"][0]["where"]["classes"] == ["dog", "person"]
    for path in photos.iterdir():
        result, before = read(tmp_path / "out" / f"{path.stem}.fill.png"), read(path)
        kept = read(tmp_path / "masks" / f"{path.name}.mask.png")
        np.testing.assert_array_equal(result[kept == 255], [[255, 0, 0]] * (kept == 255).sum())
        np.testing.assert_array_equal(result[kept == 0], before[kept == 0])


def test_a_folder_with_a_folder_of_masks(burnish, photos, mask, tmp_path):
    path, inside = mask
    folder = tmp_path / "masks"
    folder.mkdir()
    Image.open(path).save(folder / "1.png")
    code, _, err = burnish("regions", "fill", photos, "--mask", folder, "-o", tmp_path / "out")
    assert code == 1
    assert err.count("expected one mask in") == 5
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["1.fill.png"]
    assert not read(tmp_path / "out" / "1.fill.png")[inside].any()


@pytest.mark.parametrize("name", EDITS)
def test_every_edit_has_its_command(burnish, photos, mask, tmp_path, name):
    asked = ["--exposure", "1"] if name == "adjust" else []
    result = photos / f"1.{name}.png"
    code, out, err = burnish("regions", name, photos / "1.png", "--mask", mask[0], *asked)
    assert (code, err) == (0, "")
    assert out.startswith(f"{result}  ")
    first = result.read_bytes()
    code, _, err = burnish("regions", name, photos / "1.png", "--mask", mask[0], *asked)
    assert (code, result.read_bytes()) == (1, first)
    assert "got one that exists" in err


def test_a_cut_out_of_a_jpeg_is_a_png_unless_it_is_named(burnish, photos, mask, tmp_path):
    photo = tmp_path / "a.jpg"
    Image.open(photos / "1.png").save(photo)
    assert burnish("regions", "cut-out", photo, "--mask", mask[0])[0] == 0
    np.testing.assert_array_equal(read(tmp_path / "a.cut-out.png")[..., 3], mask[1] * 255)
    named = tmp_path / "b.webp"
    assert burnish("regions", "cut-out", photo, "--mask", mask[0], "-o", named)[0] == 0
    assert read(named).shape == (40, 56, 4)
    code, _, err = burnish("regions", "cut-out", photo, "--mask", mask[0], "-o", tmp_path / "b.jpg")
    assert code == 1
    assert "without transparency, as jpeg has none" in err


def test_a_box_and_a_click(burnish, photos, objects, tmp_path):
    photo, result = photos / "1.png", tmp_path / "x.png"
    assert burnish("regions", "fill", photo, "--box", "3,4,9,12", "-o", result)[0] == 0
    filled = np.flatnonzero((read(result) != read(photo)).any(axis=2))
    y, x = np.unravel_index(filled, (40, 56))
    assert (x.min(), y.min(), x.max(), y.max()) == (3, 4, 8, 11)
    order = ["regions", "fill", photo, "--objects", objects, "--feather", "0", "--overwrite"]
    assert burnish(*order, "--click", "26,10", "-o", result)[0] == 0
    assert (read(result) == 0).all(axis=2).sum() == 36
    code, _, err = burnish(*order, "--click", "55,39", "-o", result)
    assert (code, err.count("\n")) == (1, 1)
    assert "expected a click on one of the objects meant, got none at 55,39 among 3" in err


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--only", "persn", "--objects", "OBJECTS"], "did you mean person?"),
        (["--only", ","], "--only: expected names of classes, got none"),
        (["--only", "person", "--except", "dog"], "--only, --except: expected one of the two"),
        (["--click", "3"], "--click: expected X,Y in pixels"),
        (["--click", "3,nan"], "--click: expected X,Y in pixels"),
        (["--box", "1,2,3"], "--box: expected L,T,R,B in pixels"),
        (["--box", "5,2,3,9"], "left before right"),
        (["--mask", "none.png"], "got none.png, which is not there"),
        (["--feather", "3"], "region: expected objects, a mask or a box, got none"),
        (["--save-mask", "x.png"], "region: expected objects, a mask or a box, got none"),
        (["--mask", "MASK", "--grow", "-1"], "grow: expected 0 to 1000 px, got -1"),
        (["--mask", "MASK", "--save-mask", "x.xyz"], "a format that burnish writes"),
        (["--objects", "none.json"], "expected a file of instances in COCO's JSON"),
        (["--objects", "OBJECTS", "--detector", "light"], "--detector, --objects"),
        (["--objects", "OBJECTS", "--min-score", "2"], "min_score: expected 0 to 1, got 2"),
    ],
)
@pytest.mark.parametrize("command", [["apply", "l0-smoothing"], ["regions", "blur"]])
def test_what_cannot_be_is_one_line_before_any_work(
    burnish, photos, objects, mask, command, options, complaint
):
    said = [{"OBJECTS": objects, "MASK": mask[0]}.get(option, option) for option in options]
    before = sorted(photos.iterdir())
    code, out, err = burnish(*command, photos / "1.png", *said)
    assert code in (1, 2)
    assert (out, err.count("\n")) == ("", 1)
    assert complaint in err
    assert sorted(photos.iterdir()) == before


def test_masks_that_would_be_written_over(burnish, photos, mask, tmp_path):
    order = ["regions", "blur", photos / "1.png", "--mask", mask[0], "-o", tmp_path / "x.png"]
    content = mask[0].read_bytes()
    code, _, err = burnish(*order, "--save-mask", mask[0])
    assert (code, mask[0].read_bytes()) == (1, content)
    assert "got one that exists" in err
    assert not (tmp_path / "x.png").exists()
    code, _, err = burnish("regions", "blur", photos, "--mask", mask[0], "--save-mask", "m.png")
    assert code == 2
    assert "expected a folder for the masks of several photos" in err


def test_nothing_that_is_read_is_written_over(burnish, photos, objects, mask, tmp_path):
    photo = photos / "1.png"
    read_ = {path: path.read_bytes() for path in (photo, objects, mask[0])}
    order = ["regions", "blur", photo, "--mask", mask[0], "-o", tmp_path / "x.png", "--overwrite"]
    found = ["regions", "list", photo, "--objects", objects, "--overwrite"]
    for command in (
        [*order, "--save-mask", photo],
        [*order, "--save-mask", mask[0]],
        [*found, "-o", photo],
        [*found, "--coco", objects],
    ):
        code, _, err = burnish(*command)
        assert (code, err.count("\n")) == (1, 1)
        assert "expected an output that is no input" in err
    assert {path: path.read_bytes() for path in read_} == read_
    assert not (tmp_path / "x.png").exists()


def test_a_dry_run_writes_no_mask(burnish, photos, mask, tmp_path):
    target = tmp_path / "kept.png"
    order = ["regions", "blur", photos / "1.png", "--mask", mask[0], "--save-mask", target]
    code, out, _ = burnish(*order, "--dry-run")
    assert (code, target.exists()) == (0, False)
    assert out == f"{photos / '1.png'} -> {photos / '1.blur.png'}\n"


def test_again(burnish, photos, objects, tmp_path):
    first, second, plain = (tmp_path / f"{name}.png" for name in ("one", "two", "plain"))
    order = ["--objects", objects, "--except", "dog", "--grow", 2, "--feather", 3]
    assert burnish("regions", "splash", photos / "1.png", *order, "-o", first)[0] == 0
    again = ["again", first, photos / "2.png", "-o", second]
    code, _, err = burnish(*again)
    assert code == 2
    assert "--objects: expected objects.json, which the edit was given, got none" in err
    assert burnish(*again, "--objects", objects)[0] == 0
    assert burnish("regions", "splash", photos / "2.png", *order, "-o", plain)[0] == 0
    assert second.read_bytes() == plain.read_bytes()


def test_list(burnish, photos, objects, tmp_path):
    photo = photos / "1.png"
    order = ["regions", "list", photo, "--objects", objects]
    code, out, err = burnish(*order)
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()] == [
        ["1", "person", "0.90", "22.50", "%", "2,2,20,30"],
        ["2", "dog", "0.80", "8.57", "%", "22,4,34,20"],
        ["3", "dog", "0.60", "1.61", "%", "24,8,30,14"],
    ]
    drawn, coco, masks = tmp_path / "n.png", tmp_path / "o.json", tmp_path / "masks"
    code, out, _ = burnish(
        *order, "--only", "dog", "-o", drawn, "--coco", coco, "--masks", masks, "--json"
    )
    assert code == 0
    assert [json.loads(line)["number"] for line in out.splitlines()] == [2, 3]
    assert read(drawn).shape == (40, 56, 3)
    names = sorted(path.name for path in masks.iterdir())
    assert names == ["1.png.2.dog.png", "1.png.3.dog.png"]
    small = np.zeros((40, 56))
    small[8:14, 24:30] = 1
    np.testing.assert_array_equal(MaskFile(masks / names[1]).read((56, 40)), small)
    # What was written is read again, and is the same.
    again = burnish("regions", "list", photo, "--objects", coco, "--json")[1]
    dogs = [json.loads(line) | {"number": 0} for line in out.splitlines()]
    assert [json.loads(line) | {"number": 0} for line in again.splitlines()] == dogs


def test_a_list_of_nothing_says_so(burnish, photos, objects):
    order = ["regions", "list", photos / "1.png", "--objects", objects, "--min-score", "0.95"]
    code, out, err = burnish(*order)
    assert (code, out) == (0, "")
    assert err == f"burnish: warning: {photos / '1.png'}: no object is found\n"


def test_a_list_of_a_folder(burnish, photos, objects, tmp_path):
    (photos / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 half")
    coco = tmp_path / "all.json"
    code, out, err = burnish("regions", "list", photos, "--objects", objects, "--coco", coco)
    assert (code, len(out.splitlines())) == (1, 18)
    assert err.count("\n") == 1
    assert len(json.loads(coco.read_text())["images"]) == 6


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--mask", "x.png"], "expected a choice of objects, got --mask"),
        (["--except", "dog"], "expected a choice of objects, got --invert or --except"),
        (["-o", "x.xyz"], "a format that burnish writes"),
    ],
)
def test_lists_that_cannot_be(burnish, photos, objects, options, complaint):
    code, out, err = burnish("regions", "list", photos / "1.png", "--objects", objects, *options)
    assert code in (1, 2)
    assert complaint in err
    assert out == ""


def test_help_tells_each_command_s_own_defaults(burnish):
    said = " ".join(burnish("regions", "anonymise", "--help")[1].split())
    assert "weak protection, which can sometimes be undone" in said
    assert "Here the default is 0.1." in said
    assert "default 0.25; a larger value makes regions smaller" in said
    assert "--keep-metadata" in said
    assert "--keep-metadata" not in burnish("regions", "blur", "--help")[1]


@pytest.mark.filterwarnings("default")  # said to a person, as it is at a terminal
@pytest.mark.parametrize(("score", "changed"), [(0.5, True), (0.95, False)])
def test_json_tells_whether_anything_was_there_to_edit(
    burnish, photos, objects, tmp_path, score, changed
):
    photo, target = photos / "1.png", tmp_path / "blurred.png"
    code, out, err = burnish(
        *("regions", "blur", photo, "--objects", objects, "--min-score", score),
        *("-o", target, "--json"),
    )
    assert code == 0
    assert (json.loads(out)["status"], json.loads(out)["changed"]) == ("done", changed)
    assert np.array_equal(read(target), read(photo)) == (not changed)
    assert ("no object is found, so the photo stays as it is" in err) == (not changed)


@pytest.mark.parametrize(
    "order",
    [
        ("apply", "l0-smoothing", "{}", "--box", "0,0,9,9", "--save-mask"),
        ("regions", "list", "{}", "-o"),
    ],
)
def test_a_picture_of_no_format_that_is_written_is_wrong_usage(burnish, photos, tmp_path, order):
    target = tmp_path / "mask.bmp"
    code, out, err = burnish(*(part.format(photos / "1.png") for part in order), target)
    assert (code, out) == (2, "")
    assert f"{target}: expected a format that burnish writes" in err
