"""What a config has compiled for training: its state and its step. Nothing is read or run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from ift_jax.assemble.models import abstract_params
from ift_jax.layers.dropout import Noise
from ift_jax.layers.functional import Functions
from ift_jax.train.optim import Optimizer, OptimizerConfig, make_optimizer
from ift_jax.train.state import TrainState, abstract_state
from ift_jax.train.step import make_train_step


@dataclasses.dataclass(frozen=True)
class Program:
    """A config's training on a mesh.

    Attributes:
        optimizer: the config's.
        abstract: shape, dtype and sharding of all that the state holds.
        step: see `train.step.make_train_step`.
    """

    optimizer: Optimizer
    abstract: TrainState
    step: Callable[..., Any]

    @property
    def shardings(self) -> TrainState:
        """Where each part of the state lies."""
        return jax.tree.map(lambda leaf: leaf.sharding, self.abstract)


def build_program(config: ConfigDict, functions: Functions, mesh: Mesh) -> Program:
    """Builds a config's training of a model on a mesh.

    Args:
        config: of the run, checked.
        functions: what it trains.
        mesh: of any devices, also of a topology that this machine doesn't have.
    """
    params = abstract_params(functions, mesh)
    optimizer = make_optimizer(
        OptimizerConfig(**config.optimizer),
        {name: functions.letters[name] for name in params},
        total_steps=config.steps,
    )
    abstract = abstract_state(
        params, optimizer, {name: leaf.sharding for name, leaf in params.items()}
    )
    step = make_train_step(
        functions,
        optimizer,
        micro_steps=config.batch.micro_steps,
        seed=config.seed,
        noise=Noise if config.model.dropout else None,
        shardings=jax.tree.map(lambda leaf: leaf.sharding, abstract),
    )
    return Program(optimizer, abstract, step)


def step_flops(
    config: ConfigDict, functions: Functions, rows: int, targets: int | None = None
) -> int:
    """Floating-point operations of a step on so many rows, by hand from the model's dimensions.

    The backward pass costs two forward ones: one for the activations' gradients, and one for the
    weights', which frozen weights have none of. What remat computes again isn't counted.
    `targets` are those of a row that are trained on; None takes all its positions.
    """
    T, E = config.data.length, config.data.encoder_length or 0
    passes = 2 if functions.lora else 3
    return passes * rows * functions.flops(T, T if targets is None else targets, E)
