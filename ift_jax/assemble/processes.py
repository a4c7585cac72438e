"""Several processes of one command: found in the environment, connected before any device is used.

How many there are, which one this is, and where process 0 listens is said by, in this order:

1. JAX_NUM_PROCESSES, JAX_PROCESS_ID and JAX_COORDINATOR_ADDRESS (HOST:PORT), as scripts/launch.py
   sets them. JAX_NUM_PROCESSES=1 alone runs a process by itself, whatever else is set.
2. Open MPI, with JAX_COORDINATOR_ADDRESS: since version 5 it doesn't say where process 0 is.
3. What JAX detects: Open MPI before that, Slurm's srun, TPU slices on GKE and GCE, Kubernetes jobs.

Where nothing says so, or there is one process, nothing is connected.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence

import jax

# JAX offers its detection only as a part of `jax.distributed.initialize`, which connects at once.
from jax._src.clusters import ClusterEnv

ADDRESS, COUNT, INDEX = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"

OPEN_MPI = ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK")

RANKS = {"Open MPI": OPEN_MPI[1], "Slurm": "SLURM_PROCID"}
"""Where launchers say which process this is, from 0."""

CONNECT_SECONDS = 300
"""How long processes wait for each other at the start: hosts of a pod come up minutes apart."""

HEARTBEAT_SECONDS = 60
"""How long a process may be silent before JAX ends the others. A thread outside Python sends the
heartbeats: neither compiling nor reading data holds them up."""

FIX = (
    f"set {ADDRESS}=HOST:PORT of process 0, {COUNT} and {INDEX} in each process (of Open MPI's"
    f" processes the address suffices), or {COUNT}=1 to run this one by itself"
)


@dataclasses.dataclass(frozen=True)
class Processes:
    """The processes of a run, as one of them finds them.

    Attributes:
        coordinator: HOST:PORT where process 0 listens.
        count: how many there are.
        index: which one this is, from 0.
        source: what says so.
        devices: ids of the host's devices that are this process's; None leaves that to JAX.
    """

    coordinator: str
    count: int
    index: int
    source: str
    devices: Sequence[int] | None = None


def find(timeout: int = CONNECT_SECONDS) -> Processes | None:
    """The processes that the environment tells of; None where this one is alone.

    Args:
        timeout: seconds that JAX may wait for the coordinator's name to be known.

    Raises:
        ValueError: the environment contradicts itself; says what was seen, and what to set.
    """
    if os.environ.get(COUNT) == "1":
        return None
    found = _stated() or _detected(timeout)
    if found is None:
        _check_alone()
        return None
    if not 0 <= found.index < found.count:
        raise ValueError(
            f"{found.source}: process {found.index} of {found.count}, expected one from 0 to"
            f" {found.count - 1}; {FIX}"
        )
    return found if found.count > 1 else None


def connect(timeout: int = CONNECT_SECONDS) -> None:
    """Connects this process with the others of its run, once, if there are any.

    Where some don't come, the process ends with exit status 1 and a line that says so.

    Args:
        timeout: seconds to wait for them.

    Raises:
        ValueError: see `find`.
        RuntimeError: devices were used before.
    """
    if jax.distributed.is_initialized() or (found := find(timeout)) is None:
        return
    # It would take SIGTERM for itself; `train.loop` has the processes agree on when to stop.
    jax.config.update("jax_enable_preemption_service", False)
    # JAX ends a process that can't connect from C++, without a word on what to do about it.
    patience = threading.Timer(timeout, _give_up, [found, timeout])
    patience.daemon = True
    patience.start()
    jax.distributed.initialize(
        found.coordinator,
        found.count,
        found.index,
        local_device_ids=found.devices,
        initialization_timeout=timeout + 60,
        heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
    )
    patience.cancel()


@contextlib.contextmanager
def leaving_on_failure() -> Iterator[None]:
    """Ends a connected process at once when what is inside fails, with the usual message.

    Python's own way out would wait for the other processes, which may be waiting for this one.
    """
    try:
        yield
    except BaseException as error:
        exits = isinstance(error, SystemExit)
        if not jax.distributed.is_initialized() or (exits and not error.code):
            raise
        if not exits:
            traceback.print_exception(error)
        elif isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(error.code if exits and isinstance(error.code, int) else 1)


def _stated() -> Processes | None:
    """The processes that JAX_… variables name, or the address and Open MPI."""
    count, index, local = COUNT, INDEX, None
    if not {COUNT, INDEX} & set(os.environ):
        if ADDRESS not in os.environ or not set(OPEN_MPI) <= set(os.environ):
            return None
        count, index, local = OPEN_MPI
    names = (ADDRESS, count, index)
    if missing := [name for name in names if name not in os.environ]:
        seen = ", ".join(f"{name}={os.environ[name]}" for name in names if name in os.environ)
        raise ValueError(f"{seen}, and {' and '.join(missing)} not set; {FIX}")
    host, _, port = os.environ[ADDRESS].rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(
            f"{ADDRESS}={os.environ[ADDRESS]}: expected HOST:PORT, where process 0 listens"
        )
    return Processes(
        os.environ[ADDRESS],
        _number(count),
        _number(index),
        f"{count} and {index}",
        local and [_number(local)],
    )


def _detected(timeout: int) -> Processes | None:
    """The processes that JAX detects."""
    name = ""
    try:
        for cluster in ClusterEnv._cluster_types:
            name = cluster.__name__
            if not cluster.opt_in_only_method and cluster.is_env_present():
                break
        else:
            return None
        count, index = cluster.get_process_count(), cluster.get_process_id()
        port = os.environ.get("JAX_COORDINATOR_PORT")
        address = os.environ.get(ADDRESS) or cluster.get_coordinator_address(timeout, port)
    except Exception as error:  # whatever a malformed environment makes of a parser
        raise ValueError(
            f"JAX takes this for a process of a {name}, and can't read which"
            f" ({type(error).__name__}: {error}); {FIX}"
        ) from error
    return Processes(address, count, index, f"JAX's {name}")


def _check_alone() -> None:
    """Refuses to run by itself what has signs of other processes.

    Raises:
        ValueError: an address without a number of processes, or a rank above 0.
    """
    signs = [ADDRESS] if ADDRESS in os.environ else []
    signs += [name for name in RANKS.values() if os.environ.get(name, "0") != "0"]
    if signs:
        seen = ", ".join(f"{name}={os.environ[name]}" for name in signs)
        raise ValueError(
            f"{seen}: there are other processes, and nothing says how many and where; {FIX}"
        )


def _number(name: str) -> int:
    if not os.environ[name].isdecimal():
        raise ValueError(f"{name}={os.environ[name]}: expected a whole number")
    return int(os.environ[name])


def _give_up(found: Processes, timeout: int) -> None:
    """Ends a process that has waited long enough for the others."""
    host, _, port = found.coordinator.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
        why = "process 0 answers there, and another is missing: look at what it printed"
    except OSError as error:
        why = (
            f"nothing answers there ({error.strerror or error}): start process 0, or name in"
            f" {ADDRESS} an address and port by which this host reaches it"
        )
    print(
        f"process {found.index} of {found.count} (by {found.source}) has waited {timeout} s for the"
        f" others at {found.coordinator}; {why}",
        file=sys.stderr,
        flush=True,
    )
    os._exit(1)
