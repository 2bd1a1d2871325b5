"""Publish: train, fold, judge and write a model file; a model's whole road in one place."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

import burnish
from burnish.export.fold_batchnorm import fold
from burnish.export.onnx_export import export
from burnish.export.quantise import round_kernels
from burnish.files import digest
from burnish.modelfile.card import Card, CardChoice, CardParam, Measurement, Paper, build_card
from burnish.networks.network import Network
from burnish.operators.operator import Operator
from burnish.operators.user_defined import resolve
from burnish.params import ColourParam, FileParam, Param, Value
from burnish.training import distributed as processes
from burnish.training.request import Order
from burnish.training.train import Result, Watch, train
from burnish.training.validation import Judgement, groups, judge


@dataclass(frozen=True)
class Published:
    """A model file, and the judgements that its card quotes."""

    path: Path
    judgements: tuple[Judgement, ...]


def train_and_publish(order: Order, watch: Watch) -> Published | None:
    """Train as ordered and write the model file; None in all processes but the first."""
    try:
        result = train(
            order.settings,
            order.photos,
            order.held_out,
            order.run,
            watch,
            start=order.start,
            save_every=order.save_every,
        )
    finally:
        processes.leave()
    return publish(result, order, watch) if result else None


def publish(result: Result, order: Order, watch: Watch) -> Published:
    """Fold a trained network, judge it as it ships, export it with its card, and verify both.

    Raises
    ------
    ModelError : the exported graph and the network disagree, or a claim on the card is not true
    OutputError : the file exists and may not be replaced
    """
    network = round_kernels(fold(result.network))
    watch.begin("judging", sum(len(pairs) for _, pairs in groups(result.unseen)))
    sliders = [param.name for param in result.settings.slider_params]
    judgements = judge(network, sliders, result.unseen, result.held_out, watch.tick)
    card = _card(result, network, judgements, order)
    path = export(network, card, order.output, overwrite=order.overwrite)
    return Published(path, judgements)


def _card(result: Result, network: Network, judgements: Sequence[Judgement], order: Order) -> Card:
    settings = result.settings
    operator = resolve(settings.operator)
    paper = operator.paper if isinstance(operator, Operator) else None
    params = operator.params if isinstance(operator, Operator) else ()
    sliders = {param.name: param for param in settings.slider_params}
    kind, own, _ = settings.operator.partition(":")
    return build_card(
        name=order.name,
        # The mark keeps an operator of one's own from passing for one of ours.
        operator=f"{kind}:{operator.name}" if own else operator.name,
        title=operator.title if isinstance(operator, Operator) else f"pairs of {operator.name}",
        paper=Paper(title=paper.title, doi=paper.doi) if paper else None,
        params=tuple(
            _param(sliders.get(param.name, param), settings.params[param.name], sliders)
            for param in params
            if isinstance(param, Param)
        ),
        choices=tuple(
            _choice(param, settings.params[param.name])
            for param in params
            if isinstance(param, ColourParam | FileParam)
        ),
        network=settings.network,
        halo=network.halo,
        multiple=network.multiple,
        macs_per_pixel=network.macs_per_pixel,
        activations_per_pixel=network.activations_per_pixel,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        thumbnail=network.thumbnail,
        places=bool(network.thumbnail),
        measured=tuple(map(_measurement, judgements)),
        training={
            "photos": result.trained_on,
            "steps": result.steps,
            "seconds": round(result.seconds),
            # A file is named among the choices; its path is nobody's business.
            "settings": settings.to_json() | {"params": _numbers(settings.params)},
            "torch": torch.__version__.partition("+")[0],
            "threads": torch.get_num_threads(),
            "processes": int(os.environ.get("WORLD_SIZE", "1")),
        },
        licence=order.licence,
        burnish_version=burnish.__version__,
    )


def _param(param: Param, value: Value, sliders: Mapping[str, Param]) -> CardParam:
    number = param.check(value)
    return CardParam(value=number, slider=param.name in sliders, **asdict(param))


def _choice(param: ColourParam | FileParam, value: Value) -> CardChoice:
    if value is None or isinstance(param, ColourParam):
        return CardChoice(name=param.name, effect=param.effect, value=param.check(value))
    path = Path(str(value))
    return CardChoice(name=param.name, effect=param.effect, value=path.name, sha256=digest(path))


def _numbers(params: Mapping[str, Value]) -> dict[str, float]:
    return {name: value for name, value in params.items() if isinstance(value, float)}


def _measurement(judgement: Judgement) -> Measurement:
    """Round what is measured to the digits that mean something."""
    report = judgement.report
    return Measurement(
        photos=judgement.photos,
        count=report.count,
        megapixels_mean=float(f"{report.megapixels:.3g}"),
        mse_mean=float(f"{report.mean.mse:.4g}"),
        psnr_mean=round(report.mean.psnr, 2),
        psnr_worst=round(report.worst.psnr, 2),
        ssim_mean=round(report.mean.ssim, 4),
        ssim_worst=round(report.worst.ssim, 4),
        untouched_psnr_mean=round(report.untouched.psnr, 2),
    )
