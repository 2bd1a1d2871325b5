"""The plan: every output is named and checked before the first pixel is read."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from burnish.errors import UsageError
from burnish.photo.formats import check_writable


@dataclass(frozen=True)
class Step:
    """One photo to read and where its result goes; `skip` where it is there already."""

    source: Path
    target: Path
    skip: bool = False


def plan(
    sources: Sequence[Path],
    edit: str,
    output: str | Path | None = None,
    *,
    overwrite: bool = False,
    skip_existing: bool = False,
    depth: int | None = None,
) -> list[Step]:
    """Plan a run over `sources`.

    Parameters
    ----------
    edit : goes into the names: `photo.jpg` -> `photo.EDIT.jpg` beside it
    output : a file for one photo; a folder for several, or where it is one, ends like one
        ("smooth/") or has no suffix
    depth : bits a channel asked for; None where nothing is

    Raises
    ------
    UsageError : two results would meet in one file, a result would replace an input, `output` or
        `depth` cannot be
    """
    if overwrite and skip_existing:
        raise UsageError(
            "--overwrite, --skip-existing", expected="one of the two", got="both", remedy="drop one"
        )
    folder, file = _place(output, several=len(sources) > 1)
    if file is not None:
        check_writable(file, depth)
    inputs = {_identity(source): source for source in sources}
    taken: dict[str, Path] = {}
    steps = []
    for source in sources:
        name = f"{source.stem}.{edit}{source.suffix}"
        target = file or (folder or source.parent) / name
        # Folded, since some file systems take A.jpg and a.jpg for one.
        place = os.path.abspath(target).casefold()  # noqa: PTH100 links are not followed
        if place in taken:
            raise UsageError(
                str(source),
                expected="a result of its own for each photo",
                got=f"{target} for {taken[place]} too",
                remedy="give each photo once, or run them apart with different -o",
            )
        if _identity(target) in inputs:
            raise UsageError(
                str(target),
                expected="an output that is no input",
                got=f"the photo {inputs[_identity(target)]} itself",
                remedy="choose another -o",
            )
        taken[place] = source
        steps.append(Step(source, target, skip=skip_existing and _exists(target)))
    return steps


def _place(output: str | Path | None, *, several: bool) -> tuple[Path | None, Path | None]:
    """Tell what `output` is: a folder, or a file for the one photo."""
    if output is None:
        return None, None
    path = Path(output)
    means_folder = str(output).endswith(("/", os.sep)) or not path.suffix or path.is_dir()
    if several and (path.is_file() or not means_folder):
        raise UsageError(
            f"-o {output}",
            expected="a folder for several photos",
            got="a file" if path.is_file() else "the name of a file",
            remedy="end it in / to mean a folder",
        )
    return (path, None) if means_folder else (None, path)


def _identity(path: Path) -> tuple[int, int] | str:
    """Return what a path leads to: links and spellings of one file are one."""
    try:
        stat = path.stat()
    except (OSError, ValueError):  # not there, or no path at all: reading it will say so
        return os.path.abspath(path)  # noqa: PTH100
    return stat.st_dev, stat.st_ino


def _exists(path: Path) -> bool:
    return isinstance(_identity(path), tuple)
