"""Bundled networks with each of their guides; and runs in tiles of a chosen size and halo."""

from collections.abc import Callable

import numpy as np
import pytest

from burnish.editing.edit import NetworkEdit, load_edit
from burnish.modelfile.card import COORDS, GUIDE, INPUT, Card
from burnish.modelfile.reader import ModelFile, read_card
from burnish.runtime.model_registry import find_model, model_names
from burnish.runtime.resize import area_resize
from burnish.runtime.session import context_tensors, get_session
from burnish.runtime.thumbnail import normalised_coords
from burnish.runtime.tiles import TileGrid, plan_tiles

RunTiled = Callable[[ModelFile, np.ndarray, int, int], tuple[np.ndarray, int]]


def guides_of(name: str) -> tuple[str, ...] | tuple[None]:
    """Return the guides of a bundled network; None stands for a network that is not guided."""
    return ("operator", "network") if read_card(find_model(name)).guide else (None,)


@pytest.fixture(
    scope="module",
    params=[(name, guide) for name in model_names() for guide in guides_of(name)],
    ids=lambda name_and_guide: "-".join(filter(None, name_and_guide)),
)
def bundled_edit(request: pytest.FixtureRequest) -> NetworkEdit:
    """Each bundled network with each of its guides, at the default values."""
    name, guide = request.param
    edit = load_edit(name, {}, guide=guide, device="cpu")
    assert isinstance(edit, NetworkEdit)
    return edit


@pytest.fixture(scope="session")
def run_tiled() -> RunTiled:
    """Return a function from file, pixels, px per tile and halo to output and number of tiles.

    0 px per tile means the smallest possible tiles. The guide of a guided network is its image.
    """

    def run(
        file: ModelFile, pixels: np.ndarray, max_pixels: int, halo: int
    ) -> tuple[np.ndarray, int]:
        size = pixels.shape[:2]
        grid = TileGrid(*size, halo, file.card.size_multiple)
        output = np.empty_like(pixels)
        side = file.card.thumbnail_size
        context = context_tensors(
            file.card, {}, area_resize(pixels, (side, side)) if side else None
        )
        session = get_session(file, "cpu", 1, context=context)
        tiles = plan_tiles(grid, max(max_pixels, grid.min_pixels))
        for tile in tiles:
            packed = session.pack(pixels[grid.clip(tile.padded).slices], tile.padded.size)
            inputs = {INPUT: packed}
            if file.card.guide:
                inputs[GUIDE] = packed
            if file.card.coords:
                coords = normalised_coords(tile.padded, size, grid.size_multiple)
                inputs[COORDS] = coords[np.newaxis]
            out = output[grid.clip(tile.core).slices]
            session.run(inputs, tile.padded.size, out, tile.core_offset)
        return output.clip(0, 1), len(tiles)

    return run


@pytest.fixture(scope="session")
def insufficient_halo() -> Callable[[Card], int]:
    """Return a function from a card to the largest halo that loses a part of what is needed.

    One pixel less is enough if tiles may start at any pixel; otherwise a whole block has to go.
    """
    return lambda card: card.halo - (1 if card.size_multiple == 1 else 2 * card.size_multiple - 1)
