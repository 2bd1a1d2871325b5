"""Detect: an exported Mask R-CNN on a photo, with ONNX Runtime and nothing else."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from burnish.detection import detector_file
from burnish.detection.card import INPUT, OUTPUTS, STEPS, Calibration, DetectorCard
from burnish.detection.instances import Instances
from burnish.detection.resize import fit, fitting_size
from burnish.errors import ModelError, UsageError
from burnish.runtime import session_cache as sessions
from burnish.runtime.onnx_runtime import begin
from burnish.types import Pixels

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


@dataclass(frozen=True, eq=False)
class Steps:
    """How a detector came to what it found, in the photo's pixels.

    Parameters
    ----------
    anchors : (A, 4), the places and shapes it begins with
    proposals : (P, 4), the best of them, refined once, the most likely first
    objectness : (P,), how likely each holds anything, 0 to 1
    chosen : (N,), which proposal each instance was refined from
    """

    anchors: Pixels
    proposals: Pixels
    objectness: Pixels
    chosen: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class MaskRCNN:
    """A detector, ready to look at photos.

    Parameters
    ----------
    device : where it runs: ``cpu`` or ``cuda:N``
    """

    card: DetectorCard
    device: str
    _engine: "InferenceSession"

    @classmethod
    def open(
        cls,
        name_or_path: str | Path = detector_file.DEFAULT,
        *,
        device: str = "auto",
        threads: int | None = None,
    ) -> Self:
        """Open a detector: one that ships, by name, or a file.

        Parameters
        ----------
        device : "auto" (CUDA where it can be had, else the CPU), "cpu", "cuda" or "cuda:N"
        threads : how many CPU threads work on a photo; None leaves it to the engine

        Raises
        ------
        ModelError : there is no such detector, or the file is none that burnish runs
        UsageError : `device` or `threads` is nothing of the above
        DeviceError : the device cannot be had
        """
        sessions.check(device, threads, "onnxruntime")
        path = detector_file.find(name_or_path)
        file = detector_file.read(path)
        engine, where = begin(file.graph, str(name_or_path), device, threads)
        return cls(file.card, where, engine)

    def predict(self, pixels: Pixels) -> Instances:
        """Find objects in a photo: (H, W, 3) float32, sRGB-encoded, in [0, 1].

        Raises
        ------
        UsageError : the pixels are of another shape
        ModelError : the engine stopped, or what came is no detector's answer
        """
        return self._look(pixels, OUTPUTS)[0]

    def explain(self, pixels: Pixels) -> tuple[Instances, Steps]:
        """Find objects, and tell how; see `predict`."""
        found, raw, scale = self._look(pixels, (*OUTPUTS, *STEPS))
        chosen, anchors, proposals, objectness = (raw[name] for name in STEPS)
        return found, Steps(anchors * scale, proposals * scale, objectness, chosen)

    def _look(
        self, pixels: Pixels, wanted: tuple[str, ...]
    ) -> tuple[Instances, dict[str, Any], Pixels]:
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
            raise UsageError(
                "pixels",
                expected="H x W x 3",
                got=" x ".join(map(str, pixels.shape)),
                remedy="give an RGB picture",
            )
        size = pixels.shape[1], pixels.shape[0]
        small = fit(pixels, fitting_size(size, self.card.shorter, self.card.longer))
        raw = self._run(np.ascontiguousarray(small.transpose(2, 0, 1), np.float32), wanted)
        scale = np.array([size[0] / small.shape[1], size[1] / small.shape[0]] * 2, np.float32)
        labels = raw["labels"]
        found = Instances(
            size,
            raw["boxes"] * scale,
            tuple(self.card.classes[label] for label in labels),
            calibrated(raw["scores"], self.card.calibration),
            tuple(raw["masks"].clip(0, 1)),
        )
        return found, raw, scale

    def _run(self, image: Pixels, wanted: tuple[str, ...]) -> dict[str, Any]:
        try:
            results = self._engine.run(list(wanted), {INPUT: image})
        except Exception as error:  # ONNX Runtime's classes share no base of their own
            raise self._failed(" ".join(str(error).split())[:200]) from error
        raw: dict[str, Any] = dict(zip(wanted, results, strict=True))
        boxes, labels, scores, masks = (raw[name] for name in OUTPUTS)
        count = len(labels)
        fits = boxes.shape == (count, 4) and scores.shape == (count,) and masks.ndim == 3
        if not fits or len(masks) != count or labels.ndim != 1:
            raise self._failed("boxes, labels, scores and masks that do not belong together")
        if "chosen" in raw and not _belong(raw, count):
            raise self._failed("steps that do not belong together")
        if not all(np.isfinite(part).all() for part in (boxes, scores, masks)):
            raise self._failed("numbers that are not finite")
        if count and not (labels.min() >= 0 and labels.max() < len(self.card.classes)):
            raise self._failed("labels that its card has no names for")
        # The most certain first, whatever a stranger's file promises.
        order = np.argsort(-scores, kind="stable")
        return raw | {name: raw[name][order] for name in (*OUTPUTS, "chosen") if name in raw}

    def _failed(self, got: str) -> ModelError:
        return ModelError(
            self.card.name,
            expected="what a detector finds",
            got=got,
            remedy="get or export the detector anew",
        )


def _belong(raw: dict[str, Any], count: int) -> bool:
    """Tell whether the steps fit each other, and what was found."""
    chosen, anchors, proposals, objectness = (raw[name] for name in STEPS)
    shapes = anchors.shape[1:] == proposals.shape[1:] == (4,)
    counts = chosen.shape == (count,) and objectness.shape == (len(proposals),)
    inside = counts and bool(((chosen >= 0) & (chosen < len(proposals))).all())
    return shapes and inside and all(np.isfinite(part).all() for part in (anchors, proposals))


def calibrated(scores: Pixels, by: Calibration) -> Pixels:
    """Return how likely detections of these raw scores are right.

    Examples
    --------
    >>> calibrated(np.array([0.5, 0.9], np.float32), Calibration(slope=2, offset=0)).round(3)
    array([0.5  , 0.988], dtype=float32)
    """
    inside = scores.astype(np.float64).clip(1e-6, 1 - 1e-6)
    logits = np.log(inside / (1 - inside))
    result: Pixels = (1 / (1 + np.exp(-by.slope * logits - by.offset))).astype(np.float32)
    return result
