"""An HTML page that shows how a detector reached its detections."""

import base64
from collections.abc import Callable
from dataclasses import replace
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from burnish.detection.detect import DetectionTrace, MaskRCNN, fitted_size, resize
from burnish.detection.detector_file import DetectorCard
from burnish.detection.instances import MASK_THRESHOLD, Instances
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
    html = render_page(photo.name, pixels, instances, trace, detector.card, threshold)
    with atomic_write(output, overwrite=overwrite) as file:
        file.write(html.encode())
    return output


def render_page(
    name: str,
    pixels: Pixels,
    instances: Instances,
    trace: DetectionTrace,
    card: DetectorCard,
    threshold: float,
) -> str:
    """Return the page's HTML.

    Parameters
    ----------
    name : the photo's name
    threshold : minimum score of the objects on the page
    """
    height, width = pixels.shape[:2]
    resized = resize(pixels, fitted_size((width, height), min(width, height), _MAX_IMAGE_SIDE))
    indices = np.flatnonzero(instances.scores >= threshold)[:MAX_INSTANCES].tolist()
    colours = {index: _COLOURS[n % len(_COLOURS)] for n, index in enumerate(indices)}
    network_size = fitted_size((width, height), card.min_size, card.max_size)
    photo_uri = _data_uri(resized, "jpeg")

    def figure(shapes: list[str], uri: str = photo_uri) -> str:
        """Return an image under SVG shapes, whose coordinates are the photo's pixels."""
        return (
            f'<figure><svg viewBox="0 0 {width} {height}">'
            f'<image href="{uri}" width="{width}" height="{height}"/>{"".join(shapes)}</svg>'
            "</figure>"
        )

    sections = [
        f"<h1>{escape(name)}</h1>",
        f"<p>Detector: <b>{escape(card.name)}</b>, {escape(card.title)}. It works on the photo at "
        f"{network_size[0]} x {network_size[1]} px. It found {len(instances)} objects. Shown are "
        f"{len(indices)}: those with a score of {threshold:g} or more, at most {MAX_INSTANCES}."
        "</p>",
        *_box_sections(figure, instances, trace, colours),
        "<h2>4. Masks</h2>",
        "<p>The network's mask for each box. White belongs to the object.</p>",
        '<div class="masks">',
        *(_mask_figure(instances, index, colour) for index, colour in colours.items()),
        "</div>",
        "<h2>5. Masks at full resolution</h2>",
        f"<p>Each mask is stretched over its box and thresholded at {MASK_THRESHOLD:g}.</p>",
        figure([], _data_uri(_overlay_masks(resized, instances, colours), "jpeg")),
    ]
    body = "\n".join(sections)
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f"<title>{escape(name)}: detected objects</title>\n<style>{_STYLE}</style>\n{body}\n"
        "</html>\n"
    )


def _box_sections(
    figure: Callable[[list[str]], str],
    instances: Instances,
    trace: DetectionTrace,
    colours: dict[int, str],
) -> list[str]:
    """Return the sections on anchors, proposals and boxes of the objects with a colour."""
    sources = trace.proposals[trace.proposal_indices]
    likeliest = zip(trace.proposals[:MAX_PROPOSALS], trace.objectness[:MAX_PROPOSALS], strict=True)
    return [
        "<h2>1. Anchors</h2>",
        f"<p>{len(trace.anchors):,} boxes of a few sizes and shapes cover the photo. Shown are the "
        "ones at its centre and, in colour, the one nearest to the proposal of each object.</p>",
        figure(
            [_svg_rect(box, "#fff", 0.5) for box in _central_anchors(trace, instances.size)]
            + [_svg_rect(_best_anchor(trace, sources[i]), c, 1) for i, c in colours.items()]
        ),
        "<h2>2. Proposals</h2>",
        f"<p>{len(trace.proposals)} anchors, moved and resized, may hold an object. Shown are the "
        f"{min(MAX_PROPOSALS, len(trace.proposals))} most likely; likelier ones are more opaque."
        "</p>",
        figure([_svg_rect(box, "#fd0", max(0.08, float(p))) for box, p in likeliest]),
        "<h2>3. Boxes</h2>",
        "<p>Dashed: the proposal. Solid: the box that the second stage refined from it.</p>",
        figure(
            [_svg_rect(sources[i], colour, 1, dashed=True) for i, colour in colours.items()]
            + [_svg_rect(instances.boxes[i], colour, 1) for i, colour in colours.items()]
            + [_svg_label(instances, i, colour) for i, colour in colours.items()]
        ),
    ]


def _svg_rect(box: Boxes, colour: str, opacity: float, *, dashed: bool = False) -> str:
    left, top, right, bottom = box.tolist()
    dash = ' stroke-dasharray="6 4"' if dashed else ""
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}"'
        f' fill="none" stroke="{colour}" stroke-opacity="{opacity:.2f}" stroke-width="2"'
        f' vector-effect="non-scaling-stroke"{dash}/>'
    )


def _svg_label(instances: Instances, index: int, colour: str) -> str:
    left, top = instances.boxes[index][:2].tolist()
    size = max(10, instances.size[0] // 45)
    return (
        f'<text x="{left + 3:.1f}" y="{max(size, top - 4):.1f}" font-size="{size}" fill="{colour}"'
        f' stroke="#fff" stroke-width="{size / 6:.1f}" paint-order="stroke">'
        f"{_label(instances, index)}</text>"
    )


def _mask_figure(instances: Instances, index: int, colour: str) -> str:
    mask = instances.masks[index]
    uri = _data_uri(np.repeat(mask[..., None], 3, 2).astype(np.float32), "png")
    return (
        f'<figure><img src="{uri}" style="border-color:{colour}" alt="mask">'
        f"<figcaption>{_label(instances, index)}, {mask.shape[1]} x {mask.shape[0]}</figcaption>"
        "</figure>"
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
        rgb = np.frombuffer(bytes.fromhex(colour[1:]), np.uint8) / np.float32(255)
        inside = scaled.mask(index) >= MASK_THRESHOLD
        overlay[inside] = 0.5 * resized[inside] + 0.5 * rgb
    return overlay


def _best_anchor(trace: DetectionTrace, box: Boxes) -> Boxes:
    """Return the anchor with the highest intersection over union with a box."""
    anchors = trace.anchors
    sizes = np.minimum(anchors[:, 2:], box[2:]) - np.maximum(anchors[:, :2], box[:2])
    intersection = sizes.clip(0).prod(1)
    union = (anchors[:, 2:] - anchors[:, :2]).prod(1) + (box[2:] - box[:2]).prod() - intersection
    best: Boxes = anchors[(intersection / union).argmax()]
    return best


def _central_anchors(trace: DetectionTrace, size: tuple[int, int]) -> Boxes:
    """Return the anchor of each size and shape that is nearest to the centre of the photo."""
    anchors = trace.anchors
    anchor_sizes = (anchors[:, 2:] - anchors[:, :2]).round(1)
    distance = np.abs(anchors[:, :2] + anchors[:, 2:] - size).sum(1)
    order = distance.argsort(kind="stable")
    _, first = np.unique(anchor_sizes[order], axis=0, return_index=True)
    central: Boxes = anchors[order[first]]
    return central


def _data_uri(pixels: Pixels, format: str) -> str:
    data = Photo(pixels).encode(format, quality=88 if format == "jpeg" else None)
    return f"data:image/{format};base64,{base64.b64encode(data).decode()}"
