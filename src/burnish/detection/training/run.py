"""Train a detector, evaluate it, and write its file."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import burnish
from burnish.detection import coco
from burnish.detection.coco import CocoDataset
from burnish.detection.detect import MaskRCNN
from burnish.detection.detector_file import CocoMetrics, DetectorCard
from burnish.detection.training.config import DetectorTrainConfig
from burnish.detection.training.cut_outs import CutOut, read_cut_outs
from burnish.detection.training.dataset import DetectionDataset
from burnish.detection.training.detectors import lite_mask_rcnn
from burnish.detection.training.evaluate import evaluate_detections, fit_calibration, run_detector
from burnish.detection.training.export import export, rewrite_card
from burnish.detection.training.network import MaskRCNNModule, Target, fuse_batchnorm
from burnish.errors import UsageError
from burnish.files import check_absent, digest, make_folder
from burnish.training import TrainCallbacks
from burnish.training.pairs import find_photos
from burnish.training.request import slugify
from burnish.training.trainer import Trainer

# Default training time, s.
_DEFAULT_BUDGET = 1800.0
# A pretrained backbone has this fraction of the learning rate.
_BACKBONE_LR_SCALE = 0.25
# Number of blocks at the start of a pretrained backbone that are not trained.
_FROZEN_BLOCKS = 3
_WEIGHT_DECAY = 0.02

Batch = tuple[list[Tensor], list[Target]]
# A COCO file and the folder of its photos.
DatasetPaths = tuple[Path, Path]


@dataclass(frozen=True)
class DetectorRequest:
    """The data of a training, and the file to write.

    Parameters
    ----------
    datasets, validation : COCO files with their image folders, to train on and to evaluate on
    output : the detector's file, .onnx
    run_dir : folder of the checkpoint [default: runs/NAME, after the output's name]
    background_dir : folder of photos without any object of the classes
    cut_out_dir : folder of images of objects with alpha, see `cut_outs.read_cut_outs`
    weights : ImageNet weights of the backbone [default: random initialisation]
    save_every : seconds between two checkpoints
    title, description, licence : texts of the card
    """

    datasets: tuple[DatasetPaths, ...]
    output: Path
    validation: tuple[DatasetPaths, ...] = ()
    config: DetectorTrainConfig = field(default_factory=DetectorTrainConfig)
    run_dir: Path | None = None
    background_dir: Path | None = None
    cut_out_dir: Path | None = None
    weights: Path | None = None
    save_every: float = 60.0
    title: str = "Objects in photos"
    description: str = "Not stated."
    licence: str = "unstated"
    overwrite: bool = False


class DetectorTrainer(Trainer[MaskRCNNModule, Batch]):
    """Trains a detector, or resumes a training; see `Trainer`.

    Parameters
    ----------
    weights : see `init_network`. The first blocks of a pretrained backbone are frozen, and its
        batch normalisation is fused into the convolutions
    """

    def __init__(
        self,
        config: DetectorTrainConfig,
        dataset: DetectionDataset,
        run_dir: Path,
        weights: Path | None = None,
        data: str = "",
    ) -> None:
        self.dataset, self.seed = dataset, config.seed
        network = init_network(config, weights)
        if weights is not None:
            body: Any = network.backbone.body
            fuse_batchnorm(body.eval())
            body.freeze(_FROZEN_BLOCKS)
        groups = _param_groups(network, pretrained=weights is not None)
        make_folder(run_dir)
        super().__init__(config, network, [torch.optim.AdamW(groups)], run_dir, data=data)

    def batches(self, step: int, phase: int) -> Sequence[Batch]:
        """Return the one batch of a step."""
        return [self.dataset.batch(step)]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Run the network; return the terms of the loss."""
        # torchvision samples anchors and proposals with torch's global generator.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed * 1_000_003 + self.step)
            losses: dict[str, Tensor] = self.network(*batch)
        return losses


def _param_groups(network: MaskRCNNModule, *, pretrained: bool) -> list[dict[str, Any]]:
    """Group the parameters by learning rate and weight decay; biases and scales do not decay."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            is_backbone = pretrained and name.startswith("backbone.body.")
            lr_scale = _BACKBONE_LR_SCALE if is_backbone else 1.0
            decay = _WEIGHT_DECAY if parameter.ndim > 1 else 0.0
            groups.setdefault((lr_scale, decay), []).append(parameter)
    return [
        {"params": parameters, "lr_scale": lr_scale, "weight_decay": decay}
        for (lr_scale, decay), parameters in groups.items()
    ]


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
    config = _resolve_config(request.config, datasets)
    run_dir = request.run_dir or Path("runs") / request.output.stem
    backgrounds = find_photos(request.background_dir) if request.background_dir else []
    cut_outs = (
        read_cut_outs(request.cut_out_dir, config.classes, config.other_class)
        if request.cut_out_dir
        else []
    )
    dataset = DetectionDataset(config, datasets, backgrounds, cut_outs)
    data = _data_hash(datasets, backgrounds, cut_outs, request.weights)
    trainer = DetectorTrainer(config, dataset, run_dir, request.weights, data)
    trainer.run(callbacks.on_step, save_every=request.save_every)
    return _export_and_evaluate(request, config, trainer, validation, run_dir, callbacks)


def _resolve_config(
    config: DetectorTrainConfig, datasets: Sequence[CocoDataset]
) -> DetectorTrainConfig:
    """Check a config, and replace its defaults by values."""
    if config.budget is not None and config.steps is not None:
        raise UsageError("--budget, --steps", "both are given", "leave one out")
    images = [image for dataset in datasets for image in dataset.images]
    annotated = {annotation.label for image in images for annotation in image.annotations}
    categories = dict.fromkeys(name for dataset in datasets for name in dataset.categories)
    available = tuple(name for name in categories if name in annotated)
    for name in config.classes:
        if name not in available:
            problem = "the COCO files have no object of this category"
            remedy = f"choose from {', '.join(available[:20])}"
            raise UsageError(f"--class {name}", problem, remedy)
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
    training = config.to_json() | {
        "steps": trainer.step,
        "seconds": round(trainer.seconds),
        "photos": [source.name for source, _ in request.datasets],
        "backgrounds": request.background_dir.name if request.background_dir else None,
        "cut_outs": request.cut_out_dir.name if request.cut_out_dir else None,
        "weights": request.weights.name if request.weights else None,
    }
    card = DetectorCard.build(
        name=slugify(request.output.stem),
        title=request.title,
        network="light",
        classes=config.classes,
        other_class=config.other_class,
        min_size=config.image_size,
        max_size=config.max_size,
        parameter_count=sum(parameter.numel() for parameter in network.parameters()),
        metrics=(),
        training=training,
        description=request.description,
        licence=request.licence,
        burnish_version=burnish.__version__,
    )
    uncalibrated = export(network, card, run_dir / "uncalibrated.onnx", fp16=True, overwrite=True)
    detector = MaskRCNN.open(uncalibrated, device="cpu")
    evaluations = [(run_detector(detector, dataset, callbacks), dataset) for dataset in validation]
    metrics = tuple(
        evaluate_detections(detections, dataset, card) for detections, dataset in evaluations
    )
    changes: dict[str, Any] = {"metrics": metrics}
    if evaluations:
        changes["calibration"] = fit_calibration(evaluations, card)
    card = card.model_copy(update=changes)
    return rewrite_card(uncalibrated, card, request.output, overwrite=request.overwrite), metrics


def _check_disjoint(datasets: list[CocoDataset], validation: list[CocoDataset]) -> None:
    """Check by content that no photo is both trained and evaluated on."""
    training_photos = {digest(image.path) for dataset in datasets for image in dataset.images}
    for dataset in validation:
        for image in dataset.images:
            if digest(image.path) in training_photos:
                problem = f"{image.path.name} is also among the training photos"
                raise UsageError(str(dataset.source), problem, "evaluate on other photos")


def _data_hash(
    datasets: list[CocoDataset],
    backgrounds: list[Path],
    cut_outs: list[CutOut],
    weights: Path | None,
) -> str:
    """Return a hash of all training data, so that a training is not resumed with other data."""
    images = [image.path for dataset in datasets for image in dataset.images]
    files = [*(dataset.source for dataset in datasets), *images, *backgrounds]
    files += [weights] if weights else []
    hasher = hashlib.sha256("".join(map(digest, files)).encode())
    for cut_out in cut_outs:
        hasher.update(f"{cut_out.label} {cut_out.alpha.shape}".encode())
        hasher.update(cut_out.pixels.tobytes() + cut_out.alpha.tobytes())
    return hasher.hexdigest()
