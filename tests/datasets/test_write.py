"""Writing photos of collections: sizes, colours, damage, and interrupted runs."""

import hashlib
import json
import os

import numpy as np
import pytest
from PIL import Image

from burnish.datasets.collection import find_fivek
from burnish.datasets.plan import DatasetOptions, plan_dataset, prepare_output
from burnish.datasets.write import scaled_size, write_photo, write_photos
from burnish.errors import PhotoError
from burnish.operators.user_defined import find_operator
from burnish.photo import Photo
from burnish.training import pairs
from burnish.training.pair_computation import compute_pairs


def run(collection, options):
    """Write the missing photos in this process; return their number."""
    plan = plan_dataset(collection, options)
    prepare_output(plan, options.output)
    for job in plan.jobs:
        write_photo(job)
    return len(plan.jobs)


def contents(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_write_photo_has_size_and_16_bits(fivek_folder, tmp_path):
    assert (
        run(
            find_fivek(fivek_folder),
            DatasetOptions(tmp_path, sizes=("24", "480", "random"), limit=1),
        )
        == 2
    )
    small = tmp_path / "24p" / "train" / "a0001-jmac_DSC1459.png"
    assert Photo.size_of(small) == (36, 24)
    assert Photo.open(small).metadata.depth == 16
    # The photo has 48 rows and is not enlarged.
    for size in ("480p", "random"):
        assert Photo.size_of(tmp_path / size / "train" / small.name) == (72, 48)


def test_write_photo_aligns_expert_version_and_keeps_its_colours(fivek_folder, tmp_path, writer):
    run(
        find_fivek(fivek_folder, "AC"),
        DatasetOptions(tmp_path, sizes=("480",), experts="AC", limit=1),
    )
    name = "a0001-jmac_DSC1459.png"
    for expert, gain in (("a", 1.2), ("c", 0.8)):
        folder = tmp_path / "480p" / f"train-expert-{expert}"
        before, after = (Photo.open(folder / side / name).pixels for side in ("before", "after"))
        assert before.shape == after.shape == (47, 70, 3)
        # The conversion to ProPhoto RGB in conftest.py is independent of burnish.
        edit = np.clip(writer.encode(writer.draw_scene(0) * gain), 0, 1)[:-1, 1:-1]
        np.testing.assert_allclose(after, edit, atol=2e-3)
        # A flat area and the white corner have not moved.
        assert before[14:18, 16:24].std(axis=(0, 1)).max() < 0.01
        assert before[-4:, -6:].min() > 0.97


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda edit: edit[:, : edit.shape[1] // 2], "36 x 48"),
        (lambda edit: edit.swapaxes(0, 1), "48 x 72"),
    ],
)
def test_write_photo_with_edit_of_another_shape_raises(
    fivek_folder, tmp_path, writer, change, problem
):
    path = fivek_folder / "tiff16_c" / "a0001-jmac_DSC1459.tif"
    writer.write_edit(path, change(np.clip(writer.encode(writer.draw_scene(0)), 0, 1)))
    with pytest.raises(PhotoError, match=problem):
        run(
            find_fivek(fivek_folder, "C"),
            DatasetOptions(tmp_path, sizes=("24",), experts="C", limit=1),
        )


def test_write_photo_with_edit_without_profile_raises(fivek_folder, tmp_path, writer):
    path = fivek_folder / "tiff16_c" / "a0001-jmac_DSC1459.tif"
    writer.write_edit(path, np.full((48, 72, 3), 0.5), profile=False)
    with pytest.raises(PhotoError, match="profile"):
        run(
            find_fivek(fivek_folder, "C"),
            DatasetOptions(tmp_path, sizes=("24",), experts="C", limit=1),
        )


def test_write_photos_continues_an_interrupted_run(fivek_folder, tmp_path):
    uninterrupted, interrupted = tmp_path / "whole", tmp_path / "interrupted"
    options = {"sizes": ("24", "random"), "experts": "C"}
    assert run(find_fivek(fivek_folder, "C"), DatasetOptions(uninterrupted, **options)) == 6
    plan = plan_dataset(find_fivek(fivek_folder, "C"), DatasetOptions(interrupted, **options))
    prepare_output(plan, interrupted)
    for job in plan.jobs[:3]:
        write_photo(job)
    # A run that was killed an hour ago left one of two files, and half of the other.
    folder = interrupted / "24p" / "train-expert-c"
    (folder / "after" / "a0001-jmac_DSC1459.png").unlink()
    partial = folder / "after" / ".burnish-0123.part"
    partial.write_bytes(b"half")
    os.utime(partial, (0, 0))
    finished = folder / "before" / "a0001-jmac_DSC1459.png"
    written_at = finished.stat().st_mtime_ns
    new_plan = plan_dataset(find_fivek(fivek_folder, "C"), DatasetOptions(interrupted, **options))
    assert (len(new_plan.jobs), new_plan.existing) == (4, 5)
    assert [result.error for result in write_photos(new_plan.jobs, processes=2)] == [None] * 4
    assert contents(interrupted) == contents(uninterrupted)
    assert finished.stat().st_mtime_ns == written_at
    assert (
        plan_dataset(find_fivek(fivek_folder, "C"), DatasetOptions(interrupted, **options)).jobs
        == []
    )


def test_write_photos_with_damaged_file_writes_the_others(fivek_folder, tmp_path, capfd):
    damaged = next(fivek_folder.rglob("a0701*.dng"))
    damaged.write_bytes(damaged.read_bytes()[:2000])
    plan = plan_dataset(find_fivek(fivek_folder), DatasetOptions(tmp_path, sizes=("24",)))
    prepare_output(plan, tmp_path)
    results = list(write_photos(plan.jobs, processes=2))
    problems = [result.error for result in results if result.error]
    assert len(results) == 6
    assert len(problems) == 1
    assert problems[0].startswith(f"{damaged}: LibRaw")
    assert len(list(tmp_path.rglob("*.png"))) == 5
    assert capfd.readouterr().err == ""


def test_written_folders_are_accepted_by_training(fivek_folder, tmp_path):
    run(find_fivek(fivek_folder, "C"), DatasetOptions(tmp_path, sizes=("24",), experts="C"))
    run(find_fivek(fivek_folder), DatasetOptions(tmp_path, sizes=("24",)))
    spec = f"pairs:{tmp_path / '24p' / 'train-expert-c'}"
    assert len(find_operator(spec).pairs) == 3
    specs = pairs.plan_pairs(spec, {}, [], short_sides=(), max_size=2160)
    training_pairs = compute_pairs(specs, processes=1)
    assert [pair.size for pair in training_pairs] == [(24, 36)] * 3
    assert len(pairs.find_photos(tmp_path / "24p" / "train")) == 3
    assert json.loads((tmp_path / "burnish-photos.json").read_text())["collection"] == "fivek"


def test_write_photo_is_not_mirrored(fivek_folder, tmp_path, writer):
    run(find_fivek(fivek_folder), DatasetOptions(tmp_path, sizes=("480",), limit=1))
    with Image.open(tmp_path / "480p" / "train" / "a0001-jmac_DSC1459.png") as image:
        pixels = np.asarray(image.convert("RGB")) / 255
    light = writer.draw_scene(0)
    # Demosaicing softens edges, so the pixels are away from them.
    for position in ((12, 20), (4, 60), (40, 4)):
        expected = writer.encode(np.minimum(light[position] / 0.5, 1))
        np.testing.assert_allclose(pixels[position], expected, atol=0.03)


@pytest.mark.parametrize(
    ("size", "short", "expected"),
    [
        ((2000, 3008), 480, (480, 722)),
        ((3008, 2000), 480, (722, 480)),
        ((300, 200), 480, (300, 200)),
    ],
)
def test_scaled_size_never_enlarges(size, short, expected):
    assert scaled_size(size, short) == expected
