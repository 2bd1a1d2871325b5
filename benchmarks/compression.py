"""PSNR and time of compressed networks: each step, and the whole pipeline, at several speeds.

python benchmarks/compression.py tv-l1 --photos photos/ --validation others/ --steps 300
"""

import argparse
from pathlib import Path

from measure import environment, write

from burnish.cli.compress import print_table
from burnish.cli.train import TrainingProgress
from burnish.compression.pipeline import run_compression
from burnish.compression.request import validate_request

RESULTS = Path(__file__).parent / "results"
# Step -> marker of the picture.
MARKERS = {"original": "*", "prune": "v", "distil": "o", "int8": "s", "from scratch": "x"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", help="names or files of models")
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--validation", type=Path)
    parser.add_argument("--speeds", nargs="+", default=["1.5x", "2x", "3x"])
    parser.add_argument("--engines", nargs="+", default=["onnxruntime", "openvino"])
    parser.add_argument("--steps", type=int, default=300, help="training steps of each pipeline")
    parser.add_argument("--run-dir", type=Path, default=Path("runs/compression"))
    parser.add_argument("--json", type=Path, default=RESULTS / "compression.json")
    parser.add_argument("--picture", type=Path, default=RESULTS / "compression.png")
    options = parser.parse_args()

    results = {"environment": environment(), "steps": options.steps, "rows": []}
    for model in options.models:
        for engine in options.engines:
            for speed in options.speeds:
                rows = measure(options, model, engine, speed)
                results["rows"] += rows
                write(options.json, results)
                draw(results["rows"], options.picture)


def measure(
    options: argparse.Namespace, model: str, engine: str, speed: str
) -> list[dict[str, object]]:
    """Run the pipeline; return a row for each step."""
    folder = options.run_dir / f"{Path(model).stem}-{engine}-{speed}"
    request = validate_request(
        model,
        photos=options.photos,
        validation=options.validation,
        output=folder / "result.onnx",
        run_dir=folder / "run",
        speed=speed,
        steps=options.steps,
        engine=engine,
        nearest=True,
        overwrite=True,
    )
    with TrainingProgress() as progress:
        result = run_compression(request, progress)
    print(f"{model}, {engine}, {speed}")
    print_table(result.steps)
    common = {"model": Path(model).stem, "engine": engine, "goal": speed}
    return [common | step.record() for step in result.steps]


def draw(rows: list[dict[str, object]], path: Path) -> None:
    """Draw PSNR against milliseconds, one panel for each model and a colour for each engine."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    models = list(dict.fromkeys(row["model"] for row in rows))
    engines = list(dict.fromkeys(row["engine"] for row in rows))
    figure, panels = pyplot.subplots(
        1, len(models), figsize=(5 * len(models), 4), squeeze=False, layout="constrained"
    )
    for panel, model in zip(panels[0], models, strict=True):
        for colour, engine in enumerate(engines):
            chosen = [r for r in rows if (r["model"], r["engine"]) == (model, engine)]
            for step, marker in MARKERS.items():
                points = [r for r in chosen if str(r["name"]).startswith(step)]
                panel.scatter(
                    [r["milliseconds"] for r in points],
                    [r["psnr"] for r in points],
                    marker=marker,
                    color=f"C{colour}",
                    label=f"{step}, {engine}",
                )
            front = pareto_front([(r["milliseconds"], r["psnr"]) for r in chosen])
            panel.step(*zip(*front, strict=True), where="post", color=f"C{colour}", alpha=0.4)
        panel.set(title=model, xlabel="ms a megapixel, one thread", ylabel="PSNR to operator, dB")
    panels[0][0].legend(fontsize="x-small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
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
