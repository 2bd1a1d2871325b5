"""Arrays in, arrays out: the same shape and dtype; one Model serves many pictures."""

import numpy as np

import burnish


def main() -> None:
    """Smooth a noisy slope, once by name and then many times with one model."""
    random = np.random.default_rng(0)
    slope = np.linspace(0.2, 0.8, 120)[None, :, None] * np.ones((90, 1, 3))
    noisy = np.clip(slope + 0.02 * random.standard_normal(slope.shape), 0, 1)

    smooth = burnish.apply(noisy, "l0-smoothing")
    print(f"by name: {smooth.shape} {smooth.dtype}, noise {np.std(noisy - slope):.4f} before")

    model = burnish.Model.open("l0-smoothing")
    for _ in range(3):
        result = model(noisy.astype(np.float32))
    print(f"by model: on {model.device}, halo {model.card.halo} px, {result.dtype}")


if __name__ == "__main__":
    main()
