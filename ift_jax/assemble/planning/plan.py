"""A config's training step and scoring, compiled for devices that need not be here."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from ml_collections import ConfigDict

from ift_jax import config as configs
from ift_jax import lookup, sharding
from ift_jax.assemble.models import abstract_params, open_model, sized
from ift_jax.assemble.planning import hand
from ift_jax.assemble.planning.chips import Chip
from ift_jax.assemble.planning.hlo import Program
from ift_jax.assemble.planning.roofline import Times, mfu, times
from ift_jax.assemble.planning.work import Work, work
from ift_jax.assemble.program import build_program, step_flops
from ift_jax.assemble.training import SWITCHES
from ift_jax.dims import Batch
from ift_jax.evals.layout import Request
from ift_jax.evals.likelihood import OTHER_BATCH_TOKENS, Scorer
from ift_jax.layers.functional import Functions
from ift_jax.layers.lora import Lora
from ift_jax.train.loss import chunk_size

QUESTIONS, SHOTS_TOKENS, QUESTION_TOKENS, CHOICES = 246, 640, 96, 4
"""The scoring that is planned: MMLU's 14,042 questions by 57 subjects, five shots of about 128
tokens each before them, four choices of one token."""


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes that a program needs on each chip.

    Attributes:
        arguments: what it is called with, the state that it donates among it.
        results: what it gives back, where it isn't written over a donated argument.
        temporaries: activations and all else that lives only while it runs.
        total: of these and the program itself.
    """

    arguments: int
    results: int
    temporaries: int
    total: int


@dataclasses.dataclass(frozen=True)
class Compiled:
    """What the compiler made of a program, or why it refused.

    Attributes:
        memory: None if refused.
        work: what a chip does in one run; None if refused.
        refusal: what the compiler said; '' if it didn't.
        needed: bytes that it says the program needs at least (it may speak of temporaries alone),
            where it refused for that.
    """

    memory: Memory | None
    work: Work | None
    refusal: str = ""
    needed: float | None = None


@dataclasses.dataclass(frozen=True)
class Plan:
    """All that is known of a run before it is paid for. Bytes, operations and seconds; a chip's.

    Attributes:
        model: 'llama:65b', or a model's path.
        parameters: their number.
        topology: such as 'v5p:4x4x4'.
        chips: how many.
        hbm: of a chip.
        mesh: size of each axis.
        rows, length, encoder_length: of a step.
        remat, optimizer, micro_steps, dtype: of the config.
        fits: whether training and scoring both compiled, and within a chip's memory.
        parameter_bytes, optimizer_bytes: of the trained state (and frozen weights), by hand.
        training: the step.
        scoring: each program that scores a subject's questions, by name.
        model_flops: a step's on all chips, by hand, without what remat repeats.
        chip_flops: a chip's, by hand, with it.
        moved_by_hand: bytes to and from HBM, at least.
        sent_by_hand: bytes by mesh axis.
        times: by the roofline; from the compiled program, or by hand where it was refused.
        mfu: predicted, if chips compute nothing while they communicate.
        mfu_overlapped: if they do.
    """

    model: str
    parameters: int
    topology: str
    chips: int
    hbm: float
    mesh: Mapping[str, int]
    rows: int
    length: int
    encoder_length: int | None
    remat: str
    optimizer: str
    micro_steps: int
    dtype: str
    fits: bool
    parameter_bytes: int
    optimizer_bytes: int
    training: Compiled
    scoring: Mapping[str, Compiled]
    model_flops: int
    chip_flops: float
    moved_by_hand: float
    sent_by_hand: Mapping[str, float]
    times: Times
    mfu: float
    mfu_overlapped: float


def plan(
    config: ConfigDict,
    topology: str,
    chip: Chip,
    devices: Sequence[jax.Device],
    *,
    scoring: bool = True,
) -> Plan:
    """Plans a config's run.

    Args:
        config: of the run.
        topology: what the devices are called.
        chip: what each of them can do.
        devices: to compile for; nothing is put on them.
        scoring: whether to compile that, too.

    Raises:
        ValueError: a bad config, one that doesn't state its rows, a model of unknown sizes, or a
            mesh that doesn't fit the devices, the rows or the model.
    """
    configs.check(config)
    rows = stated_rows(config)
    mesh = sharding.make_mesh(config.mesh, devices)
    sharding.check_rows(mesh, rows // config.batch.micro_steps)
    name, base = find_model(config, mesh)
    functions = base
    if config.lora.rank is not None:
        functions = base.adapted(Lora(**config.lora))
    weights = abstract_params(base, mesh)
    frozen = weights if functions.lora else {}
    with jax.set_mesh(mesh):
        program = build_program(config, functions, mesh)
        step = program.step.lower(
            program.abstract, abstract_batch(config, functions, mesh), frozen=frozen
        )
        try:
            # A loop of the loss runs as often as there are targets: here, all that there can be.
            positions = rows // config.batch.micro_steps * config.data.length
            here = positions // _position_parts(mesh)
            chunks = -(-here // chunk_size(here))
            training = measured(step.compile(), chunks)
        except jax.errors.JaxRuntimeError as error:
            training = refused(error)
    scored = _scoring(base, weights, mesh) if scoring else {}
    parameter_bytes = hand.bytes_per_chip((program.abstract.params, frozen))
    optimizer_bytes = hand.bytes_per_chip(program.abstract.opt_state)
    model_flops = step_flops(config, functions, rows)
    chip_flops = hand.chip_flops(config, functions, model_flops, mesh.size)
    sent_by_hand = hand.bytes_sent(config, functions, mesh, rows)
    changed = hand.bytes_per_chip((program.abstract.params, program.abstract.opt_state))
    moved_by_hand = hand.bytes_moved(config, functions, mesh, rows, changed)
    done = training.work or Work(
        {"by hand": sum(sent_by_hand.values())}, {}, chip_flops, moved_by_hand
    )
    taken = times(
        chip,
        config.model.dtype,
        # What a fused kernel does isn't in the program's text.
        flops=max(done.flops, chip_flops),
        bytes_moved=done.moved,
        bytes_sent=done.bytes_sent,
    )
    everything = (training, *scored.values())
    return Plan(
        model=name,
        parameters=base.parameter_count,
        topology=topology,
        chips=mesh.size,
        hbm=chip.hbm,
        mesh=dict(mesh.shape),
        rows=rows,
        length=config.data.length,
        encoder_length=config.data.encoder_length,
        remat=config.model.remat,
        optimizer=config.optimizer.name,
        micro_steps=config.batch.micro_steps,
        dtype=config.model.dtype,
        fits=all(each.memory is not None and each.memory.total <= chip.hbm for each in everything),
        parameter_bytes=parameter_bytes,
        optimizer_bytes=optimizer_bytes,
        training=training,
        scoring=scored,
        model_flops=model_flops,
        chip_flops=chip_flops,
        moved_by_hand=moved_by_hand,
        sent_by_hand=sent_by_hand,
        times=taken,
        mfu=mfu(chip, mesh.size, model_flops, taken.step),
        mfu_overlapped=mfu(chip, mesh.size, model_flops, taken.overlapped),
    )


def stated_rows(config: ConfigDict) -> int:
    """Rows of a step.

    Raises:
        ValueError: the config states examples instead.
    """
    if config.batch.rows is None:
        raise ValueError(
            f"config.batch.examples = {config.batch.examples}: how many rows these fill only the"
            " data can tell, and a plan reads none. Say how many (train.py prints it):"
            " --config.batch.examples=None --config.batch.rows=N"
        )
    return config.batch.rows


def find_model(config: ConfigDict, mesh: Mesh) -> tuple[str, Functions]:
    """The model that a config starts from, by its sizes alone.

    A path where nothing is stands for the published size that its last part names, as
    'models/llama-65b' does.

    Returns:
        Its name, and its functions.

    Raises:
        ValueError: a path where nothing is, and whose name says no size.
    """
    init = config.model.init
    switches = {name: config.model[name] for name in SWITCHES}
    if init == "bundled" or Path(init).exists():
        return init, open_model(init, mesh, switches=switches).functions
    if ":" in init:
        return init, sized(init, switches)
    family, _, size = Path(init).name.lower().partition("-")
    known = lookup.names("models", "Model")
    if family in known:
        sizes = lookup.find("models", family, "Model").SIZES
        named = [each for each in sizes if f"{size}-".startswith(f"{each}-")]
        if named:
            name = f"{family}:{max(named, key=len)}"
            return name, sized(name, switches)
    raise ValueError(
        f"config.model.init = {init!r}: nothing is there, and the name is of no published size."
        " Say which to plan for, as --config.model.init=FAMILY:SIZE, with a family of"
        f" {', '.join(known)}; a wrong size lists those that there are"
    )


def abstract_batch(config: ConfigDict, functions: Functions, mesh: Mesh) -> Batch:
    """A step's rows, as shapes on a mesh."""
    B, T, E = config.batch.rows, config.data.length, config.data.encoder_length
    if functions.encoder_decoder != (E is not None):
        raise ValueError(
            f"config.data.encoder_length = {E}, and {functions.family} is"
            f" {'an encoder-decoder: say' if E is None else 'a decoder: leave out'} how many tokens"
            " an encoder reads"
        )
    where = sharding.batch_sharding(mesh)

    def array(length: int, dtype: Any = jnp.int32) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((B, length), dtype, sharding=where)

    encoded = (
        {}
        if E is None
        else dict.fromkeys(("enc_tokens_BE", "enc_positions_BE", "enc_segments_BE"), array(E))
    )
    return Batch(
        tokens_BT=array(T),
        positions_BT=array(T),
        segments_BT=array(T),
        targets_BT=array(T),
        weights_BT=array(T, jnp.float32),
        **encoded,
    )


def _position_parts(mesh: Mesh) -> int:
    """Over how many devices positions are split."""
    return mesh.size // mesh.shape["tensor"]


def measured(program: jax.stages.Compiled, trips: int | None = None) -> Compiled:
    """What a compiled program needs and does; `trips` of a loop whose end depends on data."""
    stats = program.memory_analysis()
    results = stats.output_size_in_bytes - stats.alias_size_in_bytes
    total = stats.argument_size_in_bytes + results + stats.temp_size_in_bytes
    memory = Memory(
        arguments=stats.argument_size_in_bytes,
        results=results,
        temporaries=stats.temp_size_in_bytes,
        total=total + stats.generated_code_size_in_bytes,
    )
    return Compiled(memory, work(Program(program.as_text(), trips)))


def refused(error: Exception) -> Compiled:
    """The compiler's refusal of what exceeds a chip's memory; any other error is raised again."""
    text = str(error)
    if "RESOURCE_EXHAUSTED" not in text:
        raise error
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    size = re.search(r"(?:Used |HLO temporaries \()([\d.]+)([KMGT])", text)
    needed = float(size[1]) * 2 ** (10 * (1 + "KMGT".index(size[2]))) if size else None
    return Compiled(None, None, " ".join(lines[:3]), needed)


def _scoring(
    functions: Functions, weights: Mapping[str, jax.ShapeDtypeStruct], mesh: Mesh
) -> dict[str, Compiled]:
    """The programs that score one subject of multiple-choice questions."""
    scorer = Scorer(functions, mesh, batch_tokens=OTHER_BATCH_TOKENS)
    requests = []
    for number in range(1, QUESTIONS + 1):
        # Only what they share and how long they are matters here.
        asked = (*[0] * SHOTS_TOKENS, number, *[0] * (QUESTION_TOKENS - 1))
        requests.append(
            Request(tuple((*asked, choice) for choice in range(CHOICES)), (len(asked),) * CHOICES)
        )
    found = {}
    try:
        for name, program in scorer.compiled(weights, requests):
            found[name] = measured(program)
    except jax.errors.JaxRuntimeError as error:
        found["refused"] = refused(error)
    return found
