"""Finding the photos of collections in their official layouts."""

import shutil

import pytest

from burnish.datasets.collection import (
    find_fivek,
    find_raise,
    fivek_key,
    is_fivek_test,
    is_raise_test,
    raise_key,
    read_names,
)
from burnish.errors import UsageError


def test_find_fivek_in_archive_layout(fivek_folder, writer):
    collection = find_fivek(fivek_folder, "AC")
    assert [source.name for source in collection.sources] == writer.names
    assert collection.sources[2].photo == (
        fivek_folder / "raw_photos" / "HQa701to1400" / "photos" / "a0701-kme_372.dng"
    )
    assert collection.sources[4].edits == {
        "A": fivek_folder / "tiff16_a" / "a4201-IMG 2787.tif",
        "C": fivek_folder / "tiff16_c" / "a4201-IMG 2787.tif",
    }


def test_find_fivek_as_single_downloads(fivek_folder, tmp_path):
    downloads = tmp_path / "img"
    (downloads / "dng").mkdir(parents=True)
    for path in fivek_folder.rglob("a*.dng"):
        shutil.copy(path, downloads / "dng")
    shutil.copytree(fivek_folder / "tiff16_c", downloads / "tiff16_c")
    assert len(find_fivek(downloads, "C").sources) == 6


def test_fivek_test_split_is_half():
    numbers = [n for n in range(1, 5001) if is_fivek_test(fivek_key(str(n)))]
    assert len(numbers) == 2500
    assert numbers[:3] == [2, 4, 6]


def test_raise_test_split_is_about_half():
    fraction = sum(is_raise_test(f"r{i * 52711:08x}t") for i in range(8156)) / 8156
    assert fraction == pytest.approx(0.5, abs=0.02)


def test_find_fivek_with_missing_photos_warns(fivek_folder):
    for path in fivek_folder.rglob("a0701*"):
        path.unlink()
    with pytest.warns(UserWarning, match=r"1 of the 6 .*filesAdobeMIT.txt .*a0701-kme_372"):
        assert len(find_fivek(fivek_folder).sources) == 5


def test_find_fivek_ignores_other_raw_files_and_warns(fivek_folder):
    (fivek_folder / "holiday.dng").write_bytes(b"")
    with pytest.warns(UserWarning, match="holiday.dng"):
        assert len(find_fivek(fivek_folder).sources) == 6


def test_find_fivek_with_two_files_of_a_photo_raises(fivek_folder):
    (fivek_folder / "a0001-copy.dng").write_bytes(b"")
    with pytest.raises(UsageError, match=r"same photo .*a0001"):
        find_fivek(fivek_folder)


def test_find_raise_returns_its_photos(raise_folder):
    collection = find_raise(raise_folder)
    assert [source.name for source in collection.sources] == [
        "r00000000t", "r000da54ft", "r001d260dt", "r1882b6e6t"
    ]  # fmt: skip
    assert {source.photo.suffix for source in collection.sources} == {".NEF"}


def test_find_raise_prefers_nef_and_warns_of_tiff_only(raise_folder):
    folder = raise_folder / "TIFF"
    folder.mkdir()
    for name in ("r000da54ft", "r001d260dt"):
        (folder / f"{name}.TIF").write_bytes(b"")
    (raise_folder / "NEF" / "r000da54ft.NEF").unlink()
    with pytest.warns(UserWarning, match="TIFF only.*: r000da54ft$"):
        collection = find_raise(raise_folder)
    extensions = {source.name: source.photo.suffix for source in collection.sources}
    assert extensions["r000da54ft"] == ".TIF"
    assert extensions["r001d260dt"] == ".NEF"


def test_find_raise_with_missing_photos_warns(raise_folder):
    (raise_folder / "NEF" / "r1882b6e6t.NEF").unlink()
    with pytest.warns(UserWarning, match="1 of the 4 .*RAISE_all.csv .*r1882b6e6t"):
        find_raise(raise_folder)


@pytest.mark.parametrize(
    "text", ["a0002-dgw_005.tif\na0701-kme_372.jpg\n", "2\n701\n", "\ufeff 2 \r\n\r\na0701 \r\n"]
)
def test_read_names_accepts_extensions_and_bare_numbers(tmp_path, text):
    # test_idx.txt of wuhuikai/DeepGuidedFilter contains bare numbers.
    file = tmp_path / "test.txt"
    file.write_bytes(text.encode())
    assert sorted(read_names(file, fivek_key)) == ["0002", "0701"]


def test_read_names_accepts_raise_csv(raise_folder):
    assert len(read_names(raise_folder / "RAISE_all.csv", raise_key)) == 4


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.txt", "", "empty"),
        ("a.txt", "a0001\nholiday\n", "holiday"),
        ("a.csv", "Name\na0001\n", "column File"),
        ("b.txt", None, "no such file"),
    ],
)
def test_read_names_of_invalid_list_raises(tmp_path, name, text, problem):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=problem):
        read_names(tmp_path / name, fivek_key)


@pytest.mark.parametrize(
    ("find", "folder", "problem"),
    [
        (find_fivek, "gone", "gone: there is no such folder"),
        (find_fivek, ".", "MIT-Adobe FiveK"),
        (find_raise, ".", "RAISE"),
    ],
)
def test_find_in_other_folder_raises(tmp_path, find, folder, problem):
    with pytest.raises(UsageError, match=problem):
        find(tmp_path / folder)


@pytest.mark.parametrize(
    ("expert", "problem"),
    [("F", "A, B, C, D, E"), ("B", "tiff16_b")],
)
def test_find_fivek_without_the_expert_raises(fivek_folder, expert, problem):
    with pytest.raises(UsageError, match=problem):
        find_fivek(fivek_folder, expert)
