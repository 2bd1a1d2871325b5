"""A detector's backbone and pyramid in 8-bit integers. Its heads stay in float32.

The quantiser of ONNX Runtime measures the ranges of the features on photos, and inserts the nodes
that round kernels and features. The file needs no other option to run.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from burnish.compression.latency import cpu_seconds
from burnish.compression.request import RECORD
from burnish.compression.steps import MIN_GAIN
from burnish.detection import detector_file
from burnish.detection.coco import CocoDataset
from burnish.detection.detect import MaskRCNN, fitted_size, resize
from burnish.detection.detector_file import INPUT, CocoMetrics, DetectorCard
from burnish.detection.training.evaluate import evaluate_detector
from burnish.errors import BurnishError, OutputError, UsageError
from burnish.files import atomic_write, check_absent
from burnish.modelfile.onnx_file import downcast_weights, embed_card
from burnish.photo import Photo
from burnish.progress import SILENT, Progress
from burnish.runtime.onnx_runtime import fold_constants
from burnish.training.pairs import find_photos

# Photos that the ranges are measured on, and those that the detector is timed on.
MIN_PHOTOS, MAX_PHOTOS = 8, 32
TIMED_PHOTOS = 4
ROUNDS = 4
# The operators that run on integers.
_OPS = ("Add", "Clip", "Conv", "MaxPool", "Relu", "Resize")


@dataclass(frozen=True)
class Figures:
    """Measurements of a detector.

    Attributes
    ----------
    milliseconds : CPU time for a photo, on one thread
    megabytes : size of the file
    metrics : on each data set
    """

    milliseconds: float
    megabytes: float
    metrics: tuple[CocoMetrics, ...]


def quantise(
    detector: str | Path,
    photos: Path,
    output: Path,
    datasets: Sequence[CocoDataset] = (),
    *,
    overwrite: bool = False,
    progress: Progress = SILENT,
) -> tuple[Figures, Figures]:
    """Write a detector whose backbone and pyramid compute in 8-bit integers.

    Parameters
    ----------
    detector : a name, or a file
    photos : folder of photos that the ranges of the features are measured on
    datasets : annotated photos that the detector is evaluated on, before and after

    Returns
    -------
    The measurements before and after

    Raises
    ------
    UsageError : there are too few photos, or the detector is compressed already
    OutputError : the output exists and `overwrite` is not set, or it cannot be written
    BurnishError : the detector does not become faster on this machine; nothing is written
    """
    if output.suffix.lower() != ".onnx":
        raise OutputError(str(output), "the name does not end with .onnx", "rename it")
    check_absent(output, overwrite=overwrite)
    card, data = detector_file.read(detector)
    if RECORD in card.training:
        remedy = "give the detector that it was made from"
        raise UsageError(str(detector), "this detector is compressed already", remedy)
    paths = find_photos(photos)
    if len(paths) < MIN_PHOTOS:
        problem = f"{len(paths)} photos are too few to measure the ranges of features"
        raise UsageError(f"--photos {photos}", problem, f"give at least {MIN_PHOTOS}")
    paths = paths[:: -(-len(paths) // MAX_PHOTOS)]
    model = quantise_backbone(onnx.load_model_from_string(data), card, paths, progress)
    with TemporaryDirectory(prefix="burnish-") as folder:
        draft = Path(folder, output.name)
        draft.write_bytes(embed_card(model, card))
        before, after = _compare(detector, draft, paths, datasets, progress)
    if before.milliseconds < MIN_GAIN * after.milliseconds:
        raise BurnishError(
            str(detector),
            f"integers take {after.milliseconds:.0f} ms a photo on this machine, float32 "
            f"{before.milliseconds:.0f} ms",
            "keep the detector as it is; nothing was written",
        )
    record = {"precision": "int8", "photos": len(paths), "milliseconds": after.milliseconds}
    record |= {"milliseconds_before": before.milliseconds}
    changes = {"training": {**card.training, RECORD: record}, "metrics": after.metrics}
    file = embed_card(model, DetectorCard.build(**card.model_dump() | changes))
    detector_file.check(file, output.name)
    with atomic_write(output, overwrite=overwrite) as target:
        target.write(file)
    return before, after


def quantise_backbone(
    model: ModelProto, card: DetectorCard, photos: Sequence[Path], progress: Progress = SILENT
) -> ModelProto:
    """Return a detector's graph that rounds kernels and features of its backbone and pyramid.

    Parameters
    ----------
    photos : that the ranges are measured on
    """
    folded = fold_constants(model)
    add_pre_process_metadata(folded)  # else the quantiser recommends to fold it
    progress.start("measuring the ranges of features", len(photos))
    with TemporaryDirectory(prefix="burnish-") as folder:
        source, target = Path(folder, "float32.onnx"), Path(folder, "int8.onnx")
        onnx.save(folded, source)
        quantize_static(
            source,
            target,
            _Photos(photos, card, progress),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(_OPS),
            nodes_to_quantize=[n.name for n in backbone_nodes(folded) if n.op_type in _OPS],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        quantised = onnx.load(target)
    (version,) = (entry.version for entry in quantised.opset_import if not entry.domain)
    del quantised.opset_import[:]
    quantised.opset_import.append(helper.make_opsetid("", version))
    downcast_weights(quantised)
    return quantised


def backbone_nodes(model: ModelProto) -> list[onnx.NodeProto]:
    """Return the nodes that compute the features that objects are found in, in order."""
    producers = {name: node for node in model.graph.node for name in node.output}
    names = [node.input[0] for node in model.graph.node if node.op_type == "RoiAlign"]
    found: set[str] = set()
    while names:
        name = names.pop()
        if name in producers and name not in found:
            found.update(producers[name].output)
            names += producers[name].input
    return [node for node in model.graph.node if node.output[0] in found]


class _Photos(CalibrationDataReader):
    """Gives photos to the quantiser, one after the other."""

    def __init__(self, paths: Sequence[Path], card: DetectorCard, progress: Progress) -> None:
        self._images = _images(paths, card, progress)

    def get_next(self) -> dict[str, Any] | None:
        return next(self._images, None)


def _images(
    paths: Sequence[Path], card: DetectorCard, progress: Progress
) -> Iterator[dict[str, Any]]:
    for path in paths:
        pixels = Photo.open(path).pixels
        size = fitted_size((pixels.shape[1], pixels.shape[0]), card.min_size, card.max_size)
        image = resize(pixels, size).transpose(2, 0, 1)
        yield {INPUT: np.ascontiguousarray(image, np.float32)}
        progress.advance()


def _compare(
    before: str | Path,
    after: Path,
    paths: Sequence[Path],
    datasets: Sequence[CocoDataset],
    progress: Progress,
) -> tuple[Figures, Figures]:
    """Measure two detectors, the times in turns."""
    files = [detector_file.find(before), after]
    models = [MaskRCNN.open(file, device="cpu", threads=1) for file in files]
    images = [Photo.open(path).pixels for path in paths[:TIMED_PHOTOS]]
    progress.start("measuring the time")
    seconds = [
        cpu_seconds([partial(model.predict, pixels) for model in models], ROUNDS)
        for pixels in images
    ]
    own, other = (
        Figures(
            milliseconds=round(1e3 * float(np.mean(times)), 1),
            megabytes=file.stat().st_size / 1e6,
            metrics=tuple(evaluate_detector(model, dataset, progress) for dataset in datasets),
        )
        for times, file, model in zip(zip(*seconds, strict=True), files, models, strict=True)
    )
    return own, other
