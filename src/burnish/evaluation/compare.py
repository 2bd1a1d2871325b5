"""Comparison of a network with its reference operator on one photo."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from burnish.editing.annotate import GLYPH_HEIGHT, render_text
from burnish.editing.edit import slider_params
from burnish.editing.options import OutputOptions
from burnish.editing.plan import output_path
from burnish.errors import UsageError
from burnish.evaluation.reference import reference_function
from burnish.metrics import mse, psnr
from burnish.operators.user_defined import find_runnable_operator
from burnish.params import Value
from burnish.photo import Photo
from burnish.runtime.engines import DEFAULT_ENGINE
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
    before : the photo, (H, W, 3) float32 in [0, 1]
    slow, fast : the outputs of the operator and of the network, of the same kind
    slow_seconds, fast_seconds : their times
    psnr, identity_psnr : PSNR, in dB, of the network's output and of the photo, against the
        operator's output
    """

    before: Pixels
    slow: Pixels
    fast: Pixels
    slow_seconds: float
    fast_seconds: float
    psnr: float
    identity_psnr: float

    def record(self) -> dict[str, float]:
        """Return the measurements, for JSON."""
        return {
            "slow_seconds": round(self.slow_seconds, 4),
            "fast_seconds": round(self.fast_seconds, 4),
            "psnr": round(self.psnr, 3),
            "identity_psnr": round(self.identity_psnr, 3),
            "megapixels": round(self.before.shape[0] * self.before.shape[1] / 1e6, 4),
        }


def compare_photo(
    model: str | Path,
    photo: Path,
    target: Path | None = None,
    *,
    reference: str | None = None,
    overwrite: bool = False,
    device: str = "auto",
    threads: int | None = None,
    engine: str = DEFAULT_ENGINE,
    params: Mapping[str, Value] | None = None,
) -> tuple[Comparison, Path]:
    """Compare a model with its operator on a photo, and write the images side by side.

    Parameters
    ----------
    target : the output file [default: PHOTO.MODEL.compare.png next to the photo]
    reference : the reference operator, if the card names one that does not come with burnish
    params : values of the model's sliders, by name or keyword

    Returns
    -------
    The comparison, and the path of the written image

    Raises
    ------
    UsageError : a video, no known operator, the target is the photo itself, or a value that the
        model was not trained for
    PhotoError, ModelError, DeviceError, OperatorError : as in `burnish.apply`
    OutputError : the target exists and `overwrite` is not set
    """
    if has_video_extension(photo):
        raise UsageError(str(photo), "this is a video", "compare on one of its frames")
    loaded_model = Model.open(model, device=device, threads=threads, engine=engine)
    sliders = slider_params(loaded_model.card, params or {})
    target = target or photo.parent / f"{photo.stem}.{loaded_model.card.name}.compare.png"
    output_path(photo, loaded_model.card.name, OutputOptions(target, overwrite=overwrite))
    slow = (
        find_runnable_operator(reference).run
        if reference
        else reference_function(loaded_model.card, sliders)
    )
    comparison = compare(
        Photo.open(photo).pixels, slow, lambda pixels: loaded_model(pixels, sliders)
    )
    sheet = side_by_side(
        [
            (comparison.before, "before"),
            (comparison.slow, f"slow: {comparison.slow_seconds:.2f} s"),
            (comparison.fast, f"fast: {comparison.fast_seconds:.2f} s, {comparison.psnr:.1f} dB"),
        ]
    )
    return comparison, sheet.save(target, overwrite=overwrite)


def compare(
    pixels: Pixels, slow: Callable[[Pixels], Pixels], fast: Callable[[Pixels], Pixels]
) -> Comparison:
    """Compare two functions on an image (H, W, 3) in [0, 1], each after a warm-up on a corner."""
    slow_result, slow_seconds = _timed(slow, pixels)
    fast_result, fast_seconds = _timed(fast, pixels)
    return Comparison(
        before=pixels,
        slow=slow_result,
        fast=fast_result,
        slow_seconds=slow_seconds,
        fast_seconds=fast_seconds,
        psnr=psnr(mse(fast_result, slow_result)),
        identity_psnr=psnr(mse(pixels, slow_result)),
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
    result = run(pixels)
    return result, time.perf_counter() - start
