"""Outcome: what became of one photo or film of a run, as people and programs are told it."""

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict

from burnish.editing.history import EditRecord

Status = Literal["planned", "done", "skipped", "failed", "interrupted"]


class Outcome(BaseModel):
    """What became of one photo or film.

    Parameters
    ----------
    input, output : paths; no output where none was written
    status : "planned" in a dry run; "skipped" where the output was there and asked to stay
    reason : why it was skipped or failed, or where a film that was interrupted goes on from
    changed : False for a photo that had no region to edit, such as no object of a class, and whose
        pixels are as they were; null for films, and for photos edited on the disk
    seconds : spent on reading, editing and writing it, waiting left out
    megapixels : its size; of a film, of all its frames that are done
    frames : of a film that are done
    duration : of a film that is done, s
    device : what it was edited on
    history : the operators that it went through
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
    """Return the JSON schema of an outcome, which `--json` prints one of a line."""
    return json.dumps(Outcome.model_json_schema(), indent=2) + "\n"
