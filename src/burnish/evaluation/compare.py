"""A network and the reference operator that it imitates, side by side on one photo."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from burnish.editing.annotate import GLYPH_HEIGHT, render_text
from burnish.editing.card_params import operator_params
from burnish.editing.combined_edit import mix_pixels
from burnish.editing.edit import NetworkEdit
from burnish.editing.options import OutputOptions
from burnish.editing.photo import for_photo
from burnish.editing.plan import output_path
from burnish.errors import UsageError
from burnish.files import is_folder
from burnish.metrics import mse, psnr
from burnish.modelfile.card import Card
from burnish.modelfile.quality import STANDARD
from burnish.operators.operator import Operator
from burnish.operators.registry import OPERATORS
from burnish.operators.user_defined import (
    card_operator_name,
    find_operator,
    find_runnable_operator,
)
from burnish.params import STRENGTH, Value
from burnish.photo import Photo
from burnish.progress import SILENT, Progress
from burnish.runtime.engines import AUTO
from burnish.runtime.model import Model
from burnish.types import Pixels
from burnish.video.formats import has_video_extension

# Pixels between two images.
GAP = 8


@dataclass(frozen=True)
class Comparison:
    """The images and measurements of a comparison.

    Parameters
    ----------
    before, slow, fast : the photo and the outputs of the operator and of the network,
        (H, W, 3) float32 in [0, 1]
    psnr, identity_psnr : PSNR of the network's output and of the photo against the operator's
        output, in dB
    guide : the source of a guided network's first level: "operator" or "network"
    engine, precision : the library that ran the network, and its arithmetic
    """

    before: Pixels
    slow: Pixels
    fast: Pixels
    slow_seconds: float
    fast_seconds: float
    psnr: float
    identity_psnr: float
    guide: str | None = None
    engine: str | None = None
    precision: str | None = None

    def record(self) -> dict[str, float | str | None]:
        """Return the measurements, for JSON."""
        return {
            "slow_seconds": round(self.slow_seconds, 4),
            "fast_seconds": round(self.fast_seconds, 4),
            "psnr": round(self.psnr, 3),
            "identity_psnr": round(self.identity_psnr, 3),
            "megapixels": round(self.before.shape[0] * self.before.shape[1] / 1e6, 4),
            "guide": self.guide,
            "engine": self.engine,
            "precision": self.precision,
        }


def compare_photo(
    model: str | Path,
    photo: Path,
    target: Path | None = None,
    *,
    reference: str | None = None,
    overwrite: bool = False,
    guide: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    engine: str = AUTO,
    precision: str = AUTO,
    quality: str | None = None,
    params: Mapping[str, Value] | None = None,
    strength: Value = 1,
    progress: Progress = SILENT,
) -> tuple[Comparison, Path]:
    """Compare a model with its operator on a photo, and write the images side by side.

    Parameters
    ----------
    target : the output file [default: PHOTO.MODEL.compare.png next to the photo]
    reference : the operator to compare with, if the card names one that is not bundled
    guide, engine, precision, quality : see `burnish.apply`
    params : values of the model's sliders, by name or keyword
    strength : share of both results in their mixtures with the photo
    progress : receives two tasks: the operator and the network

    Returns
    -------
    The comparison, and the path of the written image

    Raises
    ------
    UsageError : a video or a folder, no known operator, the target is the photo itself, a value
        that the model was not trained for, or a guide that is not possible
    PhotoError, ModelError, DeviceError, OperatorError : as in `burnish.apply`
    OutputError : the target exists and `overwrite` is not set
    """
    if has_video_extension(photo):
        raise UsageError(str(photo), "this is a video", "compare on one of its frames")
    if is_folder(photo):
        raise UsageError(str(photo), "this is a folder, not a photo", "name a photo in it")
    loaded_model = Model.open(
        model,
        device=device,
        threads=threads,
        engine=engine,
        precision=precision,
        quality=quality or STANDARD,
    )
    network = NetworkEdit(loaded_model, params or {}, guide)
    target = target or photo.parent / f"{photo.stem}.{loaded_model.card.name}.compare.png"
    output_path(photo, loaded_model.card.name, OutputOptions(target, overwrite=overwrite))
    operator = (
        partial(
            find_runnable_operator(reference).run,
            **chosen_params(loaded_model.card, params or {}, reference),
        )
        if reference
        else reference_function(loaded_model.card, params or {})
    )
    share = float(STRENGTH.check(strength))

    def with_strength(run: Callable[[Pixels], Pixels]) -> Callable[[Pixels], Pixels]:
        return run if share == 1 else lambda pixels: mix_pixels(pixels, run(pixels), share)

    opened = Photo.open(photo)
    edit = for_photo(network, opened.metadata)
    comparison = compare(opened.pixels, with_strength(operator), with_strength(edit.run), progress)
    [step] = edit.history
    comparison = replace(comparison, guide=step.guide, engine=step.engine, precision=step.precision)
    fast_caption = f"network: {comparison.fast_seconds:.2f} s, {comparison.psnr:.1f} dB"
    sheet = side_by_side(
        [
            (comparison.before, "unedited"),
            (comparison.slow, f"operator: {comparison.slow_seconds:.2f} s"),
            (comparison.fast, fast_caption),
        ]
    )
    return comparison, sheet.save(target, overwrite=overwrite)


def compare(
    pixels: Pixels,
    slow: Callable[[Pixels], Pixels],
    fast: Callable[[Pixels], Pixels],
    progress: Progress = SILENT,
) -> Comparison:
    """Compare two functions on an image (H, W, 3) in [0, 1], each after a warm-up on a corner."""
    progress.start("operator")
    slow_output, slow_seconds = _timed(slow, pixels)
    progress.start("network")
    fast_output, fast_seconds = _timed(fast, pixels)
    return Comparison(
        before=pixels,
        slow=slow_output,
        fast=fast_output,
        slow_seconds=slow_seconds,
        fast_seconds=fast_seconds,
        psnr=psnr(mse(fast_output, slow_output)),
        identity_psnr=psnr(mse(pixels, slow_output)),
    )


def side_by_side(images: list[tuple[Pixels, str]]) -> Photo:
    """Put images of equal size next to each other, each with a caption below it."""
    height, width = images[0][0].shape[:2]
    # Letters are enlarged twice on small images, and more on large ones.
    scale = max(2, width // 600)
    caption_height = scale * (GLYPH_HEIGHT + 6)
    canvas = np.ones((height + caption_height, len(images) * (width + GAP) - GAP, 3), np.float32)
    for index, (pixels, text) in enumerate(images):
        left = index * (width + GAP)
        canvas[:height, left : left + width] = pixels
        glyphs = np.kron(render_text(text), np.ones((scale, scale), np.float32))[:, :width, None]
        top = height + 3 * scale
        canvas[top : top + glyphs.shape[0], left : left + glyphs.shape[1]] -= glyphs
    return Photo(canvas)


def _timed(run: Callable[[Pixels], Pixels], pixels: Pixels) -> tuple[Pixels, float]:
    run(np.ascontiguousarray(pixels[:64, :64]))
    start = time.perf_counter()
    output = run(pixels)
    return output, time.perf_counter() - start


def reference_operator(card: Card) -> Operator:
    """Return the reference operator that a card names.

    Raises
    ------
    UsageError : the operator is not bundled. A card from elsewhere must not name
        code to run
    """
    operator = OPERATORS.get(card.operator)
    if operator is None:
        problem = f"its operator {card.operator!r} is not bundled"
        raise UsageError(f"model {card.name}", problem, "name the operator with --operator")
    return operator


def chosen_params(card: Card, params: Mapping[str, Value], operator: str) -> dict[str, Value]:
    """Return the parameters of an operator that the user has chosen to compare a model with.

    They are the values that the model imitates if its card names this operator, else the defaults.

    Parameters
    ----------
    params : values of the model's sliders, by name or keyword
    """
    if card_operator_name(operator) != card.operator:
        return {}
    known = {param.name for param in find_operator(operator).params}
    values = operator_params(card, params)
    return {name: value for name, value in values.items() if name in known}


def reference_function(card: Card, params: Mapping[str, Value]) -> Callable[[Pixels], Pixels]:
    """Return the reference operator that a model imitates, with its parameters set.

    Parameters
    ----------
    params : values of the model's sliders, by name or keyword

    Raises
    ------
    UsageError : as in `reference_operator`; or a parameter was a file, which a card does not hold
    """
    operator = reference_operator(card)
    values = operator_params(card, params)
    for fixed in card.fixed_params:
        if fixed.sha256:
            problem = f"its operator used the file {fixed.value}, which the card does not hold"
            command = f"burnish apply --slow {card.operator} --{fixed.name} FILE"
            raise UsageError(f"model {card.name}", problem, f"run the operator: {command}")
    return lambda pixels: operator.run(pixels, **values)
