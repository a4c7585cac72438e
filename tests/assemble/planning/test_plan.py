from __future__ import annotations

import dataclasses
import importlib.util

import jax
import pytest

from ift_jax import sharding
from ift_jax.assemble.planning import chips
from ift_jax.assemble.planning import plan as planning
from ift_jax.assemble.planning.plan import find_model, plan, refused
from tests.assemble.planning.conftest import tiny_config

V5P = chips.CHIPS["v5p"]
D, F, L, V, T = 128, 352, 4, 2048, 64
MATRICES = L * (4 * D * D + 3 * D * F) + 2 * V * D
NORMS = (2 * L + 1) * D


def test_state_is_the_models_split_over_the_chips(tiny_plan):
    """Matrices over all eight, norm scales over the four of fsdp; AdamW has two moments of each."""
    weights = 4 * (MATRICES // 8 + NORMS // 4)
    assert tiny_plan.parameters == MATRICES + NORMS
    assert tiny_plan.parameter_bytes == weights
    counter = 4
    assert tiny_plan.optimizer_bytes == 2 * weights + counter


def test_the_compiler_counts_the_same_state(tiny_plan):
    """And five arrays of 16 rows over four, and two counters."""
    batch = 5 * 4 * 64 * 4
    arguments = tiny_plan.training.memory.arguments
    assert arguments == tiny_plan.parameter_bytes + tiny_plan.optimizer_bytes + batch + 2 * 4
    assert tiny_plan.training.memory.results < 1000, "the state is donated: only metrics are new"
    assert tiny_plan.fits


def test_operations_are_those_of_the_dimensions(tiny_plan):
    """By hand half of the attention scores, as causal ones need; compiled, all of them in rows as
    short as these.

    What remat repeats has no use for the MLP's last product, and the compiler leaves it out.
    """
    blocks = L * (4 * D * D + 3 * D * F)
    rows = 16
    assert tiny_plan.model_flops == 3 * 2 * rows * T * (blocks + 2 * L * D * T // 2 + V * D)
    by_hand = 2 * rows * T * (4 * (blocks + 2 * L * D * T // 2) + 3 * V * D)
    assert tiny_plan.chip_flops == pytest.approx(by_hand / 8)
    in_full = 2 * rows * T * (4 * (blocks + 2 * L * D * T) - L * D * F + 3 * V * D)
    assert tiny_plan.training.work.flops == in_full / 8


def test_times_follow_from_what_is_compiled(tiny_plan):
    work = tiny_plan.training.work
    assert tiny_plan.times.compute == max(work.flops, tiny_plan.chip_flops) / V5P.flops
    assert tiny_plan.times.memory == work.moved / V5P.hbm_bandwidth
    assert tiny_plan.times.communication == work.bytes_sent / V5P.link_bandwidth
    share = tiny_plan.model_flops / (8 * V5P.flops * tiny_plan.times.step)
    assert tiny_plan.mfu == pytest.approx(share)
    assert tiny_plan.mfu < tiny_plan.mfu_overlapped < 1


def test_scoring_is_compiled_too(tiny_plan):
    """A prefix on each of the four parts, then rows of the questions that follow it."""
    prefix, rows = tiny_plan.scoring.values()
    assert next(iter(tiny_plan.scoring)) == "prefix"
    blocks = L * (4 * D * D + 3 * D * F)
    # In four parts, of which none meets the keys of a later one.
    scored = 2 * L * D * 640 * 5 / 8
    assert prefix.work.flops == pytest.approx(2 * 640 * (blocks + scored) / 2, rel=0.03)
    assert rows.memory.arguments > 4 * (MATRICES // 8)


def test_what_exceeds_a_chip_does_not_fit(config):
    small = dataclasses.replace(V5P, hbm=1e6)
    assert not plan(config, "v5p:2x2x2", small, jax.devices(), scoring=False).fits


def test_adapters_leave_their_base_frozen(config):
    """Their moments alone are the optimizer's; all weights are held all the same."""
    config.model.init = "bundled"
    config.lora.rank = 8
    made = plan(config, "v5p:2x2x2", V5P, jax.devices(), scoring=False)
    a, b = D * 8, 8 * D  # of q and v: a split over fsdp, b over tensor
    adapters = 4 * 2 * L * (a // 4 + b // 2)
    assert made.optimizer_bytes == 2 * adapters + 4
    assert made.parameter_bytes == 4 * (MATRICES // 8 + NORMS // 4) + adapters
    assert made.model_flops == tiny_flops(2)


def tiny_flops(passes: int) -> int:
    blocks = L * (4 * D * D + 3 * D * F)
    return passes * 2 * 16 * T * (blocks + 2 * L * D * T // 2 + V * D)


@pytest.mark.slow
def test_an_encoder_decoder_is_planned(config, monkeypatch):
    monkeypatch.setattr(planning, "QUESTIONS", 32)
    config.model.init = "t5:tiny"
    config.data.encoder_length = 128
    made = plan(config, "v5p:2x2x2", V5P, jax.devices())
    assert made.fits and made.encoder_length == 128
    # Of 640 tokens and 96 before 1, 2, 3, 4 choices' one, and none of the context is shared.
    assert list(made.scoring) == ["32 rows of 772 tokens"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"batch.rows": None, "batch.examples": 64},
            "--config.batch.examples=None",
        ),
        ({"mesh": "fsdp:3"}, "needs 3 devices, and there are 8"),
        ({"batch.rows": 6}, "3 rows do not divide"),
        ({"model.init": "models/mine"}, "--config.model.init=FAMILY:SIZE, with a family of falcon"),
        ({"model.init": "models/llama-8b"}, "--config.model.init=FAMILY:SIZE"),
        ({"model.init": "llama:8b"}, "no size '8b'.*There are: tiny, 7b"),
        ({"data.encoder_length": 64}, "llama is a decoder: leave out"),
        ({"model.init": "t5:tiny"}, "t5 is an encoder-decoder: say"),
    ],
)
def test_what_cannot_be_planned_says_why(config, change, message):
    with config.ignore_type():
        config.update_from_flattened_dict(change)
    with pytest.raises(ValueError, match=message):
        plan(config, "v5p:2x2x2", V5P, jax.devices())


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("models/llama-65b", "llama:65b"),
        ("models/llama-2-7b", "llama:2-7b"),
        ("models/t5-xxl-lm-adapt", "t5:xxl"),
        ("models/Falcon-40B", "falcon:40b"),
        ("palm:62b", "palm:62b"),
    ],
)
def test_a_path_where_nothing_is_names_a_published_size(config, path, name):
    config.model.init = path
    found, functions = find_model(config, sharding.make_mesh("fsdp:8"))
    family = name.partition(":")[0]
    assert found == name and functions.family == family
    assert functions.config.dtype == "bfloat16" and functions.config.remat == "full"


@pytest.mark.parametrize(
    "said",
    [
        "XLA:TPU compile permanent error. Ran out of memory in memory space hbm. Used 120.50G of"
        " 94.99G hbm. Exceeded hbm capacity by 25.51G.\n\nTotal hbm usage",
        # Of LLaMA-65B on four chips.
        "Ran out of memory on HBM, the total memory required for HLO temporaries (120.50G) exceeds"
        " available HBM (95.74G).",
    ],
)
def test_a_refusal_says_how_much_is_needed(said):
    found = refused(jax.errors.JaxRuntimeError(f"RESOURCE_EXHAUSTED: {said}"))
    assert found.needed == 120.5 * 2**30 and found.memory is None
    assert found.refusal.startswith(f"RESOURCE_EXHAUSTED: {said[:20]}")


def test_another_error_of_the_compiler_is_not_taken_for_want_of_memory():
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
        refused(jax.errors.JaxRuntimeError("INTERNAL: a bug"))


needs_libtpu = pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None, reason="needs libtpu: pip install 'ift-jax[tpu]'"
)


@needs_libtpu
def test_a_tpus_compiler_counts_the_same(tiny_plan):
    made = plan(tiny_config(), "v5p:2x2x2", V5P, chips.devices("v5p:2x2x2"))
    assert made.fits
    assert made.parameter_bytes == tiny_plan.parameter_bytes
    assert made.training.work.flops == pytest.approx(tiny_plan.training.work.flops, rel=0.05)
    assert made.training.work.bytes_sent == pytest.approx(sum(made.sent_by_hand.values()), rel=0.4)
    assert made.moved_by_hand < made.training.work.moved


@needs_libtpu
def test_a_tpus_compiler_refuses_what_exceeds_its_memory():
    """12 bytes a parameter of LLaMA 7B on four chips of 17 GB."""
    config = tiny_config()
    config.model.init, config.mesh = "llama:7b", "fsdp:4"
    chip = chips.CHIPS["v5e"]
    made = plan(config, "v5e:2x2", chip, chips.devices("v5e:2x2"), scoring=False)
    assert not made.fits
    assert made.training.needed > chip.hbm


@pytest.mark.parametrize(
    ("topology", "compiler", "forward"),
    [
        ("v5e:2x2", "libtpu", "%splash_mha_fwd"),
        ("h100:4", "jax_cuda12_plugin", "%dot_product_attention_fwd"),
    ],
)
def test_remat_keeps_what_a_fused_attention_makes(config, monkeypatch, topology, compiler, forward):
    """`dots` runs no kernel's forward pass again; `full` does. With one key/value head, too."""
    if importlib.util.find_spec(compiler) is None:
        pytest.skip(f"needs {compiler}")
    kernels = {}

    def measured(program, _):
        calls = (line for line in program.as_text().splitlines() if "custom-call(" in line)
        kernels[config.model.remat] = sum(line.strip().startswith(forward) for line in calls)
        return planning.refused(jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: not asked for"))

    monkeypatch.setattr(planning, "measured", measured)
    config.model.init, config.mesh, config.data.length = "falcon:tiny", "fsdp:2,tensor:2", 256
    for config.model.remat in ("none", "dots", "full"):
        chip, _ = chips.read_topology(topology)
        plan(config, topology, chip, chips.devices(topology), scoring=False)
    assert kernels == {"none": 1, "dots": 1, "full": 2}
