"""PSNR and time of compressed networks: each step alone, and the whole pipeline.

    python benchmarks/compression.py tv-l1 --photos photos/ --validation others/ --steps 180

For each model: bfloat16, where the engine has it; 8-bit integers without and with training; and the
whole pipeline, which prunes and distils to 1.4, 2 and 3 times the speed, and then trains the last
network for 8-bit integers, beside a network of that shape from scratch. Networks are pruned by the
times of the first engine, and measured on all engines. Runs that JSON has already are not repeated,
and an interrupted one resumes in its folder.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

from measure import environment, write

from burnish.cli.compress import print_table
from burnish.cli.train import TrainingProgress
from burnish.compression.measure import Bench, Figures
from burnish.compression.pipeline import Pipeline
from burnish.compression.request import CompressionRequest, validate_request
from burnish.compression.steps import Step
from burnish.compression.workspace import Workspace
from burnish.errors import PrecisionError
from burnish.modelfile.card import Precision
from burnish.training.data import prepare_data
from burnish.training.pairs import Pair, find_photos

RESULTS = Path(__file__).parent / "results"
PICTURE = Path(__file__).parents[1] / "docs/images/compression.png"
# Run -> options of the compression. Nothing is compressed in the first run; integers alone reach
# the speed of the second one, and the loss of the third one is no limit.
BFLOAT16 = "bfloat16"
RUNS: dict[str, dict[str, Any]] = {
    BFLOAT16: {},
    "int8": {"speed": 1.05, "compare_scratch": False},
    "pipeline": {"loss": 100},
}
# Beginning of a step's name -> marker of the picture.
MARKERS = {"original": "*", BFLOAT16: "D", "prune": "v", "distil": "o", "int8": "s", "from": "x"}
COLUMNS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", help="names or files of models")
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--validation", type=Path, required=True)
    parser.add_argument("--engines", nargs="+", default=["onnxruntime", "openvino"])
    parser.add_argument("--steps", type=int, default=180, help="training steps of each pipeline")
    parser.add_argument("--run-dir", type=Path, default=Path("runs/compression"))
    parser.add_argument("--json", type=Path, default=RESULTS / "compression.json")
    parser.add_argument("--picture", type=Path, default=PICTURE)
    options = parser.parse_args()

    results: dict[str, Any] = {
        "environment": environment(),
        "photos": len(find_photos(options.photos)),
        "held_out": len(find_photos(options.validation)),
        "steps": options.steps,
        "rows": [],
    }
    results["environment"]["packages"] |= {name: version(name) for name in ("openvino", "torch")}
    if options.json.exists():
        results["rows"] = json.loads(options.json.read_text())["rows"]
    # A run of all models comes after the other, so that an early picture has all of them.
    for run, model in product(RUNS, options.models):
        key = {"model": Path(model).stem, "run": run}
        if any(key.items() <= row.items() for row in results["rows"]):
            continue
        print(*key.values(), flush=True)
        folder = options.run_dir / "-".join(key.values())
        request = validate_request(
            model,
            photos=options.photos,
            validation=options.validation,
            output=folder / "result.onnx",
            run_dir=folder / "run",
            steps=options.steps,
            engine=options.engines[0],
            overwrite=True,
            **RUNS[run],
        )
        measured = in_bfloat16 if run == BFLOAT16 else compressed
        for engine, step in measured(request, options.engines):
            results["rows"].append(key | {"engine": engine} | step.record())
        write(options.json, results)
    draw(results["rows"], options.picture)


def in_bfloat16(request: CompressionRequest, engines: Sequence[str]) -> Iterator[tuple[str, Step]]:
    """Yield the original network, and the same in bfloat16 where an engine has it."""
    data = prepare_data(request.config, request.photos, request.validation)
    for engine, bench in benches(request, data.validation, engines).items():
        yield engine, Step("original", "", bench.measure(request.model, is_original=True))
        try:
            yield engine, Step(BFLOAT16, "", bench.measure(request.model, precision="bf16"))
        except PrecisionError as error:
            print(error)


def compressed(request: CompressionRequest, engines: Sequence[str]) -> Iterator[tuple[str, Step]]:
    """Run the pipeline, and yield its steps as they are measured on each engine."""
    with TrainingProgress() as progress:
        data = prepare_data(request.config, request.photos, request.validation, progress)
        own, *others = benches(request, data.validation, engines).values()
        pipeline = Pipeline(request, data, Workspace(request, own), progress)
        pipeline.run()
    print_table(pipeline.steps)
    original, *steps = pipeline.steps
    yield from ((own.engine, step) for step in pipeline.steps)
    saved = json.loads((request.run_dir / "figures.json").read_text())
    files = {Figures(**values): request.run_dir / f"{name}.onnx" for name, values in saved.items()}
    for bench in others:
        figures = bench.measure(request.model, is_original=True)
        yield bench.engine, replace(original, figures=figures)
        for step in steps:
            figures = bench.measure(files[step.figures], precision=precision(step))
            yield bench.engine, replace(step, figures=figures)


def benches(
    request: CompressionRequest, pairs: Sequence[Pair], engines: Sequence[str]
) -> dict[str, Bench]:
    """Return what measures networks on each engine."""
    values = request.config.params
    return {
        engine: Bench(request.model, pairs, request.operator, values, engine) for engine in engines
    }


def precision(step: Step) -> Precision:
    """Return the precision that a step is measured in."""
    return "int8" if step.name.startswith("int8") else "fp32"


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw PSNR against milliseconds, one panel for each model and a colour for each engine."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    models = list(dict.fromkeys(row["model"] for row in rows))
    engines = list(dict.fromkeys(row["engine"] for row in rows))
    columns, lines = min(COLUMNS, len(models)), -(-len(models) // COLUMNS)
    size = 3.2 * columns, 3 * lines
    figure, panels = pyplot.subplots(lines, columns, figsize=size, squeeze=False)
    for panel, model in zip(panels.flat, models, strict=False):
        for colour, engine in enumerate(engines):
            chosen = [r for r in rows if (r["model"], r["engine"]) == (model, engine)]
            for step, marker in MARKERS.items():
                points = [r for r in chosen if str(r["name"]).startswith(step)]
                panel.scatter(
                    [r["milliseconds"] for r in points],
                    [r["psnr"] for r in points],
                    marker=marker,
                    color=f"C{colour}",
                    label=f"{'from scratch' if step == 'from' else step}, {engine}",
                )
            front = pareto_front([(r["milliseconds"], r["psnr"]) for r in chosen])
            if front:
                panel.step(*zip(*front, strict=True), where="post", color=f"C{colour}", alpha=0.4)
        panel.set_title(model, fontsize="small")
        panel.tick_params(labelsize="x-small")
    for panel in panels.flat[len(models) :]:
        panel.axis("off")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.supxlabel("CPU time for a megapixel on one thread, ms", fontsize="small")
    figure.supylabel("PSNR to the operator, dB", fontsize="small")
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    figure.legend(
        handles, labels, loc="lower center", ncols=len(MARKERS), fontsize="x-small", frameon=False
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def pareto_front(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points that no other point beats in both time and PSNR, fastest first."""
    front: list[tuple[float, float]] = []
    for milliseconds, psnr in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or psnr > front[-1][1]:
            front.append((milliseconds, psnr))
    return front


if __name__ == "__main__":
    main()
