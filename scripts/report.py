"""Compares two evaluations of the same questions, item by item.

    python scripts/report.py BEFORE AFTER --out=DIR [--metrics=metrics.jsonl]

writes report.json, report.md and report.png, and prints the table.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ift_jax.evals import report


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=Path, help="folder that scripts/evaluate.py wrote")
    parser.add_argument("after", type=Path, help="another one")
    parser.add_argument("--out", type=Path, required=True, help="folder for the report")
    parser.add_argument("--metrics", type=Path, help="metrics.jsonl of the training in between")
    args = parser.parse_args()
    try:
        result = report.report(report.load(args.before), report.load(args.after))
        losses = report.read_losses(args.metrics) if args.metrics else []
    except ValueError as error:
        parser.exit(1, f"report: {error}\n")
    report.write(args.out, result, losses)
    print(report.markdown(result))


if __name__ == "__main__":
    main()
