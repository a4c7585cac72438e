from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ift_jax.assemble.planning.hlo import Program
from ift_jax.assemble.planning.traffic import moved

TEXT = """
%taken (p.0: f32[6,8,128], p.1: s32[]) -> f32[8,128] {
  %p.0 = f32[6,8,128]{2,1,0} parameter(0)
  %p.1 = s32[] parameter(1)
  %nil = s32[] constant(0)
  %slice = f32[1,8,128]{2,1,0} dynamic-slice(%p.0, %p.1, %nil, %nil), dynamic_slice_sizes={1,8,128}
  ROOT %row = f32[8,128]{1,0} bitcast(%slice)
}

%entered (q.0: f32[6,8,128], q.1: f32[8,128], q.2: s32[]) -> f32[6,8,128] {
  %q.0 = f32[6,8,128]{2,1,0} parameter(0)
  %q.1 = f32[8,128]{1,0} parameter(1)
  %q.2 = s32[] parameter(2)
  %zero = s32[] constant(0)
  %one = f32[1,8,128]{2,1,0} bitcast(%q.1)
  ROOT %all = f32[6,8,128]{2,1,0} dynamic-update-slice(%q.0, %one, %q.2, %zero, %zero)
}

ENTRY %main (a: f32[6,8,128], i: s32[]) -> f32[6,8,128] {
  %a = f32[6,8,128]{2,1,0} parameter(0)
  %i = s32[]{:S(6)} parameter(1)
  %space = f32[8,128]{1,0} custom-call(), custom_call_target="AllocateBuffer"
  %copied = (f32[8,128]{1,0:S(1)}, f32[8,128]{1,0}, u32[]{:S(2)}) copy-start(%space)
  %near = f32[8,128]{1,0:S(1)} copy-done(%copied)
  %row.1 = f32[8,128]{1,0} fusion(%a, %i), kind=kLoop, calls=%taken
  %sum = f32[8,128]{1,0:S(1)} add(%row.1, %near)
  ROOT %new = f32[6,8,128]{2,1,0} fusion(%a, %sum, %i), kind=kLoop, calls=%entered
}
"""
ROW = 8 * 128 * 4


def test_what_is_moved_by_hand():
    """A row is read to be near; one of six is read and written; read once more; one is entered."""
    assert moved(Program(TEXT)) == ROW + 2 * ROW + ROW + ROW


def test_in_one_memory_all_is_moved():
    """Near rows are then written, read by the sum, which writes, and read by what enters it; and
    twice an index."""
    text = TEXT.replace("{1,0:S(1)}", "{1,0}").replace("{:S(6)}", "")
    assert moved(Program(text)) == 5 * ROW + 4 * ROW + 2 * 4


def test_what_is_started_is_what_it_would_be_done_at_once():
    """As GPUs' programs start fusions: operands, result and context for a result."""
    kind = "f32[6,8,128]{2,1,0} fusion(%a, %sum"
    assert kind in TEXT
    started = "((f32[6,8,128], f32[8,128], s32[]), f32[6,8,128], u32[]) fusion-start(%a, %sum"
    assert moved(Program(TEXT.replace(kind, started))) == moved(Program(TEXT))


def once(x_BD, w_DF, table_VD, i):
    """A product, a row taken of a table, and another entered."""
    y_BF = jnp.tanh(x_BD @ w_DF)
    row_D = jax.lax.dynamic_slice_in_dim(table_VD, i, 2, 0)
    table_VD = jax.lax.dynamic_update_slice_in_dim(table_VD, row_D * 2, i + 1, 0)
    return (y_BF @ w_DF.T).sum(0), table_VD


def test_a_program_without_loops_moves_what_xla_says():
    """Its own analysis is another program than ours; scalars apart."""
    arrays = [np.ones(shape, np.float32) for shape in ((64, 128), (128, 256), (100, 128))]
    program = jax.jit(once, donate_argnums=2).lower(*arrays, 0).compile()
    theirs = program.cost_analysis()["bytes accessed"]
    assert moved(Program(program.as_text())) == pytest.approx(theirs, abs=200)


def test_a_loop_moves_each_layers_weights_once():
    """Ten layers of one product: a stacked weight is read in slices, not whole in each turn."""
    L, B, D = 10, 8, 256

    def layers(x_BD, w_LDD):
        return jax.lax.scan(lambda x_BD, w_DD: (x_BD @ w_DD, None), x_BD, w_LDD)[0]

    program = jax.jit(layers).lower(np.ones((B, D)), np.ones((L, D, D))).compile()
    weights, row = L * D * D * 4, B * D * 4
    by_hand = moved(Program(program.as_text()))
    # A weight may be copied before its product reads it; a state, twice a turn.
    assert weights <= by_hand <= 3 * weights + 6 * L * row
