"""Non-local dehazing against loops over haze-lines, a dense solve and known haze."""

import numpy as np
import pytest

from burnish.operators.nonlocal_dehazing import (
    fibonacci_sphere,
    haze_line_transmission,
    nonlocal_dehazing,
    regularise,
)


def hazy_scene():
    """Return a scene of a few colours, each at all distances."""
    rng = np.random.default_rng(0)
    palette = np.array([[0.1, 0.3, 0.05], [0.6, 0.2, 0.1], [0.05, 0.1, 0.4], [0.3, 0.3, 0.02]])
    scene = palette[rng.integers(0, len(palette), (30, 50))]
    t = np.broadcast_to(np.linspace(1.0, 0.35, 50)[None, :], (30, 50))
    A = np.array([0.85, 0.9, 0.95])
    return scene, t, A, scene * t[..., None] + (1 - t[..., None]) * A


def test_fibonacci_sphere_is_even():
    points = fibonacci_sphere(1000)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1)
    angles = np.arccos(np.clip(points @ points.T - 2 * np.eye(1000), -1, 1)).min(axis=1)
    assert angles.min() > 0.8 * np.median(angles)
    assert angles.max() < 1.5 * np.median(angles)


def test_haze_line_transmission_equals_loops():
    rgb = np.random.default_rng(1).random((13, 17, 3))
    A = np.array([0.8, 0.9, 0.7])
    directions = fibonacci_sphere(1000)
    t, weight = haze_line_transmission(rgb, A)
    lines = {}
    for y in range(13):
        for x in range(17):
            d = rgb[y, x] - A
            r = np.linalg.norm(d)
            lines.setdefault(int(np.argmax(directions @ (d / r))), []).append((r, y, x))
    largest = max(np.std([r for r, _, _ in line]) for line in lines.values())
    for line in lines.values():
        distances = [r for r, _, _ in line]
        reliability = min(1, 3 * max(0.001, np.std(distances) / largest - 0.1))
        for r, y, x in line:
            bound = 1 - (rgb[y, x] / A).min()
            assert t[y, x] == pytest.approx(max(r / max(distances), 0.1, bound))
            assert weight[y, x] == pytest.approx(min(1, len(line) / 50) * reliability)


def test_regularise_equals_dense_solve():
    rng = np.random.default_rng(2)
    rgb, t, weight = rng.random((7, 9, 3)), rng.random((7, 9)), rng.random((7, 9))
    grey = rgb @ [0.299, 0.587, 0.114]
    A = np.diag(weight.ravel())
    for y in range(7):
        for x in range(9):
            for neighbour in ((y, x + 1), (y + 1, x)):
                if neighbour[0] < 7 and neighbour[1] < 9:
                    a = 0.1 / ((grey[neighbour] - grey[y, x]) ** 2 + 1e-5)
                    p, q = y * 9 + x, neighbour[0] * 9 + neighbour[1]
                    A[p, p] += a
                    A[q, q] += a
                    A[p, q] -= a
                    A[q, p] -= a
    expected = np.linalg.solve(A, (weight * t).ravel()).reshape(7, 9)
    np.testing.assert_allclose(regularise(t, weight, rgb, 0.1), expected, atol=1e-3)


def test_haze_line_transmission_recovers_known_transmission():
    _, t, A, hazy = hazy_scene()
    estimate, weight = haze_line_transmission(hazy, A)
    assert np.abs(estimate - t).mean() < 0.03
    assert np.abs(regularise(estimate, weight, hazy, 0.1) - t).mean() < 0.05


def test_nonlocal_dehazing_removes_known_haze():
    scene, _, A, hazy = hazy_scene()
    clear = nonlocal_dehazing(hazy, A)

    def blur(image):
        """Return the spread of the pixels of one colour relative to that of all colours."""
        groups = [image[(scene == c).all(axis=2)] for c in np.unique(scene.reshape(-1, 3), axis=0)]
        means = np.array([group.mean(axis=0) for group in groups])
        return np.mean([group.std(axis=0).mean() for group in groups]) / means.std(axis=0).mean()

    assert blur(clear) < 0.4 * blur(hazy)


def test_nonlocal_dehazing_depends_on_airlight():
    *_, hazy = hazy_scene()
    assert np.abs(nonlocal_dehazing(hazy, np.full(3, 0.95)) - nonlocal_dehazing(hazy)).max() > 0.01


@pytest.mark.parametrize("flip", [np.flipud, np.fliplr, lambda rgb: rgb.transpose(1, 0, 2)])
def test_nonlocal_dehazing_commutes_with_flips_and_transposition(flip):
    *_, hazy = hazy_scene()
    result = flip(nonlocal_dehazing(hazy))
    np.testing.assert_allclose(nonlocal_dehazing(flip(hazy)), result, atol=5e-3)


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_nonlocal_dehazing_of_constant_is_constant(value):
    assert np.ptp(nonlocal_dehazing(np.full((9, 12, 3), value))) < 1e-6


def test_nonlocal_dehazing_leaves_input_unchanged():
    rgb = np.random.default_rng(3).random((12, 12, 3)).astype(np.float32)
    rgb.setflags(write=False)
    before = rgb.copy()
    nonlocal_dehazing(rgb)
    np.testing.assert_array_equal(rgb, before)
