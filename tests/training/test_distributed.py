"""Two real processes over gloo: they agree, average, and step exactly as one with both batches."""

import json
import subprocess
import sys

import numpy as np
import pytest

SCRIPT = """
import json, sys, torch
import torch.nn.functional as F
from burnish.networks.can import CAN
from burnish.training import distributed as processes

rank, count = processes.join()
torch.manual_seed(0)
network = CAN(width=4, dilations=(1, 2)).use_statistics("frozen")
x = torch.rand(count, 3, 12, 12)
F.mse_loss(network(x[rank : rank + 1]), x[rank : rank + 1] ** 2).backward()
processes.average_gradients(network)
shared = network.colours.weight.grad.flatten().tolist()
network.zero_grad()
F.mse_loss(network(x), x**2).backward()
whole = network.colours.weight.grad.flatten().tolist()
agreed = processes.agree(float(rank) + 0.25)
json.dump([count, agreed, shared, whole], open(f"{sys.argv[1]}/{rank}.json", "w"))
processes.wait()
processes.leave()
"""


def test_two_processes_step_as_one_with_both_batches(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    subprocess.run([*command, str(script), str(tmp_path)], check=True, capture_output=True)
    for rank in range(2):
        count, agreed, shared, whole = json.loads((tmp_path / f"{rank}.json").read_text())
        assert (count, agreed) == (2, 0.25)
        assert shared == pytest.approx(whole, rel=1e-5, abs=1e-8)


TRAINING = """
import json, sys, torch
from pathlib import Path
from burnish.networks.can import CAN
from burnish.training import distributed as processes
from burnish.training.sampler import Batches
from burnish.training.trainer import Training
from burnish.training.pairs import Pair
from burnish.training.config import Settings

folder = Path(sys.argv[1])
rank, count = processes.join()
settings = Settings("none", "can24", steps=5, batch=1, crop=16, freeze_at=0.5)
torch.manual_seed(0)
batches = Batches([Pair("0", folder / "0.npy")], batch=1, crop=16, seed=0, rank=rank)
training = Training(settings, CAN(width=4, dilations=(1, 2)), batches, folder)
training.run(main=rank == 0)
weights = {name: value.flatten().tolist() for name, value in training.network.state_dict().items()}
json.dump(weights, open(folder / f"weights{rank}.json", "w"))
processes.leave()
"""


def test_processes_stay_in_step_statistics_and_all(tmp_path):
    pair = np.random.default_rng(0).integers(0, 65536, (2, 24, 24, 3), np.uint16)
    np.save(tmp_path / "0.npy", pair)
    script = tmp_path / "script.py"
    script.write_text(TRAINING)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    subprocess.run([*command, str(script), str(tmp_path)], check=True, capture_output=True)
    first, second = (json.loads((tmp_path / f"weights{i}.json").read_text()) for i in range(2))
    assert first == second
    assert any(first["layers.0.normal.running_mean"])
