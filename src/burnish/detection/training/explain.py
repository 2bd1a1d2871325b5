"""An HTML page that shows how a detector reached its detections."""

import base64
from dataclasses import replace
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from burnish.detection.card import DetectorCard
from burnish.detection.detect import DetectionTrace, MaskRCNN
from burnish.detection.instances import MASK_THRESHOLD, Instances
from burnish.detection.resize import fitted_size, resize
from burnish.files import atomic_write
from burnish.photo import Photo
from burnish.types import Pixels

Boxes = NDArray[np.float32]

MAX_PROPOSALS = 60
MAX_INSTANCES = 12
# Longer side of the photo on the page, px.
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
    """Run a detector on a photo and write a self-contained page about it; return its path.

    Parameters
    ----------
    threshold : minimum score of the objects on the page

    Raises
    ------
    PhotoError : the photo cannot be read
    OutputError : the page exists and `overwrite` is not set, or cannot be written
    """
    pixels = Photo.open(photo).pixels
    instances, trace = detector.explain(pixels)
    indices = np.flatnonzero(instances.scores >= threshold)[:MAX_INSTANCES].tolist()
    html = render_page(photo.name, pixels, instances, trace, indices, detector.card, threshold)
    with atomic_write(output, overwrite=overwrite) as file:
        file.write(html.encode())
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
    name : the photo's name
    indices : the instances on the page
    threshold : see `write_explanation`
    """
    height, width = pixels.shape[:2]
    resized = resize(pixels, fitted_size((width, height), min(width, height), _MAX_IMAGE_SIDE))
    image = _SvgImage(width, height, _data_uri(resized, "jpeg"))
    colours = {index: _COLOURS[n % len(_COLOURS)] for n, index in enumerate(indices)}
    network_size = fitted_size((width, height), card.min_size, card.max_size)
    sections = [
        f"<h1>{escape(name)}</h1>",
        f"<p>Detector: <b>{escape(card.name)}</b>, {escape(card.title)}. It works on the photo at "
        f"{network_size[0]} x {network_size[1]} px. It found {len(instances)} objects. Shown are "
        f"{len(indices)}: those with a score of {threshold:g} or more, at most {MAX_INSTANCES}."
        "</p>",
        *_box_sections(image, instances, trace, colours),
        "<h2>4. Masks</h2>",
        "<p>The network's mask for each box. White belongs to the object.</p>",
        '<div class="masks">',
        *(_mask_figure(instances, index, colour) for index, colour in colours.items()),
        "</div>",
        "<h2>5. Masks at full resolution</h2>",
        f"<p>Each mask is stretched over its box and thresholded at {MASK_THRESHOLD:g}.</p>",
        image.render([], _data_uri(_overlay_masks(resized, instances, colours), "jpeg")),
    ]
    body = "\n".join(sections)
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f"<title>{escape(name)}: detected objects</title>\n<style>{_STYLE}</style>\n{body}\n"
        "</html>\n"
    )


def _box_sections(
    image: "_SvgImage", instances: Instances, trace: DetectionTrace, colours: dict[int, str]
) -> list[str]:
    """Return the sections on anchors, proposals and boxes.

    Parameters
    ----------
    colours : the indices of the instances on the page, with their colours
    """
    sources = trace.proposals[trace.proposal_indices]
    likeliest = zip(trace.proposals[:MAX_PROPOSALS], trace.objectness[:MAX_PROPOSALS], strict=True)
    return [
        "<h2>1. Anchors</h2>",
        f"<p>{len(trace.anchors):,} boxes of a few sizes and shapes cover the photo. Shown are the "
        "ones at its centre and, in colour, the one nearest to the proposal of each object.</p>",
        image.render(
            [_svg_rect(b, "#fff", 0.5) for b in _central_anchors(trace, image.width, image.height)]
            + [_svg_rect(_best_anchor(trace, sources[i]), c, 1) for i, c in colours.items()]
        ),
        "<h2>2. Proposals</h2>",
        f"<p>{len(trace.proposals)} anchors, moved and resized, may hold an object. Shown are the "
        f"{min(MAX_PROPOSALS, len(trace.proposals))} most likely; likelier ones are more opaque."
        "</p>",
        image.render([_svg_rect(box, "#fd0", max(0.08, float(p))) for box, p in likeliest]),
        "<h2>3. Boxes</h2>",
        "<p>Dashed: the proposal. Solid: the box that the second stage refined from it.</p>",
        image.render(
            [_svg_rect(sources[i], colour, 1, dashed=True) for i, colour in colours.items()]
            + [_svg_rect(instances.boxes[i], colour, 1) for i, colour in colours.items()]
            + [_svg_label(instances, i, colour, image.width) for i, colour in colours.items()]
        ),
    ]


class _SvgImage:
    """A photo as the background of SVG shapes, whose coordinates are its pixels."""

    def __init__(self, width: int, height: int, uri: str) -> None:
        self.width, self.height, self.uri = width, height, uri

    def render(self, shapes: list[str], uri: str | None = None) -> str:
        """Return a figure with the photo, or with another image in its place."""
        size = f'width="{self.width}" height="{self.height}"'
        return (
            f'<figure><svg viewBox="0 0 {self.width} {self.height}">'
            f'<image href="{uri or self.uri}" {size}/>{"".join(shapes)}</svg></figure>'
        )


def _svg_rect(box: Boxes, colour: str, opacity: float, *, dashed: bool = False) -> str:
    left, top, right, bottom = (float(edge) for edge in box)
    dash = ' stroke-dasharray="6 4"' if dashed else ""
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}"'
        f' fill="none" stroke="{colour}" stroke-opacity="{opacity:.2f}" stroke-width="2"'
        f' vector-effect="non-scaling-stroke"{dash}/>'
    )


def _svg_label(instances: Instances, index: int, colour: str, width: int) -> str:
    left, top = (float(edge) for edge in instances.boxes[index][:2])
    size = max(10, width // 45)
    return (
        f'<text x="{left + 3:.1f}" y="{max(size, top - 4):.1f}" font-size="{size}" fill="{colour}"'
        f' stroke="#fff" stroke-width="{size / 6:.1f}" paint-order="stroke">'
        f"{_label(instances, index)}</text>"
    )


def _mask_figure(instances: Instances, index: int, colour: str) -> str:
    grey = np.repeat(instances.masks[index][..., None], 3, 2).astype(np.float32)
    rows, columns = instances.masks[index].shape
    return (
        f'<figure><img src="{_data_uri(grey, "png")}" style="border-color:{colour}" alt="mask">'
        f"<figcaption>{_label(instances, index)}, {columns} x {rows}</figcaption></figure>"
    )


def _label(instances: Instances, index: int) -> str:
    return f"{escape(instances.labels[index])} {instances.scores[index]:.2f}"


def _overlay_masks(resized: Pixels, instances: Instances, colours: dict[int, str]) -> Pixels:
    """Return the photo, darkened, with the masks in colour."""
    height, width = resized.shape[:2]
    scale = np.array([width / instances.size[0], height / instances.size[1]] * 2, np.float32)
    scaled = replace(instances, size=(width, height), boxes=instances.boxes * scale)
    overlay = resized * 0.75
    for index, colour in colours.items():
        rgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)], np.float32)
        inside = scaled.mask(index) >= MASK_THRESHOLD
        overlay[inside] = 0.5 * resized[inside] + 0.5 * rgb
    return overlay


def _best_anchor(trace: DetectionTrace, box: Boxes) -> Boxes:
    """Return the anchor with the highest intersection over union with a box."""
    anchors = trace.anchors
    low = np.maximum(anchors[:, :2], box[:2])
    high = np.minimum(anchors[:, 2:], box[2:])
    intersection = (high - low).clip(0).prod(1)
    union = (anchors[:, 2:] - anchors[:, :2]).prod(1) + (box[2:] - box[:2]).prod() - intersection
    best: Boxes = anchors[(intersection / union).argmax()]
    return best


def _central_anchors(trace: DetectionTrace, width: int, height: int) -> Boxes:
    """Return the anchor of each size and shape that is nearest to the centre of the photo."""
    anchors = trace.anchors
    sizes = (anchors[:, 2:] - anchors[:, :2]).round(1)
    distance = np.abs((anchors[:, :2] + anchors[:, 2:]) / 2 - (width / 2, height / 2)).sum(1)
    order = distance.argsort(kind="stable")
    _, first = np.unique(sizes[order], axis=0, return_index=True)
    central: Boxes = anchors[order[first]]
    return central


def _data_uri(pixels: Pixels, format: str) -> str:
    data = Photo(pixels).encode(format, quality=88 if format == "jpeg" else None)
    return f"data:image/{format};base64,{base64.b64encode(data).decode()}"
