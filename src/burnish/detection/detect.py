"""Run an exported Mask R-CNN on photos, with ONNX Runtime."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyvips
from numpy.typing import NDArray

from burnish.detection import detector_file
from burnish.detection.detector_file import (
    INPUT,
    OUTPUTS,
    TRACE_OUTPUTS,
    Calibration,
    DetectorCard,
)
from burnish.detection.instances import Instances
from burnish.errors import ModelError, UsageError
from burnish.modelfile.base_card import reject
from burnish.runtime import engines
from burnish.runtime.onnx_runtime import create_inference_session
from burnish.runtime.session import SessionCache
from burnish.types import Pixels

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

# The sessions of the last two detectors, each with its device.
_sessions: "SessionCache[tuple[InferenceSession, str]]" = SessionCache(2)


@dataclass(frozen=True, eq=False)
class DetectionTrace:
    """The intermediate values of a detection, in the photo's pixels.

    Parameters
    ----------
    anchors : (A, 4) float32, all anchor boxes: left, top, right, bottom
    proposals : (P, 4) float32, the proposals of the first stage, sorted by descending objectness
    objectness : (P,) float32, the probability that a proposal holds an object
    proposal_indices : (N,), the proposal from which each instance was refined
    """

    anchors: NDArray[np.float32]
    proposals: NDArray[np.float32]
    objectness: NDArray[np.float32]
    proposal_indices: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class MaskRCNN:
    """A detector that is ready to run.

    Parameters
    ----------
    sha256 : SHA-256 of its file
    device : the device it runs on, "cpu" or "cuda:N"
    """

    card: DetectorCard
    sha256: str
    device: str
    _find_session: "Callable[[], tuple[InferenceSession, str]]"

    @classmethod
    def open(
        cls,
        name_or_path: str | Path | None = None,
        *,
        device: str = "auto",
        threads: int | None = None,
    ) -> Self:
        """Open a detector with a name, or any detector, by path.

        Parameters
        ----------
        name_or_path : [default: "full" if it is downloaded, else the bundled "light"]
        device : "auto" (CUDA if it is available, otherwise the CPU), "cpu", "cuda" or "cuda:N"
        threads : number of CPU threads [default: chosen by ONNX Runtime]

        Raises
        ------
        ModelError : there is no such detector, or its file is not valid
        UsageError : `device` or `threads` is not valid
        DeviceError : the device is not available
        """
        engines.check_options(device, threads, "onnxruntime")
        if name_or_path is None:
            name_or_path = detector_file.default_name()
        card, graph = detector_file.read(name_or_path)
        options = str(name_or_path), device, threads
        key = (sha256(graph).hexdigest(), device, threads)
        _, used_device = _sessions.get(key, lambda: create_inference_session(graph, *options))

        def reopen() -> "tuple[InferenceSession, str]":
            _, graph = detector_file.read(name_or_path)
            if sha256(graph).hexdigest() != key[0]:
                raise ModelError(str(name_or_path), "the file has changed", "open it again")
            return create_inference_session(graph, *options)

        # The file is read again in a forked process, and after two other detectors.
        return cls(card, key[0], used_device, partial(_sessions.get, key, reopen))

    def predict(self, pixels: Pixels) -> Instances:
        """Find objects in a photo: (H, W, 3) float32, sRGB-encoded, in [0, 1].

        Raises
        ------
        UsageError : the pixels have another shape
        ModelError : the network failed, or its output is not valid
        """
        return self._predict(pixels, OUTPUTS)[0]

    def explain(self, pixels: Pixels) -> tuple[Instances, DetectionTrace]:
        """Find objects as `predict` does, and return the intermediate values too."""
        instances, outputs, scale = self._predict(pixels, (*OUTPUTS, *TRACE_OUTPUTS))
        trace = DetectionTrace(
            outputs["anchors"] * scale,
            outputs["proposals"] * scale,
            outputs["objectness"],
            outputs["proposal_indices"],
        )
        return instances, trace

    def _predict(
        self, pixels: Pixels, output_names: tuple[str, ...]
    ) -> tuple[Instances, dict[str, Any], NDArray[np.float32]]:
        """Return the instances, the raw outputs and the scale of their boxes."""
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
            shape = " x ".join(map(str, pixels.shape))
            raise UsageError("pixels", expected="H x W x 3", got=shape, remedy="give an RGB image")
        size = pixels.shape[1], pixels.shape[0]
        resized = resize(pixels, fitted_size(size, self.card.min_size, self.card.max_size))
        image = np.ascontiguousarray(resized.transpose(2, 0, 1), np.float32)
        outputs = self._run_session(image, output_names)
        scale = np.array([size[0] / resized.shape[1], size[1] / resized.shape[0]] * 2, np.float32)
        instances = Instances(
            size,
            outputs["boxes"] * scale,
            tuple(self.card.classes[label] for label in outputs["labels"]),
            calibrate_scores(outputs["scores"], self.card.calibration),
            tuple(outputs["masks"].clip(0, 1)),
        )
        return instances, outputs, scale

    def _run_session(
        self, image: NDArray[np.float32], output_names: tuple[str, ...]
    ) -> dict[str, Any]:
        """Run the network, check its outputs, and sort them by descending score."""
        try:
            session, _ = self._find_session()
            arrays = session.run(list(output_names), {INPUT: image})
        except Exception as error:  # ONNX Runtime's exceptions share no base class of their own
            reject(self.card.name, f"it failed: {' '.join(str(error).split())[:200]}", error)
        outputs: dict[str, Any] = dict(zip(output_names, arrays, strict=True))
        boxes, labels, scores, masks = (outputs[name] for name in OUTPUTS)
        count = len(labels)
        shapes_match = boxes.shape == (count, 4) and scores.shape == (count,) and masks.ndim == 3
        if not shapes_match or len(masks) != count or labels.ndim != 1:
            reject(self.card.name, "the shapes of its boxes, labels, scores and masks do not match")
        if "proposal_indices" in outputs and not _is_consistent_trace(outputs, count):
            reject(self.card.name, "its intermediate values are not consistent")
        if not all(np.isfinite(array).all() for array in (boxes, scores, masks)):
            reject(self.card.name, "its output is not finite")
        if count and not (labels.min() >= 0 and labels.max() < len(self.card.classes)):
            reject(self.card.name, "its output has labels for which its card has no name")
        order = np.argsort(-scores, kind="stable")
        per_instance = (name for name in (*OUTPUTS, "proposal_indices") if name in outputs)
        return outputs | {name: outputs[name][order] for name in per_instance}


def _is_consistent_trace(outputs: dict[str, Any], count: int) -> bool:
    proposal_indices, anchors, proposals, objectness = (outputs[name] for name in TRACE_OUTPUTS)
    return (
        anchors.shape[1:] == proposals.shape[1:] == (4,)
        and proposal_indices.shape == (count,)
        and objectness.shape == (len(proposals),)
        and bool(((proposal_indices >= 0) & (proposal_indices < len(proposals))).all())
        and all(np.isfinite(array).all() for array in (anchors, proposals))
    )


def calibrate_scores(scores: NDArray[np.float32], calibration: Calibration) -> NDArray[np.float32]:
    """Return the probability that detections of these raw scores are correct.

    Examples
    --------
    >>> calibrate_scores(np.array([0.5, 0.9], np.float32), Calibration(slope=2, offset=0)).round(3)
    array([0.5  , 0.988], dtype=float32)
    """
    clipped = scores.astype(np.float64).clip(1e-6, 1 - 1e-6)
    logits = np.log(clipped / (1 - clipped))
    odds_against: NDArray[np.float64] = np.exp(-calibration.slope * logits - calibration.offset)
    return (1 / (1 + odds_against)).astype(np.float32)


def fitted_size(size: tuple[int, int], min_size: int, max_size: int) -> tuple[int, int]:
    """Return the width and height, px, to resize a photo to.

    The shorter side becomes `min_size`, unless the longer side would then exceed `max_size`. Small
    photos are enlarged.

    Examples
    --------
    >>> fitted_size((640, 480), 320, 480), fitted_size((3000, 1000), 320, 480)
    ((427, 320), (480, 160))
    """
    scale = min(min_size / min(size), max_size / max(size))
    width, height = (max(1, round(length * scale)) for length in size)
    return width, height


def resize(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Resize an image to a width and height, px, with a linear filter that averages when shrinking.

    Shape: (H, W, C) -> (h, w, C), both float32 in [0, 1]

    Examples
    --------
    >>> resize(np.ones((8, 6, 3), np.float32), (3, 4)).shape
    (4, 3, 3)
    """
    height, width, bands = pixels.shape
    if (width, height) == size:
        return pixels
    contiguous = np.ascontiguousarray(pixels, np.float32)
    image = pyvips.Image.new_from_memory(contiguous.data, width, height, bands, "float")
    # `Operation.call` instead of methods: see `burnish.photo.header`.
    call = pyvips.Operation.call
    resized = call("resize", image, size[0] / width, vscale=size[1] / height, kernel="linear")
    # libvips rounds the size in its own way, so the last row or column may be missing.
    resized = call("crop", call("embed", resized, 0, 0, *size, extend="copy"), 0, 0, *size)
    output = np.frombuffer(resized.write_to_memory(), np.float32).reshape(size[1], size[0], bands)
    clipped: Pixels = output.clip(0, 1)
    return clipped
