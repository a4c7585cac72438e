from __future__ import annotations

import io
import json
import subprocess
import sys
import types

import pytest

from ift_jax import metrics


def steps(path):
    return [record["step"] for record in metrics.read(path / "metrics.jsonl")]


def write(path, first, last, resume_step=0):
    writer = metrics.Writer(path, resume_step=resume_step)
    for step in range(first, last + 1):
        writer.write(step, {"loss": 1.0 / step})
    writer.close()


def test_resuming_drops_the_steps_that_are_done_again(tmp_path):
    write(tmp_path, 1, 5)
    write(tmp_path, 4, 6, resume_step=3)
    assert steps(tmp_path) == [1, 2, 3, 4, 5, 6]
    write(tmp_path, 1, 2)
    assert steps(tmp_path) == [1, 2]


def test_a_torn_last_line_is_dropped(tmp_path):
    write(tmp_path, 1, 3)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')
    assert steps(tmp_path) == [1, 2, 3]
    write(tmp_path, 4, 4, resume_step=3)
    assert steps(tmp_path) == [1, 2, 3, 4]


def test_a_foreign_file_is_refused_and_kept(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"loss": 2}\n')
    with pytest.raises(ValueError, match=r"metrics.jsonl: line 2 is '{\"loss\": 2}'"):
        metrics.Writer(tmp_path)
    assert (tmp_path / "metrics.jsonl").read_text().count("\n") == 2


def test_numbers_that_json_lacks_are_null(tmp_path):
    writer = metrics.Writer(tmp_path)
    writer.write(1, {"loss": float("nan"), "grad_norm": float("inf"), "skipped": 1})
    line = (tmp_path / "metrics.jsonl").read_text()  # readable before it is closed
    writer.close()
    record = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert record == {"step": 1, "loss": None, "grad_norm": None, "skipped": 1}


def test_events_are_written_without_tensorflow(tmp_path):
    code = (
        "import sys; from ift_jax import metrics;"
        "assert 'tensorboardX' not in sys.modules;"
        f"writer = metrics.Writer({str(tmp_path)!r}); writer.write(1, {{'loss': 2.0}});"
        "writer.close(); assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    (events,) = tmp_path.glob("events.out.tfevents.*")
    assert b"loss" in events.read_bytes()


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_peak_flops_of_known_devices_in_bfloat16_only():
    def peak(kind, dtype="bfloat16"):
        return metrics.peak_flops([types.SimpleNamespace(device_kind=kind)] * 4, dtype)

    assert peak("NVIDIA H100 80GB HBM3") == 4 * 989e12
    assert peak("NVIDIA H100 PCIe") == 4 * 756e12
    assert (peak("TPU v5"), peak("TPU v5 lite")) == (4 * 459e12, 4 * 197e12)
    assert peak("cpu") is None
    assert peak("NVIDIA H100 80GB HBM3 MIG 1g.10gb") is None
    assert peak("NVIDIA H100 80GB HBM3", "float32") is None


def test_speed_by_hand():
    clock = Clock()
    speed = metrics.Speed(step_flops=400.0, target_flops=20.0, peak_flops=1000.0, clock=clock)
    assert speed.report() == {}
    with speed.spending("input"):
        clock.now += 50  # the first step compiles, and counts nowhere
    speed.lap(tokens=7, targets=5)
    assert speed.report() == {}
    for _ in range(2):
        with speed.spending("input"):
            clock.now += 1
        with speed.spending("device"):
            clock.now += 2
        with speed.spending("checkpoint"):
            clock.now += 0.5
        clock.now += 0.5
        speed.lap(tokens=40, targets=10)
    with speed.paused():
        clock.now += 100
    assert speed.report() == {
        "step_seconds": 4.0,
        "tokens_per_second": 10.0,
        "input_share": 0.25,
        "device_share": 0.5,
        "logging_share": 0.0,
        "checkpoint_share": 0.125,
        "mfu": 0.15,
    }
    clock.now += 2
    speed.lap(tokens=10)
    figures = speed.report()
    assert (figures["tokens_per_second"], figures["input_share"]) == (5.0, 0.0)


def test_the_console_names_what_holds_training_up():
    shares = {"input_share": 0.3, "device_share": 0.6, "logging_share": 0.04}
    text = metrics.describe(VALUES | shares)
    assert text == "loss 1.235, 5,679 tokens/s, 96% non-pad, 30% of the time for input"


VALUES = {"loss": 1.23456, "tokens_per_second": 5678.9, "token_share": 0.963}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_bar():
    stream = Terminal()
    progress = metrics.Progress(start=2, stop=4, stream=stream)
    progress.show(3, VALUES)
    progress.say("hello")
    progress.show(4, VALUES)
    progress.close()
    assert "step 4/4" in stream.getvalue()
    assert "loss 1.235, 5,679 tokens/s, 96% non-pad" in stream.getvalue()
    assert "left" in stream.getvalue()
    assert "hello\n" in stream.getvalue()


def test_a_file_gets_lines_now_and_then(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(metrics.time, "monotonic", clock)
    stream = io.StringIO()
    progress = metrics.Progress(start=0, stop=40, stream=stream)
    for step in range(1, 41):
        clock.now += 1.0
        progress.show(step, VALUES)
    progress.close()
    lines = stream.getvalue().splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "step 10/40",
        "step 20/40",
        "step 30/40",
        "step 40/40",
    ]
    assert lines[0] == "step 10/40: loss 1.235, 5,679 tokens/s, 96% non-pad, 00:30 left"
