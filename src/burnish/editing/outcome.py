"""The record of one edited file, as a run prints it for people and programs."""

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict

from burnish.editing.history import EditRecord

Status = Literal["planned", "done", "skipped", "failed", "interrupted"]


class Outcome(BaseModel):
    """The outcome of one photo or video.

    Parameters
    ----------
    input, output : paths; output is null if no file was written
    status : "planned" in a dry run; "skipped" if the output exists and must be kept
    reason : why it was skipped or failed, or where an interrupted video will resume
    changed : false for a photo whose region was empty, such as one without the selected objects;
        null for videos, and for photos that were edited on disk
    seconds : time spent on reading, editing and writing, without waiting
    megapixels : size of the photo, or of all finished frames of a video
    frames : number of finished frames of a video
    duration : duration of the finished part of a video, in seconds
    device : the device that was used
    history : the operators that were applied
    """

    model_config = ConfigDict(frozen=True)

    input: str
    output: str | None
    status: Status
    reason: str | None = None
    changed: bool | None = None
    seconds: float | None = None
    megapixels: float | None = None
    frames: int | None = None
    duration: float | None = None
    device: str
    history: tuple[EditRecord, ...]


def outcome_schema() -> str:
    """Return the JSON schema of an outcome. `--json` prints one outcome per line."""
    return json.dumps(Outcome.model_json_schema(), indent=2) + "\n"
