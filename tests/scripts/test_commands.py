"""The scripts as a person runs them: what they print when the input is wrong."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent


def run(script: str, *options: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, f"scripts/{script}.py", *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


QUICKSTART = "--config=configs/quickstart.py"


@pytest.mark.parametrize(
    ("script", "options", "message"),
    [
        (
            "train",
            (QUICKSTART, "--config.optimizer.lrr=1"),
            "train: --config.optimizer.lrr=1: no such config key. Did you mean 'lr'?",
        ),
        (
            "train",
            (QUICKSTART, "--config.optimizer.lr=-1"),
            "train: config.optimizer.lr = -1.0, expected a finite number in (0, inf]",
        ),
        ("train", ("--config=configs/quickstar.py",), "configs/quickstar.py"),
        ("inspect_data", (QUICKSTART, "more"), "inspect_data: unexpected ['more']"),
        (
            "import_checkpoint",
            ("--source=configs", "--out={tmp}/out"),
            "import_checkpoint: configs: neither a model directory (model.json)",
        ),
        (
            "evaluate",
            ("--checkpoint=bundled", "--data=configs", "--out={tmp}/out"),
            "evaluate: configs",
        ),
    ],
)
def test_wrong_input_is_one_line_without_a_trace(script, options, message, tmp_path):
    workdir = (f"--workdir={tmp_path}/run",) if script == "train" else ()
    done = run(script, *(option.format(tmp=tmp_path) for option in options), *workdir)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
