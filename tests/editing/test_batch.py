"""A run over several files: stages overlap, order is kept, an error concerns one file only."""

import threading

import pytest

from burnish.editing.batch import dry_run, run_batch
from burnish.editing.edit import load_edit
from burnish.editing.options import OutputOptions, WriteOptions
from burnish.editing.plan import PlannedFile, plan
from burnish.photo import Photo


@pytest.fixture
def files(photo_folder, tmp_path):
    """Six planned photos."""
    return plan([photo_folder], "same", OutputOptions(tmp_path / "out")).files


def statuses(outcomes):
    return [outcome.status for outcome in outcomes]


def test_run_batch_yields_outcomes_in_order(files, function_edit):
    outcomes = list(run_batch(function_edit(), files))
    assert [outcome.input for outcome in outcomes] == [str(file.source) for file in files]
    assert set(statuses(outcomes)) == {"done"}
    assert all(file.target.exists() for file in files)
    assert all(outcome.seconds > 0 for outcome in outcomes)


def test_run_batch_reads_the_next_photo_during_an_edit(files, function_edit, monkeypatch):
    second_opened = threading.Event()
    opened = []
    open_photo = Photo.open

    def open_and_signal(path):
        opened.append(path)
        if len(opened) == 2:
            second_opened.set()
        return open_photo(path)

    def edit(pixels):
        # Without overlap, the second photo would be opened after this edit.
        assert second_opened.wait(20)
        return pixels

    monkeypatch.setattr(Photo, "open", open_and_signal)
    assert set(statuses(run_batch(function_edit(edit), files))) == {"done"}


def test_run_batch_reads_at_most_one_photo_ahead(files, function_edit, monkeypatch):
    opened = []
    open_photo = Photo.open
    monkeypatch.setattr(Photo, "open", lambda path: opened.append(path) or open_photo(path))
    waiting = []

    def edit(pixels):
        waiting.append(len(opened) - len(waiting))
        return pixels

    assert len(list(run_batch(function_edit(edit), files))) == 6
    assert max(waiting) <= 2


def test_run_batch_with_broken_photos_edits_the_others(files, function_edit):
    files[2].source.write_bytes(b"text")
    files[4].source.unlink()
    outcomes = list(run_batch(function_edit(), files))
    assert statuses(outcomes) == ["done", "done", "failed", "done", "failed", "done"]
    assert str(files[2].source) in outcomes[2].reason
    assert outcomes[2].output is None
    assert [file.target.exists() for file in files] == [True, True, False, True, False, True]


def test_run_batch_keeps_an_output_that_appeared_after_planning(files, function_edit):
    target = files[1].target
    target.parent.mkdir()
    target.write_bytes(b"precious")
    assert statuses(run_batch(function_edit(), files))[:3] == ["done", "failed", "done"]
    assert target.read_bytes() == b"precious"
    outcomes = list(run_batch(function_edit(), files[1:2], WriteOptions(overwrite=True)))
    assert statuses(outcomes) == ["done"]
    assert Photo.open(target).size == (56, 40)


def test_run_batch_reports_memory_errors_with_the_file(files, function_edit):
    def edit(pixels):
        raise MemoryError

    [outcome] = run_batch(function_edit(edit), files[:1])
    assert str(files[0].source) in outcome.reason
    assert "memory" in outcome.reason


def test_run_batch_raises_programming_errors(files, function_edit):
    def edit(pixels):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(run_batch(function_edit(edit), files))


@pytest.mark.parametrize("count", [0, 1, 3, 6])
def test_run_batch_after_stop_finishes_the_current_photo(
    files, function_edit, recording_progress, count
):
    progress = recording_progress()
    outcomes = run_batch(
        function_edit(),
        files,
        progress=progress,
        should_stop=lambda: len(progress.tasks) == count,
    )
    assert statuses(outcomes) == ["done"] * count
    assert progress.tasks == [(file.source.name, 1) for file in files[:count]]


def test_run_batch_after_interrupt_writes_edited_photos(files, function_edit):
    edited = []

    def edit(pixels):
        if len(edited) == 2:
            raise KeyboardInterrupt
        edited.append(pixels)
        return pixels

    outcomes = list(run_batch(function_edit(edit), files))
    assert statuses(outcomes) == ["done", "done", "interrupted"]
    assert outcomes[2].input == str(files[2].source)
    assert [file.target.exists() for file in files] == [True, True, False, False, False, False]


def test_run_batch_reports_the_progress_of_a_network(files, recording_progress):
    progress = recording_progress()
    list(run_batch(load_edit("l0-smoothing", {}), files[:1], progress=progress))
    assert progress.done == [0, 1]


def test_skipped_files_are_not_edited(files, function_edit):
    skipped = [PlannedFile(files[0].source, files[0].target, skip=True), files[1]]
    assert statuses(run_batch(function_edit(), skipped)) == ["skipped", "done"]
    assert not files[0].target.exists()
    assert statuses(dry_run(function_edit(), skipped)) == ["skipped", "failed"]  # it exists now
    files[1].target.unlink()
    assert statuses(dry_run(function_edit(), skipped)) == ["skipped", "planned"]
    missing = PlannedFile(files[0].source.with_name("missing.png"), files[1].target)
    (outcome,) = dry_run(function_edit(), [missing])
    assert (outcome.status, outcome.output) == ("failed", None)
    assert "missing.png: cannot be read: no such file" in outcome.reason
