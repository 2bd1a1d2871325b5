"""The time of candidates on the engines of this machine, measured with random weights."""

import os
from collections.abc import Callable, Mapping, Sequence
from math import prod

import numpy as np

from burnish.compression.latency import cpu_seconds
from burnish.modelfile.card import GUIDE, INPUT, Guide, Ranges
from burnish.operators.operator import Operator
from burnish.params import Value
from burnish.runtime.cascade import level_sizes, operator_guide
from burnish.runtime.engine_choice import EngineChoice
from burnish.runtime.onnx_runtime import fold_constants
from burnish.runtime.quantisation import quantise_graph, rounded_tensors
from burnish.runtime.resize import area_resize
from burnish.runtime.session import load_engine
from burnish.search.graph import bytes_moved, operations
from burnish.search.onnx_graph import to_onnx
from burnish.search.space import Candidate
from burnish.types import Pixels

# px: side of the measured image, a multiple of `burnish.search.space.MAX_SIZE_MULTIPLE`
SIDE = 256
ROUNDS = 3
# px: height and width of the photo whose cascade is counted
PHOTO = (3000, 4000)


def milliseconds(
    candidates: Sequence[Candidate], choices: Sequence[EngineChoice], rounds: int = ROUNDS
) -> list[list[float]]:
    """Return the time of each candidate in each choice for a megapixel, on one thread.

    All of them take turns, so that a slow spell of the machine meets all of them.

    Raises
    ------
    MissingLibraryError : an engine is not installed
    PrecisionError : an engine has no such precision
    """
    runs = [_run(candidate, choice) for candidate in candidates for choice in choices]
    times = [1e3 * seconds / (SIDE**2 / 1e6) for seconds in cpu_seconds(runs, rounds)]
    return [times[i : i + len(choices)] for i in range(0, len(times), len(choices))]


def cascade_share(candidate: Candidate, guide: Guide) -> float:
    """Return the pixels that the network computes for `PHOTO`, divided by those of the photo.

    The first level of a cascade is not among them: the operator computes it.

    Parameters
    ----------
    guide : of the operator's networks; the candidate's ratio takes the place of its own

    Examples
    --------
    >>> guide = Guide(size=256, operator_size=512, max_ratio=4.5)
    >>> [round(cascade_share(Candidate("fast", ratio), guide), 3) for ratio in (None, 2.0, 4.0)]
    [1.0, 1.402, 1.171]
    """
    if candidate.guide_ratio is None:
        return 1.0
    own = guide.model_copy(update={"max_ratio": candidate.guide_ratio})
    _, *levels = level_sizes(PHOTO, operator_guide(PHOTO, own))
    return sum(map(prod, levels)) / prod(PHOTO)


def first_level(guide: Guide) -> tuple[int, int]:
    """Return the height and width of the copy of `PHOTO` that the operator computes for a guide.

    Examples
    --------
    >>> first_level(Guide(size=256, operator_size=512, max_ratio=4.5))
    (512, 683)
    """
    return level_sizes(PHOTO, operator_guide(PHOTO, guide))[0]


def total_milliseconds(
    candidate: Candidate, network: float, operator: float, guide: Guide
) -> float:
    """Return the time of a candidate for a megapixel of `PHOTO`, with its cascade.

    Parameters
    ----------
    network : its network's time for a megapixel
    operator : the operator's time for the first level, per megapixel of the photo
    guide : see `cascade_share`
    """
    own = network * cascade_share(candidate, guide)
    return own + (operator if candidate.guide_ratio else 0.0)


def total_bytes_moved(candidate: Candidate, guide: Guide) -> float:
    """Return the bytes that a candidate moves for a pixel of `PHOTO`, with its cascade.

    Those of the operator for the first level are not among them. For `guide` see `cascade_share`.
    """
    return round(bytes_moved(operations(candidate)) * cascade_share(candidate, guide), 1)


def operator_milliseconds(
    operator: Operator, values: Mapping[str, Value], photo: Pixels, size: tuple[int, int]
) -> float:
    """Return the operator's CPU time for the first level, per megapixel of `PHOTO`.

    Parameters
    ----------
    photo : any photo; a copy of it is the first level
    size : height and width of the first level
    """
    if operator.pairs:  # the start network takes its place, which runs on few pixels
        return 0.0
    copy = area_resize(photo, size)
    measured = operator.measure(photo, **values)
    seconds = []
    for _ in range(2):  # the first run compiles and loads
        begin = sum(os.times()[:4])  # with the processes of operators that are commands
        operator.run_small(copy, size[0] / PHOTO[0], measured, **values)
        seconds.append(sum(os.times()[:4]) - begin)
    return 1e3 * seconds[-1] / (prod(PHOTO) / 1e6)


def _run(candidate: Candidate, choice: EngineChoice) -> Callable[[], object]:
    """Return a function that runs a candidate on an image."""
    model = to_onnx(candidate)
    if choice.precision == "int8":
        model = quantise_graph(model, _ranges(candidate), choice.engine)
    engine = load_engine(choice.engine)
    session = engine.create_session(model, candidate.network, "cpu", 1, choice.precision)
    image: Pixels = np.random.default_rng(0).random((SIDE, SIDE, 3), dtype=np.float32)
    names = [INPUT, GUIDE] if candidate.guide_ratio else [INPUT]
    size, out = (SIDE, SIDE), np.empty_like(image)

    def run() -> None:
        session.run({name: session.pack(image, size) for name in names}, size, out)

    return run


def _ranges(candidate: Candidate) -> Ranges:
    """Return ranges of the features, on which the time does not depend."""
    return dict.fromkeys(rounded_tensors(fold_constants(to_onnx(candidate))), ((-1.0, 1.0),))
