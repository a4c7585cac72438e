"""What environments say of a run's processes, and what is refused; nothing is connected."""

from __future__ import annotations

import os
import subprocess
import sys
import types

import jax
import pytest
from jax._src.clusters import cloud_tpu_cluster, k8s_cluster

from ift_jax.assemble import processes

FOREIGN = ("SLURM_", "OMPI_", "TPU_", "MEGASCALE_", "KUBERNETES_", "JOB_COMPLETION_INDEX")

OWN = {"JAX_COORDINATOR_ADDRESS": "host:1234", "JAX_NUM_PROCESSES": "4", "JAX_PROCESS_ID": "3"}

SLURM = {
    "SLURM_JOB_ID": "1234567",
    "SLURM_STEP_NODELIST": "node[007-009,012],other3",
    "SLURM_NTASKS": "8",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
}

OPEN_MPI = {
    "OMPI_COMM_WORLD_SIZE": "16",
    "OMPI_COMM_WORLD_RANK": "11",
    "OMPI_COMM_WORLD_LOCAL_RANK": "3",
}
ORTE = {"OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1,10.148.0.1:34911"}

GKE = {"TPU_WORKER_HOSTNAMES": "job-0.svc,job-1.svc,job-2.svc,job-3.svc", "TPU_WORKER_ID": "2"}

SLICES = {
    "MEGASCALE_COORDINATOR_ADDRESS": "first-0.svc:8080",
    "MEGASCALE_NUM_SLICES": "3",
    "MEGASCALE_SLICE_ID": "2",
}

GCE = {
    "agent-worker-number": "3",
    "worker-network-endpoints": "a:0:10.0.0.5,b:1:10.0.0.6,c:2:10.0.0.7,d:3:10.0.0.8",
    "tpu-env": "ACCELERATOR_TYPE: 'v5p-32'\nZONE: 'us-east5-a'",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """An environment that tells of nothing; changed by what is in a test's."""
    for name in list(os.environ):
        if name.startswith(FOREIGN) or name in OWN:
            monkeypatch.delenv(name)

    def change(variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return change


@pytest.fixture
def tpu(monkeypatch):
    """A host with TPUs, whose metadata server has what the test puts there."""
    metadata: dict[str, str] = {}
    monkeypatch.setattr(cloud_tpu_cluster, "running_in_cloud_tpu_vm", True)
    monkeypatch.setattr(
        cloud_tpu_cluster,
        "get_metadata",
        lambda key: (metadata[key], 200) if key in metadata else ("", 404),
    )
    monkeypatch.setattr("socket.gethostbyname", lambda host: "10.0.0.1")
    return metadata


def seen():
    found = processes.find()
    return found and (found.coordinator, found.count, found.index)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        (OWN, ("host:1234", 4, 3)),
        (OWN | SLURM, ("host:1234", 4, 3)),
        (SLURM | {"JAX_NUM_PROCESSES": "1"}, None),
        # 1234567 mod 4096 = 1671, added to 61440.
        (SLURM, ("node007:63111", 8, 5)),
        (SLURM | {"SLURM_STEP_NODELIST": "gpu3,gpu7"}, ("gpu3:63111", 8, 5)),
        (SLURM | {"JAX_COORDINATOR_PORT": "9999"}, ("node007:9999", 8, 5)),
        (SLURM | {"JAX_COORDINATOR_ADDRESS": "10.1.1.1:99"}, ("10.1.1.1:99", 8, 5)),
        (SLURM | {"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}, None),
        # A batch script, which is no step of srun's, is one process.
        ({"SLURM_JOB_ID": "1", "SLURM_NTASKS": "8", "SLURM_PROCID": "0"}, None),
        # 1531576320 / 4096 = 373920, mod 4096 = 1184, added to 61440.
        (OPEN_MPI | ORTE, ("10.96.0.1:62624", 16, 11)),
        (OPEN_MPI | {"JAX_COORDINATOR_ADDRESS": "10.1.1.1:99"}, ("10.1.1.1:99", 16, 11)),
    ],
)  # fmt: skip
def test_processes_of_an_environment(environment, variables, expected):
    environment(variables)
    assert seen() == expected


def test_each_of_open_mpi_s_processes_has_the_device_of_its_local_rank(environment):
    environment(OPEN_MPI | {"JAX_COORDINATOR_ADDRESS": "10.1.1.1:99"})
    assert processes.find().devices == [3]


def test_a_slice_on_gke(environment, tpu):
    environment(GKE)
    assert seen() == ("job-0.svc:8482", 4, 2)


def test_slices_on_gke(environment, tpu):
    environment(GKE | SLICES)
    assert seen() == ("first-0.svc:8482", 12, 10)


def test_a_single_host_on_gke(environment, tpu):
    environment({"TPU_WORKER_HOSTNAMES": "localhost", "TPU_WORKER_ID": "0"})
    assert seen() is None


def test_a_slice_of_tpu_vms(tpu, monkeypatch):
    # JAX sets it where it finds no TPU.
    monkeypatch.delenv("TPU_SKIP_MDS_QUERY", raising=False)
    tpu.update(GCE)
    assert seen() == ("10.0.0.5:8482", 4, 3)


def test_slices_of_tpu_vms(tpu, monkeypatch):
    monkeypatch.delenv("TPU_SKIP_MDS_QUERY", raising=False)
    slices = "\n".join(f"{name}: '{value}'" for name, value in SLICES.items())
    tpu.update(GCE | {"tpu-env": slices, "worker-network-endpoints": "w0,w1,w2,w3"})
    assert seen() == ("first-0.svc:8482", 12, 11)


def test_a_job_of_kubernetes(environment, monkeypatch):
    environment({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "1"})
    client = types.SimpleNamespace(
        CoreV1Api=lambda: None,
        BatchV1Api=lambda: None,
        exceptions=types.SimpleNamespace(ApiException=OSError),
    )
    config = types.SimpleNamespace(load_incluster_config=lambda: None)
    package = types.SimpleNamespace(client=client, config=config)
    monkeypatch.setitem(sys.modules, "kubernetes", package)
    job = types.SimpleNamespace(
        metadata=types.SimpleNamespace(name="tune", labels={"jobset.sigs.k8s.io/jobset-name": "s"}),
        spec=types.SimpleNamespace(parallelism=2),
    )
    cluster = k8s_cluster.K8sCluster
    monkeypatch.setattr(cluster, "_job", lambda: job)
    monkeypatch.setattr(cluster, "_pod", lambda: None)
    monkeypatch.setattr(cluster, "_controller", lambda: types.SimpleNamespace(kind="Job"))
    monkeypatch.setattr("socket.gethostbyname", lambda host: "10.0.0.1")
    assert seen() == ("tune-0.s:55527", 2, 1)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"JAX_PROCESS_ID": "1"}, "JAX_PROCESS_ID=1, and JAX_COORDINATOR_ADDRESS and JAX_NUM_PROC"),
        (OWN | {"JAX_PROCESS_ID": "4"}, "process 4 of 4, expected one from 0 to 3"),
        (OWN | {"JAX_PROCESS_ID": "-1"}, "JAX_PROCESS_ID=-1: expected a whole number"),
        (OWN | {"JAX_COORDINATOR_ADDRESS": "host"}, "JAX_COORDINATOR_ADDRESS=host: expected HOST:"),
        ({"JAX_COORDINATOR_ADDRESS": "host:1"}, "JAX_COORDINATOR_ADDRESS=host:1: there are other"),
        (OPEN_MPI, "there are other processes|Open MPI 5 or newer requires mpi4py"),
        ({"SLURM_PROCID": "2"}, "SLURM_PROCID=2: there are other processes"),
        (SLURM | {"SLURM_PROCID": "8"}, "SlurmCluster: process 8 of 8, expected one from 0 to 7"),
        (
            SLURM | {"SLURM_NTASKS": "8(x2)"},
            r"SlurmCluster, and can't read which \(ValueError:",
        ),
        ({**OPEN_MPI, **ORTE, "OMPI_COMM_WORLD_SIZE": ""}, "OmpiCluster, and can't read which"),
    ],
)
def test_what_contradicts_itself_is_refused(environment, variables, message):
    environment(variables)
    with pytest.raises(ValueError, match=message) as refused:
        processes.find()
    assert str(refused.value).count("\n") == 0


@pytest.fixture
def initialized(monkeypatch):
    """What JAX is told when it is to connect."""
    calls = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *a, **k: calls.append((a, k)))
    monkeypatch.setattr(jax.config, "update", lambda *_: None)
    return calls


def test_connects_once_where_there_are_others(environment, initialized, monkeypatch):
    processes.connect()
    assert not initialized
    environment(OWN)
    processes.connect()
    ((args, options),) = initialized
    assert args == ("host:1234", 4, 3)
    assert options["initialization_timeout"] > processes.CONNECT_SECONDS
    monkeypatch.setattr(jax.distributed, "is_initialized", lambda: True)
    processes.connect()
    assert len(initialized) == 1


def test_tells_of_a_process_that_can_t_be_reached():
    address = "127.0.0.1:9"  # where nothing listens
    ended = subprocess.run(
        [sys.executable, "-c", "from ift_jax.assemble import processes; processes.connect(1)"],
        env={**os.environ, **OWN, "JAX_COORDINATOR_ADDRESS": address},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.endswith(
        "process 3 of 4 (by JAX_NUM_PROCESSES and JAX_PROCESS_ID) has waited 1 s for the others at"
        " 127.0.0.1:9; nothing answers there (Connection refused): start process 0, or name in"
        " JAX_COORDINATOR_ADDRESS an address and port by which this host reaches it\n"
    )
