from __future__ import annotations

import pytest

from ift_jax import config


def good():
    run = config.base()
    run.mixture.entries = ({"task": "world.open_question"},)
    run.batch.rows = 8
    return run


def test_a_good_config_passes():
    assert config.check(good()).batch.rows == 8


def test_every_field_of_base_has_a_rule():
    assert {key for key, _ in config.leaves(config.base())} == set(config.RULES)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("optimizer.lr", float("nan"), r"config.optimizer.lr = nan, expected a finite number"),
        ("optimizer.lr", 0.0, r"config.optimizer.lr = 0.0, expected .* in \(0, inf\]"),
        ("optimizer.name", "adam", "expected one of 'adamw', 'adafactor'"),
        ("batch.rows", -3, "config.batch.rows = -3, expected a whole number from 1, or None"),
        ("steps", 0, "config.steps = 0, expected a whole number from 1"),
        ("steps", True, "config.steps = True"),
        ("model.dropout", 1.5, "config.model.dropout = 1.5"),
        ("mixture.entries", (), r"config.mixture.entries = \(\), expected at least one task"),
    ],
)
def test_values_out_of_range_are_refused(key, value, message):
    run = good()
    with run.ignore_type():
        run.update_from_flattened_dict({key: value})
    with pytest.raises(ValueError, match=message):
        config.check(run)


def test_a_misspelt_key_fails_with_a_suggestion():
    run = good()
    run.optimizer.warmup_ration = 0.1
    with pytest.raises(ValueError, match=r"unknown key. Did you mean 'optimizer.warmup_ratio'\?"):
        config.check(run)


def test_a_batch_states_rows_or_examples():
    run = good()
    run.batch.examples = 128
    with pytest.raises(ValueError, match="exactly one of the two"):
        config.check(run)


def test_micro_steps_divide_the_rows():
    run = good()
    run.batch.micro_steps = 3
    with pytest.raises(ValueError, match="micro_steps = 3 does not divide config.batch.rows = 8"):
        config.check(run)
