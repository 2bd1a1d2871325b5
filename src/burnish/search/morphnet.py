"""MorphNet: channels that matter least are removed, then all levels are widened alike.

After Gordon et al. 2018 (https://arxiv.org/abs/1711.06798). There, a penalty on costs decides in
training which channels are removed. Here a predictor of PSNR decides, and whole steps of
`burnish.search.space.WIDTHS` are removed.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from burnish.networks.registry import unet_name
from burnish.search.predictors import Values
from burnish.search.space import WIDTHS, Candidate, is_allowed

# Predicts a number of each candidate.
Predict = Callable[[Sequence[Candidate]], Values]

_FACTORS = np.geomspace(1 / 4, 4, 65)
# ms
_LEAST_TIME = 1e-9


def shrink(candidate: Candidate, steps: int, psnrs: Predict, times: Predict) -> Candidate:
    """Return a candidate after some steps, each of which makes one level narrower.

    That is the level that loses least PSNR for the time that it saves.
    """
    for _ in range(steps):
        widths = candidate.arguments["widths"]
        narrower = [
            _with_widths(candidate, [*widths[:level], _below(width), *widths[level + 1 :]])
            for level, width in enumerate(widths)
            if width > WIDTHS[0]
        ]
        if not narrower:
            break
        psnr, *rest = psnrs([candidate, *narrower])
        time, *quicker = times([candidate, *narrower])
        saved = np.maximum(time - np.array(quicker), _LEAST_TIME)
        candidate = narrower[int(np.argmin((psnr - np.array(rest)) / saved))]
    return candidate


def widen(candidate: Candidate, limit: float, times: Predict) -> Candidate:
    """Return the candidate with all widths multiplied by the largest factor that takes `limit` ms.

    If none does, the candidate is returned with the smallest factor.
    """
    widths = np.array(candidate.arguments["widths"])
    scaled = [_with_widths(candidate, map(_nearest, factor * widths)) for factor in _FACTORS]
    options = [option for option in dict.fromkeys(scaled) if is_allowed(option)]
    quick = [o for o, time in zip(options, times(options), strict=True) if time <= limit]
    return (quick or options[:1])[-1]


def _with_widths(candidate: Candidate, widths: Iterable[int]) -> Candidate:
    arguments = {**candidate.arguments, "widths": tuple(widths)}
    return Candidate(unet_name(arguments), candidate.guide_ratio)


def _below(width: int) -> int:
    return max(other for other in WIDTHS if other < width)


def _nearest(width: float) -> int:
    return min(WIDTHS, key=lambda other: abs(other - width))
