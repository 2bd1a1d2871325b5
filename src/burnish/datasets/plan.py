"""What is to be written, settled before the first photo is touched."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from burnish.datasets.collection import Collection, SourcePhoto, abbreviate, read_names
from burnish.datasets.develop import is_raw
from burnish.datasets.sizes import short_side, size_folder
from burnish.errors import UsageError, warn
from burnish.files import atomic_write, make_folder

# Raise it when other pixels are written for the same photo.
LAYOUT_VERSION = 1
SPLITS = ("train", "test")
SETTINGS_FILE = "burnish-photos.json"


@dataclass(frozen=True)
class DatasetOptions:
    """What a person asked for.

    Parameters
    ----------
    output : the folder to write into
    sizes : short sides in pixels, or 'random'
    splits : 'train', 'test', or both
    experts : letters; none for the photos alone
    test_list : a file that names the photos to test on; None for the collection's own rule
    seed : what random sizes follow from
    limit : the most photos of a split
    """

    output: Path
    sizes: tuple[str, ...] = ("480", "1080", "random")
    splits: tuple[str, ...] = SPLITS
    experts: str = ""
    test_list: Path | None = None
    seed: int = 0
    limit: int | None = None


@dataclass(frozen=True)
class Target:
    """Where a photo goes at one size, and where an expert's version of it."""

    short_side: int
    before: Path
    after: Path | None = None


@dataclass(frozen=True)
class PhotoJob:
    """One photo, alone or with one expert's version, at the sizes that are not there yet."""

    photo: Path
    edit: Path | None
    targets: tuple[Target, ...]


@dataclass
class DatasetPlan:
    """The work.

    Parameters
    ----------
    jobs : what is to be done
    photos : split -> how many photos it has
    folders : folder -> how many pictures, or pairs of them, it is going to hold
    existing : how many pictures, or pairs, are there already
    settings : what decides names and pixels in the output folder
    """

    jobs: list[PhotoJob] = field(default_factory=list)
    photos: Counter[str] = field(default_factory=Counter)
    folders: Counter[Path] = field(default_factory=Counter)
    existing: int = 0
    settings: dict[str, object] = field(default_factory=dict)


def plan_dataset(collection: Collection, options: DatasetOptions) -> DatasetPlan:
    """Settle what goes where.

    Without experts a photo goes to SIZE/SPLIT/NAME.png below the output folder; with them, to
    SIZE/SPLIT-expert-c/before/NAME.png, and the expert's version to after/, as ``pairs:`` takes it.

    Raises
    ------
    UsageError : a size, split or list that is none; or an output folder of another seed or split

    Warns
    -----
    UserWarning : photos of the test list that are not there, or that an expert has no version of
    """
    folders = tuple(dict.fromkeys(size_folder(size) for size in options.sizes))
    _check_splits(options.splits)
    test_keys, rule = _test_split(collection, options.test_list)
    settings = {
        "layout": LAYOUT_VERSION,
        "collection": collection.name,
        "tested on": rule,
        "seed": options.seed,
    }
    _check_settings(options.output, settings)
    dataset_plan = DatasetPlan(settings=settings)
    for split in dict.fromkeys(options.splits):
        sources = [s for s in collection.sources if (s.key in test_keys) == (split == "test")]
        sources = sources[: options.limit]
        dataset_plan.photos[split] = len(sources)
        for expert in options.experts or (None,):
            for source in _photos_with_edit(sources, expert):
                _add_photo(dataset_plan, source, split, expert, folders, options)
    return dataset_plan


def prepare_output(plan: DatasetPlan, output: Path) -> None:
    """Make the folders, and note in the output folder what it is made with.

    Raises
    ------
    ModuleNotFoundError : a raw file is to be developed and rawpy is not there
    OutputError : a folder or file cannot be written
    """
    if any(is_raw(job.photo) for job in plan.jobs):
        import rawpy  # noqa: F401  to be missed once, and before anything is written
    for job in plan.jobs:
        for target in job.targets:
            for path in filter(None, (target.before, target.after)):
                make_folder(path.parent)
    make_folder(output)
    with atomic_write(output / SETTINGS_FILE, overwrite=True) as file:
        file.write(json.dumps(plan.settings, indent=2).encode() + b"\n")


def _add_photo(
    plan: DatasetPlan,
    source: SourcePhoto,
    split: str,
    expert: str | None,
    folders: Sequence[str],
    options: DatasetOptions,
) -> None:
    """Add what one photo still needs to the plan."""
    targets = []
    for folder in folders:
        short = short_side(folder, source.name, options.seed)
        split_folder = (
            options.output / folder / (f"{split}-expert-{expert.lower()}" if expert else split)
        )
        name = f"{source.name}.png"
        target = Target(short, split_folder / name)
        if expert:
            target = Target(short, split_folder / "before" / name, split_folder / "after" / name)
        plan.folders[split_folder] += 1
        if all(path.exists() for path in (target.before, target.after) if path):
            plan.existing += 1
        else:
            targets.append(target)
    if targets:
        edit = source.edits[expert] if expert else None
        plan.jobs.append(PhotoJob(source.photo, edit, tuple(targets)))


def _test_split(collection: Collection, test_list: Path | None) -> tuple[set[str], str]:
    """Return the keys of the photos to test on, and the rule as the settings note it."""
    known = {source.key for source in collection.sources}
    if test_list is None:
        return {key for key in known if collection.is_test(key)}, collection.split_rule
    listed = read_names(test_list, collection.key)
    unknown = sorted(listed.keys() - known)
    if len(unknown) == len(listed):
        raise UsageError(
            str(test_list),
            expected=f"names of photos that are there, such as {collection.sources[0].name}",
            got=f"{abbreviate([listed[key] for key in unknown])}",
            remedy="give the list that belongs to this collection",
        )
    if unknown:
        warn(
            f"{len(unknown)} of the {len(listed)} photos that {test_list} names are not there: "
            f"{abbreviate([listed[key] for key in unknown])}"
        )
    digest = hashlib.sha256(" ".join(sorted(listed)).encode()).hexdigest()
    return known & listed.keys(), f"{len(listed)} photos of a list, {digest[:16]}"


def _photos_with_edit(sources: Sequence[SourcePhoto], expert: str | None) -> list[SourcePhoto]:
    """Return the photos that an expert has a version of; all where no expert is asked for."""
    if expert is None:
        return list(sources)
    missing = [source.name for source in sources if expert not in source.edits]
    if missing:
        warn(f"left out, as there is no TIFF of expert {expert}: {abbreviate(missing)}")
    return [source for source in sources if expert in source.edits]


def _check_splits(splits: Sequence[str]) -> None:
    for split in splits:
        if split not in SPLITS:
            raise UsageError(
                "--split",
                expected=" or ".join(SPLITS),
                got=repr(split),
                remedy="leave it away for both",
            )


def _check_settings(output: Path, settings: dict[str, object]) -> None:
    """Refuse to add to a folder of another split: a photo could end up in both halves."""
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
            raise UsageError(
                str(output),
                expected=f"a new folder, or one made with {name} = {settings.get(name)}",
                got=f"one made with {saved.get(name)}",
                remedy="choose another output, or repeat the options it was made with",
            )
