"""Suggest keywords for photos, with a keyword model or with a detector. Needs no torch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from burnish.detection.detect import MaskRCNN, resize
from burnish.keywords import keyword_file
from burnish.keywords.keyword_file import INPUT
from burnish.modelfile.base_card import reject
from burnish.photo import Photo
from burnish.photo.keywords import keyword_key, read_texts
from burnish.runtime import engines
from burnish.runtime.onnx_runtime import create_inference_session
from burnish.types import Pixels


class Suggester(Protocol):
    """Gives a photo probabilities of labels."""

    @property
    def name(self) -> str:
        """The name of the model or detector."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """The keywords that it may suggest."""
        ...

    def probabilities(self, pixels: Pixels) -> dict[str, float]:
        """Return the probability of labels that are possible for a photo."""
        ...


class KeywordModel:
    """A learnt keyword model that is ready to run."""

    def __init__(self, path: Path, *, device: str = "auto", threads: int | None = None) -> None:
        """Open the file of a model.

        Raises
        ------
        ModelError : there is no such file, or it is not valid
        DeviceError : the device is not available
        """
        engines.check_options(device, threads, "onnxruntime")
        self.card, graph = keyword_file.read(path)
        self._session, self.device = create_inference_session(graph, str(path), device, threads)

    @property
    def name(self) -> str:
        """The name of the model."""
        return self.card.name

    @property
    def labels(self) -> tuple[str, ...]:
        """The keywords that it may suggest."""
        return self.card.labels

    def probabilities(self, pixels: Pixels) -> dict[str, float]:
        """Return the calibrated probability of each label for a photo.

        Raises
        ------
        ModelError : the network failed, or its output is not valid
        """
        size = (self.card.image_size,) * 2
        image = np.ascontiguousarray(resize(pixels, size).transpose(2, 0, 1)[None], np.float32)
        try:
            logits = np.asarray(self._session.run(None, {INPUT: image})[0], np.float64)
        except Exception as error:  # ONNX Runtime's exceptions share no base class of their own
            reject(self.name, f"it failed: {' '.join(str(error).split())[:200]}", error)
        if logits.shape != (1, len(self.labels)) or not np.isfinite(logits).all():
            reject(self.name, "its output is not one finite number for each label")
        calibration = self.card.calibration
        scores = 0.5 * (1 + np.tanh(0.5 * (calibration.slope * logits[0] + calibration.offset)))
        return dict(zip(self.labels, scores.tolist(), strict=True))


class DetectedClasses:
    """The classes of the objects that a detector finds, as keywords.

    Its names are those of `burnish regions --only`.
    """

    def __init__(
        self, detector: str | None = None, *, device: str = "auto", threads: int | None = None
    ) -> None:
        """Open a detector [default: that of `burnish regions`]; raises as `MaskRCNN.open`."""
        self._detector = MaskRCNN.open(detector, device=device, threads=threads)
        card = self._detector.card
        self.name = card.name
        # The class of all other objects says nothing about a photo.
        self.labels = tuple(name for name in card.classes if name != card.other_class)

    def probabilities(self, pixels: Pixels) -> dict[str, float]:
        """Return the score of the surest object of each class."""
        instances = self._detector.predict(pixels)
        scores: dict[str, float] = {}
        for label, score in zip(instances.labels, instances.scores.tolist(), strict=True):
            if label in self.labels:
                scores[label] = max(score, scores.get(label, 0.0))
        return scores


@dataclass(frozen=True)
class Suggestion:
    """A keyword and the probability that it is right."""

    keyword: str
    confidence: float


@dataclass(frozen=True, eq=False)
class PhotoSuggestions:
    """The suggestions for a photo, most probable first.

    Parameters
    ----------
    keywords : those that the photo has already
    written : the keywords that were added to its file
    thumbnail : a small copy of the photo for a contact sheet
    """

    path: Path
    keywords: tuple[str, ...]
    suggestions: tuple[Suggestion, ...]
    written: tuple[str, ...] = ()
    thumbnail: Pixels | None = field(default=None, repr=False)

    def record(self) -> dict[str, object]:
        """Return the suggestions for JSON."""
        return {
            "photo": str(self.path),
            "keywords": list(self.keywords),
            "suggestions": [
                {"keyword": one.keyword, "confidence": round(one.confidence, 4)}
                for one in self.suggestions
            ],
            "written": list(self.written),
        }


@dataclass(frozen=True)
class Choice:
    """Which suggestions are made.

    Parameters
    ----------
    min_confidence : smallest probability
    top : maximum number for a photo
    """

    min_confidence: float = 0.5
    top: int = 10

    def choose(
        self, probabilities: dict[str, float], present: Iterable[str] = ()
    ) -> tuple[Suggestion, ...]:
        """Return the most probable keywords that a photo does not have yet.

        Examples
        --------
        >>> [s.keyword for s in Choice().choose({"sea": 0.9, "dog": 0.8, "car": 0.1}, ["Dog"])]
        ['sea']
        """
        keys = set(map(keyword_key, present))
        ranked = sorted(probabilities.items(), key=lambda item: (-item[1], item[0]))
        new = [Suggestion(*item) for item in ranked if keyword_key(item[0]) not in keys]
        return tuple(one for one in new if one.confidence >= self.min_confidence)[: self.top]


def suggest(
    path: Path,
    suggesters: Sequence[Suggester],
    choice: Choice,
    extra: dict[str, float] | None = None,
    thumbnail_side: int = 0,
) -> PhotoSuggestions:
    """Return the suggestions for a photo.

    Parameters
    ----------
    suggesters : whose probabilities are fused; see `fuse`
    extra : probabilities from the photo's words, which are fused, too
    thumbnail_side : longer side of the thumbnail, px; 0 for none

    Raises
    ------
    PhotoError : the photo cannot be read
    """
    texts = read_texts(path)
    sources = [extra] if extra else []
    thumbnail = None
    if suggesters or thumbnail_side:
        pixels = Photo.open(path).pixels
        sources += [suggester.probabilities(pixels) for suggester in suggesters]
        if thumbnail_side:
            height, width = pixels.shape[:2]
            scale = thumbnail_side / max(height, width)
            thumbnail = resize(
                pixels, (max(1, round(width * scale)), max(1, round(height * scale)))
            )
    chosen = choice.choose(fuse(sources), texts.keywords)
    return PhotoSuggestions(path, texts.keywords, chosen, thumbnail=thumbnail)


def fuse(sources: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return one probability per label: the mean of the logits of all sources that know it.

    Examples
    --------
    >>> {name: round(p, 3) for name, p in fuse([{"sea": 0.9, "dog": 0.2}, {"Sea": 0.5}]).items()}
    {'sea': 0.75, 'dog': 0.2}
    """
    logits: dict[str, list[float]] = {}
    names: dict[str, str] = {}
    for source in sources:
        for label, probability in source.items():
            key = keyword_key(label)
            names.setdefault(key, label)
            bounded = min(max(probability, 1e-6), 1 - 1e-6)
            logits.setdefault(key, []).append(float(np.log(bounded / (1 - bounded))))
    return {names[key]: float(1 / (1 + np.exp(-np.mean(values)))) for key, values in logits.items()}
