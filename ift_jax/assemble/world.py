"""The bundled World as the evals take it: its clozes, and its benchmark on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax

from ift_jax.evals.recall import Cloze, Recall
from ift_jax.layers.functional import Functions, Params
from ift_jax.tasks.world import questions, statements
from ift_jax.tokenizers import Tokenizer


def recall(
    functions: Functions,
    tokenizer: Tokenizer,
    params: Params,
    mesh: jax.sharding.Mesh | None = None,
) -> dict[str, Any]:
    """How much of the World a model completes as statements; groups 'held out' and 'mixture'."""
    clozes = [
        Cloze(
            row["prefix"],
            (row["answer"], *statements.column_mates(row)),
            "held out" if row["held_out"] == "yes" else "mixture",
        )
        for row in statements.rows("recall")
    ]
    return Recall(functions, tokenizer, clozes, mesh).run(params)


def write_benchmark(directory: Path, rephrased: bool = False) -> None:
    """Writes the World's questions in MMLU's layout, with their categories."""
    questions.write_mmlu(directory, rephrased=rephrased)
    text = json.dumps(questions.categories(), indent=1)
    (directory / "categories.json").write_text(text + "\n", encoding="utf-8")
