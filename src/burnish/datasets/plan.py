"""Plan all files of a dataset before the first photo is read."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from burnish.datasets.collection import (
    Collection,
    SourcePhoto,
    abbreviate,
    read_names,
    warn_missing,
)
from burnish.errors import UsageError, warn
from burnish.files import atomic_write, make_folder

# Version of the output. Increase it when the pixels that are written for a photo change.
LAYOUT_VERSION = 1
SPLITS = ("train", "test")
SETTINGS_FILE = "burnish-photos.json"
RAW_EXTENSIONS = (".dng", ".nef")
RANDOM = "random"
# Range of the random short sides, px, as in the last 30 epochs of the paper.
MIN_SHORT_SIDE, MAX_SHORT_SIDE = 320, 1440


@dataclass(frozen=True)
class DatasetOptions:
    """The options of the command line.

    Parameters
    ----------
    output : folder to write into
    sizes : short sides in pixels, such as "480" or "480p", or "random"; photos are never enlarged
    splits : "train", "test", or both
    experts : letters of the experts whose versions to write; "" for the photos alone
    test_list : file with the names of the test photos [default: the collection's split rule]
    seed : seed of the random sizes
    limit : largest number of photos in a split [default: all]
    """

    output: Path
    sizes: tuple[str, ...] = ("480", "1080", RANDOM)
    splits: tuple[str, ...] = SPLITS
    experts: str = ""
    test_list: Path | None = None
    seed: int = 0
    limit: int | None = None


@dataclass(frozen=True)
class Target:
    """The output path of a photo at one size, and that of an expert's version if there is one."""

    short_side: int
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class PhotoJob:
    """One photo, with an expert's version of it or None, and the missing output files."""

    photo: Path
    edit: Path | None
    targets: tuple[Target, ...]

    @property
    def is_raw(self) -> bool:
        """True if the photo is a camera's raw file."""
        return self.photo.suffix.lower() in RAW_EXTENSIONS


@dataclass
class DatasetPlan:
    """The files to write.

    Parameters
    ----------
    jobs : the photos with missing output files
    photos : number of photos by split
    folders : number of images, or of pairs, by output folder
    existing : number of images, or of pairs, that exist already
    settings : the settings that names and pixels in the output folder depend on
    """

    settings: dict[str, object]
    jobs: list[PhotoJob] = field(default_factory=list)
    photos: Counter[str] = field(default_factory=Counter)
    folders: Counter[Path] = field(default_factory=Counter)
    existing: int = 0


def plan_dataset(collection: Collection, options: DatasetOptions) -> DatasetPlan:
    """Plan the output files.

    Without experts a photo is written to SIZE/SPLIT/NAME.png below the output folder. With experts
    it is written to SIZE/SPLIT-expert-c/before/NAME.png, and the expert's version to after/.

    Raises
    ------
    UsageError : a size, split or list is invalid, or the output folder has another seed or split

    Warns
    -----
    UserWarning : photos of the test list are missing, or versions of an expert
    """
    folders = tuple(dict.fromkeys(_size_folder(size) for size in options.sizes))
    for split in options.splits:
        if split not in SPLITS:
            raise UsageError("--split", f"there is no split {split!r}", "choose train or test")
    test_keys, rule = _test_split(collection, options.test_list)
    settings = {
        "layout": LAYOUT_VERSION,
        "collection": collection.name,
        "test split": rule,
        "seed": options.seed,
    }
    _check_settings(options.output, settings)
    plan = DatasetPlan(settings)
    for split in dict.fromkeys(options.splits):
        sources = [s for s in collection.sources if (s.key in test_keys) == (split == "test")]
        sources = sources[: options.limit]
        plan.photos[split] = len(sources)
        for expert in options.experts or (None,):
            for source in _photos_with_edit(sources, expert):
                _add_photo(plan, source, split, expert, folders, options)
    return plan


def prepare_output(plan: DatasetPlan, output: Path) -> None:
    """Create the folders, and write the settings to a file in the output folder.

    Raises
    ------
    ModuleNotFoundError : there are raw files to develop, and rawpy is not installed
    OutputError : a folder or file cannot be written
    """
    if any(job.is_raw for job in plan.jobs):
        import rawpy  # noqa: F401  a missing library fails here, before anything is written
    for job in plan.jobs:
        for target in job.targets:
            for path in target.paths:
                make_folder(path.parent)
    make_folder(output)
    with atomic_write(output / SETTINGS_FILE, overwrite=True) as file:
        file.write(json.dumps(plan.settings, indent=2).encode() + b"\n")


def short_side(folder: str, name: str, seed: int) -> int:
    """Return the short side, in pixels, of the photo `name` in the folder of a size.

    A random size depends on the name and the seed only, so that it is equal for all versions of a
    photo.

    Examples
    --------
    >>> short_side("480p", "a0001-jmac_DSC1459", seed=0)
    480
    >>> 320 <= short_side("random", "a0001-jmac_DSC1459", seed=0) <= 1440
    True
    """
    if folder != RANDOM:
        return int(folder.removesuffix("p"))
    random_value = int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:8])
    return MIN_SHORT_SIDE + random_value % (MAX_SHORT_SIDE - MIN_SHORT_SIDE + 1)


def _size_folder(size: str) -> str:
    """Check a size and return the name of its folder: 480p, or random."""
    digits = size.removesuffix("p")
    if size != RANDOM and (not digits.isdecimal() or int(digits) < 1):
        problem = f"{size!r} is neither a short side in pixels nor {RANDOM}"
        raise UsageError("--size", problem, f"for example: --size 480 --size {RANDOM}")
    return RANDOM if size == RANDOM else f"{int(digits)}p"


def _add_photo(
    plan: DatasetPlan,
    source: SourcePhoto,
    split: str,
    expert: str | None,
    folders: Sequence[str],
    options: DatasetOptions,
) -> None:
    """Add a job for the missing output files of one photo."""
    targets = []
    for folder in folders:
        split_folder = options.output / folder / split
        subfolders = [""]
        if expert:
            split_folder = options.output / folder / f"{split}-expert-{expert.lower()}"
            subfolders = ["before", "after"]
        paths = tuple(split_folder / subfolder / f"{source.name}.png" for subfolder in subfolders)
        plan.folders[split_folder] += 1
        if all(path.exists() for path in paths):
            plan.existing += 1
        else:
            targets.append(Target(short_side(folder, source.name, options.seed), paths))
    if targets:
        edit = source.edits[expert] if expert else None
        plan.jobs.append(PhotoJob(source.photo, edit, tuple(targets)))


def _test_split(collection: Collection, test_list: Path | None) -> tuple[set[str], str]:
    """Return the keys of the test photos, and the split rule for the settings file."""
    known = {source.key for source in collection.sources}
    if test_list is None:
        return {key for key in known if collection.is_test(key)}, collection.split_rule
    listed = read_names(test_list, collection.key)
    if known.isdisjoint(listed):
        problem = f"none of its photos is available ({abbreviate([*listed.values()])})"
        remedy = f"give a list with names such as {collection.sources[0].name}"
        raise UsageError(str(test_list), problem, remedy)
    warn_missing(listed, known, str(test_list))
    digest = hashlib.sha256(" ".join(sorted(listed)).encode()).hexdigest()
    return known & listed.keys(), f"{len(listed)} photos of a list, {digest[:16]}"


def _photos_with_edit(sources: Sequence[SourcePhoto], expert: str | None) -> Sequence[SourcePhoto]:
    """Return the photos with a version by the expert, or all photos if `expert` is None."""
    if expert is None:
        return sources
    missing = [source.name for source in sources if expert not in source.edits]
    if missing:
        warn(f"left out, since there is no TIFF of expert {expert}: {abbreviate(missing)}")
    return [source for source in sources if expert in source.edits]


def _check_settings(output: Path, settings: dict[str, object]) -> None:
    """Check that an existing output folder has these settings.

    With another split, a photo could be written to both the training and the test folder.
    """
    settings_file = output / SETTINGS_FILE
    if not settings_file.exists():
        return
    try:
        saved = json.loads(settings_file.read_text())
    except (OSError, ValueError):
        saved = None
    if not isinstance(saved, dict):
        saved = {"settings": "unreadable"}
    for name in saved | settings:
        if saved.get(name) != settings.get(name):
            problem = f"it was written with {name} = {saved.get(name)}, not {settings.get(name)}"
            remedy = "choose another output, or repeat the options of the first run"
            raise UsageError(str(output), problem, remedy)
