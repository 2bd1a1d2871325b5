"""Measure the table of truth of the search: times of many candidates, and short trainings.

    python benchmarks/search/measure.py FILE --photos P --validation V [--only costs|psnr]
    python benchmarks/search/measure.py FILE --photos P --validation V --long 20 --steps 3000

A candidate at a time is appended to FILE (JSON lines, see benchmarks/search/README.md). A run that
was interrupted goes on where it was. Two processes may share the trainings with --part 0/2 and 1/2,
each with a file of its own.

With --long, only so many networks are trained: `fast`, and others that their short trainings spread
over the front and the whole range. All are trained for the first operator, then for the next one.
"""

import argparse
import platform
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image
from trained import OPERATORS, guide_of, spread

from burnish.networks.registry import NETWORKS, unet_name
from burnish.operators.operator import SAMPLES
from burnish.operators.user_defined import find_operator
from burnish.runtime.engine_choice import EngineChoice
from burnish.runtime.session import load_engine
from burnish.search.graph import bytes_moved, operations
from burnish.search.space import GUIDE_RATIOS, Candidate, random_candidate
from burnish.search.speed import first_level, milliseconds, operator_milliseconds
from burnish.search.table import Table
from burnish.search.trial import Trials
from burnish.training.data import prepare_data
from burnish.training.request import validate_request

CHOICES = (
    EngineChoice("onnxruntime", "fp32"),
    EngineChoice("onnxruntime", "int8"),
    EngineChoice("openvino", "fp32"),
)
# Measured beside each candidate: its time tells how busy the machine was.
REFERENCE = Candidate(unet_name({"factor": 2, **NETWORKS["fast"].arguments}))
SEED = 25
# Larger networks are timed, but not trained.
MAX_TRAINED_MACS = 12_000


def candidates(count: int) -> list[Candidate]:
    """Return `fast` and `best` with each guide, and random candidates."""
    names = [unet_name({"factor": 2, **NETWORKS[name].arguments}) for name in ("fast", "best")]
    found = [Candidate(name, ratio) for name in names for ratio in GUIDE_RATIOS]
    random = np.random.default_rng(SEED)
    while len(found) < count:
        candidate = random_candidate(random)
        if candidate not in found:
            found.append(candidate)
    return found


def add_costs(table: Table, candidate: Candidate) -> None:
    own, reference = milliseconds([candidate, REFERENCE], CHOICES)
    names = [f"{choice.engine} {choice.precision}" for choice in CHOICES]
    network = candidate.build()
    table.add_costs(
        candidate,
        dict(zip(names, own, strict=True)),
        reference_milliseconds=dict(zip(names, reference, strict=True)),
        macs_per_pixel=network.macs_per_pixel,
        parameter_count=sum(parameter.numel() for parameter in network.parameters()),
        peak_bytes_per_pixel=4 * network.peak_activations_per_pixel,
        bytes_moved_per_pixel=bytes_moved(operations(candidate)),
        halo=network.halo,
        size_multiple=network.size_multiple,
    )


def trials(operator: str, arguments: argparse.Namespace) -> Trials:
    request = validate_request(
        operator,
        photos=arguments.photos,
        validation=arguments.validation,
        output=arguments.file.with_suffix(".onnx"),
        steps=arguments.steps,
        batch=arguments.batch,
        crop=96,
        max_size=720,
        short_sides=(),
        start_fraction=0.0,
    )
    data = prepare_data(request.config, request.photos, request.validation)
    return Trials(request.config, data)


def about(arguments: argparse.Namespace) -> dict[str, object]:
    libraries = ("burnish", "onnxruntime", "openvino", "torch")
    photo = np.asarray(Image.open(SAMPLES / "coffee.jpg"), np.float32) / 255
    times = {
        name: operator_milliseconds(find_operator(name), {}, photo, first_level(guide_of(name)))
        for name in OPERATORS
    }
    return {
        "machine": platform.processor() or platform.machine(),
        "libraries": {name: version(name) for name in libraries},
        "seed": SEED,
        "batch": arguments.batch,
        "crop": 96,
        "operator_milliseconds": times,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--validation", type=Path, required=True)
    parser.add_argument("--count", type=int, default=640)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--part", default="0/1", help="NUMBER/COUNT of the processes that train")
    parser.add_argument("--only", choices=("costs", "psnr"))
    parser.add_argument("--long", type=int, help="the number of networks to train for --steps")
    parser.add_argument("--operators", nargs="+", choices=OPERATORS, default=OPERATORS)
    arguments = parser.parse_args()
    table = Table(arguments.file, None if arguments.file.exists() else about(arguments))
    number, parts = map(int, arguments.part.split("/"))
    queue = candidates(arguments.count)
    for choice in CHOICES:
        load_engine(choice.engine)
    for candidate in queue if arguments.only != "psnr" and not arguments.long else ():
        if not _has_costs(table, candidate):
            add_costs(table, candidate)
    if arguments.only == "costs":
        return
    runs = {name: trials(name, arguments) for name in arguments.operators}
    for operator, trial in runs.items():
        scores = f"identity {trial.identity_psnr():.2f}, first level {trial.guide_psnr():.2f}"
        print(operator, scores, flush=True)
    small = [c for c in queue if sum(op.macs for op in operations(c)) <= MAX_TRAINED_MACS]
    if arguments.long:
        chosen = spread(table, arguments.long)[number::parts]
        trainings = [(candidate, operator) for operator in runs for candidate in chosen]
    else:
        trainings = [
            (candidate, operator) for candidate in small[number::parts] for operator in runs
        ]
    for candidate, operator in trainings:
        if (operator, arguments.steps) not in _psnr(table, candidate):
            start = time.process_time()
            psnr = runs[operator].psnr(candidate)
            seconds = time.process_time() - start
            table.add_psnr(candidate, operator, arguments.steps, psnr, seconds)
            print(candidate.label, operator, f"{psnr:.2f} dB, {seconds:.0f} s", flush=True)


def _has_costs(table: Table, candidate: Candidate) -> bool:
    return candidate.label in table.rows and bool(table.rows[candidate.label].milliseconds)


def _psnr(table: Table, candidate: Candidate) -> set[tuple[str, int]]:
    return set(table.rows[candidate.label].psnr) if candidate.label in table.rows else set()


if __name__ == "__main__":
    main()
