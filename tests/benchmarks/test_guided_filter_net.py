"""The guided filter network against a regression in each window, and on flat images."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from baselines.guided_filter_net import EPSILON, GuidedFilterNet, local_linear_fit


def fit_in_windows(guide: np.ndarray, change: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Solve equations 5 and 6 of He et al. 2013 for one colour: ridge regression in each window."""
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
def test_local_linear_fit_equals_the_regression_in_each_window(size):
    generator = torch.Generator().manual_seed(0)
    guide, change = torch.rand(2, 2, 3, *size, generator=generator, dtype=torch.float64)
    gain, offset = local_linear_fit(guide, change)
    for sample, colour in np.ndindex(2, 3):
        expected = fit_in_windows(guide[sample, colour].numpy(), change[sample, colour].numpy())
        np.testing.assert_allclose(gain[sample, colour], expected[0], atol=1e-9)
        np.testing.assert_allclose(offset[sample, colour], expected[1], atol=1e-9)


def test_local_linear_fit_recovers_an_affine_change():
    guide = torch.rand(1, 3, 9, 8, generator=torch.Generator().manual_seed(0))
    gain, offset = local_linear_fit(guide, 0.4 * guide - 0.1)
    fitted = gain * guide + offset
    assert (fitted - (0.4 * guide - 0.1)).abs().max() < 2e-3
    assert (gain - 0.4).abs().median() < 2e-3


def test_local_linear_fit_of_a_flat_guide_has_no_gain():
    """The images are float32, so that the variance consists of rounding errors."""
    for grey in (0.0, 0.1, 0.7, 1.0):
        guide = torch.full((1, 3, 8, 8), grey)
        change = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)) - 0.5
        gain, offset = local_linear_fit(guide, change)
        assert gain.abs().max() < 1e-3
        averages = F.avg_pool2d(change, 3, 1, 1, count_include_pad=False)
        assert (gain * guide + offset - averages).abs().max() < 1e-4


def test_output_applies_the_upsampled_gains_and_offsets_to_the_image():
    torch.manual_seed(0)
    network = GuidedFilterNet(widths=(4, 6), down=(1, 0), up=(1,), factor=4).double().eval()
    torch.nn.init.normal_(network.tail.weight)
    image = torch.rand(1, 3, 32, 48, dtype=torch.float64)
    low = image.view(1, 3, 8, 4, 12, 4).mean(dim=(3, 5))
    with torch.no_grad():
        change = network.forward_cells(low)
        output = network(image)[0].numpy()
    assert change.abs().max() > 0.1
    for colour in range(3):
        gain, offset = fit_in_windows(low[0, colour].numpy(), change[0, colour].numpy())
        plane = image[0, colour].numpy()
        expected = plane + upsample(gain, 4) * plane + upsample(offset, 4)
        np.testing.assert_allclose(output[colour], expected, atol=1e-9)


def upsample(cells: np.ndarray, factor: int) -> np.ndarray:
    """Interpolate rows and columns with NumPy, which also extends the outermost cells."""
    for _ in range(2):
        centres = factor * np.arange(len(cells)) + (factor - 1) / 2
        pixels = np.arange(factor * len(cells))
        cells = np.stack([np.interp(pixels, centres, line) for line in cells.T])
    return cells
