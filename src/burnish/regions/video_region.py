"""Film: a region over the frames of a film, in order; each film has one of its own."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from burnish.detection.instances import Instances
from burnish.detection.tracker import Tracking, Tracks, follow
from burnish.errors import UsageError
from burnish.regions.maskfile import MaskFile
from burnish.regions.region import Region
from burnish.regions.select import chosen
from burnish.types import Pixels

# Of the least score: an object that is followed stays so down to here, so that one whose score
# wavers does not blink.
_WAVERING = 0.5


@dataclass
class FilmRegion:
    """What a region is in a film. Its objects are followed from frame to frame.

    Clicks and numbers mean objects of the first frame, and those objects from then on.

    Parameters
    ----------
    region : as for a photo
    tracking : how objects are followed; `begin` is the selection's least score
    """

    region: Region
    tracking: Tracking = field(default_factory=Tracking)
    tracks: Tracks = field(default_factory=Tracks, init=False)
    _meant: frozenset[int] | None = field(default=None, init=False)

    def of(self, pixels: Pixels, number: int = 0) -> NDArray[np.float32]:
        """Return how much of an edit shows in each pixel of the next frame; see `Region.of`.

        Parameters
        ----------
        number : of the frame; only at the first call it matters

        Raises
        ------
        UsageError : clicks or numbers, and the first frame that is seen is not the film's
        """
        if isinstance(self.region.mask, MaskFile):
            mask = self.region.mask.read((pixels.shape[1], pixels.shape[0]))
            self.region = replace(self.region, mask=mask)
        finder, selection = self.region.finder, self.region.selection
        if finder is None:
            return self.region.of(pixels)
        found = finder.find(pixels)
        followed = [
            index
            for index in range(len(found))
            if float(found.scores[index]) >= _WAVERING * selection.min_score
            and (not selection.classes or found.labels[index] in selection.classes)
        ]
        how = replace(self.tracking, begin=selection.min_score)
        if self._meant is None and (selection.clicks or selection.numbers):
            if number:
                raise UsageError(
                    "a film",
                    expected="its first frame, where clicks and numbers mean objects",
                    got=f"one that is taken up at frame {number}",
                    remedy="begin it anew: remove the hidden folder beside the output",
                )
            self.tracks = follow(Tracks(), found, how)
            self._choose(chosen(selection, found), found)
        else:
            self.tracks = follow(self.tracks, found.pick(followed), how)
        kept = self.tracks.instances(found.size)
        if self._meant is not None:
            kept = kept.pick(self._places(self._meant))
        left = replace(selection, min_score=0.0, clicks=(), numbers=())
        return replace(self.region, selection=left).among(kept, pixels)

    def _choose(self, indices: Iterable[int], found: Instances) -> None:
        """Remember who is meant by the clicks and numbers of the first frame."""
        boxes = [found.boxes[index] for index in indices]
        self._meant = frozenset(
            track.identity
            for track in self.tracks.tracks
            if any(np.array_equal(track.box, box) for box in boxes)
        )

    def _places(self, meant: frozenset[int]) -> list[int]:
        return [i for i, track in enumerate(self.tracks.tracks) if track.identity in meant]
