"""A batch: the stages overlap, the order stays, and each photo answers for itself."""

import threading

import pytest

from burnish.editing.batch import ProgressListener, WriteOptions, dry_run, run_batch
from burnish.editing.edit import Edit, load_edit
from burnish.editing.plan import OutputOptions, PlannedFile, plan
from burnish.photo import Photo


@pytest.fixture
def steps(photos, tmp_path):
    return plan([photos], "same", OutputOptions(tmp_path / "out")).files


def same(run=lambda pixels, progress=None: pixels):
    return Edit("same", run, "cpu", ())


def test_outcomes_come_in_order(steps):
    outcomes = list(run_batch(same(), steps))
    assert [outcome.input for outcome in outcomes] == [str(step.source) for step in steps]
    assert {outcome.status for outcome in outcomes} == {"done"}
    assert all(step.target.exists() for step in steps)
    assert all(outcome.seconds > 0 for outcome in outcomes)


def test_the_next_photo_is_read_while_one_is_edited(steps, monkeypatch):
    read = threading.Event()
    opened = []
    whole = Photo.open

    def open_and_tell(path):
        opened.append(path)
        if len(opened) == 2:
            read.set()
        return whole(path)

    def edit(pixels, progress=None):
        # Without the overlap the second is read after the first is edited, and this waits in vain.
        assert read.wait(20)
        return pixels

    monkeypatch.setattr(Photo, "open", open_and_tell)
    assert {outcome.status for outcome in run_batch(same(edit), steps)} == {"done"}


def test_no_more_than_the_next_photo_is_read_ahead(steps, monkeypatch):
    opened = []
    whole = Photo.open
    monkeypatch.setattr(Photo, "open", lambda path: opened.append(path) or whole(path))
    edited = []

    def edit(pixels, progress=None):
        edited.append(len(opened) - len(edited))
        return pixels

    assert len(list(run_batch(same(edit), steps))) == 6
    assert max(edited) <= 2


def test_a_photo_that_fails_is_alone_in_it(steps):
    steps[2].source.write_bytes(b"no picture")
    steps[4].source.unlink()
    outcomes = list(run_batch(same(), steps))
    assert [outcome.status for outcome in outcomes] == [
        *("done", "done", "failed", "done", "failed", "done")
    ]
    assert "expected a picture" in outcomes[2].reason
    assert outcomes[2].output is None
    assert [step.target.exists() for step in steps] == [True, True, False, True, False, True]


def test_a_result_that_came_up_meanwhile_is_not_replaced(steps):
    steps[1].target.parent.mkdir()
    steps[1].target.write_bytes(b"precious")
    assert [outcome.status for outcome in run_batch(same(), steps)][:3] == [
        "done",
        "failed",
        "done",
    ]
    assert steps[1].target.read_bytes() == b"precious"
    outcomes = list(run_batch(same(), steps[1:2], WriteOptions(overwrite=True)))
    assert outcomes[0].status == "done"
    assert Photo.open(steps[1].target).size == (56, 40)


def test_memory_that_runs_out_is_said_in_words(steps):
    def edit(pixels, progress=None):
        raise MemoryError

    [outcome] = run_batch(same(edit), steps[:1])
    assert outcome.reason == f"{steps[0].source}: too large for the memory of this machine"


def test_an_error_of_our_own_is_not_taken_for_a_photo_s(steps):
    def edit(pixels, progress=None):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(run_batch(same(edit), steps))


class Stopping(ProgressListener):
    """Has a batch end after some photos."""

    def __init__(self, after):
        self.after = after
        self.begun = []
        self.shares = []

    def begin(self, step):
        self.begun.append(step)

    def share(self, share):
        self.shares.append(share)

    def stopped(self):
        return len(self.begun) == self.after


@pytest.mark.parametrize("after", [0, 1, 3, 6])
def test_stopped_it_finishes_the_photo_in_hand(steps, after):
    watcher = Stopping(after)
    assert [outcome.status for outcome in run_batch(same(), steps, listener=watcher)] == [
        "done"
    ] * after
    assert watcher.begun == list(steps[:after])


def test_interrupted_it_writes_what_is_edited_and_says_what_is_not(steps):
    edited = []

    def edit(pixels, progress=None):
        if len(edited) == 2:
            raise KeyboardInterrupt
        edited.append(pixels)
        return pixels

    outcomes = list(run_batch(same(edit), steps))
    assert [outcome.status for outcome in outcomes] == ["done", "done", "interrupted"]
    assert [step.target.exists() for step in steps] == [True, True, False, False, False, False]


def test_progress_is_passed_on(steps):
    watcher = Stopping(after=None)
    list(run_batch(load_edit("l0-smoothing", {}), steps[:2], listener=watcher))
    assert watcher.shares == [1, 1]


def test_skipped_and_planned(steps):
    skipped = [PlannedFile(steps[0].source, steps[0].target, skip=True), steps[1]]
    assert [outcome.status for outcome in run_batch(same(), skipped)] == ["skipped", "done"]
    statuses = [outcome.status for outcome in dry_run(same(), skipped)]
    assert statuses == ["skipped", "planned"]
