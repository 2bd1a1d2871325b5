"""Explain: one page that shows how a detector came to what it found, step by step."""

import base64
from html import escape
from pathlib import Path

import numpy as np

from burnish.detection.card import DetectorCard
from burnish.detection.detect import MaskRCNN, Steps
from burnish.detection.instances import Instances
from burnish.detection.resize import fit, fitting_size
from burnish.files import writing
from burnish.photo import Photo
from burnish.types import Pixels

# What is shown of each step, at most.
PROPOSALS = 60
INSTANCES = 12
# The photo on the page is no larger, px.
_WIDEST = 960
_COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#808000")

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff; }
svg { width: 100%; height: auto; display: block; }
figure { margin: 0 0 .5rem; }
.masks { display: flex; flex-wrap: wrap; gap: 1rem; }
.masks img { width: 112px; height: 112px; image-rendering: pixelated; border: 3px solid; }
.masks figcaption { max-width: 118px; font-size: .85rem; }
"""


def explain(
    detector: MaskRCNN,
    photo: Path,
    output: Path,
    *,
    threshold: float = 0.3,
    overwrite: bool = False,
) -> Path:
    """Look at a photo and write the page, one file that needs no other; return its path.

    Parameters
    ----------
    threshold : what was found with a lower score is not shown

    Raises
    ------
    PhotoError : the photo cannot be read
    OutputError : the page is there already and `overwrite` is not set, or cannot be written
    """
    pixels = Photo.open(photo).pixels
    found, steps = detector.explain(pixels)
    shown = np.flatnonzero(found.scores >= threshold)[:INSTANCES]
    text = page(photo.name, pixels, found, steps, shown.tolist(), detector.card, threshold)
    with writing(output, overwrite=overwrite) as file:
        file.write(text.encode())
    return output


def page(
    name: str,
    pixels: Pixels,
    found: Instances,
    steps: Steps,
    shown: list[int],
    card: DetectorCard,
    threshold: float,
) -> str:
    """Return the page's HTML.

    Parameters
    ----------
    shown : which of the instances
    """
    height, width = pixels.shape[:2]
    size = fitting_size((width, height), min(width, height), _WIDEST)
    small = fit(pixels, size)
    picture = _data(small, "jpeg")
    frame = _Frame(width, height, picture)
    colours = {index: _COLOURS[place % len(_COLOURS)] for place, index in enumerate(shown)}
    looked = " x ".join(map(str, fitting_size((width, height), card.shorter, card.longer)))
    parts = [
        f"<h1>{escape(name)}</h1>",
        f"<p>Looked at by <b>{escape(card.name)}</b>, {escape(card.title)}: at {looked} px. "
        f"{len(found)} found, {len(shown)} shown: those with a score of {threshold:g} or more, "
        f"{INSTANCES} at most.</p>",
        *_boxes(frame, found, steps, colours),
        "<h2>4. Masks, as they come</h2>",
        "<p>One small mask for each box; white belongs to the object.</p>",
        '<div class="masks">',
        *(_mask(found, index, colour) for index, colour in colours.items()),
        "</div>",
        "<h2>5. Masks, pasted</h2>",
        "<p>Each stretched over its box, and cut at a half.</p>",
        frame.drawn([], _data(_overlaid(small, found, colours), "jpeg")),
    ]
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f"<title>{escape(name)}: what was found</title>\n<style>{_STYLE}</style>\n{body}\n</html>\n"
    )


def _boxes(frame: "_Frame", found: Instances, steps: Steps, colours: dict[int, str]) -> list[str]:
    """Show anchors, proposals, and what became of them; `colours` says of which instances."""
    before = steps.proposals[steps.chosen]
    likely = zip(steps.proposals[:PROPOSALS], steps.objectness[:PROPOSALS], strict=True)
    return [
        "<h2>1. Anchors</h2>",
        f"<p>{len(steps.anchors):,} boxes of a few sizes and shapes lie all over the photo. Here: "
        "those around its middle, and in colour the nearest to each proposal that led to something."
        "</p>",
        frame.drawn(
            [_box(b, "#fff", 0.5) for b in _central(steps.anchors, frame.width, frame.height)]
            + [_box(_nearest(steps.anchors, before[i]), c, 1) for i, c in colours.items()]
        ),
        "<h2>2. Proposals</h2>",
        f"<p>{len(steps.proposals)} of them, moved once, may hold something. Here the "
        f"{min(PROPOSALS, len(steps.proposals))} most likely; the clearer, the likelier.</p>",
        frame.drawn([_box(box, "#fd0", max(0.08, float(share))) for box, share in likely]),
        "<h2>3. Boxes, before and after refinement</h2>",
        "<p>Dashed: the proposal. Full: the box that the second stage made of it.</p>",
        frame.drawn(
            [_box(before[i], colour, 1, dashed=True) for i, colour in colours.items()]
            + [_box(found.boxes[i], colour, 1) for i, colour in colours.items()]
            + [_words(found, i, colour, frame.width) for i, colour in colours.items()]
        ),
    ]


class _Frame:
    """A photo that boxes are drawn on, in its own pixels."""

    def __init__(self, width: int, height: int, picture: str) -> None:
        self.width, self.height, self.picture = width, height, picture

    def drawn(self, shapes: list[str], picture: str | None = None) -> str:
        return (
            f'<figure><svg viewBox="0 0 {self.width} {self.height}">'
            f'<image href="{picture or self.picture}" width="{self.width}" height="{self.height}"/>'
            f"{''.join(shapes)}</svg></figure>"
        )


def _box(box: Pixels, colour: str, opacity: float, *, dashed: bool = False) -> str:
    left, top, right, bottom = (float(side) for side in box)
    dash = ' stroke-dasharray="6 4"' if dashed else ""
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}"'
        f' fill="none" stroke="{colour}" stroke-opacity="{opacity:.2f}" stroke-width="2"'
        f' vector-effect="non-scaling-stroke"{dash}/>'
    )


def _words(found: Instances, index: int, colour: str, width: int) -> str:
    left, top = (float(side) for side in found.boxes[index][:2])
    high = max(10, width // 45)
    return (
        f'<text x="{left + 3:.1f}" y="{max(high, top - 4):.1f}" font-size="{high}" fill="{colour}"'
        f' stroke="#fff" stroke-width="{high / 6:.1f}" paint-order="stroke">'
        f"{escape(found.labels[index])} {found.scores[index]:.2f}</text>"
    )


def _mask(found: Instances, index: int, colour: str) -> str:
    grey = np.repeat(found.masks[index][..., None], 3, 2).astype(np.float32)
    rows, columns = found.masks[index].shape
    return (
        f'<figure><img src="{_data(grey, "png")}" style="border-color:{colour}" alt="mask">'
        f"<figcaption>{escape(found.labels[index])} {found.scores[index]:.2f}, {columns} x {rows}"
        "</figcaption></figure>"
    )


def _overlaid(small: Pixels, found: Instances, colours: dict[int, str]) -> Pixels:
    """Tint what belongs to each instance, in the page's size of the photo."""
    height, width = small.shape[:2]
    shrunk = np.array([width / found.size[0], height / found.size[1]] * 2, np.float32)
    scaled = Instances(
        (width, height), found.boxes * shrunk, found.labels, found.scores, found.masks
    )
    result = small * 0.75
    for index, colour in colours.items():
        tint = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)], np.float32)
        inside = scaled.mask(index) >= 0.5
        result[inside] = 0.5 * small[inside] + 0.5 * tint
    return result


def _nearest(anchors: Pixels, box: Pixels) -> Pixels:
    """Return the anchor that overlaps a box most."""
    low = np.maximum(anchors[:, :2], box[:2])
    high = np.minimum(anchors[:, 2:], box[2:])
    both = (high - low).clip(0).prod(1)
    whole = (anchors[:, 2:] - anchors[:, :2]).prod(1) + (box[2:] - box[:2]).prod() - both
    nearest: Pixels = anchors[(both / whole).argmax()]
    return nearest


def _central(anchors: Pixels, width: int, height: int) -> Pixels:
    """Return for each size and shape of anchor the one nearest to the middle of the photo."""
    sides = (anchors[:, 2:] - anchors[:, :2]).round(1)
    away = np.abs((anchors[:, :2] + anchors[:, 2:]) / 2 - (width / 2, height / 2)).sum(1)
    order = away.argsort(kind="stable")
    _, first = np.unique(sides[order], axis=0, return_index=True)
    central: Pixels = anchors[order[first]]
    return central


def _data(pixels: Pixels, format: str) -> str:
    data = Photo(pixels).encode(format, quality=88 if format == "jpeg" else None)
    return f"data:image/{format};base64,{base64.b64encode(data).decode()}"
