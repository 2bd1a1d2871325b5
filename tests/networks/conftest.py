import pytest
import torch

from burnish.networks.network import Network


@pytest.fixture(scope="session")
def context_of():
    """Draws what a network takes beside an image: one that is so many blocks high and wide."""

    def draw(
        network: Network, count: int = 1, blocks: tuple[int, int] = (2, 3), seed: int = 0
    ) -> list[torch.Tensor]:
        sizes = {
            "params": (1, network.num_sliders, 1, 1),
            "thumbnail": (count, 3, network.thumbnail_size, network.thumbnail_size),
            "coords": (count, *blocks, 2),
        }
        generator = torch.Generator().manual_seed(seed)
        return [torch.rand(*sizes[name], generator=generator) for name in network.context_inputs]

    return draw
