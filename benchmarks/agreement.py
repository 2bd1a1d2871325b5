"""Our operators against the networks that the paper's authors published, photo by photo.

python benchmarks/agreement.py --peers PEERS --photos PHOTOS --json RESULT

A network is itself an approximation of the operator it learnt, so 25 to 45 dB is what agreement
looks like. Beside it stands what the untouched photo scores, and what the operator scores at a
setting that fits the network better, where the authors' was not our default.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from baselines.chen2017 import load
from measure import circumstances, write

from burnish.metrics import mse, psnr
from burnish.operators.registry import OPERATORS
from burnish.photo import Photo
from burnish.training.pairs import find_photos, resize
from burnish.training.validation import ImageNetwork

# Published checkpoint -> our operator, and settings of it that fit better than the defaults.
PEERS: dict[str, tuple[str, dict[str, dict[str, Any]]]] = {
    "l0_smoothing": ("l0-smoothing", {"lambda 0.0075": {"lambda_": 0.0075}}),
    "rudin_osher_fatemi": ("rudin-osher-fatemi", {}),
    "tv_l1": ("tv-l1", {}),
    "relative_total_variation": ("relative-total-variation", {}),
    "multiscale_tone_manipulation": ("multiscale-tone", {}),
    "photographic_style": ("photographic-style", {}),
    "nonlocal_dehazing": ("nonlocal-dehazing", {"airlight #cccccc": {"airlight": "#cccccc"}}),
    "dark_channel_dehazing": ("dark-channel-dehazing", {"patch 7": {"patch": 7}}),
    "pencil_drawing": ("pencil-drawing", {"texture 0": {"texture": 0.0}}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=Path, required=True, help="folder of the .npz checkpoints")
    parser.add_argument("--photos", type=Path, nargs="+", required=True, help="files or folders")
    parser.add_argument("--short-side", type=int, default=480, help="pixels")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    torch.set_grad_enabled(False)
    paths = [
        p for given in options.photos for p in (find_photos(given) if given.is_dir() else [given])
    ]
    photos = [shrunk(Photo.open(path).pixels, options.short_side) for path in paths]
    results = {"circumstances": circumstances(), "short_side": options.short_side}
    results |= {"photos": [path.name for path in paths], "rows": {}}
    print(f"{len(photos)} photos, short side {options.short_side}; PSNR in dB, mean (worst)")
    for peer, (name, fits) in PEERS.items():
        network = ImageNetwork(load(options.peers / f"{peer}.npz"))
        theirs = [np.clip(network(photo, {}), 0, 1) for photo in photos]
        settings: dict[str, dict[str, Any] | None] = {"untouched": None, "default": {}, **fits}
        rows = {}
        for label, given in settings.items():
            ours = [p if given is None else OPERATORS[name].run(p, **given) for p in photos]
            rows[label] = [psnr(mse(a, b)) for a, b in zip(ours, theirs, strict=True)]
        results["rows"][name] = rows
        words = "  ".join(f"{k} {np.mean(v):.1f} ({min(v):.1f})" for k, v in rows.items())
        print(f"{name:28} {words}", flush=True)
    write(options.json, results)


def shrunk(pixels: np.ndarray, short_side: int) -> np.ndarray:
    factor = short_side / min(pixels.shape[:2])
    if factor >= 1:
        return pixels
    return resize(pixels, (round(pixels.shape[0] * factor), round(pixels.shape[1] * factor)))


if __name__ == "__main__":
    main()
