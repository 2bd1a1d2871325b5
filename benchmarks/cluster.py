"""A batch on a Ray cluster with object storage, and with a killed node: outputs and cost.

python benchmarks/cluster.py --photos 2000 --damaged 0.05 --json benchmarks/results/cluster.json

Writes small photos of several formats, damages some, and uploads them to an S3 server on this
machine. Edits them with one process from disk to disk, with one process from bucket to bucket, on
a cluster of two Ray nodes, and on one of three nodes of which one is killed after a third of the
photos. Compares all outputs with those of the first run, byte for byte, and counts the uploads of
each in the log of the server.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
import psutil
from measure import environment, write
from soak import write_photos

MODEL = "l0-smoothing"
BUCKET = "library"
PORT = 5055
SETTINGS = {
    "AWS_ENDPOINT_URL": f"http://127.0.0.1:{PORT}",
    "AWS_ACCESS_KEY_ID": "benchmark",
    "AWS_SECRET_ACCESS_KEY": "benchmark",
    "AWS_DEFAULT_REGION": "us-east-1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "error",
    # As the process without Ray: by default, workers give way to all other processes.
    "RAY_worker_niceness": "0",
}
# Seconds between two readings of the processes' CPU time.
INTERVAL = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument(
        "--damaged", type=float, default=0.05, help="fraction of the photos that are damaged"
    )
    parser.add_argument("--side", type=int, default=128, help="longest side in pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ.update(SETTINGS)
    with tempfile.TemporaryDirectory() as name, s3_server(Path(name, "s3.log")) as storage:
        tree, out = Path(name, "photos"), Path(name, "out")
        intact, damaged = write_photos(tree, options)
        storage.put(f"{tree}/", f"{BUCKET}/in/", recursive=True)
        bucket = f"s3://{BUCKET}"
        runs = {"one process": apply(str(tree), str(out))}
        runs["one process, S3"] = apply(f"{bucket}/in", f"{bucket}/one")
        with ray_nodes(2) as cluster:
            runs["2 nodes, S3"] = apply(f"{bucket}/in", f"{bucket}/two", cluster.address)
        with ray_nodes(3) as cluster:
            lost = cluster.list_all_nodes()[-1]
            runs["3 nodes, one killed, S3"] = apply(
                f"{bucket}/in",
                f"{bucket}/three",
                cluster.address,
                after=round(options.photos / 3),
                call=lambda: cluster.remove_node(lost, allow_graceful=False),
            )
        expected = outputs(fsspec.filesystem("file"), str(out))
        uploads = Counter(
            re.findall(r'"PUT /(\S+) HTTP/1.1" 200', Path(name, "s3.log").read_text())
        )
        for run, folder in zip(list(runs)[1:], ("one", "two", "three"), strict=True):
            found = outputs(storage, f"{BUCKET}/{folder}")
            runs[run] |= {
                "equal_outputs": sum(expected.get(key) == found[key] for key in found),
                "missing": len(expected.keys() - found.keys()),
                "unexpected": len(found.keys() - expected.keys()),
                "uploads_of_each": Counter(uploads[f"{BUCKET}/{folder}/{key}"] for key in expected),
            }
    results = {
        "environment": environment(),
        "intact": len(intact),
        "damaged": len(damaged),
        "expected_outputs": len(expected),
        "runs": runs,
    }
    print(json.dumps(results, indent=2))
    write(options.json, results)


def outputs(storage: Any, folder: str) -> dict[str, bytes]:
    """Return the content of all files in a folder, by their path in it."""
    names = storage.find(folder)
    return {
        name.removeprefix(storage._strip_protocol(folder))[1:]: storage.cat(name) for name in names
    }


@contextmanager
def s3_server(log: Path) -> Iterator[Any]:
    """Run an S3 server with one bucket, and yield fsspec's object for it."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(PORT)]
    with log.open("w") as file, subprocess.Popen(command, stdout=file, stderr=file) as server:
        try:
            storage = fsspec.filesystem("s3", use_listings_cache=False)
            for _ in range(60):
                time.sleep(1)
                try:
                    storage.mkdir(BUCKET)
                    break
                except Exception:  # the server does not answer yet
                    continue
            yield storage
        finally:
            server.terminate()


@contextmanager
def ray_nodes(count: int) -> Iterator[Any]:
    """Run Ray nodes with one CPU each on this machine."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    try:
        for _ in range(count - 1):
            cluster.add_node(**node)
        yield cluster
    finally:
        cluster.shutdown()


def apply(
    source: str,
    target: str,
    address: str | None = None,
    after: int | None = None,
    call: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Run `burnish apply`, and call a function after some outcomes; return its times and outcomes.

    The CPU time is that of the command and of all processes of the Ray nodes.
    """
    command = [sys.executable, "-m", "burnish", "apply", MODEL, source, "-r", "-o", target]
    command += ["--json", "--threads", "1", *(["--ray", address] if address else [])]
    used: dict[int, float] = {}
    before = cpu_seconds({})
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def monitor() -> None:
        while process.poll() is None:
            cpu_seconds(used)
            time.sleep(INTERVAL)

    threads = [threading.Thread(target=monitor), threading.Thread(target=process.stderr.read)]
    for thread in threads:
        thread.start()
    records, others, first = [], [], 0.0
    for line in process.stdout:
        if not line.startswith("{"):
            others.append(line)
            continue
        records.append(json.loads(line))
        first = first or time.perf_counter()
        if len(records) == after:
            call()
    process.wait()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    done = [record for record in records if record["status"] == "done"]
    return {
        "exit": process.returncode,
        "outcomes": Counter(record["status"] for record in records),
        "inputs_with_one_record": len({record["input"] for record in records}),
        "other_lines": others,
        "seconds": round(seconds, 1),
        "seconds_before_first": round(first - start, 1),
        "photos_per_second": round(len(done) / seconds, 2),
        "cpu_seconds": round(sum(used.values()) - before, 1),
    }


def cpu_seconds(used: dict[int, float]) -> float:
    """Add the CPU seconds of all processes below this one, except the S3 server; return the sum."""
    for process in psutil.Process().children(recursive=True):
        try:
            times = process.cpu_times()
            if "moto.server" not in process.cmdline():
                used[process.pid] = times.user + times.system
        except psutil.Error:  # it has just ended
            continue
    return sum(used.values())


if __name__ == "__main__":
    main()
