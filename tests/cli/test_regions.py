"""Regions on the command line: `burnish apply` in a region, region edits, and lists of objects."""

import json

import numpy as np
import pytest
from PIL import Image

from burnish.detection.coco_writer import to_coco
from burnish.detection.instances import Instances
from burnish.regions.masks import MaskFile
from burnish.regions.registry import EDITS


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture
def disc():
    """A binary disc for landscape photos."""
    y, x = np.mgrid[:40, :56]
    return (x - 20) ** 2 + (y - 20) ** 2 < 144


@pytest.fixture
def mask_path(disc, tmp_path):
    """The disc as a mask file."""
    Image.fromarray((disc * 255).astype(np.uint8)).save(tmp_path / "mask.png")
    return tmp_path / "mask.png"


@pytest.fixture
def objects_path(photo_folder, tmp_path):
    """A COCO file in which every photo has a person at the left and two dogs."""
    boxes = np.array([[2, 2, 20, 30], [22, 4, 34, 20], [24, 8, 30, 14]], np.float32)
    masks = tuple(np.ones((int(b - t), int(r - a)), np.float32) for a, t, r, b in boxes)
    labels, scores = ("person", "dog", "dog"), np.array([0.9, 0.8, 0.6], np.float32)
    instances_by_name = {}
    for path in sorted(photo_folder.iterdir()):
        with Image.open(path) as image:
            size = image.size
        instances_by_name[path.name] = Instances(size, boxes, labels, scores, masks)
    path = tmp_path / "objects.json"
    path.write_text(json.dumps(to_coco(instances_by_name)))
    return path


def test_apply_mask_restricts_the_edit(burnish, photo_folder, disc, mask_path, tmp_path):
    photo = photo_folder / "1.png"
    assert burnish("apply", "l0-smoothing", photo, "-o", tmp_path / "whole.png")[0] == 0
    arguments = ["apply", "l0-smoothing", photo, "--mask", mask_path, "-o", tmp_path / "x.png"]
    code, _, err = burnish(*arguments)
    assert (code, err) == (0, "")
    whole, masked = read(tmp_path / "whole.png"), read(tmp_path / "x.png")
    np.testing.assert_array_equal(masked, np.where(disc[..., None], whole, read(photo)))


def test_only_and_exclude_edit_complementary_regions(burnish, photo_folder, objects_path, tmp_path):
    photo = photo_folder / "1.png"
    arguments = ["apply", "l0-smoothing", photo, "--objects", objects_path, "--feather", 0]
    burnish("apply", "l0-smoothing", photo, "-o", tmp_path / "whole.png")
    for option in ("only", "exclude"):
        outputs = ["-o", tmp_path / f"{option}.png", "--save-mask", tmp_path / f"{option}_mask.png"]
        assert burnish(*arguments, f"--{option}", "person", *outputs)[0] == 0
    person = np.zeros((40, 56), bool)
    person[2:30, 2:20] = True
    np.testing.assert_array_equal(read(tmp_path / "only_mask.png"), person * 255)
    np.testing.assert_array_equal(read(tmp_path / "exclude_mask.png"), ~person * 255)
    whole, before = read(tmp_path / "whole.png"), read(photo)
    only = np.where(person[..., None], whole, before)
    np.testing.assert_array_equal(read(tmp_path / "only.png"), only)
    exclude = np.where(person[..., None], before, whole)
    np.testing.assert_array_equal(read(tmp_path / "exclude.png"), exclude)


def test_folder_of_photos_is_edited_and_its_masks_are_saved(
    burnish, photo_folder, objects_path, tmp_path
):
    code, out, err = burnish(
        *("regions", "fill", photo_folder, "--objects", objects_path, "--only", "dog,person"),
        *("--colour", "#ff0000", "-o", tmp_path / "out"),
        *("--save-mask", tmp_path / "masks", "--json"),
    )
    assert code == 0, err
    assert len(out.splitlines()) == 6
    record = json.loads(out.splitlines()[0])
    assert record["status"] == "done"
    assert record["history"][0]["operator"] == "fill"
    assert record["history"][0]["region"]["only"] == ["dog", "person"]
    for path in photo_folder.iterdir():
        output, before = read(tmp_path / "out" / f"{path.stem}.fill.png"), read(path)
        mask = read(tmp_path / "masks" / f"{path.name}.mask.png")
        np.testing.assert_array_equal(output[mask == 255], [[255, 0, 0]] * (mask == 255).sum())
        np.testing.assert_array_equal(output[mask == 0], before[mask == 0])


def test_folder_of_masks_selects_masks_by_name(burnish, photo_folder, disc, mask_path, tmp_path):
    folder = tmp_path / "masks"
    folder.mkdir()
    mask_path.rename(folder / "1.png")
    code, _, err = burnish(
        "regions", "fill", photo_folder, "--mask", folder, "-o", tmp_path / "out"
    )
    assert code == 1
    assert err.count("one mask") == 5
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["1.fill.png"]
    assert not read(tmp_path / "out" / "1.fill.png")[disc].any()


@pytest.mark.parametrize("name", EDITS)
def test_region_edit_writes_its_output_once(burnish, photo_folder, mask_path, name):
    params = ["--exposure", "1"] if name == "adjust" else []
    output = photo_folder / f"1.{name}.png"
    code, out, err = burnish("regions", name, photo_folder / "1.png", "--mask", mask_path, *params)
    assert (code, err) == (0, "")
    assert out.startswith(f"{output}  ")
    content = output.read_bytes()
    code, _, err = burnish("regions", name, photo_folder / "1.png", "--mask", mask_path, *params)
    assert (code, output.read_bytes()) == (1, content)
    assert str(output) in err


def test_cut_out_of_a_jpeg_is_a_png_unless_the_output_is_named(
    burnish, photo_folder, disc, mask_path, tmp_path
):
    photo = tmp_path / "a.jpg"
    Image.open(photo_folder / "1.png").save(photo)
    command = ["regions", "cut-out", photo, "--mask", mask_path]
    assert burnish(*command)[0] == 0
    np.testing.assert_array_equal(read(tmp_path / "a.cut-out.png")[..., 3], disc * 255)
    assert burnish(*command, "-o", tmp_path / "b.webp")[0] == 0
    assert read(tmp_path / "b.webp").shape == (40, 56, 4)
    for options in (
        ["-o", tmp_path / "b.jpg"],
        ["-o", tmp_path / "b.JPEG"],
        ["-o", tmp_path, "--format", "jpg"],
        ["-o", tmp_path, "--name", "{stem}-x.jpg"],
    ):
        code, _, err = burnish(*command, *options)
        assert (code, err.count("\n")) == (2, 1)
        assert "jpeg cannot store transparency; choose png" in err


def test_box_and_click_select_pixels_and_objects(burnish, photo_folder, objects_path, tmp_path):
    photo, output = photo_folder / "1.png", tmp_path / "x.png"
    assert burnish("regions", "fill", photo, "--box", "3,4,9,12", "-o", output)[0] == 0
    y, x = np.nonzero((read(output) != read(photo)).any(axis=2))
    assert (x.min(), y.min(), x.max(), y.max()) == (3, 4, 8, 11)
    command = ["regions", "fill", photo, "--objects", objects_path, "--feather", "0", "--overwrite"]
    assert burnish(*command, "--click", "26,10", "-o", output)[0] == 0
    assert (read(output) == 0).all(axis=2).sum() == 36
    code, _, err = burnish(*command, "--click", "55,39", "-o", output)
    assert (code, err.count("\n")) == (1, 1)
    assert "55,39" in err


@pytest.mark.parametrize(
    ("options", "detail"),
    [
        (["--only", "persn", "--objects", "OBJECTS"], "did you mean person?"),
        (["--only", ","], "--only"),
        (["--only", "person", "--exclude", "dog"], "--only, --exclude"),
        (["--click", "3"], "--click"),
        (["--click", "3,nan"], "--click"),
        (["--box", "1,2,3"], "--box"),
        (["--box", "5,2,3,9"], "box"),
        (["--mask", "none.png"], "none.png"),
        (["--feather", "3"], "region"),
        (["--save-mask", "x.png"], "region"),
        (["--mask", "MASK", "--grow", "-1"], "grow"),
        (["--mask", "MASK", "--save-mask", "x.xyz"], "x.xyz"),
        (["--objects", "none.json"], "none.json"),
        (["--objects", "OBJECTS", "--detector", "light"], "--detector, --objects"),
        (["--objects", "OBJECTS", "--min-score", "2"], "score"),
    ],
)
@pytest.mark.parametrize("command", [["apply", "l0-smoothing"], ["regions", "blur"]])
def test_invalid_options_fail_in_one_line_before_any_work(
    burnish, photo_folder, objects_path, mask_path, command, options, detail
):
    paths = {"OBJECTS": objects_path, "MASK": mask_path}
    before = sorted(photo_folder.iterdir())
    arguments = [paths.get(option, option) for option in options]
    code, out, err = burnish(*command, photo_folder / "1.png", *arguments)
    assert code in (1, 2)
    assert (out, err.count("\n")) == ("", 1)
    assert detail in err
    assert sorted(photo_folder.iterdir()) == before


def test_save_mask_never_replaces_a_file_or_names_one_for_several_photos(
    burnish, photo_folder, mask_path, tmp_path
):
    output, content = tmp_path / "x.png", mask_path.read_bytes()
    command = ["regions", "blur", photo_folder / "1.png", "--mask", mask_path, "-o", output]
    code, _, err = burnish(*command, "--save-mask", mask_path)
    assert (code, mask_path.read_bytes()) == (1, content)
    assert str(mask_path) in err
    assert not output.exists()
    command = ["regions", "blur", photo_folder, "--mask", mask_path, "--save-mask", "m.png"]
    code, _, err = burnish(*command)
    assert code == 2
    assert "--save-mask m.png" in err


def test_overwrite_never_replaces_an_input(
    burnish, photo_folder, objects_path, mask_path, tmp_path
):
    photo, output = photo_folder / "1.png", tmp_path / "x.png"
    contents = {path: path.read_bytes() for path in (photo, objects_path, mask_path)}
    blur = ["regions", "blur", photo, "--mask", mask_path, "-o", output, "--overwrite"]
    list_objects = ["regions", "list", photo, "--objects", objects_path, "--overwrite"]
    for command in (
        [*blur, "--save-mask", photo],
        [*blur, "--save-mask", mask_path],
        [*list_objects, "-o", photo],
        [*list_objects, "--coco", objects_path],
    ):
        code, _, err = burnish(*command)
        assert (code, err.count("\n")) == (1, 1)
        assert "input" in err
    assert {path: path.read_bytes() for path in contents} == contents
    assert not output.exists()


def test_dry_run_writes_no_mask(burnish, photo_folder, mask_path, tmp_path):
    photo, target = photo_folder / "1.png", tmp_path / "saved.png"
    command = ["regions", "blur", photo, "--mask", mask_path, "--save-mask", target]
    code, out, _ = burnish(*command, "--dry-run")
    assert (code, target.exists()) == (0, False)
    assert out == f"{photo} -> {photo_folder / '1.blur.png'}\n"


def test_replay_repeats_a_region_edit(burnish, photo_folder, objects_path, tmp_path):
    first, replayed, expected = (tmp_path / f"{name}.png" for name in "abc")
    options = ["--objects", objects_path, "--exclude", "dog", "--grow", 2, "--feather", 3]
    assert burnish("regions", "splash", photo_folder / "1.png", *options, "-o", first)[0] == 0
    command = ["replay", first, photo_folder / "2.png", "-o", replayed]
    code, _, err = burnish(*command)
    assert code == 2
    assert "--objects: " in err
    assert "objects.json" in err
    assert burnish(*command, "--objects", objects_path)[0] == 0
    assert burnish("regions", "splash", photo_folder / "2.png", *options, "-o", expected)[0] == 0
    assert replayed.read_bytes() == expected.read_bytes()


def test_list_prints_draws_and_writes_objects(burnish, photo_folder, objects_path, tmp_path):
    photo = photo_folder / "1.png"
    command = ["regions", "list", photo, "--objects", objects_path]
    code, out, err = burnish(*command)
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()] == [
        ["1", "person", "0.90", "22.50", "%", "2,2,20,30"],
        ["2", "dog", "0.80", "8.57", "%", "22,4,34,20"],
        ["3", "dog", "0.60", "1.61", "%", "24,8,30,14"],
    ]
    annotated, coco, masks = tmp_path / "n.png", tmp_path / "o.json", tmp_path / "masks"
    code, out, _ = burnish(
        *command, "--only", "dog", "-o", annotated, "--coco", coco, "--masks", masks, "--json"
    )
    assert code == 0
    assert [json.loads(line)["number"] for line in out.splitlines()] == [2, 3]
    assert read(annotated).shape == (40, 56, 3)
    names = sorted(path.name for path in masks.iterdir())
    assert names == ["1.png.2.dog.png", "1.png.3.dog.png"]
    expected = np.zeros((40, 56))
    expected[8:14, 24:30] = 1
    np.testing.assert_array_equal(MaskFile(masks / names[1]).read((56, 40)), expected)
    # The COCO file is read back as the same objects.
    read_back = burnish("regions", "list", photo, "--objects", coco, "--json")[1]
    dogs = [json.loads(line) | {"number": 0} for line in out.splitlines()]
    assert [json.loads(line) | {"number": 0} for line in read_back.splitlines()] == dogs


def test_list_without_objects_prints_a_warning(burnish, photo_folder, objects_path):
    photo = photo_folder / "1.png"
    command = ["regions", "list", photo, "--objects", objects_path, "--min-score", "0.95"]
    code, out, err = burnish(*command)
    assert (code, out) == (0, "")
    assert err == (
        f"burnish: warning: {photo}: no object found with a score of at least 0.95, only person "
        "0.89, dog 0.80, dog 0.60 (add --min-score 0.89)\n"
    )
    code, out, err = burnish("regions", "list", photo, "--objects", objects_path, "--min-area", 99)
    assert (code, out) == (0, "")
    assert err == f"burnish: warning: {photo}: no object found that the other options leave\n"


def test_list_of_a_folder_skips_broken_photos(burnish, photo_folder, objects_path, tmp_path):
    (photo_folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 half")
    coco = tmp_path / "all.json"
    code, out, err = burnish(
        "regions", "list", photo_folder, "--objects", objects_path, "--coco", coco
    )
    assert (code, len(out.splitlines())) == (1, 18)
    assert err.count("\n") == 1
    assert len(json.loads(coco.read_text())["images"]) == 6


def test_list_help_offers_only_options_that_work(burnish):
    text = burnish("regions", "list", "--help")[1]
    for word in ("--only", "--number", "--margin"):
        assert word in text
    for word in ("--exclude", "--mask ", "--invert", "standard input", "ideos", "Apply the edit"):
        assert word not in text


@pytest.mark.parametrize(
    ("options", "detail"),
    [
        (["--mask", "x.png"], "--mask"),
        (["--exclude", "dog"], "--exclude"),
        (["-o", "x.xyz"], "x.xyz"),
        (["-o", "a.png", "--coco", "a.png"], "--coco"),
    ],
)
def test_list_with_invalid_options_fails(burnish, photo_folder, objects_path, options, detail):
    photo = photo_folder / "1.png"
    code, out, err = burnish("regions", "list", photo, "--objects", objects_path, *options)
    assert code in (1, 2)
    assert detail in err
    assert out == ""


def test_help_shows_the_defaults_of_the_edit(burnish):
    text = " ".join(burnish("regions", "anonymise", "--help")[1].split())
    assert "weak protection" in text
    assert "[default: person]" in text
    assert "0 to 1. [default: 0.1]" in text
    assert "--keep-metadata" in text
    assert "--keep-metadata" not in burnish("regions", "blur", "--help")[1]


def test_adjust_without_parameters_fails(burnish, photo_folder, mask_path):
    """Its defaults change nothing."""
    code, _, err = burnish("regions", "adjust", photo_folder / "1.png", "--mask", mask_path)
    assert (code, err.count("\n")) == (2, 1)
    assert "add --exposure or --saturation" in err


@pytest.mark.parametrize(
    "command",
    [
        ["regions", "cut-out", "a.mp4", "--box", "1,2,30,40"],
        ["regions", "blur", "a.mp4", "--only", "person", "--save-mask", "m.png"],
        ["regions", "fill", "a.mp4", "--objects", "OBJECTS"],
        ["regions", "fill", "a.mp4", "--mask", "FOLDER"],
        ["apply", "l0-smoothing", "a.mp4", "--mask", "FOLDER"],
        ["regions", "list", "a.mp4"],
        ["regions", "list", "-"],
    ],
)
def test_what_is_for_photos_only_refuses_videos_before_any_work(
    burnish, photo_folder, objects_path, command
):
    paths = {"OBJECTS": objects_path, "FOLDER": photo_folder}
    code, out, err = burnish(*[paths.get(word, word) for word in command])
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "photos only" in err


@pytest.mark.parametrize("options", [["--exclude", "person"], ["--invert"]])
def test_anonymise_never_shows_the_people_that_it_covers_by_default(
    burnish, photo_folder, objects_path, options
):
    photo = photo_folder / "1.png"
    code, _, err = burnish("regions", "anonymise", photo, "--objects", objects_path, *options)
    assert (code, err.count("\n")) == (2, 1)
    assert "everything except person would be covered" in err
    assert len(list(photo_folder.iterdir())) == 6


def test_anonymise_covers_listed_objects_of_every_score_and_class(
    burnish, photo_folder, objects_path, tmp_path
):
    content = json.loads(objects_path.read_text())
    for annotation in content["annotations"]:
        annotation["score"] /= 100
    objects_path.write_text(json.dumps(content))
    photo, output = photo_folder / "1.png", tmp_path / "x.png"
    command = ["regions", "anonymise", photo, "--objects", objects_path, "-o", output]
    assert burnish(*command, "--overwrite")[0] == 0
    assert not read(output)[2:30, 2:20].any()
    assert burnish(*command, "--overwrite", "--number", 2)[0] == 0
    assert not read(output)[4:20, 22:34].any()
    code, _, err = burnish(*command, "--overwrite", "--number", 4)
    assert (code, err.count("\n")) == (1, 1)
    assert "there is no object 4 among 3 objects" in err


@pytest.mark.filterwarnings("default")
def test_anonymise_covers_the_box_of_a_person_without_an_outline(
    burnish, photo_folder, objects_path, tmp_path
):
    content = json.loads(objects_path.read_text())
    for annotation in content["annotations"]:
        annotation["segmentation"] = []
    objects_path.write_text(json.dumps(content))
    photo, output = photo_folder / "1.png", tmp_path / "x.png"
    command = ["regions", "anonymise", photo, "--objects", objects_path, "-o", output]
    code, _, err = burnish(*command)
    assert (code, err.count("\n")) == (0, 1)
    assert "3 objects have no usable outline" in err
    assert not read(output)[2:30, 2:20].any()


def test_list_writes_photos_of_one_name_by_their_folders(
    burnish, photo_folder, objects_path, tmp_path
):
    photos = [tmp_path / "tree" / folder / "1.png" for folder in ("a", "b")]
    for number, photo in enumerate(photos, 1):
        photo.parent.mkdir(parents=True)
        photo.write_bytes((photo_folder / f"{number}.png").read_bytes())
    coco = tmp_path / "all.json"
    listing = ["regions", "list", *photos, "--objects", objects_path, "--coco", coco]
    assert burnish(*listing)[0] == 0
    content = json.loads(coco.read_text())
    assert [image["file_name"] for image in content["images"]] == ["a/1.png", "b/1.png"]
    content["annotations"] = content["annotations"][:1] + content["annotations"][3:]
    coco.write_text(json.dumps(content))
    counts = []
    for photo in photos:
        out = burnish("regions", "list", photo, "--objects", coco)[1]
        counts.append(len(out.splitlines()))
    assert counts == [1, 3]
    code, _, err = burnish(*listing, "--overwrite", "--masks", tmp_path / "masks")
    assert (code, err.count("\n")) == (2, 1)
    assert "2 photos are called 1.png" in err


@pytest.mark.filterwarnings("default")  # the warning is printed, as at a terminal
@pytest.mark.parametrize(("score", "changed"), [(0.5, True), (0.95, False)])
def test_json_record_tells_whether_the_region_was_empty(
    burnish, photo_folder, objects_path, tmp_path, score, changed
):
    photo, target = photo_folder / "1.png", tmp_path / "blurred.png"
    code, out, err = burnish(
        *("regions", "blur", photo, "--objects", objects_path, "--min-score", score),
        *("-o", target, "--json"),
    )
    assert code == 0
    assert (json.loads(out)["status"], json.loads(out)["changed"]) == ("done", changed)
    assert np.array_equal(read(target), read(photo)) == (not changed)
    assert ("no object found" in err) == (not changed)


@pytest.mark.parametrize(
    "command",
    [
        ("apply", "l0-smoothing", "{}", "--box", "0,0,9,9", "--save-mask"),
        ("regions", "list", "{}", "-o"),
    ],
)
def test_output_in_a_format_that_is_not_written_is_wrong_usage(
    burnish, photo_folder, tmp_path, command
):
    target = tmp_path / "mask.bmp"
    code, out, err = burnish(*(part.format(photo_folder / "1.png") for part in command), target)
    assert (code, out) == (2, "")
    assert str(target) in err
