"""Running a model file in tiles whose size and halo are chosen, for whoever asks what they do."""

from collections.abc import Callable

import numpy as np
import pytest

from burnish.modelfile.card import Card
from burnish.modelfile.reader import ModelFile
from burnish.runtime.area_resize import shrink
from burnish.runtime.conditioning import context
from burnish.runtime.coords import places
from burnish.runtime.session_cache import session
from burnish.runtime.tiles import Frame, corner, plan, within

InTiles = Callable[[ModelFile, np.ndarray, int, int], tuple[np.ndarray, int]]


@pytest.fixture(scope="session")
def in_tiles() -> InTiles:
    """Return a function from file, pixels, px a tile and halo to the result and the tiles' number.

    A limit of 0 makes the smallest tiles there are.
    """

    def run(file: ModelFile, pixels: np.ndarray, limit: int, halo: int) -> tuple[np.ndarray, int]:
        frame = Frame(*pixels.shape[:2], halo, file.card.multiple)
        result = np.empty_like(pixels)
        side = file.card.thumbnail
        given = context(file.card, {}, shrink(pixels, side) if side else None)
        started = session(file, "cpu", 1, context=given)
        cut = plan(frame, max(limit, frame.smallest))
        for tile in cut:
            source = pixels[within(frame, tile.source).inside]
            inside = within(frame, tile.interior)
            where = places(tile.source, pixels.shape[:2], frame.multiple)[np.newaxis]
            told = (where,) if file.card.places else ()
            out = result[inside.inside]
            started.run(source, tile.source.size, out, corner(tile), *told)
        return result.clip(0, 1), len(cut)

    return run


@pytest.fixture(scope="session")
def short() -> Callable[[Card], int]:
    """Return a function to a halo that is too short.

    One pixel less where any pixel may start a tile, else so much that a block less is seen.
    """
    return lambda card: card.halo - (1 if card.multiple == 1 else 2 * card.multiple - 1)
