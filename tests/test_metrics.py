"""PSNR, SSIM, cast and grain, against their definitions by loops and known values."""

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from burnish.metrics import MAX_PSNR, cast, grain, score


def noisy_image_and_target():
    random = np.random.default_rng(0)
    target = random.random((24, 30, 3)).astype(np.float32)
    return np.clip(target + 0.1 * random.standard_normal(target.shape), 0, 1), target


def ssim_by_loops(first, second, sigma=1.5, radius=5):
    """Eq. 13 of Wang et al. 2004, with their 11 x 11 Gaussian window at each inner pixel."""
    grid = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    window = np.outer(grid, grid) / grid.sum() ** 2
    values = []
    for c in range(first.shape[2]):
        for y in range(radius, first.shape[0] - radius):
            for x in range(radius, first.shape[1] - radius):
                pixels = (slice(y - radius, y + radius + 1), slice(x - radius, x + radius + 1), c)
                a, b = first[pixels].astype(float), second[pixels].astype(float)
                ma, mb = (window * a).sum(), (window * b).sum()
                va, vb = (window * (a - ma) ** 2).sum(), (window * (b - mb) ** 2).sum()
                cov = (window * (a - ma) * (b - mb)).sum()
                c1, c2 = 0.01**2, 0.03**2
                values.append(
                    (2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
                )
    return np.mean(values)


def test_score_equals_the_definitions():
    image, target = noisy_image_and_target()
    result = score(image, target)
    assert result.mse == pytest.approx(np.mean((image - target) ** 2), rel=1e-6)
    assert result.psnr == pytest.approx(
        peak_signal_noise_ratio(target, image.astype(np.float32), data_range=1), abs=1e-4
    )
    assert result.ssim == pytest.approx(ssim_by_loops(image, target), abs=1e-4)


def test_score_of_equal_images_is_perfect():
    _, target = noisy_image_and_target()
    result = score(target, target)
    assert (result.mse, result.psnr, result.ssim) == (0, MAX_PSNR, pytest.approx(1))


def lab_of(rgb):
    """sRGB to CIELAB with the white of D65, by IEC 61966-2-1 and CIE 15."""
    rgb = np.asarray(rgb, float)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = linear @ np.transpose(
        [
            [0.412453, 0.357580, 0.180423],
            [0.212671, 0.715160, 0.072169],
            [0.019334, 0.119193, 0.950227],
        ]
    )
    ratio = xyz / [0.95047, 1.0, 1.08883]
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])


def ciede2000(first, second):
    """Equations 2 to 22 of Sharma, Wu and Dalal 2005, for two colours in CIELAB."""
    (l1, a1, b1), (l2, a2, b2) = first, second
    mean_c = (math.hypot(a1, b1) + math.hypot(a2, b2)) / 2
    g = (1 - math.sqrt(mean_c**7 / (mean_c**7 + 25**7))) / 2
    a1, a2 = (1 + g) * a1, (1 + g) * a2
    c1, c2 = math.hypot(a1, b1), math.hypot(a2, b2)
    h1, h2 = (math.degrees(math.atan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    dh = h2 - h1
    dh -= 360 * round(dh / 360) if abs(dh) > 180 else 0
    h = (h1 + h2) / 2
    if abs(h1 - h2) > 180:
        h += 180 if h1 + h2 < 360 else -180
    if c1 * c2 == 0:
        dh, h = 0, h1 + h2
    d_hue = 2 * math.sqrt(c1 * c2) * math.sin(math.radians(dh / 2))
    mean_l, c = (l1 + l2) / 2, (c1 + c2) / 2

    def cosine(angle):
        return math.cos(math.radians(angle))

    t = 1 - 0.17 * cosine(h - 30) + 0.24 * cosine(2 * h)
    t += 0.32 * cosine(3 * h + 6) - 0.20 * cosine(4 * h - 63)
    rotation = 30 * math.exp(-(((h - 275) / 25) ** 2))
    s_l = 1 + 0.015 * (mean_l - 50) ** 2 / math.sqrt(20 + (mean_l - 50) ** 2)
    s_c, s_h = 1 + 0.045 * c, 1 + 0.015 * c * t
    r_t = -2 * math.sqrt(c**7 / (c**7 + 25**7)) * math.sin(math.radians(2 * rotation))
    l_term, c_term, h_term = (l2 - l1) / s_l, (c2 - c1) / s_c, d_hue / s_h
    return math.sqrt(l_term**2 + c_term**2 + h_term**2 + r_t * c_term * h_term)


def test_ciede2000_equals_published_values():
    """Pairs 1, 7, 17 and 25 of Table 1 of Sharma, Wu and Dalal 2005."""
    rows = [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ]
    for first, second, expected in rows:
        assert ciede2000(first, second) == pytest.approx(expected, abs=1e-4)


def blurred_colour(image, y, x, sigma=8):
    """The mean around a pixel with Gaussian weights, over the image and its reflections."""
    radius = 4 * sigma
    weights = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    padded = np.pad(image, ((radius,) * 2, (radius,) * 2, (0, 0)), mode="symmetric")
    window = padded[y : y + 2 * radius + 1, x : x + 2 * radius + 1]
    return np.einsum("y,x,yxc->c", weights, weights, window) / weights.sum() ** 2


def test_cast_equals_its_definition():
    random = np.random.default_rng(1)
    target = np.kron(random.random((3, 4, 3)), np.ones((16, 16, 1))).astype(np.float32)
    output = np.clip(target + random.normal(0, 0.05, target.shape), 0, 1).astype(np.float32)
    output[20:40, 30:50] *= 0.7
    differences = [
        ciede2000(lab_of(blurred_colour(target, y, x)), lab_of(blurred_colour(output, y, x)))
        for y in range(0, 48, 4)
        for x in range(0, 64, 4)
    ]
    assert cast(output, target) == pytest.approx(np.percentile(differences, 99), rel=1e-3)


@pytest.mark.parametrize("tint", [(0.55, 0.5, 0.45), (0.1, 0.4, 0.9), (0.5, 0.5, 0.51)])
def test_cast_of_a_tint_is_the_difference_of_its_colours(tint):
    target = np.full((20, 30, 3), 0.5, np.float32)
    output = np.broadcast_to(np.float32(tint), target.shape)
    expected = ciede2000(lab_of((0.5, 0.5, 0.5)), lab_of(tint))
    assert cast(output, target) == pytest.approx(expected, rel=1e-3)


def test_cast_ignores_errors_of_fine_texture():
    target = np.full((64, 64, 3), 0.5, np.float32)
    assert cast(target + checkerboard(64, 1, 0.2), target) < 0.1


def test_cast_ignores_small_stains_and_finds_large_ones():
    target = np.full((200, 200, 3), 0.5, np.float32)
    small, large = target.copy(), target.copy()
    small[100:103, 100:103, 0] = 1
    large[60:120, 60:120, 0] = 1
    full = ciede2000(lab_of((0.5, 0.5, 0.5)), lab_of((1, 0.5, 0.5)))
    assert cast(small, target) < 1
    assert 0.9 * full < cast(large, target) <= full


def checkerboard(side, cell, amplitude):
    """An image of -amplitude and +amplitude, in square cells."""
    rows, columns = np.indices((side, side)) // cell
    signs = 1 - 2 * ((rows + columns) % 2)
    return (amplitude * signs[..., None].repeat(3, axis=2)).astype(np.float32)


def grain_by_loops(output, target):
    """The definition, pixel by pixel, away from the border."""
    height, width = target.shape[:2]
    flat = np.zeros((height, width), bool)
    for y in range(2, height - 2):
        for x in range(2, width - 2):
            window = target[y - 2 : y + 3, x - 2 : x + 3]
            flat[y, x] = window.std(axis=(0, 1)).max() < 0.5 / 255
    error, squares = output - target, []
    for y, x in np.argwhere(flat):
        window = (slice(y - 8, y + 9), slice(x - 8, x + 9))
        squares.append(np.square(error[y, x] - error[window][flat[window]].mean(axis=0)))
    return 255 * np.sqrt(np.mean(squares))


def test_grain_equals_its_definition():
    random = np.random.default_rng(2)
    target = random.random((50, 60, 3))
    target[14:36, 12:46] = [0.3, 0.4, 0.5]
    target[20:30, 20:28] = 0.9
    output = target + random.normal(0, 0.02, target.shape)
    assert grain(output, target) == pytest.approx(grain_by_loops(output, target), rel=1e-9)


@pytest.mark.parametrize("cell", [1, 2, 4])
def test_grain_of_a_checkerboard_on_a_flat_target_is_its_rms(cell):
    target = np.full((96, 96, 3), 0.5, np.float32)
    output = target + checkerboard(96, cell, 3 / 255)
    assert grain(output, target) == pytest.approx(3, rel=0.05)


def test_grain_of_a_shift_of_colour_and_of_textured_areas_is_zero():
    random = np.random.default_rng(3)
    target = np.full((64, 64, 3), 0.5)
    target[:, 32:] = random.random((64, 32, 3))
    output = target + np.array([0.1, 0, -0.1])
    output[:, 35:] += random.normal(0, 0.1, (64, 29, 3))
    assert grain(output, target) == pytest.approx(0, abs=1e-9)
    assert grain(target, target) == 0


def test_grain_of_a_target_without_flat_areas_is_none():
    target = np.random.default_rng(4).random((64, 64, 3))
    assert grain(target, target) is None
