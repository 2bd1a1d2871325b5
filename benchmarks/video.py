"""Frames per second of a 720p video from file to file, and of the codec and the networks alone.

python benchmarks/video.py --json benchmarks/results/video.json
"""

import argparse
import dataclasses
import tempfile
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
from measure import environment, timed, write

from burnish import Photo
from burnish.editing.edit import Edit, load_edit
from burnish.editing.options import WriteOptions
from burnish.editing.video_file import edit_video
from burnish.evaluation.doctor import SAMPLE
from burnish.modelfile.quality import PREVIEW, STANDARD
from burnish.types import OnProgress, Pixels
from burnish.video.decode import decode_frames
from burnish.video.encode import Encoder, choose_encoding
from burnish.video.formats import SAME_AS_SOURCE, writable_container
from burnish.video.probe import probe

WIDTH, HEIGHT, RATE = 1280, 720, 25


class NoEdit(Edit):
    """An edit that changes nothing."""

    def run(self, pixels: Pixels, on_progress: OnProgress | None = None) -> Pixels:
        return pixels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--operator", default="l0-smoothing")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results: dict[str, Any] = {
        "environment": environment(),
        "av": av.__version__,
        "ffmpeg": av.ffmpeg_version_info,
        "size": [WIDTH, HEIGHT],
        "frames": options.frames,
        "operator": options.operator,
        "rows": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        video, target = Path(folder) / "a.mp4", Path(folder) / "b.mp4"
        write_video(video, options.frames)
        functions = {
            "codec alone": lambda: transcode(video),
            "burnish, identity edit": lambda: run(NoEdit("same"), video, target),
        }
        for quality in (PREVIEW, STANDARD):
            network = load_edit(options.operator, {}, quality=quality)
            functions[f"{quality} network, in memory"] = in_memory(network, video)
            functions[f"burnish, {quality} network"] = partial(run, network, video, target)
        for name, function in functions.items():
            timing = timed(function, options.repeats)
            rate = options.frames / timing.wall
            print(f"{name:40} {rate:6.2f} frames/s, {timing.cpu / options.frames:.3f} CPU s/frame")
            results["rows"][name] = dataclasses.asdict(timing) | {"frames_per_second": rate}
    write(options.json, results)


def write_video(path: Path, frames: int) -> None:
    """Write a video of a crop that moves over the enlarged sample photo."""
    pixels = Photo.open(SAMPLE).pixels
    photo = np.rint(np.asarray(pixels) * 255).astype(np.uint8)
    factor = -(-max(WIDTH * 5 // 4, HEIGHT * 5 // 4) // min(photo.shape[:2]))
    photo = photo.repeat(factor, axis=0).repeat(factor, axis=1)
    free_rows, free_columns = photo.shape[0] - HEIGHT, photo.shape[1] - WIDTH
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("libx264", rate=RATE, options={"crf": "16"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(frames):
            y, x = index * free_rows // frames, index * free_columns // frames
            crop = np.ascontiguousarray(photo[y : y + HEIGHT, x : x + WIDTH])
            frame = av.VideoFrame.from_ndarray(crop, "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def transcode(path: Path) -> None:
    """Decode and encode with burnish's settings, without conversion to RGB."""
    video = probe(path)
    encoding = choose_encoding(video, SAME_AS_SOURCE, writable_container("mp4", "-"), "-")
    encoder = Encoder(video, encoding)
    with av.open(str(path)) as source:
        source.streams.video[0].thread_type = "AUTO"
        for frame in source.decode(video=0):
            frame.pict_type = 0
            encoder.encode(frame)
    encoder.encode(None)


def run(edit: Edit, video: Path, target: Path) -> None:
    edit_video(edit, video, target, WriteOptions(overwrite=True))


def in_memory(edit: Edit, video: Path) -> Any:
    """Return a function that edits the decoded frames of a video."""
    frames = [pixels for _, pixels in decode_frames(probe(video))]
    edit = edit.for_output(8, video=True)

    def edit_all() -> None:
        edit_frame = edit.frame_edit(lambda: frames)
        for index, pixels in enumerate(frames):
            edit_frame(pixels, index, index / RATE)

    return edit_all


if __name__ == "__main__":
    main()
