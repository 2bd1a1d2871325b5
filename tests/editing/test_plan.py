"""Names, places and formats of outputs, and their checks before a run."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from burnish.editing.history import EditRecord, metadata_with_history
from burnish.editing.inputs import find_inputs
from burnish.editing.options import OutputOptions
from burnish.editing.plan import plan
from burnish.errors import BurnishError, MissingLibraryError, OutputError, UsageError
from burnish.photo import Photo


@pytest.fixture
def photo_pair(tmp_path):
    """Two files that differ in their extension only."""
    paths = [tmp_path / "a.jpg", tmp_path / "a.png"]
    for path in paths:
        path.write_bytes(b"")
    return paths


def targets(paths, output=None, **options):
    return [file.target for file in plan(paths, "l0", OutputOptions(output, **options)).files]


def test_plan_by_default_puts_outputs_next_to_inputs(photo_pair, tmp_path):
    assert targets(photo_pair) == [tmp_path / "a.l0.jpg", tmp_path / "a.l0.png"]


def test_plan_of_one_photo_accepts_a_file_or_folder(photo_pair, tmp_path):
    assert targets(photo_pair[:1], tmp_path / "x.png") == [tmp_path / "x.png"]
    assert targets(photo_pair[:1], tmp_path) == [tmp_path / "a.l0.jpg"]


def test_plan_of_several_photos_needs_a_folder(photo_pair, tmp_path):
    folder = tmp_path / "out"
    assert targets(photo_pair, folder) == [folder / "a.l0.jpg", folder / "a.l0.png"]
    for output in (photo_pair[0], tmp_path / "new.png"):
        with pytest.raises(UsageError, match="folder"):
            targets(photo_pair, output)


@pytest.mark.parametrize("output", ["new/", "new", "v1.2/"])
def test_plan_accepts_a_folder_that_does_not_exist(photo_pair, tmp_path, output):
    expected = [tmp_path / output / "a.l0.jpg"]
    assert targets(photo_pair[:1], f"{tmp_path}/{output}") == expected


@pytest.mark.parametrize(("name", "depth"), [("x.gif", None), ("x.xyz", None), ("x.jpg", 16)])
def test_plan_of_unsupported_output_raises(photo_pair, tmp_path, name, depth):
    with pytest.raises(BurnishError, match=name):
        targets(photo_pair[:1], tmp_path / name, depth=depth)


def test_plan_of_missing_files_leaves_the_error_to_reading():
    assert len(plan([Path("gone.jpg"), Path("a\0b.jpg")], "l0").files) == 2


def test_plan_of_the_same_photo_twice_raises(photo_pair):
    with pytest.raises(UsageError, match="give each photo once"):
        plan([photo_pair[0], photo_pair[0].parent / "." / "a.jpg"], "l0")


def test_plan_of_outputs_that_differ_in_case_only_raises(tmp_path):
    paths = [tmp_path / "x" / "A.jpg", tmp_path / "y" / "a.jpg"]
    with pytest.raises(UsageError, match="give each photo once"):
        targets(paths, tmp_path / "out")


@pytest.mark.parametrize("link", [None, os.symlink, os.link], ids=["same", "symlink", "hardlink"])
def test_plan_whose_output_is_its_input_raises(photo_pair, tmp_path, link):
    output = photo_pair[0]
    if link:
        output = tmp_path / "link.jpg"
        link(photo_pair[0], output)
    with pytest.raises(UsageError, match="input"):
        targets(photo_pair[:1], output, overwrite=True)


def test_plan_whose_output_is_another_input_raises(tmp_path):
    paths = [tmp_path / "a.jpg", tmp_path / "a.l0.jpg"]
    for path in paths:
        path.write_bytes(b"")
    with pytest.raises(UsageError, match="input"):
        targets(paths, overwrite=True)


def test_plan_with_existing_outputs_skips_or_overwrites_them(photo_pair, tmp_path):
    (tmp_path / "a.l0.jpg").write_bytes(b"")
    for options, expected in (
        (OutputOptions(skip_existing=True), [True, False]),
        (OutputOptions(overwrite=True), [False, False]),
    ):
        assert [file.skip for file in plan(photo_pair, "l0", options).files] == expected
    with pytest.raises(OutputError, match=r"a\.l0\.jpg: 1 of 2 .*--skip-existing"):
        plan(photo_pair, "l0")
    (tmp_path / "a.l0.png").symlink_to("nowhere")
    with pytest.raises(OutputError, match=r"a\.l0\.jpg and others: 2 of 2 "):
        plan(photo_pair, "l0")


def test_plan_with_skip_existing_and_overwrite_raises(photo_pair):
    with pytest.raises(UsageError, match="--overwrite, --skip-existing"):
        plan(photo_pair, "l0", OutputOptions(skip_existing=True, overwrite=True))


@pytest.fixture
def folder_tree(tmp_path):
    """A folder of photos, a subfolder, and files of other programs."""
    names = ["b.PNG", "a.jpg", "Thumbs.db", ".hidden.jpg", "notes.txt", "below/c.tif", "below/d.md"]
    for name in names:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path / "photos"


def test_plan_of_folder_lists_photos_in_order_and_counts_other_files(folder_tree):
    planned = plan([folder_tree], "l0")
    assert [file.source.name for file in planned.files] == ["a.jpg", "b.PNG"]
    assert planned.ignored == 3


def test_plan_with_recursive_keeps_the_subfolders(folder_tree, tmp_path):
    out = tmp_path / "out"
    planned = plan([folder_tree], "l0", OutputOptions(out, recursive=True))
    expected = [out / "a.l0.jpg", out / "b.l0.PNG", out / "below" / "c.l0.tif"]
    assert [file.target for file in planned.files] == expected
    assert planned.ignored == 4


def test_plan_of_folder_drops_outputs_of_an_earlier_run(folder_tree):
    recursive = OutputOptions(recursive=True)
    for file in plan([folder_tree], "l0", recursive).files:
        file.target.write_bytes(b"x")
    second_plan = plan([folder_tree], "l0", OutputOptions(recursive=True, skip_existing=True))
    assert [file.skip for file in second_plan.files] == [True] * 3
    assert second_plan.earlier_outputs == 3
    assert len(plan([folder_tree], "tone", recursive).files) == 6
    named = sorted(folder_tree.glob("*.jpg"))
    assert plan(named, "l0", OutputOptions(skip_existing=True)).earlier_outputs == 1


def test_plan_of_folder_ignores_its_output_folder(folder_tree):
    options = OutputOptions(folder_tree / "out", recursive=True, overwrite=True)
    for file in plan([folder_tree], "l0", options).files:
        file.target.parent.mkdir(parents=True, exist_ok=True)
        file.target.write_bytes(b"x")
    assert len(plan([folder_tree], "l0", options).files) == 3


def test_plan_of_folder_with_circular_link_ends(folder_tree):
    (folder_tree / "below" / "round").symlink_to(folder_tree, target_is_directory=True)
    assert len(plan([folder_tree], "l0", OutputOptions(recursive=True)).files) == 3


def test_plan_of_folder_without_photos_suggests_recursive_if_it_has_subfolders(tmp_path):
    with pytest.raises(UsageError, match="name another folder"):
        plan([tmp_path], "l0", OutputOptions())
    (tmp_path / "sub").mkdir()
    with pytest.raises(UsageError, match="add --recursive"):
        plan([tmp_path], "l0")


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"name": "{stem}_{operator}{ext}"}, "a_l0.jpg"),
        ({"name": "{operator} of {stem}.webp"}, "l0 of a.webp"),
        ({"format": "png"}, "a.l0.png"),
        ({"format": "jpg"}, "a.l0.jpg"),
    ],
)
def test_plan_follows_the_name_template_and_format(folder_tree, options, name):
    assert targets([folder_tree / "a.jpg"], **options) == [folder_tree / name]


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"name": "{name}{ext}"}, "--name "),
        ({"name": "{stem!r}"}, "--name "),
        ({"name": "{stem"}, "--name "),
        ({"name": "../{stem}{ext}"}, "--name "),
        ({"name": " "}, "--name "),
        ({"name": "same.png"}, "a.png"),
        ({"name": "{stem}{ext}"}, "a.jpg"),
        ({"format": "xyz"}, "--format"),
        ({"format": "webp"}, "a.png"),
        ({"format": "jpeg", "depth": 16}, "--format"),
        ({"depth": 7}, "depth"),
        ({"output": "x.png", "format": "jpeg"}, "-o x.png"),
    ],
)
def test_plan_with_impossible_options_names_the_cause(photo_pair, options, where):
    with pytest.raises(BurnishError) as caught:
        plan(photo_pair, "l0", OutputOptions(**options))
    assert where in caught.value.where


def test_plan_with_contradicting_output_and_format_raises(photo_pair):
    with pytest.raises(UsageError, match=r"^--format jpeg: "):
        targets(photo_pair[:1], "x.png", format="jpeg")


def test_plan_without_disk_space_raises(tmp_path):
    # A sparse file takes no space itself.
    with (tmp_path / "huge.tif").open("wb") as file:
        try:
            file.truncate(8 * 2**40)
        except OSError:
            pytest.skip("this file system does not support files of 8 TiB")
    with pytest.raises(OutputError, match="8,388,608 MiB"):
        plan([tmp_path / "huge.tif"], "l0")


def history_of(operator: str) -> bytes:
    """Return a PNG that records an edit."""
    photo = Photo(np.full((4, 4, 3), 0.5))
    metadata = metadata_with_history(photo.metadata, [EditRecord(operator=operator)])
    return replace(photo, metadata=metadata).encode()


def test_results_of_any_operator_beside_their_originals_are_ignored(tmp_path):
    """But not photos whose names are similar, nor results whose originals are elsewhere."""
    original = Photo(np.full((4, 4, 3), 0.5)).encode("png")
    for name in ("1.png", "1-b.png", "1.2024.png", "12.png"):
        (tmp_path / name).write_bytes(original)
    for name in ("1.tv-l1.png", "1.tv-l1.wls.jpg", "1-tone.png", "13.png", "elsewhere.tv-l1.png"):
        (tmp_path / name).write_bytes(history_of("tv-l1"))
    (tmp_path / "1.png.mask.png").write_bytes(original)
    found = find_inputs([tmp_path], recursive=False)
    names = ["1-b.png", "1.2024.png", "1.png", "12.png", "13.png", "elsewhere.tv-l1.png"]
    assert [file.path.name for file in found.files] == names
    assert found.results == 4
    (tmp_path / "1.png").rename(tmp_path / "1.bmp")  # an original that burnish does not read
    assert find_inputs([tmp_path], recursive=False).results == 3
    named = find_inputs([tmp_path / "1.tv-l1.png"], recursive=False)
    assert len(named.files) == 1


def test_results_of_results_are_ignored_only_beside_them(tmp_path):
    """A folder of results may be edited again."""
    for name in ("1.png", "12.png", "1.tone.png"):
        (tmp_path / name).write_bytes(history_of("tv-l1"))
    assert len(find_inputs([tmp_path], recursive=False).files) == 3


def test_raw_and_heic_beside_another_format_are_ignored(tmp_path, monkeypatch):
    for name in ("1.jpg", "1.NEF", "2.dng", "3.heic", "4.HEIC", "4.png", "5.gif"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.warns(UserWarning, match="2 raw, HEIC or GIF files ignored"):
        found = find_inputs([tmp_path], recursive=False)
    names = [file.path.name for file in found.files]
    assert names == ["1.jpg", "2.dng", "3.heic", "4.png", "5.gif"]
    monkeypatch.setattr("burnish.editing.inputs.can_develop_raw", lambda: False)
    (tmp_path / "1.NEF").unlink()
    (tmp_path / "4.HEIC").unlink()
    with pytest.warns(UserWarning, match="1 raw photo ignored; .* extra 'raw'"):
        found = find_inputs([tmp_path], recursive=False)
    assert [file.path.name for file in found.files] == ["1.jpg", "3.heic", "4.png", "5.gif"]


def test_results_of_formats_that_are_only_read_get_another_extension(tmp_path):
    paths = [tmp_path / name for name in ("1.heic", "2.NEF", "3.gif", "4.webp")]
    for path in paths:
        path.write_bytes(b"x")
    with pytest.warns(UserWarning, match=r"results of .* photos are .* files") as warned:
        files = plan(paths, "same").files
    assert [file.target.suffix for file in files] == [".jpg", ".tif", ".png", ".webp"]
    assert len(warned) == 3
    assert plan(paths[:2], "same", OutputOptions(format="png")).files[1].target.suffix == ".png"


def test_named_raw_file_without_rawpy_raises(tmp_path, monkeypatch):
    monkeypatch.setattr("burnish.editing.plan.can_develop_raw", lambda: False)
    with pytest.raises(MissingLibraryError, match=r"1.dng: .* extra 'raw'"):
        plan([tmp_path / "1.dng"], "same")


def test_subfolder_that_cannot_be_listed_is_skipped(folder_tree, monkeypatch):
    scan = os.scandir

    def scandir(path):
        if Path(path).name == "below":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    everything = find_inputs([folder_tree], recursive=True)
    with monkeypatch.context() as patch:
        patch.setattr("os.scandir", scandir)
        found = find_inputs([folder_tree], recursive=True)
    assert 0 < len(found.files) < len(everything.files)
    (error,) = found.unreadable
    assert "below: cannot be read: permission denied" in str(error)


def test_names_that_are_too_long_are_found_while_planning(tmp_path):
    path = tmp_path / f"{'x' * 245}.png"
    path.write_bytes(b"x")
    for options in (OutputOptions(), OutputOptions(output=tmp_path / "out/")):
        with pytest.raises(OutputError, match="bytes, and the disk allows"):
            plan([path], "smoothing", options)
    assert len(plan([path], "same", OutputOptions(name="{stem}.b{ext}")).files) == 1
