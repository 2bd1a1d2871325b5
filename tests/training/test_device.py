"""Training on another device than the CPU."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

import burnish.training
from burnish.errors import DeviceError, UsageError
from burnish.modelfile.reader import read_card
from burnish.networks.network import Network
from burnish.photo import Photo
from burnish.training import TrainCallbacks
from burnish.training.config import TrainConfig
from burnish.training.distributed import choose_device
from burnish.training.network_trainer import NetworkTrainer
from burnish.training.pairs import smaller_path, write_codes
from burnish.training.pipeline import train_network
from burnish.training.request import validate_request
from burnish.training.sampler import CropSampler


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_device_is_the_gpu_if_there_is_one(two_gpus, monkeypatch):
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda:0")
    assert choose_device("cuda:1") == torch.device("cuda:1")
    monkeypatch.setenv("LOCAL_RANK", "3")  # the fourth process of torchrun
    assert choose_device("auto") == torch.device("cuda:1")
    with pytest.raises(DeviceError, match="2 CUDA devices"):
        choose_device("cuda:2")


def test_device_without_a_gpu_is_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")
    with pytest.raises(DeviceError, match="finds no CUDA devices"):
        choose_device("cuda")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "", "cpu:0"])
def test_unknown_device_raises(name):
    with pytest.raises(UsageError, match="--device"):
        choose_device(name)


@pytest.fixture
def meta_device(monkeypatch):
    """PyTorch's device without data in the place of a GPU: it rejects tensors of other devices.

    Copies to the CPU are zeros, and numbers are one.
    """
    monkeypatch.setattr(torch.Tensor, "item", lambda self: 1.0)
    monkeypatch.setattr(torch.Tensor, "cpu", lambda self: torch.zeros(self.shape))
    return torch.device("meta")


def devices(*tensors):
    return {tensor.device.type for tensor in tensors}


def devices_of_state(trainer):
    """Return the devices of all tensors of a training, but for the optimisers' step counters."""
    states = [state for optimiser in trainer.optimisers for state in optimiser.state.values()]
    return devices(
        *trainer.network.parameters(),
        *trainer.network.buffers(),
        *(weight.grad for weight in trainer.network.parameters() if weight.grad is not None),
        *trainer.ema.state.values(),
        *(value for state in states for key, value in state.items() if key != "step"),
    )


@pytest.fixture
def make_trainer(guided_networks, write_pair, tmp_path):
    """Make trainers with sliders, and guides that are results of the network itself."""
    generator = np.random.default_rng(0)
    network, _, sliders = guided_networks
    defaults = {param.name: param.default for param in sliders}
    pairs = []
    for values in (defaults, defaults | {"lambda": 0.1}):
        pair = write_pair("photo", *generator.random((2, 48, 48, 3)), values)
        path = pair.path
        for side in (32, 24):
            path = smaller_path(path)
            write_codes(path, generator.random((2, side, side, 3)))
        pairs.append(pair)
    sampler = CropSampler(pairs, batch=4, crop=16, seed=0, sliders=sliders, guided=True)
    assert any(sampler.batch_at(step).small_crops for step in range(2))
    config = TrainConfig(
        *("l0-smoothing", "fast", defaults),
        sliders={param.name: (param.low, param.high) for param in sliders},
        steps=4,
        optimiser="muon",
    )

    def make_trainer(device):
        return NetworkTrainer(config, deepcopy(network), sampler, tmp_path, device=device)

    return make_trainer


def test_training_keeps_all_tensors_on_its_device(meta_device, make_trainer):
    trainer = make_trainer(meta_device)
    trainer.run()
    assert (trainer.step, trainer.phase) == (4, 1)
    assert devices_of_state(trainer) == {"meta"}
    network = trainer.ema_network()
    assert devices(*network.parameters()) == {"meta"}
    assert devices(*network.cpu().parameters()) == {"cpu"}


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")
def test_training_continues_on_another_device(make_trainer, request):
    def stop(info):
        raise KeyboardInterrupt

    first = make_trainer(None)
    with pytest.raises(KeyboardInterrupt):
        first.run(stop, save_every=0)
    first.save()
    assert devices_of_state(first) == {"cpu"}
    second = make_trainer(request.getfixturevalue("meta_device"))
    assert second.step == 1
    assert devices_of_state(second) == {"meta"}


def test_networks_of_a_training_run_on_its_device(meta_device, tmp_path, make_image, monkeypatch):
    """The start network, the previews and the network itself."""
    devices_of_inputs = set()
    call = Network.__call__

    def record(network, *inputs):
        devices_of_inputs.update(devices(*inputs, *network.parameters()))
        return call(network, *inputs)

    monkeypatch.setattr(Network, "__call__", record)
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(3):
        Photo(make_image(seed, 72, 96) / np.float32(255)).save(folder / f"{seed}.png")
    request = validate_request(
        "l0-smoothing",
        photos=folder,
        output=tmp_path / "x.onnx",
        run_dir=tmp_path / "run",
        **{"steps": 4, "batch": 1, "crop": 32, "guide_size": 64, "short_sides": ()},
    )
    callbacks = TrainCallbacks()
    trainer, start, _ = train_network(replace(request, device=meta_device), callbacks)
    assert devices_of_inputs == {"meta"}
    assert devices(*start.parameters(), *trainer.network.parameters()) == {"meta"}


@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.filterwarnings("ignore:.*closer")
def test_training_on_a_gpu_writes_a_model(photo_folder, tmp_path):
    trained = burnish.training.train(
        "l0-smoothing",
        photos=photo_folder,
        output=tmp_path / "x.onnx",
        run_dir=tmp_path / "run",
        device="cuda",
        **{"steps": 4, "batch": 1, "crop": 32, "guide_size": 64, "short_sides": ()},
    )
    assert read_card(trained.path).training["device"] == "cuda"
