"""Suggest keywords from the words of photos: captions, titles and file names."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from burnish.errors import UsageError
from burnish.keywords.library import MIN_PHOTOS, Library, LibraryPhoto, choose_labels
from burnish.keywords.training.text import TextResult, suggest_from_words
from burnish.keywords.training.text_graph import count_words


def probabilities_from_words(
    library: Library,
    photos: Sequence[LibraryPhoto],
    where: str = "library",
    min_photos: int = MIN_PHOTOS,
) -> tuple[dict[Path, dict[str, float]], TextResult]:
    """Return the probability of each label for the photos without keywords, and the classifier.

    Parameters
    ----------
    library : photos to learn from, of which those without keywords help, too
    photos : the photos to suggest keywords for; they may be in the library
    where : the library, for messages

    Raises
    ------
    UsageError : the library has too few keywords, or no words
    """
    in_library = {photo.path.resolve() for photo in library.photos}
    others = [photo for photo in photos if photo.path.resolve() not in in_library]
    everything = [*library.photos, *others]
    keywords = [photo.confirmed() for photo in library.photos] + [()] * len(others)
    labels = choose_labels(keywords, min_photos, where)
    texts = [photo.words for photo in everything]
    counts, _ = count_words(texts)
    has_words = np.asarray(counts.sum(axis=1)).ravel() > 0
    has_label = np.asarray(labels.truth.any(axis=1))
    labelled = np.flatnonzero(has_label & has_words)
    if len(labelled) < 2:
        problem = "its photos with keywords share no words in titles, captions and file names"
        raise UsageError(where, problem, "leave --library out, and use --model")
    result = suggest_from_words(texts, labels.truth, labelled)
    probabilities = result.probabilities()
    wanted = {photo.path.resolve() for photo in photos}
    rows = (
        (photo.path, dict(zip(labels.names, row.tolist(), strict=True)))
        for photo, row, known, worded in zip(
            everything, probabilities, has_label, has_words, strict=True
        )
        if worded and not known and photo.path.resolve() in wanted
    )
    return dict(rows), result
