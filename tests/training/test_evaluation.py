import numpy as np
import pytest

from burnish.training.evaluation import evaluate


@pytest.fixture
def flat_pairs(write_pair):
    grey = np.full((12, 12, 3), 0.5)
    return [
        write_pair(f"{index}.png", grey, grey + change, name=f"photo{index}.jpg")
        for index, change in ((0, 0.1), (1, 0.2))
    ]


def test_evaluate_reports_mean_worst_and_identity(flat_pairs):
    report = evaluate(lambda rgb, values: rgb + np.float32(0.1), flat_pairs)
    assert report.count == 2
    assert report.megapixels == pytest.approx(144e-6)
    assert report.worst.mse == pytest.approx(0.01, rel=1e-3)
    assert report.worst.psnr == pytest.approx(20, abs=0.01)
    assert report.worst_photo == "photo1.jpg"
    assert report.mean.mse == pytest.approx(0.005, rel=1e-3)
    assert report.identity_psnr == pytest.approx((20 + 13.979) / 2, abs=0.01)
    assert report.mean.cast == pytest.approx(report.worst.cast / 2, abs=0.1)


def test_evaluate_takes_grain_from_photos_with_flat_areas_only(flat_pairs, write_pair):
    noise = np.random.default_rng(0).random((12, 12, 3))
    textured = write_pair("textured.png", noise, noise)
    checkerboard = np.indices((12, 12)).sum(axis=0)[..., None] % 2

    def apply(rgb, values):
        return rgb + np.float32(4 / 255) * checkerboard.astype(np.float32)

    flat, both = evaluate(apply, flat_pairs), evaluate(apply, [*flat_pairs, textured])
    assert flat.mean.grain == pytest.approx(2, abs=0.05)
    assert both.mean.grain == flat.mean.grain
    assert both.worst.grain == flat.worst.grain
    assert evaluate(apply, [textured]).mean.grain is None


def test_evaluate_clips_the_output(flat_pairs):
    report = evaluate(lambda rgb, values: np.full_like(rgb, 7), flat_pairs)
    assert report.worst.mse == pytest.approx(0.4**2, rel=1e-3)
