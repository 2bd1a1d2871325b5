"""The commands on the page about the service work as they are printed."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from burnish.evaluation.doctor import SAMPLE
from burnish.modelfile.reader import read_model
from burnish.photo import Photo
from burnish.runtime.engine_choice import engine_times
from burnish.runtime.model_registry import find_model
from burnish.serve.limits import Limits

PAGE = (Path(__file__).parents[2] / "docs" / "serve.md").read_text()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_lines_run(start_service, tmp_path):
    Photo(np.ascontiguousarray(Photo.open(SAMPLE).pixels[:64, :96])).save(tmp_path / "photo.jpg")
    for name in ("l0-smoothing", "tv-l1"):
        engine_times(read_model(find_model(name)))  # in the cache, where the service finds them
    [commands] = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    service = start_service()
    try:
        for line in commands.splitlines():
            command = line.replace("127.0.0.1:8470", f"127.0.0.1:{service.port}")
            # Operators would be compiled first.
            command = command.replace("?", "?guide=network&")
            command = command.replace("curl ", "curl --silent --show-error --fail ")
            output = subprocess.run(
                command, shell=True, cwd=tmp_path, check=True, capture_output=True
            ).stdout
            if "-o" not in line.split():
                assert json.loads(output)
    finally:
        service.close()
    sizes = {path.name: Photo.open(path).size for path in tmp_path.iterdir()}
    names = ("photo.jpg", "smooth.jpg", "flat.png", "part.jpg")
    assert sizes == dict.fromkeys(names, (96, 64))


def test_table_of_limits_is_complete():
    table = dict(re.findall(r"^\| `--([a-z-]+)` \| (\d+) \|", PAGE, re.MULTILINE))
    defaults = {name.replace("_", "-"): f"{value:g}" for name, value in vars(Limits()).items()}
    assert table == defaults
