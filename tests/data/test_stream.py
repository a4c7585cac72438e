"""Tokenizing in several processes, and going on after a kill."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from ift_jax.data import cache, dataset, rows, tokenize
from ift_jax.tasks.entry import Entry
from ift_jax.tasks.mixture import Mixture
from tests.data.test_tokenize import extend
from tests.data.toy_tokenizer import ToyTokenizer

B, STEPS, T = 8, 40, 64


@pytest.fixture(scope="module")
def mixture(tmp_path_factory) -> Mixture:
    """Three tasks of 20, 50 and 80 rows, of which a run sees several epochs."""
    root = tmp_path_factory.mktemp("tasks")
    for count in (20, 50, 80):
        fields = [
            {
                "instruction": f"ab{n:x} " + "cdefgh"[: n % 7],
                "input": "i" * (n % 3),
                "output": "j" * (1 + n % 5),
            }
            for n in range(count)
        ]
        (root / f"{count}.json").write_text(json.dumps(fields))
    entries = (Entry("alpaca:[25]0.json", shots=(1, 2), shot_share=0.3), Entry("alpaca:80.json"))
    return Mixture(entries, "flan", seed=3, root=str(root))


def build(mixture, directory, tokenizer=None, **options):
    tokenizer = tokenizer or ToyTokenizer()
    return dataset.build(mixture, tokenizer, T, directory, B * STEPS, **options)


def hashes(source) -> list[str]:
    return [rows.batch_hash(batch) for batch in rows.batches(source, B, 0, STEPS)]


@pytest.fixture(scope="module")
def expected(mixture, tmp_path_factory) -> list[str]:
    """The batches' hashes, all made in one process."""
    source = build(mixture, tmp_path_factory.mktemp("one"), processes=1)
    assert min(task["drawn"] / task["rows"] for task in source.manifest["tasks"]) > 3
    return hashes(source)


def contents(directory) -> dict[str, bytes]:
    files = [path for path in directory.rglob("*") if path.is_file()]
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def test_any_number_of_processes_writes_the_same(mixture, expected, tmp_path):
    made = []
    for processes in (1, 2):
        directory = tmp_path / str(processes)
        assert hashes(build(mixture, directory, processes=processes)) == expected
        made.append(contents(directory / "tokens"))
    assert made[0] == made[1]
    assert len(made[0]) > 3 * 3 * len(tokenize.COLUMNS)


def test_without_being_told_it_starts_none_for_little_work(
    mixture, expected, tmp_path, monkeypatch
):
    def refused(*_, **__):
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refused)
    assert hashes(build(mixture, tmp_path)) == expected


def test_killed_in_the_middle_it_goes_on_with_what_is_done(mixture, expected, tmp_path):
    script = textwrap.dedent(
        f"""
        from pathlib import Path
        from ift_jax.tasks.mixture import Mixture
        from ift_jax.tasks.entry import Entry
        from tests.data.test_stream import build
        from tests.data.toy_tokenizer import SlowTokenizer

        entries = {mixture.entries!r}
        mixture = Mixture(entries, "flan", seed=3, root={mixture.root!r})
        build(mixture, Path({str(tmp_path)!r}), SlowTokenizer(), processes=2)
        """
    )
    path = os.pathsep.join(filter(None, sys.path))
    running = subprocess.Popen(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": path}
    )
    done: set = set()
    while len(done) < 2:
        assert running.poll() is None, "it ended before it was killed"
        time.sleep(0.02)
        # Hidden folders are still being written.
        done = set(tmp_path.glob(f"tokens/*/[!.]*/{cache.MANIFEST}"))
    running.send_signal(signal.SIGKILL)
    running.wait()
    before = {manifest: manifest.stat().st_mtime_ns for manifest in done}
    assert not (tmp_path / "plans").exists() or not any(tmp_path.glob("plans/*/manifest.json"))
    assert hashes(build(mixture, tmp_path, processes=1)) == expected
    assert {manifest: manifest.stat().st_mtime_ns for manifest in done} == before
    assert len(set(tmp_path.glob(f"tokens/*/*/{cache.MANIFEST}"))) > len(done)


def test_more_shards_than_a_process_may_have_open_files(tmp_path):
    extend(tmp_path / "0", 1)
    for number in range(1, tokenize.OPEN_SHARDS + 50):
        shutil.copytree(tmp_path / "0", tmp_path / str(number))
    stores = [tokenize.TokenStore(folder) for folder in tmp_path.iterdir()]
    # What the tests before this one left open is not what is tested here.
    tokenize._mapped.cache_clear()
    limit = len(os.listdir("/dev/fd")) + 2 * tokenize.OPEN_SHARDS + 8
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        for _ in range(2):
            assert {tuple(store.example(5)[0].tolist()) for store in stores} == {
                tuple(stores[0].example(5)[0].tolist())
            }
    finally:
        tokenize._mapped.cache_clear()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_templates_are_counted(mixture, tmp_path):
    for task in build(mixture, tmp_path).manifest["tasks"]:
        assert sum(task["by_template"].values()) == task["examples"]
        assert len(task["templates"]) == 1
