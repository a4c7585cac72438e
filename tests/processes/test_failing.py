"""One of several processes fails by itself, while another waits for it."""

from __future__ import annotations

import time

PROGRAM = """
import jax
from jax.experimental import multihost_utils
from ift_jax.assemble import command
from ift_jax.checkpoints.store import Store


def main():
    with Store("store"):
        if jax.process_index() == 1:
            raise ValueError("this one's disk is full")
        multihost_utils.sync_global_devices("the other never comes")


command.run(main, together=True)
"""


def test_it_ends_at_once_and_is_named(launch):
    (launch.folder / "failing.py").write_text(PROGRAM)
    began = time.monotonic()
    printed = launch(2, 1, "failing.py", status=1)
    assert time.monotonic() - began < 100
    assert "[1] failing: this one's disk is full\n" in printed
    assert "launch: process 1 of 2 " in printed.splitlines()[-1]
