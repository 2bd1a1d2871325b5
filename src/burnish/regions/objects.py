"""The objects of a region: their source, and their selection by class, score, area or place."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from burnish.detection import detector_file
from burnish.detection.detect import MaskRCNN
from burnish.detection.instances import MASK_THRESHOLD, Instances, mask_crop
from burnish.detection.objects_file import ObjectsFile
from burnish.errors import ModelError, PhotoError, UsageError, did_you_mean, warn
from burnish.files import digest
from burnish.photo.keywords import keyword_key
from burnish.regions.options import Box, Point, RegionOptions
from burnish.types import Pixels

# A detection with a lower score is noise, which messages do not mention.
_LEAST_SCORE = 0.05
# The class and the score of each object whose score is too low, by descending score.
Missed = tuple[tuple[str, float], ...]


@dataclass(frozen=True, eq=False)
class DetectorSource:
    """A detector as a source of objects.

    Parameters
    ----------
    name : name of the detector, never a path
    classes : class names that it knows
    sha256 : SHA-256 of its file
    device : the device it runs on, as text
    """

    name: str
    classes: tuple[str, ...]
    sha256: str
    device: str
    detector: MaskRCNN = field(repr=False)

    def find(self, pixels: Pixels, source: Path | None = None) -> Instances:
        """Return the objects of an image, (H, W, 3) float32."""
        return self.detector.predict(pixels)


ObjectSource = DetectorSource | ObjectsFile


def open_object_source(
    options: RegionOptions, *, device: str = "auto", threads: int | None = None
) -> ObjectSource:
    """Open the objects file or the detector that region options name.

    Raises
    ------
    UsageError : the objects file cannot be read
    ModelError, DeviceError : the detector or the device is not available
    """
    if options.objects is not None:
        return ObjectsFile.open(options.objects)
    return open_detector(options.detector, device=device, threads=threads)


def open_detector(
    name_or_path: str | Path | None, *, device: str = "auto", threads: int | None = None
) -> DetectorSource:
    """Open a detector by name, or a detector file; see `MaskRCNN.open`."""
    detector = MaskRCNN.open(name_or_path, device=device, threads=threads)
    card = detector.card
    return DetectorSource(card.name, card.classes, detector.sha256, detector.device, detector)


def recorded_detector(name: str, sha256: str | None) -> DetectorSource:
    """Open the detector that an edited photo names. The name is never used as a path.

    Raises
    ------
    ModelError : no bundled or downloaded detector has that name

    Warns
    -----
    UserWarning : the detector of that name is another version
    """
    files = detector_file.named_files()
    for file in files:
        if digest(file) == sha256:
            return open_detector(file)
    for file in files:
        if file.stem == name:
            warn(
                f"the photo was edited with another version of the detector {name}, which may have "
                "found other objects"
            )
            return open_detector(file)
    if name == detector_file.DOWNLOADED:
        detector_file.find(name)  # raises an error that names the command
    raise ModelError(
        name.replace("\n", " ")[:80],
        "no bundled detector has this name",
        "name its file with --detector",
    )


def check_classes(names: Iterable[str], available: Sequence[str]) -> None:
    """Check that a detector knows class names. Case does not matter, as for keywords.

    Raises
    ------
    UsageError : the detector does not know one of the names

    Examples
    --------
    >>> check_classes(["persom"], ["object", "person"])
    Traceback (most recent call last):
    burnish.errors.UsageError: persom: the detector does not know this class; did you mean person?
    """
    keys = set(map(keyword_key, available))
    for name in names:
        if keyword_key(name) in keys:
            continue
        names_text = ", ".join(available[:20]) + (", ..." if len(available) > 20 else "")
        raise UsageError(
            name or "''",
            "the detector does not know this class",
            did_you_mean(name, available, f"choose one of {names_text}"),
        )


def select_objects(
    options: RegionOptions, instances: Instances, source_name: str = "image"
) -> list[int]:
    """Return the indices of the selected objects, by descending score.

    Parameters
    ----------
    source_name : name of the image, for error messages

    Raises
    ------
    PhotoError : no object has a given number, or the other options leave it out; or a click is
        outside the image or on no object
    """
    for number in options.numbers:
        _check_number(options, instances, number, source_name)
    keys = set(map(keyword_key, options.classes))
    selected = [
        index
        for index in range(len(instances))
        if (not keys or keyword_key(instances.labels[index]) in keys)
        and float(instances.scores[index]) >= options.value("min_score")
        and (not options.numbers or index + 1 in options.numbers)
    ]
    low, high = options.value("min_area"), options.value("max_area")
    if low > 0 or high < 100 or options.box is not None or options.clicks:
        selected = _select_by_area(options, instances, selected, source_name)
    for number in options.numbers:
        if number - 1 not in selected and not options.clicks:
            raise PhotoError(
                source_name,
                f"the other options leave out object {number} ({instances.labels[number - 1]})",
                "leave them out, or choose another number",
            )
    return selected


def _check_number(
    options: RegionOptions, instances: Instances, number: int, source_name: str
) -> None:
    """Check that an object has a number, and a score that is high enough."""
    min_score = options.value("min_score")
    count = int(np.count_nonzero(instances.scores >= min_score))
    if 1 <= number <= count:
        return
    problem = f"there is no object {number} among {count} objects"
    remedy = "see `burnish regions list PHOTO -o numbered.png`"
    score = float(instances.scores[number - 1]) if 1 <= number <= len(instances) else 0
    if score >= _LEAST_SCORE:
        problem += f" with a score of at least {min_score:g}"
        remedy = f"{remedy}, or add --min-score {_rounded_down(score):g}"
    raise PhotoError(source_name, problem, remedy)


def _select_by_area(
    options: RegionOptions, instances: Instances, candidates: Sequence[int], source_name: str
) -> list[int]:
    """Return the candidates that the conditions on areas and places leave."""
    low, high = options.value("min_area"), options.value("max_area")
    areas = {index: mask_area(instances, index) for index in candidates}
    percent = 100 / (instances.size[0] * instances.size[1])
    selected = [index for index in candidates if low <= areas[index] * percent <= high]
    if options.box is not None:
        inside = {index: mask_area(instances, index, options.box) for index in selected}
        selected = [index for index in selected if 0 < areas[index] <= 2 * inside[index]]
    if not options.clicks:
        return selected
    clicked = set()
    for click in options.clicks:
        hits = _objects_at(instances, selected, click, source_name)
        # One object may lie on another.
        clicked.add(min(hits, key=lambda index: areas[index]))
    return sorted(clicked)


def find_missed(options: RegionOptions, instances: Instances) -> Missed:
    """Return the objects that only their scores leave out of a selection by class.

    Objects whose score is next to zero do not count.
    """
    pairs = zip(instances.labels, map(float, instances.scores), strict=True)
    min_score = options.value("min_score")
    keys = set(map(keyword_key, options.classes))
    return tuple(
        (label, score)
        for label, score in pairs
        if _LEAST_SCORE <= score < min_score and (not keys or keyword_key(label) in keys)
    )


def nothing_found(options: RegionOptions, missed: Missed = ()) -> str:
    """Return a clause that states which objects were not found, and which have too low a score.

    Examples
    --------
    >>> options = RegionOptions(only=("person",))
    >>> nothing_found(options)
    'no person found'
    >>> nothing_found(options, (("person", 0.248), ("person", 0.15)))
    'no person found with a score of at least 0.3, only person 0.24, person 0.15 (add --min-score \
0.24)'
    """
    noun = " or ".join(options.classes) or "object"
    if not missed:
        low, high = options.value("min_area"), options.value("max_area")
        is_narrowed = low > 0 or high < 100 or options.box is not None or options.mask is not None
        return f"no {noun} found" + (" that the other options leave" if is_narrowed else "")
    listed = [f"{label} {_rounded_down(score):.2f}" for label, score in missed[:3]]
    return (
        f"no {noun} found with a score of at least {options.value('min_score'):g}, only "
        f"{', '.join(listed)} (add --min-score {_rounded_down(missed[0][1]):g})"
    )


def _rounded_down(score: float) -> float:
    return math.floor(score * 100) / 100


def mask_area(instances: Instances, index: int, box: Box | None = None) -> int:
    """Count the pixels of an object, or only those with their centre in a box."""
    mask, left, top = mask_crop(instances, index)
    inside = mask >= MASK_THRESHOLD
    if box is not None:
        x = np.arange(inside.shape[1]) + left + 0.5
        y = np.arange(inside.shape[0]) + top + 0.5
        inside = inside[(y > box[1]) & (y < box[3])][:, (x > box[0]) & (x < box[2])]
    return int(np.count_nonzero(inside))


def _objects_at(
    instances: Instances, candidates: Sequence[int], click: Point, source_name: str
) -> list[int]:
    x, y = (int(np.floor(value)) for value in click)
    point = f"{click[0]:g},{click[1]:g}"
    width, height = instances.size
    if not (0 <= x < width and 0 <= y < height):
        raise PhotoError(
            source_name,
            f"the click {point} lies outside the {width} x {height} pixels",
            "count pixels from the upper left corner",
        )
    pixel = x, y, x + 1, y + 1
    hits = [index for index in candidates if mask_area(instances, index, pixel)]
    if not hits:
        raise PhotoError(
            source_name,
            f"none of {len(candidates)} objects lies at the click {point}",
            "see `burnish regions list PHOTO -o numbered.png`, or lower --min-score",
        )
    return hits
