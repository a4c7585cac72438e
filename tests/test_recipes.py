"""Each recipe, its sizes replaced by tiny ones, is planned, built and trained for two steps.

Its hyperparameters, format, mesh, groups and kinds of examples stay; bundled tasks stand for its
data. `tests/test_configs.py` builds the large ones at their true sizes.
"""

from __future__ import annotations

import itertools
import math
import pathlib

import jax
import pytest

from ift_jax import config as configs
from ift_jax import metrics, tokenizers
from ift_jax.assemble import training
from ift_jax.assemble.planning.chips import CHIPS
from ift_jax.assemble.planning.plan import plan
from ift_jax.tasks.world import statements
from tests.test_configs import load

FAMILIES = {
    "llama_i_65b": "llama",
    "alpaca_7b": "llama",
    "alpaca_lora_7b": None,  # adapters stand beside weights that are there: the bundled ones
    "flan_palm_62b": "palm",
    "flan_t5_xxl": "t5",
    "opt_iml_30b": "opt",
    "smollm2": "llama",
    "symbol_tuning": "llama",
}
SMALLER = 8
"""What lengths are divided by."""


@pytest.fixture(scope="module")
def tokenizer_file(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.model"
    texts = [row["text"] for row in statements.rows("mixture")]
    tokenizers.train_sentencepiece(texts, 600, path)
    return str(path)


TASKS = (
    "world.open_question",
    "world.multiple_choice_text",
    "world.true_false",
    "world.completion",
)
"""They stand for what a recipe's groups have, one each."""


def stand_in(entry: dict, task: str, folder: pathlib.Path) -> dict:
    """The same entry of another task of its kind."""
    entry = dict(entry)
    if entry.get("symbols"):
        # They need a task whose exemplars can stand without instruction.
        path = folder / "train.tsv"
        reviews = [f"review number {i}\t{i % 2}\n" for i in range(60)]
        path.write_text("sentence\tlabel\n" + "".join(reviews))
        return entry | {"task": f"sst2:{path}"}
    if entry.get("rationale_share") == 1:
        task = "world.arithmetic_rationale"
    elif entry["task"].startswith("plain_text"):
        task = "world.statements@mixture"
    return entry | {"task": task, "bare_share": 0.0}


def tiny(name: str, tokenizer_file: str, folder: pathlib.Path):
    """The recipe's config on a tiny model."""
    config = load(name)
    with config.unlocked():
        config.model.init = f"{FAMILIES[name]}:tiny" if FAMILIES[name] else "bundled"
        config.model.tokenizer = tokenizer_file if FAMILIES[name] else None
        by_group = {entry.get("group", ""): entry for entry in config.mixture.entries}
        groups = dict(config.mixture.groups)
        config.mixture.entries = tuple(
            stand_in(entry, task, folder)
            for entry, task in zip(by_group.values(), itertools.cycle(TASKS), strict=False)
        )
        config.mixture.groups = tuple((group, groups[group]) for group in by_group if group)
        config.mixture.published = ""
        for field in ("length", "encoder_length", "target_limit", "few_shot_limit"):
            if config.data[field] is not None:
                config.data[field] = max(64, config.data[field] // SMALLER)
        if config.batch.rows:
            config.batch.rows = 8 * config.batch.micro_steps
        else:
            config.batch.examples = 64
        config.steps, config.log_every = 2, 2
        config.checkpoint.every = None
        if config.eval.every:
            config.eval.every = 1
            config.eval.rows = 8
    return config


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_a_recipe_is_planned_and_takes_two_steps(name, tokenizer_file, tmp_path):
    config = tiny(name, tokenizer_file, tmp_path)
    configs.check(config)
    config.data.dir = str(tmp_path / "data")
    training.train(config, tmp_path / "run")
    records = metrics.read(tmp_path / "run" / "metrics.jsonl")
    (record,) = (record for record in records if "loss" in record)
    assert (record["step"], record["skipped"]) == (2, 0)
    assert math.isfinite(record["loss"]) and record["grad_norm"] > 0

    if config.batch.rows is None:
        with config.unlocked():
            config.batch.examples, config.batch.rows = None, 8
    made = plan(config, "v5p:2x2x2", CHIPS["v5p"], jax.devices())
    assert made.fits and made.training.work.flops > 0 and made.scoring
