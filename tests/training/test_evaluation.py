import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from burnish.metrics import MAX_PSNR
from burnish.training.evaluation import evaluate, score
from burnish.training.pairs import Pair


def pictures():
    random = np.random.default_rng(0)
    target = random.random((24, 30, 3)).astype(np.float32)
    return np.clip(target + 0.1 * random.standard_normal(target.shape), 0, 1), target


def ssim_by_loops(one, two, sigma=1.5, reach=5):
    """Wang et al. 2004, eq. 13, with their Gaussian window of 11 x 11, where it fits whole."""
    grid = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    window = np.outer(grid, grid) / grid.sum() ** 2
    values = []
    for c in range(one.shape[2]):
        for y in range(reach, one.shape[0] - reach):
            for x in range(reach, one.shape[1] - reach):
                at = (slice(y - reach, y + reach + 1), slice(x - reach, x + reach + 1), c)
                a, b = one[at].astype(float), two[at].astype(float)
                ma, mb = (window * a).sum(), (window * b).sum()
                va, vb = (window * (a - ma) ** 2).sum(), (window * (b - mb) ** 2).sum()
                cov = (window * (a - ma) * (b - mb)).sum()
                c1, c2 = 0.01**2, 0.03**2
                values.append(
                    (2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
                )
    return np.mean(values)


def test_scores_equal_their_definitions():
    result, target = pictures()
    found = score(result, target)
    assert found.mse == pytest.approx(np.mean((result - target) ** 2), rel=1e-6)
    assert found.psnr == pytest.approx(
        peak_signal_noise_ratio(target, result.astype(np.float32), data_range=1), abs=1e-4
    )
    assert found.ssim == pytest.approx(ssim_by_loops(result, target), abs=1e-4)


def test_equal_pictures():
    _, target = pictures()
    found = score(target, target)
    assert (found.mse, found.psnr, found.ssim) == (0, MAX_PSNR, pytest.approx(1))


@pytest.fixture
def stored(tmp_path):
    pairs = []
    for index, change in enumerate([0.1, 0.2]):
        before = np.full((12, 12, 3), 0.5)
        path = tmp_path / f"{index}.npy"
        np.save(path, np.rint(65535 * np.stack([before, before + change])).astype(np.uint16))
        pairs.append(Pair(f"{index}.png", path))
    return pairs


def test_report_has_mean_worst_and_untouched(stored):
    report = evaluate(lambda rgb, values: rgb + np.float32(0.1), stored)
    assert report.count == 2
    assert report.megapixels == pytest.approx(144e-6)
    assert report.worst.mse == pytest.approx(0.01, rel=1e-3)
    assert report.worst.psnr == pytest.approx(20, abs=0.01)
    assert report.mean.mse == pytest.approx(0.005, rel=1e-3)
    assert report.identity.psnr == pytest.approx((20 + 13.979) / 2, abs=0.01)


def test_results_are_clipped_as_they_would_be_when_written(stored):
    report = evaluate(lambda rgb, values: np.full_like(rgb, 7), stored)
    assert report.worst.mse == pytest.approx(0.4**2, rel=1e-3)
