"""Glance: what it sees of a thumbnail, and what it does not mind."""

import torch
from torch import nn

from burnish.networks.thumbnail_encoder import ThumbnailEncoder

LAYERS = (nn.Conv2d(3, 5, 3), nn.Conv2d(5, 4, 3))


def busy() -> ThumbnailEncoder:
    """One whose every number counts: an untrained one changes nothing."""
    generator = torch.Generator().manual_seed(0)
    glance = ThumbnailEncoder(LAYERS)
    with torch.no_grad():
        for parameter in glance.parameters():
            width = parameter[0].numel() if parameter.ndim > 1 else 100
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / width**0.5)
    return glance


def seen(glance: ThumbnailEncoder, thumbnail: torch.Tensor) -> torch.Tensor:
    return torch.cat([part for layer in glance(thumbnail) for part in layer], dim=1)


def test_each_layer_gets_a_gain_and_a_shift_that_start_as_none():
    made = ThumbnailEncoder(LAYERS)(torch.rand(3, 3, 64, 64))
    for layer, changes in zip(LAYERS, made, strict=True):
        for change in changes:
            assert change.shape == (3, layer.out_channels, 1, 1)
            assert not change.any()


def test_the_histogram_s_share_does_not_mind_where_pixels_lie():
    glance = busy()
    with torch.no_grad():
        glance.fuse.weight[:, 64:] = 0  # what lies where
    thumbnail = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    order = torch.randperm(64 * 64, generator=torch.Generator().manual_seed(1))
    shuffled = thumbnail.flatten(2)[:, :, order].view_as(thumbnail)
    torch.testing.assert_close(seen(glance, shuffled), seen(glance, thumbnail), rtol=0, atol=1e-5)


def test_it_sees_where_things_lie_and_what_colour_they_have():
    glance = busy()
    thumbnail = torch.zeros(1, 3, 64, 64)
    thumbnail[..., :32, :] = 1
    stripes = torch.zeros(1, 3, 64, 64)
    stripes[..., ::2, :] = 1  # as many bright pixels
    tinted = thumbnail * torch.tensor([1, 0.9, 0.8])[:, None, None]
    for other in (stripes, tinted):
        assert (seen(glance, other) - seen(glance, thumbnail)).abs().max() > 1e-3


def test_a_look_at_several_is_a_look_at_each():
    glance = busy()
    thumbnails = torch.rand(3, 3, 64, 64)
    each = torch.cat([seen(glance, one[None]) for one in thumbnails])
    torch.testing.assert_close(seen(glance, thumbnails), each, rtol=0, atol=1e-6)
