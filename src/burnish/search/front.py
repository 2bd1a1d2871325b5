"""The front: candidates that no other one beats in all objectives at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from burnish.search.space import Candidate


@dataclass(frozen=True)
class Trial:
    """A candidate with its measurements.

    Attributes
    ----------
    milliseconds : for a megapixel, with the cascade and the operator's part of it
    psnr : after a short training
    bytes_moved : for a pixel, if energy is an objective; else None
    """

    candidate: Candidate
    milliseconds: float
    psnr: float
    bytes_moved: float | None = None

    @property
    def objectives(self) -> tuple[float, ...]:
        """Numbers of which less is better: the time, the negative PSNR and, if set, the bytes."""
        energy = () if self.bytes_moved is None else (self.bytes_moved,)
        return (self.milliseconds, -self.psnr, *energy)


def front(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials that no other one beats, the quickest first.

    Examples
    --------
    >>> trials = [Trial(Candidate(name), *numbers) for name, numbers in
    ...           {"a": (10, 30), "b": (20, 29), "c": (30, 31)}.items()]
    >>> [trial.candidate.network for trial in front(trials)]
    ['a', 'c']
    """
    best: list[Trial] = []
    for trial in sorted(trials, key=lambda trial: trial.objectives):
        if not any(_is_as_good(other, trial) for other in best):
            best.append(trial)
    return best


def _is_as_good(trial: Trial, other: Trial) -> bool:
    pairs = zip(trial.objectives, other.objectives, strict=True)
    return all(own <= others for own, others in pairs)


def best_at(trials: Sequence[Trial], milliseconds: float, bytes_moved: float | None) -> float:
    """Return the best PSNR of the trials that cost no more; -inf if there is none."""
    psnrs = [
        trial.psnr
        for trial in trials
        if trial.milliseconds <= milliseconds
        and (bytes_moved is None or (trial.bytes_moved or 0.0) <= bytes_moved)
    ]
    return max(psnrs, default=float("-inf"))


def draw(trials: Sequence[Trial], reference: Trial, target: float | None, path: Path) -> None:
    """Write a picture of all trials and their front; colours are bytes, if these are set."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"font.size": 9}):
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        axes = figure.add_subplot()
        others = [trial for trial in trials if trial.candidate != reference.candidate]
        axes.plot(*_points(others), ".", color="0.6", label="candidates")
        best = front(trials)
        if reference.bytes_moved is None:
            axes.step(*_points(best), "o-", where="post", color="C0", label="front")
        else:
            moved = [trial.bytes_moved or 0.0 for trial in best]
            points = axes.scatter(*_points(best), c=moved, zorder=3, label="front")
            figure.colorbar(points, label="bytes moved for a pixel")
        axes.plot(*_points([reference]), "D", color="C1", label="fast")
        if target is not None:
            axes.axvline(target, color="0.3", linestyle=":", label="target")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("{x:g}")
        axes.set_xlabel("CPU time for a megapixel, ms")
        axes.set_ylabel("PSNR after a short training, dB")
        axes.legend()
        figure.savefig(path, dpi=120)


def _points(trials: Sequence[Trial]) -> tuple[list[float], list[float]]:
    return [trial.milliseconds for trial in trials], [trial.psnr for trial in trials]
