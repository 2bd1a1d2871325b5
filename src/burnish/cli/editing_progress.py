"""Progress of an edit: a bar on a terminal, nothing elsewhere, where each photo has its line."""

import sys

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class EditingProgress:
    """A bar over all photos, moved by shares of a photo.

    Parameters
    ----------
    photos : how many there are
    device : what they are edited on, said beside the bar
    hidden : show nothing
    """

    def __init__(self, photos: int, device: str, *, hidden: bool) -> None:
        console = Console(file=sys.stderr)
        self._done = 0
        self._bar = Progress(
            TextColumn("{task.fields[name]} on {task.fields[device]}"),
            BarColumn(),
            TextColumn("{task.completed:.1f} of {task.total:.0f}"),
            TimeRemainingColumn(),
            console=console,
            disable=hidden or not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("", total=photos, name="", device=device)

    def __enter__(self) -> "EditingProgress":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def begin(self, name: str) -> None:
        """Name the photo in hand."""
        self._bar.update(self._task, name=name)

    def share(self, share: float) -> None:
        """Say how much of the photo in hand is done, from 0 to 1."""
        self._bar.update(self._task, completed=self._done + share)

    def end(self) -> None:
        """Say that the photo in hand is done."""
        self._done += 1
        self._bar.update(self._task, completed=self._done)
