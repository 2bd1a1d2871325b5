"""The history of edits that a photo or video holds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass

import burnish
from burnish.errors import PhotoError, VideoError, warn
from burnish.modelfile.card import GuideSource, Precision
from burnish.modelfile.quality import Quality
from burnish.params import AnyParam, FileParam, Value
from burnish.photo import header
from burnish.photo.blocks import get_field
from burnish.photo.metadata import SourceMetadata
from burnish.photo.xmp import BrokenXmpError, get_xmp_property, set_xmp_property
from burnish.regions.options import RegionOptions
from burnish.video.formats import has_video_extension

_XMP_PROPERTY = "History"
_COMMENT_KEY = "comment"
_COMMENT_PREFIX = "Made by burnish: "


@pydantic_dataclass(frozen=True)
class RegionRecord(RegionOptions):
    """A region in the history of a file; `sha256` is that of the detector's file.

    The fields are those of `RegionOptions`, but `detector`, `objects` and `mask` are names. They
    are never opened as paths, since the file may come from a stranger.
    """

    sha256: str | None = None


class EditRecord(BaseModel):
    """One operator that was applied to a photo or video.

    Parameters
    ----------
    operator : name of the operator or network. For a user-defined operator, only the name is kept:
        a photo must not name code to run
    params : parameter values by name, without files
    files : parameter -> name of the file
    model : SHA-256 of the network's file; None for a reference operator
    slow : whether the reference operator was used
    guide : the source of a guided network's first level; None for other edits
    engine, precision : the library that ran the network, and its arithmetic; None for other edits,
        and before a photo is read whose depth decides
    quality : which network of a file with several; None for other edits
    version : version of burnish
    region : the region that was edited; None for the whole image
    strength : share of the result in the mixture with the photo; 1 for the result alone
    continues : whether the operator was applied to the output of the one before it in the same
        edit. The region and the strength, which are the same for both, then belong to the output
        of the last one
    """

    model_config = ConfigDict(frozen=True)

    operator: str
    params: dict[str, Value] = {}
    files: dict[str, str] = {}
    model: str | None = None
    slow: bool = False
    guide: GuideSource | None = None
    engine: str | None = None
    precision: Precision | None = None
    quality: Quality | None = None
    version: str = burnish.__version__
    region: RegionRecord | None = None
    strength: float = Field(default=1, ge=0, le=1)
    continues: bool = False


_HISTORY = TypeAdapter(tuple[EditRecord, ...])


def record_edit(
    operator: str,
    values: Mapping[str, Value],
    params: Sequence[AnyParam] = (),
    **fields: Any,
) -> EditRecord:
    """Return the record of an edit; `params` show which of the values are files.

    The other fields are those of a network.
    """
    values = {name: value for name, value in values.items() if value is not None}
    files = {param.name for param in params if isinstance(param, FileParam)} & values.keys()
    return EditRecord(
        operator=operator,
        params={name: value for name, value in values.items() if name not in files},
        files={name: Path(str(values[name])).name for name in files},
        slow="model" not in fields,
        **fields,
    )


def metadata_with_history(
    metadata: SourceMetadata, records: Sequence[EditRecord], name: str = "photo"
) -> SourceMetadata:
    """Return the metadata of a photo with records added to the history in its XMP.

    Parameters
    ----------
    name : of the photo, for the warning

    Warns
    -----
    UserWarning : the XMP is broken, and stays unchanged
    """
    xmp = metadata.xmp
    history = (*_parse_xmp(xmp), *records)
    try:
        packet = set_xmp_property(xmp, _XMP_PROPERTY, _to_json(history))
    except BrokenXmpError as error:
        warn(f"{name}: its XMP stays unchanged, without the history of edits ({error})")
        return metadata
    return replace(metadata, xmp=packet)


def read_history(path: Path) -> tuple[EditRecord, ...]:
    """Return the records in a photo or video, oldest first.

    Raises
    ------
    PhotoError, VideoError : the file cannot be read, or has no history
    """
    is_video = has_video_extension(path)
    if is_video:
        from burnish.video.probe import open_video

        with open_video(path) as (container, _):
            history = parse_tags(container.metadata)
    else:
        with header.open_header(path) as photo_header:
            history = _parse_xmp(get_field(photo_header.image, "xmp-data"))
    if not history:
        kind = VideoError if is_video else PhotoError
        remedy = "name an operator: burnish apply OPERATOR FILE"
        raise kind(str(path), "it has no history of edits", remedy)
    return history


def _to_json(history: Sequence[EditRecord]) -> str:
    """Return a history as JSON, with a ? for each byte of a file name that is not UTF-8."""
    text = json.dumps(
        _HISTORY.dump_python(tuple(history)), ensure_ascii=False, default=str, separators=(",", ":")
    )
    return text.encode("utf-8", "replace").decode()


def _parse_xmp(xmp: bytes | None) -> tuple[EditRecord, ...]:
    text = get_xmp_property(xmp, _XMP_PROPERTY)
    return _parse_json(text or "[]")


def _parse_json(text: str) -> tuple[EditRecord, ...]:
    try:
        return _HISTORY.validate_json(text)
    except ValidationError:
        return ()


def tags_with_history(tags: Mapping[str, str], records: Sequence[EditRecord]) -> dict[str, str]:
    """Return the metadata of a video with records added to the history in its comment.

    Examples
    --------
    >>> tags = tags_with_history({"title": "A", "COMMENT": "mine"}, [EditRecord(operator="tone")])
    >>> tags["title"], tags["COMMENT"].splitlines()[0], parse_tags(tags)[0].operator
    ('A', 'mine', 'tone')
    """
    if not records:
        return dict(tags)
    key = _comment_key(tags)
    lines = [
        line for line in tags.get(key, "").splitlines() if not line.startswith(_COMMENT_PREFIX)
    ]
    history = (*parse_tags(tags), *records)
    lines.append(_COMMENT_PREFIX + _to_json(history))
    return {**tags, key: "\n".join(lines)}


def parse_tags(tags: Mapping[str, str]) -> tuple[EditRecord, ...]:
    """Return the records in the metadata of a video, oldest first; () if there are none."""
    for line in tags.get(_comment_key(tags), "").splitlines():
        if line.startswith(_COMMENT_PREFIX):
            return _parse_json(line.removeprefix(_COMMENT_PREFIX))
    return ()


def _comment_key(tags: Mapping[str, str]) -> str:
    """Return the key of the comment as the video spells it."""
    return next((key for key in tags if key.lower() == _COMMENT_KEY), _COMMENT_KEY)
