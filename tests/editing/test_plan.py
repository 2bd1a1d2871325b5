import os
from pathlib import Path

import pytest

from burnish.editing.plan import plan
from burnish.errors import BurnishError, UsageError


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
    with pytest.raises(UsageError, match="got the name of a file; end it in / to mean a folder"):
        plan(two, "l0", tmp_path / "new.png")


@pytest.mark.parametrize("output", ["new/", "new", "v1.2/"])
def test_one_photo_into_a_folder_that_is_not_there_yet(two, tmp_path, output):
    assert targets(two[:1], "l0", f"{tmp_path}/{output}") == [tmp_path / output / "a.l0.jpg"]


@pytest.mark.parametrize(("name", "depth"), [("x.gif", None), ("x.xyz", None), ("x.jpg", 16)])
def test_what_cannot_be_written_is_refused_before_the_work(two, tmp_path, name, depth):
    with pytest.raises(BurnishError, match=name):
        plan(two[:1], "l0", tmp_path / name, depth=depth)


def test_names_that_are_none_are_left_to_the_reader(tmp_path):
    assert len(plan([Path(), Path("a\0b.jpg")], "l0")) == 2


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
