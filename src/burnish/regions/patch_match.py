"""Fill a hole in an image with copies of patches from its surroundings.

Every patch that overlaps the hole is matched with a similar patch outside (Barnes, Shechtman,
Finkelstein, Goldman: PatchMatch, SIGGRAPH 2009, doi:10.1145/1531326.1531330), and every pixel of
the hole becomes a mean of the matched patches over it (Wexler, Shechtman, Irani: Space-Time
Completion of Video, TPAMI 2007, doi:10.1109/TPAMI.2007.60). Both steps are repeated from small to
large sizes of the image. As in Newson et al. 2014, doi:10.1137/140954933, the first estimate is
filled from the rim inwards, patches also differ by their texture, and the last step copies single
pixels, which keeps the result sharp.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from burnish.types import BoolMask, Mask, Pixels

# Rows and columns of points, (N, 2), in the order of np.argwhere.
Points = NDArray[np.int64]

# Radius of a patch, px, and the offsets of its pixels from the centre.
_RADIUS = 3
_OFFSETS = np.argwhere(np.ones((2 * _RADIUS + 1, 2 * _RADIUS + 1))) - _RADIUS
# Side of the window, px, in which texture is measured, and its weight beside the colours.
_TEXTURE_SIDE, _TEXTURE_WEIGHT = 9, 3 * len(_OFFSETS)
# Alternations of matching and averaging, from the smallest size of the image on.
_ALTERNATIONS = (8, 6, 4, 3, 2)
# Rounds of a matching; the random search starts with the whole image and narrows by this factor.
_ROUNDS, _NARROWING = 2, 3
# The weight of a patch falls by this factor per pixel from the rim of the hole.
_CONFIDENCE = 1.25
# Smallest weight of a patch that differs much, and variance, px², of the weights of single pixels.
_MIN_WEIGHT, _PIXEL_VARIANCE = 1e-3, 4
# An image is halved while the hole is deeper than a patch, and this number of patches is left.
_MIN_SOURCES = 300
# Matching is limited to sizes with at most this number of patches. Larger images are filled with
# the matches of the largest of these sizes.
_MAX_TARGETS = 30_000
# Number of patches, at random, among which the first estimate searches.
_MAX_FIRST_SOURCES = 20_000


@dataclass(frozen=True, eq=False)
class _Level:
    """The image at one size, and its hole.

    `targets` are the centres of the patches that overlap the hole, `sources` of all others that lie
    in the image.
    """

    image: Pixels
    hole: BoolMask

    @cached_property
    def is_target(self) -> BoolMask:
        kernel = np.ones((2 * _RADIUS + 1, 2 * _RADIUS + 1), np.uint8)
        touched: Any = cv2.dilate(self.hole.astype(np.uint8), kernel)
        return np.asarray(touched > 0)

    @cached_property
    def is_source(self) -> BoolMask:
        inside = np.zeros_like(self.hole)
        inside[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS] = True
        return inside & ~self.is_target

    @cached_property
    def targets(self) -> Points:
        return np.argwhere(self.is_target)

    @cached_property
    def sources(self) -> Points:
        return np.argwhere(self.is_source)

    @cached_property
    def texture(self) -> Pixels:
        """The mean `_gradients` of the known pixels around each pixel: (H, W, 2)."""
        known = (~self.is_target).astype(np.float32)
        sums = _mean_around(_gradients(self.image) * known[..., None])
        shares = np.maximum(_mean_around(known), np.float32(1e-3))
        return np.asarray(sums / shares[..., None], np.float32)

    @cached_property
    def depth(self) -> Mask:
        """The distance of each pixel from the rim of the hole, px."""
        # The border of the image is no rim.
        return _distance(np.pad(self.hole, 1, mode="edge"))[1:-1, 1:-1]

    @cached_property
    def _nearest_source(self) -> tuple[NDArray[np.int32], Points]:
        """The label of the nearest source of each pixel, and the sources by label."""
        labels: Any
        _, labels = cv2.distanceTransformWithLabels(
            (~self.is_source).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
        )
        points = np.zeros((labels.max() + 1, 2), np.int64)
        points[labels[self.is_source]] = self.sources
        return labels, points

    def snap(self, points: Points) -> Points:
        """Return the source that is nearest to each point."""
        height, width = self.hole.shape
        labels, sources = self._nearest_source
        rows, columns = points[:, 0].clip(0, height - 1), points[:, 1].clip(0, width - 1)
        nearest: Points = sources[labels[rows, columns]]
        return nearest

    def halved(self) -> "_Level":
        """Return the image at half the size, averaged over known pixels."""
        size = -(-self.hole.shape[1] // 2), -(-self.hole.shape[0] // 2)
        known = (~self.hole).astype(np.float32)
        sums: Any = cv2.resize(self.image * known[..., None], size, interpolation=cv2.INTER_AREA)
        share: Any = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
        return _Level(sums / np.maximum(share, 1e-6)[..., None], np.asarray(share < 0.5))


def can_fill(hole: BoolMask) -> bool:
    """Return whether enough patches lie outside of a hole."""
    level = _Level(np.zeros((*hole.shape, 3), np.float32), hole)
    return int(np.count_nonzero(level.is_source)) >= _MIN_SOURCES


def fill_hole(pixels: Pixels, hole: BoolMask, seed: int = 0) -> Pixels:
    """Return the image with its hole filled from patches outside.

    Shape: (H, W, 3) and (H, W) -> (H, W, 3)

    Parameters
    ----------
    hole : must satisfy `can_fill`
    seed : of the random search; the same seed gives the same output

    Examples
    --------
    >>> stripes = np.tile(np.float32([0, 0, 1, 1]), 10)[:, None, None].repeat(40, 1).repeat(3, 2)
    >>> hole = np.zeros((40, 40), bool)
    >>> hole[15:25, 15:25] = True
    >>> float(np.abs(fill_hole(np.where(hole[..., None], 0, stripes), hole) - stripes).max())
    0.0
    """
    random = np.random.default_rng(seed)
    levels = [_Level(np.where(hole[..., None], np.float32(0), pixels), hole)]
    depth = float(levels[0].depth.max())
    while depth > _RADIUS:
        smaller = levels[-1].halved()
        if min(smaller.hole.shape) < 8 * _RADIUS or len(smaller.sources) < _MIN_SOURCES:
            break
        levels.append(smaller)
        depth /= 2
    smallest = levels[-1]
    estimate = _peel(smallest, random)
    matches = smallest.sources[random.integers(len(smallest.sources), size=len(smallest.targets))]
    for index, level in enumerate(reversed(levels)):
        if index:
            matches = _enlarge(matches, levels[-index], level)
            estimate = _copy(level, matches)
        if index and len(level.targets) > _MAX_TARGETS:
            continue
        count = _ALTERNATIONS[min(index, len(_ALTERNATIONS) - 1)]
        for step in range(count):
            costs = _improve(level, estimate, matches, random)
            estimate = _vote(level, matches, costs, sharp=step == count - 1)
    return estimate


def _peel(level: _Level, random: np.random.Generator) -> Pixels:
    """Return the first estimate: the hole is filled pixel by pixel, from the rim inwards.

    A pixel becomes the centre of the source whose patch differs least in the pixels that are known.
    """
    estimate, known = level.image.copy(), ~level.hole
    sources = level.sources
    if len(sources) > _MAX_FIRST_SOURCES:
        sources = sources[random.permutation(len(sources))[:_MAX_FIRST_SOURCES]]
    patches = _patches(level.image, sources)
    squares = patches**2
    cross = np.ones((3, 3), np.uint8)
    while not known.all():
        near: Any = cv2.dilate(known.astype(np.uint8), cross)
        rim = np.argwhere(~known & (near > 0))
        weights = _patches(np.repeat(known[..., None], 3, 2).astype(np.float32), rim, pad=True)
        values = _patches(estimate, rim, pad=True) * weights
        differences = weights @ squares.T - 2 * values @ patches.T
        best = sources[differences.argmin(axis=1)]
        estimate[tuple(rim.T)] = level.image[tuple(best.T)]
        known[tuple(rim.T)] = True
    return estimate


def _improve(
    level: _Level, estimate: Pixels, matches: Points, random: np.random.Generator
) -> NDArray[np.float32]:
    """Replace matches by better ones, in place, and return how much the patches differ."""
    targets = level.targets
    colours = _patches(estimate, targets, pad=True)
    texture = _mean_around(_gradients(estimate))[tuple(targets.T)]

    def cost(candidates: Points) -> NDArray[np.float32]:
        differences = _patches(level.image, candidates) - colours
        others = level.texture[tuple(candidates.T)] - texture
        squares = np.einsum("ij,ij->i", differences, differences)
        sums: NDArray[np.float32] = squares + _TEXTURE_WEIGHT * np.einsum(
            "ij,ij->i", others, others
        )
        return sums

    def keep_better(candidates: Points) -> None:
        candidate_costs = cost(candidates)
        better = candidate_costs < costs
        matches[better], costs[better] = candidates[better], candidate_costs[better]

    costs = cost(matches)
    numbers = np.zeros(level.hole.shape, np.int64)
    numbers[tuple(targets.T)] = np.arange(len(targets))
    last = np.array(level.hole.shape) - 1
    for _ in range(_ROUNDS):
        for step in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            neighbours = (targets + step).clip(0, last)
            shifted = matches[numbers[tuple(neighbours.T)]] - step
            is_target = level.is_target[tuple(neighbours.T)]
            keep_better(level.snap(np.where(is_target[:, None], shifted, matches)))
        radius = max(level.hole.shape)
        while radius >= 1:
            keep_better(level.snap(matches + random.integers(-radius, radius + 1, matches.shape)))
            radius //= _NARROWING
    return costs


def _vote(level: _Level, matches: Points, costs: NDArray[np.float32], *, sharp: bool) -> Pixels:
    """Return the estimate from the matches: their mean, or the best of them if `sharp` is set."""
    height, width = level.hole.shape
    padded = height + 2 * _RADIUS, width + 2 * _RADIUS
    weights = np.exp(-costs / (2 * np.percentile(costs, 75) + 1e-8)) + _MIN_WEIGHT
    weights = (weights * _CONFIDENCE ** -level.depth[tuple(level.targets.T)]).astype(np.float32)
    sums, total = np.zeros((*padded, 3), np.float32), np.zeros(padded, np.float32)
    for offset in _OFFSETS:
        place = tuple((level.targets + offset + _RADIUS).T)
        colours = level.image[tuple((matches + offset).T)]
        if sharp:
            weight = weights * np.float32(np.exp(-(offset @ offset) / (2 * _PIXEL_VARIANCE)))
            better = weight > total[place]
            place = place[0][better], place[1][better]
            sums[place], total[place] = colours[better], weight[better]
        else:
            sums[place] += colours * weights[:, None]
            total[place] += weights
    inner = slice(_RADIUS, -_RADIUS), slice(_RADIUS, -_RADIUS)
    voted = sums[inner]
    if not sharp:
        voted = voted / np.maximum(total[inner], 1e-12)[..., None]
    return np.where(level.hole[..., None], voted, level.image)


def _enlarge(matches: Points, smaller: _Level, larger: _Level) -> Points:
    """Return the matches of a smaller image for the image of twice its size."""
    shifts = np.zeros((*smaller.hole.shape, 2), np.int64)
    shifts[tuple(smaller.targets.T)] = matches - smaller.targets
    return larger.snap(larger.targets + 2 * shifts[tuple((larger.targets // 2).T)])


def _copy(level: _Level, matches: Points) -> Pixels:
    """Return the image in which each pixel of the hole is the centre of its match."""
    copied = level.image.copy()
    copied[tuple(level.targets.T)] = level.image[tuple(matches.T)]
    return np.where(level.hole[..., None], copied, level.image)


def _patches(image: Pixels, centres: Points, *, pad: bool = False) -> NDArray[np.float32]:
    """Return the patches around some pixels: (N, values); `pad` allows those at the border."""
    if pad:
        image = np.pad(image, ((_RADIUS, _RADIUS), (_RADIUS, _RADIUS), (0, 0)), mode="reflect")
        centres = centres + _RADIUS
    places = centres[:, None] + _OFFSETS
    patches: NDArray[np.float32] = image[places[..., 0], places[..., 1]].reshape(len(centres), -1)
    return patches


def _gradients(image: Pixels) -> Pixels:
    """Return the absolute differences along rows and columns, of the mean colour: (H, W, 2)."""
    grey = image.mean(axis=2)
    steps: list[Any] = [cv2.Sobel(grey, -1, *axis, ksize=1) for axis in ((1, 0), (0, 1))]
    return np.abs(np.asarray(np.dstack(steps), np.float32))


def _mean_around(values: NDArray[np.float32]) -> NDArray[np.float32]:
    mean: Any = cv2.blur(values, (_TEXTURE_SIDE, _TEXTURE_SIDE))
    return np.asarray(mean, np.float32)


def _distance(mask: BoolMask) -> Mask:
    distances: Any = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(distances, np.float32)
