"""The thumbnail encoder: its two branches, and batches of thumbnails."""

import torch
from torch import nn

from burnish.networks.thumbnail_encoder import ThumbnailEncoder

LAYERS = (nn.Conv2d(3, 5, 3), nn.Conv2d(5, 4, 3))


def random_encoder() -> ThumbnailEncoder:
    """An encoder with random weights; an untrained one changes nothing."""
    generator = torch.Generator().manual_seed(0)
    encoder = ThumbnailEncoder(LAYERS)
    with torch.no_grad():
        for parameter in encoder.parameters():
            width = parameter[0].numel() if parameter.ndim > 1 else 100
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / width**0.5)
    return encoder


def encode(encoder: ThumbnailEncoder, thumbnail: torch.Tensor) -> torch.Tensor:
    return torch.cat([tensor for film in encoder(thumbnail) for tensor in film], dim=1)


def test_each_layer_has_a_gain_and_a_shift_that_start_as_zero():
    films = ThumbnailEncoder(LAYERS)(torch.rand(3, 3, 64, 64))
    for layer, film in zip(LAYERS, films, strict=True):
        for change in film:
            assert change.shape == (3, layer.out_channels, 1, 1)
            assert not change.any()


def test_histogram_branch_ignores_the_order_of_pixels():
    encoder = random_encoder()
    with torch.no_grad():
        encoder.fuse.weight[:, 64:] = 0  # the spatial branch
    thumbnail = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    order = torch.randperm(64 * 64, generator=torch.Generator().manual_seed(1))
    shuffled = thumbnail.flatten(2)[:, :, order].view_as(thumbnail)
    torch.testing.assert_close(
        encode(encoder, shuffled), encode(encoder, thumbnail), rtol=0, atol=1e-5
    )


def test_output_depends_on_positions_and_colours():
    encoder = random_encoder()
    thumbnail = torch.zeros(1, 3, 64, 64)
    thumbnail[..., :32, :] = 1
    stripes = torch.zeros(1, 3, 64, 64)
    stripes[..., ::2, :] = 1  # with as many bright pixels
    tinted = thumbnail * torch.tensor([1, 0.9, 0.8])[:, None, None]
    for other in (stripes, tinted):
        assert (encode(encoder, other) - encode(encoder, thumbnail)).abs().max() > 1e-3


def test_encoding_a_batch_equals_encoding_each_thumbnail():
    encoder = random_encoder()
    thumbnails = torch.rand(3, 3, 64, 64)
    each = torch.cat([encode(encoder, one[None]) for one in thumbnails])
    torch.testing.assert_close(encode(encoder, thumbnails), each, rtol=0, atol=1e-6)
