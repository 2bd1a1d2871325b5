"""Networks of several qualities that share their kernels."""

import pytest
import torch
import torch.nn.functional as F

from burnish.networks.nested import NestedNetwork
from burnish.training.config import TrainConfig
from burnish.training.nested_trainer import NestedTrainer
from burnish.training.sampler import Batch

QUALITIES = ("preview", "standard", "best")


@pytest.fixture(params=[True, False], ids=["guided", "global context"])
def nested(request, nested_networks):
    return nested_networks[0 if request.param else 1]


@pytest.fixture
def inputs(nested, random_context):
    """Two blocks by three; the last three inputs are those of `random_context`."""
    side = nested.size_multiple
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(1 + nested.guided, 1, 3, 2 * side, 3 * side, generator=generator)
    context = [name for name in nested.context_inputs if name != "guide"]
    others = dict(zip(context, others_of(nested, random_context), strict=True))
    return [*images, *others.values()]


def others_of(nested, random_context):
    class Unguided:
        num_sliders, thumbnail_size = nested.num_sliders, nested.thumbnail_size
        context_inputs = [name for name in nested.context_inputs if name != "guide"]  # noqa: RUF012

    return random_context(Unguided)


def test_kernels_are_the_first_channels_of_the_largest(nested):
    kernels = {q: dict(nested.network(q).named_parameters()) for q in nested.qualities}
    *smaller, large = nested.qualities
    for small in smaller:
        for name in ("downsample.0.weight", "upsample.0.weight", "down.1.0.weight"):
            kernel = kernels[small][name]
            rows, columns = kernel.shape[:2]
            assert torch.equal(kernel, kernels[large][name][:rows, :columns])
    # A kernel of another size is a network's own.
    assert kernels["preview"]["head.weight"].shape[2:] == (1, 1)


def test_each_quality_computes_what_its_copy_does(nested, inputs):
    with torch.no_grad():
        for quality in nested.qualities:
            expected = nested.network(quality)(*inputs)
            assert torch.equal(nested.run(quality, *inputs), expected)
        assert torch.equal(nested(*inputs), nested.run("standard", *inputs))


def test_growing_keeps_the_trained_network(nested, inputs, random_network):
    """Without further layers, a larger network computes the same, at any values of its inputs."""
    arguments = {"guided": nested.guided, "global_context": bool(nested.thumbnail_size)}
    base, _ = random_network(seed=5, **arguments)
    wider, _ = random_network(seed=6, widths=(5, 8), **arguments)
    narrower, _ = random_network(seed=7, widths=(3, 4), **arguments)
    grown = NestedNetwork({"preview": narrower, "standard": wider})
    grown.grow_from(base)
    with torch.no_grad():
        torch.testing.assert_close(grown(*inputs), base(*inputs), rtol=0, atol=1e-5)
    assert torch.equal(grown.network("preview").down[1][0].weight, base.down[1][0].weight[:4, :4])
    assert torch.equal(grown.network("preview").down[1][0].bias, base.down[1][0].bias[:4])


def test_levels_have_to_agree(random_network):
    shallow, _ = random_network(widths=(4,), down=(1,), up=())
    with pytest.raises(ValueError, match="levels"):
        NestedNetwork({"preview": shallow, "standard": random_network()[0]})


def test_smaller_networks_learn_from_the_larger(nested_networks, tmp_path):
    nested, _, _ = nested_networks
    config = TrainConfig("l0-smoothing", "nested", guided=True, steps=1, crop=16, batch=1)
    trainer = NestedTrainer(config, nested, None, tmp_path)
    before, after, guide = torch.rand(3, 1, 3, 16, 16).unbind()
    context = (guide, torch.tensor([0.02, 2.0]).view(1, 2, 1, 1))
    losses = trainer.losses(Batch(before, after, context))
    results = {quality: nested.run(quality, before, *context) for quality in QUALITIES}
    assert losses["best"] == F.mse_loss(results["best"], after)
    for quality, larger in (("standard", "best"), ("preview", "standard")):
        errors = [F.mse_loss(results[quality], target) for target in (after, results[larger])]
        torch.testing.assert_close(losses[quality], torch.stack(errors).mean())
    losses["preview"].backward()
    largest = nested.networks["best"]
    assert largest.downsample[0].weight.grad[:3, :2].abs().sum() > 0
    assert largest.downsample[0].weight.grad[3:].abs().sum() == 0
    assert largest.tail.weight.grad is None  # the results of the larger networks are fixed targets
