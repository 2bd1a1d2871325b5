"""An order for a detector: read what it names, learn it, judge it, and write its file."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import burnish
from burnish.detection import coco
from burnish.detection.card import CocoMetrics, build_card
from burnish.detection.coco import CocoDataset
from burnish.detection.training.config import DetectorTrainConfig
from burnish.detection.training.cut_outs import CutOut, read_cut_outs
from burnish.detection.training.dataset import DetectionDataset
from burnish.detection.training.detectors import lite_mask_rcnn
from burnish.detection.training.efficientnet_lite import load_imagenet_weights
from burnish.detection.training.export import export, rewrite_card
from burnish.detection.training.network import MaskRCNNModule
from burnish.detection.training.synthesize import background_photos
from burnish.detection.training.trainer import DetectorTrainer
from burnish.errors import UsageError
from burnish.files import check_absent


class DetectorTrainCallbacks:
    """What a training tells whoever runs it; a face overrides what it wants to show."""

    def start(self, task: str, total: int) -> None:
        """Say that a task of `total` parts begins."""

    def advance(self) -> None:
        """Say that a part of the task is done."""

    def on_step(self, step_info: Any) -> None:
        """Say how the training stands; called after every step, see `train.Moment`."""


@dataclass(frozen=True)
class DetectorRequest:
    """What to learn from and where to put it.

    Parameters
    ----------
    datasets, validation : COCO files and their photos' folders, to learn from and to judge on
    background_dir : a folder of photos in which there is nothing to find
    cut_out_dir : a folder of pictures of objects with alpha, pasted into the photos
    weights : ImageNet weights of the backbone; without them it begins at random
    run_dir : folder of the checkpoint
    """

    datasets: tuple[tuple[Path, Path], ...]
    validation: tuple[tuple[Path, Path], ...]
    background_dir: Path | None
    cut_out_dir: Path | None
    weights: Path | None
    run_dir: Path
    output: Path
    overwrite: bool = False
    title: str = "Objects in photos"
    description: str = "Not stated."
    licence: str = "unstated"
    save_every: float = 60.0


def run_request(
    config: DetectorTrainConfig, request: DetectorRequest, callbacks: DetectorTrainCallbacks
) -> tuple[Path, tuple[CocoMetrics, ...]]:
    """Train a light detector, judge it, and write its file.

    Raises
    ------
    UsageError, PhotoError : something that the order names is not as it must be
    OutputError : the output is in the way
    ModelError : the weights are none, or the training fails
    """
    check_absent(request.output, overwrite=request.overwrite)
    datasets = [coco.read_dataset(*pair) for pair in request.datasets]
    validation = [coco.read_dataset(*pair) for pair in request.validation]
    _check_disjoint(datasets, validation)
    backgrounds = background_photos(request.background_dir) if request.background_dir else []
    cut_outs = (
        read_cut_outs(request.cut_out_dir, config.classes, config.other_class)
        if request.cut_out_dir
        else []
    )
    dataset = DetectionDataset(config, datasets, backgrounds, cut_outs)
    trainer = DetectorTrainer(
        config,
        init_network(config, request.weights),
        dataset,
        request.run_dir,
        pretrained=request.weights is not None,
        data_hash=_data_hash(datasets, backgrounds, cut_outs, request.weights),
    )
    callbacks.start("training", 0)
    trainer.run(callbacks.on_step, save_every=request.save_every)
    return _export_and_evaluate(config, request, trainer, validation, callbacks)


def init_network(config: DetectorTrainConfig, weights: Path | None) -> MaskRCNNModule:
    """Build the light detector that a training begins with; it follows from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = lite_mask_rcnn(
            len(config.classes),
            mask_iou_head=config.mask_iou_head,
            edge_loss_weight=config.edge_loss_weight,
        )
    if weights is not None:
        body: Any = network.backbone.body
        load_imagenet_weights(body, weights)
    return network


def annotated_classes(datasets: Sequence[CocoDataset]) -> tuple[str, ...]:
    """Return the categories of which there is an object, in the files' order."""
    present = {found.label for each in datasets for p in each.images for found in p.annotations}
    categories = dict.fromkeys(name for each in datasets for name in each.categories)
    return tuple(name for name in categories if name in present)


def _export_and_evaluate(
    config: DetectorTrainConfig,
    request: DetectorRequest,
    trainer: DetectorTrainer,
    validation: list[CocoDataset],
    callbacks: DetectorTrainCallbacks,
) -> tuple[Path, tuple[CocoMetrics, ...]]:
    """Judge the file that was exported, not the network, and say on its card what came out."""
    # What judges needs the other extra libraries, and a training may go without.
    from burnish.detection.detect import MaskRCNN
    from burnish.detection.training.calibrate import fit_calibration
    from burnish.detection.training.evaluate import evaluate_detections, run_detector

    network = trainer.ema_network()
    fields: dict[str, Any] = {
        "name": _slugify(request.output.stem),
        "title": request.title,
        "network": "light",
        "classes": config.classes,
        "other_class": config.other_class,
        "min_size": config.image_size,
        "max_size": config.image_size * 3 // 2,
        "parameter_count": sum(parameter.numel() for parameter in network.parameters()),
        "metrics": (),
        "training": _training_record(config, request, trainer),
        "description": request.description,
        "licence": request.licence,
        "burnish_version": burnish.__version__,
    }
    uncalibrated = export(
        network, build_card(**fields), request.run_dir / "plain.onnx", fp16=True, overwrite=True
    )
    detector = MaskRCNN.open(uncalibrated, device="cpu")
    metrics, evaluations = [], []
    for each in validation:
        callbacks.start(f"judging on {each.source.stem}", len(each.images))
        detections = run_detector(detector, each, callbacks.advance)
        metrics.append(evaluate_detections(detections, each, detector.card))
        evaluations.append((detections, each))
    if evaluations:
        fields["calibration"] = fit_calibration(evaluations, detector.card)
    fields["metrics"] = tuple(metrics)
    return (
        rewrite_card(
            uncalibrated, build_card(**fields), request.output, overwrite=request.overwrite
        ),
        tuple(metrics),
    )


def _training_record(
    config: DetectorTrainConfig, request: DetectorRequest, trainer: DetectorTrainer
) -> dict[str, Any]:
    return config.to_json() | {
        "steps": trainer.step,
        "seconds": round(trainer.seconds),
        "photos": [pair[0].name for pair in request.datasets],
        "backgrounds": request.background_dir.name if request.background_dir else None,
        "cut_outs": request.cut_out_dir.name if request.cut_out_dir else None,
        "weights": request.weights.name if request.weights else None,
    }


def _slugify(stem: str) -> str:
    letters = "".join(c if c.isascii() and c.isalnum() else "-" for c in stem.lower())
    return letters.strip("-")[:64] or "detector"


def _check_disjoint(datasets: list[CocoDataset], validation: list[CocoDataset]) -> None:
    """See that no photo is both learnt from and judged on, under whatever name."""
    training_photos = {
        hashlib.sha256(picture.path.read_bytes()).digest(): picture.path
        for each in datasets
        for picture in each.images
    }
    for each in validation:
        for picture in each.images:
            if hashlib.sha256(picture.path.read_bytes()).digest() in training_photos:
                raise UsageError(
                    str(each.source),
                    expected="photos that are not trained on",
                    got=picture.path.name,
                    remedy="hold out others",
                )


def _data_hash(
    datasets: list[CocoDataset],
    backgrounds: list[Path],
    cut_outs: list[CutOut],
    weights: Path | None,
) -> str:
    """Stand for all that is learnt from, so that a training is not taken up with other photos."""
    digest = hashlib.sha256()
    for each in datasets:
        digest.update(each.source.read_bytes())
        for picture in each.images:
            digest.update(picture.path.read_bytes())
    for path in [*backgrounds, *([weights] if weights else [])]:
        digest.update(path.read_bytes())
    for cut_out in cut_outs:
        digest.update(json.dumps([cut_out.label, cut_out.alpha.shape]).encode())
        digest.update(cut_out.pixels.tobytes())
        digest.update(cut_out.alpha.tobytes())
    return digest.hexdigest()
