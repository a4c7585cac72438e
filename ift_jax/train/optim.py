"""Optimizers and learning-rate schedules from plain, validated values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import optax

from ift_jax.lookup import suggest
from ift_jax.train.adafactor import is_matrix, scale_by_adafactor

OPTIMIZERS = ("adamw", "adafactor")
SCHEDULES = ("constant", "cosine", "linear", "rsqrt")


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """What turns gradients into updates.

    Attributes:
        name: 'adamw' (Loshchilov & Hutter 2019) or 'adafactor' (Shazeer & Stern 2018, as T5X).
        lr: peak learning rate. Adafactor's is relative to the RMS of each weight.
        schedule: what follows the warmup: 'constant', 'cosine' or 'linear' down to
            `final_lr_ratio * lr` at the last step, or 'rsqrt', lr * sqrt(W / step).
        warmup_ratio: share of all steps, rounded up to W steps, in which the rate grows linearly:
            step s < W, counted from 0, has lr * (s + 1) / (W + 1).
        final_lr_ratio: end of 'cosine' and 'linear'.
        b1: AdamW's decay of the mean of gradients.
        b2: AdamW's decay of the mean of squared gradients.
        eps: AdamW's denominator offset.
        weight_decay: decoupled decay: lr * weight_decay * w is subtracted from every matrix w
            (embeddings too; norm scales and biases never), for either optimizer.
        clip_norm: largest global gradient norm; None never clips.
    """

    name: str = "adamw"
    lr: float = 1e-3
    schedule: str = "constant"
    warmup_ratio: float = 0.0
    final_lr_ratio: float = 0.0
    b1: float = 0.9
    b2: float = 0.95
    eps: float = 1e-8
    weight_decay: float = 0.0
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        _check_choice("name", self.name, OPTIMIZERS)
        _check_choice("schedule", self.schedule, SCHEDULES)
        _check("lr", self.lr, "above 0", lambda x: x > 0)
        _check("warmup_ratio", self.warmup_ratio, "in [0, 1)", lambda x: 0 <= x < 1)
        _check("final_lr_ratio", self.final_lr_ratio, "in [0, 1]", lambda x: 0 <= x <= 1)
        _check("b1", self.b1, "in [0, 1)", lambda x: 0 <= x < 1)
        _check("b2", self.b2, "in [0, 1)", lambda x: 0 <= x < 1)
        _check("eps", self.eps, "above 0", lambda x: x > 0)
        _check("weight_decay", self.weight_decay, "0 or more", lambda x: x >= 0)
        if self.clip_norm is not None:
            _check("clip_norm", self.clip_norm, "above 0, or None", lambda x: x > 0)


def _check_choice(field: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(
            f"optimizer.{field} is {value!r}, expected one of {', '.join(known)}."
            f"{suggest(str(value), list(known))}"
        )


def _check(field: str, value: float, expected: str, holds: Callable[[float], bool]) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not holds(value):
        raise ValueError(f"optimizer.{field} is {value!r}, expected a number {expected}")


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """An update direction and the learning rate it is multiplied by.

    They are apart so that the rate follows the training step even when an update was skipped:
    `params[name] -= schedule(step) * direction[name]`.

    Attributes:
        transform: clipping, preconditioning and weight decay, over params by name.
        schedule: learning rate, float32, from the int32 number of steps taken before this one.
    """

    transform: optax.GradientTransformation
    schedule: Callable[[jax.Array], jax.Array]


def make_schedule(config: OptimizerConfig, total_steps: int) -> Callable[[jax.Array], jax.Array]:
    """The learning rate as a function of the step, counted from 0.

    Raises:
        ValueError: the warmup leaves no step to train.
    """
    if total_steps < 1:
        raise ValueError(f"total steps is {total_steps}, expected at least 1")
    warmup = math.ceil(config.warmup_ratio * total_steps)
    if warmup >= total_steps:
        raise ValueError(
            f"optimizer.warmup_ratio {config.warmup_ratio} takes {warmup} of {total_steps} steps;"
            " expected fewer: lower it, or train longer"
        )

    def schedule(step: jax.Array) -> jax.Array:
        step = jnp.asarray(step, jnp.float32)
        progress = jnp.clip((step - warmup) / (total_steps - warmup), 0.0, 1.0)
        decayed = {
            "constant": lambda: jnp.ones(()),
            "cosine": lambda: 0.5 * (1.0 + jnp.cos(jnp.pi * progress)),
            "linear": lambda: 1.0 - progress,
            "rsqrt": lambda: jnp.sqrt(max(warmup, 1) / jnp.maximum(step, max(warmup, 1))),
        }[config.schedule]()
        if config.schedule in ("cosine", "linear"):
            decayed = config.final_lr_ratio + (1.0 - config.final_lr_ratio) * decayed
        return config.lr * jnp.where(step < warmup, (step + 1.0) / (warmup + 1.0), decayed)

    return schedule


def make_optimizer(
    config: OptimizerConfig, letters: Mapping[str, str], *, total_steps: int
) -> Optimizer:
    """Builds the optimizer for parameters with these axis letters.

    Args:
        config: validated values.
        letters: axis letters of every parameter, as `{'layers.q.w': 'L D N H'}`; they say which
            are matrices (decayed, factored) and which are stacked over layers.
        total_steps: steps of the whole run, where decaying schedules end.

    Raises:
        ValueError: the warmup leaves no step to train, or an axis letter is unknown.
    """
    matrices = {name: is_matrix(axes) for name, axes in letters.items()}
    parts = []
    if config.clip_norm is not None:
        parts.append(optax.clip_by_global_norm(config.clip_norm))
    if config.name == "adamw":
        parts.append(optax.scale_by_adam(b1=config.b1, b2=config.b2, eps=config.eps))
    else:
        parts.append(scale_by_adafactor(letters))
    if config.weight_decay:
        parts.append(optax.add_decayed_weights(config.weight_decay, mask=matrices))
    chain = optax.chain(*parts)

    def init(params: dict[str, jax.Array]) -> optax.OptState:
        # Gradients come in float32 and make float32 moments, whatever the parameters are stored in.
        # Moments that began in another dtype would change it at the first step: a second compile,
        # and a checkpoint that `abstract_state` doesn't describe.
        return chain.init(jax.tree.map(lambda param: param.astype(jnp.float32), params))

    transform = optax.GradientTransformation(init, chain.update)
    return Optimizer(transform, make_schedule(config, total_steps))
