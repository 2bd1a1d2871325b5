"""Film: a region over the frames of a film, in order; each film has one of its own."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from burnish.detection.instances import Instances
from burnish.detection.tracker import TrackerConfig, TrackerState, update_tracks
from burnish.errors import UsageError
from burnish.regions.maskfile import MaskFile
from burnish.regions.region import Region
from burnish.regions.select import select_objects
from burnish.types import Pixels

# Of the least score: an object that is followed stays so down to here, so that one whose score
# wavers does not blink.
_HYSTERESIS = 0.5


@dataclass
class VideoRegion:
    """What a region is in a film. Its objects are followed from frame to frame.

    Clicks and numbers mean objects of the first frame, and those objects from then on.

    Parameters
    ----------
    region : as for a photo
    tracker_config : how objects are followed; `begin` is the selection's least score
    """

    region: Region
    tracker_config: TrackerConfig = field(default_factory=TrackerConfig)
    tracks: TrackerState = field(default_factory=TrackerState, init=False)
    _track_ids: frozenset[int] | None = field(default=None, init=False)

    def compute_mask(self, pixels: Pixels, frame_index: int = 0) -> NDArray[np.float32]:
        """Return how much of an edit shows in each pixel of the next frame; see `Region.of`.

        Parameters
        ----------
        frame_index : of the frame; only at the first call it matters

        Raises
        ------
        UsageError : clicks or numbers, and the first frame that is seen is not the film's
        """
        if isinstance(self.region.mask, MaskFile):
            mask = self.region.mask.read((pixels.shape[1], pixels.shape[0]))
            self.region = replace(self.region, mask=mask)
        finder, selection = self.region.object_source, self.region.selection
        if finder is None:
            return self.region.compute_mask(pixels)
        found = finder.find(pixels)
        followed = [
            index
            for index in range(len(found))
            if float(found.scores[index]) >= _HYSTERESIS * selection.min_score
            and (not selection.classes or found.labels[index] in selection.classes)
        ]
        how = replace(self.tracker_config, new_track_score=selection.min_score)
        if self._track_ids is None and (selection.clicks or selection.numbers):
            if frame_index:
                raise UsageError(
                    "a film",
                    expected="its first frame, where clicks and numbers mean objects",
                    got=f"one that is taken up at frame {frame_index}",
                    remedy="begin it anew: remove the hidden folder beside the output",
                )
            self.tracks = update_tracks(TrackerState(), found, how)
            self._remember_selected(select_objects(selection, found), found)
        else:
            self.tracks = update_tracks(self.tracks, found.select(followed), how)
        kept = self.tracks.instances(found.size)
        if self._track_ids is not None:
            kept = kept.select(self._indices_of(self._track_ids))
        left = replace(selection, min_score=0.0, clicks=(), numbers=())
        return replace(self.region, selection=left).mask_from_instances(kept, pixels)

    def _remember_selected(self, indices: Iterable[int], found: Instances) -> None:
        """Remember who is meant by the clicks and numbers of the first frame."""
        boxes = [found.boxes[index] for index in indices]
        self._track_ids = frozenset(
            track.id
            for track in self.tracks.tracks
            if any(np.array_equal(track.box, box) for box in boxes)
        )

    def _indices_of(self, meant: frozenset[int]) -> list[int]:
        return [i for i, track in enumerate(self.tracks.tracks) if track.id in meant]
