"""`burnish keywords`: learn keywords from a library, and suggest them for photos."""

import json
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from burnish.cli.options import BurnishCommand, Device, JsonOutput, Overwrite, Threads
from burnish.errors import BurnishError, UsageError, missing_library
from burnish.files import check_absent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from burnish.keywords.keyword_file import KeywordCard, Measured
    from burnish.keywords.suggest import PhotoSuggestions, Suggester

app = typer.Typer(rich_markup_mode=None)
keywords = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Learn keywords from photos that have them, and suggest them for others.",
)
app.add_typer(keywords, name="keywords")

Library = Annotated[
    list[Path],
    Argument(metavar="LIBRARY...", help="Folders of photos with keywords.", readable=False),
]
Recursive = Annotated[bool, Option("-r", "--recursive", help="Include subfolders.")]

_COLUMNS = {
    "mean_ap": "mAP",
    "cf1": "CF1",
    "of1": "OF1",
    "top3_cf1": "CF1 top 3",
    "top3_of1": "OF1 top 3",
    "calibration_error": "cal. error",
}


@keywords.command("learn", cls=BurnishCommand)
def train(
    library: Library,
    output: Annotated[Path, Option("-o", "--output", help="The model's file, .onnx.")],
    min_photos: Annotated[
        int, Option(min=2, help="Learn keywords that at least this many photos have.")
    ] = 3,
    seeds: Annotated[int, Option(min=1, max=50, help="Random splits to compare the heads on.")] = 5,
    include_suggested: Annotated[
        bool,
        Option("--include-suggested", help="Learn from keywords that burnish suggested, too."),
    ] = False,
    weights: Annotated[
        Path | None,
        Option(help="ImageNet weights of EfficientNet-Lite0. [default: those of the extra]"),
    ] = None,
    licence: Annotated[str, Option(help="Licence of the model, for its card.")] = "unstated",
    recursive: Recursive = False,
    overwrite: Overwrite = False,
    threads: Threads = None,
    json_output: JsonOutput = False,
) -> None:
    """Learn a model from the keywords in XMP and IPTC; nothing leaves this computer.

    Three heads are compared on photos held out: a linear one, ML-GCN with a graph of the labels,
    and a query decoder. The best by validation is trained on all photos, and written. This needs
    the extra 'keywords'; running the model does not.
    """
    from burnish.cli.progress import ConsoleProgress
    from burnish.keywords.library import read_library

    try:
        from burnish.keywords.training.fit import FitConfig
        from burnish.keywords.training.run import KeywordRequest, train_keywords
    except ModuleNotFoundError as error:
        raise missing_library(error, "keywords").with_context("keywords learn") from error
    check_absent(output, overwrite=overwrite)
    with ConsoleProgress() as progress:
        photos = read_library(library, recursive=recursive, progress=progress)
        if photos.failed and not photos.photos:
            raise photos.failed[0]
        request = KeywordRequest(
            photos,
            output,
            name=", ".join(map(str, library)),
            min_photos=min_photos,
            include_suggested=include_suggested,
            config=FitConfig(seeds=seeds),
            weights=weights,
            threads=threads,
            licence=licence,
            overwrite=overwrite,
        )
        trained = train_keywords(request, progress)
    for failure in trained.failed:
        print(f"burnish: {failure}", file=sys.stderr)
    typer.echo(trained.card.model_dump_json(indent=2) if json_output else _table(trained.card))
    print(f"burnish: {output} suggests {len(trained.card.labels)} keywords", file=sys.stderr)
    if trained.failed:
        raise typer.Exit(BurnishError.exit_code)


def _table(card: "KeywordCard") -> str:
    """Return the metrics of the heads as a table, and the one that was chosen."""
    rows = [["head", "validation mAP", *_COLUMNS.values(), "gain in mAP"]]
    for metrics in card.metrics:
        gain = f"{metrics.gain:+.1f} ± {metrics.gain_deviation:.1f}"
        values = [_text(getattr(metrics, name)) for name in _COLUMNS]
        rows.append([metrics.head, _text(metrics.validation_ap), *values, gain])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    seeds, photos = card.training["seeds"], card.training["photos"]
    lines.append(
        f"{card.head} is saved. Means ± deviations over {seeds} splits of {photos} photos."
    )
    return "\n".join(lines)


def _text(measured: "Measured") -> str:
    return f"{measured.mean:.1f} ± {measured.deviation:.1f}"


@keywords.command(cls=BurnishCommand)
def suggest(
    photos: Annotated[
        list[Path],
        Argument(metavar="PHOTO...", help="Photos, and folders of them.", readable=False),
    ],
    model: Annotated[
        Path | None,
        Option(help="A model of `burnish keywords learn`. [default: a detector's classes]"),
    ] = None,
    detector: Annotated[
        str | None,
        Option(help="Also suggest the classes of this detector: a name or an .onnx file."),
    ] = None,
    library: Annotated[
        list[Path] | None,
        Option(
            metavar="FOLDER",
            help="Also learn from titles, captions and file names of these photos, now; may be "
            "repeated. Needs the extra 'keywords'.",
        ),
    ] = None,
    write: Annotated[
        bool, Option("--write", help="Add the suggestions to XMP and IPTC, marked as suggested.")
    ] = False,
    sheet: Annotated[
        Path | None, Option(help="Write a contact sheet to look at, an .html file.")
    ] = None,
    min_confidence: Annotated[
        float, Option(min=0, max=1, help="Smallest probability of a suggestion.")
    ] = 0.5,
    top: Annotated[int, Option(min=1, help="Maximum number of suggestions for a photo.")] = 10,
    recursive: Recursive = False,
    overwrite: Overwrite = False,
    device: Device = "auto",
    threads: Threads = None,
    json_output: JsonOutput = False,
) -> None:
    """Suggest keywords for photos, each with the probability that it is right.

    Keywords that a photo has are never suggested. --write adds to them, and keeps all other bytes
    of the file; a raw, HEIC, AVIF or GIF photo gets an .xmp file beside it.
    """
    from burnish.cli.progress import ConsoleProgress
    from burnish.detection.detector_file import default_name
    from burnish.editing.inputs import find_inputs
    from burnish.keywords.sheet import THUMBNAIL_SIDE, write_sheet
    from burnish.keywords.suggest import Choice
    from burnish.keywords.suggest import suggest as suggest_for
    from burnish.video.formats import has_video_extension

    if sheet is not None:
        if sheet.suffix.lower() not in (".html", ".htm"):
            raise UsageError(f"--sheet {sheet}", "the name does not end with .html", "rename it")
        check_absent(sheet, overwrite=overwrite)
    inputs = find_inputs(photos, recursive=recursive)
    files = [file.path for file in inputs.files if not has_video_extension(file.path)]
    if model is None and library is None and detector is None:
        detector = default_name()
        print(
            f"burnish: without --model, the classes of the detector {detector} are suggested",
            file=sys.stderr,
        )
    suggesters = _open_suggesters(model, detector, device, threads)
    failed = list(inputs.unreadable)
    words = _train_on_words(library, files, recursive=recursive) if library else {}
    done: list[PhotoSuggestions] = []
    choice, side = Choice(min_confidence, top), THUMBNAIL_SIDE if sheet else 0
    with ConsoleProgress(plain=False) as progress:
        progress.start("suggesting keywords", len(files))
        for error in failed:
            progress.message(f"burnish: {error}")
        for file in files:
            try:
                result = suggest_for(file, suggesters, choice, words.get(file), thumbnail_side=side)
                done.append(_written(result) if write else result)
                progress.echo(_row(done[-1], json_output=json_output))
            except BurnishError as error:
                failed.append(error)
                progress.message(f"burnish: {error}")
            progress.advance()
    if sheet is not None:
        write_sheet(done, sheet, overwrite=overwrite)
    if failed:
        raise typer.Exit(BurnishError.exit_code)


def _open_suggesters(
    model: Path | None, detector: str | None, device: str, threads: int | None
) -> "Sequence[Suggester]":
    from burnish.keywords.suggest import DetectedClasses, KeywordModel

    suggesters: list[Suggester] = []
    if model is not None:
        suggesters.append(KeywordModel(model, device=device, threads=threads))
    if detector is not None:
        suggesters.append(DetectedClasses(detector, device=device, threads=threads))
    return suggesters


def _train_on_words(
    library: list[Path], files: list[Path], *, recursive: bool
) -> dict[Path, dict[str, float]]:
    """Return the probabilities of keywords for photos, trained from the words of a library."""
    from burnish.keywords.library import Library as PhotoLibrary
    from burnish.keywords.library import LibraryPhoto, read_library
    from burnish.photo.keywords import read_texts

    try:
        from burnish.keywords.training.words import probabilities_from_words
    except ModuleNotFoundError as error:
        raise missing_library(error, "keywords").with_context("--library") from error
    read: PhotoLibrary = read_library(library, recursive=recursive)
    photos = []
    for file in files:
        with suppress(BurnishError):  # the file is reported when it is opened
            photos.append(LibraryPhoto(file, read_texts(file)))
    where = f"--library {', '.join(map(str, library))}"
    probabilities, result = probabilities_from_words(read, photos, where)
    print(
        f"burnish: words are read by {result.classifier}, the best by validation "
        f"({result.validation_score:.1f} % mAP)",
        file=sys.stderr,
    )
    return probabilities


def _written(photo: "PhotoSuggestions") -> "PhotoSuggestions":
    """Add the suggestions to a photo's file."""
    from burnish.photo.keywords import add_keywords

    words = [suggestion.keyword for suggestion in photo.suggestions]
    return replace(photo, written=add_keywords(photo.path, words))


def _row(photo: "PhotoSuggestions", *, json_output: bool) -> str:
    if json_output:
        return json.dumps(photo.record(), ensure_ascii=False)
    texts = [f"{one.keyword} {one.confidence:.2f}" for one in photo.suggestions]
    note = f"  (added {len(photo.written)})" if photo.written else ""
    return f"{photo.path}  {', '.join(texts) or '-'}{note}"
