"""Object storage, with a server of S3 on this machine; a folder on the disk is the oracle."""

import errno
import json
import os
import re
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from burnish import storage
from burnish.editing.inputs import find_inputs
from burnish.editing.options import OutputOptions
from burnish.editing.plan import PlannedFile, plan
from burnish.errors import (
    ClusterError,
    MissingLibraryError,
    OutputError,
    PhotoError,
    StorageError,
    UsageError,
)
from burnish.files import check_absent, check_place, existing, is_folder
from burnish.photo import Photo
from burnish.storage import RemotePath, Scratch, as_path, original_names, put

pytest.importorskip("s3fs", reason="the extra 's3' is not installed")
GRADIENT = np.linspace(0, 1, 8 * 12 * 3, dtype=np.float32).reshape(8, 12, 3)
NAMES = ("b.jpg", "a.png", "notes.txt", "z/a.jpg", "B/c.jpg", "B/b/a.jpg", ".hidden.jpg")


@pytest.fixture(scope="module")
def server():
    moto_server = pytest.importorskip("moto.server", reason="moto is not installed")
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "test")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield server
    server.stop()


@pytest.fixture
def bucket(server, request):
    """An empty bucket for each test."""
    path = RemotePath(
        f"s3://{re.sub('[^a-z0-9]+', '-', request.node.name.lower())[:60].strip('-')}"
    )
    storage._filesystem("s3").mkdir(path.key)
    return path


def upload(folder, target):
    for file in folder.rglob("*"):
        if file.is_file():
            put(file, target / file.relative_to(folder).as_posix(), overwrite=False)


@pytest.fixture
def tree(tmp_path):
    """A folder with photos and other files."""
    root = tmp_path / "tree"
    for name in NAMES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("txt"):
            (root / name).write_text("notes")
        else:
            Photo(GRADIENT).save(root / name)
    return root


@pytest.mark.parametrize(
    "address", ["s3://bucket/a/b.c.jpg", "gs://bucket/b", "az://box/x y/ü.png"]
)
def test_paths_keep_their_address(address):
    path = as_path(address)
    assert isinstance(path, RemotePath)
    assert str(path) == os.fspath(path) == str(path.parent / path.name) == address
    assert as_path(Path(address)) == path == as_path(str(path.absolute()))
    assert path.scheme == address.partition(":")[0]
    assert path.key == address.partition("//")[2]


def test_paths_of_other_kinds():
    assert as_path("file:///tmp/a.jpg") == Path("/tmp/a.jpg")
    assert not isinstance(as_path("s3/a.jpg"), RemotePath)
    with pytest.raises(UsageError, match="bucket is missing"):
        as_path("s3://")


@pytest.mark.parametrize("recursive", [True, False])
def test_listing_equals_that_of_the_disk(tree, bucket, recursive):
    upload(tree, bucket / "in")
    local = find_inputs([tree], recursive=recursive)
    remote = find_inputs([bucket / "in"], recursive=recursive)
    assert [f.path.relative_to(bucket / "in").parts for f in remote.files] == [
        f.path.relative_to(tree).parts for f in local.files
    ]
    assert [f.subfolder.parts for f in remote.files] == [f.subfolder.parts for f in local.files]
    assert remote.ignored == local.ignored


def test_plan_equals_that_of_the_disk(tree, bucket):
    upload(tree, bucket / "in")

    def names(root):
        options = OutputOptions(f"{root}/out", recursive=True, format="png")
        files = plan([root], "edit", options).files
        return [file.target.relative_to(root).parts for file in files]

    assert names(bucket / "in") == names(tree)
    assert len(names(tree)) == 5


def test_existing_objects_are_skipped_and_never_replaced(tree, bucket):
    upload(tree, bucket / "in")
    options = OutputOptions(f"{bucket}/in", name="{stem}{ext}")
    with pytest.raises(UsageError, match="this output is the input"):
        plan([bucket / "in"], "edit", options)
    outputs = OutputOptions(f"{bucket}/out", skip_existing=True)
    put(tree / "a.png", bucket / "out" / "a.edit.png", overwrite=False)
    assert [file.skip for file in plan([bucket / "in"], "edit", outputs).files] == [True, False]
    with pytest.raises(OutputError, match="1 of 2 outputs exist"):
        plan([bucket / "in"], "edit", OutputOptions(f"{bucket}/out"))
    with pytest.raises(OutputError, match="exists already"):
        put(tree / "b.jpg", bucket / "out" / "a.edit.png", overwrite=False)
    with Scratch() as scratch:
        copy = scratch.fetch(bucket / "out" / "a.edit.png")
        assert copy.read_bytes() == (tree / "a.png").read_bytes()
    put(tree / "b.jpg", bucket / "out" / "a.edit.png", overwrite=True)


def test_existing_agrees_with_single_questions(tree, bucket):
    upload(tree, bucket)
    paths = [bucket / name for name in (*NAMES, "c.jpg", "z/b.jpg", "none/a.jpg")]
    assert existing(paths) == {bucket / name for name in NAMES}
    assert existing(paths[:1]) == {bucket / NAMES[0]}
    assert is_folder(bucket / "B")
    assert not is_folder(bucket / "b.jpg")
    with pytest.raises(OutputError, match="exists already"):
        check_absent(bucket / "b.jpg", overwrite=False)


def test_copies_are_named_as_objects_and_removed(bucket, tree):
    put(tree / "a.png", bucket / "x" / "a.png", overwrite=False)
    with Scratch() as scratch:
        copy = scratch.fetch(bucket / "x" / "a.png")
        assert copy.parts[-3:] == (bucket.parts[1], "x", "a.png")
        message = f"{copy}: is broken; see {copy.parent / 'b'}"
        assert original_names(message) == f"{bucket}/x/a.png: is broken; see {bucket}/x/b"
        assert scratch.local(tree) == tree
    assert not copy.exists()


def test_copies_of_a_killed_process_are_removed_after_a_week(bucket, tree, tmp_path, monkeypatch):
    put(tree / "a.png", bucket / "a.png", overwrite=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name, days in (("burnish-objects-new", 6), ("burnish-objects-old", 8), ("other", 8)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "copy.png").touch()
        past = time.time() - days * 24 * 3600
        os.utime(tmp_path / name, (past, past))
    with Scratch() as scratch:
        scratch.fetch(bucket / "a.png")
    left = {folder.name for folder in tmp_path.iterdir()}
    assert left == {"burnish-objects-new", "other", tree.name}


def test_folders_whose_objects_alone_may_be_read(bucket, tree, monkeypatch):
    put(tree / "a.png", bucket / "in" / "a.png", overwrite=False)
    files = storage._filesystem("s3")

    def denied(key):
        raise PermissionError(errno.EACCES, "Forbidden")

    check_place(bucket / "x")  # the bucket is asked for once
    monkeypatch.setattr(files, "info", denied)
    monkeypatch.setattr(storage, "_filesystem", lambda scheme: files)
    assert is_folder(bucket / "in")
    assert not is_folder(bucket / "out")
    with pytest.raises(StorageError, match="access is denied: forbidden"):
        is_folder(bucket / "in" / "a.png")


def test_missing_buckets_and_objects(server, bucket):
    for path in (RemotePath("s3://no-such-bucket/in"), RemotePath("s3://no-such-bucket")):
        with pytest.raises(UsageError, match="there is no bucket s3://no-such-bucket"):
            is_folder(path)
        with pytest.raises(UsageError, match="there is no bucket s3://no-such-bucket"):
            check_place(path / "a.jpg")
    with Scratch() as scratch, pytest.raises(PhotoError, match="there is no such object"):
        scratch.fetch(bucket / "a.jpg")
    with pytest.raises(OutputError, match="1025 bytes"):
        check_place(bucket / ("a" * 1025))


def test_machines_that_do_not_reach_a_bucket(server, function_edit):
    from burnish.editing.cluster_batch import _RunnerFactory
    from burnish.editing.options import WriteOptions

    factory = _RunnerFactory(
        function_edit, WriteOptions(), Path.cwd(), (), {RemotePath("s3://no-such-bucket")}
    )
    with pytest.raises(ClusterError, match=r"s3://no-such-bucket on the machine .*: there is no"):
        factory()


def test_keys_that_are_no_paths(bucket):
    storage._filesystem("s3").pipe_file(f"{bucket.key}/in//a.jpg", b"x")
    with pytest.raises(UsageError, match="name that is not a path"):
        find_inputs([bucket / "in"], recursive=True)


def test_missing_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(MissingLibraryError, match=r"library gcsfs .* extra 'gs'"):
        is_folder(RemotePath("gs://bucket-of-nobody/a"))


def test_storage_that_does_not_answer(monkeypatch):
    import fsspec

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    once = {"retries": {"max_attempts": 0}}
    fs = fsspec.filesystem("s3", config_kwargs=once, skip_instance_cache=True)
    fs.retries = 1
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setattr(storage, "_filesystem", lambda scheme: fs)
    with pytest.raises(StorageError, match="could not connect"):
        is_folder(RemotePath("s3://nowhere/a"))


def test_a_lost_workers_output_counts_as_done(bucket, tree, function_edit):
    from burnish.editing.batch import Batch
    from burnish.editing.options import WriteOptions

    put(tree / "a.png", bucket / "out.png", overwrite=False)
    batch = Batch(function_edit(), WriteOptions())
    first = PlannedFile(tree / "a.png", bucket / "out.png")
    work = batch.read(first)
    batch.edit_photo(work)
    assert "exists already" in batch.write(work).reason
    again = PlannedFile(tree / "a.png", bucket / "out.png", is_retry=True)
    work = batch.read(again)
    batch.edit_photo(work)
    outcome = batch.write(work)
    assert (outcome.status, outcome.seconds) == ("done", None)


def test_command_from_bucket_to_bucket(bucket, tree, burnish, tmp_path):
    (tree / "broken.jpg").write_bytes(b"no photo")
    upload(tree, bucket / "in")
    options = ["-r", "--name", "{stem}{ext}", "--json"]
    _, local, _ = burnish("apply", "l0-smoothing", tree, "-o", tmp_path / "out", *options)
    code, out, err = burnish(
        "apply", "l0-smoothing", f"{bucket}/in", "-o", f"{bucket}/out", *options
    )
    assert code == 1
    assert f"burnish: {bucket}/in/broken.jpg: " in err

    def records(text, source, target):
        parsed = json.loads(f"[{','.join(text.splitlines())}]")
        same = [{**record, "seconds": None} for record in parsed]
        return json.dumps(same).replace(str(source), "IN").replace(str(target), "OUT")

    expected = records(local, tree, tmp_path / "out")
    assert records(out, f"{bucket}/in", f"{bucket}/out") == expected
    with Scratch() as scratch:
        for file in (tmp_path / "out").rglob("*.*"):
            copy = scratch.fetch(bucket / "out" / file.relative_to(tmp_path / "out").as_posix())
            assert copy.read_bytes() == file.read_bytes()


def test_masks_are_not_written_to_object_storage(bucket, burnish):
    box = ["--box", "0,0,4,4", "--save-mask", "masks/"]
    code, _, err = burnish("apply", "l0-smoothing", f"{bucket}/a.jpg", *box)
    assert (code, err.count("\n")) == (2, 1)
    assert "masks are written on this machine only" in err
