"""Evaluate a network, or any other function, against an operator on pairs of photos."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from burnish.metrics import Score, score
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
    identity : mean score of the unchanged photos
    """

    count: int
    megapixels: float
    mean: Score
    worst: Score
    identity: Score


def evaluate(apply: ImageFunction, pairs: Sequence[Pair], progress: Progress = SILENT) -> Report:
    """Score a function on every pair.

    Parameters
    ----------
    apply : its output is clipped to [0, 1]
    progress : advanced after every pair
    """
    scores, identity_scores = [], []
    for pair in pairs:
        before, after = pair.read()
        scores.append(score(np.clip(apply(before, pair.values), 0, 1), after))
        identity_scores.append(score(before, after))
        progress.advance()
    return Report(
        count=len(scores),
        megapixels=float(np.mean([np.prod(pair.size) for pair in pairs])) / 1e6,
        mean=_mean(scores),
        worst=Score(
            max(s.mse for s in scores), min(s.psnr for s in scores), min(s.ssim for s in scores)
        ),
        identity=_mean(identity_scores),
    )


def _mean(scores: Sequence[Score]) -> Score:
    table = np.array([(s.mse, s.psnr, s.ssim) for s in scores])
    return Score(*map(float, table.mean(axis=0)))
