"""The limits of the service, from which the options of the command line are derived."""

from dataclasses import dataclass, field
from typing import Any


def _limit(default: int, help: str, low: float = 0.001) -> Any:
    metadata = {"help": help, "min": low, "max": 1_000_000, "panel": "Limits"}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Limits:
    """The limits of the service.

    Each field has its description and default in its metadata.
    """

    megabytes: float = _limit(64, "Largest file that is received, in MB.")
    megapixels: float = _limit(50, "Largest photo, by its header.")
    queue: int = _limit(8, "Requests at a time; further ones are told to come again.", low=1)
    seconds: float = _limit(120, "Longest time to edit one photo.")
    transfer_seconds: float = _limit(60, "Longest time to receive a file or to send a result.")
    memory: float = _limit(4096, "Largest memory of the process that edits, in MiB.")
    jobs: int = _limit(500, "Photos after which that process is replaced by a new one.", low=1)
    connections: int = _limit(64, "Open connections.", low=1)

    @property
    def bytes(self) -> int:
        """Largest size of a file, in bytes."""
        return int(self.megabytes * 1e6)

    @property
    def pixels(self) -> int:
        """Largest number of pixels of a photo."""
        return int(self.megapixels * 1e6)
