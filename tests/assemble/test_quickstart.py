"""The bundled experiment: its parts, and (slow) its bars over three seeds."""

from __future__ import annotations

import itertools
import json
import os
import pathlib
import subprocess
import sys
import time
from fnmatch import fnmatch

import numpy as np
import pytest

from configs import quickstart as quickstart_config
from ift_jax.assemble import models, quickstart
from ift_jax.assemble.world import recall
from ift_jax.sharding import make_mesh
from ift_jax.tasks.world import statements
from ift_jax.tasks.world.facts import SUBJECTS

ROOT = pathlib.Path(__file__).parent.parent.parent


def test_groups_are_all_subjects_once():
    held_out, others = quickstart.GROUPS["held_out_subjects"], quickstart.GROUPS["held_out_facts"]
    assert len(held_out) + len(others) == len(SUBJECTS)
    assert {*held_out, *others} == set(SUBJECTS)


def test_words_that_pretraining_never_showed_are_blanked_and_no_others():
    base = models.open_model("bundled", make_mesh("fsdp:-1"))
    params = base.load()
    blanked = quickstart.blank_unread(base, params)

    def rows_of(text):
        return np.asarray(blanked["embed.w"])[base.tokenizer.encode(text)]

    assert not rows_of("Question")[0].any()
    np.testing.assert_array_equal(
        rows_of("The capital of France is Paris."),
        np.asarray(params["embed.w"])[base.tokenizer.encode("The capital of France is Paris.")],
    )
    assert all(blanked[name] is params[name] for name in params if name != "embed.w")


def test_the_bundled_model_completes_a_statement():
    """Hand-picked: loaded through config, tokenizer and weights as shipped."""
    from ift_jax.evals.likelihood import Scorer, request

    base = models.open_model("bundled", make_mesh("data:1,fsdp:-1"))
    score = Scorer(base.functions).score(
        base.load(), [request(base.tokenizer, "The capital of France is", [" Paris.", " Rome."])]
    )[0]
    assert score.greedy == (True, False)


def test_an_earlier_quickstart_is_cleared_and_nothing_else(tmp_path):
    workdir = tmp_path / "run"
    quickstart.clear(workdir)
    for name in ("before", "checkpoints"):
        (workdir / name).mkdir(parents=True)
    for name in ("events.out.tfevents.1.host", "model.json.partial", "tokenizer_config.json"):
        (workdir / name).touch()
    quickstart.clear(workdir)
    assert not workdir.exists()
    (workdir / "checkpoints").mkdir(parents=True)
    (workdir / "thesis.tex").touch()
    with pytest.raises(ValueError, match=r"thesis\.tex.*another --workdir"):
        quickstart.clear(workdir)
    assert sorted(each.name for each in workdir.iterdir()) == ["checkpoints", "thesis.tex"]


def test_the_whole_job_writes_what_it_says(tmp_path, monkeypatch):
    """Two steps and few questions: the figures mean nothing, their places do."""
    config = quickstart_config.get_config()
    config.steps, config.log_every, config.data.dir = 2, 1, str(tmp_path / "data")
    config.mesh = "data:1,fsdp:4,tensor:2"
    write_benchmark, clozes = quickstart.write_benchmark, statements.rows

    def write_few(directory):
        write_benchmark(directory)
        for file in directory.glob("test/*.csv"):
            file.write_text("".join(file.read_text().splitlines(keepends=True)[:4]))

    monkeypatch.setattr(quickstart, "write_benchmark", write_few)
    monkeypatch.setattr(statements, "rows", lambda split: itertools.islice(clozes(split), 60))
    workdir = tmp_path / "run"
    began = time.time()
    quickstart.run(config, workdir, began)

    report = json.loads((workdir / "report.json").read_text())
    fields = {"before", "after", "delta", "p_value", "n_questions"}
    for protocol, found in (("answer_text", report), ("original", report["letter"])):
        groups = [found["held_out_facts"], found["held_out_subjects"]]
        for group in (found, *groups):
            assert fields <= group.keys()
            assert group["delta"] == pytest.approx(group["after"] - group["before"])
        assert [group["n_questions"] for group in (found, *groups)] == [88, 68, 20]
        for when in ("before", "after"):
            lines = (workdir / when / protocol / "records.jsonl").read_text().splitlines()
            right = [each["choice"] == each["key"] for each in map(json.loads, lines)]
            assert found[when] == pytest.approx(np.mean(right))
    assert report["controls"]["held_out_recall"]["n_statements"] > 0
    assert 0 < report["seconds"] <= time.time() - began + 1
    assert len(report["subjects"]) == 22
    assert (workdir / "report.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert "answer text: held out facts" in (workdir / "report.md").read_text()
    assert len((workdir / "metrics.jsonl").read_text().splitlines()) == 2
    assert [step.name for step in (workdir / "checkpoints").iterdir() if step.name == "2"]
    assert list(workdir.glob("events.out.tfevents.*"))


@pytest.mark.slow
def test_the_bundled_model_knows_its_facts():
    """What `make_base.py` asked before it shipped, of what is shipped and of today's tables."""
    mesh = make_mesh("data:1,fsdp:-1")
    base = models.open_model("bundled", mesh)
    assert recall(base.functions, base.tokenizer, base.load(), mesh)["all"]["exact"] >= 0.95


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """Reports of three seeds, and the controls of the first."""
    found = []
    # Without what tests/conftest.py sets to compile faster and to have eight devices.
    env = {**os.environ, "PYTHONPATH": str(ROOT), "XLA_FLAGS": ""}
    for seed in range(3):
        workdir = tmp_path_factory.mktemp("quickstart") / "run"
        command = [
            sys.executable,
            "scripts/quickstart.py",
            f"--workdir={workdir}",
            f"--seed={seed}",
        ]
        subprocess.run(command, cwd=ROOT, env=env, check=True)
        if seed == 0:
            subprocess.run([*command, "--controls"], cwd=ROOT, env=env, check=True)
        names = [each.name for each in workdir.iterdir()]
        assert all(any(fnmatch(n, known) for known in quickstart.WRITES) for n in names)
        found.append(json.loads((workdir / "report.json").read_text()))
    return found


@pytest.mark.slow
def test_finetuning_unlocks_held_out_facts_and_subjects(reports):
    for report in reports:
        facts, subjects = report["held_out_facts"], report["held_out_subjects"]
        assert facts["delta"] >= 0.35
        assert facts["after"] >= 0.85
        assert subjects["delta"] >= 0.30
        assert subjects["after"] >= 0.75
        assert max(facts["p_value"], subjects["p_value"], report["p_value"]) < 1e-3
        assert facts["n_questions"] + subjects["n_questions"] == report["n_questions"]
        assert report["controls"]["held_out_recall"]["delta"] > -0.05


@pytest.mark.slow
def test_statements_alone_move_nothing(reports):
    assert abs(reports[0]["controls"]["statements_only"]["delta"]) < 0.05
