"""Scores a model on multiple-choice questions in MMLU's original file layout.

    python scripts/evaluate.py --checkpoint=DIR --data=DIR [--protocol=original] --out=DIR

`--checkpoint` is a model directory, a Hugging Face folder, a GGUF file, or 'bundled'; `--data`
holds dev/ and test/. Writes summary.json and records.jsonl, and prints the averages.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import jax
from tqdm import tqdm

from ift_jax import sharding
from ift_jax.assemble.models import open_model
from ift_jax.evals.mmlu import MMLU, write_lines
from ift_jax.evals.protocols import PROTOCOLS
from ift_jax.evals.report import summary_table
from ift_jax.prompts import FORMATS


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", required=True, help="the model")
    parser.add_argument("--data", required=True, type=Path, help="folder with dev/ and test/")
    parser.add_argument("--out", required=True, type=Path, help="folder for the results")
    parser.add_argument("--protocol", default="original", help=" or ".join(PROTOCOLS))
    parser.add_argument("--shots", type=int, help="by default the protocol's own number")
    parser.add_argument("--limit", type=int, help="only the first so many questions a subject")
    parser.add_argument("--format", help=f"{' or '.join(FORMATS)}; by default the model's own")
    parser.add_argument("--prompts", type=Path, help="also write what is asked, as JSON Lines")
    parser.add_argument("--step", type=int, help="which checkpoint; by default the newest")
    parser.add_argument("--mesh", default="fsdp:-1", help="such as data:1,fsdp:4,tensor:2")
    args = parser.parse_args()
    try:
        mesh = sharding.make_mesh(args.mesh)
        model = open_model(args.checkpoint, mesh, step=args.step)
        evaluation = MMLU(
            model.functions,
            model.tokenizer,
            args.data,
            protocol=args.protocol,
            shots=args.shots,
            limit=args.limit,
            prompt_format=args.format or model.prompt_format,
            mesh=mesh,
        )
        if args.prompts and jax.process_index() == 0:
            args.prompts.parent.mkdir(parents=True, exist_ok=True)
            write_lines(args.prompts, evaluation.prompts())
        with tqdm(unit="row", disable=jax.process_index() != 0) as bar:

            def progress(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            summary = evaluation.run(model.load(), args.out, progress)
    except ValueError as error:
        parser.exit(1, f"evaluate: {error}\n")
    if jax.process_index() == 0:
        print(summary_table(summary))


if __name__ == "__main__":
    main()
