"""Shimmer on a pan: how much outputs for neighbouring frames differ where they show the same.

python benchmarks/shimmer.py own.onnx --photo photo.jpg --json shimmer.json

A window moves over a photo by whole pixels, so that neighbouring frames show the same pixels, and
only the place of the window differs. Shimmer is the mean absolute difference of the outputs for two
neighbouring frames where they overlap, in 8-bit codes, without a margin at the border. It is
measured for the network with each of its guides, and for the operator itself on each frame.
"""

import argparse
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from measure import environment, write

from burnish.editing.edit import Edit, load_edit
from burnish.evaluation.doctor import SAMPLE
from burnish.modelfile.reader import read_card
from burnish.photo import Photo
from burnish.runtime.model_registry import find_model
from burnish.types import Pixels

# Pixels at the border of the overlap that do not count, since an image ends there.
MARGIN = 16
Shift = tuple[int, int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", help="names or files of networks")
    parser.add_argument("--photo", type=Path, default=SAMPLE)
    parser.add_argument("--frames", type=int, default=6)
    parser.add_argument("--shift", type=int, nargs=2, default=(2, 5), help="rows, columns a frame")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    shift = tuple(options.shift)
    frames = pan(Photo.open(options.photo).pixels, options.frames, shift)
    results: dict[str, Any] = {
        "environment": environment(),
        "frames": len(frames),
        "size": frames[0].shape[:2],
        "shift": shift,
        "models": {},
    }
    for model in options.models:
        rows = {name: shimmer(edit, frames, shift) for name, edit in edits(model)}
        results["models"][model] = rows
        print(model, *(f"{name} {value:.3f}" for name, value in rows.items()), sep="  ", flush=True)
    write(options.json, results)


def edits(model: str) -> Iterator[tuple[str, Edit]]:
    """Yield the network with each guide, and its operator, with their names."""
    card = read_card(find_model(model))
    if card.guide is None:
        yield "network", load_edit(model, {})
    else:
        if card.guide.start is not None:
            yield "guide: network", load_edit(model, {}, guide="network")
        yield "guide: operator", load_edit(model, {}, guide="operator")
    values = {param.name: param.value for param in card.params}
    yield "operator", load_edit(card.operator, values, slow=True)


def pan(pixels: Pixels, count: int, shift: Shift) -> list[Pixels]:
    """Return windows of a photo, each moved on by a number of rows and columns."""
    height, width = (pixels.shape[axis] - (count - 1) * shift[axis] for axis in (0, 1))
    corners = [(index * shift[0], index * shift[1]) for index in range(count)]
    return [pixels[top : top + height, left : left + width] for top, left in corners]


def shimmer(edit: Edit, frames: Sequence[Pixels], shift: Shift) -> float:
    """Return the shimmer of an edit in 8-bit codes."""
    edit_frame = edit.frame_edit(lambda: frames)
    outputs = [edit_frame(frame, index, index / 25) for index, frame in enumerate(frames)]
    height, width = frames[0].shape[:2]
    differences = []
    for first, second in pairwise(outputs):
        overlap = first[shift[0] :, shift[1] :] - second[: height - shift[0], : width - shift[1]]
        differences.append(np.abs(overlap[MARGIN:-MARGIN, MARGIN:-MARGIN]).mean())
    return 255 * float(np.mean(differences))


if __name__ == "__main__":
    main()
