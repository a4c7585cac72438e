from __future__ import annotations

import dataclasses
import json

import pytest

from ift_jax.assemble.planning import report
from ift_jax.assemble.planning.plan import Compiled

REFUSED = Compiled(None, None, "RESOURCE_EXHAUSTED: Used 120.50G of 94.99G hbm", 120.5 * 2**30)


@pytest.fixture
def refused(tiny_plan):
    """A plan that the compiler refused, in whose place the tiny one's other figures are."""
    return dataclasses.replace(
        tiny_plan, fits=False, training=REFUSED, optimizer_bytes=int(60e9), remat="none"
    )


def test_a_page_has_every_figure(tiny_plan):
    page = report.page(tiny_plan)
    assert "llama:tiny (1,328,256 parameters) on v5p:2x2x2: fits" in page
    assert "mesh: data 1, fsdp 4, sequence 1, tensor 2" in page
    assert "16 rows of 64 tokens, micro-batches: 2; adamw, remat full, bfloat16" in page
    for figure in (
        "to and from memory",
        "compute",
        "memory",
        "communication",
        "predicted MFU",
        "scoring",
        "all-gather",
    ):
        assert figure in page
    assert "what to change" not in page


def test_a_refusal_is_told_with_what_to_change(refused):
    page = report.page(refused)
    assert "DOES NOT FIT" in page
    assert "at least 129.39 GB of 102.01 GB" in page
    assert "the compiler: RESOURCE_EXHAUSTED" in page
    changes = page.split("what to change:")[1]
    for change in (
        "--config.optimizer.name=adafactor: its state takes next to nothing of 60.00 GB",
        "--config.model.remat=full",
        "--config.batch.micro_steps=4: half of the 2 rows",
        "--topology=v5p:2x2x4",
    ):
        assert change in changes


def test_what_is_done_already_is_not_advised(refused):
    changed = dataclasses.replace(
        refused, optimizer="adafactor", optimizer_bytes=1000, remat="full", micro_steps=4
    )
    assert [change.split("=")[0] for change in report.advice(changed)] == ["--topology"]


def test_advised_slices_hold_the_state(refused):
    """3 GB of weights on each of 8 chips and as much of gradients are nothing; 600 GB isn't."""
    changed = dataclasses.replace(refused, parameter_bytes=int(300e9))
    # (300 + 60 + 300) · 8 GB, in four fifths of 102 GB each: 65 chips.
    assert "--topology=v5p:4x4x8" in report.advice(changed)[-1]


def test_json_says_first_whether_it_fits(tiny_plan, refused):
    written = json.loads(json.dumps(report.as_json(tiny_plan)))
    assert next(iter(written.items())) == ("fits", True)
    assert written["training"]["memory"]["total"] == tiny_plan.training.memory.total
    assert written["change"] == []
    assert not report.as_json(refused)["fits"] and len(report.as_json(refused)["change"]) == 4
