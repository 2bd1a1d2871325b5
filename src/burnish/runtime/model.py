"""Model: run a model file on an image of any size, within a memory budget."""

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Self

import numpy as np

from burnish.errors import ModelError, UsageError
from burnish.metrics import MIN_VISIBLE_MEAN
from burnish.modelfile.quality import STANDARD
from burnish.modelfile.reader import ModelFile, read_cached_model
from burnish.params import Value
from burnish.runtime.cascade import level_ratios, level_sizes, operator_guide, params_at_size
from burnish.runtime.engine_choice import EngineChoice, choose
from burnish.runtime.engines import AUTO, DEFAULT_ENGINE, check_options, usable_threads
from burnish.runtime.model_registry import find_model
from burnish.runtime.tiled_network import (
    ImageAccess,
    TiledNetwork,
    check_pixels,
    checked_thumbnail,
    output_error,
)
from burnish.types import OnProgress, Pixels, ReadRegion, Rectangle, WriteRegion

DEFAULT_MEMORY = 640 * 2**20
# The frames of a video that are processed at the same time, if each has all threads: the network
# runs on one, while the other is prepared.
_FRAMES_IN_FLIGHT = 2


class Model:
    """A model file on a device.

    Attributes
    ----------
    file : the checked model file
    card : its description
    sha256 : of the model file, hexadecimal
    device : "cpu" or "cuda:N"
    engine : "onnxruntime" or "openvino"
    precision : "fp32", "bf16" or "int8"
    quality : "preview", "standard" or "best"
    chooses_precision : whether `for_bits` may return a model of another precision

    Examples
    --------
    >>> import numpy as np
    >>> model = Model.open("l0-smoothing")
    >>> model(np.zeros((480, 640, 3), np.float32), lambda_=0.05).shape
    (480, 640, 3)
    """

    def __init__(
        self,
        file: ModelFile,
        device: str = "auto",
        threads: int | None = None,
        engine: str = AUTO,
        precision: str = AUTO,
        quality: str = STANDARD,
    ) -> None:
        check_options(device, threads, engine, precision)
        self.sha256 = file.sha256
        self.file, self.quality = file, quality
        file = file.at_quality(quality)
        self.card = file.card
        self._options = device, threads, engine
        self.chooses_precision = precision == AUTO
        self._chosen: dict[EngineChoice, Self] = {}
        choice = choose(file, device, engine, precision)
        self.engine, self.precision = choice.engine, choice.precision
        if device == AUTO and self.precision != "fp32":
            device = "cpu"
        options = device, threads, self.engine, self.precision
        self._network = TiledNetwork(file, *options)
        self._start = TiledNetwork(file.start, *options) if file.start else None
        # A session is created now, so that a missing device or engine fails here and not at the
        # first image.
        self.device = self._network.device

    @classmethod
    def open(
        cls,
        name_or_path: str | Path,
        *,
        device: str = "auto",
        threads: int | None = None,
        engine: str = AUTO,
        precision: str = AUTO,
        quality: str = STANDARD,
    ) -> Self:
        """Open a model by its name or file. The contents of unchanged files are cached.

        Parameters
        ----------
        device : "auto" (CUDA if the engine has it and it works, else the CPU), "cpu", "cuda" or
            "cuda:N". A device other than "auto" is used, or an error is raised
        threads : number of CPU threads for one image, at most one for each core [default: the
            engine's choice]
        engine : "onnxruntime", "openvino", or "auto" for the quicker one
        precision : "fp32", "bf16", "int8", or "auto". Calls return floats, so that "auto" is fp32
            for them; see `for_bits`
        quality : "preview", "standard" or "best": which network of a file with several

        Raises
        ------
        ModelError : there is no such model, its file is not valid, or the engine rejects it
        DeviceError : the device or the precision is not available
        MissingLibraryError : the engine is not installed
        UsageError : `device`, `threads`, `engine` or `precision` has an invalid value, or the file
            has no network of this quality
        """
        file = read_cached_model(find_model(name_or_path))
        return cls(file, device, threads, engine, precision, quality)

    def at_quality(self, quality: str) -> Self:
        """Return the model of another quality, with the same options; see `open`."""
        device, threads, engine = self._options
        precision = AUTO if self.chooses_precision else self.precision
        return type(self)(self.file, device, threads, engine, precision, quality)

    def for_bits(self, bits: int, *, video: bool = False) -> Self:
        """Return the model for results that are stored with so many bits a channel.

        With the precision "auto", 8 bits have the quickest precision whose PSNR against the
        operator is within 0.05 dB of that of fp32, according to the card. More bits have fp32. The
        time to load an engine counts, except for a video.
        """
        if not self.chooses_precision:
            return self
        device, threads, engine = self._options
        file = self.file.at_quality(self.quality)
        choice = choose(file, device, engine, AUTO, bits, video=video)
        if choice not in self._chosen:
            options = device, threads, choice.engine, choice.precision, self.quality
            self._chosen[choice] = type(self)(self.file, *options)
        return self._chosen[choice]

    def for_frames(self) -> tuple[Self, int]:
        """Return the model for images that threads process at the same time, and their number.

        ONNX Runtime's threads wait for one another in each layer, and for the code between the
        levels of a cascade. So each image has one thread.
        """
        if self.engine != DEFAULT_ENGINE or self.device != "cpu":
            return self, _FRAMES_IN_FLIGHT
        count = usable_threads(self._options[1])
        model = type(self)(self.file, "cpu", 1, self.engine, self.precision, self.quality)
        return model, count

    def __call__(
        self,
        pixels: Pixels,
        params: Mapping[str, Value] | None = None,
        *,
        guide: Pixels | None = None,
        memory: int = DEFAULT_MEMORY,
        on_progress: OnProgress | None = None,
        thumbnail: Pixels | None = None,
        **keywords: Value,
    ) -> Pixels:
        """Run the model on an image, in tiles if it exceeds `memory`. The output is the same.

        Shape: (H, W, 3) float32, or a batch (N, H, W, 3) -> the same. Range: RGB in [0, 1],
        sRGB-encoded, both ways.

        A guided model runs on smaller copies of the image first, the levels of its cascade. Each
        result, enlarged, is the guide of the next level. Without a guide, some models run their
        start network on the image itself instead.

        Parameters
        ----------
        params : values of the model's sliders by name [default: the card's]
        guide : the result of the first level, such as the operator's output, `first_level` in size;
            (N, h, w, 3) for a batch [default: that of the model's start network]
        memory : bytes for a tile, in addition to the image and the output. The level below the
            image's own needs 24 bytes a pixel besides
        on_progress : called with the fraction done, up to 1, after each tile
        thumbnail : (S, S, 3) float32, where S is `thumbnail_size`; a model without a thumbnail
            ignores it. One thumbnail for all frames of a video prevents flicker [default: that of
            the image]
        keywords : values of sliders by keyword, such as ``lambda_=0.05``

        Raises
        ------
        UsageError : `pixels`, `guide` or `thumbnail` has another shape, type or range, `params` has
            an unknown name or an invalid value, `memory` is too little for the smallest tile, or
            the model takes no guide
        OutputError : the output is not finite, or black although the image is not
        ModelError : the model fails, the machine has too little memory for the smallest tile, or
            the model has no start network and there is no guide
        """
        values = {**(params or {}), **keywords}
        if isinstance(pixels, np.ndarray) and pixels.ndim == 4:
            guides = [None] * len(pixels) if guide is None else list(guide)
            return self._run_batch(pixels, values, guides, memory, on_progress, thumbnail)
        check_pixels("pixels", pixels)
        try:
            output = np.empty_like(pixels, order="C")
        except MemoryError as error:
            height, width = pixels.shape[:2]
            extra = f", and {12 * height * width // 2**20} MiB for the output"
            raise self._out_of_memory(self.min_memory(height, width), extra) from error
        image = ImageAccess.in_memory(pixels, output)
        self._run(image, values, memory, on_progress, guide, thumbnail)
        return output

    def _run_batch(
        self,
        batch: Pixels,
        params: Mapping[str, Value],
        guides: Sequence[Pixels | None],
        memory: int,
        on_progress: OnProgress | None,
        thumbnail: Pixels | None,
    ) -> Pixels:
        """Run the model on images one by one, which is as fast as together on a CPU."""
        if len(guides) != len(batch):
            problem = f"expected {len(batch)} guides, got {len(guides)}"
            raise UsageError("guide", problem, "pass one for each image of the batch")
        outputs = np.empty_like(batch, order="C")
        for index, (pixels, guide) in enumerate(zip(batch, guides, strict=True)):
            outputs[index] = self(pixels, params, guide=guide, memory=memory, thumbnail=thumbnail)
            if on_progress is not None:
                on_progress((index + 1) / len(batch))
        return outputs

    def process_tiles(
        self,
        read_region: ReadRegion,
        write_region: WriteRegion,
        size: tuple[int, int],
        params: Mapping[str, Value] | None = None,
        *,
        guide: Pixels | None = None,
        memory: int = DEFAULT_MEMORY,
        on_progress: OnProgress | None = None,
    ) -> None:
        """Run the model on an image that is read and written in parts, and not held in memory.

        The output equals that of `__call__` bit for bit. The other parameters and errors are those
        of `__call__`.

        Parameters
        ----------
        read_region : returns a rectangle of the image, (rows, columns, 3) float32 in [0, 1].
            Rectangles overlap and may be read several times. Another thread calls it, also while
            `write_region` runs
        write_region : receives a rectangle of the output. Together they cover the image. If memory
            runs out, some pixels are written again as part of smaller rectangles
        size : height and width of the image, px

        Examples
        --------
        >>> pixels = np.zeros((48, 64, 3), np.float32)
        >>> output = np.empty_like(pixels)
        >>> def write(rectangle, tile_output):
        ...     output[rectangle.slices] = tile_output
        >>> model = Model.open("l0-smoothing")
        >>> model.process_tiles(lambda rectangle: pixels[rectangle.slices], write, (48, 64))
        >>> bool((output == model(pixels)).all())
        True
        """

        def read_checked(rectangle: Rectangle) -> Pixels:
            pixels = read_region(rectangle)
            check_pixels("pixels", pixels)
            return pixels

        def allocate(rectangle: Rectangle) -> Pixels:
            return np.empty((*rectangle.size, 3), np.float32)

        image = ImageAccess(size, read_checked, allocate, write_region)
        self._run(image, params or {}, memory, on_progress, guide)

    def min_memory(self, height: int, width: int) -> int:
        """Return the smallest `memory` for an image of this size, in bytes.

        Examples
        --------
        >>> Model.open("l0-smoothing").min_memory(6000, 9000) < 2**26
        True
        """
        size = height, width
        steps = [*self._steps(size, begins=False), *self._steps(size, begins=True)]
        return max((network.min_memory(level) for network, level, _ in steps), default=0)

    @property
    def thumbnail_size(self) -> int:
        """Side of the thumbnail that the model takes, px; 0 if it takes none."""
        return (self._start or self._network).card.thumbnail_size

    def first_level(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width of the guide for an image of this size.

        Raises
        ------
        UsageError : the model takes no guide
        """
        if self.card.guide is None:
            problem = f"model {self.card.name} takes no guide"
            raise UsageError("guide", problem, "leave it out")
        size = height, width
        return level_sizes(size, operator_guide(size, self.card.guide))[0]

    def _steps(
        self, size: tuple[int, int], *, begins: bool
    ) -> list[tuple[TiledNetwork, tuple[int, int], float]]:
        """Return the networks to run, each with its level's size and ratio to the image's size.

        Parameters
        ----------
        begins : whether the start network computes the first level
        """
        if self.card.guide is None:
            return [(self._network, size, 1.0)]
        guide = self.card.guide if begins else operator_guide(size, self.card.guide)
        levels = list(zip(level_sizes(size, guide), level_ratios(size, guide), strict=True))
        steps = [(self._network, *level) for level in levels[1:]]
        if not begins or self._start is None or guide.start is None:
            return steps
        if guide.start.full_size:
            return [(self._start, size, 1.0)]
        return [(self._start, *levels[0]), *steps]

    def _run(
        self,
        image: ImageAccess,
        params: Mapping[str, Value],
        memory: int,
        on_progress: OnProgress | None,
        guide: Pixels | None,
        thumbnail: Pixels | None = None,
    ) -> None:
        self._check_guide(guide, image.size)
        min_memory = self.min_memory(*image.size)
        if memory < min_memory:
            needed = f"{ceil(min_memory / 2**20)} MiB for {self.card.name}"
            problem = f"expected at least {needed}, got {memory / 2**20:.1f} MiB"
            raise UsageError("memory", problem, "allow more")
        steps = self._steps(image.size, begins=guide is None)
        total, done = sum(height * width for _, (height, width), _ in steps), 0

        def run(network: TiledNetwork, level: ImageAccess, k: float) -> bool:
            nonlocal done
            area, before = level.whole.area, done
            done += area

            def report(fraction: float) -> None:
                if on_progress is not None:
                    on_progress((before + fraction * area) / total)

            values = params if k == 1 else params_at_size(self.card, params, k)
            return network.run(level, values, memory, report, thumbnail=thumbnail, coarse=coarse)

        try:
            if guide is None:
                thumbnail = checked_thumbnail(image, self.thumbnail_size, thumbnail)
            coarse = guide
            for network, size, k in steps[:-1]:
                output = np.empty((*size, 3), np.float32)
                run(network, ImageAccess.in_memory(image.resized(size), output), k)
                coarse = output
            if guide is not None and not steps:  # the image itself is the first level
                image.write_all(guide)
                any_nonzero = bool(guide.any())
                if on_progress is not None:
                    on_progress(1.0)
            else:
                any_nonzero = run(steps[-1][0], image, 1.0)
        except MemoryError as error:
            raise self._out_of_memory(min_memory) from error
        if not any_nonzero:
            self._check_black(image)

    def _check_guide(self, guide: Pixels | None, size: tuple[int, int]) -> None:
        """Check that the first level's result is given, or that the model can compute it."""
        if guide is None:
            if self.card.guide is not None and self._start is None:
                problem = "it has no start network, which would compute the first level"
                raise ModelError(self.card.name, problem, "pass the operator's output as guide")
            return
        check_pixels("guide", guide)
        if guide.shape[:2] != (first_level := self.first_level(*size)):
            problem = f"expected the size {first_level} of `first_level`, got {guide.shape[:2]}"
            raise UsageError("guide", problem, "run the operator on a copy of that size")

    def _check_black(self, image: ImageAccess) -> None:
        """Raise OutputError for a black output, unless the image is black as well."""
        if image.mean() > MIN_VISIBLE_MEAN:
            raise output_error(self.card.name, "the output is all black", self.device)

    def _out_of_memory(self, min_memory: int, extra: str = "") -> ModelError:
        needed = f"{ceil(min_memory / 2**20)} MiB on {self.device}{extra}"
        problem = f"there is too little free memory; it needs {needed}"
        return ModelError(self.card.name, problem, "close other programs")
