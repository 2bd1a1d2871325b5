"""Progress of tasks with parts: a bar on a terminal, a plain line for each task elsewhere."""

from typing import Self, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class TaskProgress:
    """Shows a person which task is in hand and how far it is."""

    def __init__(self, stream: TextIO) -> None:
        self.console = Console(file=stream)
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task: TaskID | None = None

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def start(self, task: str, total: int) -> None:
        """Start a bar."""
        if self.task is not None:
            self.bar.stop_task(self.task)
        self.task = self.bar.add_task(task, total=total, note="")
        if not self.console.is_terminal and total:
            self.message(f"{task}: {total}")

    def advance(self) -> None:
        """Move the bar by one."""
        if self.task is not None:
            self.bar.advance(self.task)

    def message(self, text: str) -> None:
        """Print a line above the bar."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)
