"""The launcher, with scripts that only say who they are."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from ift_jax.assemble.launcher import launch

ROOT = pathlib.Path(__file__).parent.parent.parent


@pytest.fixture
def script(tmp_path):
    """Makes a script of statements, which know `index`."""

    def make(statements: str) -> list[str]:
        path = tmp_path / "script.py"
        header = "import os, signal, sys, time\nindex = int(os.environ['JAX_PROCESS_ID'])\n"
        path.write_text(header + statements)
        return [str(path)]

    return make


def test_lines_come_with_the_index_of_their_process(script, capfd):
    command = script("print(f'out\\nof {index}'); print('error', file=sys.stderr)")
    assert launch(command, 2) == 0
    printed = capfd.readouterr()
    assert sorted(printed.out.splitlines()) == ["[0] of 0", "[0] out", "[1] of 1", "[1] out"]
    assert sorted(printed.err.splitlines()) == ["[0] error", "[1] error"]


def test_processes_are_told_of_each_other_and_of_their_devices(script, capfd, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--a=b --xla_force_host_platform_device_count=8")
    names = ("COORDINATOR_ADDRESS", "NUM_PROCESSES", "LOCAL_DEVICE_IDS", "PLATFORMS")
    command = script(
        f"print(*[os.environ.get('JAX_' + name) for name in {names}], os.environ['XLA_FLAGS'])"
    )
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    assert launch(command, 2) == 0
    lines = sorted(capfd.readouterr().out.splitlines())
    assert [line.split()[2:5] for line in lines] == [["2", "0", "None"], ["2", "1", "None"]]
    assert len({line.split()[1] for line in lines}) == 1
    assert launch(command, 1, cpu_devices=3) == 0
    (line,) = capfd.readouterr().out.splitlines()
    assert line.split()[2:5] == ["1", "None", "cpu"]
    assert line.endswith("--a=b --xla_force_host_platform_device_count=8"
                         " --xla_force_host_platform_device_count=3")  # fmt: skip


@pytest.mark.parametrize(
    ("ends", "how", "status"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL", 128 + 9),
        ("sys.exit(3)", "ended with exit status 3", 3),
    ],
)
def test_the_process_that_ended_first_is_named_and_the_others_are_killed(
    script, capfd, ends, how, status
):
    """The survivors here don't heed SIGTERM, as those that wait for a collective."""
    began = time.monotonic()
    command = script(
        f"print(os.getpid(), flush=True)\nif index == 1:\n    time.sleep(0.3)\n    {ends}\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(60)"
    )
    assert launch(command, 3) == status
    assert time.monotonic() - began < 20
    printed = capfd.readouterr()
    pids = dict(line.split() for line in printed.out.splitlines())
    assert f"launch: process 1 of 3 (pid {pids['[1]']}) {how};" in printed.err
    for pid in pids.values():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_are_passed_on_to_all(script, number):
    command = script(
        "def stop(number, frame):\n    print('stopped', number, flush=True)\n    sys.exit(0)\n"
        f"signal.signal({int(number)}, stop)\nprint('ready', flush=True)\ntime.sleep(60)"
    )
    launcher = subprocess.Popen(
        [sys.executable, "scripts/launch.py", "--processes=2", "--", *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    ready = [launcher.stdout.readline() for _ in range(2)]
    launcher.send_signal(number)
    rest, _ = launcher.communicate(timeout=60)
    assert sorted(ready) == ["[0] ready\n", "[1] ready\n"]
    assert sorted(rest.splitlines()) == [f"[{i}] stopped {int(number)}" for i in range(2)]
    assert launcher.returncode == 0
