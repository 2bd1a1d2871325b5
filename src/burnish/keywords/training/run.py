"""Train a keyword model on a library: features, comparison of heads, final fit, and its file."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import burnish
from burnish.detection.detector_file import Calibration
from burnish.errors import BurnishError, ModelError, UsageError
from burnish.files import atomic_write, check_absent, make_folder
from burnish.keywords import keyword_file
from burnish.keywords.keyword_file import HeadMetrics, KeywordCard, Measured
from burnish.keywords.library import MIN_PHOTOS, Labels, Library, LibraryPhoto, choose_labels
from burnish.keywords.training.backbone import (
    IMAGE_SIZE,
    Backbone,
    FeatureExtractor,
    Features,
    principal_components,
    to_onnx,
)
from burnish.keywords.training.fit import (
    FitConfig,
    HeadResult,
    choose,
    compare_heads,
    fit_calibration,
    train_head,
)
from burnish.keywords.training.heads import without_graph
from burnish.modelfile.onnx_file import embed_card, load_onnx
from burnish.progress import SILENT, Progress
from burnish.runtime.onnx_runtime import create_inference_session
from burnish.training.request import slugify

# Largest difference of a logit between torch and ONNX Runtime, which sum in different orders.
_TOLERANCE = 2e-2
# Fields of `HeadMetrics` that are metrics of the test.
_TESTED = ("mean_ap", "cf1", "of1", "top3_cf1", "top3_of1", "calibration_error")


@dataclass(frozen=True)
class KeywordRequest:
    """A library, and the file to write.

    Parameters
    ----------
    output : ends with ``.onnx``
    min_photos : smallest number of photos with a label
    include_suggested : learn from keywords that burnish suggested, too
    weights : ImageNet weights [default: those of the installed package]
    """

    library: Library
    output: Path
    name: str = "library"
    min_photos: int = MIN_PHOTOS
    include_suggested: bool = False
    config: FitConfig = field(default_factory=FitConfig)
    weights: Path | None = None
    image_size: int = IMAGE_SIZE
    threads: int | None = None
    licence: str = "unstated"
    overwrite: bool = False


@dataclass(frozen=True)
class TrainedKeywords:
    """The file that was written, its card, and an error for each photo that was left out."""

    path: Path
    card: KeywordCard
    failed: tuple[BurnishError, ...]


class KeywordNetwork(nn.Module):
    """A photo, (N, 3, S, S), to logits, (N, labels): what is exported."""

    def __init__(self, backbone: nn.Module, components: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.components, self.head = backbone, components, head

    def forward(self, image: Tensor) -> Tensor:
        """Return logits."""
        pooled, tokens = self.backbone(image)
        logits: Tensor = self.head(pooled, self.components(tokens))
        return logits


def train_keywords(
    request: KeywordRequest, progress: Progress = SILENT, backbone: nn.Module | None = None
) -> TrainedKeywords:
    """Train a keyword model, and write its file.

    Parameters
    ----------
    backbone : another network with the outputs of `Backbone` [default: EfficientNet-Lite0]

    Raises
    ------
    UsageError : the library has too few photos with keywords, or the output is no ONNX file
    MissingLibraryError : the ImageNet weights are not installed
    OutputError : the output exists and `overwrite` is not set, or cannot be written
    """
    if request.output.suffix.lower() != ".onnx":
        raise UsageError("--output", f"{request.output.name} does not end with .onnx", "rename it")
    check_absent(request.output, overwrite=request.overwrite)
    photos, labels = labelled_photos(request)
    if backbone is None:
        backbone = Backbone.load(request.weights)
    extractor = FeatureExtractor(backbone, request.image_size, threads=request.threads)
    features, read, failed = extract_features(extractor, photos, progress)
    if failed:
        # Labels of photos that are left out may have become too rare.
        kept = [photos[index] for index in read]
        labels = choose_labels(_keywords(kept, request), request.min_photos, request.name)
    has_label = np.flatnonzero(labels.truth.any(axis=1))
    truth = labels.truth[has_label]
    features = Features(features.pooled[has_label], features.tokens[has_label], features.components)
    results = compare_heads(features, truth, request.config, progress)
    best, steps = choose(results)
    progress.start(f"training {best} on all photos")
    head = train_head(
        request.config.heads[best], features, truth, np.arange(len(truth)), steps, seed=0
    )
    head.head = without_graph(head.head)
    card = _card(request, labels, results, best, len(truth))
    network = KeywordNetwork(backbone, features.components, head)
    _write(network, card, request)
    return TrainedKeywords(request.output, card, (*request.library.failed, *failed))


def labelled_photos(request: KeywordRequest) -> tuple[list[LibraryPhoto], Labels]:
    """Return the photos with keywords, and their labels; raises as `choose_labels`."""
    photos = list(request.library.photos)
    labels = choose_labels(_keywords(photos, request), request.min_photos, request.name)
    order = np.argsort(-labels.truth.sum(axis=0), kind="stable")
    usable = [
        index
        for index in order
        if labels.names[index].isprintable()
        and len(labels.names[index]) <= keyword_file.MAX_LABEL_LETTERS
    ]
    columns = sorted(usable[: keyword_file.MAX_LABELS])
    truth = labels.truth[:, columns]
    rows = np.flatnonzero(truth.any(axis=1))
    names = tuple(labels.names[index] for index in columns)
    return [photos[row] for row in rows], Labels(names, truth[rows])


def _keywords(photos: Sequence[LibraryPhoto], request: KeywordRequest) -> list[tuple[str, ...]]:
    return [photo.confirmed(suggested=request.include_suggested) for photo in photos]


def extract_features(
    extractor: FeatureExtractor, photos: Sequence[LibraryPhoto], progress: Progress = SILENT
) -> tuple[Features, list[int], list[BurnishError]]:
    """Return the features of photos, the indices of those that could be read, and the errors."""
    progress.start("computing features", len(photos))
    pooled, tokens, read = [], [], []
    failed: list[BurnishError] = []
    for index, photo in enumerate(photos):
        try:
            arrays = extractor.extract(photo.path)
        except BurnishError as error:
            failed.append(error)
        else:
            pooled.append(arrays[0].astype(np.float32))
            tokens.append(arrays[1])
            read.append(index)
        progress.advance()
    if not read:
        raise failed[0]
    # A thousand photos determine the components well enough.
    components = principal_components(np.stack(tokens[:1000]))
    with torch.no_grad():
        reduced = [
            components(torch.from_numpy(array.astype(np.float32))).numpy() for array in tokens
        ]
    return Features(np.stack(pooled), np.stack(reduced), components), read, failed


def _card(
    request: KeywordRequest, labels: Labels, results: Sequence[HeadResult], best: str, photos: int
) -> KeywordCard:
    chosen = [result for result in results if result.head == best]
    truth = np.concatenate([result.truth for result in chosen])
    logits = np.concatenate([result.logits for result in chosen])
    slope, offset = fit_calibration(truth, logits)
    return KeywordCard.build(
        name=slugify(request.output.stem),
        labels=labels.names,
        photo_counts=tuple(int(count) for count in labels.truth.sum(axis=0)),
        image_size=request.image_size,
        head=best,
        calibration=Calibration(
            slope=round(slope, 4), offset=round(offset, 4), dataset="photos of the library held out"
        ),
        metrics=summarise(results),
        training={
            "photos": photos,
            "seeds": request.config.seeds,
            "backbone": "EfficientNet-Lite0",
        },
        licence=request.licence,
        burnish_version=burnish.__version__,
    )


def summarise(results: Sequence[HeadResult]) -> tuple[HeadMetrics, ...]:
    """Return the mean and the spread of each head over the splits, in the order of the heads."""
    names = list(dict.fromkeys(result.head for result in results))
    by_head = {name: [result for result in results if result.head == name] for name in names}
    baseline = np.array([result.metrics.mean_ap for result in by_head[names[0]]])
    rows = []
    for name, runs in by_head.items():
        tested = [asdict(run.metrics) for run in runs]
        gains = np.array([run["mean_ap"] for run in tested]) - baseline
        rows.append(
            HeadMetrics(
                head=name,
                steps=int(np.median([run.steps for run in runs])),
                validation_ap=_measured([run.validation_ap for run in runs]),
                gain=round(float(gains.mean()), 2),
                gain_deviation=round(float(gains.std()), 2),
                **{metric: _measured([run[metric] for run in tested]) for metric in _TESTED},
            )
        )
    return tuple(rows)


def _measured(values: Sequence[float]) -> Measured:
    return Measured(
        mean=round(float(np.mean(values)), 2), deviation=round(float(np.std(values)), 2)
    )


def _write(network: KeywordNetwork, card: KeywordCard, request: KeywordRequest) -> None:
    """Export a network, compare it with torch on random images, and write its file."""
    size = request.image_size
    filename = str(request.output)
    data = embed_card(load_onnx(to_onnx(network, [keyword_file.OUTPUT], size), filename), card)
    keyword_file.check(data, filename)
    image = np.random.default_rng(0).random((1, 3, size, size), np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(image)).numpy()
    session, _ = create_inference_session(data, filename, "cpu", request.threads)
    (logits,) = session.run(None, {keyword_file.INPUT: image})
    difference = float(np.abs(logits - expected).max())
    if not difference <= _TOLERANCE:
        problem = f"the exported network differs from torch's by {difference:.3g}"
        raise ModelError(filename, problem, "report it, with the versions of torch and onnxruntime")
    make_folder(request.output.parent)
    with atomic_write(request.output, overwrite=request.overwrite) as file:
        file.write(data)
