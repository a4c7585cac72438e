"""The LLaMA paper's tables of MMLU with one's own models in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ift_jax.evals import published
from ift_jax.evals.report.blocks import Block, Heading, Paragraph, Table
from ift_jax.evals.report.tables import words

Entry = Mapping[str, Any]

_SPLITS = {"val": "validation"}
"""What papers call a split."""


def belongs(result: Entry) -> bool:
    """Whether a report is on what the tables hold: MMLU's questions in English, by letter."""
    return (
        result["protocol"].get("answer") == "letter"
        and result["language"] in (None, "en")
        and set(result["evaluations"][0]["subjects"]) <= set(published.TABLE_16)
    )


def table_10(result: Entry) -> list[Block]:
    """Table 10 with a row for each evaluation."""
    rows = [
        (
            each.model,
            f"{each.percent:.1f}",
            each.split or "not known",
            each.average or "not known",
            "yes" if each.finetuned else "no",
            each.source,
        )
        for each in published.TABLE_10
    ]
    split = f"{_SPLITS.get(result['split'], result['split'])}, {result['label']} questions"
    own = [
        (each["name"], _percent(each["micro"]), split, "micro", "", f"here: {_asked(result)}")
        for each in result["evaluations"]
    ]
    header = ("model", "MMLU", "split", "average", "instruction-finetuned", "source")
    return [
        Heading("MMLU beside Table 10 of the LLaMA paper"),
        *map(Paragraph, published.TABLE_10_NOTES),
        Table(
            header,
            [*rows, *own],
            left=frozenset(range(len(header))) - {1},
            strong_rows=frozenset(range(len(rows), len(rows) + len(own))),
        ),
    ]


def table_16(result: Entry) -> list[Block]:
    """Table 16 with a column for each evaluation."""
    evaluations = result["evaluations"]
    rows = [
        (words(name), *map(str, printed), *(_percent(e["subjects"].get(name)) for e in evaluations))
        for name, printed in published.TABLE_16.items()
    ]
    rows += [
        (name, *map(str, printed), *(_percent(e["categories"].get(name)) for e in evaluations))
        for name, printed in published.TABLE_16_CATEGORIES.items()
    ]
    own = [_percent(each["micro"]) for each in evaluations]
    rows.append(("all", *map(str, published.TABLE_16_ALL), *own))
    header = ["", *published.MODELS_16]
    header += [f"{each['name']} ({result['label']})" for each in evaluations]
    return [
        Heading("MMLU by subject beside Table 16 of the LLaMA paper"),
        Paragraph(
            "Accuracy in percent on the test split, 5 shots; own columns:"
            f" {_SPLITS.get(result['split'], result['split'])} split, {_asked(result)}."
        ),
        *map(Paragraph, published.TABLE_16_NOTES),
        Table(header, rows, strong_columns=frozenset(range(len(header) - len(own), len(header)))),
    ]


def _asked(result: Entry) -> str:
    return f"protocol {result['protocol']['name']}, {result['shots']} shots"


def _percent(entry: Entry | None) -> str:
    return f"{100 * entry['accuracy']:.1f}" if entry else "–"
