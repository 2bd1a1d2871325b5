"""Running a model file in tiles whose size and halo are chosen, for whoever asks what they do."""

from collections.abc import Callable

import numpy as np
import pytest

from burnish.modelfile.card import Card
from burnish.modelfile.reader import ModelFile
from burnish.runtime.area_resize import area_resize
from burnish.runtime.conditioning import context_tensors
from burnish.runtime.coords import normalised_coords
from burnish.runtime.session_cache import get_session
from burnish.runtime.tiles import TileGrid, clip_to_image, core_offset, plan_tiles

InTiles = Callable[[ModelFile, np.ndarray, int, int], tuple[np.ndarray, int]]


@pytest.fixture(scope="session")
def in_tiles() -> InTiles:
    """Return a function from file, pixels, px a tile and halo to the result and the tiles' number.

    A limit of 0 makes the smallest tiles there are.
    """

    def run(file: ModelFile, pixels: np.ndarray, limit: int, halo: int) -> tuple[np.ndarray, int]:
        frame = TileGrid(*pixels.shape[:2], halo, file.card.size_multiple)
        result = np.empty_like(pixels)
        side = file.card.thumbnail_size
        given = context_tensors(file.card, {}, area_resize(pixels, side) if side else None)
        started = get_session(file, "cpu", 1, context=given)
        cut = plan_tiles(frame, max(limit, frame.min_pixels))
        for tile in cut:
            source = pixels[clip_to_image(frame, tile.padded).slices]
            inside = clip_to_image(frame, tile.core)
            where = normalised_coords(tile.padded, pixels.shape[:2], frame.size_multiple)[
                np.newaxis
            ]
            told = (where,) if file.card.coords else ()
            out = result[inside.slices]
            started.run(source, tile.padded.size, out, core_offset(tile), *told)
        return result.clip(0, 1), len(cut)

    return run


@pytest.fixture(scope="session")
def short() -> Callable[[Card], int]:
    """Return a function to a halo that is too short.

    One pixel less where any pixel may start a tile, else so much that a block less is seen.
    """
    return lambda card: card.halo - (1 if card.size_multiple == 1 else 2 * card.size_multiple - 1)
