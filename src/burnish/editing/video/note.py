"""Note: how a film was made, kept in its comment so that it can be done again.

The comment is what all containers keep and all players show. What was in it stays above.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from burnish.editing.made import Made
from burnish.editing.video.film import opened
from burnish.errors import FilmError

_KEY = "comment"
_BEFORE = "Made by burnish: "
_List = TypeAdapter(tuple[Made, ...])


def noted(metadata: Mapping[str, str], done: Sequence[Made]) -> dict[str, str]:
    """Return a film's metadata with what was done to it added.

    Examples
    --------
    >>> told = noted({"title": "A", "COMMENT": "mine"}, [Made(operator="tone")])
    >>> told["title"], told["COMMENT"].splitlines()[0], steps_of(told)[0].operator
    ('A', 'mine', 'tone')
    """
    key = _key(metadata)
    if not done:
        return dict(metadata)
    steps = (*steps_of(metadata), *done)
    lines = [line for line in metadata.get(key, "").splitlines() if not line.startswith(_BEFORE)]
    line = _BEFORE + _List.dump_json(steps).decode()
    return {**metadata, key: "\n".join([*lines, line])}


def steps_of(metadata: Mapping[str, str]) -> tuple[Made, ...]:
    """Return what was done to a film, first to last, by its metadata; () where it does not say."""
    for line in metadata.get(_key(metadata), "").splitlines():
        if line.startswith(_BEFORE):
            try:
                return _List.validate_json(line.removeprefix(_BEFORE))
            except ValidationError:
                return ()
    return ()


def made_of_film(film: Path) -> tuple[Made, ...]:
    """Return what was done to a film, first to last.

    Raises
    ------
    FilmError : the film cannot be read, or does not tell
    """
    with opened(film) as (container, _):
        steps = steps_of(container.metadata)
    if not steps:
        raise FilmError(
            str(film),
            expected="a film that burnish made",
            got="one that does not say how it was made",
            remedy="name the operator: burnish apply OPERATOR FILM",
        )
    return steps


def _key(metadata: Mapping[str, str]) -> str:
    """Return the comment's key as the film spells it."""
    return next((key for key in metadata if key.lower() == _KEY), _KEY)
