"""The slicing of the bilateral grid against trilinear interpolation, pixel by pixel."""

import numpy as np
import pytest
import torch
from baselines.bilateral_grid_net import BilateralGridNet, slice_grid


def to_matrices(grid: np.ndarray, bins: int) -> np.ndarray:
    """Convert (4 bins 3, h, w), as the network computes it, to bins x h x w matrices of 3 x 4."""
    columns = grid.reshape(4, bins, 3, *grid.shape[1:])
    return np.cumsum(columns, axis=1).transpose(1, 3, 4, 2, 0)


def neighbours(position: float, count: int) -> list[tuple[int, float]]:
    """Return the two neighbours of a position among `count` points, with their weights."""
    position = min(max(position, 0), count - 1)
    low = min(int(position), count - 2) if count > 1 else 0
    return [(low, 1 - (position - low)), (min(low + 1, count - 1), position - low)]


def slice_by_loops(grid: np.ndarray, guide: np.ndarray, image: np.ndarray, cell: int) -> np.ndarray:
    """Interpolate the eight matrices around each pixel in row, column and guide."""
    bins = grid.shape[0] // 12
    matrices = to_matrices(grid, bins)
    output = np.zeros_like(image)
    for row, column in np.ndindex(image.shape[1:]):
        matrix = np.zeros((3, 4))
        for y, weight_y in neighbours((row + 0.5) / cell - 0.5, grid.shape[1]):
            for x, weight_x in neighbours((column + 0.5) / cell - 0.5, grid.shape[2]):
                for z, weight_z in neighbours(guide[row, column], bins):
                    matrix += weight_y * weight_x * weight_z * matrices[z, y, x]
        output[:, row, column] = matrix @ [*image[:, row, column], 1]
    return output


@pytest.mark.parametrize(
    ("bins", "cell", "height", "width"), [(2, 4, 2, 3), (8, 4, 3, 1), (5, 8, 1, 2)]
)
def test_slice_grid_interpolates_trilinearly(bins, cell, height, width):
    generator = torch.Generator().manual_seed(0)
    grid = torch.randn(1, 12 * bins, height, width, generator=generator, dtype=torch.float64)
    size = cell * height, cell * width
    image = torch.rand(1, 3, *size, generator=generator, dtype=torch.float64)
    # Also before the first bin and after the last.
    guide = (bins + 1) * torch.rand(1, 1, *size, generator=generator, dtype=torch.float64) - 1
    expected = slice_by_loops(grid[0].numpy(), guide[0, 0].numpy(), image[0].numpy(), cell)
    output = slice_grid(grid, guide, image, cell)[0].numpy()
    np.testing.assert_allclose(output, expected, atol=1e-12)


def test_edge_within_a_cell_stays_sharp():
    """Black becomes darker and white brighter, without a blend of both along the edge."""
    bins, cell = 2, 16
    image = torch.zeros(1, 3, 16, 16)
    image[..., 7:] = 1
    grid = torch.zeros(1, 4, bins, 3)
    grid[:, 3, 0], grid[:, 3, 1] = -0.1, 0.3
    output = slice_grid(grid.view(1, -1, 1, 1), image[:, :1], image, cell)
    torch.testing.assert_close(output, torch.where(image > 0, 0.2, -0.1))


def test_guide_starts_as_brightness_over_all_bins():
    network = BilateralGridNet(widths=(4,), down=(0,), up=(), bins=6)
    black_white_green = torch.zeros(1, 3, 1, 3)
    black_white_green[..., 1] = 1
    black_white_green[:, 1, :, 2] = 1
    guide = network.guide(black_white_green).flatten()
    torch.testing.assert_close(guide, torch.tensor([0, 5, 5 * 0.587]))


def test_output_is_the_image_plus_the_sliced_grid():
    torch.manual_seed(0)
    network = BilateralGridNet(widths=(4, 6), down=(1, 0), up=(1,), bins=3, cell=8, block=2)
    torch.nn.init.normal_(network.tail.weight, std=0.2)
    network = network.double().eval()
    image = torch.rand(1, 3, 16, 32, dtype=torch.float64)
    quarters = image.view(1, 3, 4, 4, 8, 4).mean(dim=(3, 5))
    blocks = quarters.view(1, 3, 2, 2, 4, 2).permute(0, 1, 3, 5, 2, 4).reshape(1, 12, 2, 4)
    with torch.no_grad():
        grid, guide = network.forward_cells(blocks)[0], network.guide(image)[0, 0]
        output = network(image)[0].numpy()
    pixels = image[0].numpy()
    expected = pixels + slice_by_loops(grid.numpy(), guide.numpy(), pixels, 8)
    assert np.abs(expected - pixels).max() > 0.1
    np.testing.assert_allclose(output, expected, atol=1e-9)
