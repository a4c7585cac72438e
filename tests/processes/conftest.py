"""Runs of several processes on loopback, started as a person starts them."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

from ift_jax.tasks.world import questions

ROOT = pathlib.Path(__file__).parent.parent.parent

CONFIG = """
from ift_jax.assemble.models import BUNDLED
from ift_jax.config import base


def get_config():
    config = base()
    config.model.init = "llama:tiny"
    config.model.tokenizer = str(BUNDLED)
    config.model.dropout = 0.1
    config.mixture.entries = ({"task": "world.number_comparison"},)
    config.data.length = 64
    config.batch.rows = 8
    config.steps = 6
    config.log_every = 1
    config.checkpoint.every = 2
    return config.lock()
"""

SIGNALLED = """
import os, runpy, sys, time
from ift_jax.checkpoints.store import Store

index, number, step = sys.argv.pop(1), int(sys.argv.pop(1)), int(sys.argv.pop(1))
check_errors, checks = Store.check_errors, []


def signalled(self):
    checks.append(None)
    if os.environ["JAX_PROCESS_ID"] == index and len(checks) == step:
        while not self.steps():
            time.sleep(0.01)
        os.kill(os.getpid(), number)
    check_errors(self)


Store.check_errors = signalled
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs a script, of which one process is sent a signal after so many steps, when a checkpoint is
there: `signalled.py INDEX NUMBER STEPS SCRIPT …`."""


class Runner:
    """Launches scripts in a folder."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        (folder / "config.py").write_text(CONFIG)
        (folder / "signalled.py").write_text(SIGNALLED)
        questions.write_mmlu(folder / "mmlu")
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            # What one run compiles the next one finds.
            "JAX_ENABLE_COMPILATION_CACHE": "true",
            "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }

    def __call__(self, processes: int, devices: int, *command: str, status: int = 0) -> str:
        """Runs a command to its end, and checks its exit status; what was printed."""
        ended = subprocess.run(
            [sys.executable, ROOT / "scripts/launch.py", f"--processes={processes}",
             f"--devices={devices}", "--", *command],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )  # fmt: skip
        assert ended.returncode == status, ended.stdout[-5000:]
        return ended.stdout

    def start(self, index: int, address: str, *command: str) -> subprocess.Popen:
        """Starts one of two processes by hand."""
        return subprocess.Popen(
            [sys.executable, *command],
            cwd=self.folder,
            env={**self.environment, "JAX_COORDINATOR_ADDRESS": address,
                 "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": str(index)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def train(self, workdir: str) -> list[str]:
        """The command that trains in a folder."""
        options = ("--config=config.py", f"--workdir={workdir}", "--config.data.dir=data")
        return [str(ROOT / "scripts/train.py"), *options]

    def evaluate(self, workdir: str, out: str) -> list[str]:
        """The command that evaluates a folder's model."""
        asked = ("--data=mmlu", "--limit=2", "--shots=0", "--protocol=answer_text")
        options = (f"--checkpoint={workdir}", f"--out={out}")
        return [str(ROOT / "scripts/evaluate.py"), *asked, *options]


@pytest.fixture(scope="session")
def launch(tmp_path_factory):
    return Runner(tmp_path_factory.mktemp("processes"))
