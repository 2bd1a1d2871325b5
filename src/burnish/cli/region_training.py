"""`burnish regions train|evaluate|export|synthesize|explain`: train and examine detectors."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from burnish.cli.options import Device, JsonOutput, Overwrite, Threads
from burnish.errors import UsageError

if TYPE_CHECKING:
    from burnish.detection.card import CocoMetrics

Coco = Annotated[
    list[Path], typer.Option("--coco", help="COCO file with instances; may be repeated.")
]
Images = Annotated[
    list[Path],
    typer.Option("--images", help="Folder of its photos; one for each --coco, in that order."),
]
Detector = Annotated[str, typer.Argument(help="Name of a detector, or an .onnx file.")]


def register(group: typer.Typer) -> None:
    """Add the commands to a group."""
    for command in (train, evaluate, export, synthesize, explain):
        group.command()(command)


def train(
    coco: Coco,
    images: Images,
    output: Annotated[Path, typer.Option("-o", "--output", help="The detector's file, .onnx.")],
    val_coco: Annotated[
        list[Path] | None, typer.Option(help="COCO file to validate on; may be repeated.")
    ] = None,
    val_images: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of its photos; one for each --val-coco, in that order."),
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", help="A category to detect; may be repeated. [default: all]"),
    ] = None,
    other_class: Annotated[
        str | None,
        typer.Option(help="One more class, for all other categories and cut-outs."),
    ] = None,
    cut_outs: Annotated[
        Path | None,
        typer.Option(
            help="Folder of images of objects with alpha, which are pasted into the photos. Those "
            "in a subfolder with the name of a class belong to that class."
        ),
    ] = None,
    backgrounds: Annotated[
        Path | None, typer.Option(help="Folder of photos without any objects.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="ImageNet weights of EfficientNet-Lite0. [default: random weights]"),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="Training time, such as 1h30m. [default: 30m]")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Number of training steps, instead of a budget.")
    ] = None,
    run_dir: Annotated[
        Path | None, typer.Option(help="Folder for the checkpoint. [default: runs/NAME]")
    ] = None,
    image_size: Annotated[
        int, typer.Option(min=64, max=1024, help="Side of the training images in pixels.")
    ] = 320,
    batch: Annotated[int, typer.Option(min=1, help="Images per step.")] = 2,
    max_lr: Annotated[float, typer.Option(min=0, help="Peak learning rate.")] = 6e-4,
    edge_loss_weight: Annotated[
        float, typer.Option(min=0, help="Weight of the edge agreement loss; 0 disables it.")
    ] = 0.0,
    mask_iou_head: Annotated[
        bool,
        typer.Option("--mask-iou-head", help="Train a head that predicts the IoU of each mask."),
    ] = False,
    copy_paste_prob: Annotated[
        float,
        typer.Option(min=0, max=1, help="Probability that cut-outs are pasted into an image."),
    ] = 0.8,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random choices.")] = 0,
    save_every: Annotated[float, typer.Option(min=0, help="Seconds between checkpoints.")] = 60.0,
    title: Annotated[str, typer.Option(help="Title, for the card.")] = "Objects in photos",
    description: Annotated[
        str, typer.Option(help="Abilities and limits of the detector, for its card.")
    ] = "Not stated.",
    licence: Annotated[
        str, typer.Option(help="Who may use the detector, for its card.")
    ] = "unstated",
    overwrite: Overwrite = False,
) -> None:
    """Train a light Mask R-CNN on annotated photos. An interrupted training resumes."""
    from burnish.cli.training_progress import TrainingProgress
    from burnish.detection.training.config import DetectorRequest, DetectorTrainConfig
    from burnish.detection.training.job import train_detector
    from burnish.training.config import parse_budget

    request = DetectorRequest(
        datasets=_pair_files(coco, images, "--coco", "--images"),
        validation=_pair_files(val_coco or [], val_images or [], "--val-coco", "--val-images"),
        output=output,
        config=DetectorTrainConfig(
            classes=tuple(classes or ()),
            other_class=other_class,
            steps=steps,
            budget=parse_budget(budget) if budget else None,
            image_size=image_size,
            batch_size=batch,
            max_lr=max_lr,
            edge_loss_weight=edge_loss_weight,
            mask_iou_head=mask_iou_head,
            copy_paste_prob=copy_paste_prob,
            seed=seed,
        ),
        run_dir=run_dir,
        background_dir=backgrounds,
        cut_out_dir=cut_outs,
        weights=weights,
        save_every=save_every,
        title=title,
        description=description,
        licence=licence,
        overwrite=overwrite,
    )
    with TrainingProgress() as progress:
        path, metrics = train_detector(request, progress)
    typer.echo(f"{path}")
    for metric in metrics:
        _print_metrics(metric)


def evaluate(
    coco: Coco,
    images: Images,
    detector: Detector = "light",
    device: Device = "auto",
    threads: Threads = None,
    json_output: JsonOutput = False,
) -> None:
    """Evaluate a detector on annotated photos: COCO's twelve metrics, for boxes and for masks."""
    from burnish.cli.progress import ConsoleProgress
    from burnish.detection.coco import read_dataset
    from burnish.detection.detect import MaskRCNN
    from burnish.detection.training.evaluate import evaluate_detector

    loaded = MaskRCNN.open(detector, device=device, threads=threads)
    datasets = [read_dataset(*pair) for pair in _pair_files(coco, images, "--coco", "--images")]
    with ConsoleProgress() as progress:
        metrics = [evaluate_detector(loaded, dataset, progress) for dataset in datasets]
    if json_output:
        typer.echo(json.dumps([metric.model_dump() for metric in metrics], indent=2))
        return
    for metric in metrics:
        _print_metrics(metric)


def export(
    weights: Annotated[
        Path | None,
        typer.Argument(help="torchvision's weights of maskrcnn_resnet50_fpn_v2, a .pth file."),
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The detector's file, .onnx.")
    ] = Path("detector.onnx"),
    download: Annotated[
        bool, typer.Option("--download", help="Download torchvision's COCO weights first (186 MB).")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Export torchvision's Mask R-CNN, with COCO's 80 categories, as a detector's file."""
    from burnish.detection.training.torchvision_weights import export_resnet50

    typer.echo(export_resnet50(weights, output, download=download, overwrite=overwrite))


def synthesize(
    cut_outs: Annotated[Path, typer.Option(help="Folder of images of objects with alpha.")],
    backgrounds: Annotated[Path, typer.Option(help="Folder of photos to paste them into.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="A new folder.")],
    count: Annotated[int, typer.Option(min=1, help="Number of composites.")] = 100,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", help="A class with cut-outs in a subfolder of that name."),
    ] = None,
    other_class: Annotated[str, typer.Option(help="The class of all others.")] = "object",
    width: Annotated[int, typer.Option(min=64, help="In pixels.")] = 480,
    height: Annotated[int, typer.Option(min=64, help="In pixels.")] = 320,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random choices.")] = 0,
) -> None:
    """Paste cut-outs into photos, and write the composites with a COCO file of their outlines."""
    from burnish.cli.progress import ConsoleProgress
    from burnish.detection.training.cut_outs import read_cut_outs
    from burnish.detection.training.synthesize import synthesize_dataset

    loaded = read_cut_outs(cut_outs, [*(classes or []), other_class], other_class)
    with ConsoleProgress() as progress:
        path = synthesize_dataset(
            loaded,
            backgrounds,
            output,
            count=count,
            size=(width, height),
            seed=seed,
            progress=progress,
        )
    typer.echo(path)


def explain(
    photo: Annotated[Path, typer.Argument(help="A photo.", readable=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="The page, an .html file.")],
    detector: Annotated[str, typer.Option(help="Name of a detector, or an .onnx file.")] = "light",
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="The lowest score that is shown.")
    ] = 0.3,
    device: Device = "auto",
    threads: Threads = None,
    overwrite: Overwrite = False,
) -> None:
    """Show the steps of a detection on a page: anchors, proposals, boxes and masks."""
    from burnish.detection.detect import MaskRCNN
    from burnish.detection.training.explain import write_explanation
    from burnish.files import check_absent, check_not_input

    check_absent(output, overwrite=overwrite)
    check_not_input(output, [photo, Path(detector)])
    loaded = MaskRCNN.open(detector, device=device, threads=threads)
    typer.echo(write_explanation(loaded, photo, output, threshold=threshold, overwrite=overwrite))


def _pair_files(
    files: list[Path], folders: list[Path], file_option: str, folder_option: str
) -> tuple[tuple[Path, Path], ...]:
    if len(files) != len(folders):
        raise UsageError(
            folder_option,
            f"{len(folders)} folders for {len(files)} files of {file_option}",
            f"give {folder_option} once for each {file_option}, in the same order",
        )
    return tuple(zip(files, folders, strict=True))


_COCO_METRICS = (
    *("AP", "AP50", "AP75", "AP small", "AP medium", "AP large"),
    *("AR at 1", "AR at 10", "AR at 100", "AR small", "AR medium", "AR large"),
)


def _print_metrics(metrics: "CocoMetrics") -> None:
    typer.echo(f"{metrics.dataset}: {metrics.photo_count} photos, {metrics.object_count} objects")
    typer.echo(f"{'':12}{'boxes':>8}{'masks':>8}")
    for name, box, mask in zip(_COCO_METRICS, metrics.box, metrics.mask, strict=True):
        typer.echo(f"{name:12}{_percent(box)}{_percent(mask)}")
    for name, mask in metrics.mask_ap_by_class.items():
        typer.echo(f"mask AP of {name}: {_percent(mask).strip()}")


def _percent(fraction: float) -> str:
    """Return a fraction in percent, or a dash for the -1 that stands for an undefined metric."""
    return f"{100 * fraction:8.1f}" if fraction >= 0 else f"{'-':>8}"
