"""Starts several processes of one command on this machine, and watches them.

A process that is lost can't say so, and JAX ends the others for want of it: only who started them
can name the one that ended first.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from ift_jax.assemble.processes import ADDRESS, COUNT, INDEX


def launch(command: Sequence[str], count: int, cpu_devices: int | None = None) -> int:
    """Runs a command in processes that know of each other, until all have ended.

    What they print is passed on line by line, each after its process's index. When one fails, it is
    named and the others are killed, as they can't go on. SIGTERM and SIGINT are passed on to all.

    Args:
        command: a Python script and its options.
        count: how many processes.
        cpu_devices: how many devices on the CPU each has; None gives each the accelerator of its
            index.

    Returns:
        The exit status: 0, or that of the process which failed, 128 + n if signal n killed it.
    """
    address = f"127.0.0.1:{_free_port()}"
    ended: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
    started: list[subprocess.Popen] = []
    printing: list[threading.Thread] = []

    def pass_on(number: int, _: Any) -> None:
        for process in started:
            process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        for index in range(count):
            process = _start(command, _environment(address, count, index, cpu_devices))
            started.append(process)
            streams = (process.stdout, sys.stdout), (process.stderr, sys.stderr)
            printing += (_thread(_pass_on_lines, *pair, f"[{index}] ") for pair in streams)
            _thread(lambda *args: ended.put((args[0], args[1].wait())), index, process)
        failed = next(filter(lambda each: each[1], (ended.get() for _ in started)), None)
    finally:
        for process in started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for thread in printing:
            thread.join()
        for number, handler in before.items():
            signal.signal(number, handler)
    if failed is None:
        return 0
    index, status = failed
    how = f"ended with exit status {status}"
    if status < 0:
        how = f"was killed by {signal.Signals(-status).name}"
    print(
        f"launch: process {index} of {count} (pid {started[index].pid}) {how}; the others were"
        " killed, as they can't go on without it",
        file=sys.stderr,
    )
    return status if status > 0 else 128 - status


def _start(command: Sequence[str], environment: dict[str, str]) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *command],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,  # what a terminal sends comes once, from here
    )


def _environment(address: str, count: int, index: int, cpu_devices: int | None) -> dict[str, str]:
    """What a process is told; see `processes.find`."""
    environment = {
        **os.environ,
        ADDRESS: address,
        "JAX_COORDINATOR_BIND_ADDRESS": address,  # JAX's own choice is open to the network
        COUNT: str(count),
        INDEX: str(index),
        "PYTHONUNBUFFERED": "1",
        "TQDM_MININTERVAL": "10",  # of a bar, each refreshing becomes a line
    }
    if cpu_devices is None:
        return environment | {"JAX_LOCAL_DEVICE_IDS": str(index)}
    devices = f"--xla_force_host_platform_device_count={cpu_devices}"
    flags = f"{os.environ.get('XLA_FLAGS', '')} {devices}"
    return environment | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _pass_on_lines(source: TextIO, sink: TextIO, prefix: str) -> None:
    for line in source:
        sink.write(f"{prefix}{line.rstrip()}\n")
        sink.flush()


def _thread(work: Callable[..., None], *args: Any) -> threading.Thread:
    thread = threading.Thread(target=work, args=args, daemon=True)
    thread.start()
    return thread
