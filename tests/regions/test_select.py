"""Selection of objects: each condition, their combinations, and errors."""

from dataclasses import replace

import numpy as np
import pytest

from burnish.errors import PhotoError, UsageError
from burnish.regions.options import RegionOptions
from burnish.regions.select import check_classes, mask_area, select_objects


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, [0, 1]),
        ({"min_score": 0}, [0, 1, 2]),
        ({"min_score": 0.85}, [0]),
        ({"only": ("cat",)}, [0]),
        ({"exclude": ("cat",)}, [0]),
        ({"only": ("cat",), "min_score": 0.1}, [0, 2]),
        ({"only": ("cat", "dog")}, [0, 1]),
        ({"only": ("person",)}, []),
        ({"min_area": 10}, [1]),
        ({"max_area": 10}, [0]),
        ({"min_area": 3, "max_area": 3}, [0]),
        ({"numbers": (2,)}, [1]),
        ({"numbers": (2, 1)}, [0, 1]),
        ({"numbers": (3,)}, []),
        ({"numbers": (3,), "min_score": 0}, [2]),
        ({"clicks": ((5.5, 5),)}, [1]),
        ({"clicks": ((12, 10),)}, [0]),
        ({"clicks": ((12, 10),), "only": ("dog",)}, [1]),
        ({"clicks": ((12, 10), (5, 5))}, [0, 1]),
        ({"clicks": ((31, 3),), "min_score": 0.3}, [2]),
        ({"box": (0, 0, 40, 30)}, [0, 1]),
        ({"box": (9, 7, 17, 15)}, [0]),
        ({"box": (4, 4, 16, 26)}, [0, 1]),
        ({"box": (4, 4, 15, 26)}, [0]),
        ({"box": (30, 0, 40, 30)}, []),
    ],
)
def test_select_objects_combines_conditions(three_objects, conditions, expected):
    assert select_objects(RegionOptions(**conditions), three_objects) == expected


def test_select_objects_box_counts_pixels_of_the_mask(three_objects):
    """A box around the empty half of a triangle holds none of it."""
    triangle = np.triu(np.ones((22, 24), np.float32))
    instances = replace(three_objects.select([1]), masks=(triangle,))
    assert mask_area(instances, 0) == np.count_nonzero(triangle)
    assert select_objects(RegionOptions(box=(4, 15, 15, 26)), instances) == []
    assert select_objects(RegionOptions(box=(10, 4, 28, 20)), instances) == [0]


@pytest.mark.parametrize(
    ("conditions", "detail"),
    [
        ({"clicks": ((39, 29),)}, "39,29"),
        ({"clicks": ((31, 3),)}, "31,3"),
        ({"clicks": ((12, 10), (39, 29))}, "39,29"),
        ({"clicks": ((40, 3),)}, "40 x 30"),
        ({"clicks": ((-1, 3),)}, "40 x 30"),
        ({"numbers": (4,)}, "4"),
        ({"numbers": (0,)}, "0"),
    ],
)
def test_select_objects_without_a_match_raises_photo_error(three_objects, conditions, detail):
    with pytest.raises(PhotoError, match=detail) as raised:
        select_objects(RegionOptions(**conditions), three_objects, "a.jpg")
    assert raised.value.where == "a.jpg"


def test_select_objects_without_objects_returns_none(three_objects):
    assert select_objects(RegionOptions(only=("cat",)), three_objects.select([])) == []


def test_check_classes_unknown_class_raises_usage_error():
    check_classes(["cat"], ["cat", "dog"])
    with pytest.raises(UsageError, match=r"^dogg: .*did you mean dog\?"):
        check_classes(["cat", "dogg"], ["cat", "dog"])
    with pytest.raises(UsageError, match=r"^zebra: .*cat, dog$"):
        check_classes(["zebra"], ["cat", "dog"])
