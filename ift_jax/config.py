"""Run configurations: what their fields mean, and the checks they pass before anything compiles.

A config file (`configs/<name>.py`) has `get_config(arg)`, which fills in `base()` and returns it
locked. ConfigDicts stop at the scripts: below them, constructors get plain values.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from ift_jax.lookup import suggest


def base() -> ConfigDict:
    """Every field of a run, with its default; a config changes what it needs."""
    return ConfigDict(
        {
            "seed": 0,
            # `init` is a model directory (as import_checkpoint.py or train.py writes), a Hugging
            # Face folder, a GGUF file, 'bundled', or 'FAMILY:SIZE' for random weights.
            "model": {
                "init": "bundled",
                "tokenizer": placeholder(str),  # a tokenizer's file, for random weights only
                "dropout": 0.0,
                # What the backward pass computes again: nothing, all but matrix products, or all.
                "remat": "none",
                "scan": True,
                "attention": "auto",  # fused on TPUs and GPUs; or 'plain'
                "param_dtype": "float32",
                "dtype": "float32",
            },
            # Without a rank all weights are trained; with one, adapters of that rank beside frozen
            # weights. Targets are projections of the blocks, such as 'q,v', or 'all'.
            "lora": {"rank": placeholder(int), "alpha": 16.0, "targets": "q,v"},
            # Entries are dicts: task, weight or cap, shots …; see tasks/entry.py. Their paths are
            # relative to `root`. `groups` are pairs of a name and a rate, if entries have groups.
            "mixture": {
                "entries": (),
                "groups": (),
                "temperature": 1.0,
                "root": "",
                "missing": "stop",
                "bad_rows": "stop",
                "published": "",  # a preset: the manifest says what differs from its publication
                "format": "flan",
                "seed": 0,
            },
            "data": {
                "dir": placeholder(str),
                "length": 256,
                "encoder_length": placeholder(int),  # of an encoder-decoder, and only then
                # Slots that a decoder-only row keeps for the answer, and the most tokens of an
                # input with exemplars; without them inputs are cut only where a row is too short.
                "target_limit": placeholder(int),
                "few_shot_limit": placeholder(int),
                "packing": True,
                "workers": 0,
                # A folder in MMLU's layout: rows that hold one of its questions are left out.
                "clean_of": placeholder(str),
            },
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
            # A trace of `steps` steps from the one after step `after` on (the first compiles), in
            # the work folder's profile/, for TensorBoard's profiler or Perfetto.
            "profile": {"after": placeholder(int), "steps": 3},
            "checkpoint": {"every": placeholder(int), "keep": 2},
            # During training, every so many steps and after the last: the loss on `rows` packed
            # rows of what is held out of it, a share of each task's rows; and the accuracy on
            # `development`, a folder in MMLU's layout, of whose val/ the first `limit` questions a
            # subject are asked, and of test/ none. `keep_best`, 'loss' or 'accuracy', saves each
            # step that is evaluated, and keeps the best besides the newest.
            "eval": {
                "every": placeholder(int),
                "held_out": 0.0,
                "rows": 64,
                "development": placeholder(str),
                "limit": placeholder(int),
                "protocol": "original",
                "shots": placeholder(int),
                "keep_best": placeholder(str),
            },
        }
    )


def _choice(*values: Any) -> tuple[Callable[[Any], bool], str]:
    return (lambda seen: seen in values), f"one of {', '.join(map(repr, values))}"


def _number(expected: str, fits: Callable[[float], bool]) -> tuple[Callable[[Any], bool], str]:
    def holds(seen: Any) -> bool:
        number = isinstance(seen, int | float) and not isinstance(seen, bool)
        return number and math.isfinite(seen) and fits(seen)

    return holds, f"a finite number {expected}"


def _integer(low: int) -> tuple[Callable[[Any], bool], str]:
    def holds(seen: Any) -> bool:
        return isinstance(seen, int) and not isinstance(seen, bool) and seen >= low

    return holds, f"a whole number from {low}"


def _optional(rule: tuple[Callable[[Any], bool], str]) -> tuple[Callable[[Any], bool], str]:
    return (lambda seen: seen is None or rule[0](seen)), f"{rule[1]}, or None"


def _are_entries(seen: Any) -> bool:
    several = isinstance(seen, tuple | list) and len(seen) > 0
    return several and all(isinstance(entry, Mapping) for entry in seen)


def _are_rates(seen: Any) -> bool:
    return isinstance(seen, tuple | list) and all(
        isinstance(pair, tuple | list)
        and len(pair) == 2
        and isinstance(pair[0], str)
        and _AT_LEAST_0[0](pair[1])
        for pair in seen
    )


_TEXT = ((lambda seen: isinstance(seen, str) and seen != ""), "a non-empty string")
_FLAG = ((lambda seen: isinstance(seen, bool)), "True or False")
_AT_LEAST_0 = _number("of 0 or more", lambda seen: seen >= 0)
_ABOVE_0 = _number("above 0", lambda seen: seen > 0)
_BELOW_1 = _number("in [0, 1)", lambda seen: 0 <= seen < 1)

RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "seed": _integer(0),
    "model.init": _TEXT,
    "model.tokenizer": _optional(_TEXT),
    "model.dropout": _BELOW_1,
    "model.remat": _choice("none", "dots", "full"),
    "model.scan": _FLAG,
    "model.attention": _choice("auto", "plain"),
    "model.param_dtype": _choice("float32", "bfloat16"),
    "model.dtype": _choice("float32", "bfloat16"),
    "lora.rank": _optional(_integer(1)),
    "lora.alpha": _ABOVE_0,
    "lora.targets": _TEXT,
    "mixture.entries": (_are_entries, "at least one task, each a dict with its fields"),
    "mixture.groups": (_are_rates, "pairs of a group's name and its rate, of 0 or more"),
    "mixture.temperature": _ABOVE_0,
    "mixture.root": ((lambda seen: isinstance(seen, str)), "a folder, or ''"),
    "mixture.missing": _choice("stop", "skip"),
    "mixture.bad_rows": _choice("stop", "skip"),
    "mixture.published": ((lambda seen: isinstance(seen, str)), "a preset's name, or ''"),
    "mixture.format": _TEXT,
    "mixture.seed": _integer(0),
    "data.dir": _optional(_TEXT),
    "data.length": _integer(2),
    "data.encoder_length": _optional(_integer(2)),
    "data.target_limit": _optional(_integer(1)),
    "data.few_shot_limit": _optional(_integer(1)),
    "data.packing": _FLAG,
    "data.workers": _integer(0),
    "data.clean_of": _optional(_TEXT),
    "batch.rows": _optional(_integer(1)),
    "batch.examples": _optional(_integer(1)),
    "batch.micro_steps": _integer(1),
    "optimizer.name": _choice("adamw", "adafactor"),
    "optimizer.lr": _ABOVE_0,
    "optimizer.schedule": _choice("constant", "linear", "cosine", "rsqrt"),
    "optimizer.warmup_ratio": _BELOW_1,
    "optimizer.final_lr_ratio": _number("in [0, 1]", lambda seen: 0 <= seen <= 1),
    "optimizer.b1": _BELOW_1,
    "optimizer.b2": _BELOW_1,
    "optimizer.eps": _ABOVE_0,
    "optimizer.weight_decay": _AT_LEAST_0,
    "optimizer.clip_norm": _optional(_ABOVE_0),
    "steps": _integer(1),
    "mesh": _TEXT,
    "log_every": _integer(1),
    "profile.after": _optional(_integer(0)),
    "profile.steps": _integer(1),
    "checkpoint.every": _optional(_integer(1)),
    "checkpoint.keep": _integer(1),
    "eval.every": _optional(_integer(1)),
    "eval.held_out": _BELOW_1,
    "eval.rows": _integer(1),
    "eval.development": _optional(_TEXT),
    "eval.limit": _optional(_integer(1)),
    "eval.protocol": _TEXT,
    "eval.shots": _optional(_integer(0)),
    "eval.keep_best": _optional(_choice("loss", "accuracy")),
}
"""What each field may be: a predicate, and its wording in an error.

Of the optimizer's, `train.optim.OptimizerConfig` says the same; a test compares the two.
"""


def check(config: ConfigDict) -> ConfigDict:
    """Checks every field of a run's config; what the scripts call before anything compiles.

    Raises:
        ValueError: an unknown key (suggests the nearest), a value out of its range, a batch that
            states both or neither of rows and examples, answers that leave a row no input, a
            tokenizer for a model that has its own, adapters for random weights, a profile of steps
            that the run hasn't, or an evaluation that says not when, or not of what; names the
            key, value and what is legal.
    """
    fields = dict(leaves(config))
    for key, seen in fields.items():
        if key not in RULES:
            raise ValueError(f"config.{key} = {seen!r}: unknown key.{nearest(key)}")
        holds, expected = RULES[key]
        if not holds(seen):
            raise ValueError(f"config.{key} = {seen!r}, expected {expected}")
    if missing := sorted(set(RULES) - set(fields)):
        raise ValueError(f"config lacks {', '.join(missing)}; start from ift_jax.config.base()")
    rows, examples = config.batch.rows, config.batch.examples
    if (rows is None) == (examples is None):
        raise ValueError(
            f"config.batch.rows = {rows}, config.batch.examples = {examples}: a batch states"
            " exactly one of the two; switch the other off, as with --config.batch.rows=None"
        )
    if rows is not None and rows % config.batch.micro_steps:
        raise ValueError(
            f"config.batch.micro_steps = {config.batch.micro_steps} does not divide"
            f" config.batch.rows = {rows}"
        )
    after, profiled = config.profile.after, config.profile.steps
    if after is not None and after + profiled > config.steps:
        raise ValueError(
            f"config.profile.after = {after} and config.profile.steps = {profiled} end after step"
            f" {after + profiled}, and the run after config.steps = {config.steps}"
        )
    limit, length = config.data.target_limit, config.data.length
    if limit is not None and config.data.encoder_length is not None:
        raise ValueError(
            f"config.data.target_limit = {limit}, but config.data.encoder_length ="
            f" {config.data.encoder_length}: an encoder-decoder's answer has all of"
            " config.data.length; leave it out"
        )
    if limit is not None and limit >= length:
        raise ValueError(
            f"config.data.target_limit = {limit} leaves no input of config.data.length = {length};"
            " lower it, or leave it out"
        )
    init, tokenizer = config.model.init, config.model.tokenizer
    random = ":" in init and not Path(init).exists()
    if config.lora.rank is not None and random:
        raise ValueError(
            f"config.lora.rank = {config.lora.rank}, but config.model.init = {init!r} has random"
            " weights, which adapters would need again: name a model on disk, or 'bundled'"
        )
    if tokenizer is not None and not random:
        raise ValueError(
            f"config.model.tokenizer = {tokenizer!r}, but config.model.init = {init!r} has its own:"
            " only random weights ('FAMILY:SIZE') take another; leave it out"
        )
    _check_evaluation(config.eval)
    return config


def _check_evaluation(evaluation: ConfigDict) -> None:
    """Checks that there is something to evaluate by, if and when there is an evaluation."""
    needs = {"loss": "held_out", "accuracy": "development"}
    asked = [name for name in (*needs.values(), "keep_best") if evaluation[name]]
    if asked and evaluation.every is None:
        raise ValueError(
            f"config.eval.{asked[0]} = {evaluation[asked[0]]!r}, but config.eval.every = None:"
            " say every how many steps to evaluate"
        )
    if evaluation.every is not None and not any(evaluation[name] for name in needs.values()):
        raise ValueError(
            f"config.eval.every = {evaluation.every}, and there is nothing to evaluate by: set"
            " config.eval.held_out, a share of the rows, or config.eval.development, a folder"
        )
    best = evaluation.keep_best
    if best is not None and not evaluation[needs[best]]:
        raise ValueError(
            f"config.eval.keep_best = {best!r} needs config.eval.{needs[best]}, which is"
            f" {evaluation[needs[best]]!r}"
        )


def nearest(key: str) -> str:
    """What a key that no config has may have meant: a like one, or those beside it."""
    if hint := suggest(key, list(RULES)):
        return hint
    by_last = {known.rpartition(".")[2]: known for known in RULES}
    if near := difflib.get_close_matches(key.rpartition(".")[2], list(by_last), n=1):
        return f" Did you mean {by_last[near[0]]!r}?"
    group = key.partition(".")[0] + "."
    inside = [known for known in RULES if known.startswith(group)]
    return f" There are: {', '.join(inside or dict.fromkeys(k.split('.')[0] for k in RULES))}"


def leaves(config: ConfigDict, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of every field."""
    for key in config:
        value = config.get(key)  # unlike config.items(): a placeholder that nobody filled is None
        if isinstance(value, ConfigDict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
