"""The trainer: it reduces the loss, resumes exactly, and rejects foreign checkpoints."""

import itertools

import numpy as np
import pytest
import torch

from burnish.errors import ModelError, UsageError
from burnish.networks.can import CAN
from burnish.networks.unet import UNet
from burnish.params import Param
from burnish.training.config import TrainConfig
from burnish.training.network_trainer import NetworkTrainer
from burnish.training.sampler import CropSampler
from burnish.training.trainer import Checkpoint


def make_config(**changes):
    fields = {"operator": "l0-smoothing", "network": "can24", "steps": 12}
    return TrainConfig(**fields | {"batch": 2, "crop": 16, "short_sides": ()} | changes)


@pytest.fixture
def tint_pairs(write_pair):
    """Pairs of an operator that two layers can learn: darker and redder."""
    images = [np.random.default_rng(index).random((32, 32, 3)) for index in range(3)]
    return [
        write_pair(f"{index}.png", image, 0.6 * image + [0.2, 0.0, 0.1])
        for index, image in enumerate(images)
    ]


def make_trainer(pairs, folder, **changes):
    torch.manual_seed(0)
    config = make_config(**changes)
    sampler = CropSampler(pairs, batch=config.batch, crop=config.crop, seed=config.seed)
    folder.mkdir(exist_ok=True)
    return NetworkTrainer(config, CAN(width=8, dilations=(1, 1)), sampler, folder)


def interrupt_at(step):
    def callback(info):
        if info.step == step:
            raise KeyboardInterrupt

    return callback


def assert_equal_weights(first, second):
    first, second = first.state_dict(), second.state_dict()
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], rtol=0, atol=0)


@pytest.mark.slow
def test_trainer_reduces_the_error_to_a_third(tint_pairs, tmp_path):
    trainer = make_trainer(
        tint_pairs, tmp_path / "run", steps=400, batch=4, max_lr=1e-2, ema_decay=0.9
    )
    trainer.run()
    before, after = tint_pairs[0].read()
    image = torch.from_numpy(before).permute(2, 0, 1)[None]
    with torch.inference_mode():
        output = trainer.ema_network()(image)[0].permute(1, 2, 0).numpy()
    assert np.mean((output - after) ** 2) < np.mean((before - after) ** 2) / 3


def test_resumed_training_equals_uninterrupted_bit_for_bit(tint_pairs, tmp_path, one_thread):
    uninterrupted = make_trainer(tint_pairs, tmp_path / "whole")
    uninterrupted.run()
    interrupted = make_trainer(tint_pairs, tmp_path / "parts")
    with pytest.raises(KeyboardInterrupt):
        interrupted.run(interrupt_at(5), save_every=0)
    resumed = make_trainer(tint_pairs, tmp_path / "parts")
    assert resumed.step == 4  # the last checkpoint before the interruption
    resumed.run()
    assert_equal_weights(uninterrupted.ema_network(), resumed.ema_network())
    assert resumed.loss_terms == uninterrupted.loss_terms


@pytest.mark.parametrize("stop", [3, 9])
def test_resumed_training_with_sliders_equals_uninterrupted(
    write_pair, random_network, tmp_path, one_thread, stop
):
    """Interrupted before and after the phase of the sliders begins."""
    image = np.random.default_rng(0).random((32, 32, 3))
    pairs = [
        write_pair("a", image, factor * image, {"lambda": value})
        for value, factor in ((0.02, 0.5), (0.1, 0.2))
    ]

    def make(folder):
        network, sliders = random_network(("lambda",), global_context=False)
        config = make_config(network="fast", slider_fraction=0.5, optimiser="muon")
        sampler = CropSampler(pairs, batch=2, crop=16, seed=0, sliders=sliders)
        folder.mkdir(exist_ok=True)
        return NetworkTrainer(config, network, sampler, folder)

    uninterrupted = make(tmp_path / "whole")
    uninterrupted.run()
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "parts").run(interrupt_at(stop), save_every=0)
    resumed = make(tmp_path / "parts")
    assert resumed.phase == (stop > 6)
    resumed.run()
    assert_equal_weights(uninterrupted.ema_network(), resumed.ema_network())


def test_slider_phase_changes_only_the_weights_of_the_sliders(write_pair, random_network, tmp_path):
    image = np.random.default_rng(0).random((32, 32, 3))
    pairs = [write_pair("a", image, image, {"lambda": value}) for value in (0.02, 0.1)]
    network, sliders = random_network(("lambda",), global_context=False)
    config = make_config(network="fast", slider_fraction=0.5)
    sampler = CropSampler(pairs, batch=2, crop=16, seed=0, sliders=sliders)
    trainer = NetworkTrainer(config, network, sampler, tmp_path)
    states = []
    trainer.run(lambda info: states.append({k: v.clone() for k, v in network.state_dict().items()}))
    changed = [
        {name for name, value in before.items() if not torch.equal(value, after[name])}
        for before, after in itertools.pairwise(states)
    ]
    assert not any(name.startswith("conditioning.") for name in set.union(*changed[:5]))
    assert all(name.startswith("conditioning.") for name in set.union(*changed[6:]))
    assert changed[0]
    assert changed[6]


@pytest.fixture
def make_guided(write_pair, random_network, tmp_path):
    """A function that makes a guided trainer with a slider in px, in a folder."""
    sigma = Param("sigma", "", default=4, low=1, high=8, unit="px")
    random = np.random.default_rng(0)
    pairs = []
    for value in (4.0, 6.0):
        pair = write_pair("a", *random.random((2, 32, 40, 3)), {"sigma": value})
        for level, size in enumerate([(24, 30), (20, 25)], start=1):
            codes = random.integers(0, 65536, (2, *size, 3), np.uint16)
            np.save(pair.path.with_name(f"{pair.path.stem}{'-small' * level}.npy"), codes)
        pairs.append(pair)

    def make(folder, **changes):
        config = make_config(network="fast", slider_fraction=0.5, batch=4, **changes)
        sampler = CropSampler(pairs, batch=4, crop=16, seed=0, sliders=(sigma,), guided=True)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = UNet((4, 6), (1, 1), (1,), sliders=(sigma,), guided=True)
        folder.mkdir(exist_ok=True)
        return NetworkTrainer(config, network, sampler, folder)

    return make


@pytest.mark.parametrize("stop", [3, 9])
def test_resumed_guided_training_equals_uninterrupted(make_guided, tmp_path, one_thread, stop):
    uninterrupted = make_guided(tmp_path / "whole")
    uninterrupted.run()
    with pytest.raises(KeyboardInterrupt):
        make_guided(tmp_path / "parts").run(interrupt_at(stop), save_every=0)
    resumed = make_guided(tmp_path / "parts")
    resumed.run()
    assert_equal_weights(uninterrupted.ema_network(), resumed.ema_network())


def test_own_results_become_guides_with_sliders_at_the_size_of_the_copy(make_guided, tmp_path):
    """The network is run on each small crop at a smaller sigma, as the copy is smaller."""
    trainer = make_guided(tmp_path / "run")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in trainer.network.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    checked = 0
    for step in range(8):
        (batch,) = trainer.batches(step, 1)
        filled = trainer.completed(batch)
        indices = {crop.index for crop in batch.small_crops}
        for crop in batch.small_crops:
            sigma = batch.context[1] * 24 / 32
            before, guide = (
                torch.from_numpy(image.copy()).permute(2, 0, 1)[None]
                for image in (crop.before, crop.guide)
            )
            with torch.no_grad():
                output = trainer.network(before, guide, sigma)[0].permute(1, 2, 0).numpy()
            result = filled.context[0][crop.index].permute(1, 2, 0)
            np.testing.assert_allclose(result, crop.to_guide(output), atol=1e-5)
            checked += 1
        for index in set(range(4)) - indices:
            assert torch.equal(filled.context[0][index], batch.context[0][index])
    assert checked > 2


def test_resume_with_another_config_raises(tint_pairs, tmp_path):
    make_trainer(tint_pairs, tmp_path / "run").run()
    with pytest.raises(UsageError, match="batch, seed"):
        make_trainer(tint_pairs, tmp_path / "run", seed=1, batch=3)


def test_resume_from_a_truncated_checkpoint_raises(tint_pairs, tmp_path):
    make_trainer(tint_pairs, tmp_path / "run").run()
    path = tmp_path / "run" / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelError) as caught:
        make_trainer(tint_pairs, tmp_path / "run")
    assert caught.value.where == str(path)


def test_checkpoint_that_contains_code_is_not_run(tmp_path, capsys):
    class Code:
        def __reduce__(self):
            return print, ("executed",)

    torch.save({"step": Code()}, tmp_path / "checkpoint.pt")
    with pytest.raises(ModelError):
        Checkpoint.load(tmp_path / "checkpoint.pt")
    assert "executed" not in capsys.readouterr().out


def test_loss_that_is_not_finite_raises(tint_pairs, tmp_path):
    trainer = make_trainer(tint_pairs, tmp_path / "run")
    with torch.no_grad():
        trainer.network.to_rgb.weight.fill_(torch.nan)
    with pytest.raises(ModelError, match="finite") as caught:
        trainer.run()
    assert caught.value.where == "step 0"


def test_normaliser_statistics_are_constant_after_freeze_norm_at(tint_pairs, tmp_path):
    means = []
    trainer = make_trainer(tint_pairs, tmp_path / "run", freeze_norm_at=0.5)
    norm = trainer.network.norm_convs[0].norm
    trainer.run(lambda info: means.append(norm.running_mean.clone()))
    changes = [not torch.equal(first, second) for first, second in itertools.pairwise(means)]
    assert changes == [True] * 5 + [False] * 6


def test_budget_ends_the_training(tint_pairs, tmp_path):
    trainer = make_trainer(tint_pairs, tmp_path / "run", steps=None, budget=0.5)
    trainer.run()
    assert trainer.progress == 1
    assert trainer.step > 0
    assert trainer.seconds >= 0.5
