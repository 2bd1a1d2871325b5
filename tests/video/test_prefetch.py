"""Stages in threads: in order, a few things under way, errors where they are waited for."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from burnish.video.prefetch import BackgroundWriter, prefetch


def test_things_come_in_order_and_are_made_ahead_but_not_far():
    made = []

    def making():
        for number in range(10):
            made.append(number)
            yield number

    with ThreadPoolExecutor(1) as worker:
        for number, item in enumerate(prefetch(making(), worker)):
            assert item == number
            worker.submit(lambda: None).result()  # what is under way is made by then
            assert len(made) <= number + 3
        assert len(made) == 10


def test_the_next_is_made_while_one_is_in_hand():
    begun = threading.Event()

    def making():
        yield 0
        begun.set()
        yield 1

    with ThreadPoolExecutor(1) as worker:
        items = prefetch(making(), worker)
        next(items)
        assert begun.wait(20)


def test_an_error_comes_in_its_place():
    def making():
        yield 1
        raise ValueError("second")

    with ThreadPoolExecutor(1) as worker:
        items = prefetch(making(), worker)
        assert next(items) == 1
        with pytest.raises(ValueError, match="second"):
            next(items)


def test_work_is_done_in_order_and_not_much_of_it_waits():
    done, go, two = [], threading.Event(), threading.Event()
    handed = []

    def work(number):
        assert go.wait(20)
        done.append(number)

    def hand_all(behind):
        for number in range(6):
            behind.hand(partial(work, number))
            handed.append(number)
            if number == 1:
                two.set()

    with ThreadPoolExecutor(1) as worker, ThreadPoolExecutor(1) as other:
        behind = BackgroundWriter(worker)
        handing = other.submit(hand_all, behind)
        assert two.wait(20)
        assert not done
        assert len(handed) == 2
        go.set()
        handing.result(20)
        behind.wait()
    assert done == list(range(6))


def test_what_went_wrong_is_raised_at_the_latest_at_the_end():
    def fail():
        raise ValueError("so")

    with ThreadPoolExecutor(1) as worker:
        behind = BackgroundWriter(worker)
        behind.submit(fail)
        with pytest.raises(ValueError, match="so"):
            behind.wait()
