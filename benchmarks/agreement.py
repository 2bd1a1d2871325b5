"""Our operators against the networks that the paper's authors published, photo by photo.

python benchmarks/agreement.py --peers PEERS --photos PHOTOS --json RESULT

A network only approximates its operator, so 25 to 45 dB mean that the two operators agree. The
table also shows the PSNR of the untouched photo, and of our operator at other parameters that fit
the network better, where the authors did not train with our defaults.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from baselines.chen2017 import load
from measure import environment, write

from burnish.metrics import mse, psnr
from burnish.operators.registry import OPERATORS
from burnish.photo import Photo
from burnish.training.pairs import find_photos, resize
from burnish.training.validation import ImageNetwork

# Published checkpoint -> our operator, and parameter values that fit better than its defaults.
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
        photo
        for path in options.photos
        for photo in (find_photos(path) if path.is_dir() else [path])
    ]
    photos = [shrink(Photo.open(path).pixels, options.short_side) for path in paths]
    results = {"environment": environment(), "short_side": options.short_side}
    results |= {"photos": [path.name for path in paths], "rows": {}}
    print(f"{len(photos)} photos, short side {options.short_side}; PSNR in dB, mean (worst)")
    for peer, (name, better_params) in PEERS.items():
        network = ImageNetwork(load(options.peers / f"{peer}.npz"))
        network_outputs = [np.clip(network(photo, {}), 0, 1) for photo in photos]
        variants: dict[str, dict[str, Any] | None] = {"untouched": None, "default": {}}
        variants |= better_params
        rows = {}
        for label, params in variants.items():
            outputs = photos
            if params is not None:
                outputs = [OPERATORS[name].run(photo, **params) for photo in photos]
            rows[label] = [psnr(mse(a, b)) for a, b in zip(outputs, network_outputs, strict=True)]
        results["rows"][name] = rows
        columns = "  ".join(f"{k} {np.mean(v):.1f} ({min(v):.1f})" for k, v in rows.items())
        print(f"{name:28} {columns}", flush=True)
    write(options.json, results)


def shrink(pixels: np.ndarray, short_side: int) -> np.ndarray:
    """Resize a photo to a shorter side, unless it is smaller."""
    factor = short_side / min(pixels.shape[:2])
    if factor >= 1:
        return pixels
    return resize(pixels, (round(pixels.shape[0] * factor), round(pixels.shape[1] * factor)))


if __name__ == "__main__":
    main()
