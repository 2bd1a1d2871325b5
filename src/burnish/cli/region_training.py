"""`burnish regions train|evaluate|export|compose|explain`: making and looking into detectors."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from burnish.cli.options import Device, JsonOutput, Overwrite, Threads

if TYPE_CHECKING:
    from burnish.detection.card import CocoMetrics

Coco = Annotated[
    list[Path], typer.Option("--coco", help="COCO file of instances; may be repeated.")
]
Images = Annotated[
    list[Path],
    typer.Option("--images", help="Folder of its photos; once for each --coco, in that order."),
]
Detector = Annotated[str, typer.Argument(help="A detector's name, or an .onnx file.")]


def register(group: typer.Typer) -> None:
    """Enter these commands into a group."""
    for command in (train, evaluate, export, compose, explain):
        group.command()(command)


def train(
    coco: Coco,
    images: Images,
    output: Annotated[Path, typer.Option("-o", "--output", help="The detector's file, .onnx.")],
    held_out_coco: Annotated[
        list[Path] | None, typer.Option(help="COCO file to judge on; may be repeated.")
    ] = None,
    held_out_images: Annotated[
        list[Path] | None, typer.Option(help="Folder of its photos; once for each.")
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", help="A category to tell apart; may be repeated. All by default."),
    ] = None,
    rest: Annotated[
        str | None,
        typer.Option(help="One more class, that stands for all other categories and cut-outs."),
    ] = None,
    cut_outs: Annotated[
        Path | None,
        typer.Option(
            help="Folder of pictures of objects with alpha, pasted into the photos; those in a "
            "folder called as a class are of that class."
        ),
    ] = None,
    backgrounds: Annotated[
        Path | None, typer.Option(help="Folder of photos in which there is nothing to find.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="ImageNet weights of EfficientNet-Lite0; at random without them."),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="How long to train: 30m, 1h30m. By default 30m.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Train so many steps instead of a budget.")
    ] = None,
    run_folder: Annotated[
        Path | None, typer.Option(help="Folder for the checkpoint; runs/NAME by default.")
    ] = None,
    canvas: Annotated[
        int, typer.Option(min=64, max=1024, help="Shorter side of what it looks at, in pixels.")
    ] = 320,
    batch: Annotated[int, typer.Option(min=1, help="Pictures a step.")] = 2,
    peak_rate: Annotated[float, typer.Option(min=0, help="The highest learning rate.")] = 6e-4,
    edges: Annotated[
        float, typer.Option(min=0, help="Weight of the edge agreement loss; 0 for none.")
    ] = 0.0,
    mask_score: Annotated[
        bool, typer.Option(help="Whether a head learns how well each mask fits.")
    ] = False,
    paste: Annotated[
        float, typer.Option(min=0, max=1, help="Share of pictures that cut-outs are pasted into.")
    ] = 0.8,
    seed: Annotated[int, typer.Option(min=0, help="Every random choice follows from it.")] = 0,
    save_every: Annotated[float, typer.Option(min=0, help="Seconds between checkpoints.")] = 60.0,
    title: Annotated[str, typer.Option(help="Said on its card.")] = "Objects in photos",
    abilities: Annotated[
        str, typer.Option(help="What it can do and what it cannot, said on its card.")
    ] = "Not stated.",
    licence: Annotated[
        str, typer.Option(help="Who may use the detector, said on its card.")
    ] = "unstated",
    overwrite: Overwrite = False,
) -> None:
    """Learn a light Mask R-CNN from outlined photos; resumes an interrupted run."""
    from burnish.cli.regions_progress import DetectorProgress
    from burnish.detection.training.command import train_detector

    with DetectorProgress(sys.stderr) as progress:
        path, measured = train_detector(
            datasets=_pair_files(coco, images, "--coco", "--images"),
            validation=_pair_files(
                held_out_coco or [], held_out_images or [], "--held-out-coco", "--held-out-images"
            ),
            classes=tuple(classes or ()),
            other_class=rest,
            budget=budget,
            steps=steps,
            run_dir=run_folder,
            output=output,
            callbacks=progress,
            config_fields={
                "image_size": canvas,
                "batch_size": batch,
                "max_lr": peak_rate,
                "edge_loss_weight": edges,
                "mask_iou_head": mask_score,
                "copy_paste_prob": paste,
                "seed": seed,
            },
            request_fields={
                "cut_out_dir": cut_outs,
                "background_dir": backgrounds,
                "weights": weights,
                "save_every": save_every,
                "title": title,
                "description": abilities,
                "licence": licence,
                "overwrite": overwrite,
            },
        )
    typer.echo(f"{path}")
    for measurement in measured:
        _print_measurement(measurement)


def evaluate(
    coco: Coco,
    images: Images,
    detector: Detector = "light",
    device: Device = "auto",
    threads: Threads = None,
    json_output: JsonOutput = False,
) -> None:
    """Judge a detector on outlined photos: the twelve numbers of COCO, for boxes and masks."""
    from burnish.cli.task_progress import TaskProgress
    from burnish.detection import coco as files
    from burnish.detection.detect import MaskRCNN
    from burnish.detection.training.evaluate import evaluate_detections, run_detector

    opened = MaskRCNN.open(detector, device=device, threads=threads)
    sets = [files.read_dataset(*pair) for pair in _pair_files(coco, images, "--coco", "--images")]
    results = []
    for each in sets:
        with TaskProgress(sys.stderr) as progress:
            progress.start(f"judging on {each.source.name}", len(each.images))
            results.append(
                evaluate_detections(run_detector(opened, each, progress.advance), each, opened.card)
            )
    if json_output:
        typer.echo(json.dumps([result.model_dump() for result in results], indent=2))
        return
    for result in results:
        _print_measurement(result)


def export(
    weights: Annotated[
        Path | None,
        typer.Argument(help="torchvision's weights of maskrcnn_resnet50_fpn_v2, a .pth file."),
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The detector's file, .onnx.")
    ] = Path("detector.onnx"),
    download: Annotated[
        bool, typer.Option("--download", help="Fetch torchvision's COCO weights first, 186 MB.")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Make a detector's file of torchvision's full Mask R-CNN, for COCO's 80 categories."""
    from burnish.detection.training.torchvision_weights import export_resnet50

    typer.echo(export_resnet50(weights, output, download=download, overwrite=overwrite))


def compose(
    cut_outs: Annotated[Path, typer.Option(help="Folder of pictures of objects with alpha.")],
    backgrounds: Annotated[Path, typer.Option(help="Folder of photos to paste them into.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="A new folder.")],
    count: Annotated[int, typer.Option(min=1, help="How many composites.")] = 100,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", help="A class whose cut-outs lie in a folder of that name."),
    ] = None,
    rest: Annotated[str, typer.Option(help="The class of all others.")] = "object",
    width: Annotated[int, typer.Option(min=64, help="In pixels.")] = 480,
    height: Annotated[int, typer.Option(min=64, help="In pixels.")] = 320,
    seed: Annotated[int, typer.Option(min=0, help="Every random choice follows from it.")] = 0,
) -> None:
    """Paste cut-outs into photos; writes composites and a COCO file with their exact outlines."""
    from burnish.cli.task_progress import TaskProgress
    from burnish.detection.training.cut_outs import read_cut_outs
    from burnish.detection.training.synthesize import synthesize_dataset as composed

    read = read_cut_outs(cut_outs, [*(classes or []), rest], rest)
    with TaskProgress(sys.stderr) as progress:
        progress.start("composing", count)
        path = composed(
            read,
            backgrounds,
            output,
            count=count,
            size=(width, height),
            seed=seed,
            on_progress=progress.advance,
        )
    typer.echo(path)


def explain(
    photo: Annotated[Path, typer.Argument(help="A photo.", readable=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="The page, an .html file.")],
    detector: Annotated[str, typer.Option(help="A detector's name, or an .onnx file.")] = "light",
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="The lowest score that is shown.")
    ] = 0.3,
    device: Device = "auto",
    threads: Threads = None,
    overwrite: Overwrite = False,
) -> None:
    """Show how a detector came to what it found: anchors, proposals, boxes and masks, on a page."""
    from burnish.detection.detect import MaskRCNN
    from burnish.detection.training.explain import write_explanation as explained
    from burnish.files import check_absent, check_not_input

    check_absent(output, overwrite=overwrite)
    check_not_input(output, [photo, Path(detector)])
    opened = MaskRCNN.open(detector, device=device, threads=threads)
    typer.echo(explained(opened, photo, output, threshold=threshold, overwrite=overwrite))


def _pair_files(
    files: list[Path], folders: list[Path], one: str, other: str
) -> tuple[tuple[Path, Path], ...]:
    from burnish.errors import UsageError

    if len(files) != len(folders):
        raise UsageError(
            f"{one} and {other}",
            expected="as many folders as files",
            got=f"{len(files)} and {len(folders)}",
            remedy=f"give {other} once for each {one}, in the same order",
        )
    return tuple(zip(files, folders, strict=True))


_COCO_METRICS = (
    *("AP", "AP50", "AP75", "AP small", "AP medium", "AP large"),
    *("AR at 1", "AR at 10", "AR at 100", "AR small", "AR medium", "AR large"),
)


def _print_measurement(measured: "CocoMetrics") -> None:
    typer.echo(
        f"{measured.dataset}: {measured.photo_count} photos, {measured.object_count} objects"
    )
    typer.echo(f"{'':12}{'boxes':>8}{'masks':>8}")
    for name, box, mask in zip(_COCO_METRICS, measured.box, measured.mask, strict=True):
        typer.echo(f"{name:12}{_percent(box)}{_percent(mask)}")
    for name, mask in measured.mask_ap_by_class.items():
        typer.echo(f"AP of masks, {name}: {_percent(mask).strip()}")


def _percent(fraction: float) -> str:
    """Write a share in percent; there is none where no object is of the kind."""
    return f"{100 * fraction:8.1f}" if fraction >= 0 else f"{'-':>8}"
