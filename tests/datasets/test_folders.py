"""The photos that are written: their sizes, their colours, and runs that were cut short."""

import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from burnish.datasets.fivek import find
from burnish.datasets.folders import write_photo, write_photos
from burnish.datasets.plan import DatasetOptions, plan_dataset, prepare_output
from burnish.errors import PhotoError
from burnish.operators.user_defined import find_operator
from burnish.photo import Photo
from burnish.training import pairs


def run(collection, order):
    """Do what is missing in this process; returns how many photos that were."""
    found = plan_dataset(collection, order)
    prepare_output(found, order.output)
    for job in found.jobs:
        write_photo(job)
    return len(found.jobs)


def contents(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_photos_have_the_sizes_and_16_bits(fivek, tmp_path):
    assert run(find(fivek), DatasetOptions(tmp_path, sizes=("24", "480", "random"), limit=1)) == 2
    small = tmp_path / "24p" / "train" / "a0001-jmac_DSC1459.png"
    assert Photo.size_of(small) == (36, 24)
    assert Photo.open(small).metadata.depth == 16
    # Neither is enlarged: the photo has 48 rows.
    for size in ("480p", "random"):
        assert Photo.size_of(tmp_path / size / "train" / small.name) == (72, 48)


def test_an_expert_s_version_keeps_its_colours_and_lies_on_the_photo(fivek, tmp_path, official):
    run(find(fivek, "AC"), DatasetOptions(tmp_path, sizes=("480",), experts="AC", limit=1))
    name = "a0001-jmac_DSC1459.png"
    for expert, gain in (("a", 1.2), ("c", 0.8)):
        folder = tmp_path / "480p" / f"train-expert-{expert}"
        before, after = (Photo.open(folder / side / name).pixels for side in ("before", "after"))
        assert before.shape == after.shape == (47, 70, 3)
        # What was drawn, by another way to ProPhoto RGB and back than burnish's.
        edit = np.clip(official.encode(official.scene(0) * gain), 0, 1)[:-1, 1:-1]
        np.testing.assert_allclose(after, edit, atol=2e-3)
        # A flat part and the white corner are where they were.
        assert before[14:18, 16:24].std(axis=(0, 1)).max() < 0.01
        assert before[-4:, -6:].min() > 0.97


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda edit: edit[:, : edit.shape[1] // 2], "expected the shape of its photo, 72 x 48"),
        (lambda edit: edit.swapaxes(0, 1), "got 48 x 72"),
    ],
)
def test_an_edit_of_another_shape_is_refused(fivek, tmp_path, official, change, complaint):
    path = fivek / "tiff16_c" / "a0001-jmac_DSC1459.tif"
    official.write_edit(path, change(np.clip(official.encode(official.scene(0)), 0, 1)))
    with pytest.raises(PhotoError, match=complaint):
        run(find(fivek, "C"), DatasetOptions(tmp_path, sizes=("24",), experts="C", limit=1))


def test_an_edit_without_a_profile_is_refused(fivek, tmp_path, official):
    path = fivek / "tiff16_c" / "a0001-jmac_DSC1459.tif"
    official.write_edit(path, np.full((48, 72, 3), 0.5), profile=False)
    with pytest.raises(
        PhotoError, match="expected an embedded colour profile, got none that can be used"
    ):
        run(find(fivek, "C"), DatasetOptions(tmp_path, sizes=("24",), experts="C", limit=1))


def test_a_run_cut_short_and_taken_up_equals_one_in_a_piece(fivek, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    wishes = {"sizes": ("24", "random"), "experts": "C"}
    assert run(find(fivek, "C"), DatasetOptions(whole, **wishes)) == 6
    found = plan_dataset(find(fivek, "C"), DatasetOptions(cut, **wishes))
    prepare_output(found, cut)
    for job in found.jobs[:3]:
        write_photo(job)
    # Killed in the middle of a photo: one side is there, the other half written.
    folder = cut / "24p" / "train-expert-c"
    (folder / "after" / "a0001-jmac_DSC1459.png").unlink()
    (folder / "after" / ".burnish-0123.part").write_bytes(b"half")
    kept = folder / "before" / "a0001-jmac_DSC1459.png"
    stamp = kept.stat().st_mtime_ns
    again = plan_dataset(find(fivek, "C"), DatasetOptions(cut, **wishes))
    assert (len(again.jobs), again.existing) == (4, 5)
    assert [outcome.error for outcome in write_photos(again.jobs, processes=2)] == [None] * 4
    assert contents(cut) == contents(whole)
    assert kept.stat().st_mtime_ns == stamp
    assert plan_dataset(find(fivek, "C"), DatasetOptions(cut, **wishes)).jobs == []


def test_a_damaged_file_stops_no_other(fivek, tmp_path, capfd):
    broken = next(fivek.rglob("a0701*.dng"))
    broken.write_bytes(broken.read_bytes()[:2000])
    found = plan_dataset(find(fivek), DatasetOptions(tmp_path, sizes=("24",)))
    prepare_output(found, tmp_path)
    outcomes = list(write_photos(found.jobs, processes=2))
    complaints = [outcome.error for outcome in outcomes if outcome.error]
    assert len(outcomes) == 6
    assert len(complaints) == 1
    assert complaints[0].startswith(f"{broken}: expected a camera's raw file")
    assert len(list(tmp_path.rglob("*.png"))) == 5
    assert capfd.readouterr().err == ""


def test_pairs_and_photos_are_what_training_takes(fivek, tmp_path, cache):
    run(find(fivek, "C"), DatasetOptions(tmp_path, sizes=("24",), experts="C"))
    run(find(fivek), DatasetOptions(tmp_path, sizes=("24",)))
    spec = f"pairs:{tmp_path / '24p' / 'train-expert-c'}"
    assert len(find_operator(spec).pairs) == 3
    jobs = pairs.plan_pairs(spec, {}, [], short_sides=(), max_size=2160, cache=cache)
    made = pairs.compute_pairs(jobs, processes=1)
    assert [pair.size for pair in made] == [(24, 36)] * 3
    assert len(pairs.find_photos(tmp_path / "24p" / "train")) == 3
    assert json.loads((tmp_path / "burnish-photos.json").read_text())["collection"] == "fivek"


def test_the_picture_is_the_photo_and_not_its_mirror(fivek, tmp_path, official):
    run(find(fivek), DatasetOptions(tmp_path, sizes=("480",), limit=1))
    with Image.open(tmp_path / "480p" / "train" / "a0001-jmac_DSC1459.png") as image:
        pixels = np.asarray(image.convert("RGB")) / 255
    light = official.scene(0)
    # Away from edges, which demosaicing softens.
    for at in ((12, 20), (4, 60), (40, 4)):
        expected = official.encode(np.minimum(light[at] / 0.5, 1))
        np.testing.assert_allclose(pixels[at], expected, atol=0.03)
