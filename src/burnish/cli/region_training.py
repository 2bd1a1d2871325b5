"""`burnish regions train|evaluate|compress|get|export|synthesize|explain`: work on detectors."""

import json
import sys
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from burnish.cli.options import Device, JsonOutput, Overwrite, Threads, expand, option
from burnish.errors import UsageError
from burnish.training.config import parse_budget

if TYPE_CHECKING:
    from burnish.detection.detector_file import CocoMetrics

Coco = Annotated[list[Path], Option("--coco", help="COCO file with instances; may be repeated.")]
Images = Annotated[
    list[Path],
    Option(
        "--images",
        metavar="FOLDER",
        help="Folder of its photos; one for each --coco, in that order.",
    ),
]
Detector = Annotated[str, Argument(help="Name of a detector, or an .onnx file.")]


@dataclass(frozen=True)
class DetectorTrainOptions:
    """The fields of `DetectorTrainConfig` that the command line sets."""

    classes: tuple[str, ...] = option(
        (), "A category to detect; may be repeated. [default: all]", "--class"
    )
    other_class: str | None = option(None, "One more class, for all other categories and cut-outs.")
    budget: float | None = option(
        None,
        "Training time, such as 1h30m. [default: 30m]",
        type=str | None,
        parse=parse_budget,
    )
    steps: int | None = option(None, "Number of training steps, instead of a budget.", min=1)
    image_size: int = option(320, "Side of the training images in pixels.", min=64, max=1024)
    batch_size: int = option(2, "Images per step.", "--batch", min=1)
    max_lr: float = option(6e-4, "Peak learning rate.", min=0)
    edge_loss_weight: float = option(
        0.0, "Weight of the edge agreement loss; 0 disables it.", min=0
    )
    mask_iou_head: bool = option(False, "Train a head that predicts the IoU of each mask.")
    copy_paste_prob: float = option(
        0.8, "Probability that cut-outs are pasted into an image.", min=0, max=1
    )
    seed: int = option(0, "Seed of all random choices.", min=0)


@dataclass(frozen=True)
class DetectorFiles:
    """The fields of `DetectorRequest` besides data sets and configuration."""

    output: Path = option(MISSING, "The detector's file, .onnx.", "-o", "--output")
    cut_out_dir: Path | None = option(
        None,
        "Folder of images of objects with alpha, which are pasted into the photos. Those in a "
        "subfolder with the name of a class belong to that class.",
        "--cut-outs",
        metavar="FOLDER",
    )
    background_dir: Path | None = option(
        None, "Folder of photos without any objects.", "--backgrounds", metavar="FOLDER"
    )
    weights: Path | None = option(
        None, "ImageNet weights of EfficientNet-Lite0. [default: random weights]"
    )
    run_dir: Path | None = option(
        None, "Folder for the checkpoint. [default: runs/NAME]", metavar="FOLDER"
    )
    save_every: float = option(60.0, "Seconds between checkpoints.", min=0)
    title: str = option("Objects in photos", "Title, for the card.")
    description: str = option("Not stated.", "Abilities and limits of the detector, for its card.")
    licence: str = option("unstated", "Licence of the detector, for its card.")
    overwrite: bool = option(False, "Replace an existing output.")


@expand
def train(
    coco: Coco,
    images: Images,
    val_coco: Annotated[
        list[Path] | None, Option(help="COCO file to validate on; may be repeated.")
    ] = None,
    val_images: Annotated[
        list[Path] | None,
        Option(
            metavar="FOLDER", help="Folder of its photos; one for each --val-coco, in that order."
        ),
    ] = None,
    *,
    files: DetectorFiles,
    config: DetectorTrainOptions,
) -> None:
    """Train a light Mask R-CNN on annotated photos. An interrupted training resumes."""
    from burnish.cli.train import TrainingProgress
    from burnish.detection.training.config import DetectorTrainConfig
    from burnish.detection.training.run import DetectorRequest, train_detector

    request = DetectorRequest(
        datasets=_pair_files(coco, images, "--coco", "--images"),
        validation=_pair_files(val_coco or [], val_images or [], "--val-coco", "--val-images"),
        config=DetectorTrainConfig(**vars(config)),
        **vars(files),
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

    model = MaskRCNN.open(detector, device=device, threads=threads)
    datasets = [read_dataset(*pair) for pair in _pair_files(coco, images, "--coco", "--images")]
    with ConsoleProgress() as progress:
        metrics = [evaluate_detector(model, dataset, progress) for dataset in datasets]
    if json_output:
        typer.echo(json.dumps([metric.model_dump() for metric in metrics], indent=2))
        return
    for metric in metrics:
        _print_metrics(metric)


def compress(
    detector: Detector,
    photos: Annotated[
        Path,
        Option(metavar="FOLDER", help="Folder of photos like yours, to measure features on."),
    ],
    output: Annotated[Path, Option("-o", "--output", help="The detector's file, .onnx.")],
    coco: Annotated[
        list[Path] | None,
        Option(
            "--coco", help="COCO file with instances, to measure the accuracy; may be repeated."
        ),
    ] = None,
    images: Annotated[
        list[Path] | None,
        Option(
            "--images",
            metavar="FOLDER",
            help="Folder of its photos; one for each --coco, in that order.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    json_output: JsonOutput = False,
) -> None:
    """Make a detector faster: its backbone and pyramid compute in 8-bit integers.

    Heads, which find the objects in their features, stay as they are. Time, size and accuracy are
    measured before and after. Nothing is written if it does not become faster on this machine.
    """
    from burnish.cli.progress import ConsoleProgress
    from burnish.detection.coco import read_dataset
    from burnish.errors import missing_library

    try:
        from burnish.detection.training.quantise import quantise
    except ModuleNotFoundError as error:
        raise missing_library(error, "regions").with_context("regions compress") from error
    pairs = _pair_files(coco or [], images or [], "--coco", "--images")
    datasets = [read_dataset(*pair) for pair in pairs]
    with ConsoleProgress() as progress:
        figures = quantise(
            detector, photos, output, datasets, overwrite=overwrite, progress=progress
        )
    if json_output:
        rows = [
            vars(row) | {"metrics": [metric.model_dump() for metric in row.metrics]}
            for row in figures
        ]
        typer.echo(json.dumps({"path": str(output), "before": rows[0], "after": rows[1]}, indent=2))
        return
    before, after = figures
    rate = before.milliseconds / after.milliseconds
    typer.echo(f"{'':24}{'before':>10}{'after':>10}")
    for name, attribute in (("CPU time, ms a photo", "milliseconds"), ("file, MB", "megabytes")):
        values = [getattr(row, attribute) for row in figures]
        typer.echo(f"{name:24}{values[0]:10.1f}{values[1]:10.1f}")
    for own, other in zip(before.metrics, after.metrics, strict=True):
        typer.echo(f"{own.dataset}: {own.photo_count} photos, {own.object_count} objects")
        for name, box in (("AP of boxes", True), ("AP of masks", False)):
            values = [(m.box if box else m.mask)[0] for m in (own, other)]
            typer.echo(f"{name:24}  {_percent(values[0])}  {_percent(values[1])}")
    typer.echo(f"{output}  is {rate:.2f} times as fast")


def export(
    weights: Annotated[
        Path | None,
        Argument(help="torchvision's weights of maskrcnn_resnet50_fpn_v2, a .pth file."),
    ] = None,
    output: Annotated[Path, Option("-o", "--output", help="The detector's file, .onnx.")] = Path(
        "detector.onnx"
    ),
    download: Annotated[
        bool, Option("--download", help="Download torchvision's COCO weights first (186 MB).")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Export torchvision's Mask R-CNN, with COCO's 80 categories, as a detector's file."""
    from burnish.detection.training.export import export_resnet50

    typer.echo(export_resnet50(weights, output, download=download, overwrite=overwrite))


def get(
    name: Annotated[str, Argument(metavar="full", help="The detector to get.")],
    weights: Annotated[
        Path | None,
        Option(metavar="FILE", help="The file of torchvision's weights, if you have it."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Download a better detector for COCO's 80 categories, and use it from now on.

    It is torchvision's Mask R-CNN (186 MB), which is converted and put into burnish's cache. The
    conversion needs the extra 'regions'; the use of the detector does not.
    """
    from burnish.detection import detector_file
    from burnish.errors import missing_library
    from burnish.files import check_absent

    if name != detector_file.DOWNLOADED:
        problem = "there is no such detector to download"
        raise UsageError(name, problem, f"write: burnish regions get {detector_file.DOWNLOADED}")
    check_absent(detector_file.downloaded_folder() / f"{name}.onnx", overwrite=overwrite)
    try:
        from burnish.detection.training.get import URL, get_full
    except ModuleNotFoundError as error:
        raise missing_library(error, "regions").with_context("regions get") from error
    if weights is None:
        print(f"burnish: downloading {URL}", file=sys.stderr)
    path = get_full(weights, overwrite=overwrite)
    typer.echo(f"{path}  is the default detector from now on")


def synthesize(
    cut_outs: Annotated[
        Path, Option(metavar="FOLDER", help="Folder of images of objects with alpha.")
    ],
    backgrounds: Annotated[
        Path, Option(metavar="FOLDER", help="Folder of photos to paste them into.")
    ],
    output: Annotated[Path, Option("-o", "--output", metavar="FOLDER", help="A new folder.")],
    count: Annotated[int, Option(min=1, help="Number of composites.")] = 100,
    classes: Annotated[
        list[str] | None,
        Option(
            "--class", help="A class with cut-outs in a subfolder of that name; may be repeated."
        ),
    ] = None,
    other_class: Annotated[str, Option(help="The class of all others.")] = "object",
    width: Annotated[int, Option(min=64, help="Width of a composite in pixels.")] = 480,
    height: Annotated[int, Option(min=64, help="Height of a composite in pixels.")] = 320,
    seed: Annotated[int, Option(min=0, help="Seed of all random choices.")] = 0,
) -> None:
    """Paste cut-outs into photos, and write the composites with a COCO file of their outlines."""
    from burnish.cli.progress import ConsoleProgress
    from burnish.detection.training.cut_outs import read_cut_outs, synthesize_dataset

    cut_out_images = read_cut_outs(cut_outs, [*(classes or []), other_class], other_class)
    with ConsoleProgress() as progress:
        path = synthesize_dataset(
            cut_out_images,
            backgrounds,
            output,
            count=count,
            size=(width, height),
            seed=seed,
            progress=progress,
        )
    typer.echo(path)


def explain(
    photo: Annotated[Path, Argument(help="The photo to explain.", readable=False)],
    output: Annotated[Path, Option("-o", "--output", help="The page, an .html file.")],
    detector: Annotated[str, Option(help="Name of a detector, or an .onnx file.")] = "light",
    threshold: Annotated[float, Option(min=0, max=1, help="The lowest score that is shown.")] = 0.3,
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
    model = MaskRCNN.open(detector, device=device, threads=threads)
    typer.echo(write_explanation(model, photo, output, threshold=threshold, overwrite=overwrite))


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
