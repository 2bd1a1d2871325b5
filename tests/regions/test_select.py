"""Which objects are meant: every condition, how they go together, and what is refused."""

import numpy as np
import pytest

from burnish.errors import PhotoError, UsageError
from burnish.regions.select import Selection, check_classes, mask_area, select_objects


def meant(three, **conditions):
    return select_objects(Selection(**conditions), three)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, [0, 1]),
        ({"min_score": 0}, [0, 1, 2]),
        ({"min_score": 0.85}, [0]),
        ({"classes": ("cat",)}, [0]),
        ({"classes": ("cat",), "min_score": 0.1}, [0, 2]),
        ({"classes": ("cat", "dog")}, [0, 1]),
        ({"classes": ("person",)}, []),
        ({"min_area": 10}, [1]),
        ({"max_area": 10}, [0]),
        ({"min_area": 3, "max_area": 3}, [0]),
        ({"numbers": (2,)}, [1]),
        ({"numbers": (2, 1)}, [0, 1]),
        ({"numbers": (3,)}, []),
        ({"numbers": (3,), "min_score": 0}, [2]),
        ({"clicks": ((5.5, 5),)}, [1]),
        ({"clicks": ((12, 10),)}, [0]),
        ({"clicks": ((12, 10),), "classes": ("dog",)}, [1]),
        ({"clicks": ((12, 10), (5, 5))}, [0, 1]),
        ({"clicks": ((31, 3),), "min_score": 0.3}, [2]),
        ({"box": (0, 0, 40, 30)}, [0, 1]),
        ({"box": (9, 7, 17, 15)}, [0]),
        ({"box": (4, 4, 16, 26)}, [0, 1]),
        ({"box": (4, 4, 15, 26)}, [0]),
        ({"box": (30, 0, 40, 30)}, []),
    ],
)
def test_conditions_narrow_and_their_values_join(three, conditions, expected):
    assert meant(three, **conditions) == expected


def test_half_of_a_mask_decides_and_not_its_box(three):
    """A box around a triangle's empty half holds none of it."""
    triangle = np.triu(np.ones((22, 24), np.float32))
    found = three.select([1])
    found = type(found)(found.size, found.boxes, found.labels, found.scores, (triangle,))
    assert mask_area(found, 0) == np.count_nonzero(triangle)
    assert select_objects(Selection(box=(4, 15, 15, 26)), found) == []
    assert select_objects(Selection(box=(10, 4, 28, 20)), found) == [0]


@pytest.mark.parametrize(
    ("conditions", "complaint"),
    [
        ({"clicks": ((39, 29),)}, "got none at 39,29 among 2"),
        ({"clicks": ((31, 3),)}, "got none at 31,3 among 2"),
        ({"clicks": ((12, 10), (39, 29))}, "got none at 39,29"),
        ({"clicks": ((40, 3),)}, "expected a click inside its 40 x 30 pixels, got 40,3"),
        ({"clicks": ((-1, 3),)}, "expected a click inside"),
        ({"numbers": (4,)}, "expected numbers from 1 to 3, the objects found, got 4"),
        ({"numbers": (0,)}, "got 0"),
    ],
)
def test_what_means_nothing(three, conditions, complaint):
    with pytest.raises(PhotoError, match=complaint):
        meant(three, **conditions)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"min_score": 1.1}, "min_score: expected 0 to 1, got 1.1"),
        ({"max_area": -1}, "max_area: expected 0 to 100"),
        ({"box": (4, 0, 4, 9)}, "left before right"),
        ({"min_score": float("nan")}, "got nan"),
    ],
)
def test_values_outside_their_ranges(values, complaint):
    with pytest.raises(UsageError, match=complaint):
        Selection(**values)


def test_classes_that_the_detector_does_not_know():
    check_classes(["cat"], ["cat", "dog"])
    with pytest.raises(UsageError, match=r"did you mean dog\?"):
        check_classes(["cat", "dogg"], ["cat", "dog"])
    with pytest.raises(UsageError, match=r"zebra: expected a class .* there are cat, dog$"):
        check_classes(["zebra"], ["cat", "dog"])


def test_nothing_found(three):
    assert select_objects(Selection(classes=("cat",)), three.select([])) == []
