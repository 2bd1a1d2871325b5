"""Learn an operator of your own, in Python. Seconds here; give it photos and half an hour.

On the command line it is one line:

    burnish train python:negative.py:negative --photos PHOTOS --budget 30m
"""

from pathlib import Path

import burnish
from burnish.evaluation.demo import SAMPLE
from burnish.training.pipeline import train_and_export
from burnish.training.request import validate_request
from burnish.training.train import TrainCallbacks

OPERATOR = """
def negative(rgb):
    return 1 - rgb
"""


class Print(TrainCallbacks):
    """Prints the early evaluations."""

    def on_validation(self, step: int, psnr: float, picture: Path) -> None:
        """Print the PSNR of an early evaluation."""
        print(f"step {step}: {psnr:.2f} dB, {picture}")


def main() -> None:
    """Write an operator, cut the sample into photos, train for a few steps."""
    Path("negative.py").write_text(OPERATOR)
    photos = Path("photos")
    photos.mkdir(exist_ok=True)
    pixels = burnish.Photo.open(SAMPLE).pixels
    for index in range(4):
        tile = pixels[100:300, 150 * index : 150 * index + 150]
        burnish.Photo(tile).save(photos / f"{index}.png", overwrite=True)

    order = validate_request(
        "python:negative.py:negative",
        photos=photos,
        output=Path("negative.onnx"),
        overwrite=True,
        steps=10,
        batch=1,
        crop=64,
    )
    published = train_and_export(order, Print())
    if published:
        psnr = published.validation[0].report.mean.psnr
        print(f"{published.path}: {psnr:.2f} dB after 10 steps")


if __name__ == "__main__":
    main()
