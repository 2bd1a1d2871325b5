"""Train: photos and an operator in, a network and what it is worth out."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from burnish.errors import UsageError
from burnish.files import make_folder
from burnish.networks.network import Network
from burnish.networks.registry import build
from burnish.operators.user_defined import Pairs, resolve
from burnish.photo import Photo
from burnish.photo.rectangle import Rectangle
from burnish.training import distributed as processes
from burnish.training import pairs
from burnish.training.config import Settings
from burnish.training.evaluation import LEAST_SIDE, score
from burnish.training.init_weights import start_from
from burnish.training.pairs import Job, Pair
from burnish.training.sampler import Batches
from burnish.training.synthetic import drawn
from burnish.training.trainer import Moment, Training
from burnish.training.validation import View, as_filter, groups, words

# Where no photos are held out by name, one in so many is.
HOLD_OUT = 10
# An early look costs no more than this: a few photos, cut to this side.
LOOK_PHOTOS = 8
LOOK_SIDE = 384


class Watch:
    """What a training tells whoever runs it; a face overrides what it wants to show."""

    def begin(self, task: str, total: int) -> None:
        """Say that a task of `total` parts begins."""

    def tick(self) -> None:
        """Say that a part of the task is done."""

    def moment(self, moment: Moment) -> None:
        """Say how the training stands; called after every step."""

    def look(self, step: int, psnr: float, picture: Path) -> None:
        """Say that an early evaluation found `psnr` dB on held-out photos."""


@dataclass(frozen=True)
class Result:
    """A trained network, frozen, and the photos held out to judge it on."""

    settings: Settings
    network: Network
    unseen: Sequence[Pair]
    held_out: str | Path
    trained_on: str
    steps: int
    seconds: float


def train(
    settings: Settings,
    photos: str | Path | None,
    held_out: str | Path | None,
    folder: Path,
    watch: Watch | None = None,
    *,
    start: Mapping[str, NDArray[np.float32]] | None = None,
    save_every: float = 60.0,
) -> Result | None:
    """Learn a network; an unfinished training of equal settings in `folder` is taken up.

    Parameters
    ----------
    settings : what and how
    photos : folder of photos to learn from; None for an operator that is a folder of pairs
    held_out : folder of photos to judge on, which are not trained on where `photos` has them too;
        None holds out one photo in ten
    folder : where checkpoint, log, settings and early pictures go
    start : weights to begin with, by name; see `burnish.training.init_weights`
    save_every : seconds between two checkpoints

    Returns
    -------
    The result; None in all processes of torchrun but the first

    Raises
    ------
    UsageError : no photos, too few, or another training's folder
    PhotoError : none of the photos can be read
    OperatorError : the operator fails
    """
    rank, count = processes.join()
    watch = watch if watch and rank == 0 else Watch()
    found = _plan(settings, pairs.find_photos(photos) if photos else [])
    others = _plan(settings, pairs.find_photos(held_out)) if held_out else None
    jobs, _ = _divide(settings, found, others, photos, held_out)  # said before hours of work
    pictures = _drawn(settings, len({job.digest for job in jobs}))
    if rank == 0:
        make_folder(folder)
        _make([*found, *pictures, *(others or [])], watch)
    processes.wait()  # the first process makes the pairs, the others find them in the same cache
    found, others = pairs.readable(found), None if others is None else pairs.readable(others)
    jobs, judged = _divide(settings, found, others, photos, held_out)
    learned, unseen, drawn_ones = pairs.made(jobs), pairs.made(judged), pairs.made(pictures)

    torch.manual_seed(settings.seed)
    network = build(settings.network, settings.slider_params, settings.thumbnail, settings.grey)
    if start:
        start_from(network, start, settings.start_from)
    batches = Batches(
        learned,
        beside=drawn_ones,
        batch=settings.batch,
        crop=settings.crop,
        seed=settings.seed,
        rank=rank,
        sliders=settings.slider_params,
        block=network.survey_block,
    )
    data = _fingerprint([*learned, *drawn_ones, *unseen])
    training = Training(settings, network, batches, folder, f"{data} {count}")
    looks = Looks(training, unseen, folder, watch) if rank == 0 else None
    if looks:
        (folder / "settings.json").write_text(json.dumps(settings.to_json(), indent=2) + "\n")
    training.run(looks or (lambda moment: None), save_every=save_every, main=rank == 0)
    if rank != 0:
        return None

    return Result(
        settings=settings,
        network=training.averaged(),
        unseen=unseen,
        held_out=held_out or photos or settings.operator,
        trained_on=words(
            [pair for pair in learned if min(pair.size) >= settings.crop],
            photos or settings.operator,
        ),
        steps=training.step,
        seconds=training.seconds,
    )


def _fingerprint(found: Sequence[Pair]) -> str:
    """Tell whether a training that is taken up has the pairs that it had."""
    return sha256(" ".join(pair.path.name for pair in found).encode()).hexdigest()


class Looks:
    """Early evaluations: at every doubling of the steps and every tenth of the way."""

    def __init__(
        self, training: Training, unseen: Sequence[Pair], folder: Path, watch: Watch
    ) -> None:
        self.training = training
        self.pairs = groups(unseen)[0][1][:LOOK_PHOTOS]
        self.sliders = [param.name for param in training.settings.slider_params]
        self.folder = folder / "pictures"
        self.log = folder / "log.jsonl"
        self.watch = watch
        self.next_step = 100
        self.next_share = 0.1
        self.folder.mkdir(exist_ok=True)
        while self.next_step <= training.step:
            self.next_step *= 2
        while self.next_share <= training.done:
            self.next_share += 0.1

    def __call__(self, moment: Moment) -> None:
        """Hear of a step, and look if it is time to."""
        self.watch.moment(moment)
        if moment.step >= self.next_step or moment.done >= self.next_share:
            self._look(moment)
            self.next_step *= 2 if moment.step >= self.next_step else 1
            self.next_share += 0.1 if moment.done >= self.next_share else 0

    def _look(self, moment: Moment) -> None:
        apply = as_filter(self.training.averaged(), self.sliders)
        found = []
        for index, pair in enumerate(self.pairs):
            part = _middle(pair)
            before, after = pair.read(*part.inside)
            result = np.clip(apply(before, pair.values, self._view(pair, part)), 0, 1)
            found.append(score(result, after).psnr)
            if index == 0:
                picture = self.folder / f"{moment.step:06d}.png"
                beside = np.concatenate([before, after, result], axis=1)
                Photo(pixels=beside).save(picture, overwrite=True)
        psnr = float(np.mean(found))
        with self.log.open("a") as log:
            record = vars(moment) | {"psnr": moment.psnr, "held_out_psnr": psnr}
            log.write(json.dumps(record) + "\n")
        self.watch.look(moment.step, psnr, picture)

    def _view(self, pair: Pair, part: Rectangle) -> View | None:
        takes_thumbnail = self.training.network.thumbnail
        return View(part, pair.size, pair.thumbnail) if takes_thumbnail else None


def _middle(pair: Pair) -> Rectangle:
    height, width = pair.size
    top, left = max(0, (height - LOOK_SIDE) // 2), max(0, (width - LOOK_SIDE) // 2)
    return Rectangle(top, min(top + LOOK_SIDE, height), left, min(left + LOOK_SIDE, width))


def _divide(
    settings: Settings,
    jobs: list[Job],
    others: list[Job] | None,
    photos: str | Path | None,
    held_out: str | Path | None,
) -> tuple[list[Job], list[Job]]:
    """Divide pairs into those to learn from and those to judge on; no photo is in both.

    Parameters
    ----------
    jobs, others : of `photos` and of `held_out`; None holds out some of `jobs`
    """
    if others is not None:
        unseen = [job for job in others if _can_be_judged(job)]
        kept_back = {job.digest for job in unseen}
        learn = [job for job in jobs if job.digest not in kept_back]
        if not unseen or not learn:
            raise UsageError(
                str(held_out),
                expected=f"photos of {LEAST_SIDE} pixels or more, and others to train on",
                got="none" if not unseen else "all of them",
                remedy="hold out others, or leave --held-out away",
            )
        return learn, unseen
    # By content: a copy under another name is the same photo.
    known = sorted({job.digest for job in jobs if _can_be_judged(job)})
    if len(known) < 2:
        raise UsageError(
            str(photos or settings.operator),
            expected="at least 2 different photos, one of them to judge on, of "
            f"{LEAST_SIDE} pixels or more",
            got=str(len(known)),
            remedy="give more photos, or --held-out with others",
        )
    kept_back = set(known[:: min(HOLD_OUT, len(known))])
    return (
        [job for job in jobs if job.digest not in kept_back],
        [job for job in jobs if job.digest in kept_back and _can_be_judged(job)],
    )


def _drawn(settings: Settings, photos: int) -> list[Job]:
    """Plan the pictures that are learnt beside so many photos."""
    operator = resolve(settings.operator)
    if isinstance(operator, Pairs):
        return []
    folder = pairs.cache_folder()
    make_folder(folder)
    return _plan(settings, drawn(int(settings.drawn * photos), folder), short_sides=())


def _can_be_judged(job: Job) -> bool:
    return min(job.size) >= LEAST_SIDE


def _plan(
    settings: Settings, photos: list[Path], short_sides: tuple[int, ...] | None = None
) -> list[Job]:
    return pairs.plan(
        settings.operator,
        settings.params,
        photos,
        short_sides=settings.short_sides if short_sides is None else short_sides,
        largest=settings.largest,
        cache=pairs.cache_folder(),
        sliders=settings.slider_params,
        draws=settings.draws,
    )


def _make(jobs: Sequence[Job], watch: Watch) -> None:
    watch.begin("making pairs", len(jobs))
    tick: Callable[[], None] = watch.tick
    pairs.make(jobs, tick=tick)
