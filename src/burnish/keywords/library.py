"""A library: photos with the keywords and the texts in their metadata, and its list of labels."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from burnish.editing.inputs import find_inputs
from burnish.errors import BurnishError, UsageError
from burnish.photo.keywords import PhotoTexts, keyword_key, read_texts
from burnish.progress import SILENT, Progress
from burnish.types import BoolMask
from burnish.video.formats import has_video_extension

# The smallest number of photos that a label is learnt from.
MIN_PHOTOS = 3
# Fewer photos with keywords cannot be split into parts to train and to validate on.
MIN_LIBRARY = 10


@dataclass(frozen=True)
class LibraryPhoto:
    """A photo, and what its metadata say in words."""

    path: Path
    texts: PhotoTexts

    def confirmed(self, *, suggested: bool = False) -> tuple[str, ...]:
        """Return the keywords that a person gave, or all of them with `suggested`.

        Keywords that burnish suggested are no evidence of what they were suggested from.
        """
        marked = set() if suggested else set(map(keyword_key, self.texts.suggested))
        return tuple(word for word in self.texts.keywords if keyword_key(word) not in marked)

    @property
    def words(self) -> str:
        """The captions and the file's name, as a text to learn from."""
        name = self.path.stem.replace("_", " ").replace("-", " ")
        return "\n".join([*self.texts.captions, name])


@dataclass(frozen=True)
class Library:
    """The photos of a library, and an error for each that cannot be read."""

    photos: tuple[LibraryPhoto, ...]
    failed: tuple[BurnishError, ...] = ()


def read_library(
    paths: Sequence[Path], *, recursive: bool = True, progress: Progress = SILENT
) -> Library:
    """Read the metadata of the photos in folders.

    Raises
    ------
    UsageError : there are no photos
    """
    inputs = find_inputs(paths, recursive=recursive)
    files = [file.path for file in inputs.files if not has_video_extension(file.path)]
    progress.start("reading keywords", len(files))
    photos, failed = [], list(inputs.unreadable)
    for file in files:
        try:
            photos.append(LibraryPhoto(file, read_texts(file)))
        except BurnishError as error:
            failed.append(error)
        progress.advance()
    return Library(tuple(photos), tuple(failed))


@dataclass(frozen=True, eq=False)
class Labels:
    """The labels of a library, sorted, and which photos have them.

    Parameters
    ----------
    names : the most frequent spelling of each keyword
    truth : (photos, labels)
    """

    names: tuple[str, ...]
    truth: BoolMask


def choose_labels(
    keywords: Sequence[Sequence[str]], min_photos: int = MIN_PHOTOS, where: str = "library"
) -> Labels:
    """Return the keywords that enough photos have, and that not every photo has.

    Parameters
    ----------
    keywords : of each photo; photos without any do not count
    where : the library, for messages

    Raises
    ------
    UsageError : too few photos have keywords, or no keyword is on enough of them

    Examples
    --------
    >>> labels = choose_labels([["Sea"], ["sea", "dog"], ["dog"]] * 4)
    >>> labels.names, labels.truth[:3].astype(int).tolist()
    (('dog', 'Sea'), [[0, 1], [1, 1], [1, 0]])
    """
    count = sum(map(bool, keywords))
    if count < MIN_LIBRARY:
        problem = f"{count} of {len(keywords)} photos have keywords, and {MIN_LIBRARY} are needed"
        raise UsageError(where, problem, "give more photos their keywords first")
    spellings: dict[str, Counter[str]] = {}
    for words in keywords:
        for word in words:
            spellings.setdefault(keyword_key(word), Counter())[word] += 1
    frequent = {
        key: spelling.most_common(1)[0][0]
        for key, spelling in sorted(spellings.items())
        if min_photos <= spelling.total() < count
    }
    if not frequent:
        most = max(spelling.total() for spelling in spellings.values())
        problem = (
            f"none of its {len(spellings)} keywords is on at least {min_photos} photos "
            f"and not on all (the most frequent one is on {most})"
        )
        raise UsageError(where, problem, "use the same keyword for more photos, or --min-photos")
    sets = [set(map(keyword_key, words)) for words in keywords]
    truth = np.array([[key in present for key in frequent] for present in sets], bool)
    return Labels(tuple(frequent.values()), truth)
