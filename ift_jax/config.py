"""Run configurations: what their fields mean, and the checks they pass before anything compiles.

A config file (`configs/<name>.py`) has `get_config(arg)`, which fills in `base()` and returns it
locked. ConfigDicts stop at the scripts: below them, constructors get plain values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from ift_jax.lookup import suggest


def base() -> ConfigDict:
    """Every field of a run, with its default; a config changes what it needs."""
    return ConfigDict(
        {
            "seed": 0,
            # A model directory (as import_checkpoint writes), 'bundled', or 'FAMILY:SIZE' for
            # random weights.
            "model": {
                "init": "bundled",
                "tokenizer": placeholder(str),  # a tokenizer file, for random weights
                "dropout": 0.0,
                "remat": "none",
                "scan": True,
                "param_dtype": "float32",
                "dtype": "float32",
            },
            # Entries are dicts: task, weight or cap, shots …; see tasks/mixture.py.
            "mixture": {"entries": (), "format": "flan", "seed": 0},
            "data": {"dir": placeholder(str), "length": 256, "packing": True, "workers": 0},
            # Rows a step, or (in expectation, when packed) examples a step; one of the two.
            "batch": {"rows": placeholder(int), "examples": placeholder(int), "micro_steps": 1},
            "optimizer": {
                "name": "adamw",
                "lr": 1e-3,
                "schedule": "constant",
                "warmup_ratio": 0.0,
                "final_lr_ratio": 0.0,
                "b1": 0.9,
                "b2": 0.95,
                "eps": 1e-8,
                "weight_decay": 0.0,
                "clip_norm": placeholder(float),
            },
            "steps": 100,
            "mesh": "fsdp:-1",
            "log_every": 10,
            "checkpoint": {"every": placeholder(int), "keep": 2},
        }
    )


def _choice(*values: Any) -> tuple[Callable[[Any], bool], str]:
    return (lambda seen: seen in values), f"one of {', '.join(map(repr, values))}"


def _number(low: float, high: float = math.inf, *, above: bool = False) -> tuple[Any, str]:
    sign = "(" if above else "["

    def holds(seen: Any) -> bool:
        fits = isinstance(seen, int | float) and not isinstance(seen, bool) and math.isfinite(seen)
        return fits and (seen > low if above else seen >= low) and seen <= high

    return holds, f"a finite number in {sign}{low}, {high}]"


def _integer(low: int) -> tuple[Callable[[Any], bool], str]:
    def holds(seen: Any) -> bool:
        return isinstance(seen, int) and not isinstance(seen, bool) and seen >= low

    return holds, f"a whole number from {low}"


def _optional(rule: tuple[Callable[[Any], bool], str]) -> tuple[Callable[[Any], bool], str]:
    return (lambda seen: seen is None or rule[0](seen)), f"{rule[1]}, or None"


_TEXT = ((lambda seen: isinstance(seen, str) and seen != ""), "a non-empty string")
_FLAG = ((lambda seen: isinstance(seen, bool)), "True or False")

RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "seed": _integer(0),
    "model.init": _TEXT,
    "model.tokenizer": _optional(_TEXT),
    "model.dropout": _number(0, 0.99),
    "model.remat": _choice("none", "dots", "full"),
    "model.scan": _FLAG,
    "model.param_dtype": _choice("float32", "bfloat16"),
    "model.dtype": _choice("float32", "bfloat16"),
    "mixture.entries": ((lambda seen: len(seen) > 0), "at least one task"),
    "mixture.format": _TEXT,
    "mixture.seed": _integer(0),
    "data.dir": _optional(_TEXT),
    "data.length": _integer(2),
    "data.packing": _FLAG,
    "data.workers": _integer(0),
    "batch.rows": _optional(_integer(1)),
    "batch.examples": _optional(_integer(1)),
    "batch.micro_steps": _integer(1),
    "optimizer.name": _choice("adamw", "adafactor"),
    "optimizer.lr": _number(0, above=True),
    "optimizer.schedule": _choice("constant", "linear", "cosine", "rsqrt"),
    "optimizer.warmup_ratio": _number(0, 1),
    "optimizer.final_lr_ratio": _number(0, 1),
    "optimizer.b1": _number(0, 0.9999),
    "optimizer.b2": _number(0, 0.999999),
    "optimizer.eps": _number(0, above=True),
    "optimizer.weight_decay": _number(0),
    "optimizer.clip_norm": _optional(_number(0, above=True)),
    "steps": _integer(1),
    "mesh": _TEXT,
    "log_every": _integer(1),
    "checkpoint.every": _optional(_integer(1)),
    "checkpoint.keep": _integer(1),
}
"""What each field may be: a predicate, and its wording in an error."""


def check(config: ConfigDict) -> ConfigDict:
    """Checks every field of a run's config; what the scripts call before anything compiles.

    Raises:
        ValueError: an unknown key (suggests the nearest), a value out of its range, or a batch that
            states both or neither of rows and examples; names the key, value and what is legal.
    """
    fields = dict(leaves(config))
    for key, seen in fields.items():
        if key not in RULES:
            raise ValueError(f"config.{key} = {seen!r}: unknown key.{suggest(key, list(RULES))}")
        holds, expected = RULES[key]
        if not holds(seen):
            raise ValueError(f"config.{key} = {seen!r}, expected {expected}")
    if missing := sorted(set(RULES) - set(fields)):
        raise ValueError(f"config lacks {', '.join(missing)}; start from ift_jax.config.base()")
    rows, examples = config.batch.rows, config.batch.examples
    if (rows is None) == (examples is None):
        raise ValueError(
            f"config.batch.rows = {rows}, config.batch.examples = {examples}: a batch states"
            " exactly one of the two"
        )
    if rows is not None and rows % config.batch.micro_steps:
        raise ValueError(
            f"config.batch.micro_steps = {config.batch.micro_steps} does not divide"
            f" config.batch.rows = {rows}"
        )
    return config


def leaves(config: ConfigDict, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of every field."""
    for key in config:
        # `get_oneway_ref`-free access: a placeholder that nobody filled reads as None.
        value = config.get(key)
        if isinstance(value, ConfigDict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
