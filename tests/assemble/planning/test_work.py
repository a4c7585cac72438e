from __future__ import annotations

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ift_jax import sharding
from ift_jax.assemble.planning.hlo import Program
from ift_jax.assemble.planning.work import work

TEXT = (pathlib.Path(__file__).parent / "loops.hlo").read_text()


def test_what_is_sent_counts_each_loop_as_often_as_it_runs():
    """By hand: 3 turns of the outer loop, and in each 5 of the inner one: 4, 6 … 12."""
    done = work(Program(TEXT))
    assert done.count == {
        "all-gather": 3 + 1,
        "reduce-scatter": 2 * 3,
        "collective-permute": 15,
        "all-reduce": 1,
    }
    assert done.sent == {
        # Three quarters of 16·8 bf16 thrice; half of 8·8 and 4·8 bf16 once.
        "all-gather": 3 * 16 * 8 * 2 * 3 / 4 + (64 + 32) * 2 / 2,
        # Three of four parts of 4·16 f32: as such, and as a sum of which a part is taken.
        "reduce-scatter": 2 * 3 * 4 * 16 * 4 * 3,
        "collective-permute": 15 * 4 * 8 * 2,
        "all-reduce": 2 * 4 * 7 / 8,
    }
    assert done.bytes_sent == sum(done.sent.values())
    assert done.flops == 3 * 2 * 16 * 16 * 8


@pytest.mark.parametrize(
    ("line", "flops"),
    [
        # A matrix product as a TPU's compiler writes it: 8×16 by 16×32.
        (
            "%c = f32[8,32]{1,0} convolution(%a, %b), dim_labels=bf_io->bf",
            2 * 8 * 16 * 32,
        ),
        # Five products of 8×16 by 16×32: the batch is a spatial axis, on whose diagonal they lie.
        (
            "%c = f32[5,8,32]{2,1,0} convolution(%d, %e), window={size=5 stride=4 pad=0_0"
            " lhs_dilate=5}, dim_labels=0bf_0io->0bf",
            5 * 2 * 8 * 16 * 32,
        ),
        # A kernel of 3 over 10 places, padded by one: the two ends miss one each.
        (
            "%c = f32[2,10,7]{2,1,0} convolution(%f, %g), window={size=3 pad=1_1},"
            " dim_labels=b0f_0io->b0f",
            2 * 2 * 4 * 7 * (3 * 10 - 2),
        ),
    ],
)
def test_operations_of_convolutions(line, flops):
    text = f"""ENTRY %main (a: f32[8,16]) -> f32[8,32] {{
  %a = f32[8,16]{{1,0}} parameter(0)
  %b = f32[16,32]{{1,0}} parameter(1)
  %d = f32[5,8,16]{{2,1,0}} parameter(2)
  %e = f32[5,16,32]{{2,1,0}} parameter(3)
  %f = f32[2,10,4]{{2,1,0}} parameter(4)
  %g = f32[3,4,7]{{2,1,0}} parameter(5)
  ROOT {line}
}}
"""
    assert work(Program(text)).flops == flops


def test_a_program_of_this_machines_compiler():
    """Six layers scanned over eight devices: a product and a sum over devices in each."""
    mesh = sharding.make_mesh("tensor:8")
    where = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(None, "tensor", None))
    x_BF = np.ones((4, 64), np.float32)
    w_LFF = jax.ShapeDtypeStruct((6, 64, 64), jnp.float32, sharding=where)

    def layers(x_BF, w_LFF):
        return jax.lax.scan(lambda x_BF, w_FF: (jnp.tanh(x_BF @ w_FF), None), x_BF, w_LFF)[0]

    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    program = jax.jit(layers, out_shardings=whole).lower(x_BF, w_LFF).compile()
    done = work(Program(program.as_text()))
    assert done.flops == 6 * 2 * 4 * 64 * (64 // 8)
    assert done.sent["all-reduce"] == 6 * 2 * (4 * 64 * 4) * 7 / 8


def test_each_branch_of_a_conditional_counts():
    def either(flag, x_DD):
        return jax.lax.cond(flag, lambda x_DD: x_DD @ x_DD, lambda x_DD: x_DD @ x_DD.T, x_DD)

    program = jax.jit(either).lower(True, np.ones((8, 8), np.float32)).compile()
    assert work(Program(program.as_text())).flops == 2 * 2 * 8**3
