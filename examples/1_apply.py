"""Apply a bundled network to a photo file; the output is a new file beside the photo."""

import shutil
from pathlib import Path

import burnish
from burnish.evaluation.doctor import SAMPLE


def main() -> None:
    """Smooth a copy of the sample photo."""
    photo = Path("coffee.jpg")
    shutil.copy(SAMPLE, photo)
    output = burnish.apply(photo, "l0-smoothing", overwrite=True)
    print(f"{photo} -> {output}")


if __name__ == "__main__":
    main()
