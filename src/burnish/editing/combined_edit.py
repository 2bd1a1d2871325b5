"""Edits that consist of other edits: several operators in order, and mixtures with the photo."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from burnish.editing.edit import Edit, FrameEdit, SampleFrames, copy_tiles, load_edit
from burnish.editing.operator_names import (
    distribute_params,
    find_params,
    operator_label,
    split_operators,
)
from burnish.errors import UsageError
from burnish.modelfile.reader import read_card
from burnish.operators import is_user_defined
from burnish.params import STRENGTH, Value
from burnish.photo import Photo
from burnish.photo.colour import is_srgb
from burnish.photo.read import to_srgb_float
from burnish.photo.write import to_codes
from burnish.runtime.engines import AUTO
from burnish.runtime.model_registry import find_model
from burnish.types import OnProgress, Pixels

# Separates the names of operators in the names of outputs.
NAME_SEPARATOR = "+"


class ChainedEdit(Edit):
    """Applies several edits, one after another. Between them, pixels are not rounded."""

    def __init__(self, edits: Sequence[Edit]) -> None:
        history = [step for edit in edits for step in edit.history]
        name = NAME_SEPARATOR.join(edit.name for edit in edits)
        super().__init__(name, edits[0].device, history)
        self._edits = edits
        self.stateful = any(edit.stateful for edit in edits)
        self.is_off = all(edit.is_off for edit in edits)
        # Only the output of the last stage can be mixed with the photo.
        if all(edit.tiled_stages and edit.tiled_share == 1 for edit in edits):
            self.tiled_stages = [stage for edit in edits for stage in edit.tiled_stages]

    def run(self, pixels: Pixels, on_progress: OnProgress | None = None) -> Pixels:
        """Edit an image."""
        for index, edit in enumerate(self._edits):
            pixels = edit.run(pixels, partial(self._report, on_progress, index))
        return pixels

    def edit_photo(
        self, photo: Photo, source: Path | None = None, on_progress: OnProgress | None = None
    ) -> Photo:
        """Edit a photo."""
        for index, edit in enumerate(self._edits):
            photo = edit.edit_photo(photo, source, partial(self._report, on_progress, index))
        return photo

    def frame_edit(self, samples: SampleFrames) -> FrameEdit:
        """Return the function for a video's frames.

        The earlier edits are applied to the samples of each edit.
        """

        def edited_samples(earlier: Sequence[Edit]) -> Iterator[Pixels]:
            for pixels in samples():
                for edit in earlier:
                    pixels = edit.run(pixels)
                yield pixels

        frame_edits = [
            edit.frame_edit(partial(edited_samples, self._edits[:index]))
            for index, edit in enumerate(self._edits)
        ]

        def edit_frame(pixels: Pixels, index: int, seconds: float) -> Pixels:
            for frame_edit in frame_edits:
                pixels = frame_edit(pixels, index, seconds)
            return pixels

        return edit_frame

    def for_frames(self) -> tuple[Edit, int]:
        """Return the edits for as many frames as all of them can edit at the same time."""
        edits, counts = zip(*(edit.for_frames() for edit in self._edits), strict=True)
        return (self, 1) if min(counts) == 1 else (ChainedEdit(edits), min(counts))

    def end_video(self, source: Path) -> None:
        """Check all edits."""
        for edit in self._edits:
            edit.end_video(source)

    def for_output(self, bits: int | None, *, video: bool = False) -> Edit:
        """Return the edits for an output."""
        edit = ChainedEdit([edit.for_output(bits, video=video) for edit in self._edits])
        return _with_continuation(edit, [record.continues for record in self.history])

    def fingerprint(self) -> str:
        """Return the fingerprints of all edits."""
        return "\n".join(edit.fingerprint() for edit in self._edits)

    def _report(self, on_progress: OnProgress | None, index: int, fraction: float) -> None:
        """Report the completed fraction of one edit as a fraction of all."""
        if on_progress is not None:
            on_progress((index + fraction) / len(self._edits))


def _with_continuation(edit: Edit, continues: Sequence[bool]) -> Edit:
    """Return the edit with these values of `continues` in its records."""
    edit.history = tuple(
        record.model_copy(update={"continues": value})
        for record, value in zip(edit.history, continues, strict=True)
    )
    return edit


def chain(edits: Sequence[Edit]) -> Edit:
    """Return the edit that applies several edits, whose history shows that they are one edit."""
    if len(edits) == 1:
        return edits[0]
    edit = ChainedEdit(edits)
    return _with_continuation(edit, [index > 0 for index in range(len(edit.history))])


class MixedEdit(Edit):
    """Mixes the output of another edit with its input.

    Parameters
    ----------
    strength : share of the output; above 0 and below 1, or 0 for the input itself
    """

    def __init__(self, edit: Edit, strength: float) -> None:
        history = [record.model_copy(update={"strength": strength}) for record in edit.history]
        super().__init__(edit.name, edit.device, history)
        self._edit, self._strength = edit, strength
        self.stateful = edit.stateful and strength > 0
        self.is_off = edit.is_off or strength == 0
        if edit.tiled_stages and strength == 0:
            self.tiled_stages = (copy_tiles,)
        elif edit.tiled_share == 1:
            self.tiled_stages, self.tiled_share = edit.tiled_stages, strength

    def run(self, pixels: Pixels, on_progress: OnProgress | None = None) -> Pixels:
        """Edit an image."""
        if self._strength == 0:
            return pixels
        return mix_pixels(pixels, self._edit.run(pixels, on_progress), self._strength)

    def edit_photo(
        self, photo: Photo, source: Path | None = None, on_progress: OnProgress | None = None
    ) -> Photo:
        """Edit a photo."""
        if self._strength == 0:
            return photo
        return mix_photos(photo, self._edit.edit_photo(photo, source, on_progress), self._strength)

    def frame_edit(self, samples: SampleFrames) -> FrameEdit:
        """Return the function for a video's frames."""
        if self._strength == 0:
            return super().frame_edit(samples)
        edit_frame = self._edit.frame_edit(samples)
        return lambda pixels, index, seconds: mix_pixels(
            pixels, edit_frame(pixels, index, seconds), self._strength
        )

    def for_frames(self) -> tuple[Edit, int]:
        """Return the mixture for as many frames as the other edit can edit at the same time."""
        edit, count = self._edit.for_frames()
        return MixedEdit(edit, self._strength), count

    def end_video(self, source: Path) -> None:
        """Check the other edit after all frames of a video."""
        self._edit.end_video(source)

    def for_output(self, bits: int | None, *, video: bool = False) -> Edit:
        """Return the mixture with the other edit for an output."""
        return MixedEdit(self._edit.for_output(bits, video=video), self._strength)

    def fingerprint(self) -> str:
        """Return the fingerprint of the other edit."""
        return self._edit.fingerprint()


def mix_pixels(before: Pixels, after: Pixels, strength: float) -> Pixels:
    """Return before + strength * (after - before)."""
    mixed: Pixels = before + np.float32(strength) * (after - before)
    return mixed


def mix_photos(before: Photo, after: Photo, strength: float) -> Photo:
    """Return `after` with its colours mixed with those of `before`.

    The values that the file stores are mixed: in the photo's own colour space, if it has a profile.
    """
    if after.pixels is before.pixels:
        return after
    profile = before.metadata.profile
    if profile is None or is_srgb(profile):
        return after.with_pixels(mix_pixels(before.pixels, after.pixels, strength))
    stored = [
        to_codes(photo.pixels, None, replace(photo.metadata, grey=after.metadata.grey), bits=32)
        for photo in (before, after)
    ]
    mixed = mix_pixels(stored[0], stored[1], strength)
    pixels, _, out_of_gamut = to_srgb_float(mixed, profile)
    return replace(
        after, pixels=pixels, metadata=replace(after.metadata, out_of_gamut=out_of_gamut)
    )


def mix(edit: Edit, strength: Value) -> Edit:
    """Return the mixture of an edit's output and the photo; at strength 1, the edit itself.

    Raises
    ------
    UsageError : the strength is not a number from 0 to 1
    """
    share = STRENGTH.check(strength)
    return edit if share == 1 else MixedEdit(edit, share)


def load_edits(
    operators: str | Path | Sequence[str | Path],
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
    """Load one or several operators as one edit; see `burnish.editing.edit.load_edit`.

    Parameters
    ----------
    operators : names or model files; a text may hold several, separated by commas
    params : parameter values; see `burnish.editing.operator_names.distribute_params`
    guide : for the operators whose networks are guided
    quality : for the operators whose model files have a network of this quality

    Raises
    ------
    BurnishError : as in `load_edit`
    UsageError : a name is empty, or a parameter could belong to several operators
    """
    names = split_operators(operators)
    guided = [name for name in names if guide is not None and not slow and _is_guided(name)]
    scalable = [name for name in names if quality and not slow and _has_quality(name, quality)]
    edits = []
    for name, values in zip(names, distribute_params(names, params, slow=slow), strict=True):
        try:
            edit = load_edit(
                name,
                values,
                slow=slow,
                guide=guide if name in guided or not guided else None,
                device=device,
                threads=threads,
                engine=engine,
                precision=precision,
                quality=quality if name in scalable or not scalable else None,
            )
        except UsageError as error:
            own = {param.name for param in find_params(str(name))} if len(names) > 1 else ()
            if error.where not in own:
                raise
            raise error.with_context(f"{operator_label(name)}.{error.where}") from error
        edits.append(edit)
    return chain(edits)


def _is_guided(name: str | Path) -> bool:
    return not is_user_defined(str(name)) and read_card(find_model(name)).guide is not None


def _has_quality(name: str | Path, quality: str) -> bool:
    return not is_user_defined(str(name)) and quality in read_card(find_model(name)).qualities
