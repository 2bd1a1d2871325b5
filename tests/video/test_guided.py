"""Videos edited with guided networks."""

import json

import numpy as np
import pytest

from burnish.editing.edit import NetworkEdit
from burnish.editing.history import read_history
from burnish.runtime.model import Model
from burnish.video.decode import sample_frames
from burnish.video.probe import probe


@pytest.mark.parametrize(
    ("arguments", "guide"), [([], "network"), (["--guide", "operator"], "operator")]
)
def test_video_is_edited_and_recorded_with_its_guide(
    burnish, make_video, read_video, guided_model, tmp_path, arguments, guide
):
    video, target = make_video("a.mkv", codec="ffv1", frames=7), tmp_path / "b.mkv"
    code, out, _ = burnish("apply", guided_model, video, "-o", target, "--json", *arguments)
    assert (code, json.loads(out)["history"][0]["guide"]) == (0, guide)
    assert read_history(target)[0].guide == guide
    frames = list(sample_frames(probe(video)))
    edit = NetworkEdit(Model.open(guided_model), {}, guide)
    edit_frame = edit.frame_edit(lambda: frames)
    edited = list(sample_frames(probe(target)))
    for index, frame in enumerate(frames):
        expected = edit_frame(frame, index, index / 25)
        # The output's chroma is subsampled.
        assert np.abs(edited[index].mean((0, 1)) - expected.mean((0, 1))).max() < 0.01


def test_photos_and_videos_of_one_run_have_their_own_guides(
    burnish, make_video, photo_folder, guided_model, tmp_path
):
    inputs = photo_folder / "1.png", make_video("a.mkv", codec="ffv1", frames=2)
    arguments = ["apply", guided_model, *inputs, "-o", f"{tmp_path / 'out'}/"]
    _, planned, _ = burnish(*arguments, "--dry-run", "--json")
    code, done, _ = burnish(*arguments, "--json")
    assert code == 0
    for out in (planned, done):
        guides = [json.loads(line)["history"][0]["guide"] for line in out.splitlines()]
        assert guides == ["operator", "network"]
