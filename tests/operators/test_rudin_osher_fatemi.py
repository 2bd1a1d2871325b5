"""Total variation smoothing against another solver, closed forms, and scikit-image."""

import numpy as np
import pytest
from skimage.restoration import denoise_tv_chambolle

from burnish.errors import OperatorError
from burnish.operators.rudin_osher_fatemi import TOLERANCE, rudin_osher_fatemi


def make_image(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Return an image of slopes, a box and noise, different in each channel."""
    y, x = np.mgrid[: shape[0], : shape[1]] / max(shape)
    rgb = np.stack([x, 1 - y, 0.3 + 0.2 * x * y], axis=2)
    rgb[shape[0] // 4 : shape[0] // 2, shape[1] // 3 :] = 0.7, 0.2, 0.5
    return rgb + 0.05 * np.random.default_rng(seed).standard_normal(rgb.shape)


def differences(image: np.ndarray) -> np.ndarray:
    """Return the forward differences, (2, H, W, C), 0 across the border."""
    along_x = np.diff(image, axis=1, append=image[:, -1:])
    along_y = np.diff(image, axis=0, append=image[-1:])
    return np.stack([along_x, along_y])


def divergence(p: np.ndarray) -> np.ndarray:
    """Return the negative adjoint of `differences` for a p that is 0 across the border."""
    return np.diff(p[0], axis=1, prepend=0) + np.diff(p[1], axis=0, prepend=0)


def energy(u: np.ndarray, rgb: np.ndarray, lambda_: float) -> float:
    variation = np.sqrt((differences(u) ** 2).sum(axis=(0, 3))).sum()
    return float(variation + lambda_ / 2 * ((u - rgb) ** 2).sum())


def dual_fista(rgb: np.ndarray, lambda_: float, iterations: int = 6000) -> np.ndarray:
    """Minimise by fast projected gradients on the dual problem (Beck and Teboulle 2009)."""
    p = q = np.zeros((2, *rgb.shape))
    t = 1.0
    for _ in range(iterations):
        new = q + lambda_ / 8 * differences(rgb + divergence(q) / lambda_)
        new /= np.maximum(1, np.sqrt((new**2).sum(axis=(0, 3))))[..., None]
        t_new = (1 + np.sqrt(1 + 4 * t * t)) / 2
        q = new + (t - 1) / t_new * (new - p)
        p, t = new, t_new
    return rgb + divergence(p) / lambda_


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean((a - b) ** 2)))


@pytest.mark.parametrize("shape", [(14, 11), (1, 9), (9, 1), (3, 5)])
@pytest.mark.parametrize("lambda_", [2.0, 10.0, 50.0])
def test_rof_is_within_tolerance_of_minimiser(shape, lambda_):
    rgb = make_image(shape)
    assert distance(rudin_osher_fatemi(rgb, lambda_), dual_fista(rgb, lambda_)) < TOLERANCE


def test_rof_in_single_precision_is_within_tolerance():
    rgb = make_image((20, 30))
    single = rudin_osher_fatemi(rgb.astype(np.float32))
    assert single.dtype == np.float32
    assert distance(single, dual_fista(rgb, 10.0)) < TOLERANCE


@pytest.mark.parametrize("transposed", [False, True])
def test_rof_of_two_colours_equals_closed_form(transposed):
    # A row has w pixels of colour a and v of colour b. If both sides stay constant, the energy is
    # |b' - a'| + lambda / 2 (w |a' - a|^2 + v |b' - b|^2). Its minimum is at a' = a + n / (lambda
    # w) and b' = b - n / (lambda v), where n is the unit vector from a to b.
    a, b, w, v, lambda_ = np.array([0.1, 0.5, 0.4]), np.array([0.9, 0.2, 0.6]), 7, 12, 4.0
    row = np.array([[a] * w + [b] * v])
    n = (b - a) / np.linalg.norm(b - a)
    expected = np.array([[a + n / (lambda_ * w)] * w + [b - n / (lambda_ * v)] * v])
    if transposed:
        row, expected = row.transpose(1, 0, 2), expected.transpose(1, 0, 2)
    # The error may be concentrated in few pixels, hence the factor sqrt(19 / 2).
    np.testing.assert_allclose(rudin_osher_fatemi(row, lambda_), expected, atol=3e-3)


def test_rof_of_grey_equals_scikit_image():
    # For three equal channels g, TV(u) = sqrt(3) TV(g) and the data term is 3 times that of g, so
    # the energy is sqrt(3) (TV(g) + sqrt(3) lambda / 2 |g - f|^2); scikit-image's weight is one
    # over the factor of |.|^2 / 2.
    lambda_ = 8.0
    grey = make_image((40, 33))[..., 0]
    expected = denoise_tv_chambolle(
        grey, weight=1 / (np.sqrt(3) * lambda_), eps=1e-9, max_num_iter=4000
    )
    smooth = rudin_osher_fatemi(np.stack([grey] * 3, axis=2), lambda_)
    for channel in range(3):
        assert distance(smooth[..., channel], expected) < 1.5 * TOLERANCE


def test_rof_has_lower_energy_than_other_images():
    lambda_ = 10.0
    rgb = make_image((32, 40))
    smooth = rudin_osher_fatemi(rgb, lambda_)
    others = [rgb, np.full_like(rgb, rgb.mean(axis=(0, 1))), (rgb + smooth) / 2]
    others += [rudin_osher_fatemi(rgb, lambda_ * factor) for factor in (0.8, 1.25)]
    random = np.random.default_rng(6)
    others += [smooth + 0.01 * random.standard_normal(rgb.shape) for _ in range(3)]
    # Smoothing each channel separately does not give the vectorial minimiser.
    others.append(
        np.concatenate([rudin_osher_fatemi(rgb[..., c : c + 1], lambda_) for c in range(3)], axis=2)
    )
    minimum = energy(smooth, rgb, lambda_)
    assert all(energy(other, rgb, lambda_) > minimum for other in others)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 5, 3), (37, 20, 3)])
def test_rof_of_constant_is_constant(value, shape):
    rgb = np.full(shape, value, np.float32)
    np.testing.assert_allclose(rudin_osher_fatemi(rgb), rgb, atol=1e-6)


def test_rof_with_large_lambda_is_identity():
    rgb = make_image((12, 17))
    np.testing.assert_allclose(rudin_osher_fatemi(rgb, 1e5), rgb, atol=1e-4)


def test_rof_with_small_lambda_is_mean():
    rgb = make_image((9, 8))
    mean = np.broadcast_to(rgb.mean(axis=(0, 1)), rgb.shape)
    assert distance(rudin_osher_fatemi(rgb, 0.05), mean) < TOLERANCE


def test_rof_keeps_mean_of_channels():
    # The divergence of p sums to 0, and therefore u - f does.
    rgb = make_image((31, 23))
    smooth = rudin_osher_fatemi(rgb, 5.0)
    np.testing.assert_allclose(smooth.mean(axis=(0, 1)), rgb.mean(axis=(0, 1)), atol=1e-4)


def test_rof_commutes_with_transposition_and_channel_order():
    # It does not commute with flips, because differences are forward differences.
    rgb = make_image((18, 26))
    smooth = rudin_osher_fatemi(rgb)
    np.testing.assert_allclose(
        rudin_osher_fatemi(rgb.transpose(1, 0, 2)), smooth.transpose(1, 0, 2), atol=1e-9
    )
    np.testing.assert_allclose(rudin_osher_fatemi(rgb[..., ::-1]), smooth[..., ::-1], atol=1e-9)


def test_rof_without_convergence_raises():
    rgb = make_image((24, 24)).astype(np.float32)
    with pytest.raises(OperatorError, match="lambda"):
        rudin_osher_fatemi(rgb, 1e-6)


def test_rof_leaves_input_unchanged():
    rgb = make_image((8, 8)).astype(np.float32)
    rgb.flags.writeable = False
    before = rgb.copy()
    rudin_osher_fatemi(rgb)
    np.testing.assert_array_equal(rgb, before)
