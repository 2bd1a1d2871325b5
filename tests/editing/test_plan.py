import os
from pathlib import Path

import pytest

from burnish.editing.plan import OutputOptions, plan
from burnish.errors import BurnishError, OutputError, UsageError


@pytest.fixture
def two(tmp_path):
    for name in ("a.jpg", "a.png"):
        (tmp_path / name).write_bytes(b"")
    return [tmp_path / "a.jpg", tmp_path / "a.png"]


def targets(photos, edit="l0", output=None, **wish):
    return [step.target for step in plan(photos, edit, OutputOptions(output, **wish)).files]


def test_results_lie_beside_their_photos_and_never_meet(two, tmp_path):
    assert targets(two) == [tmp_path / "a.l0.jpg", tmp_path / "a.l0.png"]


def test_one_photo_into_a_file_or_a_folder(two, tmp_path):
    assert targets(two[:1], "l0", tmp_path / "x.png") == [tmp_path / "x.png"]
    assert targets(two[:1], "l0", tmp_path) == [tmp_path / "a.l0.jpg"]


def test_several_photos_go_into_a_folder(two, tmp_path):
    assert targets(two, "l0", tmp_path / "out") == [
        tmp_path / "out" / "a.l0.jpg",
        tmp_path / "out" / "a.l0.png",
    ]
    with pytest.raises(UsageError, match="expected a folder for several photos, got a file"):
        targets(two, "l0", two[0])
    with pytest.raises(UsageError, match="got the name of a file; end it in / to mean a folder"):
        targets(two, "l0", tmp_path / "new.png")


@pytest.mark.parametrize("output", ["new/", "new", "v1.2/"])
def test_one_photo_into_a_folder_that_is_not_there_yet(two, tmp_path, output):
    assert targets(two[:1], "l0", f"{tmp_path}/{output}") == [tmp_path / output / "a.l0.jpg"]


@pytest.mark.parametrize(("name", "depth"), [("x.gif", None), ("x.xyz", None), ("x.jpg", 16)])
def test_what_cannot_be_written_is_refused_before_the_work(two, tmp_path, name, depth):
    with pytest.raises(BurnishError, match=name):
        targets(two[:1], "l0", tmp_path / name, depth=depth)


def test_names_that_are_none_are_left_to_the_reader(tmp_path):
    assert len(plan([Path("gone.jpg"), Path("a\0b.jpg")], "l0").files) == 2


def test_the_same_photo_twice(two):
    with pytest.raises(UsageError, match="expected a result of its own"):
        plan([two[0], two[0].parent / "." / "a.jpg"], "l0")


def test_equal_names_into_one_folder_also_by_case(tmp_path):
    paths = [tmp_path / "x" / "A.jpg", tmp_path / "y" / "a.jpg"]
    with pytest.raises(UsageError, match="give each photo once"):
        targets(paths, "l0", tmp_path / "out")


@pytest.mark.parametrize("link", [None, os.symlink, os.link], ids=["itself", "symlink", "hardlink"])
def test_an_input_is_never_an_output(two, tmp_path, link):
    output = two[0]
    if link:
        output = tmp_path / "link.jpg"
        link(two[0], output)
    with pytest.raises(UsageError, match="expected an output that is no input"):
        targets(two[:1], "l0", output, overwrite=True)


def test_another_photo_of_the_run_is_no_output_either(tmp_path):
    paths = [tmp_path / "a.jpg", tmp_path / "a.l0.jpg"]
    for path in paths:
        path.write_bytes(b"")
    with pytest.raises(UsageError, match="expected an output that is no input"):
        targets(paths, overwrite=True)


def test_existing_results_are_skipped_or_replaced_where_asked(two, tmp_path):
    (tmp_path / "a.l0.jpg").write_bytes(b"")
    skipping = plan(two, "l0", OutputOptions(skip_existing=True))
    assert [step.skip for step in skipping.files] == [True, False]
    assert [step.skip for step in plan(two, "l0", OutputOptions(overwrite=True)).files] == [
        False,
        False,
    ]
    with pytest.raises(
        OutputError, match=r"a\.l0\.jpg: expected 2 new files, got 1 that exist; use --skip"
    ):
        plan(two, "l0")
    (tmp_path / "a.l0.png").symlink_to("nowhere")
    with pytest.raises(
        OutputError, match=r"a\.l0\.jpg and others: expected 2 new files, got 2 that"
    ):
        plan(two, "l0")


def test_skip_and_overwrite_contradict(two):
    with pytest.raises(UsageError, match="expected one of the two"):
        plan(two, "l0", OutputOptions(overwrite=True, skip_existing=True))


@pytest.fixture
def tree(tmp_path):
    """A folder as it is found: photos, a folder below, and what other programs left."""
    names = ["b.PNG", "a.jpg", "Thumbs.db", ".hidden.jpg", "notes.txt", "below/c.tif", "below/d.md"]
    for name in names:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path / "photos"


def test_a_folder_gives_its_photos_in_order_and_counts_the_rest(tree):
    found = plan([tree], "l0")
    assert [step.source.name for step in found.files] == ["a.jpg", "b.PNG"]
    assert found.ignored == 3


def test_below_it_where_asked_and_the_tree_is_kept(tree, tmp_path):
    out = tmp_path / "out"
    found = plan([tree], "l0", OutputOptions(out, recursive=True))
    expected = [out / "a.l0.jpg", out / "b.l0.PNG", out / "below" / "c.l0.tif"]
    assert [step.target for step in found.files] == expected
    assert found.ignored == 4


def test_results_of_an_earlier_run_are_no_photos(tree):
    for step in plan([tree], "l0", OutputOptions(recursive=True)).files:
        step.target.write_bytes(b"x")
    again = plan([tree], "l0", OutputOptions(recursive=True, skip_existing=True))
    assert [step.skip for step in again.files] == [True] * 3
    assert again.earlier_outputs == 3
    assert len(plan([tree], "tone", OutputOptions(recursive=True)).files) == 6
    by_name = sorted(tree.glob("*.jpg"))
    assert plan(by_name, "l0", OutputOptions(skip_existing=True)).earlier_outputs == 1


def test_results_in_a_folder_within_are_not_taken_for_photos(tree):
    order = OutputOptions(tree / "out", recursive=True, overwrite=True)
    for step in plan([tree], "l0", order).files:
        step.target.parent.mkdir(parents=True, exist_ok=True)
        step.target.write_bytes(b"x")
    assert len(plan([tree], "l0", order).files) == 3


def test_a_loop_of_links_ends(tree):
    (tree / "below" / "round").symlink_to(tree, target_is_directory=True)
    assert len(plan([tree], "l0", OutputOptions(recursive=True)).files) == 3


def test_a_folder_without_photos(tmp_path):
    with pytest.raises(UsageError, match="none among 0 files; add --recursive"):
        plan([tmp_path], "l0")


@pytest.mark.parametrize(
    ("wish", "name"),
    [
        (OutputOptions(name="{stem}_{operator}{ext}"), "a_l0.jpg"),
        (OutputOptions(name="{operator} of {stem}.webp"), "l0 of a.webp"),
        (OutputOptions(format="png"), "a.l0.png"),
        (OutputOptions(format="jpg"), "a.l0.jpg"),
    ],
)
def test_names_and_formats_are_chosen(tree, wish, name):
    assert targets([tree / "a.jpg"], **vars(wish))[0] == tree / name


@pytest.mark.parametrize(
    ("wish", "complaint"),
    [
        (OutputOptions(name="{name}{ext}"), r"expected the fields \{stem\}"),
        (OutputOptions(name="{stem!r}"), "expected the fields"),
        (OutputOptions(name="{stem"), "expected the fields"),
        (OutputOptions(name="../{stem}{ext}"), "expected the name of a file, got a path"),
        (OutputOptions(name=" "), "expected a name"),
        (OutputOptions(name="same.png"), "expected a result of its own"),
        (OutputOptions(name="{stem}{ext}"), "expected an output that is no input"),
        (OutputOptions(format="xyz"), "expected a format that burnish writes"),
        (OutputOptions(format="jpeg", depth=16), "expected 8 bits a channel in jpeg"),
        (OutputOptions(depth=7), "expected 8, 16 or 32 bits a channel, got 7"),
        (OutputOptions("x.png", format="jpeg"), "expected a folder for several photos"),
    ],
)
def test_a_wish_that_cannot_be(two, wish, complaint):
    with pytest.raises(BurnishError, match=complaint):
        plan(two, "l0", wish)


def test_a_format_that_makes_two_names_one(two):
    with pytest.raises(UsageError, match="expected a result of its own"):
        plan(two, "l0", OutputOptions(format="webp"))


def test_a_file_and_another_format(two):
    with pytest.raises(UsageError, match="--format jpeg: expected the format that -o"):
        plan(two[:1], "l0", OutputOptions("x.png", format="jpeg"))


def test_a_disk_without_room(tmp_path):
    # Of no size on the disk, and larger than any.
    with (tmp_path / "huge.tif").open("wb") as file:
        try:
            file.truncate(8 * 2**40)
        except OSError:
            pytest.skip("this file system holds no file of 8 TiB")
    with pytest.raises(OutputError, match=r"expected room .* 8,388,608 MiB, got"):
        plan([tmp_path / "huge.tif"], "l0")
