"""Outcome: what became of one photo of a run, as a person and as a program are told it."""

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict

from burnish.editing.made import Made

Status = Literal["planned", "done", "skipped", "failed", "interrupted"]


class Outcome(BaseModel):
    """What became of one photo.

    Parameters
    ----------
    input, output : paths; no output where none was written
    status : "planned" in a dry run; "skipped" where the output was there and asked to stay
    reason : why it was skipped or failed
    seconds : spent on reading, editing and writing it, waiting left out
    megapixels : its size
    device : what it was edited on
    steps : the operators that it went through
    """

    model_config = ConfigDict(frozen=True)

    input: str
    output: str | None
    status: Status
    reason: str | None = None
    seconds: float | None = None
    megapixels: float | None = None
    device: str
    steps: tuple[Made, ...]


def outcome_schema() -> str:
    """Return the JSON schema of an outcome, which `--json` prints one of a line."""
    return json.dumps(Outcome.model_json_schema(), indent=2) + "\n"
