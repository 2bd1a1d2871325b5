"""Train a network on your own operator.

This example trains for seconds. For a useful network, train on many photos for half an hour. The
command for that is:

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
    """Prints the validations during the training."""

    def on_validation(self, step: int, psnr: float, preview: Path) -> None:
        """Print one validation."""
        print(f"step {step}: {psnr:.2f} dB, {preview}")


def main() -> None:
    """Write an operator and four crops of the sample photo, and train for a few steps."""
    Path("negative.py").write_text(OPERATOR)
    photos = Path("photos")
    photos.mkdir(exist_ok=True)
    pixels = burnish.Photo.open(SAMPLE).pixels
    for index in range(4):
        crop = pixels[100:300, 150 * index : 150 * index + 150]
        burnish.Photo(crop).save(photos / f"{index}.png", overwrite=True)

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
    if model:  # None in all processes of torchrun but the first
        psnr = model.validation[0].report.mean.psnr
        print(f"{model.path}: {psnr:.2f} dB after 10 steps")


if __name__ == "__main__":
    main()
