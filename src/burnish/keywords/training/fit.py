"""Train heads on the features of photos, and compare them on random splits of a library."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from burnish.detection.training.evaluate import platt_scaling
from burnish.keywords.metrics import LabelMetrics, Numbers, measure
from burnish.keywords.training.backbone import Features
from burnish.keywords.training.heads import HEADS, Builder
from burnish.progress import SILENT, Progress
from burnish.types import BoolMask

# A head may have a learning rate of its own.
_LEARNING_RATE, _WEIGHT_DECAY, _BATCH = 3e-3, 1e-2, 64
_PREDICTION_BATCH = 1024
# Heads are evaluated after every so many steps; the best number of steps is chosen by validation.
_EVALUATE_EVERY, _MAX_STEPS = 25, 300
# Shares of the photos with keywords that a head is validated and tested on.
_HELD_OUT = 0.2

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class FitConfig:
    """Settings of the training and comparison of heads.

    Parameters
    ----------
    seeds : number of random splits
    max_steps : maximum number of training steps
    heads : name -> builder; the first one is what the others are compared with
    """

    seeds: int = 5
    max_steps: int = _MAX_STEPS
    heads: dict[str, Builder] = field(default_factory=lambda: dict(HEADS))


@dataclass(frozen=True, eq=False)
class HeadResult:
    """One head on one split, after the number of steps with the best validation.

    Parameters
    ----------
    truth, logits : of the photos for validation and for the test, one behind the other
    metrics : on the photos for the test, with the calibration of those for validation
    """

    head: str
    seed: int
    steps: int
    validation_ap: float
    metrics: LabelMetrics
    truth: BoolMask
    logits: Numbers


class ScaledHead(nn.Module):
    """A head behind features that are scaled to mean 0 and deviation 1 over the training photos."""

    def __init__(self, head: nn.Module, pooled: Tensor) -> None:
        super().__init__()
        self.head = head
        # Sums over all features get the same size, however many there are.
        scale = pooled.shape[1] ** 0.5
        self.pooled_mean = nn.Buffer(pooled.mean(0))
        self.pooled_scale = nn.Buffer((pooled.std(0) + 1e-3) * scale)

    def forward(self, pooled: Tensor, tokens: Tensor) -> Tensor:
        """Return logits."""
        scaled = (pooled - self.pooled_mean) / self.pooled_scale
        logits: Tensor = self.head(scaled, tokens)
        return logits


def train_head(
    build: Builder,
    features: Features,
    truth: BoolMask,
    rows: Rows,
    steps: int,
    seed: int,
    on_evaluation: Callable[[int, nn.Module], None] = lambda step, head: None,
) -> ScaledHead:
    """Train a head on some of the photos with binary cross-entropy.

    Parameters
    ----------
    truth : (photos, labels)
    rows : the photos to train on
    on_evaluation : receives the head after every few steps, in evaluation mode
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = ScaledHead(
            build(truth[rows], features.pooled.shape[1], features.tokens.shape[2]),
            _tensor(features.pooled[rows]),
        )
        learning_rate = getattr(head.head, "learning_rate", _LEARNING_RATE)
        optimiser = torch.optim.AdamW(
            head.parameters(), lr=learning_rate, weight_decay=_WEIGHT_DECAY
        )
        for step, batch in enumerate(_batches(rows, steps, seed), 1):
            head.train()
            logits = head(_tensor(features.pooled[batch]), _tensor(features.tokens[batch]))
            target = _tensor(truth[batch])
            loss = functional.binary_cross_entropy_with_logits(logits, target)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if step % _EVALUATE_EVERY == 0 or step == steps:
                on_evaluation(step, head.eval())
    return head.eval()


def predict(head: nn.Module, features: Features, rows: Rows) -> Numbers:
    """Return the logits of some photos, (photos, labels)."""
    parts = []
    with torch.no_grad():
        for start in range(0, len(rows), _PREDICTION_BATCH):
            batch = rows[start : start + _PREDICTION_BATCH]
            logits = head(_tensor(features.pooled[batch]), _tensor(features.tokens[batch]))
            parts.append(logits.numpy().astype(np.float64))
    return np.concatenate(parts)


def split(count: int, seed: int) -> tuple[Rows, Rows, Rows]:
    """Return random photos to train, to validate and to test on: three, one and one fifth.

    Examples
    --------
    >>> [len(rows) for rows in split(10, seed=0)]
    [6, 2, 2]
    """
    order = np.random.default_rng(seed).permutation(count)
    held_out = max(1, round(_HELD_OUT * count))
    return order[2 * held_out :], order[:held_out], order[held_out : 2 * held_out]


def compare_heads(
    features: Features, truth: BoolMask, config: FitConfig, progress: Progress = SILENT
) -> list[HeadResult]:
    """Train each head on each random split, and measure it on the photos held out."""
    progress.start("comparing heads", config.seeds * len(config.heads))
    results = []
    for seed in range(config.seeds):
        rows = split(len(truth), seed)
        for name, build in config.heads.items():
            results.append(
                evaluate_head(name, build, features, truth, rows, seed, config.max_steps)
            )
            progress.advance()
    return results


def evaluate_head(
    name: str,
    build: Builder,
    features: Features,
    truth: BoolMask,
    rows: tuple[Rows, Rows, Rows],
    seed: int,
    max_steps: int = _MAX_STEPS,
) -> HeadResult:
    """Train a head, and return it after the number of steps with the smallest validation loss.

    Average precision would not do: it may be perfect long before the probabilities are right.

    Parameters
    ----------
    rows : the photos to train, to validate and to test on
    """
    train, validation, test = rows
    best: dict[str, Any] = {"loss": np.inf}

    def keep_best(step: int, head: nn.Module) -> None:
        logits = predict(head, features, validation)
        loss = cross_entropy(truth[validation], logits)
        if loss < best["loss"]:
            best.update(loss=loss, step=step, validation=logits, test=predict(head, features, test))

    train_head(build, features, truth, train, max_steps, seed, keep_best)
    slope, offset = fit_calibration(truth[validation], best["validation"])
    return HeadResult(
        name,
        seed,
        best["step"],
        measure(truth[validation], sigmoid(best["validation"])).mean_ap,
        measure(truth[test], sigmoid(slope * best["test"] + offset)),
        np.concatenate([truth[validation], truth[test]]),
        np.concatenate([best["validation"], best["test"]]),
    )


def cross_entropy(truth: BoolMask, logits: Numbers) -> float:
    """Return the mean binary cross-entropy.

    Examples
    --------
    >>> round(cross_entropy(np.array([True, False]), np.array([0.0, -9.0])), 3)
    0.347
    """
    return float(np.logaddexp(0, np.where(truth, -logits, logits)).mean())


def fit_calibration(truth: BoolMask, logits: Numbers) -> tuple[float, float]:
    """Return slope and offset of Platt scaling over all labels; 1 and 0 if it does not fit."""
    slope, offset = platt_scaling(sigmoid(logits).ravel(), truth.ravel())
    return (slope, offset) if 0 < slope <= 100 and abs(offset) <= 100 else (1.0, 0.0)


def choose(results: Sequence[HeadResult]) -> tuple[str, int]:
    """Return the head with the best mean validation, and the median of its numbers of steps."""
    by_head: dict[str, list[HeadResult]] = {}
    for result in results:
        by_head.setdefault(result.head, []).append(result)
    best = max(by_head, key=lambda name: np.mean([r.validation_ap for r in by_head[name]]))
    return best, int(np.median([result.steps for result in by_head[best]]))


def sigmoid(logits: Numbers) -> Numbers:
    """Return probabilities.

    Examples
    --------
    >>> sigmoid(np.array([-1e4, 0.0]))
    array([0. , 0.5])
    """
    result: Numbers = 0.5 * (1 + np.tanh(0.5 * logits))
    return result


def _batches(rows: Rows, steps: int, seed: int) -> Iterator[Rows]:
    """Yield the photos of each step; each photo is used once before any is used again."""
    random = np.random.default_rng(seed)
    order = random.permutation(rows)
    position = 0
    for _ in range(steps):
        if position + _BATCH > len(order) and position > 0:
            order, position = random.permutation(rows), 0
        yield order[position : position + _BATCH]
        position += _BATCH


def _tensor(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))
