"""Train a network on your own operator, in Python. Here for seconds; use photos and half an hour.

On the command line it is one line:

    burnish train python:negative.py:negative --photos PHOTOS --budget 30m
"""

from pathlib import Path

import burnish
import burnish.training
from burnish.evaluation.doctor import SAMPLE
from burnish.training import TrainCallbacks

OPERATOR = """
def negative(rgb):
    return 1 - rgb
"""


class PrintValidation(TrainCallbacks):
    """Prints the early validations."""

    def on_validation(self, step: int, psnr: float, preview: Path) -> None:
        """Print one validation."""
        print(f"step {step}: {psnr:.2f} dB, {preview}")


def main() -> None:
    """Write an operator, cut the sample into photos, and train for a few steps."""
    Path("negative.py").write_text(OPERATOR)
    photos = Path("photos")
    photos.mkdir(exist_ok=True)
    pixels = burnish.Photo.open(SAMPLE).pixels
    for index in range(4):
        tile = pixels[100:300, 150 * index : 150 * index + 150]
        burnish.Photo(tile).save(photos / f"{index}.png", overwrite=True)

    model = burnish.training.train(
        "python:negative.py:negative",
        photos=photos,
        output=Path("negative.onnx"),
        overwrite=True,
        steps=10,
        batch=1,
        crop=64,
        callbacks=PrintValidation(),
    )
    if model:  # of several processes, only the first one has it
        psnr = model.validation[0].report.mean.psnr
        print(f"{model.path}: {psnr:.2f} dB after 10 steps")


if __name__ == "__main__":
    main()
