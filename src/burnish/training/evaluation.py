"""What a network is worth: its pictures against the operator's, on photos never trained on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.metrics import mse, psnr
from burnish.params import Value
from burnish.training.pairs import Pair

# The window of SSIM is so many pixels wide.
MIN_SIDE = 11

ImageFunction = Callable[[NDArray[np.float32], Mapping[str, Value]], NDArray[np.float32]]


@dataclass(frozen=True)
class Score:
    """Errors of one picture or the mean over several; PSNR in dB with peak 1, SSIM on RGB."""

    mse: float
    psnr: float
    ssim: float


@dataclass(frozen=True)
class Report:
    """The scores of a set of photos. `identity` is the photo itself against the operator."""

    count: int
    megapixels: float
    mean: Score
    worst: Score
    identity: Score


def score(output: NDArray[np.float32], target: NDArray[np.float32]) -> Score:
    """Compare two pictures (H, W, 3) in [0, 1], both at least 11 x 11.

    SSIM is scikit-image's with Gaussian weights of sigma 1.5, as Wang et al. 2004 define it
    (https://doi.org/10.1109/TIP.2003.819861), the mean over the three channels.
    """
    from skimage.metrics import structural_similarity

    error = mse(output, target)
    ssim = structural_similarity(  # type: ignore[no-untyped-call]
        output,
        target,
        data_range=1.0,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    return Score(error, psnr(error), float(ssim))


def evaluate(
    apply: ImageFunction, pairs: Sequence[Pair], on_progress: Callable[[], None] = lambda: None
) -> Report:
    """Score `apply` on every pair: mean and worst, and the untouched photo beside them.

    Parameters
    ----------
    apply : (H, W, 3) float32 in [0, 1] and the operator's parameter values -> the same
    on_progress : called after every photo
    """
    scores, identity_scores, pixels = [], [], []
    for pair in pairs:
        before, after = pair.read()
        scores.append(score(np.clip(apply(before, pair.values), 0, 1), after))
        identity_scores.append(score(before, after))
        pixels.append(before.shape[0] * before.shape[1])
        on_progress()
    return Report(
        count=len(scores),
        megapixels=float(np.mean(pixels)) / 1e6,
        mean=_mean(scores),
        worst=Score(
            max(s.mse for s in scores), min(s.psnr for s in scores), min(s.ssim for s in scores)
        ),
        identity=_mean(identity_scores),
    )


def _mean(scores: Sequence[Score]) -> Score:
    """Means photo by photo, as the field reports them: PSNR is the mean of PSNRs."""
    table = np.array([(s.mse, s.psnr, s.ssim) for s in scores])
    return Score(*map(float, table.mean(axis=0)))
