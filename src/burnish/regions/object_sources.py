"""Finders: what finds the objects of a picture, opened by name."""

from dataclasses import dataclass, field
from pathlib import Path

from burnish.detection import detector_file
from burnish.detection.detect import MaskRCNN
from burnish.detection.instances import Detector, Instances
from burnish.errors import ModelError, warn
from burnish.files import digest
from burnish.types import Pixels


@dataclass(frozen=True, eq=False)
class DetectorSource:
    """A detector as a finder.

    Parameters
    ----------
    name : how it is called, which is never a path
    classes : what it knows
    sha256 : of its file
    device : what it runs on, in words
    """

    name: str
    classes: tuple[str, ...]
    sha256: str | None
    device: str
    detector: Detector = field(repr=False)

    def find(self, pixels: Pixels, source: Path | None = None) -> Instances:
        """Find objects in a picture."""
        return self.detector.predict(pixels)


def open_detector(
    name_or_path: str | Path = detector_file.DEFAULT,
    *,
    device: str = "auto",
    threads: int | None = None,
) -> DetectorSource:
    """Open a detector: one that ships, by name, or a file.

    Raises
    ------
    ModelError, UsageError, DeviceError : see `burnish.detection.detect.MaskRCNN.open`
    """
    opened = MaskRCNN.open(name_or_path, device=device, threads=threads)
    sha256 = digest(detector_file.find_detector(name_or_path))
    return DetectorSource(opened.card.name, opened.card.classes, sha256, opened.device, opened)


def bundled_detector(name: str, sha256: str | None) -> DetectorSource:
    """Open a detector that a photo names: it is looked up, never opened as a path.

    Raises
    ------
    ModelError : none of that name ships

    Warns
    -----
    UserWarning : it ships in another version
    """
    bundled = {found.stem: found for found in sorted(detector_file.BUNDLED.glob("*.onnx"))}
    for stem, file in bundled.items():
        if digest(file) == sha256:
            return open_detector(stem)
    if name in bundled:
        warn(
            f"the detector {name} is another version than the photo was made with; "
            "other objects may be found"
        )
        return open_detector(name)
    raise ModelError(
        name.replace("\n", " ")[:80],
        expected="a detector that comes with burnish",
        got="another",
        remedy="name its file with --detector",
    )
