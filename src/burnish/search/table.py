"""The table of truth: measurements of candidates, one JSON object a line.

The first line describes the table. Each further line has a candidate, and either its costs or the
PSNR after a training for an operator, so that a table grows line by line.
"""

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from burnish.errors import UsageError
from burnish.files import atomic_write
from burnish.search.space import Candidate

VERSION = 1


@dataclass
class Row:
    """The measurements of a candidate.

    Attributes
    ----------
    milliseconds : CPU time of the network for a megapixel on one thread, by engine and precision
    psnr : in dB on held-out photos, by operator and number of training steps
    """

    candidate: Candidate
    milliseconds: dict[str, float] = field(default_factory=dict)
    psnr: dict[tuple[str, int], float] = field(default_factory=dict)


class Table:
    """A file of measurements; lines are appended as they are measured.

    Parameters
    ----------
    path : ``.jsonl``, or ``.jsonl.gz`` to read only
    about : written to the first line of a new file

    Attributes
    ----------
    rows : by the candidates' labels
    seconds : that all measurements took

    Raises
    ------
    UsageError : the file is not a table, or that of another version
    """

    def __init__(self, path: Path, about: Mapping[str, Any] | None = None) -> None:
        self.path = path
        self.rows: dict[str, Row] = {}
        self.seconds = 0.0
        if about is not None and not path.exists():
            self._append({"version": VERSION, **about})
        lines = _lines(path)
        self.about = next(lines, {})
        if self.about.get("version") != VERSION:
            version = self.about.get("version", "no version")
            raise UsageError(
                str(path),
                expected=f"a table of version {VERSION}",
                got=str(version),
                remedy="measure it again, or update burnish",
            )
        for line in lines:
            self._add(line)
        self._remove_incomplete_line()

    def add_costs(
        self, candidate: Candidate, milliseconds: Mapping[str, float], **costs: Any
    ) -> None:
        """Append the costs of a candidate."""
        self._record({"candidate": candidate.label, "milliseconds": dict(milliseconds), **costs})

    def add_psnr(
        self, candidate: Candidate, operator: str, steps: int, psnr: float, seconds: float
    ) -> None:
        """Append the result of a training."""
        values = {"operator": operator, "steps": steps, "psnr": psnr, "seconds": seconds}
        self._record({"candidate": candidate.label, **values})

    def _remove_incomplete_line(self) -> None:
        """Cut off the line that a killed run left, before others are appended to it."""
        if self.path.suffix == ".gz":
            return
        data = self.path.read_bytes()
        complete = data[: data.rfind(b"\n") + 1]
        if complete != data:
            with atomic_write(self.path, overwrite=True) as file:
                file.write(complete)

    def _record(self, line: dict[str, Any]) -> None:
        self._append(line)
        self._add(line)

    def _append(self, line: Mapping[str, Any]) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def _add(self, line: Mapping[str, Any]) -> None:
        candidate = Candidate.from_label(line["candidate"])
        row = self.rows.setdefault(candidate.label, Row(candidate))
        if "psnr" in line:
            row.psnr[line["operator"], line["steps"]] = line["psnr"]
        else:
            row.milliseconds |= line["milliseconds"]
        self.seconds += line.get("seconds", 0.0)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a table. The last one of a killed run may be incomplete."""
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
        for line in text.splitlines(keepends=True):
            if line.endswith("\n"):
                yield json.loads(line)
    except (OSError, EOFError, ValueError) as error:
        problem = "it is not a table of a search"
        raise UsageError(str(path), problem, "name another file") from error
