"""Atomic writing: a file is complete or absent, and is replaced only on request."""

import os
import stat
import threading
from pathlib import Path

import pytest

from burnish.errors import OutputError, PhotoError
from burnish.files import (
    atomic_write,
    check_absent,
    check_disk_space,
    make_folder,
    remove_stale_partials,
    temporary_file,
)

WITH_AND_WITHOUT_LINKS = pytest.mark.parametrize(
    "links", [True, False], ids=["hard links", "no hard links"]
)


def write_file(path: Path, data: bytes = b"new", *, overwrite: bool = False) -> None:
    with atomic_write(path, overwrite=overwrite) as file:
        file.write(data)


def raise_permission_error(*arguments: object) -> None:
    raise PermissionError(1, "Operation not permitted")


@pytest.fixture
def disk(monkeypatch, request):
    """A disk with or without hard links."""
    if not request.getfixturevalue("links"):
        monkeypatch.setattr(Path, "hardlink_to", raise_permission_error)


@WITH_AND_WITHOUT_LINKS
@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.usefixtures("disk")
def test_atomic_write_creates_only_target(tmp_path, links, overwrite):
    path = tmp_path / "ü.bin"
    write_file(path, b"all of it", overwrite=overwrite)
    assert path.read_bytes() == b"all of it"
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_write_keeps_old_file_until_block_ends(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with atomic_write(path, overwrite=True) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_atomic_write_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_file(Path("a"))
    assert (tmp_path / "a").read_bytes() == b"new"


def test_atomic_write_existing_file_raises_before_block(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"precious")
    with pytest.raises(OutputError, match="--overwrite"), atomic_write(path):
        pytest.fail("the block ran")
    assert path.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [path]


@WITH_AND_WITHOUT_LINKS
@pytest.mark.usefixtures("disk")
def test_atomic_write_file_created_during_block_is_kept(tmp_path, links):
    path = tmp_path / "a"
    with pytest.raises(OutputError, match="exists"), atomic_write(path):
        path.write_bytes(b"precious")
    assert path.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [path]


@WITH_AND_WITHOUT_LINKS
@pytest.mark.usefixtures("disk")
def test_atomic_write_concurrent_writers_one_succeeds(tmp_path, links):
    path, errors = tmp_path / "a", []
    barrier = threading.Barrier(8)

    def compete(number: int) -> None:
        try:
            with atomic_write(path) as file:
                file.write(bytes([number]) * 1000)
                barrier.wait()
        except OutputError as error:
            errors.append(error)

    threads = [threading.Thread(target=compete, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == 7
    assert all("exists" in str(error) for error in errors)
    assert len(path.read_bytes()) == 1000
    assert len(set(path.read_bytes())) == 1
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("my own"),
        KeyboardInterrupt("my own"),
        ValueError("my own"),
        PhotoError("my own", "it is broken", "repair it"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_atomic_write_error_in_block_changes_nothing(tmp_path, error, existing):
    path = tmp_path / "a"
    if existing:
        path.write_bytes(b"precious")
    with pytest.raises(type(error), match="my own"), atomic_write(path, overwrite=existing):
        raise error
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"precious"] * existing


def test_atomic_write_full_disk_raises_output_error(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"precious")
    with (
        pytest.raises(OutputError, match="no space left on device") as caught,
        atomic_write(path, overwrite=True),
    ):
        raise OSError(28, "No space left on device")
    assert caught.value.where == str(path)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"precious"]


def test_atomic_write_failed_rename_without_links_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "hardlink_to", raise_permission_error)
    monkeypatch.setattr(Path, "replace", raise_permission_error)
    with pytest.raises(OutputError, match="operation not permitted"):
        write_file(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows allows links to administrators only")
def test_atomic_write_over_link_keeps_its_target(tmp_path):
    original, link = tmp_path / "original", tmp_path / "link"
    original.write_bytes(b"precious")
    link.symlink_to(original)
    with pytest.raises(OutputError):
        write_file(link)
    write_file(link, overwrite=True)
    assert original.read_bytes() == b"precious"
    assert not link.is_symlink()


@pytest.mark.skipif(os.name == "nt", reason="Windows allows links to administrators only")
def test_atomic_write_over_dangling_link_raises(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    for function in (write_file, lambda path: check_absent(path, overwrite=False)):
        with pytest.raises(OutputError, match="exists"):
            function(link)
    assert list(tmp_path.iterdir()) == [link]


@pytest.mark.parametrize("overwrite", [True, False])
def test_atomic_write_over_folder_raises(tmp_path, overwrite):
    for function in (write_file, check_absent):
        with pytest.raises(OutputError, match="folder"):
            function(tmp_path, overwrite=overwrite)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("name", ["none/a", "file/a", "x" * 300, "a\0"])
def test_atomic_write_impossible_path_raises(tmp_path, name, overwrite):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=r"cannot be written|the name has 300 bytes") as caught:
        write_file(tmp_path / name, overwrite=overwrite)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_overwritten_file_keeps_its_mode_and_owner(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 12345, 54321)
    before = path.stat()
    write_file(path, overwrite=True)
    after = path.stat()
    assert path.read_bytes() == b"new"
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )


def test_owner_that_may_not_be_given_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "chown", raise_permission_error)
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o604)
    write_file(path, overwrite=True)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o604)


def test_new_file_has_the_usual_mode(tmp_path):
    (tmp_path / "usual").touch()
    for overwrite in (True, False):
        path = tmp_path / f"{overwrite}"
        write_file(path, overwrite=overwrite)
        assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize(
    "name", ["x" * 256, "ü" * 128, f"{'y' * 300}/a", "/".join(["z" * 200] * 25)]
)
def test_name_that_is_too_long_is_found_before_any_work(tmp_path, name):
    with pytest.raises(OutputError, match=r"the name has \d+ bytes, and the disk allows"):
        check_absent(tmp_path / name, overwrite=False)


def test_atomic_write_read_only_folder_raises(tmp_path):
    tmp_path.chmod(0o500)
    try:
        if os.access(tmp_path, os.W_OK):
            pytest.skip("this user may write anywhere")
        with pytest.raises(OutputError, match="permission denied"):
            write_file(tmp_path / "a")
        assert list(tmp_path.iterdir()) == []
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_atomic_write_permissions_follow_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_file(tmp_path / "a")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~mask


def test_atomic_write_longest_file_name(tmp_path):
    path = tmp_path / ("写" * 83 + ".png")
    write_file(path)
    assert path.read_bytes() == b"new"


def test_check_absent_existing_file_raises_unless_overwrite(tmp_path):
    path = tmp_path / "a"
    check_absent(path, overwrite=False)
    path.write_bytes(b"")
    check_absent(path, overwrite=True)
    with pytest.raises(OutputError, match="exists"):
        check_absent(path, overwrite=False)


def test_make_folder_creates_parents_or_raises(tmp_path):
    folder = tmp_path / "a" / "b"
    for _ in range(2):
        make_folder(folder)
        assert folder.is_dir()
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "file" / "c", tmp_path / "d\0"):
        with pytest.raises(OutputError, match="cannot be created"):
            make_folder(path)


@pytest.mark.parametrize("overwrite", [False, True])
def test_check_absent_pipe_raises(tmp_path, overwrite):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(OutputError, match="pipe"):
        check_absent(tmp_path / "pipe.png", overwrite=overwrite)


def test_temporary_file_is_removed_even_after_an_error(tmp_path):
    with temporary_file(tmp_path) as file, temporary_file(tmp_path) as other:
        file.write(b"for a while")
        file.seek(4)
        assert (file.read(), other.read()) == (b"a while", b"")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyboardInterrupt), temporary_file(tmp_path):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_remove_stale_partials_removes_only_old_files(tmp_path):
    with temporary_file(tmp_path) as file:
        remove_stale_partials(tmp_path)
        assert Path(file.name).exists()
        os.utime(file.name, (0, 0))
        remove_stale_partials(tmp_path)
        assert not Path(file.name).exists()


def test_temporary_file_in_missing_folder_raises(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        temporary_file(tmp_path / "none").__enter__()


def test_check_disk_space_too_little_raises(tmp_path):
    check_disk_space(tmp_path / "not" / "there" / "yet", 1, "a byte")
    with pytest.raises(OutputError, match="all of it: 1,048,576,000,000 MiB"):
        check_disk_space(tmp_path, 2**20 * 1_048_576_000_000, "all of it")
