"""Publish: train, fold, judge and write a model file; a model's whole road in one place."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import burnish
from burnish.compression.fold import Folded, fold
from burnish.errors import OutputError, UsageError
from burnish.modelfile.card import Card, CardParam, Measurement, Paper
from burnish.modelfile.write import export
from burnish.networks.table import NETWORKS
from burnish.operators.operator import Operator
from burnish.operators.own import Pairs, resolve
from burnish.training import processes
from burnish.training.evaluate import Report
from burnish.training.settings import Settings, parse_budget
from burnish.training.train import Result, Watch, train

DEFAULT_BUDGET = "30m"


@dataclass(frozen=True)
class Order:
    """A training that has been checked as far as it can be before it begins."""

    settings: Settings
    photos: Path | None
    held_out: Path | None
    output: Path
    run: Path
    overwrite: bool
    licence: str
    save_every: float


@dataclass(frozen=True)
class Published:
    """A model file, and the report that its card quotes."""

    path: Path
    report: Report


def prepare(
    operator: str,
    *,
    photos: Path | None = None,
    held_out: Path | None = None,
    params: Mapping[str, float | None] | None = None,
    output: Path | None = None,
    run: Path | None = None,
    overwrite: bool = False,
    licence: str = "unstated",
    save_every: float = 60.0,
    network: str = "can24",
    budget: str | None = None,
    steps: int | None = None,
    **settings: Any,
) -> Order:
    """Check everything that a person can have got wrong before hours are spent on it.

    Parameters
    ----------
    operator : a name of the table, or ``python:…``, ``command:…``, ``pairs:…``
    photos, held_out : folders of photos to learn from and to judge on
    params : the operator's parameters by name or keyword
    output : the model file; by default NAME.onnx here
    run : folder of the checkpoint, by default runs/NAME
    licence : who may use the model, for its card
    save_every : seconds between two checkpoints
    budget, steps : how long; by default 30m
    settings : the other fields of `Settings`

    Raises
    ------
    UsageError : an unknown operator, parameter, network or length of time; photos missing
    OutputError : the model file exists and `overwrite` is not set
    """
    found = resolve(operator)
    values = found.settle(dict(params or {})) if isinstance(found, Operator) else {}
    if isinstance(found, Pairs) == (photos is not None):
        raise UsageError(
            "--photos",
            expected="none, since pairs bring their own" if photos else "a folder of photos",
            got=str(photos or "none"),
            remedy="leave it out" if photos else "name one with --photos",
        )
    if network not in NETWORKS:
        raise UsageError(
            "--network",
            expected=f"one of {', '.join(NETWORKS)}",
            got=repr(network),
            remedy="choose one of them",
        )
    if steps is None and budget is None:
        budget = DEFAULT_BUDGET
    wanted = Settings(
        operator=operator,
        network=network,
        params=values,
        steps=steps,
        budget=parse_budget(budget) if budget else None,
        **settings,
    )
    name = _slug(output.stem if output else found.name)
    target = output or Path(f"{name}.onnx")
    if target.exists() and not overwrite:
        raise OutputError(
            str(target),
            expected="a new file",
            got="one that exists",
            remedy="use --overwrite, or another -o",
        )
    return Order(
        settings=wanted,
        photos=photos,
        held_out=held_out,
        output=target,
        run=run or Path("runs", name),
        overwrite=overwrite,
        licence=licence,
        save_every=save_every,
    )


def train_and_publish(order: Order, watch: Watch) -> Published | None:
    """Train as ordered and write the model file; None in all processes but the first."""
    rank, _ = processes.join()
    try:
        result = train(
            order.settings,
            order.photos,
            order.held_out,
            order.run,
            watch,
            save_every=order.save_every,
        )
    finally:
        processes.leave()
    return publish(result, order) if rank == 0 else None


def publish(result: Result, order: Order) -> Published:
    """Fold a trained network, export it with its card, and verify both.

    Raises
    ------
    ModelError : the exported graph and the network disagree, or a claim on the card is not true
    OutputError : the file exists and may not be replaced
    """
    network = fold(result.network)
    card = _card(result, network, _slug(order.output.stem), order.licence)
    order.output.parent.mkdir(parents=True, exist_ok=True)
    return Published(export(network, card, order.output, overwrite=order.overwrite), result.report)


def _card(result: Result, network: Folded, name: str, licence: str) -> Card:
    settings = result.settings
    operator = resolve(settings.operator)
    paper = operator.paper if isinstance(operator, Operator) else None
    params = operator.params if isinstance(operator, Operator) else ()
    return Card(
        name=name,
        operator=operator.name,
        title=operator.title if isinstance(operator, Operator) else f"pairs of {operator.name}",
        paper=Paper(title=paper.title, doi=paper.doi) if paper else None,
        params=tuple(
            CardParam(
                name=param.name,
                effect=param.effect,
                value=settings.params[param.name],
                low=param.low,
                high=param.high,
                default=param.default,
                scale=param.scale,
                unit=param.unit,
            )
            for param in params
        ),
        network=settings.network,
        halo=network.halo,
        multiple=network.multiple,
        macs_per_pixel=network.macs_per_pixel,
        activations_per_pixel=network.activations_per_pixel,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        measured=(_measurement(result.report, result.held_out),),
        training={
            "photos": result.trained_on,
            "steps": result.steps,
            "seconds": round(result.seconds),
            "settings": settings.to_json(),
            "torch": torch.__version__.partition("+")[0],
            "threads": torch.get_num_threads(),
            "processes": int(os.environ.get("WORLD_SIZE", "1")),
        },
        licence=licence,
        burnish_version=burnish.__version__,
    )


def _measurement(report: Report, photos: str) -> Measurement:
    """Round what is measured to the digits that mean something."""
    return Measurement(
        photos=photos,
        count=report.count,
        megapixels_mean=round(report.megapixels, 3),
        mse_mean=float(f"{report.mean.mse:.4g}"),
        psnr_mean=round(report.mean.psnr, 2),
        psnr_worst=round(report.worst.psnr, 2),
        ssim_mean=round(report.mean.ssim, 4),
        ssim_worst=round(report.worst.ssim, 4),
        untouched_psnr_mean=round(report.untouched.psnr, 2),
    )


def _slug(name: str) -> str:
    """Return a name as cards and file names take it: lower case, dashes."""
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-.")[:64] or "own"
