"""The Kuwahara filter against its definition: eigenvectors, angles and sectors pixel by pixel."""

import cv2
import numpy as np
import pytest
import scipy.ndimage

from burnish.operators.kuwahara import edge_orientation, kuwahara


def make_image(height: int, width: int) -> np.ndarray:
    """Return an image with a disc, a bar, shading and a little noise."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    grey = 0.3 + 0.5 * x * y
    grey[(x - 0.4) ** 2 + (y - 0.3) ** 2 < 0.04] = 0.9
    grey[abs(x + y - 0.9) < 0.05] = 0.1
    rgb = np.stack([grey, 0.8 * grey, grey**2], axis=2)
    return np.clip(rgb + 0.02 * np.random.default_rng(5).standard_normal(rgb.shape), 0, 1)


def structure_tensor(rgb: np.ndarray, sigma: float) -> np.ndarray:
    x, y = (
        np.stack([scipy.ndimage.sobel(c, axis, mode="mirror") for c in np.moveaxis(rgb, 2, 0)])
        for axis in (1, 0)
    )
    products = [(x * x).sum(axis=0), (x * y).sum(axis=0), (y * y).sum(axis=0)]
    # OpenCV cuts its Gaussian off at a whole odd width of 8 sigma + 1.
    radius = (round(8 * sigma + 1) | 1) // 2
    return np.stack(
        [scipy.ndimage.gaussian_filter(p, sigma, mode="mirror", radius=radius) for p in products],
        axis=2,
    )


def brute_force(rgb, radius, q, alpha, sigma):
    height, width, _ = rgb.shape
    tensor = structure_tensor(rgb, sigma)
    margin = int(np.ceil(radius * (1 + 1 / alpha)))
    padded = np.pad(rgb, ((margin, margin), (margin, margin), (0, 0)), mode="reflect")
    dy, dx = np.mgrid[-margin : margin + 1, -margin : margin + 1]
    result = np.empty_like(rgb)
    for row in range(height):
        for column in range(width):
            E, F, G = tensor[row, column]
            (small, large), vectors = np.linalg.eigh([[E, F], [F, G]])
            along, across = vectors.T
            stretch = (alpha + (large - small) / (large + small)) / alpha
            # The sign of an eigenvector is arbitrary, but all eight sectors are alike.
            x = (dx * along[0] + dy * along[1]) / (radius * stretch)
            y = (dx * across[0] + dy * across[1]) / (radius / stretch)
            inside = x**2 + y**2 <= 1
            x, y = x[inside], y[inside]
            window = padded[row : row + 2 * margin + 1, column : column + 2 * margin + 1][inside]
            sectors = []
            for angle in np.arange(8) * np.pi / 4:
                rotated = (x + 1j * y) * np.exp(-1j * angle)
                profile = rotated.real + 1 / 3 - 3.7737621398969474 * rotated.imag**2
                sectors.append(np.maximum(profile, 0) ** 2)
            weights = np.array(sectors) / np.sum(sectors, axis=0) * np.exp(-3.125 * (x**2 + y**2))
            weights /= weights.sum(axis=1, keepdims=True)
            means = weights @ window
            variances = np.array(
                [w @ ((window - m) ** 2).sum(axis=1) for w, m in zip(weights, means, strict=True)]
            )
            evenness = 1 / (1 + (255 * variances) ** (q / 2))
            result[row, column] = evenness @ means / evenness.sum()
    return result


@pytest.mark.parametrize(
    ("shape", "radius", "q", "alpha", "sigma"),
    [
        ((14, 17), 3.0, 8.0, 1.0, 1.0),
        ((12, 9), 2.5, 4.0, 0.5, 1.5),
        ((9, 12), 4.2, 12.0, 4.0, 0.7),
        ((3, 5), 1.0, 8.0, 1.0, 0.5),
    ],
)
def test_kuwahara_equals_definition(shape, radius, q, alpha, sigma):
    rgb = np.random.default_rng(7).random((*shape, 3)) * 0.4 + 0.3
    rgb[: shape[0] // 2, shape[1] // 2 :] += 0.25
    expected = brute_force(rgb, radius, q, alpha, sigma)
    np.testing.assert_allclose(kuwahara(rgb, radius, q, alpha, sigma), expected, atol=1e-9)


def test_edge_orientation_of_step_is_its_angle():
    y, x = np.mgrid[:40, :40]
    for angle in np.deg2rad([0, 20, 45, 90, 110, 160]):
        # A step whose edge runs along `angle`.
        step = (y - 20) * np.cos(angle) - (x - 20) * np.sin(angle)
        rgb = np.repeat(1 / (1 + np.exp(-step))[..., None], 3, axis=2)
        direction, anisotropy = edge_orientation(rgb, 2.0)
        difference = direction[20, 20] - angle
        assert abs(np.sin(difference)) < 0.02
        assert anisotropy[20, 20] > 0.98
    direction, anisotropy = edge_orientation(np.full((9, 9, 3), 0.4), 2.0)
    assert np.isfinite(direction).all()
    np.testing.assert_array_equal(anisotropy, 0)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (3, 5), (12, 15)])
def test_kuwahara_of_constant_is_constant(value, shape):
    rgb = np.full((*shape, 3), value, np.float32)
    np.testing.assert_allclose(kuwahara(rgb), rgb, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (3, 5), (2, 2)])
def test_kuwahara_of_small_image_stays_within_its_range(shape):
    rgb = np.random.default_rng(6).random((*shape, 3)).astype(np.float32)
    painted = kuwahara(rgb, 16.0, alpha=0.25)
    assert painted.shape == rgb.shape
    assert painted.dtype == np.float32
    assert (painted >= rgb.min(axis=(0, 1)) - 1e-6).all()
    assert (painted <= rgb.max(axis=(0, 1)) + 1e-6).all()


def test_kuwahara_keeps_step_and_removes_noise():
    step = np.full((40, 40, 3), 0.25)
    step[:, 20:] = 0.75
    noisy = step + 0.04 * np.random.default_rng(8).standard_normal(step.shape)
    painted = kuwahara(noisy, 5.0)
    assert np.abs(painted - step).std() < 0.4 * np.abs(noisy - step).std()
    np.testing.assert_allclose(painted[:, 19], 0.25, atol=0.08)
    np.testing.assert_allclose(painted[:, 20], 0.75, atol=0.08)
    # A mean over the same area would blur the step.
    blurred = cv2.GaussianBlur(noisy, (0, 0), 2.0)
    assert np.abs(painted - step).mean() < 0.3 * np.abs(blurred - step).mean()


def test_kuwahara_averages_along_edges():
    # Noisy stripes are averaged farther along them than across.
    y, x = np.mgrid[:64, :64]
    stripes = 0.5 + 0.3 * np.sign(np.sin(2 * np.pi * (x + y) / 12))
    rgb = np.repeat(stripes[..., None], 3, axis=2)
    rgb = rgb + 0.05 * np.random.default_rng(9).standard_normal((64, 64, 1))
    errors = [np.std(kuwahara(rgb, 5.0, alpha=alpha)[..., 0] - stripes) for alpha in (0.5, 8.0)]
    assert errors[0] < errors[1]


@pytest.mark.parametrize("name", ["flip x", "flip y", "transpose"])
def test_kuwahara_commutes_with_flips_and_transposition(name):
    transform = {
        "flip x": lambda rgb: rgb[:, ::-1],
        "flip y": lambda rgb: rgb[::-1],
        "transpose": lambda rgb: rgb.transpose(1, 0, 2),
    }[name]
    rgb = make_image(22, 30)
    painted = kuwahara(np.ascontiguousarray(transform(rgb)), 3.0)
    np.testing.assert_allclose(painted, transform(kuwahara(rgb, 3.0)), atol=1e-9)


def test_kuwahara_in_single_precision_agrees_with_double():
    rgb = make_image(40, 50)
    double, single = kuwahara(rgb), kuwahara(rgb.astype(np.float32))
    assert double.dtype == np.float64
    assert single.dtype == np.float32
    # Rounding decides whether a pixel on the rim of an ellipse is inside.
    assert np.sqrt(np.mean((single - double) ** 2)) < 1e-4


def test_kuwahara_with_larger_radius_flattens_more():
    rgb = make_image(40, 50)
    roughness = [np.abs(np.diff(kuwahara(rgb, radius), axis=1)).mean() for radius in (1, 4, 10)]
    assert roughness[0] > roughness[1] > roughness[2]


def test_kuwahara_leaves_input_unchanged():
    rgb = make_image(16, 20).astype(np.float32)
    rgb.setflags(write=False)
    before = rgb.copy()
    kuwahara(rgb)
    np.testing.assert_array_equal(rgb, before)
