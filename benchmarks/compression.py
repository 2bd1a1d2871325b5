"""PSNR and time of compressed networks: each step alone, and the whole pipeline.

    python benchmarks/compression.py tv-l1 --photos photos/ --validation others/ --steps 300

For each model and engine: bfloat16, where the processor has it; 8-bit integers without and with
training; pruning to twice the speed, distillation, and a network of that shape from scratch; and
the whole pipeline to three times the speed. Runs that JSON has already are not repeated, and an
interrupted one resumes in its folder.
"""

import argparse
import json
from itertools import product
from pathlib import Path
from typing import Any

from measure import environment, write

from burnish.cli.compress import print_table
from burnish.cli.train import TrainingProgress
from burnish.compression.measure import Bench
from burnish.compression.pipeline import run_compression
from burnish.compression.request import CompressionRequest, validate_request
from burnish.compression.steps import Step
from burnish.errors import PrecisionError
from burnish.training.data import prepare_data

RESULTS = Path(__file__).parent / "results"
PICTURE = Path(__file__).parents[1] / "docs/images/compression.png"
# Run -> options of the compression. The first speed is reached by integers alone.
RUNS: dict[str, dict[str, Any]] = {
    "int8": {"speed": 1.3, "compare_scratch": False},
    "prune": {"speed": 2, "int8": False},
    "pipeline": {"speed": 3, "compare_scratch": False},
}
BFLOAT16 = "bfloat16"
# Beginning of a step's name -> marker of the picture.
MARKERS = {"original": "*", BFLOAT16: "D", "prune": "v", "distil": "o", "int8": "s", "from": "x"}
COLUMNS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", help="names or files of models")
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--validation", type=Path)
    parser.add_argument("--engines", nargs="+", default=["onnxruntime", "openvino"])
    parser.add_argument("--steps", type=int, default=300, help="training steps of each pipeline")
    parser.add_argument("--run-dir", type=Path, default=Path("runs/compression"))
    parser.add_argument("--json", type=Path, default=RESULTS / "compression.json")
    parser.add_argument("--picture", type=Path, default=PICTURE)
    options = parser.parse_args()

    results: dict[str, Any] = {"environment": environment(), "steps": options.steps, "rows": []}
    if options.json.exists():
        results["rows"] = json.loads(options.json.read_text())["rows"]
    # One run of all models comes after the other, so that an early picture has all of them.
    for run, model, engine in product((BFLOAT16, *RUNS), options.models, options.engines):
        key = {"model": Path(model).stem, "engine": engine, "run": run}
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
            engine=engine,
            nearest=True,
            overwrite=True,
            **RUNS.get(run, {}),
        )
        steps = in_bfloat16(request) if run == BFLOAT16 else compressed(request)
        results["rows"] += [key | step.record() for step in steps]
        write(options.json, results)
        draw(results["rows"], options.picture)


def compressed(request: CompressionRequest) -> list[Step]:
    """Run the pipeline."""
    with TrainingProgress() as progress:
        result = run_compression(request, progress)
    print_table(result.steps)
    return list(result.steps)


def in_bfloat16(request: CompressionRequest) -> list[Step]:
    """Measure the original network, and the same in bfloat16, if the engine has it."""
    config = request.config
    pairs = prepare_data(config, request.photos, request.validation).validation
    bench = Bench(request.model, pairs, request.operator, config.params, request.engine)
    steps = [Step("original", "", bench.measure(request.model, is_original=True))]
    try:
        steps.append(Step(BFLOAT16, "", bench.measure(request.model, precision="bf16")))
    except PrecisionError as error:
        print(error)
    return steps


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
