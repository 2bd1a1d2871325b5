"""Collections are found in their official layouts, and what is wrong with them is one line."""

import shutil

import pytest

from burnish.datasets import fivek as fivek_module
from burnish.datasets import raise2015
from burnish.datasets.collection import read_names
from burnish.errors import UsageError


def test_fivek_is_found_in_the_archive(fivek, official):
    found = fivek_module.find(fivek, "AC")
    assert [source.name for source in found.sources] == official.names
    assert found.sources[2].photo == (
        fivek / "raw_photos" / "HQa701to1400" / "photos" / "a0701-kme_372.dng"
    )
    assert found.sources[4].edits == {
        "A": fivek / "tiff16_a" / "a4201-IMG 2787.tif",
        "C": fivek / "tiff16_c" / "a4201-IMG 2787.tif",
    }


def test_fivek_is_found_as_single_downloads(fivek, tmp_path):
    site = tmp_path / "img"
    (site / "dng").mkdir(parents=True)
    for path in fivek.rglob("a*.dng"):
        shutil.copy(path, site / "dng")
    shutil.copytree(fivek / "tiff16_c", site / "tiff16_c")
    assert len(fivek_module.find(site, "C").sources) == 6


def test_half_of_fivek_is_tested_on():
    tested = [n for n in range(1, 5001) if fivek_module.is_test(fivek_module.photo_key(str(n)))]
    assert len(tested) == 2500
    assert tested[:3] == [2, 4, 6]


def test_about_half_of_raise_is_tested_on():
    share = sum(raise2015.is_test(f"r{i * 52711:08x}t") for i in range(8156)) / 8156
    assert share == pytest.approx(0.5, abs=0.02)


def test_missing_photos_are_said(fivek):
    for path in fivek.rglob("a0701*"):
        path.unlink()
    with pytest.warns(UserWarning, match="1 of the 6 photos that filesAdobe.txt, filesAdobeMIT.txt "
                      "name are not there: a0701-kme_372"):  # fmt: skip
        assert len(fivek_module.find(fivek).sources) == 5


def test_foreign_raw_files_are_left_out_and_said(fivek):
    (fivek / "holiday.dng").write_bytes(b"")
    with pytest.warns(UserWarning, match="none of the collection's: holiday.dng"):
        assert len(fivek_module.find(fivek).sources) == 6


def test_two_files_of_one_photo_are_refused(fivek):
    (fivek / "a0001-copy.dng").write_bytes(b"")
    with pytest.raises(UsageError, match=r"expected one file of each photo, got another .*a0001"):
        fivek_module.find(fivek)


def test_raise_is_found(raise_photos):
    found = raise2015.find(raise_photos)
    assert [source.name for source in found.sources] == [
        "r00000000t", "r000da54ft", "r001d260dt", "r1882b6e6t"
    ]  # fmt: skip
    assert {source.photo.suffix for source in found.sources} == {".NEF"}


def test_raise_takes_the_nef_and_says_where_there_is_only_a_tiff(raise_photos):
    folder = raise_photos / "TIFF"
    folder.mkdir()
    for name in ("r000da54ft", "r001d260dt"):
        (folder / f"{name}.TIF").write_bytes(b"")
    (raise_photos / "NEF" / "r000da54ft.NEF").unlink()
    with pytest.warns(UserWarning, match="there only as TIFF, and taken as they are: r000da54ft$"):
        found = raise2015.find(raise_photos)
    kinds = {source.name: source.photo.suffix for source in found.sources}
    assert kinds["r000da54ft"] == ".TIF"
    assert kinds["r001d260dt"] == ".NEF"


def test_raise_photos_that_its_list_names_are_missed(raise_photos):
    (raise_photos / "NEF" / "r1882b6e6t.NEF").unlink()
    with pytest.warns(UserWarning, match="1 of the 4 photos that RAISE_all.csv .*r1882b6e6t"):
        raise2015.find(raise_photos)


@pytest.mark.parametrize(
    "text", ["a0002-dgw_005.tif\na0701-kme_372.jpg\n", "2\n701\n", "\ufeff 2 \r\n\r\na0701 \r\n"]
)
def test_lists_are_read_with_and_without_extension_and_as_bare_numbers(tmp_path, text):
    # Bare numbers are what wuhuikai/DeepGuidedFilter's test_idx.txt holds.
    file = tmp_path / "test.txt"
    file.write_bytes(text.encode())
    assert sorted(read_names(file, fivek_module.photo_key)) == ["0002", "0701"]


def test_a_list_of_raise_may_be_its_csv(raise_photos):
    assert len(read_names(raise_photos / "RAISE_all.csv", raise2015.photo_key)) == 4


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("a.txt", "", "got an empty file"),
        ("a.txt", "a0001\nholiday\n", "got holiday in it"),
        ("a.csv", "Name\na0001\n", "got a .csv without a column File"),
        ("b.txt", None, "No such file"),
    ],
)
def test_a_list_that_is_none_is_refused(tmp_path, name, text, complaint):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=complaint):
        read_names(tmp_path / name, fivek_module.photo_key)


@pytest.mark.parametrize(
    ("find", "arguments", "complaint"),
    [
        (fivek_module.find, ["gone"], "gone: expected the folder .* got no such folder"),
        (fivek_module.find, ["."], "expected MIT-Adobe FiveK.*got none"),
        (raise2015.find, ["."], "expected RAISE.*got none"),
    ],
)
def test_a_folder_of_something_else_is_refused(tmp_path, monkeypatch, find, arguments, complaint):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=complaint):
        find(*arguments)


@pytest.mark.parametrize(
    ("expert", "complaint"),
    [("F", "expected one of A, B, C, D, E, got 'F'"), ("B", "in a folder tiff16_b, got none")],
)
def test_an_expert_who_is_not_there_is_refused(fivek, expert, complaint):
    with pytest.raises(UsageError, match=complaint):
        fivek_module.find(fivek, expert)
