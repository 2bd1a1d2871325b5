"""The guided student against a guided filter in numpy, window by window; and no blemishes."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from baselines.guided_filter_net import EPSILON, GuidedStudent, fit


def fit_in_windows(guide: np.ndarray, change: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """He et al. 2013, equations 5 and 6, for one colour: each window's own ridge regression."""
    gain, offset = np.zeros_like(guide), np.zeros_like(guide)
    for row, column in np.ndindex(guide.shape):
        window = slice(max(row - 1, 0), row + 2), slice(max(column - 1, 0), column + 2)
        x, y = guide[window].ravel(), change[window].ravel()
        design = np.stack([x, np.ones_like(x)], axis=1)
        ridge = len(x) * np.diag([EPSILON, 0])
        gain[row, column], offset[row, column] = np.linalg.solve(
            design.T @ design + ridge, design.T @ y
        )
    return gain, offset


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 2), (7, 6)])
def test_fit_is_the_regression_in_each_window(size):
    generator = torch.Generator().manual_seed(0)
    guide, change = torch.rand(2, 2, 3, *size, generator=generator, dtype=torch.float64)
    gain, offset = fit(guide, change)
    for sample, colour in np.ndindex(2, 3):
        expected = fit_in_windows(guide[sample, colour].numpy(), change[sample, colour].numpy())
        np.testing.assert_allclose(gain[sample, colour], expected[0], atol=1e-9)
        np.testing.assert_allclose(offset[sample, colour], expected[1], atol=1e-9)


def test_a_change_that_is_affine_in_the_guide_is_found():
    guide = torch.rand(1, 3, 9, 8, generator=torch.Generator().manual_seed(0))
    gain, offset = fit(guide, 0.4 * guide - 0.1)
    result = gain * guide + offset
    assert (result - (0.4 * guide - 0.1)).abs().max() < 2e-3
    assert (gain - 0.4).abs().median() < 2e-3


def test_flat_pictures_have_no_gain_and_no_blemish():
    """In float32, where a variance is nothing but rounding."""
    for grey in (0.0, 0.1, 0.7, 1.0):
        guide = torch.full((1, 3, 8, 8), grey)
        change = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)) - 0.5
        gain, offset = fit(guide, change)
        assert gain.abs().max() < 1e-3
        averages = F.avg_pool2d(change, 3, 1, 1, count_include_pad=False)
        assert (gain * guide + offset - averages).abs().max() < 1e-4


def test_result_is_gains_and_offsets_between_the_cells_on_the_full_photo():
    torch.manual_seed(0)
    network = GuidedStudent(widths=(4, 6), down=(1, 0), up=(1,), factor=4).double().eval()
    torch.nn.init.normal_(network.tail.weight)
    image = torch.rand(1, 3, 32, 48, dtype=torch.float64)
    low = image.view(1, 3, 8, 4, 12, 4).mean(dim=(3, 5))
    with torch.no_grad():
        change = network.trunk(low)
        result = network(image)[0].numpy()
    assert change.abs().max() > 0.1
    for colour in range(3):
        gain, offset = fit_in_windows(low[0, colour].numpy(), change[0, colour].numpy())
        full = image[0, colour].numpy()
        expected = full + between(gain, 4) * full + between(offset, 4)
        np.testing.assert_allclose(result[colour], expected, atol=1e-9)


def between(cells: np.ndarray, side: int) -> np.ndarray:
    """Interpolate rows and columns by numpy, which continues the outermost cells too."""
    for _ in range(2):
        middles = side * np.arange(len(cells)) + (side - 1) / 2
        place = np.arange(side * len(cells))
        cells = np.stack([np.interp(place, middles, line) for line in cells.T])
    return cells
