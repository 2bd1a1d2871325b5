"""Explain: one page that shows how a detector came to what it found, step by step."""

import base64
from html import escape
from pathlib import Path

import numpy as np

from burnish.detection.card import DetectorCard
from burnish.detection.detect import DetectionTrace, MaskRCNN
from burnish.detection.instances import Instances
from burnish.detection.resize import fitted_size, resize
from burnish.files import atomic_write
from burnish.photo import Photo
from burnish.types import Pixels

# What is shown of each step, at most.
MAX_PROPOSALS = 60
MAX_INSTANCES = 12
# The photo on the page is no larger, px.
_MAX_IMAGE_SIDE = 960
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


def write_explanation(
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
    instances, trace = detector.explain(pixels)
    indices = np.flatnonzero(instances.scores >= threshold)[:MAX_INSTANCES]
    text = render_page(
        photo.name, pixels, instances, trace, indices.tolist(), detector.card, threshold
    )
    with atomic_write(output, overwrite=overwrite) as file:
        file.write(text.encode())
    return output


def render_page(
    name: str,
    pixels: Pixels,
    instances: Instances,
    trace: DetectionTrace,
    indices: list[int],
    card: DetectorCard,
    threshold: float,
) -> str:
    """Return the page's HTML.

    Parameters
    ----------
    indices : which of the instances
    """
    height, width = pixels.shape[:2]
    size = fitted_size((width, height), min(width, height), _MAX_IMAGE_SIDE)
    resized = resize(pixels, size)
    image_uri = _data_uri(resized, "jpeg")
    frame = _SvgImage(width, height, image_uri)
    colours = {index: _COLOURS[place % len(_COLOURS)] for place, index in enumerate(indices)}
    network_size = " x ".join(map(str, fitted_size((width, height), card.min_size, card.max_size)))
    sections = [
        f"<h1>{escape(name)}</h1>",
        f"<p>Looked at by <b>{escape(card.name)}</b>, {escape(card.title)}: at {network_size} px. "
        f"{len(instances)} found, {len(indices)} shown: those with a score of {threshold:g} or more, "
        f"{MAX_INSTANCES} at most.</p>",
        *_box_sections(frame, instances, trace, colours),
        "<h2>4. Masks, as they come</h2>",
        "<p>One small mask for each box; white belongs to the object.</p>",
        '<div class="masks">',
        *(_mask_figure(instances, index, colour) for index, colour in colours.items()),
        "</div>",
        "<h2>5. Masks, pasted</h2>",
        "<p>Each stretched over its box, and cut at a half.</p>",
        frame.render([], _data_uri(_overlay_masks(resized, instances, colours), "jpeg")),
    ]
    body = "\n".join(sections)
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f"<title>{escape(name)}: what was found</title>\n<style>{_STYLE}</style>\n{body}\n</html>\n"
    )


def _box_sections(
    frame: "_SvgImage", instances: Instances, trace: DetectionTrace, colours: dict[int, str]
) -> list[str]:
    """Show anchors, proposals, and what became of them; `colours` says of which instances."""
    source_proposals = trace.proposals[trace.proposal_indices]
    likeliest = zip(trace.proposals[:MAX_PROPOSALS], trace.objectness[:MAX_PROPOSALS], strict=True)
    return [
        "<h2>1. Anchors</h2>",
        f"<p>{len(trace.anchors):,} boxes of a few sizes and shapes lie all over the photo. Here: "
        "those around its middle, and in colour the nearest to each proposal that led to something."
        "</p>",
        frame.render(
            [
                _svg_rect(b, "#fff", 0.5)
                for b in _central_anchors(trace.anchors, frame.width, frame.height)
            ]
            + [
                _svg_rect(_best_anchor(trace.anchors, source_proposals[i]), c, 1)
                for i, c in colours.items()
            ]
        ),
        "<h2>2. Proposals</h2>",
        f"<p>{len(trace.proposals)} of them, moved once, may hold something. Here the "
        f"{min(MAX_PROPOSALS, len(trace.proposals))} most likely; the clearer, the likelier.</p>",
        frame.render([_svg_rect(box, "#fd0", max(0.08, float(share))) for box, share in likeliest]),
        "<h2>3. Boxes, before and after refinement</h2>",
        "<p>Dashed: the proposal. Full: the box that the second stage made of it.</p>",
        frame.render(
            [
                _svg_rect(source_proposals[i], colour, 1, dashed=True)
                for i, colour in colours.items()
            ]
            + [_svg_rect(instances.boxes[i], colour, 1) for i, colour in colours.items()]
            + [_svg_label(instances, i, colour, frame.width) for i, colour in colours.items()]
        ),
    ]


class _SvgImage:
    """A photo that boxes are drawn on, in its own pixels."""

    def __init__(self, width: int, height: int, image_uri: str) -> None:
        self.width, self.height, self.image_uri = width, height, image_uri

    def render(self, shapes: list[str], image_uri: str | None = None) -> str:
        return (
            f'<figure><svg viewBox="0 0 {self.width} {self.height}">'
            f'<image href="{image_uri or self.image_uri}" width="{self.width}" height="{self.height}"/>'
            f"{''.join(shapes)}</svg></figure>"
        )


def _svg_rect(box: Pixels, colour: str, opacity: float, *, dashed: bool = False) -> str:
    left, top, right, bottom = (float(side) for side in box)
    dash = ' stroke-dasharray="6 4"' if dashed else ""
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}"'
        f' fill="none" stroke="{colour}" stroke-opacity="{opacity:.2f}" stroke-width="2"'
        f' vector-effect="non-scaling-stroke"{dash}/>'
    )


def _svg_label(instances: Instances, index: int, colour: str, width: int) -> str:
    left, top = (float(side) for side in instances.boxes[index][:2])
    font_size = max(10, width // 45)
    return (
        f'<text x="{left + 3:.1f}" y="{max(font_size, top - 4):.1f}" font-size="{font_size}" fill="{colour}"'
        f' stroke="#fff" stroke-width="{font_size / 6:.1f}" paint-order="stroke">'
        f"{escape(instances.labels[index])} {instances.scores[index]:.2f}</text>"
    )


def _mask_figure(instances: Instances, index: int, colour: str) -> str:
    grey = np.repeat(instances.masks[index][..., None], 3, 2).astype(np.float32)
    rows, columns = instances.masks[index].shape
    return (
        f'<figure><img src="{_data_uri(grey, "png")}" style="border-color:{colour}" alt="mask">'
        f"<figcaption>{escape(instances.labels[index])} {instances.scores[index]:.2f}, {columns} x {rows}"
        "</figcaption></figure>"
    )


def _overlay_masks(resized: Pixels, instances: Instances, colours: dict[int, str]) -> Pixels:
    """Tint what belongs to each instance, in the page's size of the photo."""
    height, width = resized.shape[:2]
    scale = np.array([width / instances.size[0], height / instances.size[1]] * 2, np.float32)
    scaled = Instances(
        (width, height),
        instances.boxes * scale,
        instances.labels,
        instances.scores,
        instances.masks,
    )
    result = resized * 0.75
    for index, colour in colours.items():
        tint = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)], np.float32)
        inside = scaled.mask(index) >= 0.5
        result[inside] = 0.5 * resized[inside] + 0.5 * tint
    return result


def _best_anchor(anchors: Pixels, box: Pixels) -> Pixels:
    """Return the anchor that overlaps a box most."""
    low = np.maximum(anchors[:, :2], box[:2])
    high = np.minimum(anchors[:, 2:], box[2:])
    intersection = (high - low).clip(0).prod(1)
    union = (anchors[:, 2:] - anchors[:, :2]).prod(1) + (box[2:] - box[:2]).prod() - intersection
    nearest: Pixels = anchors[(intersection / union).argmax()]
    return nearest


def _central_anchors(anchors: Pixels, width: int, height: int) -> Pixels:
    """Return for each size and shape of anchor the one nearest to the middle of the photo."""
    sides = (anchors[:, 2:] - anchors[:, :2]).round(1)
    distance = np.abs((anchors[:, :2] + anchors[:, 2:]) / 2 - (width / 2, height / 2)).sum(1)
    order = distance.argsort(kind="stable")
    _, first = np.unique(sides[order], axis=0, return_index=True)
    central: Pixels = anchors[order[first]]
    return central


def _data_uri(pixels: Pixels, format: str) -> str:
    data = Photo(pixels).encode(format, quality=88 if format == "jpeg" else None)
    return f"data:image/{format};base64,{base64.b64encode(data).decode()}"
