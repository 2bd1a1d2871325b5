"""A cluster of two nodes on this machine: lost workers, errors, and photos as on one machine."""

import os
import sys
import time
from functools import partial

import pytest

from burnish.cluster import MAX_ATTEMPTS, WorkerPool, connect, is_connected

ray = pytest.importorskip("ray", reason="the extra 'cluster' is not installed")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory, engine_speed):
    """A cluster with a CPU on each of two nodes; yields its address and a function to add a node.

    The nodes inherit the environment, so that their workers measure no engines.
    """
    from ray import cloudpickle
    from ray.cluster_utils import Cluster

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    cache = tmp_path_factory.mktemp("nodes")
    (cache / "engine-speed.json").write_text(engine_speed)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("BURNISH_CACHE", str(cache))
        environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
        environment.setenv("RAY_BACKEND_LOG_LEVEL", "error")
        size = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
        cluster = Cluster(initialize_head=True, head_node_args=size | {"include_dashboard": False})
        add_node = partial(cluster.add_node, **size)
        add_node()
        try:
            yield cluster, add_node
        finally:
            cluster.shutdown()


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
        time.sleep(0.3)
        return job, ray.get_runtime_context().get_node_id()

    return run


def test_jobs_of_a_lost_node_go_to_others(nodes):
    cluster, add_node = nodes
    lost = add_node()
    finished = []
    with connect(cluster.address):
        pool = WorkerPool(
            sleeps,
            threads=1,
            in_flight=2,
            retry=lambda job: job,
            give_up=lambda job, problem: (job, problem),
        )
        for job, node in pool.run(range(40)):
            finished.append(job)
            if lost is not None and node == lost.node_id:
                cluster.remove_node(lost, allow_graceful=False)
                lost = None
    assert lost is None
    assert sorted(finished) == list(range(40))
