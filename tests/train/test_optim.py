from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ift_jax.train.optim import OptimizerConfig, make_optimizer, make_schedule


def rates(total_steps: int, **fields) -> list[float]:
    schedule = make_schedule(OptimizerConfig(**fields), total_steps)
    return [float(schedule(jnp.int32(step))) for step in range(total_steps)]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"schedule": "constant"}, [8, 8, 8, 8, 8]),
        ({"schedule": "constant", "warmup_ratio": 0.6}, [2, 4, 6, 8, 8]),
        ({"schedule": "linear"}, [8, 6.4, 4.8, 3.2, 1.6]),
        ({"schedule": "linear", "warmup_ratio": 0.2}, [4, 8, 6, 4, 2]),
        ({"schedule": "linear", "final_lr_ratio": 0.5, "warmup_ratio": 0.2}, [4, 8, 7, 6, 5]),
        (
            {"schedule": "cosine", "warmup_ratio": 0.4},
            [8 / 3, 16 / 3, 8, 4 * (1 + np.cos(np.pi / 3)), 4 * (1 + np.cos(2 * np.pi / 3))],
        ),
        (
            {"schedule": "rsqrt", "warmup_ratio": 0.4},
            [8 / 3, 16 / 3, 8, 8 * np.sqrt(2 / 3), 8 * np.sqrt(2 / 4)],
        ),
    ],
)
def test_schedules_equal_hand_values(fields, expected):
    np.testing.assert_allclose(rates(5, lr=8.0, **fields), expected, rtol=1e-6)


def test_a_warmup_that_leaves_no_step_to_train():
    with pytest.raises(ValueError, match=r"warmup_ratio 0.95 takes 10 of 10 steps"):
        make_schedule(OptimizerConfig(warmup_ratio=0.95), 10)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "adamv"}, r"optimizer.name is 'adamv'.*adamw, adafactor.*mean 'adamw'"),
        ({"schedule": "cosin"}, r"optimizer.schedule is 'cosin'.*mean 'cosine'"),
        ({"lr": float("nan")}, r"optimizer.lr is nan, expected a number above 0"),
        ({"lr": float("inf")}, r"optimizer.lr is inf"),
        ({"lr": -1.0}, r"optimizer.lr is -1.0"),
        ({"lr": "1e-3"}, r"optimizer.lr is '1e-3'"),
        ({"warmup_ratio": 1.0}, r"optimizer.warmup_ratio is 1.0, expected a number in \[0, 1\)"),
        ({"b2": 1.0}, r"optimizer.b2 is 1.0"),
        ({"weight_decay": -0.1}, r"optimizer.weight_decay is -0.1"),
        ({"clip_norm": 0.0}, r"optimizer.clip_norm is 0.0, expected a number above 0, or None"),
    ],
)
def test_bad_values_are_named(fields, message):
    with pytest.raises(ValueError, match=message):
        OptimizerConfig(**fields)


LETTERS = {"q": "L D N H", "scale": "L D", "bias": "L N H", "embed": "V D"}
SHAPES = {"q": (3, 8, 2, 4), "scale": (3, 8), "bias": (3, 2, 4), "embed": (5, 8)}
DECAYED = {"q", "embed"}


def adamw_reference(weights, grads, *, lr, b1, b2, eps, weight_decay, clip_norm):
    """Loshchilov & Hutter 2019, algorithm 2, after clipping by global norm; float64."""
    weights = dict(weights)
    m, v = dict.fromkeys(weights, 0.0), dict.fromkeys(weights, 0.0)
    for t, grad in enumerate(grads, start=1):
        norm = np.sqrt(sum(np.sum(g**2) for g in grad.values()))
        for name, weight in weights.items():
            g = grad[name] * min(1.0, clip_norm / norm)
            m[name] = b1 * m[name] + (1 - b1) * g
            v[name] = b2 * v[name] + (1 - b2) * g**2
            step = m[name] / (1 - b1**t) / (np.sqrt(v[name] / (1 - b2**t)) + eps)
            decay = weight_decay if name in DECAYED else 0.0
            weights[name] = weight - lr * (step + decay * weight)
    return weights


def run(config, letters, weights, grads):
    optimizer = make_optimizer(config, letters, total_steps=10)
    params = jax.tree.map(jnp.float32, weights)
    state = optimizer.transform.init(params)
    for grad in grads:
        direction, state = optimizer.transform.update(
            jax.tree.map(jnp.float32, grad), state, params
        )
        params = jax.tree.map(lambda p, d: p - config.lr * d, params, direction)
    return params


def test_adamw_equals_a_float64_reference_stacked_and_unrolled():
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
    # The first gradient is clipped, the last is not.
    grads = [
        {name: scale * rng.normal(size=shape) for name, shape in SHAPES.items()}
        for scale in (10.0, 1.0, 1e-3)
    ]
    values = {
        "lr": 0.1,
        "b1": 0.9,
        "b2": 0.95,
        "eps": 1e-8,
        "weight_decay": 0.3,
        "clip_norm": 2.0,
    }
    expected = adamw_reference(weights, grads, **values)
    config = OptimizerConfig("adamw", **values)
    stacked = run(config, LETTERS, weights, grads)
    for name in SHAPES:
        np.testing.assert_allclose(stacked[name], expected[name], rtol=1e-5, atol=1e-6)

    def unroll(tree):
        return {
            (name, layer): tree[name][layer]
            for name in SHAPES
            for layer in (range(3) if LETTERS[name].startswith("L") else [...])
        }

    letters = {key: LETTERS[key[0]].removeprefix("L ") for key in unroll(weights)}
    unrolled = run(config, letters, unroll(weights), [unroll(grad) for grad in grads])
    for key, value in unroll(expected).items():
        np.testing.assert_allclose(unrolled[key], value, rtol=1e-5, atol=1e-6, err_msg=str(key))


def test_adafactor_decays_matrices_by_the_learning_rate():
    weights = {"w": np.ones((128, 128)), "scale": np.ones(128)}
    zeros = jax.tree.map(np.zeros_like, weights)
    config = OptimizerConfig("adafactor", lr=0.5, weight_decay=0.1)
    params = run(config, {"w": "D F", "scale": "D"}, weights, [zeros])
    np.testing.assert_allclose(params["w"], 0.95, rtol=1e-6)
    np.testing.assert_array_equal(params["scale"], 1.0)


@pytest.mark.parametrize("name", ["adamw", "adafactor"])
@pytest.mark.parametrize("param_dtype", ["float32", "bfloat16"])
def test_moments_are_float32_from_the_first_whatever_the_parameters_are(name, param_dtype):
    config = OptimizerConfig(name, weight_decay=0.1, clip_norm=1.0)
    optimizer = make_optimizer(config, LETTERS, total_steps=10)
    params = {key: jnp.ones(shape, param_dtype) for key, shape in SHAPES.items()}
    grads = {key: jnp.ones(shape, jnp.float32) for key, shape in SHAPES.items()}
    first = optimizer.transform.init(params)
    _, second = optimizer.transform.update(grads, first, params)
    dtypes = {leaf.dtype for leaf in jax.tree.leaves(first) if leaf.ndim}
    assert dtypes == {jnp.dtype("float32")}
    for before, after in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        assert (before.dtype, before.shape) == (after.dtype, after.shape)
