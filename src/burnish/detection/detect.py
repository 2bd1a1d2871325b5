"""Detect: an exported Mask R-CNN on a photo, with ONNX Runtime and nothing else."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from burnish.detection import detector_file
from burnish.detection.card import INPUT, OUTPUTS, TRACE_OUTPUTS, Calibration, DetectorCard
from burnish.detection.instances import Instances
from burnish.detection.resize import fitted_size, resize
from burnish.errors import ModelError, UsageError
from burnish.runtime import session_cache as sessions
from burnish.runtime.onnx_runtime import create_inference_session
from burnish.types import Pixels

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


@dataclass(frozen=True, eq=False)
class DetectionTrace:
    """How a detector came to what it found, in the photo's pixels.

    Parameters
    ----------
    anchors : (A, 4), the places and shapes it begins with
    proposals : (P, 4), the best of them, refined once, the most likely first
    objectness : (P,), how likely each holds anything, 0 to 1
    proposal_indices : (N,), which proposal each instance was refined from
    """

    anchors: Pixels
    proposals: Pixels
    objectness: Pixels
    proposal_indices: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class MaskRCNN:
    """A detector, ready to look at photos.

    Parameters
    ----------
    device : where it runs: ``cpu`` or ``cuda:N``
    """

    card: DetectorCard
    device: str
    _session: "InferenceSession"

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
        sessions.check_options(device, threads, "onnxruntime")
        path = detector_file.find_detector(name_or_path)
        file = detector_file.read(path)
        session, resolved_device = create_inference_session(
            file.graph, str(name_or_path), device, threads
        )
        return cls(file.card, resolved_device, session)

    def predict(self, pixels: Pixels) -> Instances:
        """Find objects in a photo: (H, W, 3) float32, sRGB-encoded, in [0, 1].

        Raises
        ------
        UsageError : the pixels are of another shape
        ModelError : the engine stopped, or what came is no detector's answer
        """
        return self._predict(pixels, OUTPUTS)[0]

    def explain(self, pixels: Pixels) -> tuple[Instances, DetectionTrace]:
        """Find objects, and tell how; see `predict`."""
        instances, outputs, scale = self._predict(pixels, (*OUTPUTS, *TRACE_OUTPUTS))
        proposal_indices, anchors, proposals, objectness = (outputs[name] for name in TRACE_OUTPUTS)
        return instances, DetectionTrace(
            anchors * scale, proposals * scale, objectness, proposal_indices
        )

    def _predict(
        self, pixels: Pixels, output_names: tuple[str, ...]
    ) -> tuple[Instances, dict[str, Any], Pixels]:
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
            raise UsageError(
                "pixels",
                expected="H x W x 3",
                got=" x ".join(map(str, pixels.shape)),
                remedy="give an RGB picture",
            )
        size = pixels.shape[1], pixels.shape[0]
        resized = resize(pixels, fitted_size(size, self.card.min_size, self.card.max_size))
        outputs = self._run_session(
            np.ascontiguousarray(resized.transpose(2, 0, 1), np.float32), output_names
        )
        scale = np.array([size[0] / resized.shape[1], size[1] / resized.shape[0]] * 2, np.float32)
        labels = outputs["labels"]
        instances = Instances(
            size,
            outputs["boxes"] * scale,
            tuple(self.card.classes[label] for label in labels),
            calibrate_scores(outputs["scores"], self.card.calibration),
            tuple(outputs["masks"].clip(0, 1)),
        )
        return instances, outputs, scale

    def _run_session(self, image: Pixels, output_names: tuple[str, ...]) -> dict[str, Any]:
        try:
            arrays = self._session.run(list(output_names), {INPUT: image})
        except Exception as error:  # ONNX Runtime's classes share no base of their own
            raise self._invalid_output(" ".join(str(error).split())[:200]) from error
        outputs: dict[str, Any] = dict(zip(output_names, arrays, strict=True))
        boxes, labels, scores, masks = (outputs[name] for name in OUTPUTS)
        count = len(labels)
        shapes_match = boxes.shape == (count, 4) and scores.shape == (count,) and masks.ndim == 3
        if not shapes_match or len(masks) != count or labels.ndim != 1:
            raise self._invalid_output(
                "boxes, labels, scores and masks that do not belong together"
            )
        if "proposal_indices" in outputs and not _is_consistent_trace(outputs, count):
            raise self._invalid_output("steps that do not belong together")
        if not all(np.isfinite(part).all() for part in (boxes, scores, masks)):
            raise self._invalid_output("numbers that are not finite")
        if count and not (labels.min() >= 0 and labels.max() < len(self.card.classes)):
            raise self._invalid_output("labels that its card has no names for")
        # The most certain first, whatever a stranger's file promises.
        order = np.argsort(-scores, kind="stable")
        return outputs | {
            name: outputs[name][order] for name in (*OUTPUTS, "proposal_indices") if name in outputs
        }

    def _invalid_output(self, problem: str) -> ModelError:
        return ModelError(
            self.card.name,
            expected="what a detector finds",
            got=problem,
            remedy="get or export the detector anew",
        )


def _is_consistent_trace(outputs: dict[str, Any], count: int) -> bool:
    """Tell whether the steps fit each other, and what was found."""
    proposal_indices, anchors, proposals, objectness = (outputs[name] for name in TRACE_OUTPUTS)
    shapes = anchors.shape[1:] == proposals.shape[1:] == (4,)
    counts = proposal_indices.shape == (count,) and objectness.shape == (len(proposals),)
    inside = counts and bool(((proposal_indices >= 0) & (proposal_indices < len(proposals))).all())
    return shapes and inside and all(np.isfinite(part).all() for part in (anchors, proposals))


def calibrate_scores(scores: Pixels, calibration: Calibration) -> Pixels:
    """Return how likely detections of these raw scores are right.

    Examples
    --------
    >>> calibrate_scores(np.array([0.5, 0.9], np.float32), Calibration(slope=2, offset=0)).round(3)
    array([0.5  , 0.988], dtype=float32)
    """
    clipped = scores.astype(np.float64).clip(1e-6, 1 - 1e-6)
    logits = np.log(clipped / (1 - clipped))
    result: Pixels = (1 / (1 + np.exp(-calibration.slope * logits - calibration.offset))).astype(
        np.float32
    )
    return result
