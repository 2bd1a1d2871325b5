"""Cost of new slider values: a network with the values built in, against values as inputs.

python benchmarks/slider_values.py --json benchmarks/results/slider_values.json
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
from measure import environment, timed, write

from burnish.modelfile.reader import read_model
from burnish.runtime.model_registry import find_model
from burnish.runtime.onnx_runtime import create_session
from burnish.runtime.session import bind_constants, context_tensors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ["l0-smoothing", "local-laplacian", "multiscale-tone"]
    parser.add_argument("--operators", nargs="+", default=names)
    parser.add_argument("--sides", nargs="+", type=int, default=[256, 384, 512, 1024])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = {"environment": environment(), "threads": options.threads, "rows": {}}
    for name in options.operators:
        file = read_model(find_model(name))
        context = context_tensors(file.card, {}, None)

        def create(tensors, file=file):
            model = bind_constants(file.graph, tensors)
            return create_session(model, file.card.name, "cpu", options.threads)

        timings = {"create, built in": timed(lambda c=context, f=create: f(c), options.repeats)}
        built_in, generic = create(context), create({})
        for side in options.sides:
            pixels = np.random.default_rng(0).random((side, side, 3), dtype=np.float32)
            output = np.empty_like(pixels)
            for label, session, inputs in (
                ("built in", built_in, {}),
                ("as inputs", generic, context),
            ):
                timings[f"{side} px, {label}"] = timed(
                    lambda s=session, c=inputs, p=pixels, o=output: s.run(
                        p, p.shape[:2], o, guide=p, context=c
                    ),
                    options.repeats,
                )
        for label, timing in timings.items():
            line = f"{1000 * timing.wall:6.1f} ms ± {1000 * timing.wall_spread:.1f}"
            print(f"{name:18} {label:20} {line}", flush=True)
        results["rows"][name] = {k: dataclasses.asdict(v) for k, v in timings.items()}
    write(options.json, results)


if __name__ == "__main__":
    main()
