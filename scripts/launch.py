"""Runs a script in several processes on this machine, which share its work.

    python scripts/launch.py --processes=4 -- scripts/train.py --config=FILE --workdir=DIR
    python scripts/launch.py --processes=2 --devices=2 -- scripts/evaluate.py …

Each process has the accelerator of its number; with --devices, so many devices on the CPU. What
they print has their number before it. If one fails, it is named, all end, and so does this, with
its exit status; started again, training and evaluation go on.
"""

from __future__ import annotations

from absl import flags

from ift_jax.assemble import command
from ift_jax.assemble.launcher import launch

_PROCESSES = flags.DEFINE_integer("processes", 2, "how many processes", lower_bound=1)
_DEVICES = flags.DEFINE_integer("devices", None, "CPU devices of each process", lower_bound=1)


def main(words: list[str]) -> None:
    if not words:
        raise ValueError("nothing to run: write -- and a script with its options at the end")
    raise SystemExit(launch(words, _PROCESSES.value, _DEVICES.value))


if __name__ == "__main__":
    command.run(main, words=True)
