"""Training, stopping, restoring and evaluating in several processes."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import time

import jax
import numpy as np
import pytest

from ift_jax import metrics
from ift_jax.assemble.models import open_model
from ift_jax.evals.local import Local
from ift_jax.evals.mmlu import read_questions
from ift_jax.evals.multiple_choice import MultipleChoice
from ift_jax.sharding import make_mesh


def losses(workdir):
    return [(r["step"], r["loss"]) for r in metrics.read(workdir / "metrics.jsonl")]


def assert_same_curve(a, b):
    """Of the same devices' sums in another order: equal to f32 rounding."""
    (a_steps, a_losses), (b_steps, b_losses) = (zip(*losses(each), strict=True) for each in (a, b))
    assert a_steps == b_steps
    np.testing.assert_allclose(a_losses, b_losses, rtol=1e-6)


def assert_same_weights(a, b):
    mesh = make_mesh("fsdp:-1")
    a, b = open_model(a, mesh).load(), open_model(b, mesh).load()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def signalled(number: int, step: int, command: list[str], *, index: int = 1) -> list[str]:
    return ["signalled.py", str(index), str(int(number)), str(step), *command]


@pytest.mark.slow
def test_a_killed_run_goes_on_exactly(launch):
    folder = launch.folder
    launch(2, 2, *launch.train("whole"))

    began = time.monotonic()
    printed = launch(
        2, 2, *signalled(signal.SIGKILL, 3, launch.train("killed")), status=128 + signal.SIGKILL
    )
    assert time.monotonic() - began < 120
    assert re.search(r"^launch: process 1 of 2 \(pid \d+\) was killed by SIGKILL", printed, re.M)

    assert "[0] resuming killed after step 2\n" in launch(2, 2, *launch.train("killed"))
    assert losses(folder / "killed") == losses(folder / "whole")
    assert_same_weights(folder / "killed", folder / "whole")


@pytest.mark.slow
def test_an_evaluation_leaves_the_same_records(launch):
    launch(2, 2, *launch.evaluate("bundled", "scores"))
    mesh = make_mesh("fsdp:-1", jax.devices()[:4])
    model = open_model("bundled", mesh)
    questions = read_questions(launch.folder / "mmlu", limit=2)
    local = Local(model.functions, model.tokenizer, mesh)
    asked = MultipleChoice(local, questions, shots=0, protocol="answer_text")
    lines = (launch.folder / "scores/records.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == asked.records(model.load())


@pytest.mark.slow
def test_any_number_of_processes(launch):
    """Eight devices in one process, two and four: the same curve and the same records."""
    folder = launch.folder
    for count in (1, 2, 4):
        launch(count, 8 // count, *launch.train(f"of_{count}"))
        launch(count, 8 // count, *launch.evaluate("of_1", f"by_{count}"))
    for count in (2, 4):
        assert_same_curve(folder / f"of_{count}", folder / "of_1")
        records = folder / f"by_{count}/records.jsonl"
        assert records.read_bytes() == (folder / "by_1/records.jsonl").read_bytes()


@pytest.mark.slow
def test_a_run_goes_on_in_another_number_of_processes(launch):
    """Begun by two; ended by four with twice the devices, and by one."""
    folder = launch.folder
    launch(1, 4, *launch.train("settled"))
    printed = launch(2, 2, *signalled(signal.SIGTERM, 3, launch.train("moved_4")))
    assert "[0] SIGTERM: saved step 4 of 6; the same command goes on from there\n" in printed
    shutil.copytree(folder / "moved_4", folder / "moved_1")
    for count, devices in ((4, 2), (1, 4)):
        printed = launch(count, devices, *launch.train(f"moved_{count}"))
        assert f"[0] resuming moved_{count} after step 4\n" in printed
        assert_same_curve(folder / f"moved_{count}", folder / "settled")


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1])
def test_without_a_launcher_a_survivor_ends_within_two_minutes(launch, lost):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = signalled(signal.SIGKILL, 3, launch.train(f"lost_{lost}"), index=lost)
    started = [launch.start(index, address, *command) for index in range(2)]
    assert started[lost].wait(timeout=120) == -signal.SIGKILL
    assert started[1 - lost].wait(timeout=120) != 0
