"""Planning of output files: splits, sizes and layout."""

import pytest

from burnish.datasets.collection import find_fivek
from burnish.datasets.plan import DatasetOptions, plan_dataset, prepare_output, short_side
from burnish.errors import UsageError


def names(plan, folder):
    return sorted(
        target.paths[0].stem
        for job in plan.jobs
        for target in job.targets
        if target.paths[0].parent == folder
    )


def test_plan_assigns_each_photo_to_one_split(fivek_folder, tmp_path, writer):
    plan = plan_dataset(find_fivek(fivek_folder), DatasetOptions(tmp_path / "out"))
    assert plan.photos == {"train": 3, "test": 3}
    assert len(plan.jobs) == 6
    for size in ("480p", "1080p", "random"):
        train = names(plan, tmp_path / "out" / size / "train")
        test = names(plan, tmp_path / "out" / size / "test")
        assert train == ["a0001-jmac_DSC1459", "a0701-kme_372", "a4201-IMG 2787"]
        assert sorted(train + test) == writer.names


def test_plan_with_expert_has_layout_of_pairs(fivek_folder, tmp_path):
    options = DatasetOptions(tmp_path, sizes=("480",), splits=("test",), experts="C")
    job = plan_dataset(find_fivek(fivek_folder, "C"), options).jobs[0]
    folder = tmp_path / "480p" / "test-expert-c"
    assert job.edit == fivek_folder / "tiff16_c" / "a0002-dgw_005.tif"
    name = "a0002-dgw_005.png"
    assert job.targets[0].paths == (folder / "before" / name, folder / "after" / name)


def test_plan_without_expert_version_leaves_photo_out_and_warns(fivek_folder, tmp_path):
    (fivek_folder / "tiff16_c" / "a0001-jmac_DSC1459.tif").unlink()
    with pytest.warns(UserWarning, match="expert C: a0001-jmac_DSC1459"):
        plan = plan_dataset(
            find_fivek(fivek_folder, "C"), DatasetOptions(tmp_path, sizes=("480",), experts="C")
        )
    assert len(plan.jobs) == 5


def test_plan_with_test_list_follows_it(fivek_folder, tmp_path):
    (tmp_path / "list.txt").write_text("1\na0701-kme_372.tif\n4242\n")
    options = DatasetOptions(tmp_path / "out", sizes=("480",), test_list=tmp_path / "list.txt")
    with pytest.warns(UserWarning, match=r"1 of the 3 .*list.txt .*: 4242"):
        plan = plan_dataset(find_fivek(fivek_folder), options)
    test = names(plan, tmp_path / "out" / "480p" / "test")
    assert test == ["a0001-jmac_DSC1459", "a0701-kme_372"]
    assert plan.photos == {"train": 4, "test": 2}


def test_plan_with_test_list_of_other_photos_raises(fivek_folder, tmp_path):
    (tmp_path / "list.txt").write_text("4242\n")
    with pytest.raises(UsageError, match="4242"):
        plan_dataset(
            find_fivek(fivek_folder),
            DatasetOptions(tmp_path / "out", test_list=tmp_path / "list.txt"),
        )


def test_plan_for_folder_of_another_split_or_seed_raises(fivek_folder, tmp_path):
    out = tmp_path / "out"
    prepare_output(plan_dataset(find_fivek(fivek_folder), DatasetOptions(out, limit=1)), out)
    assert (
        plan_dataset(find_fivek(fivek_folder), DatasetOptions(out, sizes=("320",))).photos["train"]
        == 3
    )
    with pytest.raises(UsageError, match="seed = 0, not 1"):
        plan_dataset(find_fivek(fivek_folder), DatasetOptions(out, seed=1))
    (tmp_path / "list.txt").write_text("1\n")
    with pytest.raises(
        UsageError, match=r"test split = photos of an even number, not 1 photos of a list"
    ):
        plan_dataset(find_fivek(fivek_folder), DatasetOptions(out, test_list=tmp_path / "list.txt"))
    (out / "burnish-photos.json").write_text("[]")
    with pytest.raises(UsageError, match="unreadable"):
        plan_dataset(find_fivek(fivek_folder), DatasetOptions(out))


def test_plan_with_limit_takes_first_photos_of_each_split(fivek_folder, tmp_path):
    plan = plan_dataset(find_fivek(fivek_folder), DatasetOptions(tmp_path, sizes=("480",), limit=1))
    assert plan.photos == {"train": 1, "test": 1}
    assert [job.photo.stem for job in plan.jobs] == ["a0001-jmac_DSC1459", "a0002-dgw_005"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"sizes": ("tiny",)}, "--size.*tiny"),
        ({"sizes": ("0",)}, "--size"),
        ({"splits": ("half",)}, "--split.*half"),
    ],
)
def test_plan_with_invalid_options_raises(fivek_folder, tmp_path, options, problem):
    with pytest.raises(UsageError, match=problem):
        plan_dataset(find_fivek(fivek_folder), DatasetOptions(tmp_path, **options))


def test_short_side_random_is_uniform_and_follows_seed():
    sides = [short_side("random", f"a{number:04d}", seed=0) for number in range(5000)]
    assert (min(sides), max(sides)) == (320, 1440)
    assert sum(sides) / 5000 == pytest.approx(880, abs=15)
    assert short_side("random", "a0001", seed=0) == sides[1]
    assert short_side("random", "a0001", seed=1) != sides[1]
