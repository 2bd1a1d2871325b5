"""Evaluate a network, or any other function, against an operator on pairs of photos."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from burnish.metrics import Score, mse, psnr, score
from burnish.params import Value
from burnish.progress import SILENT, Progress
from burnish.training.pairs import Pair
from burnish.types import Pixels

# (H, W, 3) float32 in [0, 1] and the operator's parameters -> an image of the same size.
ImageFunction = Callable[[Pixels, Mapping[str, Value]], Pixels]


@dataclass(frozen=True)
class Report:
    """The scores of a set of photos.

    Attributes
    ----------
    count : the number of images
    megapixels : their mean size
    mean : the mean of each error. The mean PSNR is the mean of the photos' PSNRs, as usual
    worst : the worst value of each error
    worst_photo : the name of the photo with the lowest PSNR
    identity_psnr : mean PSNR of the unchanged photos
    """

    count: int
    megapixels: float
    mean: Score
    worst: Score
    worst_photo: str
    identity_psnr: float


def evaluate(apply: ImageFunction, pairs: Sequence[Pair], progress: Progress = SILENT) -> Report:
    """Score a function on every pair.

    Parameters
    ----------
    apply : its output is clipped to [0, 1]
    progress : advanced after every pair
    """
    scores = []
    for pair in pairs:
        scores.append(score_pair(apply, pair))
        progress.advance()
    return summarise(pairs, scores)


def score_pair(apply: ImageFunction, pair: Pair) -> tuple[Score, float]:
    """Return the score of a function on a pair, and the PSNR of the unchanged photo."""
    before, after = pair.read()
    output = np.clip(apply(before, pair.values), 0, 1)
    return score(output, after), psnr(mse(before, after))


def summarise(pairs: Sequence[Pair], pair_scores: Sequence[tuple[Score, float]]) -> Report:
    """Return the report on pairs from the results of `score_pair`, in the order of the pairs."""
    scores, identity_psnrs = zip(*pair_scores, strict=True)
    grains = [s.grain for s in scores if s.grain is not None]
    worst = min(range(len(scores)), key=lambda index: scores[index].psnr)
    return Report(
        count=len(scores),
        megapixels=float(np.mean([np.prod(pair.size) for pair in pairs])) / 1e6,
        mean=Score(
            mse=float(np.mean([s.mse for s in scores])),
            psnr=float(np.mean([s.psnr for s in scores])),
            ssim=float(np.mean([s.ssim for s in scores])),
            cast=float(np.mean([s.cast for s in scores])),
            grain=float(np.mean(grains)) if grains else None,
        ),
        worst=Score(
            mse=max(s.mse for s in scores),
            psnr=scores[worst].psnr,
            ssim=min(s.ssim for s in scores),
            cast=max(s.cast for s in scores),
            grain=max(grains, default=None),
        ),
        worst_photo=pairs[worst].name,
        identity_psnr=float(np.mean(identity_psnrs)),
    )
