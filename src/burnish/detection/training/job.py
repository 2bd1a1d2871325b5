"""Train, evaluate and export a detector."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import burnish
from burnish.detection import coco
from burnish.detection.card import CocoMetrics, DetectorCard
from burnish.detection.coco import CocoDataset
from burnish.detection.detect import MaskRCNN
from burnish.detection.training.calibrate import fit_calibration
from burnish.detection.training.config import DetectorRequest, DetectorTrainConfig
from burnish.detection.training.cut_outs import CutOut, read_cut_outs
from burnish.detection.training.dataset import DetectionDataset
from burnish.detection.training.detectors import lite_mask_rcnn
from burnish.detection.training.evaluate import evaluate_detections, run_detector
from burnish.detection.training.export import export, rewrite_card
from burnish.detection.training.network import MaskRCNNModule
from burnish.detection.training.synthesize import background_photos
from burnish.detection.training.trainer import DetectorTrainer
from burnish.errors import UsageError
from burnish.files import check_absent, digest
from burnish.training.callbacks import TrainCallbacks
from burnish.training.request import slugify

# Seconds.
_DEFAULT_BUDGET = 1800.0


def train_detector(
    request: DetectorRequest, callbacks: TrainCallbacks
) -> tuple[Path, tuple[CocoMetrics, ...]]:
    """Train a light detector, evaluate it, and write its file.

    Returns
    -------
    The path of the file, and the metrics on each validation dataset

    Raises
    ------
    UsageError, PhotoError : the request or a file that it names is not valid
    OutputError : the output exists and `overwrite` is not set, or cannot be written
    ModelError : the weights or the checkpoint cannot be read, or the training fails
    """
    if request.output.suffix.lower() != ".onnx":
        raise UsageError("--output", f"{request.output.name} does not end with .onnx", "rename it")
    check_absent(request.output, overwrite=request.overwrite)
    datasets = [coco.read_dataset(*paths) for paths in request.datasets]
    validation = [coco.read_dataset(*paths) for paths in request.validation]
    _check_disjoint(datasets, validation)
    config = _resolve_config(request.config, annotated_classes(datasets))
    run_dir = request.run_dir or Path("runs") / request.output.stem
    backgrounds = background_photos(request.background_dir) if request.background_dir else []
    cut_outs = (
        read_cut_outs(request.cut_out_dir, config.classes, config.other_class)
        if request.cut_out_dir
        else []
    )
    trainer = DetectorTrainer(
        config,
        init_network(config, request.weights),
        DetectionDataset(config, datasets, backgrounds, cut_outs),
        run_dir,
        pretrained=request.weights is not None,
        data=_data_hash(datasets, backgrounds, cut_outs, request.weights),
    )
    trainer.run(callbacks.on_step, save_every=request.save_every)
    return _export_and_evaluate(request, config, trainer, validation, run_dir, callbacks)


def _resolve_config(config: DetectorTrainConfig, available: tuple[str, ...]) -> DetectorTrainConfig:
    """Check a config, and replace its defaults by values.

    Parameters
    ----------
    available : the categories that have objects
    """
    if config.budget is not None and config.steps is not None:
        raise UsageError("--budget, --steps", "both are given", "leave one out")
    for name in config.classes:
        if name not in available:
            categories = ", ".join(available[:20])
            raise UsageError(
                f"--class {name}",
                "the COCO files have no object of this category",
                f"choose from {categories}",
            )
    classes = config.classes or (() if config.other_class else available)
    if config.other_class:
        classes = tuple(dict.fromkeys([*classes, config.other_class]))
    budget = config.budget or (None if config.steps else _DEFAULT_BUDGET)
    return replace(config, classes=classes, budget=budget)


def init_network(config: DetectorTrainConfig, weights: Path | None) -> MaskRCNNModule:
    """Return the light detector at the start of a training.

    Parameters
    ----------
    weights : ImageNet weights of the backbone [default: random, determined by the seed]

    Raises
    ------
    ModelError : the file holds no such weights
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = lite_mask_rcnn(
            len(config.classes),
            mask_iou_head=config.mask_iou_head,
            edge_loss_weight=config.edge_loss_weight,
        )
    if weights is not None:
        body: Any = network.backbone.body
        body.load_imagenet_weights(weights)
    return network


def annotated_classes(datasets: Sequence[CocoDataset]) -> tuple[str, ...]:
    """Return the categories that have objects, in the order of the files."""
    present = {
        annotation.label
        for dataset in datasets
        for image in dataset.images
        for annotation in image.annotations
    }
    categories = dict.fromkeys(name for dataset in datasets for name in dataset.categories)
    return tuple(name for name in categories if name in present)


def _export_and_evaluate(
    request: DetectorRequest,
    config: DetectorTrainConfig,
    trainer: DetectorTrainer,
    validation: list[CocoDataset],
    run_dir: Path,
    callbacks: TrainCallbacks,
) -> tuple[Path, tuple[CocoMetrics, ...]]:
    """Export the network, and evaluate and calibrate the exported file."""
    network = trainer.ema_network()
    fields: dict[str, Any] = {
        "name": slugify(request.output.stem),
        "title": request.title,
        "network": "light",
        "classes": config.classes,
        "other_class": config.other_class,
        "min_size": config.image_size,
        "max_size": config.max_size,
        "parameter_count": sum(parameter.numel() for parameter in network.parameters()),
        "metrics": (),
        "training": _training_record(request, config, trainer),
        "description": request.description,
        "licence": request.licence,
        "burnish_version": burnish.__version__,
    }
    card = DetectorCard.build(**fields)
    uncalibrated = export(network, card, run_dir / "uncalibrated.onnx", fp16=True, overwrite=True)
    detector = MaskRCNN.open(uncalibrated, device="cpu")
    evaluations = [
        (run_detector(detector, dataset, card, callbacks), dataset) for dataset in validation
    ]
    metrics = tuple(
        evaluate_detections(detections, dataset, card) for detections, dataset in evaluations
    )
    if evaluations:
        fields["calibration"] = fit_calibration(evaluations, card)
    card = DetectorCard.build(**fields | {"metrics": metrics})
    return rewrite_card(uncalibrated, card, request.output, overwrite=request.overwrite), metrics


def _training_record(
    request: DetectorRequest, config: DetectorTrainConfig, trainer: DetectorTrainer
) -> dict[str, Any]:
    return config.to_json() | {
        "steps": trainer.step,
        "seconds": round(trainer.seconds),
        "photos": [source.name for source, _ in request.datasets],
        "backgrounds": request.background_dir.name if request.background_dir else None,
        "cut_outs": request.cut_out_dir.name if request.cut_out_dir else None,
        "weights": request.weights.name if request.weights else None,
    }


def _check_disjoint(datasets: list[CocoDataset], validation: list[CocoDataset]) -> None:
    """Check by content that no photo is both trained and evaluated on."""
    training_photos = {digest(image.path) for dataset in datasets for image in dataset.images}
    for dataset in validation:
        for image in dataset.images:
            if digest(image.path) in training_photos:
                raise UsageError(
                    str(dataset.source),
                    f"{image.path.name} is also among the training photos",
                    "evaluate on other photos",
                )


def _data_hash(
    datasets: list[CocoDataset],
    backgrounds: list[Path],
    cut_outs: list[CutOut],
    weights: Path | None,
) -> str:
    """Return a hash of all training data, so that a training is not resumed with other data."""
    hasher = hashlib.sha256()
    for dataset in datasets:
        hasher.update(dataset.source.read_bytes())
        for image in dataset.images:
            hasher.update(image.path.read_bytes())
    for path in [*backgrounds, *([weights] if weights else [])]:
        hasher.update(path.read_bytes())
    for cut_out in cut_outs:
        hasher.update(json.dumps([cut_out.label, cut_out.alpha.shape]).encode())
        hasher.update(cut_out.pixels.tobytes())
        hasher.update(cut_out.alpha.tobytes())
    return hasher.hexdigest()
