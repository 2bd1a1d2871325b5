import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from burnish.metrics import MAX_PSNR, score
from burnish.training.evaluation import evaluate


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


@pytest.fixture
def flat_pairs(write_pair):
    grey = np.full((12, 12, 3), 0.5)
    return [
        write_pair(f"{index}.png", grey, grey + change) for index, change in ((0, 0.1), (1, 0.2))
    ]


def test_evaluate_reports_mean_worst_and_identity(flat_pairs):
    report = evaluate(lambda rgb, values: rgb + np.float32(0.1), flat_pairs)
    assert report.count == 2
    assert report.megapixels == pytest.approx(144e-6)
    assert report.worst.mse == pytest.approx(0.01, rel=1e-3)
    assert report.worst.psnr == pytest.approx(20, abs=0.01)
    assert report.mean.mse == pytest.approx(0.005, rel=1e-3)
    assert report.identity.psnr == pytest.approx((20 + 13.979) / 2, abs=0.01)


def test_evaluate_clips_the_output(flat_pairs):
    report = evaluate(lambda rgb, values: np.full_like(rgb, 7), flat_pairs)
    assert report.worst.mse == pytest.approx(0.4**2, rel=1e-3)
