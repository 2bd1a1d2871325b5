"""The plan: every output is named and checked before the first pixel is read."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from burnish.editing.history import how_made
from burnish.editing.inputs import Source, gather
from burnish.editing.naming import DEFAULT_NAME, check_template, fill
from burnish.errors import (
    BurnishError,
    OutputError,
    PhotoError,
    UsageError,
    as_asked,
    missing_library,
)
from burnish.files import check_free, check_room
from burnish.photo.formats import check_depth, check_known_depth, check_writable, writable
from burnish.video import formats as films
from burnish.video.formats import (
    AS_IT_WAS,
    Coding,
    can_edit_films,
    check_coding,
    is_called_film,
)


@dataclass(frozen=True)
class Step:
    """One photo or film to read and where its result goes; `skip` where it is there already."""

    source: Path
    target: Path
    skip: bool = False

    @property
    def film(self) -> bool:
        """Whether it is a film, by its name."""
        return is_called_film(self.source)


@dataclass(frozen=True)
class Plan:
    """What a run will do.

    Parameters
    ----------
    steps : a photo each, in order
    passed_over : files in folders that are no photos by their names
    results : photos that are results of an earlier run over the same folder
    """

    steps: tuple[Step, ...]
    passed_over: int = 0
    results: int = 0


@dataclass(frozen=True)
class Wish:
    """Where results are to go, how they are named, and what may be replaced.

    Parameters
    ----------
    output : a file for one photo; a folder for several, or where it is one, ends like one
        ("smooth/") or has no suffix; None puts each result beside its photo
    name : a template, see `burnish.editing.naming`
    format : of the results, where it is not that of their photos and `output` is no file
    recursive : take the folders below those given, and keep the tree under `output`
    overwrite : replace existing results
    skip_existing : leave out photos whose results exist
    quality, depth : of photos; see `Photo.save`
    coding : how films are encoded
    beside : other files of the run, read or written: no result replaces one
    """

    output: str | Path | None = None
    name: str = DEFAULT_NAME
    format: str | None = None
    recursive: bool = False
    overwrite: bool = False
    skip_existing: bool = False
    quality: int | None = None
    depth: int | None = None
    coding: Coding = AS_IT_WAS
    beside: Sequence[Path] = ()


def plan(
    given: Sequence[Path], edit: str, wish: Wish = Wish(), room: Callable[[Path], int] = lambda _: 0
) -> Plan:
    """Plan a run over photos, films and folders of them.

    Parameters
    ----------
    edit : goes into the names: `photo.jpg` -> `photo.EDIT.jpg`
    room : bytes that editing a photo takes on the disk for a while, beside its result

    Raises
    ------
    UsageError : two results would meet in one file, a result would replace an input, no photo is
        found, or something in `wish` cannot be: a format that is not written, or lacks the depth
    FilmError : the one film's own format is not written
    MissingLibraryError : a film, and no library for films
    OutputError : results exist and neither `overwrite` nor `skip_existing` is set, or the disk
        has too little room
    """
    check_template(wish.name)
    check_known_depth(wish.depth)
    if wish.overwrite and wish.skip_existing:
        raise UsageError(
            "--overwrite, --skip-existing", expected="one of the two", got="both", remedy="drop one"
        )
    several = len(given) > 1 or any(path.is_dir() for path in given)
    folder, file = _place(wish.output, several=several)
    film = is_called_film(given[0]) if given else False
    with as_asked():
        extensions = _extensions(wish, file, film=film)
    gathered = gather(given, recursive=wish.recursive, output=folder)
    _check_films(gathered.sources, wish)

    def target(source: Source) -> Path:
        name = fill(wish.name, source.path, edit, extensions[source.film])
        return file or (folder / source.place if folder else source.path.parent) / name

    placed = [(source, target(source)) for source in gathered.sources]
    kept = _without_results(placed, overwrite=wish.overwrite)
    _check_apart(kept)
    _check_beside(kept, wish.beside)
    _check_codings(kept, wish.coding)
    steps = tuple(
        Step(source.path, target, skip=wish.skip_existing and os.path.lexists(target))
        for source, target in kept
    )
    if not wish.overwrite:
        _check_free(steps)
    _check_room(steps, room)
    return Plan(steps, gathered.passed_over, results=len(placed) - len(kept))


def target_of(photo: Path, edit: str, wish: Wish) -> Path:
    """Return where the result of one photo or film goes; the errors are those of `plan`.

    Raises
    ------
    PhotoError : a folder rather than a photo
    """
    if photo.is_dir():
        raise PhotoError(
            str(photo), expected="a photo", got="a folder", remedy="name a photo in it"
        )
    settled = replace(wish, overwrite=True, skip_existing=False)
    target = plan([photo], edit, settled).steps[0].target
    check_free(target, overwrite=wish.overwrite)
    return target


def check_stream(photo: Path, wish: Wish) -> None:
    """See that a photo can go to a stream as it is wished; the errors are those of `plan`."""
    check_known_depth(wish.depth)
    _check_films([Source(photo)], wish)
    with as_asked():
        _extensions(wish, None, film=False)


Placed = Sequence[tuple[Source, Path]]


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


def _extensions(wish: Wish, file: Path | None, *, film: bool) -> dict[bool, str | None]:
    """Return the results' extensions where they are not their sources', and see that they can be.

    Parameters
    ----------
    file : for the one result, a film's where `film` is set

    Returns
    -------
    whether of films -> extension or None
    """
    if file is not None:
        _check_file(wish, file, film=film)
        return {True: None, False: None}
    if wish.format is None:
        return {True: None, False: None}
    if films.is_container(wish.format):
        return {True: films.writable(wish.format, "--format").extensions[0], False: None}
    format = writable(wish.format, "--format")
    check_depth(format, wish.depth, "--format")
    return {True: None, False: format.extensions[0]}


def _check_file(wish: Wish, file: Path, *, film: bool) -> None:
    """See that the file that was named can be the result, and is of the format that was named."""
    if film:
        same = films.writable(file.suffix, str(file)) == (
            films.writable(wish.format or file.suffix, "--format")
        )
    else:
        check_writable(file, wish.depth)
        same = writable(wish.format or file.suffix, "--format") == writable(file.suffix, str(file))
    if not same:
        raise UsageError(
            f"--format {wish.format}",
            expected=f"the format that -o {file} has",
            got="another",
            remedy="leave one of them out",
        )


def _check_films(sources: Sequence[Source], wish: Wish) -> None:
    """See that films can be edited at all, and that nothing is asked for that is of photos only."""
    if wish.coding != AS_IT_WAS and not any(source.film for source in sources):
        raise UsageError(
            "--codec, --crf",
            expected="a film to encode",
            got="only photos",
            remedy="leave them out",
        )
    kinds = {source.film for source in sources}
    if wish.quality is not None and kinds == {True}:
        raise UsageError(
            f"--quality {wish.quality}", expected="a photo", got="only films", remedy="use --crf"
        )
    if wish.format is not None and films.is_container(wish.format) not in kinds:
        raise UsageError(
            f"--format {wish.format}",
            expected=f"a format of {'films' if True in kinds else 'photos'}",
            got=f"one of {'photos' if True in kinds else 'films'}",
            remedy="leave it out",
        )
    named = [source for source in sources if source.film and not source.found]
    if named and not can_edit_films():
        raise missing_library(ModuleNotFoundError(name="av")).at(str(named[0].path))
    if named and wish.depth is not None:
        raise UsageError(
            f"--depth {wish.depth}",
            expected="none for a film, which keeps its own",
            got=f"{named[0].path}",
            remedy="leave it out",
        )


def _check_codings(placed: Placed, coding: Coding) -> None:
    """See that what was named can be; films that were found fail one by one."""
    for source, target in placed:
        if source.film and not source.found:
            check_coding(coding, films.writable(target.suffix, str(target)), str(target))


def _without_results(placed: Placed, *, overwrite: bool) -> Placed:
    """Leave out photos that are results of others, as after an earlier run over the same folder.

    Where results may be replaced, one stays, and is refused, that was named by itself or does not
    say that burnish made it.
    """
    targets = {_spelled(target) for source, target in placed if source.path != target}
    return [
        (source, target)
        for source, target in placed
        if _spelled(source.path) not in targets
        or (overwrite and not (source.found and _is_made(source.path)))
    ]


def _is_made(file: Path) -> bool:
    """Tell whether a photo or film says that burnish made it."""
    try:
        return bool(how_made(file))
    except BurnishError:
        return False


def _check_apart(placed: Placed) -> None:
    """See that no two results meet, and that none replaces a photo."""
    inputs = {_identity(source.path): source.path for source, _ in placed}
    taken: dict[str, Path] = {}
    for source, target in placed:
        # Folded, since some file systems take A.jpg and a.jpg for one.
        place = _spelled(target).casefold()
        if place in taken:
            raise UsageError(
                str(source.path),
                expected="a result of its own for each photo",
                got=f"{target} for {taken[place]} too",
                remedy="give each photo once, or run them apart with different -o",
            )
        if _identity(target) in inputs:
            raise UsageError(
                str(target),
                expected="an output that is no input",
                got=f"the photo {inputs[_identity(target)]} itself",
                remedy="choose another -o or --name",
            )
        taken[place] = source.path


def _check_beside(placed: Placed, beside: Iterable[Path]) -> None:
    """See that no result replaces another file that the run reads or writes."""
    others = {_identity(path): path for path in beside}
    for _, target in placed:
        if _identity(target) in others:
            raise UsageError(
                str(target),
                expected="an output that no other part of the command reads or writes",
                got=f"{others[_identity(target)]}",
                remedy="choose another -o or --name",
            )


def _check_free(steps: Sequence[Step]) -> None:
    """See that no result is there already, unless it is to be skipped."""
    existing = [step.target for step in steps if not step.skip and os.path.lexists(step.target)]
    if len(existing) == 1 == len(steps):
        check_free(existing[0], overwrite=False)
    if existing:
        raise OutputError(
            f"{existing[0]} and others" if len(existing) > 1 else f"{existing[0]}",
            expected=f"{len(steps)} new files",
            got=f"{len(existing)} that exist",
            remedy="use --skip-existing to do the rest, --overwrite to replace, or another -o",
        )


def _check_room(steps: Iterable[Step], room: Callable[[Path], int]) -> None:
    """See that the disks have room, taking a result to be as large as its photo or film."""
    needed: dict[int, tuple[Path, int, int]] = {}
    for step in steps:
        if step.skip or not step.source.is_file():
            continue
        folder = next(p for p in step.target.absolute().parents if p.exists())
        _, results, work = needed.get(folder.stat().st_dev, (folder, 0, 0))
        size = step.source.stat().st_size
        # What is needed for a while is so for one after another; a film's stretches lie there
        # beside what they are joined to.
        work = max(work, size if step.film else room(step.source))
        needed[folder.stat().st_dev] = folder, results + size, work
    for folder, results, work in needed.values():
        what = "results about as large as what is edited"
        check_room(folder, results + work, what + (" and the work on it" if work else ""))


def _spelled(path: Path) -> str:
    """Return a path in full; links are not followed."""
    return os.path.abspath(path)  # noqa: PTH100


def _identity(path: Path) -> tuple[int, int] | str:
    """Return what a path leads to: links and spellings of one file are one."""
    try:
        stat = path.stat()
    except (OSError, ValueError):  # not there, or no path at all: reading it will say so
        return _spelled(path)
    return stat.st_dev, stat.st_ino
