"""Adafactor with T5X's factoring, each layer's weight a matrix of its own.

`optax.adafactor` works leaf by leaf: on weights stacked over layers it takes one RMS for all
layers together, and on `L D N H` it factors over whichever two axes are largest. Here the axis
letters decide, as T5X's logical axis names do (google-research/t5x @cc342d41, t5x/adafactor.py,
`standard_logical_factor_rules`): L is a batch axis, D makes the rows, and the other axes together
make the columns, so `L D N H` is L matrices of D rows and N·H columns. A weight without both
rows and columns (norm scales, biases, relative-position biases) is not factored.

Differences from T5X:
- T5X applies `min_dim_size_to_factor` to unstacked matrices only, so that a small weight is
  factored when stacked and not when unrolled. Here both sides of the matrix that a weight stands
  for must reach it, stacked or not. At the published sizes of the models the two agree.
- There is no `step_offset`: the count starts at 0 with a fresh optimizer state.
- There is no momentum and no weight decay (`optim` adds decay after this transformation).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

LAYERS = "L"
ROWS = "DWZ"
"""The first of these that a weight has is its row; the others are then columns."""
COLUMNS = "VFNKHPWZ"
UNFACTORED = "R"


class AdafactorState(NamedTuple):
    """Second-moment estimates, float32.

    Summed-over axes are kept with size 1, so every axis lines up with the parameter's (and can be
    sharded like it).

    Attributes:
        count: int32 number of updates made.
        row: for factored parameters, means over the columns: `L D N H` -> (L, D, 1, 1).
        column: for factored parameters, means over the rows: `L D N H` -> (L, 1, N, H).
        full: for the other parameters, an estimate for each element.
    """

    count: jax.Array
    row: dict[str, jax.Array]
    column: dict[str, jax.Array]
    full: dict[str, jax.Array]


def is_matrix(letters: str) -> bool:
    """Whether a parameter with these axes is a matrix (or a stack of them), as `'L D N H'` is.

    Norm scales and biases are not, even when they have several axes, as a bias `'L N H'`.

    Raises:
        ValueError: an axis letter that has no known part in a weight.
    """
    axes = letters.split()
    for axis in axes:
        if axis not in (LAYERS, *ROWS, *COLUMNS, *UNFACTORED):
            raise ValueError(
                f"axes {letters!r}: letter {axis!r} is neither row, column nor layer of a weight;"
                f" expected letters of {LAYERS + ROWS + COLUMNS + UNFACTORED!r}."
                " Give it a role in ift_jax/train/adafactor.py"
            )
    rows, columns = _sides(letters)
    return bool(rows and columns)


def _sides(letters: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes that are a weight's row, and those that are its columns."""
    row = next((axis for axis in ROWS if axis in letters.split()), "")
    return _axes(letters, row), _axes(letters, COLUMNS.replace(row, ""))


def _axes(letters: str, roles: str) -> tuple[int, ...]:
    return tuple(i for i, axis in enumerate(letters.split()) if axis in roles)


def _size(shape: tuple[int, ...], axes: tuple[int, ...]) -> int:
    size = 1
    for axis in axes:
        size *= shape[axis]
    return size


def scale_by_adafactor(
    letters: Mapping[str, str],
    *,
    decay_rate: float = 0.8,
    clipping_threshold: float = 1.0,
    epsilon1: float = 1e-30,
    epsilon2: float = 1e-3,
    min_dim_size_to_factor: int = 128,
) -> optax.GradientTransformation:
    """Adafactor's update direction (Shazeer & Stern 2018), relative to each weight's scale.

    Update RMS is at most `clipping_threshold` times the RMS of the weight (or `epsilon2`, where
    that is larger), per layer. Multiply by minus the learning rate.

    Args:
        letters: axis letters of every parameter, as `{'layers.q.w': 'L D N H'}`.
        decay_rate: exponent c of the second-moment decay 1 - t^-c at update t = 1, 2, ….
        clipping_threshold: largest RMS of an update before it is scaled by the weight's.
        epsilon1: added to squared gradients.
        epsilon2: smallest weight scale, so that zero weights can move.
        min_dim_size_to_factor: matrices with fewer rows or columns keep a full estimate.
    """

    def factored(name: str, shape: tuple[int, ...]) -> bool:
        axes = letters[name]
        rows, columns = _sides(axes)
        smaller_side = min(_size(shape, rows), _size(shape, columns))
        return is_matrix(axes) and smaller_side >= min_dim_size_to_factor

    def init(params: dict[str, jax.Array]) -> AdafactorState:
        row, column, full = {}, {}, {}
        for name, param in params.items():
            square = jnp.zeros(param.shape, jnp.float32)
            if factored(name, param.shape):
                row_axes, column_axes = _sides(letters[name])
                row[name] = square.mean(column_axes, keepdims=True)
                column[name] = square.mean(row_axes, keepdims=True)
            else:
                full[name] = square
        return AdafactorState(jnp.zeros((), jnp.int32), row, column, full)

    def update(
        grads: dict[str, jax.Array],
        state: AdafactorState,
        params: dict[str, jax.Array] | None = None,
    ) -> tuple[dict[str, jax.Array], AdafactorState]:
        if params is None:
            raise ValueError("scale_by_adafactor scales by the weights: pass params to update")
        count = state.count + 1
        decay = 1.0 - count.astype(jnp.float32) ** -decay_rate

        def moving_mean(old: jax.Array, new: jax.Array) -> jax.Array:
            return decay * old + (1.0 - decay) * new

        updates, row, column, full = {}, {}, {}, {}
        for name, grad in grads.items():
            axes = letters[name]
            matrix_axes = _axes(axes, ROWS + COLUMNS + UNFACTORED)
            grad = grad.astype(jnp.float32)
            square = jnp.square(grad) + epsilon1
            if factored(name, grad.shape):
                row_axes, column_axes = _sides(axes)
                row[name] = moving_mean(state.row[name], square.mean(column_axes, keepdims=True))
                column[name] = moving_mean(state.column[name], square.mean(row_axes, keepdims=True))
                row_share = row[name] / row[name].mean(row_axes, keepdims=True)
                # Two roots, not the root of the product, which underflows at epsilon1.
                direction = grad * jax.lax.rsqrt(row_share) * jax.lax.rsqrt(column[name])
            else:
                full[name] = moving_mean(state.full[name], square)
                direction = grad * jax.lax.rsqrt(full[name])
            direction /= jnp.maximum(1.0, _rms(direction, matrix_axes) / clipping_threshold)
            scale = jnp.maximum(_rms(params[name].astype(jnp.float32), matrix_axes), epsilon2)
            updates[name] = direction * scale
        return updates, AdafactorState(count, row, column, full)

    return optax.GradientTransformation(init, update)


def _rms(x: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    return jnp.sqrt(jnp.mean(jnp.square(x), axis=axes, keepdims=True))
