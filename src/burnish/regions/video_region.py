"""A region over the frames of a video, in order."""

from dataclasses import dataclass, field, replace

import numpy as np

from burnish.detection.instances import Instances
from burnish.detection.tracker import TrackerConfig, TrackerState, update_tracks
from burnish.errors import UsageError
from burnish.regions.maskfile import MaskFile
from burnish.regions.region import Region
from burnish.regions.select import select_objects
from burnish.types import Mask, Pixels

# A tracked object is kept while its score exceeds this fraction of min_score. The hysteresis
# prevents flicker.
_HYSTERESIS = 0.5


@dataclass
class VideoRegion:
    """A region of one video, whose objects are tracked from frame to frame.

    Clicks and numbers select objects of the first frame, which are then tracked.

    Parameters
    ----------
    region : as for a photo
    tracker_config : options of the tracker; `new_track_score` is replaced by the region's least
        score
    """

    region: Region
    tracker_config: TrackerConfig = field(default_factory=TrackerConfig)
    tracks: TrackerState = field(default_factory=TrackerState, init=False)
    _track_ids: frozenset[int] | None = field(default=None, init=False)

    def compute_mask(self, pixels: Pixels, frame_index: int = 0) -> Mask:
        """Return the weight of an edit at each pixel of the next frame; see `Region.compute_mask`.

        Parameters
        ----------
        frame_index : index of the frame, used at the first call only

        Raises
        ------
        UsageError : clicks or numbers are given, and the first call is not for frame 0
        """
        if isinstance(self.region.mask, MaskFile):
            mask = self.region.mask.read((pixels.shape[1], pixels.shape[0]))
            self.region = replace(self.region, mask=mask)
        if self.region.object_source is None:
            return self.region.compute_mask(pixels)
        instances = self.region.object_source.find(pixels)
        options = self.region.options
        min_score = options.value("min_score")
        config = replace(self.tracker_config, new_track_score=min_score)
        if self._track_ids is None and (options.clicks or options.numbers):
            if frame_index:
                raise UsageError(
                    f"frame {frame_index}",
                    "cannot resume here: --click and --number refer to the first frame",
                    "delete the hidden folder next to the output to start again",
                )
            self.tracks = update_tracks(TrackerState(), instances, config)
            selected = select_objects(options, instances)
            self._track_ids = self._ids_of(instances.select(selected))
        else:
            candidates = [
                index
                for index in range(len(instances))
                if float(instances.scores[index]) >= _HYSTERESIS * min_score
                and (not options.classes or instances.labels[index] in options.classes)
            ]
            self.tracks = update_tracks(self.tracks, instances.select(candidates), config)
        tracked = self.tracks.instances(instances.size)
        if self._track_ids is not None:
            ids = self._track_ids
            tracked = tracked.select([i for i, t in enumerate(self.tracks.tracks) if t.id in ids])
        # The score, clicks and numbers are applied already.
        remaining = replace(options, min_score=0, clicks=(), numbers=())
        return replace(self.region, options=remaining).mask_from_instances(tracked, pixels)

    def _ids_of(self, instances: Instances) -> frozenset[int]:
        """Return the ids of the tracks that were started from objects of this frame."""
        return frozenset(
            track.id
            for track in self.tracks.tracks
            if any(np.array_equal(track.box, box) for box in instances.boxes)
        )
