"""The parts of the pencil drawing against loops, SciPy's distributions and a dense solve."""

import math

import numpy as np
import pytest
import scipy.stats

from burnish.operators.pencil_drawing import (
    MIN_CONTOUR,
    TILE_SIZE,
    gradient_magnitude,
    luminance,
    pencil_drawing,
    pencil_shading,
    pencil_texture,
    stroke_kernel,
    stroke_map,
    tone_distribution,
    tone_map,
)

EXPECTED_TEXTURE = [[0.7792469, 0.6139196, 0.4695685], [0.6087199, 0.4184928, 0.4344071]]
LIGHT, MEDIUM, DARK = (76, 22, 2), (52, 37, 11), (42, 29, 29)


def make_image(height: int, width: int) -> np.ndarray:
    """Return an image with a disc, a bar, shading and a little noise."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    grey = 0.3 + 0.5 * x * y
    grey[(x - 0.4) ** 2 + (y - 0.3) ** 2 < 0.04] = 0.9
    grey[abs(x + y - 0.9) < 0.05] = 0.1
    grey += 0.02 * np.random.default_rng(5).standard_normal(grey.shape)
    return np.clip(np.stack([grey, 0.8 * grey, grey**2], axis=2), 0, 1)


def mirror_index(index: int, size: int) -> int:
    """Return the index inside the image of a pixel of its mirrored continuation."""
    index %= 2 * size
    return min(index, 2 * size - 1 - index)


def line_mean(image: np.ndarray, length: float, width: float, angle: float) -> np.ndarray:
    """Return weighted means over neighbours, with weights by the distance from the line."""
    rows, columns = image.shape
    radius = math.ceil(length + width)
    result = np.zeros_like(image)
    for y in range(rows):
        for x in range(columns):
            total = weights = 0.0
            for dy in range(-radius, radius + 1):
                for dx in range(-radius, radius + 1):
                    # The nearest point of the segment, by projection.
                    t = dx * math.cos(angle) + dy * math.sin(angle)
                    t = min(max(t, -(length - 1) / 2), (length - 1) / 2)
                    d = math.dist((dx, dy), (t * math.cos(angle), t * math.sin(angle)))
                    if d < width:
                        weight = (1 + math.cos(math.pi * d / width)) / 2
                        value = image[mirror_index(y + dy, rows), mirror_index(x + dx, columns)]
                        total += weight * value
                        weights += weight
            result[y, x] = total / weights
    return result


@pytest.mark.parametrize(("shape", "length", "width"), [((9, 8), 5.0, 1.5), ((1, 9), 4.0, 2.0)])
def test_stroke_map_equals_loops(shape, length, width):
    I = np.random.default_rng(0).random(shape)  # noqa: E741
    rows, columns = shape
    G = np.zeros(shape)
    for y in range(rows):
        for x in range(columns):
            left, top = min(x, max(columns - 2, 0)), min(y, max(rows - 2, 0))
            right = I[y, left + 1] - I[y, left] if columns > 1 else 0
            down = I[top + 1, x] - I[top, x] if rows > 1 else 0
            G[y, x] = math.sqrt(right**2 + down**2)
    angles = [math.pi * i / 8 for i in range(8)]
    responses = np.array([line_mean(G, length, width, angle) for angle in angles])
    direction = responses.argmax(axis=0)
    strokes = sum(
        line_mean(G * (direction == i), length, width, angle) for i, angle in enumerate(angles)
    )
    expected = (1 - strokes / strokes.max()) ** 1.5
    np.testing.assert_allclose(gradient_magnitude(I), G, atol=1e-12)
    np.testing.assert_allclose(stroke_map(I, length, width, 1.5), expected, atol=1e-9)


def test_stroke_kernel_has_length_and_width_in_every_direction():
    level = stroke_kernel(9.0, 1.5, 0.0)
    middle = len(level) // 2
    profile = level[middle] / level[middle, middle]
    np.testing.assert_allclose(profile[middle - 4 : middle + 5], 1)
    assert profile[middle + 5] < 0.5
    kernels = [stroke_kernel(16.0, 2.0, math.pi * i / 8) for i in range(8)]
    for kernel in kernels:
        np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-15)
        assert kernel.sum() == pytest.approx(1)
    powers = [(kernel**2).sum() for kernel in kernels]
    assert max(powers) / min(powers) < 1.02  # their responses to noise


def test_stroke_map_extends_contours():
    # Strokes extend a contour in a straight line beyond its end.
    I = np.full((41, 41), 0.2)  # noqa: E741
    I[20:, :20] = 0.8
    S = stroke_map(I, 16.0, 1.5, 1.0)
    assert S[19, 23] < 0.9  # beyond the corner, without a gradient
    assert S[10, 10] == pytest.approx(1)
    assert S[30, 35] == pytest.approx(1)


@pytest.mark.parametrize("omegas", [LIGHT, MEDIUM, DARK])
def test_tone_map_matches_the_papers_distribution(omegas):
    # The paper's three layers by SciPy, truncated at 0 and 255.
    v = np.linspace(0, 1, 256)
    layers = [
        1 - scipy.stats.expon(scale=9 / 255).cdf(1 - v),
        scipy.stats.uniform(105 / 255, 120 / 255).cdf(v),
        scipy.stats.norm(90 / 255, 11 / 255).cdf(v),
    ]
    cumulative = np.dot(omegas, layers)
    cumulative = (cumulative - cumulative[0]) / (cumulative[-1] - cumulative[0])
    np.testing.assert_allclose(tone_distribution(v, *omegas), cumulative, atol=1e-12)
    J = tone_map(np.random.default_rng(1).random((60, 80)) ** 2, *omegas)
    edges = np.linspace(0, 1, 33)
    histogram = np.histogram(J, edges)[0] / J.size
    np.testing.assert_allclose(histogram, np.diff(np.interp(edges, v, cumulative)), atol=2 / 60)
    darker = [np.less(J, tone).mean() for tone in v]
    np.testing.assert_allclose(darker, cumulative, atol=2e-3)


def test_tone_map_keeps_order_and_equal_greys():
    I = np.zeros((40, 60))  # noqa: E741
    I[:, 20:], I[:, 40:] = 0.5, 0.6
    J = tone_map(I, *LIGHT)
    left, middle, right = J[20, 3], J[20, 30], J[20, 57]
    assert left < middle < right
    np.testing.assert_array_equal(J[:, 3], left)
    # Three greys, each in a third of the image, map to the medians of the thirds.
    assert tone_distribution(np.array([0, left, 1]), *LIGHT)[1] == pytest.approx(1 / 6, abs=0.1)


@pytest.mark.parametrize("theta", [0.2, 3.0])
def test_pencil_shading_equals_dense_solve(theta):
    random = np.random.default_rng(2)
    J, H = random.uniform(0.2, 1, (6, 7)), random.uniform(0.3, 0.9, (6, 7))
    n = J.size
    laplacian = np.zeros((n, n))
    for index in range(n):
        y, x = divmod(index, 7)
        for neighbour, inside in ((index + 1, x < 6), (index + 7, y < 5)):
            if inside:
                laplacian[[index, neighbour], [index, neighbour]] += 1
                laplacian[[index, neighbour], [neighbour, index]] -= 1
    log_H, log_J = np.log(H).ravel(), np.log(J).ravel()
    beta = np.linalg.solve(np.diag(log_H**2) + theta * laplacian, log_H * log_J)
    expected = np.exp(beta * log_H).reshape(J.shape)
    np.testing.assert_allclose(pencil_shading(J, H, theta), expected, atol=1e-5)


def test_pencil_shading_follows_tone_and_texture():
    tone = np.repeat(np.linspace(0.3, 1, 8), 16)[None].repeat(64, axis=0)
    T = pencil_shading(tone, pencil_texture(*tone.shape), 0.2)
    means = T.reshape(64, 8, 16).mean(axis=(0, 2))
    np.testing.assert_allclose(means, np.linspace(0.3, 1, 8), atol=0.06)
    deviations = T.reshape(64, 8, 16).std(axis=(0, 2))
    assert deviations[1] > 2 * deviations[-2]  # texture shows in dark shade
    untextured = pencil_shading(np.full((20, 20), 0.5), pencil_texture(20, 20, 0.0), 0.2)
    np.testing.assert_allclose(untextured, 0.5, atol=1e-5)


def test_pencil_texture_is_periodic_without_seam():
    texture = pencil_texture(TILE_SIZE + 40, TILE_SIZE + 50)
    np.testing.assert_array_equal(texture[:30, :20], pencil_texture(30, 20))
    np.testing.assert_array_equal(texture[TILE_SIZE:, TILE_SIZE:], texture[:40, :50])
    tile = texture[:TILE_SIZE, :TILE_SIZE]
    assert tile.mean() == pytest.approx(0.7, abs=1e-3)
    assert tile.std() == pytest.approx(0.1, abs=1e-3)
    assert tile.min() > 0.3
    assert tile.max() < 0.95
    assert pencil_texture(TILE_SIZE, TILE_SIZE, 2.0).max() <= 0.95
    seam = np.abs(texture[:, TILE_SIZE] - texture[:, TILE_SIZE - 1]).mean()
    inside = np.abs(np.diff(tile, axis=1)).mean()
    assert seam == pytest.approx(inside, rel=0.1)


def test_pencil_texture_has_no_visible_repetition():
    # The autocorrelation is small except at multiples of the tile.
    tile = pencil_texture(TILE_SIZE, TILE_SIZE) - 0.7
    spectrum = np.abs(np.fft.rfft2(tile)) ** 2
    autocorrelation = np.fft.irfft2(spectrum, s=tile.shape) / (tile**2).sum()
    assert np.abs(autocorrelation[60:-60]).max() < 0.05
    assert np.abs(autocorrelation[:, 60:-60]).max() < 0.05
    # Means over patches are even, so there are no blotches.
    patches = tile.reshape(TILE_SIZE // 64, 64, TILE_SIZE // 64, 64).mean(axis=(1, 3))
    assert np.abs(patches).max() < 0.01


def test_pencil_texture_is_unchanged():
    # Values of the first version: a changed texture would change the operator.
    texture = pencil_texture(2, 3)
    np.testing.assert_allclose(texture, EXPECTED_TEXTURE, atol=1e-6)


def test_rounding_does_not_change_tones():
    """Averages of equal pixels differ by rounding, as in a smaller copy of a photo."""
    equal = np.full((40, 60), 200 / 255, np.float32)
    equal[:, 40:] = 0.3
    noise = np.random.default_rng(0).uniform(-2e-7, 2e-7, equal.shape).astype(np.float32)
    rounded = equal + noise
    assert len(np.unique(rounded)) > 5
    np.testing.assert_allclose(tone_map(rounded, *LIGHT), tone_map(equal, *LIGHT), atol=1e-3)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_pencil_drawing_of_constant_has_no_strokes(value):
    rgb = np.full((20, 30, 3), value, np.float32)
    np.testing.assert_allclose(stroke_map(luminance(rgb), 16.0, 2.0, 1.0), 1, atol=1e-6)
    # A constant image maps to the median of the drawing's tones.
    assert pencil_drawing(rgb).mean() == pytest.approx(0.95, abs=0.02)


def test_stroke_map_of_faint_contours_stays_faint():
    I = np.full((40, 40), 0.5)  # noqa: E741
    I[:, 20:] += MIN_CONTOUR / 10
    assert stroke_map(I, 16.0, 1.5, 1.0).min() > 0.8


def test_stroke_and_tone_maps_commute_with_transposition_and_flips():
    I = luminance(make_image(24, 30))  # noqa: E741
    S, J = stroke_map(I, 8.0, 2.0, 1.0), tone_map(I, *LIGHT)
    np.testing.assert_allclose(stroke_map(I.T.copy(), 8.0, 2.0, 1.0), S.T, atol=1e-9)
    np.testing.assert_allclose(tone_map(I.T.copy(), *LIGHT), J.T, atol=1e-9)
    np.testing.assert_allclose(tone_map(I[:, ::-1].copy(), *LIGHT), J[:, ::-1], atol=1e-9)
    # Strokes of a flipped image are shifted by a pixel, because of the forward differences.
    columns = np.zeros((20, 40))
    columns[:, 12:], columns[:, 25:] = 0.5, 0.7
    S = stroke_map(columns, 8.0, 2.0, 1.0)
    flipped = stroke_map(columns[:, ::-1].copy(), 8.0, 2.0, 1.0)[:, ::-1]
    np.testing.assert_allclose(flipped[:, 1:], S[:, :-1], atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pencil_drawing_of_ramp_has_no_rim(dtype):
    # On a ramp, the columns at the border look like their neighbours.
    y, x = np.mgrid[:60, :80] / 80
    ramp = np.repeat((0.2 + 0.6 * x + 0 * y)[..., None], 3, axis=2).astype(dtype)
    drawing = pencil_drawing(ramp, texture=0)[..., 0]
    S = stroke_map(luminance(ramp), 16.0, 2.0, 1.0)
    np.testing.assert_allclose(S, S[30, 40], atol=1e-3)
    assert abs(drawing[0] - drawing[30]).max() < 1e-3


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (3, 5), (2, 2)])
def test_pencil_drawing_of_small_image_is_valid(shape):
    rgb = np.random.default_rng(6).random((*shape, 3)).astype(np.float32)
    drawing = pencil_drawing(rgb)
    assert drawing.shape == rgb.shape
    assert drawing.dtype == np.float32
    assert np.isfinite(drawing).all()
    assert drawing.min() >= 0
    assert drawing.max() <= 1


def test_pencil_drawing_in_single_precision_agrees_with_double():
    rgb = make_image(48, 64)
    double = pencil_drawing(rgb)
    single = pencil_drawing(rgb.astype(np.float32))
    assert double.dtype == np.float64
    assert np.sqrt(np.mean((single - double) ** 2)) < 2e-3


def test_pencil_drawing_parameters_have_their_effects():
    rgb = make_image(60, 80).astype(np.float32)
    plain = pencil_drawing(rgb)
    np.testing.assert_array_equal(plain[..., 0], plain[..., 2])
    assert pencil_drawing(rgb, gamma_s=2.0).mean() < plain.mean()
    means = [
        pencil_drawing(rgb, omega_1=a, omega_2=b, omega_3=c).mean() for a, b, c in (MEDIUM, DARK)
    ]
    assert means[1] < means[0] < plain.mean()
    assert pencil_drawing(rgb, width=4.0)[..., 0].mean() < plain.mean()
    smooth, rough = (
        pencil_drawing(rgb, gamma_s=0.0, texture=texture)[..., 0] for texture in (0.0, 2.0)
    )
    assert np.abs(np.diff(rough)).mean() > 2 * np.abs(np.diff(smooth)).mean()


def test_pencil_drawing_leaves_input_unchanged():
    rgb = make_image(16, 20).astype(np.float32)
    rgb.setflags(write=False)
    before = rgb.copy()
    pencil_drawing(rgb)
    np.testing.assert_array_equal(rgb, before)
