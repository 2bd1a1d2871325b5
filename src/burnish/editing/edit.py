"""Edits: the application of a network or of a reference operator to images, photos and videos."""

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from burnish.editing.card_params import card_params, operator_params, slider_params
from burnish.editing.history import EditRecord, record_edit
from burnish.editing.operator_names import unknown_operator
from burnish.errors import DeviceError, OutputError, UsageError
from burnish.modelfile.card import GuideSource
from burnish.modelfile.quality import PREVIEW, STANDARD
from burnish.operators import is_user_defined
from burnish.params import Value, is_off
from burnish.photo import Photo
from burnish.runtime.engines import AUTO
from burnish.runtime.model import Model
from burnish.types import OnProgress, Pixels, ReadRegion, Rectangle, WriteRegion

if TYPE_CHECKING:
    from burnish.editing.guide import OperatorGuide
    from burnish.operators.operator import Operator

# Rows that are copied at a time.
_STRIP_ROWS = 64

# Maps the pixels of a video frame, its index from 0 and its time in seconds to edited pixels.
FrameEdit = Callable[[Pixels, int, float], Pixels]
# Returns frames sampled evenly over a video. It decodes them anew each time.
SampleFrames = Callable[[], Iterable[Pixels]]
# Edits an image of some height and width tile by tile; see `Model.process_tiles`.
TiledStage = Callable[[ReadRegion, WriteRegion, tuple[int, int], OnProgress | None], None]


def copy_tiles(
    read: ReadRegion, write: WriteRegion, size: tuple[int, int], on_progress: OnProgress | None
) -> None:
    """Copy an image, for edits that change nothing."""
    for top in range(0, size[0], _STRIP_ROWS):
        rows = Rectangle(top, min(top + _STRIP_ROWS, size[0]), 0, size[1])
        write(rows, read(rows))


class Edit:
    """An edit of images, photos and videos. Subclasses implement `run`; all else follows from it.

    Parameters
    ----------
    name : the edit's part of output file names
    device : the device that the edit runs on, such as "cpu"
    history : records of the operators that the edit applies, in order

    Attributes
    ----------
    tiled_stages : the edit as a sequence of stages that work on tiles; empty if it needs the
        whole image
    tiled_share : share of the output of `tiled_stages` in the mixture with the photo
    stateful : whether the result for a video frame depends on earlier frames
    is_off : whether the parameters switch the edit off, so that it changes nothing
    """

    tiled_stages: Sequence[TiledStage] = ()
    tiled_share: float = 1
    stateful: bool = False
    is_off: bool = False

    def __init__(self, name: str, device: str = "cpu", history: Sequence[EditRecord] = ()) -> None:
        self.name = name
        self.device = device
        self.history = tuple(history)

    def run(self, pixels: Pixels, on_progress: OnProgress | None = None) -> Pixels:
        """Edit an image.

        Shape: (H, W, 3) float32 -> the same. Range: RGB in [0, 1], both ways.
        """
        raise NotImplementedError

    def edit_photo(
        self, photo: Photo, source: Path | None = None, on_progress: OnProgress | None = None
    ) -> Photo:
        """Edit a photo and perhaps its transparency or metadata; `source` is its file."""
        pixels = self.run(photo.pixels, on_progress)
        pixels.setflags(write=False)  # A photo copies arrays that can be written to.
        return photo.with_pixels(pixels)

    def frame_edit(self, samples: SampleFrames) -> FrameEdit:
        """Return the function for the frames of one video, which is called on them in order.

        Parameters
        ----------
        samples : frames from all over the video, for values that must be equal in all frames
        """
        return lambda pixels, index, seconds: self.run(pixels)

    def for_frames(self) -> tuple["Edit", int]:
        """Return the edit for frames that threads edit at the same time, and their number.

        Its results are the same. It is not called for a stateful edit.
        """
        return self, 1

    def end_video(self, source: Path) -> None:
        """Check the edit after all frames of a video; called after the last call of `frame_edit`.

        Raises
        ------
        VideoError : the edited video must not be written

        Warns
        -----
        UserWarning : the edit did not do what is expected from it
        """

    def for_output(self, bits: int | None, *, video: bool = False) -> "Edit":
        """Return the edit for an output, which may differ in its history.

        Parameters
        ----------
        bits : depth of a channel in the output; None if it is not known yet
        video : whether the output is a video
        """
        return self

    def fingerprint(self) -> str:
        """Return a text that changes whenever the result might, in addition to `history`."""
        return ""


class NetworkEdit(Edit):
    """Applies a network. Where the values switch its operator off, pixels stay as they are.

    Parameters
    ----------
    guide : the source of a guided network's first level: "operator" or "network" [default: the
        operator if it can be run, else the network; for videos the other way round, since a
        network changes smoothly from frame to frame]
    quality : which network of a file with several runs [default: that of `model`; for videos
        "preview", if the file has it]

    Attributes
    ----------
    guide : the source that is used; None for a network that is not guided

    Raises
    ------
    UsageError : as in `slider_params`; or the network cannot be guided in this way
    MissingLibraryError : the operator needs a library that is not installed
    """

    def __init__(
        self,
        model: Model,
        params: Mapping[str, Value],
        guide: str | None = None,
        quality: str | None = None,
    ) -> None:
        if quality is not None and quality != model.quality:
            model = model.at_quality(quality)
        self._model = model
        self._chosen_quality = quality
        self._params = params
        self._sliders = slider_params(model.card, params)
        self._chosen_guide = guide
        values = operator_params(model.card, params)
        self.is_off = is_off(card_params(model.card), values)
        self._operator: OperatorGuide | None = None
        if guide is not None or model.card.guide is not None:
            from burnish.editing.guide import load_guide

            self._operator = load_guide(model.card, values, params, guide)
        self.guide: GuideSource | None = None
        if model.card.guide is not None:
            self.guide = "network" if self._operator is None else "operator"
        fields: dict[str, Any] = {"model": model.sha256, "guide": self.guide}
        if model.file.others:
            fields["quality"] = model.quality
        if not model.chooses_precision:
            fields |= {"engine": model.engine, "precision": model.precision}
        record = record_edit(model.card.name, values, **fields)
        super().__init__(model.card.name, model.device, [record])
        self.tiled_stages = (self._process_tiles,)

    def run(self, pixels: Pixels, on_progress: OnProgress | None = None) -> Pixels:
        """Apply the network to an image."""
        if self.is_off:
            return pixels
        return self._run_model(pixels, on_progress=on_progress)

    def frame_edit(self, samples: SampleFrames) -> FrameEdit:
        """Return the function for a video's frames, which share what depends on the whole image.

        That is the mean thumbnail, or what the operator that guides the network measures.
        """
        size = self._model.thumbnail_size
        if self.is_off or (self._operator is None and not size):
            return super().frame_edit(samples)
        if self._operator is not None:
            measured = self._operator.measure_video(samples)
            return lambda pixels, index, seconds: self._run_model(pixels, measured)
        from burnish.runtime.resize import area_resize

        # The mean is computed in double precision and rounded once.
        thumbnails = [area_resize(pixels, (size, size)).astype(np.float64) for pixels in samples()]
        mean = np.mean(thumbnails, axis=0).astype(np.float32)
        return lambda pixels, index, seconds: self._model(pixels, self._sliders, thumbnail=mean)

    def for_frames(self) -> tuple[Edit, int]:
        """Return the edit for several frames, unless an operator with threads of its own runs."""
        if self._operator is not None:
            return self, 1
        model, count = self._model.for_frames()
        return NetworkEdit(model, self._params, self._chosen_guide, self._chosen_quality), count

    def for_output(self, bits: int | None, *, video: bool = False) -> Edit:
        """Return the edit in the precision for a depth.

        Videos are edited by the quickest network of the file, and guided by the start network, if
        nothing else was chosen.
        """
        model, guide, quality = self._model, self._chosen_guide, self._chosen_quality
        if video and quality is None and PREVIEW in model.file.others:
            quality = PREVIEW
            model = model.at_quality(quality)
        cascade = model.card.guide
        if video and guide is None and cascade is not None and cascade.start is not None:
            guide = "network"
        if bits is not None:
            model = model.for_bits(bits, video=video)
        if (model, guide) == (self._model, self._chosen_guide):
            return self
        return NetworkEdit(model, self._params, guide, quality)

    def fingerprint(self) -> str:
        """Return the fingerprint of the operator that guides the network."""
        return "" if self._operator is None else self._operator.fingerprint()

    def _run_model(
        self,
        pixels: Pixels,
        measured: Mapping[str, Any] | None = None,
        on_progress: OnProgress | None = None,
    ) -> Pixels:
        guide = self._first_level(
            lambda rectangle: pixels[rectangle.slices], pixels.shape[:2], measured
        )
        return self._model(pixels, self._sliders, guide=guide, on_progress=on_progress)

    def _first_level(
        self, read: ReadRegion, size: tuple[int, int], measured: Mapping[str, Any] | None = None
    ) -> Pixels | None:
        """Return the operator's output for the first level; None without such a guide."""
        if self._operator is None:
            return None
        return self._operator.compute(read, size, self._model.first_level(*size), measured)

    def _process_tiles(
        self,
        read: ReadRegion,
        write: WriteRegion,
        size: tuple[int, int],
        on_progress: OnProgress | None,
    ) -> None:
        if self.is_off:
            copy_tiles(read, write, size, on_progress)
            return
        guide = self._first_level(read, size)
        self._model.process_tiles(
            read, write, size, self._sliders, guide=guide, on_progress=on_progress
        )


class OperatorEdit(Edit):
    """Applies a reference operator.

    Raises
    ------
    UsageError : an unknown parameter, or a value outside its range
    MissingLibraryError : the operator needs a library that is not installed
    """

    def __init__(self, operator: "Operator", params: Mapping[str, Value]) -> None:
        self._operator = operator
        self._params = operator.resolve_params(params)
        operator.load_function()  # raises MissingLibraryError before any photo is read
        record = record_edit(operator.name, self._params, operator.params)
        super().__init__(operator.name, history=[record])

    def run(self, pixels: Pixels, on_progress: OnProgress | None = None) -> Pixels:
        """Apply the operator to an image.

        Raises
        ------
        OperatorError : the operator fails
        OutputError : its output is all black
        """
        from burnish.metrics import went_black

        output: Pixels = self._operator.run(pixels, **self._params)
        if went_black(pixels, output):
            remedy = "fix the operator, or try another photo"
            raise OutputError(f"operator {self.name}", "its output is all black", remedy)
        return output

    def fingerprint(self) -> str:
        """Return the fingerprint of the operator and its parameters."""
        return self._operator.fingerprint(self._params)


def load_edit(
    name_or_path: str | Path,
    params: Mapping[str, Value],
    *,
    slow: bool = False,
    guide: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    engine: str = AUTO,
    precision: str = AUTO,
    quality: str | None = None,
) -> Edit:
    """Load the network of an operator, or with `slow` the reference operator.

    Parameters
    ----------
    name_or_path : an operator's name, the path of a model file, or with `slow` a user's operator
    params : parameter values by name or keyword; None means the default
    guide : "operator" or "network"; see `NetworkEdit`
    quality : "preview", "standard" or "best"; see `Model.open` [default: standard, or preview for
        videos if the file has it]

    Raises
    ------
    UsageError : an unknown operator, parameter or engine, a value that the network was not trained
        for, or a guide that is not possible
    ModelError : the operator has no network, or the model file is missing or invalid
    DeviceError : the device or the precision is not available
    MissingLibraryError : the operator or the engine needs a library that is not installed
    """
    if not isinstance(name_or_path, str | Path):
        problem = f"{type(name_or_path).__name__} is neither a name nor the path of a model file"
        raise UsageError("operator", problem, "see `burnish models list`")
    if error := unknown_operator(str(name_or_path)):
        raise error
    if slow:
        if device not in ("auto", "cpu"):
            problem = "operators run on the CPU only"
            raise DeviceError(f"--device {device}", problem, "leave it out")
        if guide is not None:
            raise UsageError("guide", "an operator itself takes no guide", "leave it out")
        if quality is not None:
            raise UsageError("quality", "an operator itself has no qualities", "leave it out")
        from burnish.operators.user_defined import find_runnable_operator

        return OperatorEdit(find_runnable_operator(str(name_or_path)), params)
    if is_user_defined(str(name_or_path)):
        quoted = shlex.quote(str(name_or_path))
        photos = "" if str(name_or_path).startswith("pairs:") else " --photos FOLDER"
        train = f"train a network: burnish train {quoted}{photos}"
        remedy = f"add --slow to run the operator, or {train}" if photos else train
        raise UsageError(str(name_or_path), "a user-defined operator has no network", remedy)
    model = Model.open(
        name_or_path,
        device=device,
        threads=threads,
        engine=engine,
        precision=precision,
        quality=quality or STANDARD,
    )
    return NetworkEdit(model, params, guide, quality)
