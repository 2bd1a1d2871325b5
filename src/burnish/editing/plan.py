"""The plan: every output is named and checked before the first pixel is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from burnish.errors import OutputError, UsageError


@dataclass(frozen=True)
class Step:
    """One photo to read and where its result goes; `skip` where it is there already."""

    source: Path
    target: Path
    skip: bool = False


def target_of(source: Path, edit: str, output: Path | None, *, several: bool) -> Path:
    """Name the result: `photo.jpg` -> `photo.EDIT.jpg` beside it, or as `output` says.

    `output` is a file for one photo, and a folder for several or where it is one already.
    """
    name = f"{source.stem}.{edit}{source.suffix}"
    if output is None:
        return source.with_name(name)
    if several or output.is_dir():
        return output / name
    return output


def plan(
    sources: Sequence[Path],
    edit: str,
    output: Path | None = None,
    *,
    overwrite: bool = False,
    skip_existing: bool = False,
) -> list[Step]:
    """Plan a run over `sources`.

    Raises
    ------
    UsageError : two results would meet in one file, or a result would replace an input
    """
    if overwrite and skip_existing:
        raise UsageError(
            "--overwrite, --skip-existing", expected="one of the two", got="both", remedy="drop one"
        )
    several = len(sources) > 1
    if several and output is not None and output.is_file():
        raise UsageError(
            f"-o {output}",
            expected="a folder for several photos",
            got="a file",
            remedy="name a folder",
        )
    inputs = {_identity(source): source for source in sources}
    taken: dict[str, Path] = {}
    steps = []
    for source in sources:
        target = target_of(source, edit, output, several=several)
        # Folded, since some file systems take A.jpg and a.jpg for one.
        place = str(target.resolve()).casefold()
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
        steps.append(Step(source, target, skip=skip_existing and target.exists()))
    return steps


def check_free(target: Path, *, overwrite: bool) -> None:
    """Refuse a target that exists, before the work rather than after it.

    Raises
    ------
    OutputError : it exists and `overwrite` is not set
    """
    if target.exists() and not overwrite:
        raise OutputError(
            str(target),
            expected="a new file",
            got="one that exists",
            remedy="use --overwrite (overwrite=True), or another output",
        )


def _identity(path: Path) -> tuple[int, int] | str:
    """Return what a path leads to: links and spellings of one file are one."""
    try:
        stat = path.stat()
    except OSError:
        return str(path.resolve())
    return stat.st_dev, stat.st_ino
