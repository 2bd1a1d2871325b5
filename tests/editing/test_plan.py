import os
from pathlib import Path

import pytest

from burnish.editing.plan import check_free, plan
from burnish.errors import OutputError, UsageError


@pytest.fixture
def two(tmp_path):
    for name in ("a.jpg", "a.png"):
        (tmp_path / name).write_bytes(b"")
    return [tmp_path / "a.jpg", tmp_path / "a.png"]


def targets(*args, **kwargs):
    return [step.target for step in plan(*args, **kwargs)]


def test_results_lie_beside_their_photos_and_never_meet(two, tmp_path):
    assert targets(two, "l0") == [tmp_path / "a.l0.jpg", tmp_path / "a.l0.png"]


def test_one_photo_into_a_file_or_a_folder(two, tmp_path):
    assert targets(two[:1], "l0", tmp_path / "x.png") == [tmp_path / "x.png"]
    assert targets(two[:1], "l0", tmp_path) == [tmp_path / "a.l0.jpg"]


def test_several_photos_go_into_a_folder(two, tmp_path):
    assert targets(two, "l0", tmp_path / "out") == [
        tmp_path / "out" / "a.l0.jpg",
        tmp_path / "out" / "a.l0.png",
    ]
    with pytest.raises(UsageError, match="expected a folder for several photos, got a file"):
        plan(two, "l0", two[0])


def test_the_same_photo_twice(two):
    with pytest.raises(UsageError, match="expected a result of its own"):
        plan([two[0], two[0].parent / "." / "a.jpg"], "l0")


def test_equal_names_into_one_folder_also_by_case(tmp_path):
    paths = [tmp_path / "x" / "A.jpg", tmp_path / "y" / "a.jpg"]
    with pytest.raises(UsageError, match="give each photo once"):
        plan(paths, "l0", tmp_path / "out")


@pytest.mark.parametrize("link", [None, os.symlink, os.link], ids=["itself", "symlink", "hardlink"])
def test_an_input_is_never_an_output(two, tmp_path, link):
    output = two[0]
    if link:
        output = tmp_path / "link.jpg"
        link(two[0], output)
    with pytest.raises(UsageError, match="expected an output that is no input"):
        plan(two[:1], "l0", output, overwrite=True)


def test_another_photo_of_the_run_is_no_output_either(tmp_path):
    paths = [tmp_path / "a.jpg", tmp_path / "a.l0.jpg"]
    for path in paths:
        path.write_bytes(b"")
    with pytest.raises(UsageError, match="expected an output that is no input"):
        plan(paths, "l0", overwrite=True)


def test_existing_results_are_skipped_where_asked(two, tmp_path):
    (tmp_path / "a.l0.jpg").write_bytes(b"")
    assert [step.skip for step in plan(two, "l0", skip_existing=True)] == [True, False]
    assert [step.skip for step in plan(two, "l0")] == [False, False]


def test_skip_and_overwrite_contradict(two):
    with pytest.raises(UsageError, match="expected one of the two"):
        plan(two, "l0", overwrite=True, skip_existing=True)


def test_check_free(tmp_path):
    check_free(tmp_path / "new", overwrite=False)
    (tmp_path / "old").write_bytes(b"")
    check_free(tmp_path / "old", overwrite=True)
    with pytest.raises(OutputError, match=r"got one that exists; use --overwrite"):
        check_free(Path(tmp_path / "old"), overwrite=False)
