from __future__ import annotations

import pytest

from ift_jax import sharding
from ift_jax.assemble.models import sized
from ift_jax.assemble.planning import hand
from ift_jax.layers.lora import Lora

L, D, F, V, T = 4, 128, 352, 2048, 64
MATRICES = L * (4 * D * D + 3 * D * F) + 2 * V * D
NORMS = (2 * L + 1) * D
ROWS = 16


def sent(config, mesh, spec="llama:tiny"):
    functions = sized(spec, {"dtype": config.model.dtype})
    return hand.bytes_sent(config, functions, sharding.make_mesh(mesh), ROWS)


def test_along_fsdp_weights_are_gathered_twice_and_their_gradients_scattered(config):
    """In bf16, of n chips n - 1 parts; matrices lie in halves over tensor, norm scales don't."""
    whole = 2 * MATRICES / 2 + 2 * NORMS
    micro_steps = 2
    assert sent(config, "fsdp:4,tensor:2")["fsdp"] == micro_steps * 3 * whole * 3 / 4
    config.batch.micro_steps = 1
    assert sent(config, "fsdp:8")["fsdp"] == 3 * 2 * (MATRICES + NORMS) * 7 / 8
    assert sent(config, "tensor:4,data:2")["fsdp"] == 0


def test_along_data_gradients_are_added_up(config):
    """Each sends twice n - 1 parts of n of what it has a part of, in each micro-batch."""
    assert sent(config, "data:2,fsdp:4")["data"] == 2 * 2 * 2 * (MATRICES + NORMS) / 4 / 2


def test_along_tensor_what_two_projections_a_layer_make_is_added_up(config):
    """Forward, again in remat, and backward; each of four parts of the rows."""
    made = (ROWS / 4) * T * D * 2
    assert sent(config, "fsdp:4,tensor:2")["tensor"] == 3 * 2 * L * made * 2 * 1 / 2
    config.model.remat = "none"
    assert sent(config, "fsdp:4,tensor:2")["tensor"] == 2 * 2 * L * made * 2 * 1 / 2


def test_an_encoders_rows_have_their_own_length(config):
    """T5 tiny: 3 encoder layers of two projections, 2 decoder layers of three."""
    config.data.encoder_length = 256
    here = ROWS / 4
    expected = 3 * here * 128 * 2 * (3 * 2 * 256 + 2 * 3 * T) * 2 * 1 / 2
    assert sent(config, "fsdp:4,tensor:2", "t5:tiny")["tensor"] == expected


def test_memory_is_moved_for_the_state_for_gathered_weights_and_for_what_products_read_and_write(
    config,
):
    """In bf16, logits in float32; a chip has four rows, and halves of heads, MLP and vocabulary."""
    functions = sized("llama:tiny", {"dtype": "bfloat16"})
    mesh = sharding.make_mesh("fsdp:4,tensor:2")
    weights = 2 * 4 * (MATRICES + NORMS) * 2 / 2
    tokens = ROWS / 4 * T
    products = L * (4 * (D + D / 2) + 3 * (D + F / 2)) * 2
    logits = D * 2 + V / 2 * 4
    moved = hand.bytes_moved(config, functions, mesh, ROWS, 1000)
    assert moved == 2 * 1000 + weights + tokens * (4 * products + 3 * logits)
    config.model.remat = "none"
    moved = hand.bytes_moved(config, functions, mesh, ROWS, 1000)
    assert moved == 2 * 1000 + weights + tokens * (3 * products + 3 * logits)
    # Over sequence, a chip has half of the positions of twice the rows.
    mesh = sharding.make_mesh("fsdp:2,tensor:2,sequence:2")
    assert hand.bytes_moved(config, functions, mesh, ROWS, 1000) == moved


def test_a_frozen_weight_has_no_gradient_to_write(config):
    """LoRA on q and v: their adapters' two products a layer are trained, all others not."""
    config.batch.micro_steps, config.model.remat = 1, "none"
    functions = sized("llama:tiny", {"dtype": "bfloat16"}).adapted(
        Lora(rank=8, alpha=8.0, targets="q,v")
    )
    adapters = L * 2 * 2 * D * 8
    weights = 4 * (MATRICES + NORMS + adapters) * 2
    products = L * (4 * 2 * D + 3 * (D + F)) * 2
    adapted = L * 2 * 2 * (D + 8) * 2
    logits = D * 2 + V * 4
    moved = hand.bytes_moved(config, functions, sharding.make_mesh("fsdp:8"), ROWS, 0)
    assert moved == weights + ROWS / 8 * T * (2 * products + 3 * adapted + 2 * logits)


def test_remat_repeats_the_blocks_forward_pass_alone(config):
    functions = sized("llama:tiny")
    blocks = 2 * T * (L * (4 * D * D + 3 * D * F) + L * D * T)
    head = 2 * T * V * D
    step = ROWS * 3 * (blocks + head)
    counted = hand.chip_flops(config, functions, step, 8)
    assert counted == pytest.approx(ROWS * (4 * blocks + 3 * head) / 8)
    config.model.remat = "dots"
    assert hand.chip_flops(config, functions, step, 8) == step / 8
