from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Runs a script with options, in a fork of `warm.py`."""
    folder = tmp_path_factory.mktemp("printed")
    server = subprocess.Popen(
        [sys.executable, pathlib.Path(__file__).with_name("warm.py")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def run(script: str, *options: str) -> subprocess.CompletedProcess:
        files = [str(folder / name) for name in ("stdout", "stderr")]
        argv = [f"scripts/{script}.py", *options]
        server.stdin.write(json.dumps([dict(os.environ), *files, *argv]) + "\n")
        server.stdin.flush()
        line = server.stdout.readline()
        assert line, f"warm.py ended with {server.wait()}"
        status = int(line)
        printed = (pathlib.Path(file).read_text() for file in files)
        return subprocess.CompletedProcess(argv, status, *printed)

    yield run
    server.stdin.close()
    server.wait(timeout=60)
