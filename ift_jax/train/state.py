"""What training carries from step to step, and where each part of it lies on the mesh."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from ift_jax.train.optim import Optimizer


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """A pytree: all that a resumed run needs besides its config.

    Attributes:
        step: int32 scalar, batches consumed: the data position and the argument of the learning
            rate and of the dropout key.
        params: those trained, by dotted name, in the config's parameter dtype (master weights).
        opt_state: the state of `Optimizer.transform`.
        skipped: int32 scalar, steps whose update was not applied.
    """

    step: Any
    params: dict[str, Any]
    opt_state: Any
    skipped: Any

    @property
    def training(self) -> dict[str, Any]:
        """All but the parameters, which a checkpoint keeps apart.

        With them it makes the state again: `TrainState(params=params, **training)`.
        """
        return {"step": self.step, "opt_state": self.opt_state, "skipped": self.skipped}


def new_state(params: dict[str, jax.Array], optimizer: Optimizer) -> TrainState:
    """The state before the first step. Traceable; use `place` to build it on a mesh."""
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        # Copied, because the step donates its state: the caller keeps its own parameters.
        params=jax.tree.map(jnp.copy, params),
        opt_state=optimizer.transform.init(params),
        skipped=jnp.zeros((), jnp.int32),
    )


def abstract_state(
    abstract_params: Mapping[str, jax.ShapeDtypeStruct],
    optimizer: Optimizer,
    param_shardings: Mapping[str, NamedSharding] | None = None,
) -> TrainState:
    """Shapes and dtypes of the state, with shardings when the parameters' are given.

    It allocates nothing: what a checkpoint is restored into, and what planning counts.
    """
    abstract = jax.eval_shape(lambda params: new_state(params, optimizer), dict(abstract_params))
    if param_shardings is None:
        return abstract
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        abstract,
        state_shardings(abstract, param_shardings),
    )


def state_shardings(
    abstract: TrainState, param_shardings: Mapping[str, NamedSharding]
) -> TrainState:
    """Shardings of the whole state, derived from the parameters'.

    Optimizer state kept under a parameter's name lies as that parameter does, except along axes
    that it has reduced to size 1 (Adafactor's factored moments), where it is replicated. Counters
    are replicated.

    Raises:
        ValueError: state under a parameter's name that is neither of the parameter's shape nor
            reduced from it.
    """
    mesh = next(iter(param_shardings.values())).mesh

    def sharding(path: tuple[Any, ...], leaf: jax.ShapeDtypeStruct) -> NamedSharding:
        name = getattr(path[-1], "key", None)
        if name not in param_shardings:
            return NamedSharding(mesh, PartitionSpec())
        shape = abstract.params[name].shape
        if len(leaf.shape) != len(shape) or any(
            size not in (1, full) for size, full in zip(leaf.shape, shape, strict=True)
        ):
            raise ValueError(
                f"optimizer state {jax.tree_util.keystr(path)} has shape {leaf.shape}, expected"
                f" {shape} of parameter {name} with some axes reduced to 1"
            )
        spec = (*param_shardings[name].spec, *[None] * len(shape))[: len(shape)]
        kept = [
            axes if size == full else None
            for axes, size, full in zip(spec, leaf.shape, shape, strict=True)
        ]
        return NamedSharding(mesh, PartitionSpec(*kept))

    return jax.tree_util.tree_map_with_path(sharding, abstract)


def place(
    make_params: Callable[..., dict[str, jax.Array]],
    optimizer: Optimizer,
    shardings: TrainState | None,
    *args: Any,
) -> TrainState:
    """Builds the first state directly where it belongs, never whole on one device.

    Args:
        make_params: called under jit with `args`: `functions.init` with a key, or the identity
            with loaded parameters.
        optimizer: see `optim.make_optimizer`.
        shardings: from `state_shardings`, or None for the default device.
    """
    build = jax.jit(
        lambda *args: new_state(make_params(*args), optimizer),
        out_shardings=shardings,
    )
    return build(*args)
