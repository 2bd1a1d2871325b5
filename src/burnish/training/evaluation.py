"""What a network is worth: its pictures against the operator's, on photos never trained on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.metrics import mse, psnr
from burnish.params import Value
from burnish.training.pairs import Pair

# The window of SSIM is so many pixels wide.
LEAST_SIDE = 11

Filter = Callable[[NDArray[np.float32], Mapping[str, Value]], NDArray[np.float32]]


@dataclass(frozen=True)
class Score:
    """Errors of one picture or the mean over several; PSNR in dB with peak 1, SSIM on RGB."""

    mse: float
    psnr: float
    ssim: float


@dataclass(frozen=True)
class Report:
    """The scores of a set of photos. `untouched` is the photo itself against the operator."""

    count: int
    megapixels: float
    mean: Score
    worst: Score
    untouched: Score


def score(result: NDArray[np.float32], target: NDArray[np.float32]) -> Score:
    """Compare two pictures (H, W, 3) in [0, 1], both at least 11 x 11.

    SSIM is scikit-image's with Gaussian weights of sigma 1.5, as Wang et al. 2004 define it
    (https://doi.org/10.1109/TIP.2003.819861), the mean over the three channels.
    """
    from skimage.metrics import structural_similarity

    error = mse(result, target)
    ssim = structural_similarity(  # type: ignore[no-untyped-call]
        result,
        target,
        data_range=1.0,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    return Score(error, psnr(error), float(ssim))


def evaluate(
    apply: Filter, pairs: Sequence[Pair], tick: Callable[[], None] = lambda: None
) -> Report:
    """Score `apply` on every pair: mean and worst, and the untouched photo beside them.

    Parameters
    ----------
    apply : (H, W, 3) float32 in [0, 1] and the operator's parameter values -> the same
    tick : called after every photo
    """
    scores, untouched, pixels = [], [], []
    for pair in pairs:
        before, after = pair.read()
        scores.append(score(np.clip(apply(before, pair.values), 0, 1), after))
        untouched.append(score(before, after))
        pixels.append(before.shape[0] * before.shape[1])
        tick()
    return Report(
        count=len(scores),
        megapixels=float(np.mean(pixels)) / 1e6,
        mean=_mean(scores),
        worst=Score(
            max(s.mse for s in scores), min(s.psnr for s in scores), min(s.ssim for s in scores)
        ),
        untouched=_mean(untouched),
    )


def _mean(scores: Sequence[Score]) -> Score:
    """Means photo by photo, as the field reports them: PSNR is the mean of PSNRs."""
    table = np.array([(s.mse, s.psnr, s.ssim) for s in scores])
    return Score(*map(float, table.mean(axis=0)))
