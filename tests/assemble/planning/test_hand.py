from __future__ import annotations

import pytest

from ift_jax import lookup, sharding
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


def moved(config, mesh, functions, changed=0):
    return hand.bytes_moved(config, functions, sharding.make_mesh(mesh), ROWS, changed)


def test_memory_is_moved_for_the_state_for_weights_and_for_what_products_read_and_write(config):
    """In bf16, weights and logits in float32; a chip has four rows, and half of a matrix, of which
    a fourth is its own."""
    functions = sized("llama:tiny", {"dtype": "bfloat16"})
    held = MATRICES / 2 + NORMS
    weights = 2 * 2 * held * (2 + 4 / 4 + 2)
    tokens = ROWS / 4 * T
    products = L * (4 * (D + D / 2) + 3 * (D + F / 2)) * 2
    logits = D * 2 + V / 2 * 4
    expected = 2 * 1000 + weights + tokens * (4 * products + 3 * logits)
    assert moved(config, "fsdp:4,tensor:2", functions, 1000) == expected
    config.model.remat = "none"
    expected -= tokens * products
    assert moved(config, "fsdp:4,tensor:2", functions, 1000) == expected
    # Over sequence, a chip has half of the positions of twice the rows, and twice the weights.
    expected += 2 * 2 * held * (4 / 2 - 4 / 4)
    assert moved(config, "fsdp:2,tensor:2,sequence:2", functions, 1000) == expected


def test_a_weight_that_is_whole_and_in_the_computed_dtype_is_read_alone(config):
    """And where it is frozen it has no gradient to write: LoRA on q and v, whose own two products
    are trained, and their weights float32."""
    config.batch.micro_steps, config.model.remat = 1, "none"
    lora = Lora(rank=8, alpha=8.0, targets="q,v")
    functions = sized("llama:tiny", {"dtype": "bfloat16", "param_dtype": "bfloat16"}).adapted(lora)
    adapters = L * 2 * 2 * D * 8
    products = L * (4 * 2 * D + 3 * (D + F)) * 2
    adapted = L * 2 * 2 * (D + 8) * 2
    logits = D * 2 + V * 4
    expected = 2 * 2 * (MATRICES + NORMS) + 2 * (2 + 4 + 2) * adapters
    expected += ROWS / 8 * T * (2 * products + 3 * adapted + 2 * logits)
    assert moved(config, "data:8", functions) == expected


def test_cross_attention_reads_the_encoders_length(config):
    """T5 tiny, 2 decoder layers: keys and values are of E tokens, all else of T."""
    config.batch.micro_steps, config.model.remat = 1, "none"
    functions = sized("t5:tiny", {"dtype": "bfloat16"})
    config.data.encoder_length = 256
    short = moved(config, "fsdp:8", functions)
    config.data.encoder_length = 512
    by_encoder = 3 * (4 * 2 * D + 3 * (D + 256))
    by_cross = 2 * 2 * 2 * D
    more = moved(config, "fsdp:8", functions) - short
    assert more == ROWS / 8 * 256 * 3 * (by_encoder + by_cross) * 2


@pytest.mark.parametrize(
    "spec",
    [
        f"{family}:{size}"
        for family in lookup.names("models", "Model")
        for size in lookup.find("models", family, "Model").SIZES
    ],
)
def test_every_size_can_be_counted(config, spec):
    functions = sized(spec, {"dtype": "bfloat16"})
    if functions.encoder_decoder:
        config.data.encoder_length = 256
    assert moved(config, "fsdp:8", functions) > 2 * functions.parameter_count


def test_remat_repeats_the_blocks_forward_pass_alone(config):
    functions = sized("llama:tiny")
    blocks = 2 * T * (L * (4 * D * D + 3 * D * F) + L * D * T)
    head = 2 * T * V * D
    step = ROWS * 3 * (blocks + head)
    counted = hand.chip_flops(config, functions, step, 8)
    assert counted == pytest.approx(ROWS * (4 * blocks + 3 * head) / 8)
    config.model.remat = "dots"
    assert hand.chip_flops(config, functions, step, 8) == step / 8
