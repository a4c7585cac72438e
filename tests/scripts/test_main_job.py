"""Train, evaluate and report as a person runs them, where TensorFlow would be noticed."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

from ift_jax.tasks.world import questions

ROOT = pathlib.Path(__file__).parent.parent.parent


@pytest.fixture
def run(tmp_path):
    """Runs a script; importing TensorFlow in it leaves a file behind."""
    trap = tmp_path / "modules" / "tensorflow"
    trap.mkdir(parents=True)
    noticed = tmp_path / "imported"
    (trap / "__init__.py").write_text(
        f"open({str(noticed)!r}, 'w').close()\nraise ImportError('TensorFlow was imported')\n"
    )

    def run(script, *options):
        found = subprocess.run(
            [sys.executable, ROOT / "scripts" / f"{script}.py", *map(str, options)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": f"{trap.parent}:{ROOT}"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert found.returncode == 0, found.stderr[-2000:]
        assert not noticed.exists(), f"{script} imports TensorFlow"
        return found.stdout

    return run


@pytest.mark.slow
def test_train_evaluate_report(run, tmp_path):
    questions.write_mmlu(tmp_path / "mmlu")
    run(
        "train",
        f"--config={ROOT}/configs/quickstart.py",
        "--workdir=run",
        "--config.steps=2",
        "--config.mesh=data:1,fsdp:4,tensor:2",
    )
    data = ("--data=mmlu", "--limit=2", "--shots=0", "--protocol=answer_text")
    run("evaluate", "--checkpoint=bundled", *data, "--out=before")
    printed = run("evaluate", "--checkpoint=run", *data, "--out=after")
    assert "44 of 1,126" in printed
    assert len((tmp_path / "after/records.jsonl").read_text().splitlines()) == 44
    printed = run("report", "before", "after", "--metrics=run", "--out=report")
    assert "44" in printed
    report = json.loads((tmp_path / "report/report.json").read_text())
    (compared,) = report["comparisons"]
    assert compared["overall"]["n_questions"] == 44
    for side, each in zip(("before", "after"), report["evaluations"], strict=True):
        summary = json.loads((tmp_path / side / "summary.json").read_text())
        right = summary["micro"]["accuracy"]
        assert each["micro"]["accuracy"] == compared["overall"][side] == right
        assert each["calibration"]["accuracy"] == pytest.approx(right)
        assert each["answer_mass"] is None  # of texts it means nothing
