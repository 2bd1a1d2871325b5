"""Made: how a photo was made, kept in its XMP so that it can be done again."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

import burnish
from burnish.editing.region_record import Where
from burnish.errors import FilmError, PhotoError, warn
from burnish.params import AnyParam, FileParam, Value
from burnish.photo import Photo, header
from burnish.photo.source_metadata import Origin
from burnish.photo.xmp import BrokenXmpError, property_of, with_property
from burnish.video.formats import is_called_film
from burnish.video.probe import opened

_PROPERTY = "Made"
_KEY = "comment"
_BEFORE = "Made by burnish: "
# JPEG holds XMP of nearly 64 KiB; a packet near to that is left alone.
_LONGEST = 50_000


class Made(BaseModel):
    """One operator that went over a photo.

    Parameters
    ----------
    operator : the operator's or the network's name. Of one of the user's own no more is kept: a
        photo names no code that is to be run
    params : what it was given, by name; of files only their names, in `files`
    files : parameter -> name of the file
    model : SHA-256 of the network's file; None for the slow operator
    slow : whether it was the slow operator itself
    version : of burnish
    where : where in the photo it shows; None for everywhere
    """

    model_config = ConfigDict(frozen=True)

    operator: str
    params: dict[str, Value] = {}
    files: dict[str, str] = {}
    model: str | None = None
    slow: bool = False
    version: str = burnish.__version__
    where: Where | None = None


_List = TypeAdapter(tuple[Made, ...])


def made(
    operator: str,
    values: Mapping[str, Value],
    params: Sequence[AnyParam] = (),
    *,
    model: str | None = None,
) -> Made:
    """Describe an edit.

    Parameters
    ----------
    values : by name
    params : the operator's, which tell what is a file
    """
    files = {param.name for param in params if isinstance(param, FileParam)}
    return Made(
        operator=operator,
        params={k: v for k, v in values.items() if k not in files and v is not None},
        files={k: Path(str(v)).name for k, v in values.items() if k in files and v is not None},
        model=model,
        slow=model is None,
    )


def remember(photo: Photo, done: Sequence[Made]) -> Photo:
    """Return the photo with what was done to it added to its XMP; see `remembered`."""
    origin = remembered(photo.origin, done)
    return photo if origin is photo.origin else replace(photo, origin=origin)


def remembered(origin: Origin, done: Sequence[Made]) -> Origin:
    """Return what a photo takes along, with what was done to it added to its XMP.

    Warns
    -----
    UserWarning : the photo's XMP is broken, or full; it stays as it is
    """
    xmp = origin.xmp
    steps = (*_steps(xmp), *done)
    try:
        if len(xmp or b"") > _LONGEST:
            raise BrokenXmpError("it is full")
        packet = with_property(xmp, _PROPERTY, _List.dump_json(steps).decode())
    except BrokenXmpError as error:
        warn(f"the photo's XMP is left as it is, without the edit ({error})")
        return origin
    return replace(origin, xmp=packet)


def made_of(photo: Path) -> tuple[Made, ...]:
    """Return what was done to a photo, first to last.

    Raises
    ------
    PhotoError : the photo cannot be read, or does not tell
    """
    with header.peeked(photo) as found:
        steps = _steps(header.field(found.image, "xmp-data"))
    if not steps:
        raise PhotoError(
            str(photo),
            expected="a photo that burnish made",
            got="one that does not say how it was made",
            remedy="name the operator: burnish apply OPERATOR PHOTO",
        )
    return steps


def _steps(xmp: bytes | None) -> tuple[Made, ...]:
    text = property_of(xmp, _PROPERTY)
    try:
        return _List.validate_json(text) if text else ()
    except ValidationError:
        return ()


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


def how_made(file: Path) -> tuple[Made, ...]:
    """Return what was done to a photo or film, first to last; see `made_of`, `made_of_film`."""
    return made_of_film(file) if is_called_film(file) else made_of(file)
