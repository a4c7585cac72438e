"""Compares evaluations of the same questions, item by item: each further one with the first.

    python scripts/report.py BEFORE AFTER [MORE ...] [--out=DIR] [--metrics=RUN]

prints the tables. With --out, writes report.json, report.md and report.png there, or, of several
comparisons, into a folder of DIR for each.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from ift_jax.assemble import command
from ift_jax.evals import report

_OUT = flags.DEFINE_string("out", None, "folder for the report; by default it is only printed")
_METRICS = flags.DEFINE_string("metrics", None, "folder of the run between the two: draws its loss")


def main(folders: list[str]) -> None:
    if len(folders) < 2:
        raise ValueError(
            f"got {folders}, expected two or more folders that scripts/evaluate.py wrote"
        )
    if _METRICS.value and len(folders) > 2:
        raise ValueError(f"--metrics belongs to one comparison, and here are {len(folders) - 1}")
    if _OUT.value:
        command.check_folder("out", _OUT.value)
    first, *others = report.load_all(folders)
    results = [report.report(first, each) for each in others]
    losses = report.read_losses(_METRICS.value) if _METRICS.value else []
    for other, result in zip(others, results, strict=True):
        if _OUT.value:
            out = Path(_OUT.value)
            report.write(out if len(results) == 1 else out / other.name, result, losses)
        print(report.markdown(result))


if __name__ == "__main__":
    command.run(main, words=True)
