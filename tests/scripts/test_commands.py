"""The scripts as a person runs them: what they print when the input is wrong."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent


def test_a_script_runs_by_itself():
    """As the others do in forks, to save the time of importing."""
    done = subprocess.run(
        [sys.executable, "scripts/train.py", QUICKSTART, "--workdir=README.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "train: --workdir=README.md: README.md is a file; name a folder\n"


QUICKSTART = "--config=configs/quickstart.py"
WORKDIR = "--workdir={tmp}/run"
BUNDLED = "--checkpoint=bundled"


@pytest.mark.parametrize(
    ("script", "options", "message"),
    [
        (
            "train",
            (QUICKSTART, WORKDIR, "--config.optimiser.lr=1"),
            "train: --config.optimiser.lr=1: no such config key. Did you mean 'optimizer.lr'?\n",
        ),
        (
            "train",
            (QUICKSTART, WORKDIR, "--config.learning_rate=1"),
            "train: --config.learning_rate=1: no such config key. There are: seed, model, lora,"
            " mixture, data, batch, optimizer, steps, mesh, log_every, profile, checkpoint, eval\n",
        ),
        (
            "quickstart",
            ("--config.sed=3",),
            "quickstart: --config.sed=3: no such config key. Did you mean 'seed'?\n",
        ),
        (
            "train",
            (QUICKSTART, WORKDIR, "--config.model.init=llama:7c"),
            "train: model 'llama:7c': the llama family has no size '7c'.",
        ),
        (
            "train",
            (QUICKSTART, WORKDIR, "--config.optimizer.lr=-1"),
            "train: config.optimizer.lr = -1.0, expected a finite number above 0\n",
        ),
        (
            "train",
            (QUICKSTART, WORKDIR, "--config.steps=ten"),
            "train: flag --config.steps=ten: expected a whole number, or None",
        ),
        (
            "train",
            (QUICKSTART, WORKDIR, "--config.batch.rows=None"),
            "train: config.batch.rows = None, config.batch.examples = None: a batch states exactly"
            " one of the two; switch the other off, as with --config.batch.rows=None\n",
        ),
        (
            "train",
            (QUICKSTART, "--workdir=README.md"),
            "train: --workdir=README.md: README.md is a",
        ),
        (
            "train",
            ("--config=configs/quickstar.py", "--config.steps=3", WORKDIR),
            "train: configs/quickstar.py: No such file or directory\n",
        ),
        ("inspect_data", (QUICKSTART, "more"), "inspect_data: unexpected ['more']"),
        (
            "inspect_data",
            (),
            "inspect_data: --config is required: the run's config, such as configs/quickstart.py\n",
        ),
        (
            "prepare_data",
            (),
            "prepare_data: --config is required: the run's config, such as configs/quickstart.py\n",
        ),
        (
            "prepare_data",
            (f"{QUICKSTART}:foo",),
            "prepare_data: --config=configs/quickstart.py:foo: quickstart:foo: expected"
            " 'instructions' or 'statements'\n",
        ),
        (
            "prepare_data",
            ("--config=configs/llama_i_65b.py:xx",),
            "prepare_data: --config=configs/llama_i_65b.py:xx: this config takes no argument",
        ),
        (
            "plan",
            (QUICKSTART,),
            "plan: --topology is required: CHIP:SLICE, such as v5p:4x4x4, or h100:8\n",
        ),
        (
            "plan",
            (QUICKSTART, "--topology=v5q:2x2"),
            "plan: --topology=v5q:2x2: no chip 'v5q'. Did you mean ",
        ),
        (
            "check_contamination",
            (QUICKSTART, "--data=configs", "--out={tmp}/out"),
            "check_contamination: configs/test is not a folder; expected test/<subject>_test.csv",
        ),
        (
            "import_checkpoint",
            ("--source=configs", "--out={tmp}/out"),
            "import_checkpoint: configs: neither a model directory (model.json)",
        ),
        ("evaluate", (BUNDLED, "--data=configs", "--out={tmp}/out"), "evaluate: configs"),
        (
            "evaluate",
            (BUNDLED, "--data=configs", "--out=README.md/out"),
            "evaluate: --out=README.md/out: README.md is a file; name a folder\n",
        ),
        (
            "evaluate",
            (BUNDLED, "--out={tmp}/out"),
            "evaluate: --data or --task is required: a folder with dev/ and test/, or a task\n",
        ),
        (
            "evaluate",
            (BUNDLED, "--data=configs", "--eval=mlu", "--out={tmp}/out"),
            "evaluate: no module 'mlu' under ift_jax.evals. Did you mean 'mmlu'? There are: bbh,"
            " mmlu\n",
        ),
        (
            "evaluate",
            ("--endpoint=http://localhost:1/v1", "--data=configs", "--out={tmp}/out"),
            "evaluate: --endpoint and --model go together: where a model is, and its name there\n",
        ),
        ("generate", (BUNDLED, "--prompt=x", "--step=3"), "generate: "),
        ("generate", (BUNDLED,), "generate: nothing is asked: give a --prompt or a --prompts_file"),
        ("generate", ("--prompt=x",), "generate: --checkpoint is required: a model directory, "),
        (
            "generate",
            ("--compare", "bundled", "--prompt=x"),
            "generate: unexpected ['bundled']: two models follow --compare, and nothing else\n",
        ),
        (
            "write_logits",
            (BUNDLED, "--text=x", "--out=README.md/x.npz"),
            "write_logits: --out=README.md: README.md is a file; name a folder\n",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isidentifier() else "",
)
def test_wrong_input_is_one_line_without_a_trace(run, script, options, message, tmp_path):
    done = run(script, *(option.format(tmp=tmp_path) for option in options))
    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_where_input_was_refused(run, tmp_path):
    done = run("train", QUICKSTART, f"--workdir={tmp_path}", "--config.steps=0", "--debug")
    assert done.returncode != 0
    assert "Traceback" in done.stderr
    assert "ValueError: config.steps = 0" in done.stderr


@pytest.mark.parametrize("bug", ["config.optimizr.lr = 1", "{}['optimizer']"])
def test_a_bug_in_a_config_file_is_no_misspelt_option(run, bug, tmp_path):
    path = tmp_path / "buggy.py"
    path.write_text(
        "from ift_jax.config import base\n"
        f"def get_config():\n    config = base()\n    {bug}\n    return config\n"
    )
    done = run("prepare_data", f"--config={path}", "--config.steps=3")
    assert done.returncode != 0
    assert f'File "{path}", line 4' in done.stderr
    assert "no such config key" not in done.stderr


def test_a_batch_is_switched_to_examples_and_data_are_prepared_and_shown(run, tmp_path):
    options = (
        QUICKSTART,
        f"--config.data.dir={tmp_path}",
        "--config.mixture.entries=({'task': 'world.true_false'},)",
        "--config.steps=3",
        "--config.batch.rows=None",
        "--config.batch.examples=16",
    )
    manifest, page = tmp_path / "manifest.json", tmp_path / "page.html"
    prepared = run("prepare_data", *options, f"--manifest={manifest}")
    assert prepared.returncode == 0, prepared.stderr
    assert [task["task"] for task in json.loads(manifest.read_text())["tasks"]] == [
        "world.true_false"
    ]
    assert "world.true_false" in prepared.stdout
    assert re.search(r"^16 examples a step are [1-9]\d* rows", prepared.stdout)
    assert "3 steps of" in prepared.stdout and str(tmp_path) in prepared.stdout
    stores = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    shown = run("inspect_data", *options, "--step=2", "--rows=1")
    assert shown.returncode == 0, shown.stderr
    assert "⟦" in shown.stdout and "world.true_false" in shown.stdout
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == stores

    shown = run("inspect_data", *options, "--step=2", "--rows=1", f"--html={page}")
    assert shown.returncode == 0, shown.stderr
    assert f"{page}: 1 rows" in shown.stdout and page.read_text().count("<h2>") == 1


def test_questions_planted_in_a_task_are_found(run, tmp_path):
    (tmp_path / "rows.json").write_text(
        '[{"instruction": "Name a colour.", "input": "", "output": "Red"},'
        ' {"instruction": "How many moons does Mars, the planet, have?", "input": "1 or 2?",'
        ' "output": "2"}]'
    )
    for split in ("dev", "test"):
        (tmp_path / split).mkdir()
        (tmp_path / split / f"astronomy_{split}.csv").write_text(
            "How many moons does Mars the planet have?,0,1,2,3,C\nWhat is Mars?,0,1,2,3,D\n"
        )
    done = run(
        "check_contamination",
        f"--config=configs/alpaca_7b.py:{tmp_path}/rows.json",
        f"--data={tmp_path}",
        f"--out={tmp_path}/found",
    )
    assert done.returncode == 0, done.stderr
    assert f"| alpaca:{tmp_path}/rows.json | 2 | 1 | 1 |" in done.stdout
    assert done.stdout.endswith("2 questions: 0 clean, 1 touched, 1 unchecked\n")
    assert '"row": 1, "key": "astronomy/0"' in (tmp_path / "found" / "rows.jsonl").read_text()


GENERATE = ("--prompt=The capital of Peru is", "--prompt=The capital of France is")


def test_generate_answers_each_prompt(run):
    done = run("generate", BUNDLED, *GENERATE, "--stop=.", "--dtype=bfloat16", "--stream")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ("» The capital of Peru is\nLima\n\n» The capital of France is\nParis\n")
    assert re.fullmatch(r"generate: (.* tokens/s .*|too few .*)\n", done.stderr)


def test_generate_compares_two_models(run, tmp_path):
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"instruction": "The capital of Peru is", "output": "Lima"}\n')
    drawn = (f"--prompts_file={file}", "--temperature=0.5", "--top_k=3", "--max_new_tokens=3")
    done = run("generate", "--compare", "bundled", "bundled", *drawn)
    assert done.returncode == 0, done.stderr
    heading, _, names, line, answers, _ = done.stdout.split("\n", 5)
    assert heading == "» The capital of Peru is"
    assert names.split() == ["bundled", "│", "bundled"]
    assert set(line) == {"─", " ", "│"}
    assert answers.split() == ["Lima.", "│", "Lima."]
    assert done.stderr.count("bundled: ") == 2


def test_the_normalised_average_names_its_parts(run):
    ran = run("normalised_average", "MMLU direct=55.1", "BBH CoT=41.4")
    assert ran.returncode == 0, ran.stderr
    # (0.551 - 0.25) / 0.75 and (0.414 - 0.255) / 0.745, halved.
    assert ran.stdout.endswith("normalised average of 2 of 6 parts: MMLU direct, BBH CoT: 30.7\n")
    ran = run("normalised_average", "MMLU direct=runs/nowhere")
    assert ran.stderr == (
        "normalised_average: 'MMLU direct=runs/nowhere': 'runs/nowhere' is neither a folder nor a"
        " percentage\n"
    )
