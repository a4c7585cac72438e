from __future__ import annotations

import pytest

from ift_jax.assemble.planning.chips import CHIPS, Chip
from ift_jax.assemble.planning.roofline import mfu, times

CHIP = Chip(flops=100e12, hbm=16e9, hbm_bandwidth=1e12, link_bandwidth=200e9, slices=())


def test_each_time_is_an_amount_over_a_rate():
    taken = times(CHIP, "bfloat16", flops=50e12, bytes_moved=2e11, bytes_sent=2e10)
    assert (taken.compute, taken.memory, taken.communication) == (0.5, 0.2, 0.1)
    assert taken.step == pytest.approx(0.5 + 0.1), "communication waits for compute"
    assert taken.overlapped == 0.5


def test_a_step_bound_by_memory_takes_its_time():
    taken = times(CHIP, "bfloat16", flops=10e12, bytes_moved=3e11, bytes_sent=8e10)
    assert taken.step == pytest.approx(0.3 + 0.4)
    assert taken.overlapped == 0.4


def test_float32_takes_six_passes_on_a_tpu_and_a_gpu_has_a_rate_for_it():
    def compute(chip):
        return times(chip, "float32", flops=50e12, bytes_moved=0, bytes_sent=0).compute

    assert compute(CHIP) == pytest.approx(3.0)
    assert compute(CHIPS["h100"]) == pytest.approx(50 / 67)


def test_mfu_counts_the_models_operations_over_all_chips():
    assert mfu(CHIP, 4, model_flops=120e12, seconds=0.6) == pytest.approx(0.5)
