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
from burnish.detection.card import Measurement, build_card
from burnish.detection.coco import CocoSet
from burnish.detection.training.config import Settings
from burnish.detection.training.cut_outs import CutOut, read_cut_outs
from burnish.detection.training.dataset import Examples
from burnish.detection.training.detectors import light
from burnish.detection.training.efficientnet_lite import load_imagenet
from burnish.detection.training.export import export, recard
from burnish.detection.training.network import MaskNetwork
from burnish.detection.training.synthesize import background_photos
from burnish.detection.training.trainer import Training
from burnish.errors import UsageError
from burnish.files import check_free


class Watch:
    """What a training tells whoever runs it; a face overrides what it wants to show."""

    def begin(self, task: str, total: int) -> None:
        """Say that a task of `total` parts begins."""

    def tick(self) -> None:
        """Say that a part of the task is done."""

    def moment(self, moment: Any) -> None:
        """Say how the training stands; called after every step, see `train.Moment`."""


@dataclass(frozen=True)
class Order:
    """What to learn from and where to put it.

    Parameters
    ----------
    sets, held_out : COCO files and their photos' folders, to learn from and to judge on
    backgrounds : a folder of photos in which there is nothing to find
    cut_outs : a folder of pictures of objects with alpha, pasted into the photos
    weights : ImageNet weights of the backbone; without them it begins at random
    run : folder of the checkpoint
    """

    sets: tuple[tuple[Path, Path], ...]
    held_out: tuple[tuple[Path, Path], ...]
    backgrounds: Path | None
    cut_outs: Path | None
    weights: Path | None
    run: Path
    output: Path
    overwrite: bool = False
    title: str = "Objects in photos"
    abilities: str = "Not stated."
    licence: str = "unstated"
    save_every: float = 60.0


def learn(settings: Settings, order: Order, watch: Watch) -> tuple[Path, tuple[Measurement, ...]]:
    """Train a light detector, judge it, and write its file.

    Raises
    ------
    UsageError, PhotoError : something that the order names is not as it must be
    OutputError : the output is in the way
    ModelError : the weights are none, or the training fails
    """
    check_free(order.output, overwrite=order.overwrite)
    sets = [coco.read(*pair) for pair in order.sets]
    unseen = [coco.read(*pair) for pair in order.held_out]
    _check_apart(sets, unseen)
    backgrounds = background_photos(order.backgrounds) if order.backgrounds else []
    cut_outs = (
        read_cut_outs(order.cut_outs, settings.classes, settings.rest) if order.cut_outs else []
    )
    examples = Examples(settings, sets, backgrounds, cut_outs)
    training = Training(
        settings,
        start(settings, order.weights),
        examples,
        order.run,
        pretrained=order.weights is not None,
        data=_digest(sets, backgrounds, cut_outs, order.weights),
    )
    watch.begin("training", 0)
    training.run(watch.moment, save_every=order.save_every)
    return _publish(settings, order, training, unseen, watch)


def start(settings: Settings, weights: Path | None) -> MaskNetwork:
    """Build the light detector that a training begins with; it follows from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = light(len(settings.classes), mask_score=settings.mask_score, edges=settings.edges)
    if weights is not None:
        body: Any = network.backbone.body
        load_imagenet(body, weights)
    return network


def classes_of(sets: Sequence[CocoSet]) -> tuple[str, ...]:
    """Return the categories of which there is an object, in the files' order."""
    there = {found.label for each in sets for p in each.pictures for found in p.objects}
    named = dict.fromkeys(name for each in sets for name in each.categories)
    return tuple(name for name in named if name in there)


def _publish(
    settings: Settings, order: Order, training: Training, unseen: list[CocoSet], watch: Watch
) -> tuple[Path, tuple[Measurement, ...]]:
    """Judge the file that was exported, not the network, and say on its card what came out."""
    # What judges needs the other extra libraries, and a training may go without.
    from burnish.detection.detect import MaskRCNN
    from burnish.detection.training.calibrate import calibrate
    from burnish.detection.training.evaluate import look, measure

    network = training.averaged()
    fields: dict[str, Any] = {
        "name": _slug(order.output.stem),
        "title": order.title,
        "network": "light",
        "classes": settings.classes,
        "rest": settings.rest,
        "shorter": settings.canvas,
        "longer": settings.canvas * 3 // 2,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "measured": (),
        "training": _noted(settings, order, training),
        "abilities": order.abilities,
        "licence": order.licence,
        "burnish_version": burnish.__version__,
    }
    plain = export(
        network, build_card(**fields), order.run / "plain.onnx", half=True, overwrite=True
    )
    detector = MaskRCNN.open(plain, device="cpu")
    measured, seen = [], []
    for each in unseen:
        watch.begin(f"judging on {each.source.stem}", len(each.pictures))
        looked = look(detector, each, watch.tick)
        measured.append(measure(looked, each, detector.card))
        seen.append((looked, each))
    if seen:
        fields["calibration"] = calibrate(seen, detector.card)
    fields["measured"] = tuple(measured)
    return (
        recard(plain, build_card(**fields), order.output, overwrite=order.overwrite),
        tuple(measured),
    )


def _noted(settings: Settings, order: Order, training: Training) -> dict[str, Any]:
    return settings.to_json() | {
        "steps": training.step,
        "seconds": round(training.seconds),
        "photos": [pair[0].name for pair in order.sets],
        "backgrounds": order.backgrounds.name if order.backgrounds else None,
        "cut_outs": order.cut_outs.name if order.cut_outs else None,
        "weights": order.weights.name if order.weights else None,
    }


def _slug(stem: str) -> str:
    letters = "".join(c if c.isascii() and c.isalnum() else "-" for c in stem.lower())
    return letters.strip("-")[:64] or "detector"


def _check_apart(sets: list[CocoSet], unseen: list[CocoSet]) -> None:
    """See that no photo is both learnt from and judged on, under whatever name."""
    learnt = {
        hashlib.sha256(picture.path.read_bytes()).digest(): picture.path
        for each in sets
        for picture in each.pictures
    }
    for each in unseen:
        for picture in each.pictures:
            if hashlib.sha256(picture.path.read_bytes()).digest() in learnt:
                raise UsageError(
                    str(each.source),
                    expected="photos that are not trained on",
                    got=picture.path.name,
                    remedy="hold out others",
                )


def _digest(
    sets: list[CocoSet], backgrounds: list[Path], cut_outs: list[CutOut], weights: Path | None
) -> str:
    """Stand for all that is learnt from, so that a training is not taken up with other photos."""
    digest = hashlib.sha256()
    for each in sets:
        digest.update(each.source.read_bytes())
        for picture in each.pictures:
            digest.update(picture.path.read_bytes())
    for path in [*backgrounds, *([weights] if weights else [])]:
        digest.update(path.read_bytes())
    for cut_out in cut_outs:
        digest.update(json.dumps([cut_out.label, cut_out.alpha.shape]).encode())
        digest.update(cut_out.pixels.tobytes())
        digest.update(cut_out.alpha.tobytes())
    return digest.hexdigest()
