"""Apply a shipped network to a photo file: the result lies beside it, everything else is kept."""

import shutil
from pathlib import Path

import burnish
from burnish.evaluation.doctor import SAMPLE


def main() -> None:
    """Smooth a copy of the sample photo."""
    photo = Path("coffee.jpg")
    shutil.copy(SAMPLE, photo)
    result = burnish.apply(photo, "l0-smoothing", overwrite=True)
    print(f"{photo} -> {result}")


if __name__ == "__main__":
    main()
