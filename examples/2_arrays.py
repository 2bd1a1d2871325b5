"""Apply a network to arrays: the output has the shape and the dtype of the input."""

import numpy as np

import burnish


def main() -> None:
    """Smooth a noisy gradient, once by name and then several times with one model."""
    random = np.random.default_rng(0)
    gradient = np.linspace(0.2, 0.8, 120)[None, :, None] * np.ones((90, 1, 3))
    noisy = np.clip(gradient + 0.02 * random.standard_normal(gradient.shape), 0, 1)

    smooth = burnish.apply(noisy, "l0-smoothing")
    print(f"by name: {smooth.shape} {smooth.dtype}")

    model = burnish.Model.open("l0-smoothing")
    for _ in range(3):
        output = model(noisy.astype(np.float32))
    print(f"by model: on {model.device}, halo {model.card.halo} px, {output.dtype}")


if __name__ == "__main__":
    main()
