"""Edits of a region in videos: masks, tracked objects, and resumed runs."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from burnish.detection.instances import Instances
from burnish.editing.combined_edit import MixedEdit
from burnish.editing.edit import load_edit
from burnish.editing.region_edit import MaskedEdit, MaskWriter, RegionEditor
from burnish.editing.video_file import edit_video
from burnish.errors import UsageError, VideoError
from burnish.regions.masks import MaskFile
from burnish.regions.options import RegionOptions
from burnish.regions.region import Region
from burnish.regions.registry import EDITS
from burnish.video import encode
from burnish.video.decode import decode_frames
from burnish.video.probe import probe

WIDTH, HEIGHT = 96, 64
MASK = np.zeros((HEIGHT, WIDTH), bool)
MASK[10:40, 20:60] = True
OBJECT_PIXELS = 24 * 40


class PersonSource:
    """An object source that finds one person, 24 x 40 pixels, in some of the frames.

    Parameters
    ----------
    is_found : tells whether the person is found in the frame of an index
    speed : pixels by which the person moves to the right per frame
    """

    name, sha256, classes, device = "person source", "0" * 64, ("person",), "cpu"

    def __init__(self, is_found, speed=0):
        self.is_found = is_found
        self.speed = speed
        self.index = 0

    def find(self, pixels, source=None):
        left = 12 + self.speed * self.index
        box = np.array([[left, 10, left + 24, 50]], np.float32)
        mask = np.ones((40, 24), np.float32)
        person = Instances((WIDTH, HEIGHT), box, ("person",), np.ones(1, np.float32), (mask,))
        found = self.is_found(self.index)
        self.index += 1
        return person.select([0] if found else [])


def person_region(is_found, speed=0, **options):
    options = RegionOptions(**{"only": ("person",), "feather": 0, **options})
    return Region(options, PersonSource(is_found, speed))


def missed_every_third(index):
    return index % 3 != 2


def negative(pixels):
    return 1 - pixels


@pytest.fixture
def lossless_video(make_video):
    """Makes a lossless video: `lossless_video(frames=5)`."""
    spec = {"codec": "ffv1", "format": "yuv444p", "size": (WIDTH, HEIGHT)}
    return lambda frames, **more: make_video("a.mkv", frames=frames, **spec, **more)


@pytest.fixture
def decode():
    """A function that returns the pixels of all frames of a video."""
    return lambda path: [pixels for _, pixels in decode_frames(probe(path))]


def changed_pixels(before, after):
    """The number of changed pixels in each frame."""
    return [int((a != b).any(axis=2).sum()) for a, b in zip(before, after, strict=True)]


def test_edit_video_with_mask_changes_only_its_pixels(lossless_video, decode, tmp_path):
    video, edit = lossless_video(4), load_edit("l0-smoothing", {})
    edit_video(MaskedEdit(edit, Region(mask=MASK)), video, tmp_path / "b.mkv")
    edit_video(edit, video, tmp_path / "whole.mkv")
    paths = (video, tmp_path / "b.mkv", tmp_path / "whole.mkv")
    for before, after, whole in zip(*map(decode, paths), strict=True):
        np.testing.assert_array_equal(after[~MASK], before[~MASK])
        np.testing.assert_array_equal(after[MASK], whole[MASK])
        assert (whole[MASK] != before[MASK]).any()


def test_edit_video_keeps_an_object_that_the_detector_misses_briefly(
    lossless_video, decode, tmp_path
):
    edit = RegionEditor(EDITS["fill"], {}, person_region(missed_every_third, speed=2))
    edit_video(edit, lossless_video(9), tmp_path / "b.mkv")
    black = [int((pixels == 0).all(axis=2).sum()) for pixels in decode(tmp_path / "b.mkv")]
    assert min(black) > 0.9 * OBJECT_PIXELS


def test_edit_video_drops_an_object_that_the_detector_misses_for_long(
    lossless_video, function_edit, decode, tmp_path
):
    video = lossless_video(12, still=True)
    edit = MaskedEdit(function_edit(negative), person_region(lambda index: index < 4))
    edit_video(edit, video, tmp_path / "b.mkv")
    counts = changed_pixels(decode(video), decode(tmp_path / "b.mkv"))
    assert all(counts[:4])
    assert not any(counts[8:])


def test_edit_video_after_stop_resumes_the_tracks(
    lossless_video, function_edit, recording_progress, decode, tmp_path, monkeypatch
):
    monkeypatch.setattr(encode, "SEGMENT_SECONDS", 0.19)  # five frames
    video = lossless_video(16)
    index_of = {pixels.tobytes(): index for index, pixels in enumerate(decode(video))}
    assert len(index_of) == 16

    class PersonInVideo(PersonSource):
        """A person source that recognises the frames of the video, in whatever order."""

        def find(self, pixels, source=None):
            self.index = index_of[pixels.tobytes()]
            return super().find(pixels)

    def edit():
        # The object is missed where the second run begins, so that run must know its track.
        source = PersonInVideo(lambda index: index not in (10, 11))
        options = RegionOptions(only=("person",), feather=0)
        return MaskedEdit(function_edit(negative), Region(options, source))

    edit_video(edit(), video, tmp_path / "whole.mkv")
    progress = recording_progress()
    outcome = edit_video(
        edit(),
        video,
        tmp_path / "parts.mkv",
        progress=progress,
        should_stop=lambda: progress.done[-1] == 12,
    )
    assert not outcome.finished
    assert outcome.frames == 10
    edit_video(edit(), video, tmp_path / "parts.mkv")
    whole, parts = decode(tmp_path / "whole.mkv"), decode(tmp_path / "parts.mkv")
    np.testing.assert_array_equal(parts, whole)
    assert all(changed_pixels(decode(video), parts))


def region_edit(name, region):
    if name in EDITS:
        return RegionEditor(EDITS[name], {}, region)
    return MaskedEdit(load_edit(name, {}), region)


@pytest.mark.parametrize(
    ("name", "options", "result"),
    [
        ("anonymise", {}, "no frame is edited"),
        ("blur", {}, "no frame is edited"),
        ("l0-smoothing", {}, "no frame is edited"),
        ("l0-smoothing", {"only": (), "exclude": ("person",)}, "all frames are edited as a whole"),
        ("fill", {"invert": True}, "all frames are edited as a whole"),
        ("splash", {"only": (), "exclude": ("person",)}, "no frame is edited"),
    ],
)
def test_edit_video_warns_if_nothing_is_found_in_any_frame(
    lossless_video, tmp_path, recwarn, name, options, result
):
    video = lossless_video(4)
    messages = {}
    for first in (3, 4):
        region = person_region(lambda index, first=first: index >= first, **options)
        edit_video(region_edit(name, region), video, tmp_path / f"{first}.mkv")
        messages[first] = [str(warning.message) for warning in recwarn.list]
        recwarn.clear()
    expected = f"{video}: no person found; {result}"
    assert messages[4].count(expected) == 1
    assert expected not in messages[3]


@pytest.mark.parametrize("edit", [lambda edit: edit, lambda edit: MixedEdit(edit, 0.5)])
def test_edit_video_fails_if_nothing_of_any_frame_would_be_kept(lossless_video, tmp_path, edit):
    video = lossless_video(2)
    splash = RegionEditor(EDITS["splash"], {}, person_region(lambda index: False))
    with pytest.raises(VideoError, match="no person found, so nothing of the video") as raised:
        edit_video(edit(splash), video, tmp_path / "x.mkv")
    assert raised.value.where == str(video)
    assert [path for path in tmp_path.iterdir() if path != video] == []


def test_edit_video_names_the_best_object_with_too_low_a_score(lossless_video, tmp_path):
    video = lossless_video(2)
    region = person_region(lambda index: True)
    find = region.object_source.find
    region.object_source.find = lambda *arguments: replace(
        find(*arguments), scores=np.float32([0.1 * region.object_source.index])
    )
    with pytest.warns(UserWarning, match=r"only person 0\.20 \(add --min-score 0\.2\)"):
        edit_video(region_edit("blur", region), video, tmp_path / "x.mkv")


def test_frame_edits_of_two_videos_track_separately(lossless_video, decode):
    region = person_region(missed_every_third)
    edit = RegionEditor(EDITS["fill"], {}, region)
    first, second = edit.frame_edit(lambda: ()), edit.frame_edit(lambda: ())
    pixels = decode(lossless_video(1))[0]
    assert (first(pixels, 0, 0.0) == 0).all(axis=2).any()
    region.object_source.index = 2
    np.testing.assert_array_equal(second(pixels, 0, 0.0), pixels)


def test_fingerprint_changes_with_the_content_of_a_mask(tmp_path):
    path = tmp_path / "mask.png"
    fingerprints = set()
    for mask in (MASK, ~MASK):
        Image.fromarray((mask * 255).astype(np.uint8)).save(path)
        masked = MaskedEdit(load_edit("l0-smoothing", {}), Region(mask=MaskFile(path)))
        fingerprints.add(masked.fingerprint())
        fingerprints.add(RegionEditor(EDITS["blur"], {}, Region(mask=mask)).fingerprint())
    assert len(fingerprints) == 4


def test_clicks_select_objects_of_the_first_frame():
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    region = person_region(missed_every_third, only=(), clicks=((20, 20),))
    edit_frame = RegionEditor(EDITS["fill"], {"colour": "#ffffff"}, region).frame_edit(lambda: ())
    assert edit_frame(pixels, 0, 0.0).any()
    assert edit_frame(pixels, 1, 0.0).any()
    edit_frame = RegionEditor(EDITS["fill"], {}, region).frame_edit(lambda: ())
    with pytest.raises(UsageError, match="frame 7"):
        edit_frame(pixels, 7, 0.0)


def test_frame_edit_of_photo_features_raises(tmp_path):
    folder = Region(mask=MaskFile(tmp_path))
    network = load_edit("l0-smoothing", {})
    for edit, where in (
        (RegionEditor(EDITS["cut-out"], {}, Region(mask=MASK)), "cut-out"),
        (MaskedEdit(network, folder), "a folder of masks"),
        (MaskedEdit(network, folder, MaskWriter(tmp_path)), "--save-mask"),
    ):
        with pytest.raises(UsageError, match=rf"^{where}: "):
            edit.frame_edit(lambda: ())


def test_frame_edit_that_strips_metadata_warns():
    edit = RegionEditor(EDITS["anonymise"], {}, Region(mask=MASK))
    with pytest.warns(UserWarning, match="metadata of a video is kept"):
        edit.frame_edit(lambda: ())


def test_command_line_fills_the_mask_in_a_video(burnish, lossless_video, decode, tmp_path):
    video, target = lossless_video(3), tmp_path / "b.mkv"
    Image.fromarray((MASK * 255).astype(np.uint8)).save(tmp_path / "mask.png")
    arguments = ("--mask", tmp_path / "mask.png", "-o", target)
    code, _, err = burnish("regions", "fill", video, *arguments)
    assert code == 0, err
    for before, after in zip(decode(video), decode(target), strict=True):
        np.testing.assert_array_equal(after[~MASK], before[~MASK])
        assert not after[MASK].any()
