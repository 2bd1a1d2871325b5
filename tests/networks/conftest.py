import pytest
import torch

from burnish.networks.network import Network


@pytest.fixture(scope="session")
def random_context():
    """Return random inputs of a network after the image, for an image of so many blocks."""

    def random_context(
        network: Network, count: int = 1, blocks: tuple[int, int] = (2, 3), seed: int = 0
    ) -> list[torch.Tensor]:
        sizes = {
            "params": (1, network.num_sliders, 1, 1),
            "thumbnail": (count, 3, network.thumbnail_size, network.thumbnail_size),
            "coords": (count, *blocks, 2),
        }
        generator = torch.Generator().manual_seed(seed)
        return [torch.rand(*sizes[name], generator=generator) for name in network.context_inputs]

    return random_context
