"""Two real processes over gloo compute the same as one process with both batches."""

import json
import subprocess
import sys

import numpy as np
import pytest

AVERAGE = """
import json, sys, torch
import torch.nn.functional as F
from burnish.networks.can import CAN
from burnish.training import distributed

rank, world_size = distributed.init()
torch.manual_seed(0)
network = CAN(width=4, dilations=(1, 2)).set_norm_mode("frozen")
x = torch.rand(world_size, 3, 12, 12)
F.mse_loss(network(x[rank : rank + 1]), x[rank : rank + 1] ** 2).backward()
distributed.average(network)
averaged = network.to_rgb.weight.grad.flatten().tolist()
network.zero_grad()
F.mse_loss(network(x), x**2).backward()
expected = network.to_rgb.weight.grad.flatten().tolist()
value = distributed.broadcast(float(rank) + 0.25)
main = distributed.is_main()
json.dump([world_size, value, main, averaged, expected], open(f"{sys.argv[1]}/{rank}.json", "w"))
distributed.barrier()
distributed.shutdown()
"""

TRAINING = """
import json, sys, torch
from pathlib import Path
from burnish.networks.can import CAN
from burnish.training import distributed
from burnish.training.sampler import CropSampler
from burnish.training.network_trainer import NetworkTrainer
from burnish.training.pairs import Pair
from burnish.training.config import TrainConfig

folder = Path(sys.argv[1])
rank, _ = distributed.init()
config = TrainConfig("none", "can24", steps=5, batch=1, crop=16, freeze_norm_at=0.5)
torch.manual_seed(0)
sampler = CropSampler([Pair("0", folder / "0.npy")], batch=1, crop=16, seed=0, rank=rank)
trainer = NetworkTrainer(config, CAN(width=4, dilations=(1, 2)), sampler, folder)
trainer.run()
weights = {name: value.flatten().tolist() for name, value in trainer.network.state_dict().items()}
json.dump(weights, open(folder / f"weights{rank}.json", "w"))
distributed.shutdown()
"""


def run_in_two_processes(code, folder):
    script = folder / "script.py"
    script.write_text(code)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    subprocess.run([*command, str(script), str(folder)], check=True, capture_output=True)


@pytest.mark.slow
def test_averaged_gradients_equal_those_of_one_process_with_both_batches(tmp_path):
    run_in_two_processes(AVERAGE, tmp_path)
    for rank in range(2):
        results = json.loads((tmp_path / f"{rank}.json").read_text())
        world_size, value, main, averaged, expected = results
        assert (world_size, value, main) == (2, 0.25, rank == 0)
        assert averaged == pytest.approx(expected, rel=1e-5, abs=1e-8)


@pytest.mark.slow
def test_processes_have_equal_weights_and_statistics_after_training(tmp_path):
    pair = np.random.default_rng(0).integers(0, 65536, (2, 24, 24, 3), np.uint16)
    np.save(tmp_path / "0.npy", pair)
    run_in_two_processes(TRAINING, tmp_path)
    first, second = (json.loads((tmp_path / f"weights{i}.json").read_text()) for i in range(2))
    assert first == second
    assert any(first["layers.0.norm.running_mean"])
