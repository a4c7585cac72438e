from __future__ import annotations

import dataclasses

import pytest

from ift_jax import config
from ift_jax.layers.lora import Lora
from ift_jax.train.optim import OPTIMIZERS, SCHEDULES, OptimizerConfig


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
        ("optimizer.lr", 0.0, r"config.optimizer.lr = 0.0, expected a finite number above 0$"),
        ("optimizer.warmup_ratio", 1, r"expected a finite number in \[0, 1\)$"),
        ("optimizer.weight_decay", -1, "expected a finite number of 0 or more"),
        ("optimizer.name", "adam", "expected one of 'adamw', 'adafactor'"),
        ("batch.rows", -3, "config.batch.rows = -3, expected a whole number from 1, or None"),
        ("profile.after", 98, "config.profile.steps = 3 end after step 101, and the run .* = 100"),
        ("steps", 0, "config.steps = 0, expected a whole number from 1"),
        ("steps", True, "config.steps = True"),
        ("lora.rank", 0, "config.lora.rank = 0, expected a whole number from 1, or None"),
        ("lora.targets", ("q", "v"), r"config.lora.targets = \('q', 'v'\), expected a non-empty"),
        ("model.dropout", 1.5, "config.model.dropout = 1.5"),
        ("model.dropout", 1.0, r"expected a finite number in \[0, 1\)$"),
        ("mixture.entries", (), r"config.mixture.entries = \(\), expected at least one task"),
        ("mixture.entries", (3,), r"config.mixture.entries = \(3,\), expected .* each a dict"),
    ],
)
def test_values_out_of_range_are_refused(key, value, message):
    run = good()
    with run.ignore_type():
        run.update_from_flattened_dict({key: value})
    with pytest.raises(ValueError, match=message):
        config.check(run)


VALUES = (-1, 0, 0.0, 0.5, 0.99999999, 1, 1.5, float("nan"), float("inf"), True, "1", None)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(OptimizerConfig)])
def test_the_optimizer_accepts_what_the_rules_do_and_no_more(field):
    for value in (*VALUES, *OPTIMIZERS, *SCHEDULES):
        try:
            accepted = bool(OptimizerConfig(**{field: value}))
        except ValueError:
            accepted = False
        assert config.RULES[f"optimizer.{field}"][0](value) == accepted, value


@pytest.mark.parametrize("field", ["rank", "alpha"])
def test_adapters_accept_what_the_rules_do_and_no_more(field):
    for value in VALUES[:-1]:  # a rank of None is no adapters
        try:
            accepted = bool(Lora(**{"rank": 1, "alpha": 1.0, "targets": "q", field: value}))
        except ValueError:
            accepted = False
        assert config.RULES[f"lora.{field}"][0](value) == accepted, value


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("optimiser.lr", "Did you mean 'optimizer.lr'?"),
        ("lr", "Did you mean 'optimizer.lr'?"),
        ("warmup", "Did you mean 'optimizer.warmup_ratio'?"),
        ("batch.nothing_like_it", "There are: batch.rows, batch.examples, batch.micro_steps"),
        ("zzz", "There are: seed, model, lora, mixture, data, batch, optimizer, steps, mesh"),
        ("lora.r", "Did you mean 'lora.rank'?"),
    ],
)
def test_the_nearest_key_is_whole_or_those_beside_it_are_listed(key, hint):
    assert config.nearest(key).startswith(f" {hint}")


def test_a_tokenizer_is_for_random_weights(tmp_path):
    run = good()
    run.model.tokenizer = "/nope"
    with pytest.raises(ValueError, match="tokenizer = '/nope', but .* 'bundled' has its own"):
        config.check(run)
    run.model.init = "llama:tiny"
    config.check(run)
    run.model.init = str(tmp_path / "a:folder")
    (tmp_path / "a:folder").mkdir()
    with pytest.raises(ValueError, match="has its own"):
        config.check(run)


def test_adapters_are_not_for_random_weights():
    run = good()
    run.lora.rank = 8
    config.check(run)
    run.model.init = "llama:tiny"
    with pytest.raises(ValueError, match="lora.rank = 8, but .* 'llama:tiny' has random weights"):
        config.check(run)


def test_a_misspelt_key_fails_with_a_suggestion():
    run = good()
    run.optimizer.warmup_ration = 0.1
    with pytest.raises(ValueError, match=r"unknown key. Did you mean 'optimizer.warmup_ratio'\?"):
        config.check(run)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"target_limit": 256}, "target_limit = 256 leaves no input of config.data.length = 256"),
        ({"target_limit": 8, "encoder_length": 64}, "target_limit = 8, .* answer has all of"),
    ],
)
def test_answers_leave_room_for_the_input(fields, message):
    run = good()
    run.data.update(fields)
    with pytest.raises(ValueError, match=message):
        config.check(run)


def test_a_batch_states_rows_or_examples():
    run = good()
    run.batch.examples = 128
    with pytest.raises(ValueError, match="exactly one of the two"):
        config.check(run)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"held_out": 0.1}, r"eval.held_out = 0.1, but config.eval.every = None: say every how"),
        ({"development": "d"}, r"eval.development = 'd', but config.eval.every = None"),
        ({"every": 5}, r"eval.every = 5, and there is nothing to evaluate by: set config.eval.h"),
        (
            {"every": 5, "held_out": 0.1, "keep_best": "accuracy"},
            "keep_best = 'accuracy' needs config.eval.development, which is None",
        ),
        (
            {"every": 5, "development": "d", "keep_best": "loss"},
            "keep_best = 'loss' needs config.eval.held_out, which is 0.0",
        ),
        ({"keep_best": "f1"}, "keep_best = 'f1', expected one of 'loss', 'accuracy', or None"),
        ({"held_out": 1.0}, r"eval.held_out = 1.0, expected a finite number in \[0, 1\)"),
    ],
)
def test_an_evaluation_has_a_time_and_something_to_go_by(fields, message):
    run = good()
    run.eval.update(fields)
    with pytest.raises(ValueError, match=message):
        config.check(run)


def test_good_evaluations_pass():
    for fields in ({"held_out": 0.1, "keep_best": "loss"}, {"development": "d"}):
        run = good()
        run.eval.update({"every": 5} | fields)
        config.check(run)


def test_micro_steps_divide_the_rows():
    run = good()
    run.batch.micro_steps = 3
    with pytest.raises(ValueError, match="micro_steps = 3 does not divide config.batch.rows = 8"):
        config.check(run)
