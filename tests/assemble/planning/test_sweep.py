from __future__ import annotations

import dataclasses

import pytest

from ift_jax.assemble.planning import sweep


@pytest.fixture
def plans(tiny_plan, monkeypatch):
    """In `plan`'s place: only remat full fits, and tensor 4 best; the rows don't divide over 8."""
    asked = []

    def plan(config, topology, chip, devices, *, scoring):
        assert not scoring
        tensor = int(config.mesh.rpartition(":")[2])
        if tensor == 1:
            raise ValueError("rows do not divide")
        asked.append((tensor, config.optimizer.name, config.model.remat, config.batch.micro_steps))
        return dataclasses.replace(
            tiny_plan,
            fits=config.model.remat == "full" and config.optimizer.name == "adafactor",
            mfu={2: 0.4, 4: 0.5, 8: 0.3}[tensor],
            mesh={"data": 1, "fsdp": 8 // tensor, "sequence": 1, "tensor": tensor},
            remat=config.model.remat,
            micro_steps=config.batch.micro_steps,
        )

    monkeypatch.setattr(sweep, "plan", plan)
    return asked


def test_what_fits_is_ranked_and_what_is_slower_not_tried(config, plans):
    lines = []
    found = sweep.sweep(config, "v5p:2x2x2", None, [None] * 8, lines.append)
    assert [made.mesh["tensor"] for made in found] == [4, 2, 8]
    assert {(made.remat, made.micro_steps) for made in found} == {("full", 1)}
    assert plans.count((2, "adafactor", "full", 1)) == 1
    assert (2, "adafactor", "full", 2) not in plans, "the first that fits is taken"
    assert (2, "adamw", "full", 4) in plans, "until one fits, all are tried"
    assert "fsdp:8,tensor:1 adamw none ×1: rows do not divide" in lines
    assert "fsdp:2,tensor:4 adafactor full ×1: fits, MFU 50%" in lines
    best = sweep.ranking(found).splitlines()[1].split()
    assert best[0] == "fsdp:2,tensor:4" and best[-1] == "50%"


def test_a_config_that_cannot_be_planned_is_one_error(config, monkeypatch):
    def plan(*args, **kwargs):
        raise ValueError("config.model.init: no such size")

    monkeypatch.setattr(sweep, "plan", plan)
    lines = []
    with pytest.raises(ValueError, match="no such size"):
        sweep.sweep(config, "v5p:2x2x2", None, [None] * 8, lines.append)
    assert len(lines) == 1
    config.batch.examples, config.batch.rows = 64, None
    with pytest.raises(ValueError, match=r"config\.batch\.rows=N"):
        sweep.sweep(config, "v5p:2x2x2", None, [None] * 8, lines.append)


def test_meshes_use_every_chip():
    assert sweep.meshes(4) == ["fsdp:4,tensor:1", "fsdp:2,tensor:2", "fsdp:1,tensor:4"]
