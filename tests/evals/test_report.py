"""Two evaluations compared, written, and read back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ift_jax.evals import report
from ift_jax.evals.mmlu import MMLU
from tests.evals.toys import Functions, Tokenizer

ROOT = Path(__file__).parents[2]


def record(subject, index, right, **changes):
    return {
        "subject": subject, "index": index, "key": "A", "choice": "A" if right else "B",
        "protocol": "answer_text", "sha256": f"{subject}{index}",
    } | changes  # fmt: skip


BEFORE = [record("a", i, i < 3) for i in range(8)] + [record("b", i, False) for i in range(6)]
AFTER = [record("a", i, 1 <= i < 6) for i in range(8)] + [record("b", i, i < 5) for i in range(6)]


def test_compare_by_hand():
    got = report.compare(BEFORE, list(reversed(AFTER)))
    assert got["n_questions"] == 14
    assert got["before"] == pytest.approx(3 / 14)
    assert got["after"] == pytest.approx(10 / 14)
    assert got["delta"] == pytest.approx(7 / 14)
    # 8 gains, 1 loss: 2·(1 + 9)/2⁹.
    assert got["p_value"] == pytest.approx(20 / 512)
    assert got["interval"][0] < 0.5 < got["interval"][1]


def test_compare_some():
    got = report.compare(BEFORE, AFTER, subjects=["b"])
    assert (got["before"], got["n_questions"]) == (0, 6)
    got = report.compare(BEFORE, AFTER, questions=[("a", 0), ("b", 0)])
    assert (got["before"], got["after"], got["n_questions"]) == (0.5, 0.5, 2)
    with pytest.raises(ValueError, match="nothing to compare"):
        report.compare(BEFORE, AFTER, subjects=["c"])


@pytest.mark.parametrize(
    ("after", "message"),
    [
        (AFTER[:-1], "1 questions are only in the first, such as b 5"),
        ([*AFTER, record("c", 0, True)], "1 questions are only in the second, such as c 0"),
        ([*AFTER[:-1], record("b", 5, True, sha256="x")], "b, question 5 has sha256"),
        ([*AFTER[:-1], record("b", 5, True, key="C")], "b, question 5 has key"),
        ([*AFTER[:-1], record("b", 5, True, protocol="original")], "has protocol 'answer_text'"),
        ([*AFTER, AFTER[0]], "the second has 1 records of the same"),
    ],
)
def test_runs_that_differ_are_refused(after, message):
    with pytest.raises(ValueError, match=message):
        report.compare(BEFORE, after)


@pytest.fixture
def evaluated(tmp_path):
    """A function that evaluates a toy model into tmp_path/<name>."""
    for split in ("dev", "test"):
        (tmp_path / "data" / split).mkdir(parents=True)
        for subject in ("cats", "big_dogs"):
            lines = "".join(f"What is {i}?,a {i},b {i},c {i},d,{'ABCD'[i % 4]}\n" for i in range(9))
            (tmp_path / "data" / split / f"{subject}_{split}.csv").write_text(lines)

    def evaluate(name, seed, **options):
        functions = Functions(V=Tokenizer.vocab_size)
        options = {"protocol": "answer_text"} | options
        evaluation = MMLU(functions, Tokenizer(), tmp_path / "data", **options)
        evaluation.run(functions.init(seed), tmp_path / name)
        return tmp_path / name

    return evaluate


def test_report_script_round_trip(evaluated, tmp_path):
    before, after = evaluated("base", 0), evaluated("tuned", 1, prompt_format="flan")
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text("".join(f'{{"step": {i}, "loss": {9 / (i + 1)}}}\n' for i in range(50)))
    out = tmp_path / "out"
    done = subprocess.run(
        [
            sys.executable, ROOT / "scripts" / "report.py", before, after,
            f"--out={out}", f"--metrics={metrics}",
        ],
        capture_output=True, text=True, check=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    result = json.loads((out / "report.json").read_text())
    summary = json.loads((after / "summary.json").read_text())
    assert result["overall"]["after"] == summary["micro"]["accuracy"]
    assert result["overall"]["n_questions"] == 18
    assert set(result["subjects"]) == {"cats", "big_dogs"}
    assert (out / "report.md").read_text() in done.stdout
    assert "| big dogs | 9 |" in done.stdout
    assert (out / "report.png").read_bytes().startswith(b"\x89PNG")


def test_report_refuses_other_shots_or_protocol(evaluated):
    before = report.load(evaluated("base", 0))
    with pytest.raises(ValueError, match="differ in their number of shots: '0' and '1'"):
        report.report(before, report.load(evaluated("shots", 0, shots=1)))
    with pytest.raises(ValueError, match="differ in their protocol: 'answer_text' and 'answer_t"):
        report.report(before, report.load(evaluated("p", 0, protocol="answer_text_unseen")))
    with pytest.raises(ValueError, match="questions are only in the first, such as"):
        report.report(before, report.load(evaluated("fewer", 0, limit=4)))


def test_load_names_what_is_wrong(evaluated, tmp_path):
    with pytest.raises(ValueError, match=r"no records\.jsonl"):
        report.load(tmp_path)
    folder = evaluated("base", 0)
    with (folder / "records.jsonl").open("a") as file:
        file.write('{"subject": "x"}\n')
    with pytest.raises(ValueError, match=r"records\.jsonl, line 19: the field 'choice' is missing"):
        report.load(folder)


def test_formatting():
    assert report.percent(0.43167) == "43.2%"
    assert report.p_value(0.0312) == "0.031"
    assert report.p_value(1e-30) == "< 1e-12"
