"""What goes where is settled before the work, and never mixes two halves."""

import pytest

from burnish.datasets.fivek import find
from burnish.datasets.plan import DatasetOptions, plan_dataset, prepare_output
from burnish.datasets.sizes import scaled_size, short_side
from burnish.errors import UsageError


def names(found, folder):
    return sorted(
        target.before.stem
        for job in found.jobs
        for target in job.targets
        if target.before.parent == folder
    )


def test_every_photo_goes_to_one_half_at_every_size(fivek, tmp_path, official):
    found = plan_dataset(find(fivek), DatasetOptions(tmp_path / "out"))
    assert found.photos == {"train": 3, "test": 3}
    assert len(found.jobs) == 6
    for size in ("480p", "1080p", "random"):
        train = names(found, tmp_path / "out" / size / "train")
        test = names(found, tmp_path / "out" / size / "test")
        assert train == ["a0001-jmac_DSC1459", "a0701-kme_372", "a4201-IMG 2787"]
        assert sorted(train + test) == official.names


def test_pairs_lie_as_the_operator_takes_them(fivek, tmp_path):
    order = DatasetOptions(tmp_path, sizes=("480",), splits=("test",), experts="C")
    job = plan_dataset(find(fivek, "C"), order).jobs[0]
    folder = tmp_path / "480p" / "test-expert-c"
    assert job.edit == fivek / "tiff16_c" / "a0002-dgw_005.tif"
    assert job.targets[0].before == folder / "before" / "a0002-dgw_005.png"
    assert job.targets[0].after == folder / "after" / "a0002-dgw_005.png"


def test_photos_that_an_expert_has_no_version_of_are_left_out_and_said(fivek, tmp_path):
    (fivek / "tiff16_c" / "a0001-jmac_DSC1459.tif").unlink()
    with pytest.warns(UserWarning, match="no TIFF of expert C: a0001-jmac_DSC1459"):
        found = plan_dataset(
            find(fivek, "C"), DatasetOptions(tmp_path, sizes=("480",), experts="C")
        )
    assert len(found.jobs) == 5


def test_a_list_of_ones_own_divides_them(fivek, tmp_path):
    (tmp_path / "list.txt").write_text("1\na0701-kme_372.tif\n4242\n")
    order = DatasetOptions(tmp_path / "out", sizes=("480",), test_list=tmp_path / "list.txt")
    with pytest.warns(UserWarning, match=r"1 of the 3 photos that .*list.txt names .*: 4242"):
        found = plan_dataset(find(fivek), order)
    test = names(found, tmp_path / "out" / "480p" / "test")
    assert test == ["a0001-jmac_DSC1459", "a0701-kme_372"]
    assert found.photos == {"train": 4, "test": 2}


def test_a_list_that_names_no_photo_is_refused(fivek, tmp_path):
    (tmp_path / "list.txt").write_text("4242\n")
    with pytest.raises(UsageError, match="expected names of photos that are there"):
        plan_dataset(find(fivek), DatasetOptions(tmp_path / "out", test_list=tmp_path / "list.txt"))


def test_another_split_or_seed_does_not_go_into_the_same_folder(fivek, tmp_path):
    out = tmp_path / "out"
    prepare_output(plan_dataset(find(fivek), DatasetOptions(out, limit=1)), out)
    assert plan_dataset(find(fivek), DatasetOptions(out, sizes=("320",))).photos["train"] == 3
    with pytest.raises(UsageError, match="one made with seed = 1, got one made with 0"):
        plan_dataset(find(fivek), DatasetOptions(out, seed=1))
    (tmp_path / "list.txt").write_text("1\n")
    with pytest.raises(UsageError, match=r"tested on = 1 photos of a list.*an even number"):
        plan_dataset(find(fivek), DatasetOptions(out, test_list=tmp_path / "list.txt"))
    (out / "burnish-photos.json").write_text("[]")
    with pytest.raises(UsageError, match="expected a new folder"):
        plan_dataset(find(fivek), DatasetOptions(out))


def test_a_limit_takes_the_first_of_each_half(fivek, tmp_path):
    found = plan_dataset(find(fivek), DatasetOptions(tmp_path, sizes=("480",), limit=1))
    assert found.photos == {"train": 1, "test": 1}
    assert [job.photo.stem for job in found.jobs] == ["a0001-jmac_DSC1459", "a0002-dgw_005"]


@pytest.mark.parametrize(
    ("wish", "complaint"),
    [
        ({"sizes": ("tiny",)}, "--size: expected a short side in pixels, or random, got 'tiny'"),
        ({"sizes": ("0",)}, "--size: expected"),
        ({"splits": ("half",)}, "--split: expected train or test, got 'half'"),
    ],
)
def test_wishes_that_are_none_are_refused(fivek, tmp_path, wish, complaint):
    with pytest.raises(UsageError, match=complaint):
        plan_dataset(find(fivek), DatasetOptions(tmp_path, **wish))


def test_random_sizes_fill_the_papers_range_and_follow_the_seed():
    drawn = [short_side("random", f"a{number:04d}", seed=0) for number in range(5000)]
    assert (min(drawn), max(drawn)) == (320, 1440)
    assert sum(drawn) / 5000 == pytest.approx(880, abs=15)
    assert short_side("random", "a0001", seed=0) == drawn[1]
    assert short_side("random", "a0001", seed=1) != drawn[1]


@pytest.mark.parametrize(
    ("size", "short", "expected"),
    [
        ((2000, 3008), 480, (480, 722)),
        ((3008, 2000), 480, (722, 480)),
        ((300, 200), 480, (300, 200)),
    ],
)
def test_the_short_side_is_brought_down_and_never_up(size, short, expected):
    assert scaled_size(size, short) == expected
