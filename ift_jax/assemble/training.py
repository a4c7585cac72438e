"""A training run, from its config to its last checkpoint."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from ift_jax import config as configs
from ift_jax import metrics, sharding
from ift_jax.assemble import evaluation
from ift_jax.assemble.models import (
    CHECKPOINTS,
    MODEL_FILE,
    Model,
    describe,
    open_model,
    random_model,
    sized,
)
from ift_jax.assemble.program import Program, build_program, step_flops
from ift_jax.checkpoints.base import Base, fingerprint
from ift_jax.checkpoints.seal import write_json
from ift_jax.checkpoints.store import Store
from ift_jax.data import dataset, rows
from ift_jax.data.held_out import Part
from ift_jax.dims import Batch
from ift_jax.evals import contamination
from ift_jax.evals.questions import read_directory
from ift_jax.layers.functional import Functions, Params
from ift_jax.layers.lora import Lora
from ift_jax.lookup import suggest
from ift_jax.tasks.entry import Entry
from ift_jax.tasks.mixture import Mixture
from ift_jax.train.loop import Trace
from ift_jax.train.loop import train as run_loop
from ift_jax.train.state import TrainState, place

PROFILE = "profile"
"""The folder of a run's traces."""

MANIFEST = "mixture.json"
"""What a run was trained on: the manifest of its rows, task by task."""

SWITCHES = ("dropout", "remat", "scan", "attention", "param_dtype", "dtype")
"""Fields of `config.model` that change a family's Config."""

HOW_NOT_WHAT = (
    *("mesh", "log_every", "checkpoint", "profile", "model.remat", "model.attention"),
    # Where data lie; that they are the same is known by their rows.
    *("data.dir", "data.workers", "data.clean_of", "mixture.root", "eval.development"),
)
"""Fields that a resumed run may change: they say how the same numbers are come by."""

PROBED_ROWS = 256
"""Rows packed to learn how many examples a row holds."""


def train(config: ConfigDict, workdir: str | Path) -> Model:
    """Trains as the config says, from the start or from the newest checkpoint in `workdir`.

    Args:
        config: see `ift_jax.config`.
        workdir: becomes a model directory, with `metrics.jsonl` and TensorBoard events.

    Returns:
        The trained model.

    Raises:
        ValueError: a bad config; a mesh that doesn't fit; a `workdir` of another config,
            of other data, or of adapters to other weights.
        train.loop.Interrupted: asked to stop; saved.
    """
    configs.check(config)
    workdir = Path(workdir)
    mesh = sharding.make_mesh(config.mesh)
    with jax.set_mesh(mesh), _store(config, workdir) as store:
        base = open_base(config, mesh)
        functions = adapted(config, base)
        development = evaluation.development(config, functions, base.tokenizer, mesh)
        say(sharding.table(mesh, functions.letters, functions.abstract))
        program = build_program(config, functions, mesh)
        state, read = _restore(store, program.abstract)
        start = 0 if state is None else int(state.step)
        source, rows_per_step = build_rows(
            config, base, mesh, rows_per_step=read["next_row"] // start if start else None
        )
        at_once = rows_per_step // config.batch.micro_steps
        held_out = build_held_out(config, base, at_once)
        made_of = {"rows": source.plan, **evaluation.made_of(held_out, development)}
        say(dataset.table(source))
        if jax.process_index() == 0:
            workdir.mkdir(parents=True, exist_ok=True)
            write_json(workdir / MANIFEST, source.manifest)
        frozen = base.load() if functions.lora else {}
        if state is None:
            state = _first_state(base, functions, program, config.seed)
            trained = dataclasses.replace(
                base, functions=functions, prompt_format=config.mixture.format
            )
            describe(workdir, trained, _named(config, base, frozen) if frozen else None)
        elif read["rows"] != source.plan:
            raise ValueError(
                f"{workdir} was trained on the rows {read['rows']}, and now its config makes the"
                f" rows {source.plan}: a dataset, a template, a prompt format or this package has"
                " changed since. Put it back as it was, or start again in another folder"
            )
        elif read != made_of | {"next_row": read["next_row"]}:
            raise ValueError(
                f"{workdir} was evaluated on other held-out rows or questions than its config now"
                " names, and the two can't be compared. Put them back as they were, or start again"
                " in another folder"
            )
        else:
            if frozen:
                open_model(workdir, mesh).base.check(frozen, workdir / MODEL_FILE)
            say(f"resuming {workdir} after step {start}")

        evaluate = evaluation.make_evaluate(
            functions, frozen, _held_out_batches(held_out, at_once, mesh), development
        )
        steps = range(start, config.steps)
        with closing(metrics.Writer(workdir, resume_step=start)) as writer:
            state = run_loop(
                functools.partial(program.step, frozen=frozen),
                state,
                _batches(source, rows_per_step, steps, mesh, config.data.workers),
                stop_step=config.steps,
                store=store,
                writer=writer,
                data=made_of,
                speed=_speed(config, functions, rows_per_step),
                save_every=config.checkpoint.every,
                log_every=config.log_every,
                evaluate=evaluate,
                evaluate_every=config.eval.every,
                judge=evaluation.judge(config),
                trace=_trace(config, workdir),
            )
        if (best := store.best()) is not None:
            say(f"best checkpoint: step {best}, {store.quality(best)}")
    return Model(
        base.functions,
        base.tokenizer,
        config.mixture.format,
        config.steps,
        lambda: functions.merge({**frozen, **state.params}),
    )


def open_base(config: ConfigDict, mesh: Mesh) -> Model:
    """The model that a config starts from: random weights for 'FAMILY:SIZE', else one on disk."""
    switches = {name: config.model[name] for name in SWITCHES}
    init = config.model.init
    if ":" in init and not Path(init).exists():
        sized(init)  # first, a size that there is
        if config.model.tokenizer is None:
            raise ValueError(
                f"config.model.init = {init!r} has random weights: name a tokenizer's file in"
                " config.model.tokenizer"
            )
        return random_model(init, config.model.tokenizer, mesh, seed=config.seed, switches=switches)
    return open_model(init, mesh, switches=switches)


def adapted(config: ConfigDict, base: Model) -> Functions:
    """The functions that a config trains: the base's, with adapters where it asks for them.

    Raises:
        ValueError: unknown targets, or a base that has adapters of its own.
    """
    if config.lora.rank is None:
        return base.functions
    if base.base:
        raise ValueError(
            f"config.model.init = {config.model.init!r} holds adapters itself, for"
            f" {base.base.path}: export it, and train beside what that writes"
        )
    return base.functions.adapted(Lora(**config.lora))


def read_mixture(config: ConfigDict) -> Mixture:
    """The mixture of a config's plain values.

    Raises:
        ValueError: an entry with an unknown field or without a task, or a group named twice.
    """
    known = [field.name for field in dataclasses.fields(Entry)]
    entries = []
    for number, fields in enumerate(config.mixture.entries):
        where = f"config.mixture.entries[{number}] = {dict(fields)}"
        for field in fields:
            if field not in known:
                raise ValueError(
                    f"{where}: unknown field {field!r}.{suggest(field, known)} An entry has"
                    f" {', '.join(known)}"
                )
        if "task" not in fields:
            raise ValueError(f"{where}: names no task; write task='NAME[@SPLIT][:PATH]'")
        entries.append(Entry(**fields))
    groups = dict(config.mixture.groups)
    if len(groups) < len(config.mixture.groups):
        raise ValueError(
            f"config.mixture.groups = {config.mixture.groups} names a group twice: sum its rates"
        )
    return Mixture(**dict(config.mixture) | {"entries": tuple(entries), "groups": groups})


def build_rows(
    config: ConfigDict, model: Model, mesh: Mesh, *, rows_per_step: int | None = None
) -> tuple[rows.RowSource, int]:
    """The run's packed rows, and how many of them make a step.

    Args:
        config: of the run.
        model: its tokenizer and sizes.
        mesh: must divide the rows of a micro-batch.
        rows_per_step: of a run that goes on: examples a step might be other rows on this mesh.

    Raises:
        ValueError: see `data.dataset.build`; or rows that the mesh doesn't divide.
    """
    functions, E = model.functions, config.data.encoder_length
    if functions.encoder_decoder != (E is not None):
        has = "no encoder: leave it out" if E else "an encoder: say how many tokens it reads"
        raise ValueError(
            f"config.data.encoder_length = {E}, and the {functions.family} family has {has}"
        )
    part = Part(config.eval.held_out) if config.eval.held_out else None
    micro_steps = config.batch.micro_steps
    if rows_per_step is None:
        rows_per_step = config.batch.rows
    if rows_per_step is None:
        parts = mesh.shape["data"] * mesh.shape["fsdp"] * micro_steps
        per_row = _build(config, model, PROBED_ROWS, part).examples_per_row
        rows_per_step = max(1, round(config.batch.examples / per_row / parts)) * parts
        say(
            f"{config.batch.examples} examples a step are {rows_per_step} rows of"
            f" {per_row:.2f} examples each on average"
        )
    sharding.check_rows(mesh, rows_per_step // micro_steps)
    return _build(config, model, config.steps * rows_per_step, part), rows_per_step


def build_held_out(config: ConfigDict, model: Model, at_once: int) -> rows.RowSource | None:
    """Packed rows of the examples that training never sees; None where none are held out.

    Args:
        config: of the run.
        model: its tokenizer and sizes.
        at_once: how many are evaluated at once; as many as make whole batches of that are packed.

    Raises:
        ValueError: see `data.dataset.build`; or no row is held out.
    """
    if not config.eval.held_out:
        return None
    count = math.ceil(config.eval.rows / at_once) * at_once
    return _build(config, model, count, Part(config.eval.held_out, held_out=True))


def data_directory(config: ConfigDict) -> Path:
    """Where prepared data are kept; any number of runs share it."""
    return Path(config.data.dir) if config.data.dir else Path("runs") / "data"


def say(text: str) -> None:
    """Prints on process 0."""
    if jax.process_index() == 0:
        print(text, flush=True)


def _build(config: ConfigDict, model: Model, count: int, part: Part | None) -> rows.RowSource:
    """The config's first rows of a part of its tasks' rows."""
    functions, screen = model.functions, None
    if config.data.clean_of:
        screen = contamination.index(read_directory(config.data.clean_of))
    return dataset.build(
        read_mixture(config),
        model.tokenizer,
        config.data.length,
        data_directory(config),
        count,
        packing=config.data.packing,
        context=functions.config.max_length,
        vocab_size=functions.config.V,
        encoder_length=config.data.encoder_length,
        start_id=functions.config.start_id if functions.encoder_decoder else None,
        target_limit=config.data.target_limit,
        few_shot_limit=config.data.few_shot_limit,
        screen=screen,
        part=part,
    )


def _store(config: ConfigDict, workdir: Path) -> Store:
    identity: dict[str, Any] = {}
    for key, value in configs.leaves(config):
        if not any(key == how or key.startswith(f"{how}.") for how in HOW_NOT_WHAT):
            identity[key] = value
    return Store(workdir / CHECKPOINTS, keep=config.checkpoint.keep, identity=identity)


def _first_state(base: Model, functions: Functions, program: Program, seed: int) -> TrainState:
    """The state before the first step, of the base's parameters or of new adapters."""
    if functions.lora is None:
        return place(lambda params: params, program.optimizer, program.shardings, base.load())

    def new_adapters(key: jax.Array) -> Params:
        params = functions.init(key)  # the random base goes unread, so XLA never makes it
        return {name: params[name] for name in functions.trained}

    return place(new_adapters, program.optimizer, program.shardings, jax.random.key(seed))


def _named(config: ConfigDict, base: Model, params: Params) -> Base:
    """What a later process finds the base by, and knows it by."""
    init = config.model.init
    path = init if init == "bundled" else str(Path(init).absolute())
    return Base(path, base.step, fingerprint(params))


def _speed(config: ConfigDict, functions: Functions, rows_per_step: int) -> metrics.Speed:
    """A meter that knows a step's FLOPs."""
    return metrics.Speed(
        step_flops=step_flops(config, functions, rows_per_step, targets=0),
        target_flops=step_flops(config, functions, 1, 1) - step_flops(config, functions, 1, 0),
        peak_flops=metrics.peak_flops(jax.devices(), functions.config.dtype),
    )


def _trace(config: ConfigDict, workdir: Path) -> Trace | None:
    if config.profile.after is None:
        return None
    return Trace(workdir / PROFILE, config.profile.after, config.profile.steps)


def _restore(store: Store, abstract: TrainState) -> tuple[TrainState | None, dict[str, Any]]:
    """The newest state and its data's position; (None, {}) if there is none yet."""
    latest = store.latest()
    if latest is None:
        return None, {}
    restored = store.restore(latest, abstract.params, train=abstract.training)
    state = TrainState(params=restored.params, **restored.train)
    return state, restored.data


def _held_out_batches(held_out: rows.RowSource | None, at_once: int, mesh: Mesh) -> list[Batch]:
    if held_out is None:
        return []
    return list(_batches(held_out, at_once, range(len(held_out) // at_once), mesh))


def _batches(
    source: rows.RowSource, rows_per_step: int, steps: range, mesh: Mesh, workers: int = 0
) -> Iterator[Batch]:
    """The batches of steps, each on its devices."""
    place_on = sharding.batch_sharding(mesh)
    mine = rows.addressable_rows(place_on, rows_per_step, source.length)
    for batch in rows.batches(
        source, rows_per_step, steps.start, steps.stop, mine, workers=workers
    ):
        yield rows.to_device(batch, place_on, rows_per_step, mine)
