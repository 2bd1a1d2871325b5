"""Files: whole or not at all, and never over another one unasked."""

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

BOTH = pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])


def write(path: Path, data: bytes = b"new", *, overwrite: bool = False) -> None:
    with atomic_write(path, overwrite=overwrite) as file:
        file.write(data)


def refuse(self: Path, target: Path) -> None:
    raise PermissionError(1, "Operation not permitted")


@pytest.fixture
def disk(monkeypatch, request):
    """A disk with or without hard links."""
    if not request.getfixturevalue("links"):
        monkeypatch.setattr(Path, "hardlink_to", refuse)


@BOTH
@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.usefixtures("disk")
def test_a_file_is_written(tmp_path, links, overwrite):
    path = tmp_path / "ü.bin"
    write(path, b"all of it", overwrite=overwrite)
    assert path.read_bytes() == b"all of it"
    assert list(tmp_path.iterdir()) == [path]


def test_it_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with atomic_write(path, overwrite=True) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_a_relative_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(Path("a"))
    assert (tmp_path / "a").read_bytes() == b"new"


def test_existing_files_are_kept_before_any_work(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"precious")
    remedy = r"use --overwrite \(overwrite=True\), or another output"
    with pytest.raises(OutputError, match=f"got one that exists; {remedy}"), atomic_write(path):
        pytest.fail("the work was begun")
    assert path.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [path]


@BOTH
@pytest.mark.usefixtures("disk")
def test_a_file_that_appears_meanwhile_is_kept(tmp_path, links):
    path = tmp_path / "a"
    with pytest.raises(OutputError, match="got one that exists"), atomic_write(path):
        path.write_bytes(b"precious")
    assert path.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [path]


@BOTH
@pytest.mark.usefixtures("disk")
def test_of_many_writers_one_wins(tmp_path, links):
    path, errors = tmp_path / "a", []
    together = threading.Barrier(8)

    def compete(number: int) -> None:
        try:
            with atomic_write(path) as file:
                file.write(bytes([number]) * 1000)
                together.wait()
        except OutputError as error:
            errors.append(error)

    threads = [threading.Thread(target=compete, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == 7
    assert all("got one that exists" in str(error) for error in errors)
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
        PhotoError("my own", expected="this", got="that", remedy="mend it"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_inside_leaves_everything_as_it_was(tmp_path, error, existing):
    path = tmp_path / "a"
    if existing:
        path.write_bytes(b"precious")
    with pytest.raises(type(error), match="my own"), atomic_write(path, overwrite=existing):
        raise error
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"precious"] * existing


def test_a_full_disk_is_one_line(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"precious")
    words = r"a: expected .*, got no space left on device; check"
    with pytest.raises(OutputError, match=words), atomic_write(path, overwrite=True):
        raise OSError(28, "No space left on device")
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"precious"]


def test_without_hard_links_an_error_at_the_end_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "hardlink_to", refuse)
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OutputError, match="operation not permitted"):
        write(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_overwriting_a_link_spares_what_it_leads_to(tmp_path):
    original, link = tmp_path / "original", tmp_path / "link"
    original.write_bytes(b"precious")
    link.symlink_to(original)
    with pytest.raises(OutputError):
        write(link)
    write(link, overwrite=True)
    assert original.read_bytes() == b"precious"
    assert not link.is_symlink()


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_a_link_to_nowhere_is_in_the_way_too(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    for attempt in (write, lambda path: check_absent(path, overwrite=False)):
        with pytest.raises(OutputError, match="got one that exists"):
            attempt(link)
    assert list(tmp_path.iterdir()) == [link]


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_folder_is_never_replaced(tmp_path, overwrite):
    for attempt in (write, check_absent):
        with pytest.raises(OutputError, match="expected a file, got a folder; name a file in it"):
            attempt(tmp_path, overwrite=overwrite)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("name", ["none/a", "file/a", "x" * 300, "a\0"])
def test_places_that_cannot_be_written_to(tmp_path, name, overwrite):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="expected a folder that can be written to") as caught:
        write(tmp_path / name, overwrite=overwrite)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    try:
        if os.access(tmp_path, os.W_OK):
            pytest.skip("who runs this may write anywhere")
        with pytest.raises(OutputError, match="got permission denied"):
            write(tmp_path / "a")
        assert list(tmp_path.iterdir()) == []
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.skipif(os.name == "nt", reason="no such permissions there")
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_permissions_follow_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        write(tmp_path / "a")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~mask


def test_the_longest_name_can_be_written(tmp_path):
    path = tmp_path / ("写" * 83 + ".png")
    write(path)
    assert path.read_bytes() == b"new"


def test_check_free(tmp_path):
    path = tmp_path / "a"
    check_absent(path, overwrite=False)
    path.write_bytes(b"")
    check_absent(path, overwrite=True)
    with pytest.raises(OutputError, match="expected a new file, got one that exists"):
        check_absent(path, overwrite=False)


def test_make_folder(tmp_path):
    folder = tmp_path / "a" / "b"
    for _ in range(2):
        make_folder(folder)
        assert folder.is_dir()
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "file" / "c", tmp_path / "d\0"):
        with pytest.raises(OutputError, match="expected a folder that can be made"):
            make_folder(path)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_pipe_is_no_target(tmp_path, overwrite):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(OutputError, match="expected a file, got a device or pipe"):
        check_absent(tmp_path / "pipe.png", overwrite=overwrite)


def test_a_scratch_file_is_gone_afterwards_also_where_the_work_fails(tmp_path):
    with temporary_file(tmp_path) as file, temporary_file(tmp_path) as other:
        file.write(b"for a while")
        file.seek(4)
        assert (file.read(), other.read()) == (b"a while", b"")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyboardInterrupt), temporary_file(tmp_path):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_scratch_file_that_was_left_is_swept(tmp_path):
    with temporary_file(tmp_path) as file:
        remove_stale_partials(tmp_path)
        assert Path(file.name).exists()
        os.utime(file.name, (0, 0))
        remove_stale_partials(tmp_path)
        assert not Path(file.name).exists()


def test_a_scratch_file_that_cannot_be_made(tmp_path):
    with pytest.raises(OutputError, match="expected a folder that can be written to"):
        temporary_file(tmp_path / "none").__enter__()


def test_room_on_the_disk(tmp_path):
    check_disk_space(tmp_path / "not" / "there" / "yet", 1, "a byte")
    with pytest.raises(
        OutputError, match=r"room for all of it, 1,048,576,000,000 MiB, got .* free"
    ):
        check_disk_space(tmp_path, 2**20 * 1_048_576_000_000, "all of it")
