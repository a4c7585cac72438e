"""Folders made once: whole or not there."""

from __future__ import annotations

import errno
import fcntl
import shutil
import subprocess
import sys
import textwrap

import pytest

from ift_jax.data import cache

WRITER = textwrap.dedent(
    """
    import os, signal, sys, time
    from pathlib import Path
    from ift_jax.data import cache

    folder, log, killed = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "killed"

    def make(partial):
        with log.open("a") as file:
            file.write("made\\n")
        (partial / "a.txt").write_text("half")
        if killed:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.3)
        (partial / "a.txt").write_text("whole")
        return {"n": 1}

    cache.cached(folder, make)
    assert (folder / "a.txt").read_text() == "whole"
    """
)


def start(folder, log, how):
    return subprocess.Popen([sys.executable, "-c", WRITER, str(folder), str(log), how])


def test_killed_leaves_nothing_and_the_next_one_makes_it(tmp_path):
    folder, log = tmp_path / "store" / "one", tmp_path / "log"
    assert start(folder, log, "killed").wait() != 0
    assert not folder.exists()
    assert start(folder, log, "whole").wait() == 0
    assert log.read_text() == "made\nmade\n"
    assert {path.name for path in folder.parent.iterdir()} == {"one", ".lock"}


def test_one_process_makes_it_while_others_wait(tmp_path):
    folder, log = tmp_path / "store" / "one", tmp_path / "log"
    writers = [start(folder, log, "whole") for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert log.read_text() == "made\n"


def test_without_locks_another_makers_folder_is_left_alone(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    def make(partial):
        (partial / "a.txt").write_text("whole")
        return {}

    peers = tmp_path / ".partial-one-peer"
    peers.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", no_locks)
        cache.cached(tmp_path / "one", make)
    assert peers.exists()
    shutil.rmtree(tmp_path / "one")
    cache.cached(tmp_path / "one", make)
    assert not peers.exists()


def test_failed_leaves_nothing(tmp_path):
    def make(partial):
        (partial / "a.txt").write_text("half")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        cache.cached(tmp_path / "store" / "one", make)
    assert [path.name for path in (tmp_path / "store").iterdir()] == [".lock"]


@pytest.mark.parametrize("damage", ["cut", "gone", "manifest"])
def test_damage_is_refused_with_the_fix(tmp_path, damage):
    def make(partial):
        (partial / "a.txt").write_text("whole")
        return {"n": 1}

    folder = tmp_path / "one"
    assert cache.cached(folder, make)["n"] == 1
    if damage == "cut":
        (folder / "a.txt").write_text("who")
    elif damage == "gone":
        (folder / "a.txt").unlink()
    else:
        (folder / cache.MANIFEST).write_text('{"n": ')
    with pytest.raises(ValueError, match="delete the folder"):
        cache.cached(folder, make)


def test_folder_names_are_plain_and_tell_keys_apart():
    one, other = cache.digest("a", 1), cache.digest("a", 2)
    assert one != other
    assert cache.folder_name("world.x@train", one) == f"world.x@train-{one[:16]}"
    assert "/" not in cache.folder_name("../a b", one)
