"""Made: how a photo was made, kept in its XMP so that it can be done again."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

import burnish
from burnish.editing.region_record import RegionRecord
from burnish.errors import PhotoError, VideoError, warn
from burnish.params import AnyParam, FileParam, Value
from burnish.photo import Photo, header
from burnish.photo.source_metadata import SourceMetadata
from burnish.photo.xmp import BrokenXmpError, get_property, set_property
from burnish.video.formats import has_video_extension
from burnish.video.probe import open_video

_XMP_PROPERTY = "History"
_COMMENT_KEY = "comment"
_COMMENT_PREFIX = "Made by burnish: "
# JPEG holds XMP of nearly 64 KiB; a packet near to that is left alone.
_MAX_XMP_BYTES = 50_000


class EditRecord(BaseModel):
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
    region : where in the photo it shows; None for everywhere
    """

    model_config = ConfigDict(frozen=True)

    operator: str
    params: dict[str, Value] = {}
    files: dict[str, str] = {}
    model: str | None = None
    slow: bool = False
    version: str = burnish.__version__
    region: RegionRecord | None = None


_HISTORY = TypeAdapter(tuple[EditRecord, ...])


def record_edit(
    operator: str,
    values: Mapping[str, Value],
    params: Sequence[AnyParam] = (),
    *,
    model: str | None = None,
) -> EditRecord:
    """Describe an edit.

    Parameters
    ----------
    values : by name
    params : the operator's, which tell what is a file
    """
    file_params = {param.name for param in params if isinstance(param, FileParam)}
    return EditRecord(
        operator=operator,
        params={k: v for k, v in values.items() if k not in file_params and v is not None},
        files={
            k: Path(str(v)).name for k, v in values.items() if k in file_params and v is not None
        },
        model=model,
        slow=model is None,
    )


def add_history(photo: Photo, records: Sequence[EditRecord]) -> Photo:
    """Return the photo with what was done to it added to its XMP; see `metadata_with_history`."""
    metadata = metadata_with_history(photo.metadata, records)
    return photo if metadata is photo.metadata else replace(photo, metadata=metadata)


def metadata_with_history(
    metadata: SourceMetadata, records: Sequence[EditRecord]
) -> SourceMetadata:
    """Return what a photo takes along, with what was done to it added to its XMP.

    Warns
    -----
    UserWarning : the photo's XMP is broken, or full; it stays as it is
    """
    xmp = metadata.xmp
    history = (*_parse_xmp(xmp), *records)
    try:
        if len(xmp or b"") > _MAX_XMP_BYTES:
            raise BrokenXmpError("it is full")
        packet = set_property(xmp, _XMP_PROPERTY, _HISTORY.dump_json(history).decode())
    except BrokenXmpError as error:
        warn(f"the photo's XMP is left as it is, without the edit ({error})")
        return metadata
    return replace(metadata, xmp=packet)


def read_photo_history(path: Path) -> tuple[EditRecord, ...]:
    """Return what was done to a photo, first to last.

    Raises
    ------
    PhotoError : the photo cannot be read, or does not tell
    """
    with header.open_header(path) as photo_header:
        history = _parse_xmp(header.get_field(photo_header.image, "xmp-data"))
    if not history:
        raise PhotoError(
            str(path),
            expected="a photo that burnish made",
            got="one that does not say how it was made",
            remedy="name the operator: burnish apply OPERATOR PHOTO",
        )
    return history


def _parse_xmp(xmp: bytes | None) -> tuple[EditRecord, ...]:
    text = get_property(xmp, _XMP_PROPERTY)
    try:
        return _HISTORY.validate_json(text) if text else ()
    except ValidationError:
        return ()


def tags_with_history(tags: Mapping[str, str], records: Sequence[EditRecord]) -> dict[str, str]:
    """Return a film's metadata with what was done to it added.

    Examples
    --------
    >>> told = tags_with_history({"title": "A", "COMMENT": "mine"}, [EditRecord(operator="tone")])
    >>> told["title"], told["COMMENT"].splitlines()[0], parse_tags(told)[0].operator
    ('A', 'mine', 'tone')
    """
    key = _comment_key(tags)
    if not records:
        return dict(tags)
    history = (*parse_tags(tags), *records)
    lines = [
        line for line in tags.get(key, "").splitlines() if not line.startswith(_COMMENT_PREFIX)
    ]
    line = _COMMENT_PREFIX + _HISTORY.dump_json(history).decode()
    return {**tags, key: "\n".join([*lines, line])}


def parse_tags(tags: Mapping[str, str]) -> tuple[EditRecord, ...]:
    """Return what was done to a film, first to last, by its metadata; () where it does not say."""
    for line in tags.get(_comment_key(tags), "").splitlines():
        if line.startswith(_COMMENT_PREFIX):
            try:
                return _HISTORY.validate_json(line.removeprefix(_COMMENT_PREFIX))
            except ValidationError:
                return ()
    return ()


def read_video_history(path: Path) -> tuple[EditRecord, ...]:
    """Return what was done to a film, first to last.

    Raises
    ------
    VideoError : the film cannot be read, or does not tell
    """
    with open_video(path) as (container, _):
        history = parse_tags(container.metadata)
    if not history:
        raise VideoError(
            str(path),
            expected="a film that burnish made",
            got="one that does not say how it was made",
            remedy="name the operator: burnish apply OPERATOR FILM",
        )
    return history


def _comment_key(tags: Mapping[str, str]) -> str:
    """Return the comment's key as the film spells it."""
    return next((key for key in tags if key.lower() == _COMMENT_KEY), _COMMENT_KEY)


def read_history(path: Path) -> tuple[EditRecord, ...]:
    """Return what was done to a photo or film, first to last; see `read_photo_history`, `read_video_history`."""
    return read_video_history(path) if has_video_extension(path) else read_photo_history(path)
