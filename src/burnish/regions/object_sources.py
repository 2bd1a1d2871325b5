"""Sources of the objects of a region, opened by name."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from burnish.detection import detector_file
from burnish.detection.detect import MaskRCNN
from burnish.detection.instances import Detector, Instances
from burnish.detection.objects_file import ObjectsFile
from burnish.errors import ModelError, warn
from burnish.files import digest
from burnish.regions.options import RegionOptions
from burnish.types import Pixels

if TYPE_CHECKING:
    from burnish.regions.region import ObjectSource


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
    sha256: str | None
    device: str
    detector: Detector = field(repr=False)

    def find(self, pixels: Pixels, source: Path | None = None) -> Instances:
        """Return the objects of an image."""
        return self.detector.predict(pixels)


def open_object_source(
    options: RegionOptions, *, device: str = "auto", threads: int | None = None
) -> "ObjectSource":
    """Open the objects file or the detector that region options name.

    Raises
    ------
    UsageError : the file of objects cannot be read
    ModelError, DeviceError : the detector or the device is not available
    """
    if options.objects is not None:
        return ObjectsFile.open(options.objects)
    name = detector_file.DEFAULT if options.detector is None else options.detector
    return open_detector(name, device=device, threads=threads)


def open_detector(
    name_or_path: str | Path = detector_file.DEFAULT,
    *,
    device: str = "auto",
    threads: int | None = None,
) -> DetectorSource:
    """Open a bundled detector by name, or a detector file.

    Raises
    ------
    ModelError, UsageError, DeviceError : see `burnish.detection.detect.MaskRCNN.open`
    """
    detector = MaskRCNN.open(name_or_path, device=device, threads=threads)
    sha256 = digest(detector_file.find_detector(name_or_path))
    card = detector.card
    return DetectorSource(card.name, card.classes, sha256, detector.device, detector)


def bundled_detector(name: str, sha256: str | None) -> DetectorSource:
    """Open the detector that an edited photo names, which is never opened as a path.

    Raises
    ------
    ModelError : no bundled detector has that name

    Warns
    -----
    UserWarning : the bundled detector is another version
    """
    bundled = {file.stem: file for file in sorted(detector_file.BUNDLED.glob("*.onnx"))}
    for stem, file in bundled.items():
        if digest(file) == sha256:
            return open_detector(stem)
    if name in bundled:
        warn(
            f"the photo was edited with another version of the detector {name}, which may have "
            "found other objects"
        )
        return open_detector(name)
    raise ModelError(
        name.replace("\n", " ")[:80],
        "no bundled detector has this name",
        "name its file with --detector",
    )
