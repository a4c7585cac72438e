"""The training loss as sums, so that micro-batches and devices can be added before dividing.

The logits of all positions, B·T·V, are never in memory: the hidden states of the trained targets
alone are projected, a chunk at a time, and a chunk's gradient is taken while its logits are there.
That costs three matrix products a target, as many as keeping all logits; making them again
backwards would cost a fourth.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ift_jax import dims
from ift_jax.sharding import constrain, parts, platform

CHUNK = 2048
"""Targets that a device projects at once.

A chunk of X reads and writes the float32 gradient of w_VD once, and reads its own: 10·V·D bytes for
6·X·V·D operations. An H100 does as many operations as fill X = 490 in the time of those bytes (989
TFLOP/s, 3.35 TB/s), a TPU v5p 280. Larger chunks have more places that no target fills.
"""

CPU_CHUNK = 1024
"""The same on a CPU, which has less of a rate to fill."""

Params = dict[str, jax.Array]
Project = Callable[[Params, jax.Array], jax.Array]
"""(head, x_XD) -> float32 logits_XV, with `head` the parameters to differentiate by."""


def loss_sums(
    functions: Any,
    params: Params,
    batch: dims.Batch,
    noise: Any = None,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Cross-entropy of the trained targets, summed over rows and positions.

    Nothing is averaged here: a mean of means over micro-batches with unequal numbers of targets
    is not the mean over the batch. Differentiable once, by `functions.trained`.

    Args:
        functions: a model family's functions; `hidden` and `unembed` are called.
        params: parameters by dotted name.
        batch: packed rows with targets and weights.
        noise: dropout noise for `functions.hidden`, or None for no dropout.

    Returns:
        (cross_entropy, targets, correct), all float32 scalars: the sum to differentiate, in nats;
        the number of trained targets, possibly 0; and how many of them have the highest logit.
    """
    dims.check({}, targets_BT=batch.targets_BT, weights_BT=batch.weights_BT)
    x_BTD = functions.hidden(params, batch, noise)
    # Put together here, where it is split over width: else once a chunk.
    whole = {name: constrain(params[name], functions.letters[name]) for name in functions.head}
    head = {name: whole[name] for name in whole if name in functions.trained}
    whole = _multiplied(whole, x_BTD.dtype)

    def project(head: Params, x_XD: jax.Array) -> jax.Array:
        return functions.unembed({**params, **whole, **head}, x_XD).astype(jnp.float32)

    targets = jnp.sum(batch.weights_BT.astype(jnp.float32))
    by_device = (_row_a_device(x) for x in (x_BTD, batch.targets_BT, batch.weights_BT))
    cross_entropy, correct = _sums(project, head, *by_device)
    return cross_entropy, targets, correct


def chunk_size(positions: int) -> int:
    """X, the targets that a device projects at once, of so many positions."""
    return min(CPU_CHUNK if platform() == "cpu" else CHUNK, positions)


def _row_a_device(x_BT: jax.Array) -> jax.Array:
    """x_BT… as one row for each device that has positions of its own, nothing moved between them.

    Chunks of such rows are full whatever the targets of each packed row, and no device waits for
    the positions of another.
    """
    B, T, *rest = x_BT.shape
    b, t = math.gcd(B, parts("B")), math.gcd(T, parts("T"))
    return x_BT.reshape(b, B // b, t, T // t, *rest).swapaxes(1, 2).reshape(b * t, -1, *rest)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _sums(
    project: Project, head: Params, x_BTD: jax.Array, targets_BT: jax.Array, weights_BT: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """(cross_entropy, correct): float32 scalars, as in `loss_sums`."""
    factors = _multiplied(head, x_BTD.dtype)

    def of_chunk(chunk: _Chunk) -> tuple[jax.Array, jax.Array]:
        return _scores(project(factors, chunk.x_XD), chunk)[:2]

    def add(sums: Any, chunk: _Chunk, _: jax.Array) -> Any:
        return jax.tree.map(jnp.add, sums, jax.vmap(of_chunk)(chunk))

    zeros_B = jnp.zeros(x_BTD.shape[0])
    sums = _over_chunks(add, (zeros_B, zeros_B), x_BTD, targets_BT, weights_BT)
    return jax.tree.map(jnp.sum, sums)


def _sums_and_gradients(
    project: Project, head: Params, x_BTD: jax.Array, targets_BT: jax.Array, weights_BT: jax.Array
) -> tuple[tuple[jax.Array, jax.Array], tuple[Params, jax.Array]]:
    """`_sums`, and the gradients of its cross-entropy by head and x_BTD."""
    factors = _multiplied(head, x_BTD.dtype)

    def of_chunk(chunk: _Chunk) -> tuple[tuple[jax.Array, jax.Array], Params, jax.Array]:
        logits_XV, pull = jax.vjp(project, factors, chunk.x_XD)
        cross_entropy, correct, by_logits_XV = _scores(logits_XV, chunk)
        return (cross_entropy, correct), *pull(by_logits_XV)

    def add(carry: Any, chunk: _Chunk, places_BX: jax.Array) -> Any:
        sums, by_head, by_x_BTD = carry
        more_sums, more_by_head, by_x_BXD = jax.vmap(of_chunk)(chunk)
        enter = jax.vmap(lambda x_TD, places_X, x_XD: x_TD.at[places_X].set(x_XD, mode="drop"))
        return (
            jax.tree.map(jnp.add, sums, more_sums),
            jax.tree.map(jnp.add, by_head, more_by_head),
            enter(by_x_BTD, places_BX, by_x_BXD),
        )

    B = x_BTD.shape[0]
    # A device adds up its own targets' gradients; devices' are added once, after the last chunk.
    by_head = jax.tree.map(lambda w: jnp.zeros((B, *w.shape)), factors)
    zeros = (jnp.zeros(B), jnp.zeros(B)), by_head, jnp.zeros_like(x_BTD)
    sums, by_head, by_x_BTD = _over_chunks(add, zeros, x_BTD, targets_BT, weights_BT)
    by_head = jax.tree.map(lambda d, w: d.sum(0).astype(w.dtype), by_head, head)
    return jax.tree.map(jnp.sum, sums), (by_head, by_x_BTD)


def _scaled(_: Project, gradients: tuple[Params, jax.Array], by_sums: Any) -> tuple[Any, ...]:
    scale = by_sums[0]
    by_head, by_x_BTD = jax.tree.map(lambda d: (scale * d).astype(d.dtype), gradients)
    return by_head, by_x_BTD, None, None


_sums.defvjp(_sums_and_gradients, _scaled)


def _multiplied(head: Params, dtype: jnp.dtype) -> Params:
    """Matrices in the dtype that they are multiplied in: made once, not once a chunk."""
    return {name: w.astype(dtype) if w.ndim > 1 else w for name, w in head.items()}


class _Chunk(NamedTuple):
    """Some targets of each row; the last chunk's free places have weight 0."""

    x_XD: jax.Array
    targets_X: jax.Array
    weights_X: jax.Array


def _over_chunks(
    add: Callable[[Any, _Chunk, jax.Array], Any],
    carry: Any,
    x_BTD: jax.Array,
    targets_BT: jax.Array,
    weights_BT: jax.Array,
) -> Any:
    """Folds `add(carry, chunk, places_BX)` over chunks of trained targets, and over no others.

    Places are indices into T, and T itself where a row has no more targets.
    """
    T = x_BTD.shape[1]
    X = chunk_size(T)
    trained_BT = weights_BT > 0

    def find(trained_T: jax.Array) -> jax.Array:
        return jnp.nonzero(trained_T, size=-(-T // X) * X, fill_value=T)[0]

    def take(x_T: jax.Array, places_X: jax.Array) -> jax.Array:
        return x_T.at[places_X].get(mode="fill", fill_value=0)

    places_BT = jax.vmap(find)(trained_BT)

    def body(i: jax.Array, carry: Any) -> Any:
        places_BX = jax.lax.dynamic_slice_in_dim(places_BT, i * X, X, axis=1)
        chunk = (jax.vmap(take)(x, places_BX) for x in (x_BTD, targets_BT, weights_BT))
        return add(carry, _Chunk(*chunk), places_BX)

    most = jnp.max(jnp.sum(trained_BT, axis=1))
    return jax.lax.fori_loop(0, -(-most // X), body, carry)


def _scores(logits_XV: jax.Array, chunk: _Chunk) -> tuple[jax.Array, jax.Array, jax.Array]:
    """(cross_entropy, correct) of a chunk, and the cross-entropy's gradient by its logits_XV."""
    weights_X = chunk.weights_X.astype(jnp.float32)
    # No gather: where V is split over devices, each has the targets of its part.
    is_target_XV = chunk.targets_X[:, None] == jnp.arange(logits_XV.shape[1])
    target_logit_X = jnp.sum(jnp.where(is_target_XV, logits_XV, 0), axis=1)
    largest_X = logits_XV.max(axis=1)
    # Exponentials within a sum aren't vectorised on a CPU: 2.4 ns each instead of 1.3.
    unscaled_XV = jax.lax.platform_dependent(
        jnp.exp(logits_XV - largest_X[:, None]),
        cpu=jax.lax.optimization_barrier,
        default=lambda unscaled_XV: unscaled_XV,
    )
    z_X = jnp.sum(unscaled_XV, axis=1)
    cross_entropy = jnp.sum(weights_X * (largest_X + jnp.log(z_X) - target_logit_X))
    correct = jnp.sum(jnp.where(target_logit_X == largest_X, weights_X, 0))
    by_logits_XV = weights_X[:, None] * (unscaled_XV / z_X[:, None] - is_target_XV)
    return cross_entropy, correct, by_logits_XV
