"""One protocol for the progress of long tasks in training, editing and evaluation."""


class Progress:
    """Receives the progress of tasks, one after another. This base class shows nothing.

    Examples
    --------
    >>> class Printer(Progress):
    ...     def start(self, task, total=None):
    ...         print(task, total)
    >>> Printer().start("reading photos", 3)
    reading photos 3
    """

    def start(self, task: str, total: float | None = None) -> None:
        """Begin a task.

        Parameters
        ----------
        total : the amount of work, in any unit; None if it is unknown
        """

    def advance(self, amount: float = 1) -> None:
        """Add to the work done on the current task."""

    def note(self, text: str) -> None:
        """Show a few words beside the current task, such as its speed."""

    def message(self, text: str) -> None:
        """Show one line of text."""


SILENT = Progress()
