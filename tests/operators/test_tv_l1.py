"""TV-L1 against linear programming, another solver, closed forms, and OpenCV."""

import cv2
import numpy as np
import pytest
import scipy.optimize

from burnish.operators.tv_l1 import tv_l1


def make_image(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Return an image of slopes, a box and noise, different in each channel."""
    y, x = np.mgrid[: shape[0], : shape[1]] / max(shape)
    rgb = np.stack([x, 1 - y, 0.3 + 0.2 * x * y], axis=2)
    rgb[shape[0] // 4 : shape[0] // 2, shape[1] // 3 :] = 0.7, 0.2, 0.5
    return rgb + 0.05 * np.random.default_rng(seed).standard_normal(rgb.shape)


def energy(u: np.ndarray, rgb: np.ndarray, lambda_: float) -> float:
    along_x = np.diff(u, axis=1, append=u[:, -1:])
    along_y = np.diff(u, axis=0, append=u[-1:])
    variation = np.sqrt((along_x**2 + along_y**2).sum(axis=2)).sum()
    return float(variation + lambda_ * np.abs(u - rgb).sum())


def gradient_matrix(height: int, width: int) -> np.ndarray:
    """Return forward differences along x, then along y, (2 pixels, pixels)."""
    pixels = np.eye(height * width).reshape(-1, height, width)
    along_x = np.diff(pixels, axis=2, append=pixels[:, :, -1:])
    along_y = np.diff(pixels, axis=1, append=pixels[:, -1:])
    return np.concatenate([part.reshape(height * width, -1).T for part in (along_x, along_y)])


def admm(rgb: np.ndarray, lambda_: float, rho: float = 4.0, iterations: int = 20000) -> np.ndarray:
    """Minimise by the alternating direction method of multipliers, with dense solves."""
    height, width, channels = rgb.shape
    gradient = gradient_matrix(height, width)
    inverse = np.linalg.inv(gradient.T @ gradient + np.eye(height * width))
    photo = rgb.reshape(-1, channels)
    z, z_dual = np.zeros((2, 2, height * width, channels))
    w, w_dual = np.zeros((2, *photo.shape))
    for _ in range(iterations):
        target = (z - z_dual).reshape(-1, channels)
        u = inverse @ (gradient.T @ target + photo + w - w_dual)
        gradient_u = (gradient @ u).reshape(z.shape)
        z = gradient_u + z_dual
        z *= np.maximum(0, 1 - 1 / (rho * np.sqrt((z**2).sum(axis=(0, 2))) + 1e-30))[:, None]
        w = u - photo + w_dual
        w = np.sign(w) * np.maximum(np.abs(w) - lambda_ / rho, 0)
        z_dual += gradient_u - z
        w_dual += u - photo - w
    return u.reshape(rgb.shape)


@pytest.mark.parametrize("lambda_", [0.2, 0.5, 1.3])
def test_tv_l1_of_row_has_energy_of_linear_program(lambda_):
    # min sum(t) + lambda sum(s) with -t <= difference(u) <= t and -s <= u - f <= s
    row = make_image((1, 30))[:, :, :1]
    n = row.size
    difference = np.diff(np.eye(n), axis=0)
    eye, t = np.eye(n), np.eye(n - 1)
    none, f = np.zeros, row.ravel()
    above = [[difference, -t, none((n - 1, n))], [-difference, -t, none((n - 1, n))]]
    above += [[eye, none((n, n - 1)), -eye], [-eye, none((n, n - 1)), -eye]]
    best = scipy.optimize.linprog(
        np.concatenate([np.zeros(n), np.ones(n - 1), np.full(n, lambda_)]),
        A_ub=np.block(above),
        b_ub=np.concatenate([np.zeros(2 * (n - 1)), f, -f]),
        bounds=(None, None),
    )
    assert best.fun <= energy(tv_l1(row, lambda_), row, lambda_) + 1e-9
    assert energy(tv_l1(row, lambda_), row, lambda_) < best.fun * 1.005


@pytest.mark.parametrize("shape", [(9, 7), (1, 9), (3, 5)])
@pytest.mark.parametrize("lambda_", [0.3, 0.6, 1.2])
def test_tv_l1_equals_admm(shape, lambda_):
    rgb = make_image(shape)
    expected = admm(rgb, lambda_)
    smooth = tv_l1(rgb, lambda_)
    assert energy(smooth, rgb, lambda_) == pytest.approx(energy(expected, rgb, lambda_), rel=5e-3)
    np.testing.assert_allclose(smooth, expected, atol=0.01)


@pytest.mark.parametrize("contrast", [0.05, 1.0])
@pytest.mark.parametrize(("width", "is_kept"), [(3, False), (5, True)])
def test_tv_l1_removes_bump_by_width_and_not_contrast(contrast, width, is_kept):
    # Removing a bump in a row saves 2 contrast of variation for lambda width contrast of data.
    row = np.zeros((1, 40, 1))
    row[0, 15 : 15 + width] = contrast
    smooth = tv_l1(row, lambda_=0.5)
    np.testing.assert_allclose(smooth, row if is_kept else 0, atol=0.01 * contrast)


@pytest.mark.parametrize(("width", "is_kept"), [(2, False), (4, True)])
def test_tv_l1_of_three_channels_removes_narrower_bumps(width, is_kept):
    # With three equal channels it saves 2 sqrt(3) for 3 lambda width, so bumps are removed below a
    # width of 2 / (sqrt(3) lambda) = 2.9 instead of 2 / lambda = 5.
    row = np.zeros((1, 40, 3))
    row[0, 15 : 15 + width] = 0.5
    np.testing.assert_allclose(tv_l1(row, lambda_=0.4), row if is_kept else 0, atol=0.01)


@pytest.mark.parametrize(("factor", "is_kept"), [(0.75, False), (1.25, True)])
def test_tv_l1_removes_discs_below_a_radius(factor, is_kept):
    # A disc is kept if its radius is above 2 / lambda (Chan and Esedoglu).
    radius, lambda_ = 10 * factor, 0.2
    y, x = np.mgrid[-20:21, -20:21]
    disc = (np.hypot(x, y) < radius)[..., None] * 0.5
    smooth = tv_l1(disc, lambda_)
    assert smooth[20, 20, 0] == pytest.approx(0.5 if is_kept else 0, abs=0.02)
    assert smooth[0, 0, 0] == pytest.approx(0, abs=0.02)


def test_tv_l1_of_grey_is_close_to_opencv():
    # OpenCV takes 8 bits and one channel, and treats the border differently, so the two are
    # compared away from the border, and by their energies.
    grey = np.clip(255 * make_image((40, 48))[..., :1], 0, 255).astype(np.uint8)
    theirs = np.zeros_like(grey[..., 0])
    cv2.denoise_TVL1([grey[..., 0]], theirs, 1.0, 300)
    photo, theirs = grey / 255, theirs[..., None] / 255
    smooth = tv_l1(photo, 1.0)
    inside = (slice(4, -4), slice(4, -4))
    assert np.sqrt(np.mean((smooth - theirs)[inside] ** 2)) < 0.004
    assert np.sqrt(np.mean((smooth - photo)[inside] ** 2)) > 0.03
    assert energy(smooth, photo, 1.0) < energy(theirs, photo, 1.0)


def test_tv_l1_has_lower_energy_than_other_images():
    lambda_ = 0.4
    rgb = make_image((32, 40))
    smooth = tv_l1(rgb, lambda_)
    others = [rgb, np.full_like(rgb, np.median(rgb, axis=(0, 1))), (rgb + smooth) / 2]
    others += [tv_l1(rgb, lambda_ * factor) for factor in (0.8, 1.25)]
    random = np.random.default_rng(6)
    others += [smooth + 0.01 * random.standard_normal(rgb.shape) for _ in range(3)]
    others.append(np.concatenate([tv_l1(rgb[..., c : c + 1], lambda_) for c in range(3)], axis=2))
    minimum = energy(smooth, rgb, lambda_)
    assert all(energy(other, rgb, lambda_) > minimum for other in others)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 5, 3), (37, 20, 3)])
def test_tv_l1_of_constant_is_constant(value, shape):
    rgb = np.full(shape, value, np.float32)
    np.testing.assert_allclose(tv_l1(rgb), rgb, atol=1e-6)


def test_tv_l1_with_lambda_from_3_5_is_identity():
    # |div p| is at most 2 + sqrt(2) for |p| <= 1.
    rgb = np.random.default_rng(7).random((12, 17, 3))
    np.testing.assert_allclose(tv_l1(rgb, 3.5), rgb, atol=1e-12)
    assert np.abs(tv_l1(rgb, 0.5) - rgb).max() > 0.1


def test_tv_l1_with_small_lambda_is_median():
    rgb = make_image((7, 5))
    expected = np.broadcast_to(np.median(rgb, axis=(0, 1)), rgb.shape)
    np.testing.assert_allclose(tv_l1(rgb, 0.02), expected, atol=0.02)


def test_tv_l1_commutes_with_transposition_and_channel_order():
    # It does not commute with flips, because differences are forward differences.
    rgb = make_image((18, 26))
    smooth = tv_l1(rgb)
    np.testing.assert_allclose(tv_l1(rgb.transpose(1, 0, 2)), smooth.transpose(1, 0, 2), atol=1e-9)
    np.testing.assert_allclose(tv_l1(rgb[..., ::-1]), smooth[..., ::-1], atol=1e-9)


def test_tv_l1_in_single_precision_agrees_with_double():
    rgb = make_image((48, 64))
    single = tv_l1(rgb.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, tv_l1(rgb), atol=1e-4)


def test_tv_l1_leaves_input_unchanged():
    rgb = make_image((8, 8)).astype(np.float32)
    rgb.flags.writeable = False
    before = rgb.copy()
    tv_l1(rgb)
    np.testing.assert_array_equal(rgb, before)
