"""Compare: the photo, the slow operator and the network on one picture, with error and times."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyvips
from numpy.typing import NDArray

from burnish.editing.edit import reference_of
from burnish.editing.plan import check_free
from burnish.operators.own import resolve_callable
from burnish.photo import Photo
from burnish.runtime.model import Model

Pixels = NDArray[np.float32]

GAP = 8
LABEL_HEIGHT = 28


@dataclass(frozen=True)
class Comparison:
    """Three pictures and what was measured. PSNR in dB, peak 1, against the slow operator."""

    before: Pixels
    slow: Pixels
    fast: Pixels
    slow_seconds: float
    fast_seconds: float
    psnr: float
    untouched_psnr: float

    def record(self) -> dict[str, float]:
        """Return what was measured, for JSON."""
        return {
            "slow_seconds": round(self.slow_seconds, 4),
            "fast_seconds": round(self.fast_seconds, 4),
            "psnr": round(self.psnr, 3),
            "untouched_psnr": round(self.untouched_psnr, 3),
            "megapixels": round(self.before.shape[0] * self.before.shape[1] / 1e6, 4),
        }


def compare_photo(
    model: str | Path,
    photo: Path,
    target: Path,
    *,
    reference: str | None = None,
    overwrite: bool = False,
    device: str = "auto",
    threads: int | None = None,
) -> Comparison:
    """Compare on a photo and write the three pictures side by side.

    Parameters
    ----------
    reference : the slow operator where the model's card names none that burnish knows

    Raises
    ------
    UsageError : no reference is known for the model
    PhotoError, ModelError, DeviceError, OperatorError : as `burnish.apply` raises them
    OutputError : the target exists and `overwrite` is not set
    """
    check_free(target, overwrite=overwrite)
    opened = Model.open(model, device=device, threads=threads)
    slow = resolve_callable(reference).run if reference else reference_of(opened.card)
    found = compare(Photo.open(photo).pixels, slow, opened)
    sheet = beside(
        [
            (found.before, "before"),
            (found.slow, f"slow: {found.slow_seconds:.2f} s"),
            (found.fast, f"fast: {found.fast_seconds:.2f} s, {found.psnr:.1f} dB"),
        ]
    )
    sheet.save(target, overwrite=overwrite)
    return found


def compare(
    pixels: Pixels, slow: Callable[[Pixels], Pixels], fast: Callable[[Pixels], Pixels]
) -> Comparison:
    """Run both on a picture (H, W, 3) in [0, 1]; each timed after a warm-up on a corner of it."""
    slow_result, slow_seconds = _timed(slow, pixels)
    fast_result, fast_seconds = _timed(fast, pixels)
    return Comparison(
        before=pixels,
        slow=slow_result,
        fast=fast_result,
        slow_seconds=slow_seconds,
        fast_seconds=fast_seconds,
        psnr=psnr(fast_result, slow_result),
        untouched_psnr=psnr(pixels, slow_result),
    )


def psnr(result: Pixels, target: Pixels) -> float:
    """Peak signal-to-noise ratio in dB with peak 1; infinite for equal pictures.

    Examples
    --------
    >>> black = np.zeros((2, 2, 3), np.float32)
    >>> round(psnr(black + np.float32(0.1), black), 3)
    20.0
    """
    error = float(np.mean(np.square(result.astype(np.float64) - target)))
    return float("inf") if error == 0 else -10 * float(np.log10(error))


def beside(pictures: list[tuple[Pixels, str]]) -> Photo:
    """Put pictures of equal size side by side, each with a label below it."""
    height, width = pictures[0][0].shape[:2]
    sheet = np.ones((height + LABEL_HEIGHT, len(pictures) * (width + GAP) - GAP, 3), np.float32)
    for index, (pixels, text) in enumerate(pictures):
        left = index * (width + GAP)
        sheet[:height, left : left + width] = pixels
        _write(sheet[height:, left : left + width], text)
    return Photo(np.clip(sheet, 0, 1))


def _write(area: Pixels, text: str) -> None:
    """Draw `text` in black into a white area, as large as fits."""
    ink = pyvips.Image.text(text, width=area.shape[1] - 8, height=area.shape[0] - 8).numpy()
    ink = ink[: area.shape[0] - 4, : area.shape[1] - 4].astype(np.float32) / 255
    area[4 : 4 + ink.shape[0], 4 : 4 + ink.shape[1]] -= ink.reshape(*ink.shape[:2], 1)


def _timed(run: Callable[[Pixels], Pixels], pixels: Pixels) -> tuple[Pixels, float]:
    run(np.ascontiguousarray(pixels[:64, :64]))
    start = time.perf_counter()
    result = run(pixels)
    return result, time.perf_counter() - start
