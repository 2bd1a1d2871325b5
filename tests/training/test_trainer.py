"""The moving average against its recurrence, written out."""

import torch
from torch import nn

from burnish.training.trainer import EMA


def make_network():
    return nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.BatchNorm2d(2, affine=False))


def test_ema_follows_the_recurrence_with_a_growing_decay():
    network = make_network()
    ema = EMA(network, decay=0.25)
    expected = network[0].weight.detach().clone()
    for update in range(1, 5):
        with torch.no_grad():
            network[0].weight += update
        ema.update(network)
        decay = min(0.25, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * network[0].weight.detach()
        torch.testing.assert_close(ema.state["0.weight"], expected)


def test_ema_copies_integers_and_the_values_named_in_copied():
    network = make_network()
    ema = EMA(network, decay=0.9, copied="running_mean")
    network(torch.rand(4, 1, 8, 8))
    ema.update(network)
    assert torch.equal(ema.state["1.running_mean"], network[1].running_mean)
    assert ema.state["1.num_batches_tracked"] == 1
    assert not torch.equal(ema.state["1.running_var"], network[1].running_var)
