"""One small hierarchy. A message says where, what was expected, what came and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

# What a command ends with that Ctrl-C stopped: 128 and the number of the signal.
INTERRUPTED = 130


class BurnishError(Exception):
    """Base of everything burnish raises on purpose.

    ``exit_code`` is what the command line ends with when this error is the outcome.

    Examples
    --------
    >>> print(BurnishError("--lambda", expected="0.002 to 0.2", got="7", remedy="choose a smaller"))
    --lambda: expected 0.002 to 0.2, got 7; choose a smaller
    """

    exit_code = 1

    def __init__(self, where: str, *, expected: str, got: str, remedy: str) -> None:
        self.where = where
        self.expected = expected
        self.got = got
        self.remedy = remedy
        # One line that a terminal shows as it is, whatever a library or a file put into it.
        line = " ".join(f"{where}: expected {expected}, got {got}; {remedy}".split())
        super().__init__("".join(_shown(character) for character in line))

    def at(self, where: str) -> "BurnishError":
        """Return the same error, said of another place."""
        return type(self)(where, expected=self.expected, got=self.got, remedy=self.remedy)

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross process boundaries, and pickle would call __init__ with the message alone.
        parts = {"expected": self.expected, "got": self.got, "remedy": self.remedy}
        return partial(type(self), **parts), (self.where,)


def _shown(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]


class PhotoError(BurnishError):
    """A picture cannot be read, written or converted."""


class FilmError(BurnishError):
    """A film cannot be read or written, or something in it would be lost."""


class OperatorError(BurnishError):
    """A slow operator failed, or gave something that is not a picture."""


class OutputError(BurnishError):
    """A result would overwrite something, collide, or is not sane."""


class UsageError(BurnishError, ValueError):
    """A name, option or parameter is not one that burnish takes."""

    exit_code = 2


@contextmanager
def as_asked() -> Iterator[None]:
    """Let what cannot be written be wrong usage: it was asked for, and no file is to blame.

    Raises
    ------
    UsageError : in the place of PhotoError and FilmError, in the same words
    """
    try:
        yield
    except (PhotoError, FilmError) as error:
        raise UsageError(
            error.where, expected=error.expected, got=error.got, remedy=error.remedy
        ) from error


class ModelError(BurnishError):
    """A model file is missing, broken, untrustworthy or does not fit."""

    exit_code = 3


class DeviceError(BurnishError):
    """A device that was asked for cannot be had."""

    exit_code = 3


class MissingLibraryError(BurnishError):
    """An optional library that this needs is not installed."""

    exit_code = 3


# Library -> the extra of burnish that brings it.
EXTRAS = {
    "PyOpenColorIO": "operators",
    "av": "video",
    "cv2": "operators",
    "faster_coco_eval": "regions",
    "numba": "operators",
    "openvino": "openvino",
    "pymatting": "operators",
    "rawpy": "raw",
    "scipy": "operators",
    "skimage": "operators",
    "onnxscript": "train",
    "torch": "train",
    "torchvision": "regions",
}


def missing_library(error: ModuleNotFoundError, extra: str | None = None) -> MissingLibraryError:
    """Return what to tell a person about a library that is not installed; other errors pass.

    Parameters
    ----------
    extra : the extra to name, where another than the one of `EXTRAS` brings the library too

    Raises
    ------
    ModuleNotFoundError : the same, where the library belongs to no extra: a bug, not a choice
    """
    library = (error.name or "").partition(".")[0]
    if library not in EXTRAS:
        raise error
    extra = extra or EXTRAS[library]
    return MissingLibraryError(
        "this command",
        expected=f"the library {library}",
        got="an installation without it",
        remedy=f"install burnish with its extra '{extra}': pip install '.[{extra}]' in the clone",
    )
