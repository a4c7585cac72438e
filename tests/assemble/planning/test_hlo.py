from __future__ import annotations

import pathlib

import pytest

from ift_jax.assemble.planning.hlo import Program, sizes

TEXT = (pathlib.Path(__file__).parent / "loops.hlo").read_text()


def test_each_loop_runs_as_often_as_its_text_says():
    """3 turns of the outer loop, and in each 5 of the inner one: 4, 6 … 12."""
    times = {each.instruction.name: each.times for each in Program(TEXT).run()}
    assert (times["mean"], times["gather"], times["moved"]) == (1, 3, 15)


def test_what_is_in_a_fusion_is_told_apart():
    fused = {each.instruction.name for each in Program(TEXT).run() if each.fused}
    assert fused == {"input", "whole", "nil", "part"}


def test_a_loop_that_runs_unknown_times_is_refused():
    with pytest.raises(ValueError, match="loop loop: how often it runs"):
        list(Program(TEXT.replace('"known_trip_count":{"n":"3"},', "")).run())


def test_sizes_of_types():
    assert sizes("(bf16[2,3]{1,0:T(8,128)(2,1)}, f32[], /*index=2*/pred[7], f8e4m3fn[9])") == [
        12,
        4,
        7,
        9,
    ]
    with pytest.raises(ValueError, match="no size known of an element 'q7'"):
        sizes("q7[3]")


def test_what_lies_in_another_memory_has_no_size_in_hbm():
    type_ = "(bf16[2,3]{1,0:T(8,128)(2,1)S(1)}, f32[2]{0:T(128)}, u32[]{:S(2)}, f32[5])"
    assert sizes(type_, hbm=True) == [0, 8, 0, 20]
