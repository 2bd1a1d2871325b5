"""A cluster on this machine: lost workers, errors, and photos as on one machine."""

import json
import os
import signal
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import pytest

from burnish.cluster.connection import connect, is_connected, ray_folder
from burnish.cluster.tasks import MAX_ATTEMPTS, run_tasks
from burnish.cluster.workers import WorkerPool
from burnish.errors import ClusterError, ModelError, PhotoError, warn
from burnish.process_pool import map_unordered

# A node that Ray has given up, see `patiently`, is a process that nobody waits for.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
ray = pytest.importorskip("ray", reason="the extra 'cluster' is not installed")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory, engine_speed):
    """A cluster of one node with two CPUs; yields it and a function to add a node with one.

    The nodes inherit the environment, so that their workers measure no engines.
    """
    from ray import cloudpickle
    from ray.cluster_utils import Cluster

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    cache = tmp_path_factory.mktemp("nodes")
    (cache / "engine-speed.json").write_text(engine_speed)
    with pytest.MonkeyPatch.context() as environment, ray_folder() as folder:
        environment.setenv("BURNISH_CACHE", str(cache))
        environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
        environment.setenv("RAY_BACKEND_LOG_LEVEL", "error")
        environment.setenv("RAY_worker_niceness", "0")
        settings = {"object_store_memory": 80 * 2**20, "include_log_monitor": False}
        settings |= {"include_dashboard": False, "no_monitor": True, "temp_dir": folder}
        Path("/tmp/ray").mkdir(exist_ok=True)  # where Ray notes the address of the cluster
        cluster = Cluster()
        add_node = partial(patiently, cluster.add_node, num_cpus=1, **settings)
        try:
            add_node(num_cpus=2)
            yield cluster, add_node
        finally:
            cluster.shutdown()


def patiently(start, **settings):
    """Start a node. Ray gives up after half a minute, which a busy machine may exceed."""
    for _ in range(2):
        try:
            return start(**settings)
        except Exception as error:
            if "timed out" not in str(error):
                raise
    return start(**settings)


@pytest.fixture(scope="module")
def address(nodes):
    return nodes[0].address


def run_pool(make_function, jobs, **options):
    pool = WorkerPool(
        make_function,
        threads=1,
        in_flight=2,
        retry=lambda job: job,
        give_up=lambda job, problem: (job, problem),
        **options,
    )
    return list(pool.run(jobs))


def doubles():
    """Return a function whose job 13 ends the process."""

    def run(job):
        if job == 13:
            os._exit(1)
        time.sleep(0.01)
        return job, 2 * job

    return run


def test_job_that_ends_workers_fails_alone(address):
    messages = []
    with connect(address):
        assert is_connected()
        results = run_pool(doubles, range(30), on_message=messages.append)
    assert not is_connected()
    failed = (13, f"{MAX_ATTEMPTS} workers ended while they had it")
    assert sorted(results) == sorted([(job, 2 * job) for job in range(30) if job != 13] + [failed])
    assert len(messages) == MAX_ATTEMPTS
    assert all("a worker was lost" in message for message in messages)


def sleeps():
    def run(job):
        time.sleep(0.05)
        return job, ray.get_runtime_context().get_node_id()

    return run


def test_jobs_of_a_lost_node_go_to_others(nodes):
    cluster, add_node = nodes
    lost = add_node()
    started, finished, is_lost = [], [], False

    def jobs():
        while not is_lost:
            started.append(len(started))
            yield started[-1]

    with connect(cluster.address):
        pool = WorkerPool(
            sleeps, threads=1, in_flight=2, retry=lambda job: job, give_up=lambda *job: job
        )
        for job, node in pool.run(jobs()):
            finished.append(job)
            if node == lost.node_id and not is_lost:
                is_lost = True
                cluster.remove_node(lost, allow_graceful=False)
    assert sorted(finished) == started


def cannot_start():
    raise ModelError("my.onnx", "cannot be read", "copy it")


def test_error_at_the_start_of_a_worker_ends_the_run(address):
    with connect(address):
        with pytest.raises(ModelError, match=r"my\.onnx: cannot be read; copy it"):
            run_pool(cannot_start, [1])
        too_large = WorkerPool(cannot_start, threads=3, in_flight=1, retry=abs, give_up=abs)
        with pytest.raises(ClusterError, match="needs 3 CPUs, and the largest machine has 2"):
            next(too_large.run([1]))


def test_termination_closes_the_connection(address):
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    def be_terminated():
        with connect(address):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)

    with pytest.raises(SystemExit) as end:
        be_terminated()
    assert end.value.code == 143
    assert not is_connected()
    assert not ray.is_initialized()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def halve(number):
    if number % 2:
        raise PhotoError(f"{number}.jpg", "is odd", "choose another")
    warn(f"{number} halved")
    return number // 2


def test_tasks(address):
    with connect(address), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert sorted(run_tasks(halve, [8, 2, 4])) == [1, 2, 4]
        # The pool of processes hands its work to the cluster.
        assert list(map_unordered(halve, [6], processes=1)) == [3]
        with pytest.raises(PhotoError, match=r"3\.jpg: is odd"):
            list(run_tasks(halve, [3]))
    messages = {str(entry.message) for entry in caught}
    assert messages >= {f"{number} halved" for number in (2, 4, 6, 8)}


def test_photos_equal_those_of_one_machine(address, burnish, photo_folder, write_model, tmp_path):
    (photo_folder / "broken.png").write_bytes(b"no photo")
    command = ["apply", write_model(), photo_folder, "--json", "--engine", "onnxruntime"]
    code, expected, errors = burnish(*command, "-o", tmp_path / "one")
    cluster_code, records, cluster_errors = burnish(
        *command, "-o", tmp_path / "many", "--ray", address
    )
    assert code == cluster_code == 1
    assert errors.partition("; ")[0] == cluster_errors.partition("; ")[0]

    def comparable(lines):
        parsed = [json.loads(line) | {"seconds": None} for line in lines.splitlines()]
        return sorted(json.dumps(record).replace("/many/", "/one/") for record in parsed)

    assert comparable(records) == comparable(expected)
    outputs = {file.name: file.read_bytes() for file in (tmp_path / "one").iterdir()}
    assert outputs
    assert outputs == {file.name: file.read_bytes() for file in (tmp_path / "many").iterdir()}
    # A second run has nothing to do.
    again = burnish(*command, "-o", tmp_path / "many", "--ray", address, "--skip-existing")
    statuses = sorted(json.loads(line)["status"] for line in again[1].splitlines())
    assert statuses == ["failed", *["skipped"] * len(outputs)]


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("127.0.0.1:9", "connection refused"),
        ("ray://127.0.0.1:9", "connection refused"),
        ("nowhere", "invalid address"),
    ],
)
def test_addresses_without_a_cluster(burnish, photo_folder, tmp_path, address, problem):
    command = ["apply", "l0-smoothing", photo_folder, "-o", f"{tmp_path}/out/", "--ray", address]
    code, _, err = burnish(*command)
    assert (code, err.count("\n")) == (3, 1)
    assert f"burnish: --ray {address}: there is no Ray cluster: " in err
    assert problem in err.lower()
    assert not (tmp_path / "out").exists()


def test_missing_library(burnish, photo_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    code, _, err = burnish(
        "apply", "l0-smoothing", photo_folder, "-o", f"{tmp_path}/out/", "--ray", "local"
    )
    assert (code, err.count("\n")) == (3, 1)
    assert "the library ray is not installed; install burnish with its extra 'cluster'" in err
