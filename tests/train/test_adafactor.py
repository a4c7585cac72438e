from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ift_jax.train.adafactor import is_matrix, scale_by_adafactor

LETTERS = {
    "embed": "V D",
    "q": "L D N H",
    "o": "L N H D",
    "down": "L F D",
    "small": "L D F",
    "scale": "L D",
    "bias": "L N H",
    "buckets": "R N",
}
SHAPES = {
    "embed": (300, 160),
    "q": (3, 160, 4, 48),
    "o": (3, 4, 48, 160),
    "down": (3, 200, 160),
    "small": (3, 160, 100),
    "scale": (3, 160),
    "bias": (3, 4, 48),
    "buckets": (32, 4),
}


def gradients(updates: int) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    # Of very unequal size from layer to layer, so that any statistic shared by layers shows.
    scales = np.array([1e-4, 1.0, 300.0])
    return [
        {
            name: rng.normal(size=shape)
            * (scales.reshape(3, *[1] * (len(shape) - 1)) if "L" in LETTERS[name] else 1.0)
            for name, shape in SHAPES.items()
        }
        for _ in range(updates)
    ]


def weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    weights = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
    weights["q"] *= np.array([0.01, 0.1, 1.0])[:, None, None, None]
    weights["scale"][1] = 0.0
    return weights


def reference(weight, grads, as_matrix) -> list[np.ndarray]:
    """Adafactor of Shazeer & Stern 2018, algorithms 4 and 5, for one weight, in float64.

    `as_matrix` reshapes to rows and columns, or is None for the unfactored estimate.
    """
    row = column = full = 0.0
    directions = []
    for t, grad in enumerate(grads, start=1):
        beta = 1 - t**-0.8
        square = grad**2 + 1e-30
        if as_matrix is None:
            full = beta * full + (1 - beta) * square
            estimate = full
        else:
            matrix = as_matrix(square)
            row = beta * row + (1 - beta) * matrix.mean(1)
            column = beta * column + (1 - beta) * matrix.mean(0)
            estimate = np.outer(row, column) / row.mean()
        flat = (grad if as_matrix is None else as_matrix(grad)) / np.sqrt(estimate)
        flat = flat / max(1.0, np.sqrt(np.mean(flat**2)))
        flat = flat * max(1e-3, np.sqrt(np.mean(weight**2)))
        directions.append(flat)
    return directions


AS_MATRIX = {
    "embed": lambda x: x,
    "q": lambda x: x.reshape(160, 4 * 48),
    "o": lambda x: x.reshape(4 * 48, 160),
    "down": lambda x: x,
}


def run(letters, params, grads):
    transform = scale_by_adafactor(letters)
    params = jax.tree.map(jnp.float32, params)
    state, updates = transform.init(params), []
    for grad in grads:
        update, state = jax.jit(transform.update)(jax.tree.map(jnp.float32, grad), state, params)
        updates.append(update)
    return updates, state


def test_three_updates_equal_a_float64_reference_layer_by_layer():
    params, grads = weights(), gradients(3)
    updates, _ = run(LETTERS, params, grads)
    for name in SHAPES:
        stacked = LETTERS[name].startswith("L")
        for layer in range(3) if stacked else [...]:
            expected = reference(
                params[name][layer], [grad[name][layer] for grad in grads], AS_MATRIX.get(name)
            )
            for update, direction in zip(updates, expected, strict=True):
                np.testing.assert_allclose(
                    update[name][layer].reshape(direction.shape),
                    direction,
                    rtol=2e-5,
                    atol=1e-8,
                    err_msg=f"{name} layer {layer}",
                )


def test_stacked_equals_unrolled():
    params, grads = weights(), gradients(3)
    stacked, _ = run(LETTERS, params, grads)

    def unroll(tree):
        return {
            (name, layer): tree[name][layer]
            for name in SHAPES
            for layer in (range(3) if LETTERS[name].startswith("L") else [...])
        }

    letters = {key: LETTERS[key[0]].removeprefix("L ") for key in unroll(params)}
    unrolled, _ = run(letters, unroll(params), [unroll(grad) for grad in grads])
    for one, other in zip(stacked, unrolled, strict=True):
        for key, value in unroll(one).items():
            np.testing.assert_allclose(value, other[key], rtol=1e-5, err_msg=str(key))


def test_update_size_follows_each_layers_own_weights():
    """`optax.adafactor` gives the three layers one size, 5.8e-4 here at a rate of 1e-3."""
    scales = np.array([0.01, 0.1, 1.0])
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(3, 256, 256)) * scales[:, None, None]
    grad = rng.normal(size=(3, 256, 256))
    updates, _ = run({"w": "L D F"}, {"w": weight}, [{"w": grad}])
    np.testing.assert_allclose(np.sqrt(np.mean(updates[0]["w"] ** 2, (1, 2))), scales, rtol=0.02)


def test_factors_heads_and_head_size_together_as_columns():
    _, state = run(LETTERS, weights(), gradients(1))
    assert {name: x.shape for name, x in state.row.items()} == {
        "embed": (1, 160),
        "q": (3, 160, 1, 1),
        "o": (3, 1, 1, 160),
        "down": (3, 1, 160),
    }
    assert {name: x.shape for name, x in state.column.items()} == {
        "embed": (300, 1),
        "q": (3, 1, 4, 48),
        "o": (3, 4, 48, 1),
        "down": (3, 200, 1),
    }
    assert set(state.full) == {"small", "scale", "bias", "buckets"}


def test_zero_gradients_give_zero_updates():
    zeros = {"w": np.zeros((128, 128))}
    updates, _ = run({"w": "D F"}, zeros, [zeros])
    np.testing.assert_array_equal(updates[0]["w"], 0)


@pytest.mark.parametrize(
    ("letters", "matrix"),
    [
        *(("L D N H", True), ("V D", True), ("L D", False), ("L N H", False), ("R N", False)),
        *(("V W", True), ("W D", True), ("D W", True), ("P D", True), ("W", False)),
        *(("L D Z", True), ("L Z N H", True), ("L N H Z", True), ("L Z D", True)),
    ],
)
def test_matrices_have_rows_and_columns(letters, matrix):
    assert is_matrix(letters) is matrix


def test_unknown_axis_letter():
    with pytest.raises(ValueError, match="'D Q'.*letter 'Q' is neither row, column nor layer"):
        is_matrix("D Q")
